//! Appends at different loads, to distinct streams and to a hot one, on Postgres and on SQLite.

use crate::{
    bench::{Bench, Run, migrate},
    job::{Target, Work},
    rows::Rows,
    yardsticks::ONE_SHARD,
};

/// Distinct new streams: all in one shard at each load, by one process and by four, then over the store's two shards.
pub(crate) async fn measure(bench: &mut Bench, quick: bool) -> anyhow::Result<Vec<Run>> {
    let loads: &[usize] = if quick { &[1, 64] } else { &[1, 64, 256, 1_000] };
    let mut runs = Vec::new();
    for processes in [1, 4] {
        for &in_flight in loads {
            let shards = ONE_SHARD.to_vec();
            runs.push(
                bench
                    .measure("append, 1 shard", processes, in_flight, Work::Append { shards })
                    .await?,
            );
        }
    }
    for in_flight in [64, 1_000] {
        let shards = vec![0, 1];
        runs.push(
            bench
                .measure("append, 2 shards", 1, in_flight, Work::Append { shards })
                .await?,
        );
    }
    Ok(runs)
}

/// 64 writers of one stream that expect nothing, in one process and in four. None may fail.
pub(crate) async fn measure_hot(bench: &mut Bench) -> anyhow::Result<Vec<Run>> {
    let mut runs = Vec::new();
    for processes in [1, 4] {
        let stream = Rows::new(bench.seed, bench.next_run(), u64::MAX, 0).key();
        runs.push(
            bench
                .measure("append, hot stream", processes, 64, Work::Hot { stream })
                .await?,
        );
    }
    Ok(runs)
}

/// The same appends on the embedded store, which has one shard and one writing process.
pub(crate) async fn measure_sqlite(bench: &mut Bench) -> anyhow::Result<Run> {
    let target = Target::Sqlite {
        dir: bench.directory.path().join("sqlite"),
    };
    migrate(&target).await?;
    let shards = ONE_SHARD.to_vec();
    bench
        .measure_each("append, SQLite", target, 64, vec![Work::Append { shards }])
        .await
}

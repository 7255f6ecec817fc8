//! The log against what Postgres does without it: plain unordered inserts, and a bare `UNNEST` insert.

use serde::Serialize;
use sqlx::Connection as _;

use crate::{
    bench::{Bench, Run},
    job::Work,
};

/// One writing process, everything in one shard.
pub(crate) const ONE_SHARD: &[u16] = &[0];

/// What takes turns.
#[derive(Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) append_64: Run,
    pub(crate) unordered_64: Run,
    pub(crate) append_64_by_4: Run,
    pub(crate) append_1000: Run,
    pub(crate) unnest_1000: Run,
    pub(crate) append_1000_by_4: Run,
}

/// All rounds and the medians of their ratios.
#[derive(Debug, Serialize)]
pub(crate) struct Ratios {
    pub(crate) rounds: Vec<Round>,
    pub(crate) ratio_to_unordered_64: f64,
    pub(crate) ratio_to_unnest_1000: f64,
    /// The same with four writing processes.
    pub(crate) ratio_to_unordered_64_by_4: f64,
    pub(crate) ratio_to_unnest_1000_by_4: f64,
}

pub(crate) async fn measure(bench: &mut Bench, rounds: usize) -> anyhow::Result<Ratios> {
    create_tables(bench).await?;
    let append = || Work::Append {
        shards: ONE_SHARD.to_vec(),
    };
    let mut taken = Vec::new();
    for _ in 0..rounds {
        taken.push(Round {
            append_64: bench.measure("append, 64", 1, 64, append()).await?,
            unordered_64: bench
                .measure("unordered inserts, 64", 1, 64, Work::UnorderedInsert)
                .await?,
            append_64_by_4: bench.measure("append, 64", 4, 64, append()).await?,
            append_1000: bench.measure("append, 1000", 1, 1_000, append()).await?,
            unnest_1000: bench
                .measure("bare UNNEST of 1000", 1, 1, Work::UnnestInsert { rows: 1_000 })
                .await?,
            append_1000_by_4: bench.measure("append, 1000", 4, 1_000, append()).await?,
        });
    }
    let ratio = |one: fn(&Round) -> &Run, other: fn(&Round) -> &Run| {
        median(
            taken
                .iter()
                .map(|round| one(round).events_per_second / other(round).events_per_second),
        )
    };
    Ok(Ratios {
        ratio_to_unordered_64: ratio(|round| &round.append_64, |round| &round.unordered_64),
        ratio_to_unnest_1000: ratio(|round| &round.append_1000, |round| &round.unnest_1000),
        ratio_to_unordered_64_by_4: ratio(|round| &round.append_64_by_4, |round| &round.unordered_64),
        ratio_to_unnest_1000_by_4: ratio(|round| &round.append_1000_by_4, |round| &round.unnest_1000),
        rounds: taken,
    })
}

/// The middle value; the lower of two.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    values
        .into_iter()
        .collect::<assent_tests::stats::Samples>()
        .percentile(50.0)
        .unwrap_or_default()
}

/// Tables with the log's columns, storage and unique indexes, in the log's own database.
async fn create_tables(bench: &Bench) -> anyhow::Result<()> {
    let mut connection = bench.connect().await?;
    sqlx::raw_sql(
        "create schema yardsticks;
         create table yardsticks.bare (like assent_log.events including storage);
         alter table yardsticks.bare add primary key (shard, position), add unique (shard, stream, category, version);
         create table yardsticks.unordered (like assent_log.events including storage);
         create sequence yardsticks.positions owned by yardsticks.unordered.position;
         alter table yardsticks.unordered alter position set default nextval('yardsticks.positions'),
             add primary key (shard, position), add unique (shard, stream, category, version);",
    )
    .execute(&mut connection)
    .await?;
    connection.close().await?;
    Ok(())
}

//! What it costs when half of the appends expect a version that is wrong.

use assent_event_store::{Append, Expected, ShardId, StreamId};
use serde::Serialize;

use crate::{
    bench::{Bench, Run},
    job::{Conflicts, Work},
    rows::{CATEGORY, Rows, preset_key},
    yardsticks::{ONE_SHARD, median},
};

const PRESET_BATCH: u64 = 500;

/// What takes turns.
#[derive(Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) none: Run,
    pub(crate) unknown: Run,
    pub(crate) known: Run,
}

/// Costs are 1 − (appends answered a second with conflicts ÷ without): medians over the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct ConflictCosts {
    pub(crate) rounds: Vec<Round>,
    /// Conflicts on streams that another process wrote, each met once: the database finds them.
    pub(crate) conflict_cost: f64,
    /// Conflicts on streams that the same process wrote before.
    pub(crate) conflict_cost_known: f64,
}

pub(crate) async fn measure(bench: &mut Bench, rounds: usize) -> anyhow::Result<ConflictCosts> {
    const IN_FLIGHT: usize = 64;
    let mut taken = Vec::new();
    for _ in 0..rounds {
        let shards = ONE_SHARD.to_vec();
        let none = bench
            .measure("append, 64, no conflicts", 1, IN_FLIGHT, Work::Append { shards })
            .await?;
        // Enough streams for the half that conflicts, warm-up and some luck included.
        let streams = (none.answers_per_second * bench.window.as_secs_f64()) as u64 + 1_000;
        let run = preset(bench, streams).await?;
        let conflicts = Conflicts::Unknown {
            run,
            from: 0,
            to: streams,
        };
        let unknown = bench
            .measure(
                "append, 64, half conflicting, unknown",
                1,
                IN_FLIGHT,
                Work::HalfConflicts { conflicts },
            )
            .await?;
        let conflicts = Conflicts::Known;
        let known = bench
            .measure(
                "append, 64, half conflicting, known",
                1,
                IN_FLIGHT,
                Work::HalfConflicts { conflicts },
            )
            .await?;
        taken.push(Round { none, unknown, known });
    }
    let cost = |with: fn(&Round) -> &Run| {
        median(
            taken
                .iter()
                .map(|round| 1.0 - with(round).answers_per_second / round.none.answers_per_second),
        )
    };
    Ok(ConflictCosts {
        conflict_cost: cost(|round| &round.unknown),
        conflict_cost_known: cost(|round| &round.known),
        rounds: taken,
    })
}

/// Writes an event to each of many streams, as another process than the measured one; returns the run that names them.
async fn preset(bench: &mut Bench, streams: u64) -> anyhow::Result<u64> {
    let run = bench.next_run();
    let store = bench.open().await?;
    let mut rows = Rows::new(bench.seed, run, 0, 0);
    for first in (0..streams).step_by(PRESET_BATCH as usize) {
        let append = (first..streams.min(first + PRESET_BATCH)).fold(Append::new(), |append, number| {
            let stream = StreamId::new(CATEGORY, preset_key(bench.seed, run, number));
            append.write(stream, Expected::NoStream, [rows.event()])
        });
        store.append(ShardId(0), append).await?;
    }
    store.close().await;
    bench.acknowledged += streams;
    Ok(run)
}

//! A reader that follows the log while four processes write it: it must see every event once and in order.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use assent_event_store::{EventStore, ReadError, ShardId};
use serde::Serialize;
use time::OffsetDateTime;

use crate::{
    bench::{Bench, Run},
    job::Work,
    yardsticks::ONE_SHARD,
};

const SHARD: ShardId = ShardId(0);
const POLL: Duration = Duration::from_millis(5);
const PAGE_EVENTS: usize = 2_000;

/// What the reader saw over all runs.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Tail {
    pub(crate) runs: Vec<Run>,
    /// Events it was given.
    pub(crate) seen: u64,
    /// Events that were acknowledged to writers meanwhile.
    pub(crate) acknowledged: u64,
    /// Positions that it was not given, or not in order.
    pub(crate) skipped: u64,
    /// From the writer's clock in the event to the reader's hands: 99 % are below.
    pub(crate) behind_p99_ms: f64,
}

pub(crate) async fn measure(bench: &mut Bench) -> anyhow::Result<Tail> {
    let store = bench.open().await?;
    let mut tail = Tail::default();
    let mut behind = assent_tests::stats::Samples::new();
    for in_flight in [64, 1_000] {
        let written = Arc::new(AtomicBool::new(false));
        let head = store.head(SHARD).await?;
        let reader = tokio::spawn(follow(store.clone(), head, written.clone()));
        let acknowledged = bench.acknowledged;
        let shards = ONE_SHARD.to_vec();
        let run = bench
            .measure("append beside a tailing reader", 4, in_flight, Work::Append { shards })
            .await;
        written.store(true, Ordering::Release);
        let seen = reader.await??;
        tail.acknowledged += bench.acknowledged - acknowledged;
        tail.seen += seen.events;
        tail.skipped += seen.skipped;
        behind.merge(seen.behind_ms);
        tail.runs.push(run?);
    }
    tail.behind_p99_ms = behind.percentile(99.0).unwrap_or_default();
    store.close().await;
    Ok(tail)
}

#[derive(Default)]
struct Seen {
    events: u64,
    skipped: u64,
    behind_ms: assent_tests::stats::Samples,
}

/// Reads on from `position` until everything is written and read.
async fn follow(store: EventStore, mut position: u64, written: Arc<AtomicBool>) -> Result<Seen, ReadError> {
    let mut seen = Seen::default();
    loop {
        // Asked before the read: what was written before this moment is then in the page or in a later one.
        let last_round = written.load(Ordering::Acquire);
        let page = match store.read_shard(SHARD, position, PAGE_EVENTS).await {
            Err(ReadError::Hole { after, found, .. }) => {
                seen.skipped += found - after - 1;
                position = found - 1;
                continue;
            }
            page => page?,
        };
        let now = OffsetDateTime::now_utc();
        for event in &page {
            if event.position != position + 1 {
                seen.skipped += 1;
            }
            position = event.position;
        }
        seen.events += page.len() as u64;
        if let Some(last) = page.last() {
            seen.behind_ms.record((now - last.recorded_at).as_seconds_f64() * 1e3);
        }
        if page.len() < PAGE_EVENTS {
            if last_round {
                return Ok(seen);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

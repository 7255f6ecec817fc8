//! How many accepted requests wait for their decision: what admission goes by (I9).

use crate::{limits, tail::LiveTail};
use assent_event_store::{EventStore, ShardId};
use assent_runtime::{admission::Admission, platform::Platform, shutdown::Shutdown, supervise::TaskResult};
use std::sync::Arc;

/// The reader that decides; see the consent service.
const DECIDER: &str = "consent-requests";

/// How much a new sample counts in the moving means.
const NEW_SAMPLE: f64 = 0.3;

/// Samples the backlog until the soft shutdown. The log being away is waited out.
pub(crate) async fn observe(
    platform: Platform,
    tails: Vec<Arc<LiveTail>>,
    admission: Admission,
    shutdown: Shutdown,
) -> TaskResult {
    let mut gauge = Gauge::default();
    let mut ticks = tokio::time::interval(limits::BACKLOG_LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.soft().cancelled() => return Ok(()),
        }
        let look = tokio::time::timeout(limits::BACKLOG_LOOK_MAX, sample(&platform.store, &tails)).await;
        match look.unwrap_or_else(|_elapsed| Err("no answer in time".to_owned())) {
            Ok(sample) => {
                let (depth, drained) = gauge.read(sample);
                admission.observe_backlog(depth, drained);
            }
            Err(error) => tracing::warn!(error, "the backlog cannot be read; trying again"),
        }
    }
}

/// Positions and counts, summed over the shards.
#[derive(Debug, Clone, Copy)]
struct Sample {
    head: u64,
    decided: u64,
    requests: u64,
}

async fn sample(store: &EventStore, tails: &[Arc<LiveTail>]) -> Result<Sample, String> {
    let mut sample = Sample {
        head: 0,
        decided: 0,
        requests: 0,
    };
    for tail in tails {
        let head = store.head(tail.shard).await.map_err(|error| error.to_string())?;
        // A reader that was never seen starts at the beginning.
        let decided = checkpoint(store, tail.shard).await.map_err(|error| error.to_string())?;
        sample.head += head;
        sample.decided += decided.unwrap_or(0).min(head);
        sample.requests += tail.requests();
    }
    Ok(sample)
}

async fn checkpoint(store: &EventStore, shard: ShardId) -> Result<Option<u64>, sqlx::Error> {
    let position: Option<i64> = if let Some(pool) = store.postgres() {
        sqlx::query_scalar("select position from assent_feed.checkpoints where name = $1 and shard = $2")
            .bind(DECIDER)
            .bind(shard.0 as i16)
            .fetch_optional(pool)
            .await?
    } else if let Some(pool) = store.sqlite() {
        sqlx::query_scalar("select position from checkpoints where name = $1 and shard = $2")
            .bind(DECIDER)
            .bind(shard.0)
            .fetch_optional(pool)
            .await?
    } else {
        None
    };
    Ok(position.map(|position| position as u64))
}

/// Turns positions into requests: of the events that wait, as many are requests as lately were.
#[derive(Debug, Default)]
struct Gauge {
    before: Option<Sample>,
    requests_share: Option<f64>,
    drained_per_second: f64,
}

impl Gauge {
    /// How many requests wait, and how many are decided in a second.
    fn read(&mut self, now: Sample) -> (u64, f64) {
        if let Some(before) = self.before {
            let events = now.head.saturating_sub(before.head) as f64;
            if events >= 100.0 {
                let share = (now.requests.saturating_sub(before.requests) as f64 / events).min(1.0);
                self.requests_share = Some(self.requests_share.map_or(share, |old| mean(old, share)));
            }
            let moved = now.decided.saturating_sub(before.decided) as f64 / limits::BACKLOG_LOOK_EVERY.as_secs_f64();
            self.drained_per_second = mean(self.drained_per_second, moved);
        }
        self.before = Some(now);
        let share = self.requests_share.unwrap_or(1.0);
        let waiting = now.head.saturating_sub(now.decided) as f64 * share;
        (waiting.ceil() as u64, self.drained_per_second * share)
    }
}

fn mean(old: f64, new: f64) -> f64 {
    old * (1.0 - NEW_SAMPLE) + new * NEW_SAMPLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_counted_in_requests() {
        let mut gauge = Gauge::default();
        let sample = |head, decided, requests| Sample {
            head,
            decided,
            requests,
        };
        assert_eq!(gauge.read(sample(0, 0, 0)).0, 0);
        // One request in seven events, the decider 700 events behind.
        let (waiting, drained) = gauge.read(sample(7_000, 6_300, 1_000));
        assert_eq!(waiting, 100);
        assert!(drained > 0.0);
        // Silence says nothing about the mixture.
        assert_eq!(gauge.read(sample(7_000, 6_300, 1_000)).0, 100);
    }
}

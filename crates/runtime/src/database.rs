//! Whether the database answers: one condition of every process, whatever is in it.
//!
//! A database that is frozen or cut off gives no error. Whoever waits for it goes on waiting and learns nothing, so every
//! process asks a small thing again and again, with a bound.

use crate::{admin::Condition, shutdown::Shutdown, supervise::TaskResult};
use assent_event_store::{EventStore, ReadError, ShardId};
use std::time::Duration;

/// The name of the condition.
pub(crate) const CONDITION: &str = "database";

/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Longest wait for the answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Asks until the soft shutdown.
pub(crate) async fn watch(store: EventStore, condition: Condition, shutdown: Shutdown) -> TaskResult {
    let mut ticks = tokio::time::interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.soft().cancelled() => return Ok(()),
        }
        // Every store has a first shard.
        match trouble(store.head(ShardId(0))).await {
            None => condition.met(),
            Some(reason) => condition.unmet(reason),
        }
    }
}

/// Why the database is not to be counted on; `None` if it answers.
async fn trouble(asked: impl Future<Output = Result<u64, ReadError>>) -> Option<&'static str> {
    match tokio::time::timeout(ANSWER_MAX, asked).await {
        Ok(Ok(_head)) => None,
        Ok(Err(error)) => {
            tracing::debug!(%error, "the database answers with an error");
            Some("the database does not answer")
        }
        Err(_elapsed) => Some("the database gives no answer, not even an error; it may be frozen or cut off"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_answer_is_an_answer_once_it_has_been_waited_for() {
        let begun = tokio::time::Instant::now();
        let reason = trouble(std::future::pending()).await.unwrap();
        assert!(reason.contains("no answer"), "{reason}");
        assert_eq!(begun.elapsed().as_secs(), ANSWER_MAX.as_secs());
        assert_eq!(trouble(async { Ok(7) }).await, None);
        let refused = async {
            Err(ReadError::NoSuchShard {
                shard: ShardId(0),
                shards: 0,
            })
        };
        assert_eq!(trouble(refused).await, Some("the database does not answer"));
    }
}

//! Following the log: one durable reader for each shard keeps all views at once.

use assent_event_store::{Batch, Feed, FeedError, Feeds, ShardId, Start};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{apply::Live, error::ViewsError, limits, views::Views};

/// Keys the progress of the reader; never renamed.
pub const FEED: &str = "tracker-views";

impl Views {
    /// Keeps the views of a shard until `shutdown`. Only one process at a time does, whoever holds the feed's lease; others
    /// wait to take over. A database that does not answer is waited for; `healthy` hears of each change.
    pub async fn run(&self, feeds: &Feeds, shard: ShardId, shutdown: CancellationToken, healthy: impl Fn(bool) + Send) {
        // On the page before the first of them.
        let failures = metrics::counter!("assent_read_models_failures_total");
        metrics::counter!("assent_read_models_skipped_total", "reason" => "undecodable").increment(0);
        let mut feed = feeds
            .feed(FEED, shard, Start::Beginning)
            .batch_events_max(limits::BATCH_EVENTS_MAX);
        let mut live = Live::new(self.store.clone(), shard);
        let mut backoff = limits::BACKOFF_MIN;
        let mut is_healthy = false;
        let mut pace = Pace::default();
        loop {
            let step = tokio::select! {
                step = step(&mut feed, &mut live, &mut pace) => step,
                () = shutdown.cancelled() => break,
            };
            if step.is_ok() != is_healthy {
                is_healthy = step.is_ok();
                healthy(is_healthy);
            }
            let Err(error) = step else {
                backoff = limits::BACKOFF_MIN;
                continue;
            };
            feed.rewind();
            match &error {
                // Another process reads now, or a crash of the database took something back: begin at the checkpoint.
                ViewsError::Moved { .. } | ViewsError::Feed(FeedError::Fenced { .. }) => {
                    tracing::info!(shard = shard.0, %error, "the views start again from where they are");
                }
                ViewsError::Query(_) | ViewsError::Feed(_) | ViewsError::Read(_) => {
                    tracing::warn!(shard = shard.0, %error, "the views cannot be moved on; trying again");
                }
            }
            failures.increment(1);
            tokio::select! {
                () = sleep(backoff) => {}
                () = shutdown.cancelled() => break,
            }
            backoff = (backoff * 2).min(limits::BACKOFF_MAX);
        }
        feed.release().await;
    }
}

/// When the last batch began and whether it was a small one.
#[derive(Debug, Default)]
struct Pace {
    last: Option<(Instant, usize)>,
}

impl Pace {
    /// While events keep coming in small batches, leaves time for more of them to come: fewer and fuller transactions. The first
    /// event after a pause goes at once.
    async fn wait(&self) {
        if let Some((began, events)) = self.last
            && events < limits::BATCH_EVENTS_MAX
        {
            sleep_until(began + limits::BATCH_SPACING_MAX).await;
        }
    }
}

async fn step(feed: &mut Feed, live: &mut Live, pace: &mut Pace) -> Result<(), ViewsError> {
    pace.wait().await;
    let Batch { events, checkpoint } = feed.next_batch().await?;
    let began = Instant::now();
    pace.last = Some((began, events.len()));
    live.apply(&events, Some(&checkpoint)).await?;
    metrics::counter!("assent_read_models_events_total").increment(events.len() as u64);
    metrics::histogram!("assent_read_models_batch_seconds").record(began.elapsed());
    Ok(())
}

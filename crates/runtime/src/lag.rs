//! How far every durable reader is behind the log, as the database has it: seen from outside the readers, so that one that
//! stands still, or that no process reads for, shows.

use crate::{shutdown::Shutdown, supervise::TaskResult};
use assent_event_store::{EventStore, ReadError, ShardId};
use metrics::Gauge;
use std::{collections::HashMap, time::Duration};

/// How often it is looked at. Every process does, whatever is in it: two queries and one a shard.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Measures until the soft shutdown.
pub(crate) async fn measure(store: EventStore, shutdown: Shutdown) -> TaskResult {
    let mut shown = Shown::default();
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.soft().cancelled() => return Ok(()),
        }
        if let Err(error) = shown.look(&store).await {
            tracing::debug!(%error, "how far the feeds are behind cannot be read; trying again");
            shown.forget();
        }
    }
}

/// The gauges on the page. What is not known is NaN there: it takes part in no largest one of several processes.
#[derive(Default)]
struct Shown {
    heads: HashMap<ShardId, Gauge>,
    feeds: HashMap<(String, ShardId), FeedGauges>,
}

struct FeedGauges {
    /// The relay has none: it keeps its position in JetStream.
    lag: Option<Gauge>,
    readers: Gauge,
}

impl Shown {
    async fn look(&mut self, store: &EventStore) -> Result<(), ReadError> {
        // Checkpoints first: a head that is read later is never behind one.
        let feeds = store.feed_positions().await?;
        let mut heads = HashMap::new();
        for shard in store.shards() {
            let head = store.head(shard).await?;
            heads.insert(shard, head);
            let gauge = || metrics::gauge!("assent_log_head_position", "shard" => shard.to_string());
            self.heads.entry(shard).or_insert_with(gauge).set(head as f64);
        }
        for feed in feeds {
            let labels = [("feed", feed.name.clone()), ("shard", feed.shard.to_string())];
            let gauges = self.feeds.entry((feed.name, feed.shard));
            let gauges = gauges.or_insert_with(|| FeedGauges {
                lag: None,
                readers: metrics::gauge!("assent_feed_readers", &labels),
            });
            gauges.readers.set(if feed.has_reader { 1.0 } else { 0.0 });
            if let Some((head, position)) = heads.get(&feed.shard).zip(feed.position) {
                let gauge = || metrics::gauge!("assent_feed_lag_events", &labels);
                gauges
                    .lag
                    .get_or_insert_with(gauge)
                    .set(head.saturating_sub(position) as f64);
            }
        }
        Ok(())
    }

    fn forget(&self) {
        let feeds = self.feeds.values();
        let feeds = feeds.flat_map(|feed| feed.lag.iter().chain([&feed.readers]));
        self.heads.values().chain(feeds).for_each(|gauge| gauge.set(f64::NAN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;
    use assent_event_store::{
        Append, Database, EventMeta, Expected, Feeds, NewEvent, Source, Start, StoreConfig, StreamId,
    };

    #[test]
    fn a_reader_that_stands_still_or_is_gone_is_seen_from_outside() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (page, ()) = Metrics::recorded(|| runtime.block_on(one_that_is_gone_and_one_that_waits(folder.path())));
        for line in [
            "assent_log_head_position{shard=\"0\"} 3",
            "assent_feed_lag_events{feed=\"gone\",shard=\"0\"} 1",
            "assent_feed_readers{feed=\"gone\",shard=\"0\"} 0",
            "assent_feed_lag_events{feed=\"stuck\",shard=\"0\"} 3",
            "assent_feed_readers{feed=\"stuck\",shard=\"0\"} 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }

    async fn one_that_is_gone_and_one_that_waits(folder: &std::path::Path) {
        let config = StoreConfig::new(Database::sqlite(folder));
        EventStore::migrate(&config).await.unwrap();
        let store = EventStore::connect(&config).await.unwrap();
        let feeds = Feeds::start(&store, &Source::Direct).await.unwrap();
        let append = async |count: u8| {
            let event = || NewEvent::new("test.happened", 1, &b"{}"[..], &EventMeta::default());
            let stream = StreamId::new("test", uuid::Uuid::new_v4());
            let append = Append::new().write(stream, Expected::NoStream, (0..count).map(|_| event()));
            store.append(ShardId(0), append).await.unwrap();
        };
        append(2).await;
        let mut gone = feeds.feed("gone", ShardId(0), Start::Beginning);
        let batch = gone.next_batch().await.unwrap();
        gone.commit(&batch.checkpoint).await.unwrap();
        gone.release().await;
        let mut stuck = feeds.feed("stuck", ShardId(0), Start::Beginning);
        stuck.next_batch().await.unwrap();
        append(1).await;
        Shown::default().look(&store).await.unwrap();
        drop(stuck);
        store.close().await;
    }
}

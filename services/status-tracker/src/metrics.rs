//! What the status-tracker measures. Labels are closed sets, or our own numbers' ids.

use assent_domain::events::{NumberObserved, NumberStatus, QualityRating};
use assent_event_store::{EventStore, ShardId};
use std::time::{Duration, Instant};

/// A poll ended; `outcome` is `ok` or what was wrong.
pub(crate) fn polled(what: &'static str, outcome: &'static str) {
    metrics::counter!("assent_status_tracker_polls_total", "what" => what, "outcome" => outcome).increment(1);
}

/// A conclusion was recorded.
pub(crate) fn concluded(kind: &'static str) {
    metrics::counter!("assent_status_tracker_conclusions_total", "kind" => kind).increment(1);
}

/// Something could not be understood and was passed over.
pub(crate) fn skipped(reason: &'static str) {
    metrics::counter!("assent_status_tracker_skipped_total", "reason" => reason).increment(1);
}

/// What was seen of a number.
pub(crate) fn number_seen(seen: &NumberObserved) {
    let id = seen.number.as_str().to_owned();
    let quality = match seen.quality {
        QualityRating::Unknown => 0.0,
        QualityRating::Red => 1.0,
        QualityRating::Yellow => 2.0,
        QualityRating::Green => 3.0,
    };
    let sends = matches!(seen.status, NumberStatus::Connected | NumberStatus::Flagged);
    metrics::gauge!("assent_status_tracker_number_quality", "phone_number_id" => id.clone()).set(quality);
    metrics::gauge!("assent_status_tracker_number_sends", "phone_number_id" => id).set(f64::from(u8::from(sends)));
}

/// A subscriber took nothing for too long and was ended.
pub(crate) fn subscriber_too_slow() {
    metrics::counter!("assent_status_tracker_subscribers_too_slow_total").increment(1);
}

/// How often a feed's lag is measured; it costs a query.
const LAG_EVERY: Duration = Duration::from_secs(5);

/// How far a feed is behind the log.
#[derive(Debug)]
pub(crate) struct Lag {
    feed: &'static str,
    measured_at: Option<Instant>,
}

impl Lag {
    pub(crate) fn of(feed: &'static str) -> Self {
        Self {
            feed,
            measured_at: None,
        }
    }

    /// Tells the gauge how many events follow on `position`, now and then.
    pub(crate) async fn measure(&mut self, store: &EventStore, shard: ShardId, position: u64) {
        if self.measured_at.is_some_and(|at| at.elapsed() < LAG_EVERY) {
            return;
        }
        self.measured_at = Some(Instant::now());
        if let Ok(head) = store.head(shard).await {
            let events = head.saturating_sub(position);
            metrics::gauge!("assent_status_tracker_feed_lag_events", "feed" => self.feed, "shard" => shard.0.to_string())
                .set(events as f64);
        }
    }
}

//! What the status-tracker measures. Labels are closed sets, or our own numbers' ids.

use assent_domain::events::{NumberObserved, NumberStatus, QualityRating};

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

#[expect(dead_code, reason = "todo")]
/// How far a feed is behind the log, in events.
pub(crate) fn lag(feed: &'static str, shard: u16, events: u64) {
    metrics::gauge!("assent_status_tracker_feed_lag_events", "feed" => feed, "shard" => shard.to_string())
        .set(events as f64);
}

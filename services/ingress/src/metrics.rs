//! What ingress counts. Labels are closed sets.

use std::time::Duration;

/// A request was taken in, or was there already.
pub(crate) fn request(outcome: &'static str) {
    metrics::counter!("assent_ingress_requests_total", "outcome" => outcome).increment(1);
}

/// A caller waited for a decision.
pub(crate) fn waited(outcome: &'static str, time: Duration) {
    metrics::histogram!("assent_ingress_decision_wait_seconds", "outcome" => outcome).record(time);
}

/// A callback was answered.
pub(crate) fn callback(outcome: &'static str) {
    metrics::counter!("assent_ingress_callbacks_total", "outcome" => outcome).increment(1);
}

/// An update was recorded.
pub(crate) fn update(kind: &'static str) {
    metrics::counter!("assent_ingress_updates_total", "kind" => kind).increment(1);
}

/// An update named something of another tenant's: `number`, `account` or `message`.
pub(crate) fn foreign_update(what: &'static str) {
    metrics::counter!("assent_ingress_foreign_updates_total", "what" => what).increment(1);
}

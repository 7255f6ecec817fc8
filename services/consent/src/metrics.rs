//! What is counted. Labels are closed sets.

use assent_domain::{events::DecisionEvent, values::Timestamp};

/// Decisions recorded, by outcome and, of refusals, every reason; and how long after the request was taken in.
pub(crate) fn decided(decision: &DecisionEvent, accepted_at: Timestamp, now: Timestamp) {
    let outcome = match decision {
        DecisionEvent::Authorized(_) => "authorized",
        DecisionEvent::Refused(refused) => {
            for refusal in &refused.refusals {
                metrics::counter!("assent_consent_refusals_total", "reason" => refusal.reason.as_str()).increment(1);
            }
            "refused"
        }
        DecisionEvent::Expired(_) => "expired",
    };
    metrics::counter!("assent_consent_decisions_total", "outcome" => outcome).increment(1);
    metrics::histogram!("assent_consent_decision_seconds").record(now.since(accepted_at).as_secs_f64());
}

/// A request that was decided before: its batch was handled a second time.
pub(crate) fn decided_before() {
    metrics::counter!("assent_consent_decided_before_total").increment(1);
}

/// A contact changed between reading and appending; `what` was done again.
pub(crate) fn conflict(what: &'static str) {
    metrics::counter!("assent_consent_conflicts_total", "what" => what).increment(1);
}

/// An event that cannot be acted on.
pub(crate) fn skipped(reason: &'static str) {
    metrics::counter!("assent_consent_skipped_total", "reason" => reason).increment(1);
}

/// A batch in which there was something to do.
pub(crate) fn batch(feed: &'static str, events: usize, seconds: f64) {
    metrics::histogram!("assent_consent_batch_events", "feed" => feed).record(events as f64);
    metrics::histogram!("assent_consent_batch_seconds", "feed" => feed).record(seconds);
}

/// A change of a contact: `by` is `call` or `feed`, `wrote` whether it was news.
pub(crate) fn changed(by: &'static str, wrote: bool) {
    let news = if wrote { "yes" } else { "no" };
    metrics::counter!("assent_consent_changes_total", "by" => by, "news" => news).increment(1);
}

/// Callers that shared a look-up.
pub(crate) fn gathered(callers: usize) {
    metrics::histogram!("assent_consent_gathered_callers").record(callers as f64);
}

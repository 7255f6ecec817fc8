//! What is counted. Labels are closed sets, and on the page with 0 from the start.

use crate::{REQUESTS_FEED, WITHDRAWALS_FEED};
use assent_domain::{events::DecisionEvent, gates::RefusalReason, values::Timestamp};
use assent_runtime::counters::Counters;
use metrics::{Counter, Histogram};
use std::sync::LazyLock;

const OUTCOMES: [&str; 3] = ["authorized", "refused", "expired"];
const CONFLICTS: [&str; 3] = ["contact", "decision", "call"];
const SKIPPED: [&str; 9] = [
    "not_understood",
    "request_unknown",
    "nobody_named",
    "no_tenant",
    "preference_unknown",
    "start_is_no_opt_in",
    "not_opened",
    "decision_invalid",
    "rejected",
];
const CHANGES: [[&str; 2]; 4] = [["call", "yes"], ["call", "no"], ["feed", "yes"], ["feed", "no"]];

struct Meters {
    decisions: Counters,
    refusals: Counters,
    decision_seconds: Histogram,
    decided_before: Counter,
    conflicts: Counters,
    skipped: Counters,
    changes: Counters<2>,
    gathered: Histogram,
    batches: [Batches; 2],
}

struct Batches {
    feed: &'static str,
    events: Histogram,
    seconds: Histogram,
}

static METERS: LazyLock<Meters> = LazyLock::new(|| Meters {
    decisions: Counters::new(
        "assent_consent_decisions_total",
        ["outcome"],
        OUTCOMES.map(|outcome| [outcome]),
    ),
    refusals: Counters::new(
        "assent_consent_refusals_total",
        ["reason"],
        RefusalReason::ALL.map(|reason| [reason.as_str()]),
    ),
    decision_seconds: metrics::histogram!("assent_consent_decision_seconds"),
    decided_before: metrics::counter!("assent_consent_decided_before_total"),
    conflicts: Counters::new("assent_consent_conflicts_total", ["what"], CONFLICTS.map(|what| [what])),
    skipped: Counters::new(
        "assent_consent_skipped_total",
        ["reason"],
        SKIPPED.map(|reason| [reason]),
    ),
    changes: Counters::new("assent_consent_changes_total", ["by", "news"], CHANGES),
    gathered: metrics::histogram!("assent_consent_gathered_callers"),
    batches: [REQUESTS_FEED, WITHDRAWALS_FEED].map(|feed| Batches {
        feed,
        events: metrics::histogram!("assent_consent_batch_events", "feed" => feed),
        seconds: metrics::histogram!("assent_consent_batch_seconds", "feed" => feed),
    }),
});

/// Puts everything on the page. To be called once the process's metrics are set up.
pub(crate) fn prepare() {
    LazyLock::force(&METERS);
}

/// Decisions recorded, by outcome and, of refusals, every reason; and how long after the request was taken in.
pub(crate) fn decided(decision: &DecisionEvent, accepted_at: Timestamp, now: Timestamp) {
    let outcome = match decision {
        DecisionEvent::Authorized(_) => "authorized",
        DecisionEvent::Refused(refused) => {
            for refusal in &refused.refusals {
                METERS.refusals.one([refusal.reason.as_str()]);
            }
            "refused"
        }
        DecisionEvent::Expired(_) => "expired",
    };
    METERS.decisions.one([outcome]);
    METERS.decision_seconds.record(now.since(accepted_at).as_secs_f64());
}

/// A request that was decided before: its batch was handled a second time.
pub(crate) fn decided_before() {
    METERS.decided_before.increment(1);
}

/// A contact changed between reading and appending; `what` was done again.
pub(crate) fn conflict(what: &'static str) {
    METERS.conflicts.one([what]);
}

/// An event that cannot be acted on.
pub(crate) fn skipped(reason: &'static str) {
    METERS.skipped.one([reason]);
}

/// A batch in which there was something to do.
pub(crate) fn batch(feed: &'static str, events: usize, seconds: f64) {
    if let Some(batches) = METERS.batches.iter().find(|batches| batches.feed == feed) {
        batches.events.record(events as f64);
        batches.seconds.record(seconds);
    }
}

/// A change of a contact: `by` is `call` or `feed`, `wrote` whether it was news.
pub(crate) fn changed(by: &'static str, wrote: bool) {
    METERS.changes.one([by, if wrote { "yes" } else { "no" }]);
}

/// Callers that shared a look-up.
pub(crate) fn gathered(callers: usize) {
    METERS.gathered.record(callers as f64);
}

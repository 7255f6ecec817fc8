//! What the dispatcher counts. Labels are closed sets, on the page with 0 from the start, or our own numbers' ids.

use crate::open_set::{OpenSet, State};
use assent_domain::{
    events::{AttemptEvent, CancelReason, DeferReason, GaveUpBecause},
    values::PhoneNumberId,
};
use assent_event_store::ShardId;
use assent_runtime::{
    counters::{CodeCounters, Counters},
    tenants::Tenants,
};
use assent_whatsapp::{
    client::{SendError, UnknownOutcome},
    error_table,
};
use metrics::{Counter, Gauge, Histogram};
use std::{
    collections::HashMap,
    sync::{LazyLock, PoisonError, RwLock},
    time::Duration,
};

const OUTCOMES: [&str; 5] = ["accepted", "rejected", "throttled", "not_sent", "unknown"];
const CANCELLED: [CancelReason; 8] = [
    CancelReason::Requested,
    CancelReason::ConsentWithdrawn,
    CancelReason::Suppressed,
    CancelReason::WindowClosed,
    CancelReason::TemplateUnavailable,
    CancelReason::NumberUnavailable,
    CancelReason::Expired,
    CancelReason::Erased,
];
const DEFERRED: [DeferReason; 7] = [
    DeferReason::PairLimit,
    DeferReason::NumberLimit,
    DeferReason::PortfolioLimit,
    DeferReason::ProviderThrottled,
    DeferReason::Paused,
    DeferReason::Backoff,
    DeferReason::Media,
];
const GIVEN_UP: [&str; 4] = ["silence", "retries_exhausted", "expired", "unsendable"];
const SETTLED: [&str; 3] = ["callback", "process_died", "silence"];
const SKIPPED: [&str; 9] = [
    "decode",
    "unknown_kind",
    "other",
    "no_tenant",
    "no_request",
    "no_decision",
    "attempts_not_understood",
    "invalid_append",
    "file_not_understood",
];
/// Why a file is fetched again appears with the first time.
const FILES: [[&str; 2]; 2] = [["stored", "none"], ["unavailable", "lasting"]];
const UPLOADS: [&str; 5] = ["uploaded", "known", "unfit", "lost", "unusable"];
/// The likely ones; others appear with the first time.
const FETCH_FAILURES: [&str; 6] = [
    "link_unfit",
    "address_not_public",
    "host_unreachable",
    "timeout",
    "http_status",
    "too_large",
];

struct Meters {
    started: Counters,
    outcomes: Counters,
    errors: CodeCounters,
    call_seconds: Histogram,
    calls_in_flight: Gauge,
    cancelled: Counters,
    given_up: Counters,
    deferred: Counters,
    skipped: Counters,
    settled: Counters,
    slice_messages: Histogram,
    sent: RwLock<HashMap<PhoneNumberId, Counter>>,
    files: Counters<2>,
    files_removed: Counter,
    uploads: Counters,
    fetch_failures: Counters,
}

static METERS: LazyLock<Meters> = LazyLock::new(|| Meters {
    started: Counters::new("assent_dispatcher_attempts_started_total", ["retry"], [["no"], ["yes"]]),
    outcomes: Counters::new(
        "assent_dispatcher_outcomes_total",
        ["outcome"],
        OUTCOMES.map(|outcome| [outcome]),
    ),
    errors: CodeCounters::new("assent_dispatcher_errors_total", error_table::documented()),
    call_seconds: metrics::histogram!("assent_dispatcher_call_seconds"),
    calls_in_flight: metrics::gauge!("assent_dispatcher_calls_in_flight"),
    cancelled: Counters::new(
        "assent_dispatcher_cancelled_total",
        ["reason"],
        CANCELLED.map(|reason| [reason.as_str()]),
    ),
    given_up: Counters::new(
        "assent_dispatcher_given_up_total",
        ["reason"],
        GIVEN_UP.map(|reason| [reason]),
    ),
    deferred: Counters::new(
        "assent_dispatcher_deferred_total",
        ["reason"],
        DEFERRED.map(|reason| [reason.as_str()]),
    ),
    skipped: Counters::new(
        "assent_dispatcher_skipped_total",
        ["reason"],
        SKIPPED.map(|reason| [reason]),
    ),
    settled: Counters::new("assent_dispatcher_settled_total", ["by"], SETTLED.map(|by| [by])),
    slice_messages: metrics::histogram!("assent_dispatcher_slice_messages"),
    sent: RwLock::default(),
    files: Counters::new("assent_dispatcher_files_total", ["outcome", "reason"], FILES),
    files_removed: metrics::counter!("assent_dispatcher_files_removed_total"),
    uploads: Counters::new(
        "assent_dispatcher_uploads_total",
        ["outcome"],
        UPLOADS.map(|outcome| [outcome]),
    ),
    fetch_failures: Counters::new(
        "assent_dispatcher_fetch_failures_total",
        ["reason"],
        FETCH_FAILURES.map(|reason| [reason]),
    ),
});

/// Puts everything on the page, with the numbers of the tenants as they are now. To be called once the process's metrics are
/// set up.
pub(crate) fn prepare(tenants: &Tenants) {
    METERS.calls_in_flight.increment(0.0);
    for tenant in tenants.iter() {
        for number in &tenant.numbers {
            if let Ok(number) = PhoneNumberId::try_new(&number.phone_number_id) {
                drop(counter_of(&number));
            }
        }
    }
}

/// An attempt was made durable.
pub(crate) fn started(number: u32) {
    METERS.started.one([if number > 1 { "yes" } else { "no" }]);
}

/// A call came to an end. `outcome` is one of a closed set.
pub(crate) fn called(outcome: &'static str, took: Duration) {
    METERS.outcomes.one([outcome]);
    METERS.call_seconds.record(took);
}

/// Meta took a message from this number of ours.
pub(crate) fn sent(number: &PhoneNumberId) {
    let known = METERS.sent.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(counter) = known.get(number) {
        counter.increment(1);
        return;
    }
    drop(known);
    counter_of(number).increment(1);
}

fn counter_of(number: &PhoneNumberId) -> Counter {
    let counter = metrics::counter!("assent_dispatcher_sent_total", "phone_number_id" => number.as_str().to_owned());
    let mut known = METERS.sent.write().unwrap_or_else(PoisonError::into_inner);
    known.entry(number.clone()).or_insert(counter).clone()
}

/// Meta's error, if a call met one.
pub(crate) fn failed(error: &SendError) {
    match error {
        SendError::Rejected(error)
        | SendError::Throttled { error, .. }
        | SendError::OutcomeUnknown(UnknownOutcome::Ambiguous { error, .. }) => {
            METERS.errors.one(error_table::todays_code(error.code));
        }
        SendError::NotSent(_)
        | SendError::OutcomeUnknown(
            UnknownOutcome::Timeout | UnknownOutcome::ConnectionLost | UnknownOutcome::Unreadable { .. },
        ) => {}
    }
}

/// A call begins or ends.
pub(crate) fn calls_in_flight(change: f64) {
    METERS.calls_in_flight.increment(change);
}

/// An event about an attempt was recorded, other than by a call that came to its end.
pub(crate) fn recorded(event: &AttemptEvent) {
    match event {
        AttemptEvent::Cancelled(event) => METERS.cancelled.one([event.reason.as_str()]),
        AttemptEvent::Deferred(event) => METERS.deferred.one([event.reason.as_str()]),
        AttemptEvent::GivenUp(event) => METERS.given_up.one([match event.because {
            GaveUpBecause::Silence { .. } => "silence",
            GaveUpBecause::RetriesExhausted { .. } => "retries_exhausted",
            GaveUpBecause::Expired => "expired",
            GaveUpBecause::Unsendable { .. } => "unsendable",
        }]),
        AttemptEvent::Started(_)
        | AttemptEvent::Accepted(_)
        | AttemptEvent::Rejected(_)
        | AttemptEvent::OutcomeUnknown(_) => {}
    }
}

/// An event or message that nothing can be done with.
pub(crate) fn skipped(reason: &'static str) {
    METERS.skipped.one([reason]);
}

/// An outcome that was unknown became known.
pub(crate) fn settled(how: &'static str) {
    METERS.settled.one([how]);
}

/// A slice was judged.
pub(crate) fn slice(messages: usize) {
    METERS.slice_messages.record(messages as f64);
}

/// How many messages of a shard are open, by why. Goes back to 0 when the process stops watching the shard.
#[derive(Debug)]
pub(crate) struct OpenMessages([(State, Gauge); 3]);

impl OpenMessages {
    pub(crate) fn of(shard: ShardId) -> Self {
        let gauge = |state: State| {
            let labels = [("shard", shard.to_string()), ("state", state.as_str().to_owned())];
            (state, metrics::gauge!("assent_dispatcher_open_messages", &labels))
        };
        let gauges = Self(State::ALL.map(gauge));
        gauges.show(&OpenSet::default());
        gauges
    }

    pub(crate) fn show(&self, open: &OpenSet) {
        for (state, gauge) in &self.0 {
            gauge.set(open.count(*state) as f64);
        }
    }
}

impl Drop for OpenMessages {
    fn drop(&mut self) {
        self.show(&OpenSet::default());
    }
}

/// Something was found out about a file that a person sent. `reason` is one of a closed set.
pub(crate) fn file(outcome: &'static str, reason: &'static str) {
    METERS.files.one([outcome, reason]);
}

/// Stored files were removed because their key was gone.
pub(crate) fn files_removed(files: u64) {
    METERS.files_removed.increment(files);
}

/// A linked file was looked for. `outcome` is one of a closed set.
pub(crate) fn upload(outcome: &'static str) {
    METERS.uploads.one([outcome]);
}

/// A link was not fetched. `reason` is one of a closed set.
pub(crate) fn fetch_failed(reason: &'static str) {
    METERS.fetch_failures.one([reason]);
}

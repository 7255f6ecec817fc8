//! What ingress counts. Labels are closed sets, and on the page with 0 from the start.

use assent_runtime::{
    api_error::ErrorCode,
    counters::{CodeCounters, Counters},
};
use assent_whatsapp::{callback::StatusUpdate, error_table};
use metrics::Histogram;
use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

/// Taken in now.
pub(crate) const ACCEPTED: &str = "accepted";
/// Taken in by an earlier call with the same key.
pub(crate) const REPEATED: &str = "repeated";

/// Every way a request can end that was not taken in.
const NOT_TAKEN_IN: [ErrorCode; 9] = [
    ErrorCode::Overloaded,
    ErrorCode::InvalidRequest,
    ErrorCode::NumberUnknown,
    ErrorCode::ApiKeyInvalid,
    ErrorCode::IdempotencyKeyReused,
    ErrorCode::Conflict,
    ErrorCode::StoreUnavailable,
    ErrorCode::ShuttingDown,
    ErrorCode::Internal,
];

const WAITED: [&str; 3] = ["decided", "timed_out", "shutting_down"];
const CALLBACKS: [&str; 6] = [
    "recorded",
    "signature",
    "not_recorded",
    "too_large",
    "interrupted",
    "unknown_tenant",
];
const FOREIGN: [&str; 3] = ["number", "account", "message"];
/// A word of Meta's that is not among them counts as the last one.
const STATUSES: [&str; 6] = ["sent", "delivered", "read", "played", "failed", "other"];
/// The busy ones; others appear with their first update.
const UPDATES: [&str; 4] = ["status", "message", "preference", "kept_whole"];

struct Meters {
    requests: Counters,
    waits: [(&'static str, Histogram); WAITED.len()],
    callbacks: Counters,
    callback_seconds: Histogram,
    updates: Counters,
    foreign: Counters,
    statuses: Counters,
    status_errors: CodeCounters,
}

static METERS: LazyLock<Meters> = LazyLock::new(|| Meters {
    requests: Counters::new(
        "assent_ingress_requests_total",
        ["outcome"],
        NOT_TAKEN_IN
            .iter()
            .map(|code| [code.reason()])
            .chain([[ACCEPTED], [REPEATED]]),
    ),
    waits: WAITED.map(|outcome| {
        let wait = metrics::histogram!("assent_ingress_decision_wait_seconds", "outcome" => outcome);
        (outcome, wait)
    }),
    callbacks: Counters::new(
        "assent_ingress_callbacks_total",
        ["outcome"],
        CALLBACKS.map(|outcome| [outcome]),
    ),
    callback_seconds: metrics::histogram!("assent_ingress_callback_seconds"),
    updates: Counters::new("assent_ingress_updates_total", ["kind"], UPDATES.map(|kind| [kind])),
    foreign: Counters::new(
        "assent_ingress_foreign_updates_total",
        ["what"],
        FOREIGN.map(|what| [what]),
    ),
    statuses: Counters::new(
        "assent_ingress_statuses_total",
        ["status"],
        STATUSES.map(|status| [status]),
    ),
    status_errors: CodeCounters::new("assent_ingress_status_errors_total", error_table::documented()),
});

/// Puts everything on the page. To be called once the process's metrics are set up.
pub(crate) fn prepare() {
    LazyLock::force(&METERS);
}

/// A request was taken in, was there already, or was not taken in: once a request. `outcome` is one of the constants or
/// the reason of an error.
pub(crate) fn request(outcome: &'static str) {
    METERS.requests.one([outcome]);
}

/// A caller waited for a decision.
pub(crate) fn waited(outcome: &'static str, time: Duration) {
    if let Some((_, wait)) = METERS.waits.iter().find(|(known, _)| *known == outcome) {
        wait.record(time);
    }
}

/// A callback was answered.
pub(crate) fn callback(outcome: &'static str, begun: Instant) {
    METERS.callbacks.one([outcome]);
    METERS.callback_seconds.record(begun.elapsed());
}

/// What a callback holds, to be counted once it is recorded: Meta sends again what was not.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    updates: Vec<&'static str>,
    foreign: Vec<&'static str>,
    statuses: Vec<&'static str>,
    codes: Vec<i64>,
}

impl Tally {
    /// An update of this kind.
    pub(crate) fn update(&mut self, kind: &'static str) {
        self.updates.push(kind);
    }

    /// An update that names something of another tenant's: `number`, `account` or `message`.
    pub(crate) fn foreign(&mut self, what: &'static str) {
        self.foreign.push(what);
    }

    /// A report about a message.
    pub(crate) fn status(&mut self, status: &StatusUpdate) {
        let word = status.status.as_str();
        let known = STATUSES.into_iter().find(|known| *known == word);
        self.statuses.push(known.unwrap_or("other"));
        let codes = status.errors.iter().map(|error| error_table::todays_code(error.code));
        self.codes.extend(codes);
    }

    /// All of it is recorded.
    pub(crate) fn count(self) {
        self.updates.into_iter().for_each(|kind| METERS.updates.one([kind]));
        self.foreign.into_iter().for_each(|what| METERS.foreign.one([what]));
        self.statuses
            .into_iter()
            .for_each(|status| METERS.statuses.one([status]));
        self.codes.into_iter().for_each(|code| METERS.status_errors.one(code));
    }
}

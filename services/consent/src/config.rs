//! What can be set.

use assent_runtime::config::{Check, Validate};
use serde::{Deserialize, Serialize};

/// The consent service. Every key has a default.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default)]
pub struct Config {
    /// Most events a reader takes at once.
    pub batch_events_max: usize,
    /// Batches of requests that are judged and written at the same time, so that a slow one does not idle the reader.
    pub batches_in_flight_max: usize,
    /// Calls handled at a time, opt-outs apart, which are never refused.
    pub calls_in_flight_max: usize,
    /// Largest request message of a caller, in bytes.
    pub message_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            batch_events_max: 500,
            batches_in_flight_max: 4,
            calls_in_flight_max: 4_096,
            message_bytes_max: 256 * 1024,
        }
    }
}

impl Validate for Config {
    fn validate(&self, check: &mut Check) {
        let events_max = assent_event_store::limits::BATCH_EVENTS_MAX;
        check.range("batch_events_max", self.batch_events_max, 1, events_max);
        check.range("batches_in_flight_max", self.batches_in_flight_max, 1, 64);
        check.range("calls_in_flight_max", self.calls_in_flight_max, 1, 100_000);
        check.range("message_bytes_max", self.message_bytes_max, 1_024, 16 * 1024 * 1024);
    }
}

//! What can be configured.

use assent_runtime::config::{Check, Validate};
use assent_whatsapp::client::{Client, ClientConfig};
use serde::Deserialize;

/// Configuration of the status-tracker. Every key has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Calls to Meta.
    pub meta: ClientConfig,
    /// How often every number and every account's templates are asked about, in milliseconds. Meta allows 200 calls an
    /// hour for an account that sends nothing, and 5,000 otherwise.
    pub poll_ms: u64,
    /// How long after a callback about a number, template or account it is asked about again, in milliseconds; further
    /// callbacks within that time cause no further call.
    pub poll_debounce_ms: u64,
    /// Calls to Meta at a time, for each shard.
    pub polls_in_flight_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            meta: ClientConfig::default(),
            poll_ms: 5 * 60 * 1_000,
            poll_debounce_ms: 1_000,
            polls_in_flight_max: 8,
        }
    }
}

impl Validate for Config {
    fn validate(&self, check: &mut Check) {
        if let Err(error) = Client::try_new(&self.meta) {
            check.problem("meta", error.to_string());
        }
        check.range("poll_ms", self.poll_ms, 20, 24 * 60 * 60 * 1_000);
        check.range("poll_debounce_ms", self.poll_debounce_ms, 0, 60_000);
        check.range("polls_in_flight_max", self.polls_in_flight_max, 1, 64);
    }
}

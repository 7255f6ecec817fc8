//! What can be configured.

use assent_runtime::config::{Check, Validate};
use assent_whatsapp::client::{Client, ClientConfig};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Configuration of the status-tracker. Every key has a default.
#[derive(Debug, Clone, Deserialize, Serialize)]
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
    /// When somebody is taken to have blocked us.
    pub suppression: SuppressionConfig,
    /// Subscriptions to events.
    pub subscriptions: SubscriptionsConfig,
}

/// When somebody is taken to have blocked us: Meta never says so, it is inferred from silence.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default)]
pub struct SuppressionConfig {
    /// How many messages in a row must have stayed at `sent`, none of them delivered.
    pub silent_messages_min: u32,
    /// For how long, each of them, in hours in which the number's callbacks came in.
    pub silence_hours: u32,
    /// How often the decider writes its tables and its checkpoint, in milliseconds. Messages that are delivered within this
    /// time cost no row.
    pub persist_ms: u64,
}

impl Default for SuppressionConfig {
    fn default() -> Self {
        Self {
            silent_messages_min: 3,
            silence_hours: 36,
            persist_ms: 5_000,
        }
    }
}

impl SuppressionConfig {
    /// How long a silent message must have been silent.
    pub(crate) fn silence(&self) -> Duration {
        Duration::from_hours(u64::from(self.silence_hours))
    }

    /// The longest pause between two callbacks of a number in which silence still counts; after a longer one it counts anew.
    pub(crate) fn pause_max(&self) -> Duration {
        self.silence() / 2
    }
}

impl Validate for SuppressionConfig {
    fn validate(&self, check: &mut Check) {
        check.range("silent_messages_min", self.silent_messages_min, 1, 100);
        check.range("silence_hours", self.silence_hours, 1, 30 * 24);
        check.range("persist_ms", self.persist_ms, 10, 60_000);
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            meta: ClientConfig::default(),
            poll_ms: 5 * 60 * 1_000,
            poll_debounce_ms: 1_000,
            polls_in_flight_max: 8,
            suppression: SuppressionConfig::default(),
            subscriptions: SubscriptionsConfig::default(),
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
        check.section("suppression", &self.suppression);
        check.section("subscriptions", &self.subscriptions);
    }
}

/// Bounds of subscriptions to events.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default)]
pub struct SubscriptionsConfig {
    /// Subscriptions at a time in this process.
    pub subscriptions_max: usize,
    /// Of those, one tenant's.
    pub subscriptions_per_tenant_max: usize,
    /// Events that wait for one subscriber; no more is read for it until it takes some.
    pub buffer_events_max: usize,
    /// How long a subscriber may take nothing while something waits, in milliseconds, before it is ended.
    pub stall_ms: u64,
    /// How long nothing may be sent before a sign of life is, in milliseconds; callers are promised 15,000.
    pub heartbeat_ms: u64,
}

impl Default for SubscriptionsConfig {
    fn default() -> Self {
        Self {
            subscriptions_max: 256,
            subscriptions_per_tenant_max: 32,
            buffer_events_max: 512,
            stall_ms: 30_000,
            heartbeat_ms: 10_000,
        }
    }
}

impl Validate for SubscriptionsConfig {
    fn validate(&self, check: &mut Check) {
        check.range("subscriptions_max", self.subscriptions_max, 1, 10_000);
        check.range(
            "subscriptions_per_tenant_max",
            self.subscriptions_per_tenant_max,
            1,
            10_000,
        );
        check.range("buffer_events_max", self.buffer_events_max, 1, 10_000);
        check.range("stall_ms", self.stall_ms, 10, 600_000);
        check.range("heartbeat_ms", self.heartbeat_ms, 10, 15_000);
    }
}

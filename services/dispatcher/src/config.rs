//! What can be configured.

use crate::limits;
use assent_runtime::config::{Check, Validate};
use assent_whatsapp::client::ClientConfig;
use serde::Deserialize;
use std::time::Duration;

/// How messages are sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Meta's Cloud API.
    pub meta: MetaConfig,
    /// Calls this process makes at a time.
    pub calls_max: usize,
    /// How long a message whose outcome is unknown is listened for before silence counts, in milliseconds.
    pub silence_ms: u64,
    /// The first pause before a safe retry, in milliseconds; doubles from try to try.
    pub retry_first_ms: u64,
    /// The longest pause between two tries, in milliseconds.
    pub retry_longest_ms: u64,
    /// Attempts after which a message that is refused again and again is given up.
    pub attempts_max: u32,
    /// How often progress is written down, in milliseconds: the most that is looked at again after a crash.
    pub checkpoint_ms: u64,
}

/// Where and how Meta is called.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct MetaConfig {
    /// Scheme and host.
    pub base_url: String,
    /// Graph version, such as `v24.0`.
    pub version: String,
    /// The longest a call may take, in milliseconds. Shorter than the grace of a shutdown, so that calls can end.
    pub timeout_ms: u64,
    /// The longest it may take to connect, in milliseconds.
    pub connect_timeout_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            meta: MetaConfig::default(),
            calls_max: 128,
            silence_ms: 600_000,
            retry_first_ms: 1_000,
            retry_longest_ms: 300_000,
            attempts_max: 12,
            checkpoint_ms: 500,
        }
    }
}

impl Default for MetaConfig {
    fn default() -> Self {
        let client = ClientConfig::default();
        Self {
            base_url: client.base_url,
            version: client.graph_version,
            timeout_ms: 15_000,
            connect_timeout_ms: 3_000,
        }
    }
}

impl Config {
    /// How old an attempt in flight must be for its process to be taken for dead: longer than a call can begin, last
    /// and be recorded.
    pub fn orphan_after(&self) -> Duration {
        limits::CALL_BEGINS_WITHIN + Duration::from_millis(self.meta.timeout_ms) + limits::OUTCOME_MARGIN
    }

    pub(crate) fn silence(&self) -> Duration {
        Duration::from_millis(self.silence_ms)
    }

    pub(crate) fn client(&self) -> ClientConfig {
        ClientConfig {
            base_url: self.meta.base_url.clone(),
            graph_version: self.meta.version.clone(),
            connect_timeout_ms: self.meta.connect_timeout_ms,
            total_timeout_ms: self.meta.timeout_ms,
            pool_idle_connections_max: self.calls_max,
            ..ClientConfig::default()
        }
    }
}

impl Validate for Config {
    fn validate(&self, check: &mut Check) {
        check.section("meta", &self.meta);
        check.range("calls_max", self.calls_max, 1, 4_096);
        check.range("silence_ms", self.silence_ms, 10, 86_400_000);
        check.range("retry_first_ms", self.retry_first_ms, 1, 3_600_000);
        check.range(
            "retry_longest_ms",
            self.retry_longest_ms,
            self.retry_first_ms,
            86_400_000,
        );
        check.range("attempts_max", self.attempts_max, 1, 1_000);
        check.range("checkpoint_ms", self.checkpoint_ms, 1, 60_000);
    }
}

impl Validate for MetaConfig {
    fn validate(&self, check: &mut Check) {
        let web = self.base_url.starts_with("https://") || self.base_url.starts_with("http://");
        check.ensure("base_url", web, "must be an http or https URL");
        check.ensure("version", self.version.starts_with('v'), "must be of the form v24.0");
        check.range("timeout_ms", self.timeout_ms, 10, 120_000);
        let within = self.connect_timeout_ms > 0 && self.connect_timeout_ms < self.timeout_ms;
        check.ensure("connect_timeout_ms", within, "must be above zero and below timeout_ms");
    }
}

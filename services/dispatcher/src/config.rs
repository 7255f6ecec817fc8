//! What can be configured.

use crate::limits;
use assent_runtime::config::{Check, Validate};
use assent_whatsapp::client::ClientConfig;
use ipnet::IpNet;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use std::time::Duration;

/// How messages are sent.
#[derive(Debug, Clone, Deserialize, Serialize)]
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
    /// Files that are sent by a link.
    pub media: MediaConfig,
}

/// Files that are sent by a link.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default)]
pub struct MediaConfig {
    /// Whether every link is fetched, checked and uploaded by us; else only those that name a credential, and Meta fetches
    /// the others.
    pub upload_links: bool,
    /// The longest that a fetch may take in all, in milliseconds.
    pub fetch_timeout_ms: u64,
    /// Whether `http` links are fetched too. Whoever stands in between then chooses what is sent.
    pub allow_http: bool,
    /// Networks that links may lead to although they are not public, such as `10.1.0.0/24`.
    pub allow_networks: Vec<IpNet>,
    /// How long a link is taken to lead to the same contents, in milliseconds.
    pub link_fresh_ms: u64,
    /// How long a link that cannot be sent is not tried again, in milliseconds.
    pub bad_link_ms: u64,
    /// How old Meta's id of a file must be for its refusal to mean that Meta no longer has it, in milliseconds.
    pub upload_trusted_ms: u64,
    /// Whether videos without sound are refused: some phones were reported not to play them.
    pub audio_track_required: bool,
}

/// Where and how Meta is called.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(try_from = "MetaKeys")]
pub struct MetaConfig {
    /// Scheme and host.
    pub base_url: String,
    /// Graph version, such as `v24.0`.
    pub graph_version: String,
    /// The longest a call may take, in milliseconds. Shorter than the grace of a shutdown, so that calls can end.
    pub total_timeout_ms: u64,
    /// The longest it may take to connect, in milliseconds.
    pub connect_timeout_ms: u64,
}

/// The keys as they stand in a file, those among them that are called otherwise today.
#[derive(Default, Deserialize)]
#[serde(default)]
struct MetaKeys {
    base_url: Option<String>,
    graph_version: Option<String>,
    total_timeout_ms: Option<u64>,
    connect_timeout_ms: Option<u64>,
    version: Option<IgnoredAny>,
    timeout_ms: Option<IgnoredAny>,
}

impl TryFrom<MetaKeys> for MetaConfig {
    type Error = String;

    fn try_from(keys: MetaKeys) -> Result<Self, String> {
        let renamed = [
            (keys.version.is_some(), "`version` is called `graph_version` now"),
            (
                keys.timeout_ms.is_some(),
                "`timeout_ms` is called `total_timeout_ms` now",
            ),
        ];
        let renamed: Vec<&str> = renamed
            .into_iter()
            .filter_map(|(is_there, why)| is_there.then_some(why))
            .collect();
        if !renamed.is_empty() {
            return Err(renamed.join(", "));
        }
        let defaults = Self::default();
        Ok(Self {
            base_url: keys.base_url.unwrap_or(defaults.base_url),
            graph_version: keys.graph_version.unwrap_or(defaults.graph_version),
            total_timeout_ms: keys.total_timeout_ms.unwrap_or(defaults.total_timeout_ms),
            connect_timeout_ms: keys.connect_timeout_ms.unwrap_or(defaults.connect_timeout_ms),
        })
    }
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
            media: MediaConfig::default(),
        }
    }
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            upload_links: false,
            fetch_timeout_ms: 10_000,
            allow_http: false,
            allow_networks: Vec::new(),
            link_fresh_ms: 600_000,
            bad_link_ms: 300_000,
            upload_trusted_ms: 600_000,
            audio_track_required: false,
        }
    }
}

impl Default for MetaConfig {
    fn default() -> Self {
        let client = ClientConfig::default();
        Self {
            base_url: client.base_url,
            graph_version: client.graph_version,
            total_timeout_ms: 15_000,
            connect_timeout_ms: 3_000,
        }
    }
}

impl Config {
    /// How old an attempt in flight must be for its process to be taken for dead: longer than a call can begin, last
    /// and be recorded.
    pub fn orphan_after(&self) -> Duration {
        limits::CALL_BEGINS_WITHIN + Duration::from_millis(self.meta.total_timeout_ms) + limits::OUTCOME_MARGIN
    }

    pub(crate) fn silence(&self) -> Duration {
        Duration::from_millis(self.silence_ms)
    }

    pub(crate) fn client(&self) -> ClientConfig {
        ClientConfig {
            base_url: self.meta.base_url.clone(),
            graph_version: self.meta.graph_version.clone(),
            connect_timeout_ms: self.meta.connect_timeout_ms,
            total_timeout_ms: self.meta.total_timeout_ms,
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
        check.section("media", &self.media);
    }
}

impl Validate for MediaConfig {
    fn validate(&self, check: &mut Check) {
        check.range("fetch_timeout_ms", self.fetch_timeout_ms, 10, 60_000);
        check.range("link_fresh_ms", self.link_fresh_ms, 1, 86_400_000);
        check.range("bad_link_ms", self.bad_link_ms, 1, 86_400_000);
        check.range("upload_trusted_ms", self.upload_trusted_ms, 0, 86_400_000);
    }
}

impl Validate for MetaConfig {
    fn validate(&self, check: &mut Check) {
        let web = self.base_url.starts_with("https://") || self.base_url.starts_with("http://");
        check.ensure("base_url", web, "must be an http or https URL");
        let is_version = self.graph_version.starts_with('v');
        check.ensure("graph_version", is_version, "must be of the form v24.0");
        check.range("total_timeout_ms", self.total_timeout_ms, 10, 120_000);
        let within = self.connect_timeout_ms > 0 && self.connect_timeout_ms < self.total_timeout_ms;
        check.ensure(
            "connect_timeout_ms",
            within,
            "must be above zero and below total_timeout_ms",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_runtime::config::{Environment, Loader};

    fn load(text: &str) -> Result<Config, String> {
        let environment = Environment::default();
        let loaded = Loader::new(&environment).load_text::<Config>("dispatcher", text);
        loaded
            .map(|loaded| loaded.value)
            .map_err(|problems| problems.to_string())
    }

    #[test]
    fn networks_that_links_may_lead_to_are_named_in_the_file() {
        let config = load("[media]\nallow_networks = ['10.1.0.0/24', 'fd00::/8']\n").unwrap();
        let named: Vec<String> = config.media.allow_networks.iter().map(ToString::to_string).collect();
        assert_eq!(named, ["10.1.0.0/24", "fd00::/8"]);
        for (text, key) in [
            ("allow_networks = ['10.1.0.0/33']", "media.allow_networks[0]"),
            ("bad_link_ms = 0", "media.bad_link_ms"),
        ] {
            let problems = load(&format!("[media]\n{text}\n")).unwrap_err();
            assert!(problems.contains(key), "{problems}");
        }
    }
}

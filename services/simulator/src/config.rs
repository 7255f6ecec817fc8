//! What a simulator is started with: apps, accounts, numbers, and how its people and its network behave.
//!
//! Every part has a default, so an empty file is a working simulator. Unknown keys are refused and all problems are
//! reported at once.

mod behaviour;
mod fault;

pub use behaviour::{CallbackLimits, CallbackShape, Latency, Mix, Rules, Span};
pub use fault::{Fault, FaultEndpoint, FaultKind};

use std::collections::HashSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The access token of the account a bare simulator starts with.
pub const DEFAULT_TOKEN: &str = "simulator-token";
/// The app secret of the app a bare simulator starts with.
pub const DEFAULT_APP_SECRET: &str = "simulator-app-secret";
/// The verify token of the app a bare simulator starts with.
pub const DEFAULT_VERIFY_TOKEN: &str = "simulator-verify-token";
/// The app id a bare simulator starts with.
pub const DEFAULT_APP_ID: &str = "900000000000001";
/// The WhatsApp Business Account id a bare simulator starts with.
pub const DEFAULT_ACCOUNT_ID: &str = "100000000000001";
/// The phone-number id a bare simulator starts with.
pub const DEFAULT_NUMBER_ID: &str = "200000000000001";
/// The business number, in digits, a bare simulator starts with.
pub const DEFAULT_NUMBER_DIGITS: &str = "15550010001";

/// A token or app secret. Its `Debug` never shows the value.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for comparing and signing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A person's phone number as written in a configuration. Its `Debug` never shows it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recipient(String);

impl Recipient {
    /// Wraps a phone number, in any punctuation.
    pub fn new(phone: impl Into<String>) -> Self {
        Self(phone.into())
    }

    /// The number as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recipient(…)")
    }
}

/// Everything a simulator needs to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Speak https too, on the same port.
    pub tls: Option<Tls>,
    /// Where clients reach the simulator, if not at the address it listens on (a container, a proxy); download
    /// addresses in callbacks begin with it.
    pub public_url: Option<String>,
    /// Seed of every draw the simulator makes.
    pub seed: u64,
    /// How time passes.
    pub clock: ClockSettings,
    /// Give every unknown token its own fresh copy of the configured world, so that parallel tests do not meet.
    pub isolate_tokens: bool,
    /// Apps: who signs callbacks, and where they go.
    pub apps: Vec<App>,
    /// WhatsApp Business Accounts with their numbers, tokens and templates.
    pub accounts: Vec<Account>,
    /// How people behave.
    pub mix: Mix,
    /// How long things take.
    pub latency: Latency,
    /// Which of the platform's limits are enforced.
    pub rules: Rules,
    /// Faults to start with.
    pub faults: Vec<Fault>,
    /// Bounds of callback sending.
    pub callbacks: CallbackLimits,
    /// Accepted messages kept; beyond it sends are refused with 131016 until a reset.
    pub accepted_messages_max: usize,
    /// Bytes of media files kept; beyond it uploads are refused with 131016.
    pub media_bytes_max: usize,
    /// Whether the JSON of each accepted message is kept for the control API.
    pub keep_bodies: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            public_url: None,
            seed: 1,
            clock: ClockSettings::default(),
            isolate_tokens: false,
            apps: vec![App::default()],
            accounts: vec![Account::default()],
            mix: Mix::default(),
            latency: Latency::default(),
            rules: Rules::default(),
            faults: Vec::new(),
            callbacks: CallbackLimits::default(),
            accepted_messages_max: 2_000_000,
            media_bytes_max: 1_024 * 1_024 * 1_024,
            keep_bodies: true,
        }
    }
}

/// How time passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClockSettings {
    /// When the simulator starts, Unix ms; the real time unless given.
    pub start_ms: Option<i64>,
    /// Time stands still until it is moved through the control API, so that the same requests give the same bytes, times
    /// included. It starts at 1,800,000,000,000 (15 January 2027) unless told otherwise.
    pub manual: bool,
}

/// An https listener beside http, with a certificate authority of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// Where `ca.pem` and its key are kept for the next start; without it, in a new place each time.
    pub directory: Option<PathBuf>,
    /// Host names the certificate is good for, beside `localhost`, loopback addresses and Meta's own hosts.
    pub names: Vec<String>,
}

/// A Meta app: owner of the app secret that signs callbacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct App {
    /// App id, digits.
    pub id: String,
    /// Key of the HMAC over every callback body.
    pub secret: Secret,
    /// Where callbacks go; without it they are counted as `unsubscribed` and not sent.
    pub callback_url: Option<String>,
    /// Token echoed in the verification challenge.
    pub verify_token: Secret,
}

impl Default for App {
    fn default() -> Self {
        Self {
            id: DEFAULT_APP_ID.to_owned(),
            secret: Secret::new(DEFAULT_APP_SECRET),
            callback_url: None,
            verify_token: Secret::new(DEFAULT_VERIFY_TOKEN),
        }
    }
}

/// A WhatsApp Business Account (WABA).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Account {
    /// WABA id, digits; the `entry[].id` of its callbacks.
    pub id: String,
    /// Name shown by `GET /{waba}`.
    pub name: String,
    /// Business portfolio the account belongs to; messaging limits are shared within one. Defaults to the account id.
    pub portfolio: Option<String>,
    /// Ids of the apps subscribed to this account; empty means the first app.
    pub apps: Vec<String>,
    /// Access tokens that may act for this account.
    pub tokens: Vec<Secret>,
    /// Phone numbers.
    pub numbers: Vec<Number>,
    /// Templates beside the built-in ones.
    pub templates: Vec<TemplateDefinition>,
    /// Whether the built-in templates exist.
    pub builtin_templates: bool,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            id: DEFAULT_ACCOUNT_ID.to_owned(),
            name: "Simulated Business".to_owned(),
            portfolio: None,
            apps: Vec::new(),
            tokens: vec![Secret::new(DEFAULT_TOKEN)],
            numbers: vec![Number::default()],
            templates: Vec::new(),
            builtin_templates: true,
        }
    }
}

/// A business phone number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Number {
    /// Phone-number id (PNID), digits; it is not the phone number.
    pub id: String,
    /// The phone number, E.164 digits without `+`.
    pub digits: String,
    /// Approved display name.
    pub verified_name: String,
    /// Whether it is registered for the Cloud API; sends from an unregistered one are refused with 133010.
    pub registered: bool,
    /// Messages a second in and out, when `rules.number_rate` is on. 80 is Meta's `STANDARD`, 1,000 its `HIGH`.
    pub messages_per_second: u32,
    /// Messaging limit of its portfolio, when `rules.messaging_limit` is on: `TIER_250` … `TIER_UNLIMITED`.
    pub tier: String,
}

impl Default for Number {
    fn default() -> Self {
        Self {
            id: DEFAULT_NUMBER_ID.to_owned(),
            digits: DEFAULT_NUMBER_DIGITS.to_owned(),
            verified_name: "Simulated Business".to_owned(),
            registered: true,
            messages_per_second: 80,
            tier: "TIER_100K".to_owned(),
        }
    }
}

/// A message template as configured or created through the control API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateDefinition {
    /// Name, `[a-z0-9_]`.
    pub name: String,
    /// Language code such as `en_US`.
    pub language: String,
    /// `MARKETING`, `UTILITY` or `AUTHENTICATION`.
    pub category: String,
    /// `APPROVED` unless said otherwise.
    #[serde(default = "approved")]
    pub status: String,
    /// `POSITIONAL` or `NAMED`.
    #[serde(default = "positional")]
    pub parameter_format: String,
    /// Components in Meta's JSON form.
    pub components: Vec<serde_json::Value>,
    /// Seconds an undeliverable message is retried before it is dropped in silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_send_ttl_seconds: Option<i64>,
}

fn approved() -> String {
    "APPROVED".to_owned()
}

fn positional() -> String {
    "POSITIONAL".to_owned()
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not valid TOML or JSON, or has unknown keys.
    #[error("{path} is not a simulator configuration: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        message: String,
    },
    /// The values do not fit together; every problem is listed.
    #[error("invalid configuration: {}", .0.join("; "))]
    Invalid(Vec<String>),
}

impl Config {
    /// Reads a configuration file: JSON if its name ends in `.json`, else TOML.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let is_json = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let parsed = if is_json {
            serde_json::from_str(&text).map_err(|error| error.to_string())
        } else {
            toml::from_str(&text).map_err(|error: toml::de::Error| error.to_string())
        };
        parsed.map_err(|message| ConfigError::Parse {
            path: path.to_owned(),
            message,
        })
    }

    /// Checks that the values fit together and reports every problem at once.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        self.check_apps(&mut problems);
        self.check_accounts(&mut problems);
        if self.public_url.as_ref().is_some_and(|url| !is_callback_url(url)) {
            problems.push("public_url: must be an http or https URL".to_owned());
        }
        self.mix.check(&mut problems);
        self.latency.check(&mut problems);
        for fault in &self.faults {
            fault.check(&mut problems);
        }
        self.callbacks.check(&mut problems);
        if problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigError::Invalid(problems))
        }
    }

    fn check_apps(&self, problems: &mut Vec<String>) {
        if self.apps.is_empty() {
            problems.push("apps: at least one is needed".to_owned());
        }
        let mut seen = HashSet::new();
        for app in &self.apps {
            if !seen.insert(app.id.as_str()) {
                problems.push(format!("apps: id {} is used twice", app.id));
            }
            if let Some(url) = &app.callback_url
                && !is_callback_url(url)
            {
                problems.push(format!("apps: {}: callback_url must be an http or https URL", app.id));
            }
        }
    }

    fn check_accounts(&self, problems: &mut Vec<String>) {
        let mut ids = HashSet::new();
        let mut tokens = HashSet::new();
        if self.accounts.is_empty() {
            problems.push("accounts: at least one is needed".to_owned());
        }
        for account in &self.accounts {
            if !ids.insert(account.id.as_str()) {
                problems.push(format!("accounts: id {} is used twice", account.id));
            }
            if account.tokens.is_empty() {
                problems.push(format!("accounts: {}: at least one token is needed", account.id));
            }
            for token in &account.tokens {
                tokens.insert(token.expose());
            }
            for app in &account.apps {
                if !self.apps.iter().any(|known| &known.id == app) {
                    problems.push(format!("accounts: {}: app {app} is not configured", account.id));
                }
            }
            for number in &account.numbers {
                if !ids.insert(number.id.as_str()) {
                    problems.push(format!("numbers: id {} is used twice", number.id));
                }
                if parse_digits(&number.digits).is_none() {
                    problems.push(format!("numbers: {}: digits must be 7 to 15 digits", number.id));
                }
            }
        }
        if tokens.iter().any(|token| token.is_empty()) {
            problems.push("accounts: a token must not be empty".to_owned());
        }
    }
}

/// Whether a string can be used as a callback URL. Meta takes https only; loopback needs http.
pub(crate) fn is_callback_url(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Parses a phone number written with the punctuation Meta tolerates (`+ - ( ) .` and spaces).
pub(crate) fn parse_digits(text: &str) -> Option<u64> {
    let mut value: u64 = 0;
    let mut count = 0;
    for character in text.chars() {
        match character {
            '0'..='9' => {
                count += 1;
                if count > 15 {
                    return None;
                }
                value = value * 10 + u64::from(character) - u64::from('0');
            }
            '+' | '-' | '(' | ')' | '.' | ' ' | '\u{a0}' => {}
            _ => return None,
        }
    }
    (count >= 7).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_a_working_simulator() {
        let config: Config = toml::from_str("").unwrap();
        assert_eq!(config, Config::default());
        config.check().unwrap();
    }

    #[test]
    fn the_sample_file_is_valid() {
        let config = Config::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sample.toml")).unwrap();
        config.check().unwrap();
        assert_eq!(config.accounts.len(), 2);
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<Config>("sead = 3").is_err());
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let mut config = Config::default();
        config.apps[0].callback_url = Some("not a url".to_owned());
        config.accounts[0].tokens.clear();
        config.accounts[0].apps = vec!["7".to_owned()];
        config.mix.reads = 1.5;
        let ConfigError::Invalid(problems) = config.check().unwrap_err() else {
            panic!("wrong error")
        };
        assert_eq!(problems.len(), 4, "{problems:?}");
    }

    #[test]
    fn secrets_and_people_do_not_show_in_debug() {
        let mut config = Config::default();
        config.rules.allowed_recipients = vec![Recipient::new("+12025550142")];
        config.faults = vec![Fault {
            recipient: Some(Recipient::new("+12025550142")),
            ..Fault::next(FaultKind::SlowAnswer, 1)
        }];
        let shown = format!("{config:?}");
        assert!(!shown.contains(DEFAULT_APP_SECRET) && !shown.contains(DEFAULT_TOKEN));
        assert!(!shown.contains("2025550142"));
    }

    #[test]
    fn punctuation_in_phone_numbers_is_tolerated() {
        assert_eq!(parse_digits("+1 (202) 555-0142"), Some(12_025_550_142));
        assert_eq!(parse_digits("12"), None);
        assert_eq!(parse_digits("call me"), None);
        assert_eq!(parse_digits("1234567890123456"), None);
    }
}

//! How people, the network and the platform behave: rates, latencies and rules.

use serde::{Deserialize, Serialize};

use super::Recipient;

/// Shares of people (0 to 1) with each hidden behaviour. Who is who follows from the seed and the phone number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mix {
    /// Not on WhatsApp: every message fails with 131026.
    pub not_on_whatsapp: f64,
    /// Reads messages, with receipts switched on.
    pub reads: f64,
    /// Reads at the instant of delivery, so that `delivered` is skipped.
    pub reads_at_once: f64,
    /// Blocks the business after one to three marketing messages.
    pub blocks: f64,
    /// Answers messages it has read with a text.
    pub replies: f64,
    /// Writes STOP after one to three marketing messages.
    pub writes_stop: f64,
    /// Uses WhatsApp's own control to stop marketing, after one to three marketing messages.
    pub platform_stops: f64,
    /// Has had its share of marketing: marketing messages fail with 131049.
    pub capped: f64,
    /// Belongs to Meta's holdout group: marketing messages fail with 130472.
    pub holdout: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self::lively()
    }
}

impl Mix {
    /// A crowd with every behaviour in it.
    pub fn lively() -> Self {
        Self {
            not_on_whatsapp: 0.03,
            reads: 0.75,
            reads_at_once: 0.02,
            blocks: 0.01,
            replies: 0.05,
            writes_stop: 0.03,
            platform_stops: 0.01,
            capped: 0.01,
            holdout: 0.005,
        }
    }

    /// Everybody is on WhatsApp, receives everything in order and reads it; for load tests.
    pub fn ideal() -> Self {
        Self {
            not_on_whatsapp: 0.0,
            reads: 1.0,
            reads_at_once: 0.0,
            blocks: 0.0,
            replies: 0.0,
            writes_stop: 0.0,
            platform_stops: 0.0,
            capped: 0.0,
            holdout: 0.0,
        }
    }

    pub(super) fn check(&self, problems: &mut Vec<String>) {
        let rates = [
            ("not_on_whatsapp", self.not_on_whatsapp),
            ("reads", self.reads),
            ("reads_at_once", self.reads_at_once),
            ("blocks", self.blocks),
            ("replies", self.replies),
            ("writes_stop", self.writes_stop),
            ("platform_stops", self.platform_stops),
            ("capped", self.capped),
            ("holdout", self.holdout),
        ];
        for (name, rate) in rates {
            if !(0.0..=1.0).contains(&rate) {
                problems.push(format!("mix.{name}: must lie between 0 and 1"));
            }
        }
    }
}

/// A range of milliseconds to draw from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Shortest, ms.
    pub min_ms: i64,
    /// Longest, ms.
    pub max_ms: i64,
}

impl Span {
    /// A range from `min_ms` to `max_ms`.
    pub const fn new(min_ms: i64, max_ms: i64) -> Self {
        Self { min_ms, max_ms }
    }

    /// The value a draw between 0 and 1 stands for. Cubed, so that most are quick and a few are slow, as on a phone
    /// network: the median lies at an eighth of the range.
    pub(crate) fn at(self, unit: f64) -> i64 {
        let range = (self.max_ms - self.min_ms) as f64;
        self.min_ms + (range * unit * unit * unit).round() as i64
    }
}

/// How long things take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Latency {
    /// From acceptance to `sent` or to an asynchronous `failed`.
    pub sent: Span,
    /// From `sent` to `delivered`.
    pub delivered: Span,
    /// From `delivered` to `read`.
    pub read: Span,
    /// From the last status to what the person does about it: a reply, STOP, a block.
    pub reaction: Span,
    /// From creating a template to its review.
    pub template_review: Span,
    /// From holding the first message of a paced template to its assessment.
    pub pacing_assessment: Span,
}

impl Default for Latency {
    fn default() -> Self {
        Self::real()
    }
}

impl Latency {
    /// Seconds, as between people and phones.
    pub fn real() -> Self {
        Self {
            sent: Span::new(50, 500),
            delivered: Span::new(300, 5_000),
            read: Span::new(1_000, 20_000),
            reaction: Span::new(1_000, 15_000),
            template_review: Span::new(500, 3_000),
            pacing_assessment: Span::new(300_000, 3_600_000),
        }
    }

    /// Milliseconds, for tests and load.
    pub fn fast() -> Self {
        Self {
            sent: Span::new(1, 20),
            delivered: Span::new(5, 50),
            read: Span::new(5, 100),
            reaction: Span::new(5, 50),
            template_review: Span::new(5, 50),
            pacing_assessment: Span::new(200, 400),
        }
    }

    pub(super) fn check(&self, problems: &mut Vec<String>) {
        let spans = [
            ("sent", self.sent),
            ("delivered", self.delivered),
            ("read", self.read),
            ("reaction", self.reaction),
            ("template_review", self.template_review),
            ("pacing_assessment", self.pacing_assessment),
        ];
        for (name, span) in spans {
            if span.min_ms < 0 || span.max_ms < span.min_ms {
                problems.push(format!("latency.{name}: needs 0 <= min_ms <= max_ms"));
            }
        }
    }
}

/// Which of the platform's rules are enforced.
#[allow(clippy::struct_excessive_bools, reason = "each rule is on or off by itself")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Free-form messages outside the 24-hour customer service window fail with 131047.
    pub window: bool,
    /// One message in 6 s to one person, bursts of 45; above it 131056.
    pub pair_rate: bool,
    /// `messages_per_second` of a number, in plus out; above it 130429.
    pub number_rate: bool,
    /// Distinct people reached by templates outside the window in the moving 24 h; above the tier 131048.
    pub messaging_limit: bool,
    /// A portfolio that uses half of its messaging limit with high quality gets the next one within 6 h, from 2,000 up.
    pub tier_upgrades: bool,
    /// Templates get a quality score from blocks, reports and reads; a red one is paused for 3 h, then 6 h, then disabled.
    pub template_quality: bool,
    /// Messages of a new or suspicious marketing template that pass before the rest is held for assessment. 0 is no pacing.
    pub pacing_first_messages: u32,
    /// 5,000 management calls an hour for an account, 200 without a registered number; above it 80007.
    pub management_rate: bool,
    /// No marketing to numbers of the United States (131049).
    pub no_us_marketing: bool,
    /// Marketing messages one person takes within 24 h from this simulator's businesses; above it 131049. 0 is no cap.
    pub marketing_per_person_per_day: u32,
    /// If not empty, only these recipients are allowed, as for a test number (131030).
    pub allowed_recipients: Vec<Recipient>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            window: true,
            pair_rate: false,
            number_rate: false,
            messaging_limit: false,
            tier_upgrades: false,
            template_quality: false,
            pacing_first_messages: 0,
            management_rate: false,
            no_us_marketing: false,
            marketing_per_person_per_day: 0,
            allowed_recipients: Vec::new(),
        }
    }
}

impl Rules {
    /// Every rate and limit of the platform switched on.
    pub fn meta() -> Self {
        Self {
            pair_rate: true,
            number_rate: true,
            messaging_limit: true,
            tier_upgrades: true,
            template_quality: true,
            pacing_first_messages: 100,
            management_rate: true,
            no_us_marketing: true,
            marketing_per_person_per_day: 10,
            ..Self::default()
        }
    }
}

/// Which Graph version callbacks are shaped by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackShape {
    /// v23 and before: statuses that tell a price also name a conversation.
    V23,
    /// v24 and after: no conversation.
    #[default]
    V24,
}

/// Bounds and shape of callback sending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallbackLimits {
    /// POSTs under way at once per destination.
    pub in_flight_max: usize,
    /// Attempts before a callback is dropped. Meta goes on for up to seven days; this is the accelerated form.
    pub attempts_max: u32,
    /// First pause after a refused callback, ms; doubles each time.
    pub retry_first_ms: u64,
    /// Longest pause between attempts, ms.
    pub retry_longest_ms: u64,
    /// Time allowed for an answer, ms.
    pub timeout_ms: u64,
    /// Callbacks waiting per destination; beyond it new ones are dropped and counted.
    pub waiting_max: usize,
    /// Updates put into one POST; 1 is what Meta mostly does, 1,000 its most. A POST never exceeds 3 MB.
    pub updates_per_post_max: usize,
    /// Which Graph version they are shaped by.
    pub shape: CallbackShape,
    /// Escape everything outside ASCII, and slashes, as Meta does; else bodies are plain UTF-8.
    pub escape: bool,
    /// A callback that one app refuses is sent again to every subscribed app, those that took it included, as Meta does.
    pub retry_to_all_apps: bool,
}

impl Default for CallbackLimits {
    fn default() -> Self {
        Self {
            in_flight_max: 32,
            attempts_max: 60,
            retry_first_ms: 100,
            retry_longest_ms: 10_000,
            timeout_ms: 10_000,
            waiting_max: 2_000_000,
            updates_per_post_max: 1,
            shape: CallbackShape::V24,
            escape: true,
            retry_to_all_apps: false,
        }
    }
}

impl CallbackLimits {
    pub(super) fn check(&self, problems: &mut Vec<String>) {
        if self.in_flight_max == 0 || self.attempts_max == 0 || self.timeout_ms == 0 {
            problems.push("callbacks: in_flight_max, attempts_max and timeout_ms must be at least 1".to_owned());
        }
        if !(1..=1_000).contains(&self.updates_per_post_max) {
            problems.push("callbacks.updates_per_post_max: must lie between 1 and 1000".to_owned());
        }
    }
}

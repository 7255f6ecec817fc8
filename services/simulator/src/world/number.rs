//! Business numbers and accounts as the world keeps them.

use std::sync::Arc;

use super::desk::Desk;
use super::feedback::Feedback;
use super::identity::NumberIdentity;
use super::profile::Profile;
use super::short_links::ShortLinks;
use super::update::Endpoint;

/// Quality rating of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Rating {
    /// High.
    Green,
    /// Medium.
    Yellow,
    /// Low.
    Red,
}

impl Rating {
    /// Wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Green => "GREEN",
            Self::Yellow => "YELLOW",
            Self::Red => "RED",
        }
    }
}

/// An account with its templates' owner, tokens and subscribers.
#[derive(Debug)]
pub(crate) struct AccountState {
    pub(crate) id: Arc<str>,
    pub(crate) name: String,
    pub(crate) portfolio: String,
    /// Indexes of the apps subscribed to it.
    pub(crate) apps: Vec<usize>,
    /// Callback URL set for this account instead of the apps' own.
    pub(crate) callback_override: Option<String>,
    /// When a utility template was last paused for low quality, Unix ms.
    pub(super) utility_paused_at_ms: Option<i64>,
    /// Instants of management calls within the hour, Unix ms.
    pub(super) calls_at_ms: std::collections::VecDeque<i64>,
    /// Code every send is refused with, while set (368, 131031, 131042, …).
    pub(crate) locked_with: Option<u32>,
}

/// A number with what its people make of it.
#[derive(Debug)]
pub(crate) struct NumberState {
    pub(crate) identity: Arc<NumberIdentity>,
    /// Index of its account.
    pub(crate) account: u32,
    pub(crate) verified_name: String,
    pub(crate) registered: bool,
    pub(crate) status: String,
    pub(crate) messages_per_second: u32,
    pub(crate) tier: String,
    /// Callback URL set for this number.
    pub(crate) callback_override: Option<String>,
    /// What people see beside the chat.
    pub(crate) profile: Profile,
    /// Its short links and QR codes.
    pub(crate) short_links: ShortLinks,
    /// Rating set by hand; overrides what follows from blocks.
    pub(crate) rating_override: Option<Rating>,
    /// Throughput bucket: instant up to which it is used up, in µs.
    pub(crate) rate_used_until_us: i64,
    /// What the business has arranged for it.
    pub(super) desk: Desk,
    /// What people make of its messages.
    pub(super) feedback: Feedback,
    /// An upgrade of its throughput is under way until this instant, Unix ms.
    pub(super) busy_until_ms: i64,
    /// Its messaging limit is going to be raised.
    pub(super) tier_review_planned: bool,
}

impl NumberState {
    pub(crate) fn new(identity: Arc<NumberIdentity>, account: u32, number: &crate::config::Number) -> Self {
        Self {
            identity,
            account,
            verified_name: number.verified_name.clone(),
            registered: number.registered,
            status: "CONNECTED".to_owned(),
            messages_per_second: number.messages_per_second,
            tier: number.tier.clone(),
            callback_override: None,
            profile: Profile::default(),
            short_links: ShortLinks::default(),
            rating_override: None,
            rate_used_until_us: 0,
            desk: Desk::default(),
            feedback: Feedback::default(),
            busy_until_ms: i64::MIN,
            tier_review_planned: false,
        }
    }

    /// The rating at this instant: set by hand, or by what people make of its messages.
    pub(crate) fn rating(&self, now_ms: i64) -> Rating {
        let by_feedback = || self.feedback.rating(now_ms, false);
        self.rating_override.or_else(by_feedback).unwrap_or(Rating::Green)
    }
}

/// An app as the world keeps it.
#[derive(Debug)]
pub(crate) struct AppState {
    pub(crate) id: String,
    pub(crate) secret: crate::config::Secret,
    pub(crate) verify_token: crate::config::Secret,
    pub(crate) endpoint: Option<Arc<Endpoint>>,
}

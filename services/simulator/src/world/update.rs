//! Updates the platform reports through callbacks.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::agenda::MessageIndex;
use super::identity::NumberIdentity;
use crate::config::CallbackShape;

/// Delivery status of a message, as callbacks name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Left the platform's servers.
    Sent,
    /// Reached a device.
    Delivered,
    /// Was displayed.
    Read,
    /// A voice note was played.
    Played,
    /// Will not arrive.
    Failed,
}

impl Status {
    /// Wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Failed => "failed",
        }
    }
}

/// The parts of an accepted message that its callbacks repeat.
pub(crate) struct SentMessage {
    pub(crate) number: Arc<NumberIdentity>,
    pub(crate) wamid: String,
    pub(crate) wa_id: String,
    pub(crate) user_id: String,
    pub(crate) profile_name: &'static str,
    pub(crate) opaque: Option<String>,
    /// `marketing`, `utility`, `authentication` or `service`.
    pub(crate) pricing_category: &'static str,
}

/// One status of one message.
#[derive(Clone)]
pub(crate) struct StatusUpdate {
    pub(crate) message: Arc<SentMessage>,
    pub(crate) status: Status,
    pub(crate) at_ms: i64,
    pub(crate) priced: bool,
    pub(crate) error_code: Option<u32>,
    pub(crate) shape: CallbackShape,
}

/// What is reported.
#[derive(Clone)]
pub(crate) enum Update {
    /// A message changed its status.
    Status(StatusUpdate),
    /// Anything rarer, with its value ready-made.
    Other {
        /// The `field` of the change.
        field: &'static str,
        /// Unix seconds in the entry, for fields other than `messages`.
        time_s: Option<i64>,
        /// The `value` of the change.
        value: Arc<Value>,
    },
}

/// An update on its way to the subscribers of an account.
#[derive(Clone)]
pub(crate) struct Callback {
    /// Index of the account.
    pub(crate) account: u32,
    /// Index of the number, if the update concerns one.
    pub(crate) number: Option<u32>,
    /// Id of the account, for the envelope.
    pub(crate) account_id: Arc<str>,
    /// What is reported.
    pub(crate) update: Update,
    /// Which status of which message this reports, to note that it was sent.
    pub(crate) reports: Option<(MessageIndex, u8)>,
    /// Sign it wrongly, on purpose.
    pub(crate) bad_signature: bool,
}

/// Where callbacks go and how they are signed.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    pub(crate) url: String,
    pub(crate) secret: crate::config::Secret,
}

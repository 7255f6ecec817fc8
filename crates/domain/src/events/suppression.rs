//! Contacts that are not worth writing to. Stream key: the contact id. Owner: status-tracker.

use serde::{Deserialize, Serialize};

use crate::values::{MessageId, TenantId, Timestamp};

super::event_catalogue! {
    /// Contacts that are not worth writing to, with the evidence.
    SuppressionEvent in Suppression {
        /// Silence suggests that the person blocked us or is gone.
        SuspectedBlocked(SuspectedBlocked) = "suppression.suspected_blocked" v 1,
        /// Meta says that the address cannot be reached.
        Undeliverable(Undeliverable) = "suppression.undeliverable" v 1,
        /// New evidence, or somebody, ended the suppression.
        Lifted(Lifted) = "suppression.lifted" v 1,
    }
}

/// Templates were sent one after the other, none was delivered, and earlier ones had been. Meta never says that somebody
/// blocked us; this is an inference and says what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspectedBlocked {
    /// In whose eyes.
    pub tenant: TenantId,
    /// How many messages in a row stayed at `sent`.
    pub sent_without_delivery: u32,
    /// When the first of them was sent.
    pub first_sent_at: Timestamp,
    /// When the last of them was sent.
    pub last_sent_at: Timestamp,
    /// When a message was last delivered before.
    pub last_delivered_at: Option<Timestamp>,
    /// When this was concluded.
    pub concluded_at: Timestamp,
}

/// Meta says that the address cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undeliverable {
    /// In whose eyes.
    pub tenant: TenantId,
    /// Meta's error code, such as 131026.
    pub code: i64,
    /// The message that failed.
    pub message: Option<MessageId>,
    /// When Meta said so.
    pub failed_at: Timestamp,
    /// When this was concluded.
    pub concluded_at: Timestamp,
}

/// What ended a suppression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LiftReason {
    /// The person wrote to us.
    PersonWrote,
    /// A message was delivered after all.
    Delivered,
    /// An operator or the business lifted it.
    Requested,
}

/// The suppression ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifted {
    /// In whose eyes.
    pub tenant: TenantId,
    /// What ended it.
    pub reason: LiftReason,
    /// When that happened.
    pub lifted_at: Timestamp,
}

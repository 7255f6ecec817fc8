//! What was let out or held back. Stream key: the message id. Owner: consent.

use serde::{Deserialize, Serialize};

use crate::{
    gates::{Evidence, Refusal},
    values::{Category, ContactId, Timestamp},
};

super::event_catalogue! {
    /// What was let out or held back, and why.
    DecisionEvent in Decision {
        /// The message may be sent.
        Authorized(Box<Authorized>) = "decision.authorized" v 1,
        /// The message may not be sent.
        Refused(Refused) = "decision.refused" v 1,
        /// The message was too old before anybody decided.
        Expired(Expired) = "decision.expired" v 1,
    }
}

/// The message may be sent: the recorded reason without which none leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorized {
    /// The contact it goes to.
    pub contact: ContactId,
    /// The version of the contact's stream that was judged, and that the append was guarded by; 0 for a contact without
    /// events.
    pub contact_version: u32,
    /// The category it was judged as: the stricter of its purpose and its template's current category.
    pub category: Category,
    /// What every gate found, in the order of the gates: number, template, consent event, window, limits.
    pub evidence: Vec<Evidence>,
    /// The moment it was judged for.
    pub checked_at: Timestamp,
    /// After this moment it shall not be sent any more.
    pub expires_at: Timestamp,
}

/// The message may not be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The contact it was for.
    pub contact: ContactId,
    /// The version of the contact's stream that was judged; 0 for a contact without events.
    pub contact_version: u32,
    /// Every reason, in the order of the gates; never empty.
    pub refusals: Vec<Refusal>,
    /// The moment it was judged for.
    pub checked_at: Timestamp,
}

/// The message was too old before anybody decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// When it became too old.
    pub expired_at: Timestamp,
    /// When that was noticed.
    pub noticed_at: Timestamp,
}

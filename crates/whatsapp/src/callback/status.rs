//! What became of a message of ours (Cloud API, "Status messages webhook").

use serde_json::{Map, Value};

use super::user::{User, UserBook};
use crate::graph_error::GraphError;
use crate::json::Fields;
use crate::open_enum::open_enum;
use crate::redact::redacted_debug;
use crate::timestamp::Timestamp;
use crate::wamid::Wamid;

open_enum! {
    /// How far a message got. Reports come in any order, twice, or not at all: `delivered` is left out when a message
    /// is read at once, and both `delivered` and `failed` may come for a user with several devices.
    DeliveryStatus {
        /// It left Meta's servers.
        Sent = "sent",
        /// It is on the user's device.
        Delivered = "delivered",
        /// It was displayed.
        Read = "read",
        /// A voice note was played.
        Played = "played",
        /// It will not arrive; see the errors.
        Failed = "failed",
        /// The user deleted it (legacy).
        Deleted = "deleted",
        /// Something is odd about it (legacy).
        Warning = "warning",
    }
}

/// One report about one message.
#[derive(Clone, PartialEq)]
pub struct StatusUpdate {
    /// The message. It may be one this system never sent: another app's, or one sent from the dashboard.
    pub message_id: Wamid,
    /// How far it got.
    pub status: DeliveryStatus,
    /// When it got there; absent if Meta's stamp cannot be read.
    pub timestamp: Option<Timestamp>,
    /// The recipient. `recipient_id` is the WhatsApp id; for a user without a number only the business-scoped id is there.
    pub recipient: User,
    /// `individual` or `group`; in a group the recipient's WhatsApp id is the group's.
    pub recipient_type: Option<String>,
    /// The member of a group this report is about.
    pub participant: Option<User>,
    /// What we put into `biz_opaque_callback_data`.
    pub callback_data: Option<String>,
    /// Why it failed.
    pub errors: Vec<GraphError>,
    /// What it costs: on `sent` and on one of `delivered` and `read`, so it must not be counted twice.
    pub pricing: Option<Pricing>,
    /// The conversation's id; since v24 only inside a free entry point's window.
    pub conversation_id: Option<String>,
    /// The conversation's end; only on `sent`.
    pub conversation_expires: Option<Timestamp>,
    /// What opened the conversation.
    pub conversation_origin: Option<String>,
    /// Everything else Meta sent.
    pub other: Map<String, Value>,
}

/// The price class of a message, as Meta words it. The words are open: new categories appear without notice.
#[derive(Debug, Clone, PartialEq)]
pub struct Pricing {
    /// `PMP` (per message) or `CBP` (per conversation, before July 2025).
    pub model: Option<String>,
    /// `regular`, `free_customer_service`, `free_entry_point`.
    pub kind: Option<String>,
    /// `marketing`, `utility`, `authentication`, `service`, …
    pub category: Option<String>,
    /// On its way out at Meta; derive it from `kind`.
    pub billable: Option<bool>,
    /// Everything else Meta sent.
    pub other: Map<String, Value>,
}

redacted_debug!(StatusUpdate {
    status,
    timestamp,
    recipient_type,
    errors,
    pricing
});

impl StatusUpdate {
    pub(super) fn from_fields(mut fields: Fields, users: &UserBook) -> Option<Self> {
        let message_id = Wamid::new(fields.filled_text("id")?);
        let status = DeliveryStatus::from(fields.filled_text("status")?);
        let wa_id = fields.filled_text("recipient_id");
        let user_id = fields.filled_text("recipient_user_id");
        let parent_user_id = fields.filled_text("parent_recipient_user_id");
        let participant_wa_id = fields.filled_text("recipient_participant_id");
        let participant_user_id = fields.filled_text("recipient_participant_user_id");
        let participant = (participant_wa_id.is_some() || participant_user_id.is_some())
            .then(|| users.complete(participant_wa_id, participant_user_id, None));
        let mut conversation = fields.object("conversation").unwrap_or_default();
        Some(Self {
            message_id,
            status,
            timestamp: fields.timestamp("timestamp"),
            recipient: users.complete(wa_id, user_id, parent_user_id),
            recipient_type: fields.filled_text("recipient_type"),
            participant,
            callback_data: fields.filled_text("biz_opaque_callback_data"),
            errors: fields
                .objects("errors")
                .into_iter()
                .filter_map(GraphError::from_fields)
                .collect(),
            pricing: fields.object("pricing").map(Pricing::from_fields),
            conversation_id: conversation.filled_text("id"),
            conversation_expires: conversation.timestamp("expiration_timestamp"),
            conversation_origin: conversation
                .object("origin")
                .and_then(|mut origin| origin.filled_text("type")),
            other: fields.into_rest(),
        })
    }
}

impl Pricing {
    fn from_fields(mut fields: Fields) -> Self {
        Self {
            model: fields.filled_text("pricing_model"),
            kind: fields.filled_text("type"),
            category: fields.filled_text("category"),
            billable: fields.boolean("billable"),
            other: fields.into_rest(),
        }
    }
}

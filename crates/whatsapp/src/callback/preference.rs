//! What users set for themselves (webhook fields `user_preferences` and `user_id_update`).

use super::user::{User, UserBook};
use crate::json::Fields;
use crate::open_enum::open_enum;
use crate::redact::redacted_debug;
use crate::timestamp::Timestamp;

open_enum! {
    /// What the user chose.
    Preference {
        /// No more of this category from this business.
        Stop = "stop",
        /// The stop is lifted; by itself no new consent.
        Resume = "resume",
        /// Signed up by a link inside WhatsApp (since mid-2026).
        Signup = "signup",
    }
}

/// A user used WhatsApp's own control; it is not a chat message.
#[derive(Clone, PartialEq)]
pub struct PreferenceChange {
    /// Who.
    pub user: User,
    /// `marketing_messages` is the only category so far.
    pub category: Option<String>,
    /// What they chose.
    pub preference: Preference,
    /// When.
    pub timestamp: Option<Timestamp>,
    /// Text for people.
    pub detail: Option<String>,
    /// The sign-up link used.
    pub signup_id: Option<String>,
}

/// A user's business-scoped id changed, because they changed their number.
#[derive(Clone, PartialEq)]
pub struct UserIdChange {
    /// Who, under the new id.
    pub user: User,
    /// The id until now.
    pub previous_user_id: Option<String>,
    /// When.
    pub timestamp: Option<Timestamp>,
}

redacted_debug!(
    PreferenceChange {
        category,
        preference,
        timestamp
    },
    UserIdChange { timestamp }
);

impl PreferenceChange {
    pub(super) fn from_fields(mut fields: Fields, users: &UserBook) -> Option<Self> {
        Some(Self {
            preference: Preference::from(fields.filled_text("value")?),
            user: users.complete(
                fields.filled_text("wa_id"),
                fields.filled_text("user_id"),
                fields.filled_text("parent_user_id"),
            ),
            category: fields.filled_text("category"),
            timestamp: fields.timestamp("timestamp"),
            detail: fields.filled_text("detail"),
            signup_id: fields.filled_text("signup_id"),
        })
    }
}

impl UserIdChange {
    pub(super) fn from_fields(mut fields: Fields, users: &UserBook) -> Option<Self> {
        let mut ids = fields.object("user_id")?;
        let current = ids.filled_text("current")?;
        let parent = fields
            .object("parent_user_id")
            .and_then(|mut ids| ids.filled_text("current"));
        Some(Self {
            user: users.complete(fields.filled_text("wa_id"), Some(current), parent),
            previous_user_id: ids.filled_text("previous"),
            timestamp: fields.timestamp("timestamp"),
        })
    }
}

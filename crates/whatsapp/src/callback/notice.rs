//! Fields of Meta's list that this crate names but does not take apart, because no two sources agree on their shape or
//! nothing here acts on them (Cloud API, "Webhooks", fields).

use crate::open_enum::open_enum;
use crate::redact::redacted_debug;
use crate::timestamp::Timestamp;

open_enum! {
    /// Which field.
    NoticeField {
        /// A template's category was put in doubt.
        CategoryDetection = "template_correct_category_detection",
        /// Settings of the account.
        AccountSettings = "account_settings_update",
        /// The business's username.
        BusinessUsername = "business_username_updates",
        /// State and health of flows.
        Flows = "flows",
        /// Calls.
        Calls = "calls",
        /// A group came or went.
        GroupLifecycle = "group_lifecycle_update",
        /// Who is in a group.
        GroupParticipants = "group_participants_update",
        /// Name, picture or description of a group.
        GroupSettings = "group_settings_update",
        /// State of a group.
        GroupStatus = "group_status_update",
        /// Purchases and leads Meta saw in chats.
        AutomaticEvents = "automatic_events",
        /// Solutions shared with a partner.
        PartnerSolutions = "partner_solutions",
        /// Set-up of payments.
        PaymentConfiguration = "payment_configuration_update",
        /// Chats from before the number came to the Cloud API (coexistence).
        History = "history",
        /// Messages sent with the phone app (coexistence).
        AppMessageEchoes = "smb_message_echoes",
        /// Contacts of the phone app (coexistence).
        AppStateSync = "smb_app_state_sync",
        /// A chat was handed from app to app.
        MessagingHandovers = "messaging_handovers",
        /// Messages while another app holds the chat.
        Standby = "standby",
        /// Clicks and other events (legacy).
        TrackingEvents = "tracking_events",
    }
}

/// A report of one of these fields. What most of them share is read; the whole is kept as Meta wrote it.
#[derive(Clone, PartialEq)]
pub struct Notice {
    /// Which field.
    pub field: NoticeField,
    /// Meta's word for what happened.
    pub event: Option<String>,
    /// The business number concerned, where the value names one.
    pub phone_number_id: Option<String>,
    /// When, if the value says so.
    pub timestamp: Option<Timestamp>,
    /// The value, as Meta wrote it. May hold personal data.
    pub raw: String,
}

redacted_debug!(Notice {
    field,
    event,
    phone_number_id,
    timestamp
});

impl Notice {
    /// `None` for a field that is not of this list, and for a value that is no object.
    pub(super) fn read(field: &str, raw: &str) -> Option<Self> {
        let field = match NoticeField::from(field) {
            // Meta adds kinds of group updates.
            NoticeField::Other(word) if !(word.starts_with("group_") && word.ends_with("_update")) => return None,
            field => field,
        };
        let mut fields = super::fields_of(raw)?;
        let mut metadata = fields.object("metadata").unwrap_or_default();
        Some(Self {
            field,
            event: fields.filled_text("event"),
            phone_number_id: metadata.filled_text("phone_number_id"),
            timestamp: fields.timestamp("timestamp"),
            raw: raw.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Update, parse};

    fn only(field: &str, value: &str) -> Update {
        let body = format!(r#"{{"entry":[{{"id":"1","changes":[{{"field":"{field}","value":{value}}}]}}]}}"#);
        let mut received = parse(body.as_bytes()).unwrap();
        assert_eq!(received.len(), 1);
        received.remove(0).update
    }

    #[test]
    fn a_listed_field_is_named_and_kept_whole() {
        let value = r#"{"messaging_product":"whatsapp","metadata":{"phone_number_id":"42"},"event":"X","new":[1.50]}"#;
        for field in [
            "flows",
            "calls",
            "history",
            "standby",
            "group_lifecycle_update",
            "group_novel_update",
        ] {
            let Update::Notice(notice) = only(field, value) else {
                panic!("{field}")
            };
            assert_eq!(notice.field.as_str(), field);
            assert_eq!(notice.event.as_deref(), Some("X"));
            assert_eq!(notice.phone_number_id.as_deref(), Some("42"));
            assert_eq!(notice.raw, value);
            assert!(!format!("{notice:?}").contains("1.50"));
        }
    }

    #[test]
    fn any_other_field_or_shape_stays_unrecognised() {
        assert!(matches!(only("novel_update", "{}"), Update::Unrecognised { .. }));
        assert!(matches!(only("calls", "[]"), Update::Unrecognised { .. }));
    }
}

//! News of the account and its portfolio.

use serde_json::{Map, Value};

use crate::json::Fields;
use crate::timestamp::Timestamp;

/// `account_update`: restrictions, violations, bans, partners, prices.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountUpdate {
    /// `ACCOUNT_RESTRICTION`, `ACCOUNT_VIOLATION`, `DISABLED_UPDATE`, `ACCOUNT_DELETED`, …
    pub event: String,
    /// What is not allowed any more, and until when.
    pub restrictions: Vec<Restriction>,
    /// The violation, an open list of words.
    pub violation_type: Option<String>,
    /// `DISABLE`, `REINSTATE`, `SCHEDULE_FOR_DISABLE`.
    pub ban_state: Option<String>,
    /// When, as Meta words it in English.
    pub ban_date: Option<String>,
    /// Everything else Meta sent.
    pub other: Map<String, Value>,
}

/// One restriction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restriction {
    /// `RESTRICTED_BIZ_INITIATED_MESSAGING`, `RESTRICTED_CUSTOMER_INITIATED_MESSAGING`, …
    pub kind: String,
    /// Its end; without one it lasts until lifted.
    pub expires: Option<Timestamp>,
    /// What helps.
    pub remediation: Option<String>,
}

/// `business_capability_update`. Meta writes limits as words, as numbers, and -1 for unlimited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusinessCapability {
    /// Distinct users a day outside the service window, as Meta wrote it.
    pub messaging_limit: Option<String>,
    /// Phone numbers the portfolio may have.
    pub phone_numbers_max_per_business: Option<i64>,
    /// Phone numbers the account may have.
    pub phone_numbers_max_per_account: Option<i64>,
}

/// `account_alerts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountAlert {
    /// `BUSINESS`, `PHONE_NUMBER`, …
    pub entity_type: Option<String>,
    /// Whose.
    pub entity_id: Option<String>,
    /// What.
    pub kind: String,
    /// `CRITICAL`, `WARNING`, `INFORMATIONAL`.
    pub severity: Option<String>,
    /// `ACTIVE` or `NONE`.
    pub status: Option<String>,
    /// In words.
    pub description: Option<String>,
}

/// `account_review_update`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountReview {
    /// `APPROVED`, `REJECTED`, …
    pub decision: String,
}

/// `security`: somebody touched the two-step PIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityUpdate {
    /// `PIN_CHANGED`, `PIN_RESET_REQUEST`, `PIN_REQUEST_SUCCESS`.
    pub event: String,
    /// Who asked: a Meta user id.
    pub requester: Option<String>,
}

impl AccountUpdate {
    pub(super) fn from_fields(mut fields: Fields) -> Option<Self> {
        let event = fields.filled_text("event")?;
        let restrictions = fields
            .objects("restriction_info")
            .into_iter()
            .filter_map(Restriction::from_fields)
            .collect();
        let mut violation = fields.object("violation_info").unwrap_or_default();
        let mut ban = fields.object("ban_info").unwrap_or_default();
        Some(Self {
            event,
            restrictions,
            violation_type: violation.filled_text("violation_type"),
            ban_state: ban.filled_text("waba_ban_state"),
            ban_date: ban.filled_text("waba_ban_date"),
            other: fields.into_rest(),
        })
    }
}

impl Restriction {
    fn from_fields(mut fields: Fields) -> Option<Self> {
        Some(Self {
            kind: fields.filled_text("restriction_type")?,
            expires: fields.timestamp("expiration"),
            remediation: fields.filled_text("remediation"),
        })
    }
}

impl BusinessCapability {
    pub(super) fn from_fields(mut fields: Fields) -> Option<Self> {
        let limit = fields.filled_text("max_daily_conversations_per_business");
        let legacy_limit = fields.filled_text("max_daily_conversation_per_phone");
        let capability = Self {
            messaging_limit: limit.or(legacy_limit),
            phone_numbers_max_per_business: fields.integer("max_phone_numbers_per_business"),
            phone_numbers_max_per_account: fields.integer("max_phone_numbers_per_waba"),
        };
        let says_something = capability.messaging_limit.is_some()
            || capability.phone_numbers_max_per_business.is_some()
            || capability.phone_numbers_max_per_account.is_some();
        says_something.then_some(capability)
    }
}

impl AccountAlert {
    pub(super) fn from_fields(mut fields: Fields) -> Option<Self> {
        let entity_type = fields.filled_text("entity_type");
        let entity_id = fields.filled_text("entity_id");
        // Older payloads have the alert's fields beside the entity's.
        let mut alert = fields.object("alert_info").unwrap_or(fields);
        Some(Self {
            entity_type,
            entity_id,
            kind: alert.filled_text("alert_type")?,
            severity: alert.filled_text("alert_severity"),
            status: alert.filled_text("alert_status"),
            description: alert.filled_text("alert_description"),
        })
    }
}

impl AccountReview {
    pub(super) fn from_fields(mut fields: Fields) -> Option<Self> {
        Some(Self {
            decision: fields.filled_text("decision")?,
        })
    }
}

impl SecurityUpdate {
    pub(super) fn from_fields(mut fields: Fields) -> Option<Self> {
        Some(Self {
            event: fields.filled_text("event")?,
            requester: fields.filled_text("requester"),
        })
    }
}

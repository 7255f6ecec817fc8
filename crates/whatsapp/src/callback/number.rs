//! News of business numbers. These reports name a number only as digits ([`super::Received::display_phone_number`]).

use crate::json::Fields;

/// `phone_number_quality_update`. Despite its name it never carries the colour; that has to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberQualityUpdate {
    /// `ONBOARDING`, `THROUGHPUT_UPGRADE`; before 2026 also `FLAGGED`, `UNFLAGGED`, `UPGRADE`, `DOWNGRADE`.
    pub event: String,
    /// The messaging limit from now on, a `TIER_…` word or a number.
    pub messaging_limit: Option<String>,
    /// The limit until now; gone since February 2026.
    pub previous_limit: Option<String>,
}

/// `phone_number_name_update`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberNameUpdate {
    /// `APPROVED`, `DEFERRED`, `PENDING`, `REJECTED`.
    pub decision: String,
    /// The name asked for.
    pub requested_name: Option<String>,
    /// Why it was refused.
    pub rejection_reason: Option<String>,
}

impl NumberQualityUpdate {
    pub(super) fn from_fields(mut fields: Fields) -> Option<Self> {
        let limit = fields.filled_text("max_daily_conversations_per_business");
        let legacy_limit = fields.filled_text("current_limit");
        Some(Self {
            event: fields.filled_text("event")?,
            messaging_limit: limit.or(legacy_limit),
            previous_limit: fields.filled_text("old_limit"),
        })
    }
}

impl NumberNameUpdate {
    pub(super) fn from_fields(mut fields: Fields) -> Option<Self> {
        Some(Self {
            decision: fields.filled_text("decision")?,
            requested_name: fields.filled_text("requested_verified_name"),
            rejection_reason: fields.filled_text("rejection_reason").filter(|reason| reason != "NONE"),
        })
    }
}

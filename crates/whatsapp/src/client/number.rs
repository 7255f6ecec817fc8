//! `GET /{phone-number-id}`: what Meta says of one business number.

use serde_json::{Map, Value};

use super::Client;
use super::transport::{CallError, send_for_json};
use crate::json::Fields;
use crate::open_enum::open_enum;
use crate::redact::redacted_debug;
use crate::secret::Secret;

/// The fields asked for (Cloud API, "Phone numbers" reference).
const NUMBER_FIELDS: &str = "id,verified_name,display_phone_number,quality_rating,status,name_status,code_verification_status,\
account_mode,platform_type,throughput,whatsapp_business_manager_messaging_limit,is_official_business_account";

open_enum! {
    /// Colour of a number's or a template's quality over the last seven days.
    QualityRating {
        /// High.
        Green = "GREEN",
        /// Medium.
        Yellow = "YELLOW",
        /// Low.
        Red = "RED",
        /// Too little has been sent to say.
        Unknown = "UNKNOWN",
        /// Not rated.
        NotApplicable = "NA",
    }
}

open_enum! {
    /// State of a number.
    NumberStatus {
        /// Working.
        Connected = "CONNECTED",
        /// Registration not complete.
        Pending = "PENDING",
        /// Not reachable.
        Offline = "OFFLINE",
        /// Ownership not verified.
        Unverified = "UNVERIFIED",
        /// Deregistered.
        Disconnected = "DISCONNECTED",
        /// Limit reached; replies still work.
        Restricted = "RESTRICTED",
        /// Slowed down.
        RateLimited = "RATE_LIMITED",
        /// Low quality (before October 2025).
        Flagged = "FLAGGED",
        /// Banned.
        Banned = "BANNED",
        /// Moved to another account.
        Migrated = "MIGRATED",
        /// Deleted.
        Deleted = "DELETED",
        /// Meta does not say.
        Unknown = "UNKNOWN",
    }
}

open_enum! {
    /// Review of the display name.
    NameStatus {
        /// Approved.
        Approved = "APPROVED",
        /// Usable without a review.
        AvailableWithoutReview = "AVAILABLE_WITHOUT_REVIEW",
        /// Declined.
        Declined = "DECLINED",
        /// The certificate has expired.
        Expired = "EXPIRED",
        /// In review.
        PendingReview = "PENDING_REVIEW",
        /// There is no name.
        NonExists = "NON_EXISTS",
        /// There is no name.
        None = "NONE",
    }
}

open_enum! {
    /// Whether ownership of the number was proved by a code.
    CodeVerification {
        /// Proved.
        Verified = "VERIFIED",
        /// Not proved.
        NotVerified = "NOT_VERIFIED",
        /// Proved too long ago.
        Expired = "EXPIRED",
    }
}

open_enum! {
    /// Where the number is registered.
    PlatformType {
        /// Here.
        CloudApi = "CLOUD_API",
        /// With the ended on-premises product.
        OnPremise = "ON_PREMISE",
        /// Nowhere.
        NotApplicable = "NOT_APPLICABLE",
    }
}

open_enum! {
    /// How many messages a second the number may handle, in and out together.
    ThroughputLevel {
        /// 80.
        Standard = "STANDARD",
        /// 1,000.
        High = "HIGH",
        /// None.
        NotApplicable = "NOT_APPLICABLE",
    }
}

/// What Meta says of a number. Every field may be absent.
#[derive(Clone, PartialEq)]
pub struct NumberInfo {
    /// The phone-number id.
    pub id: Option<String>,
    /// The number, formatted for people.
    pub display_phone_number: Option<String>,
    /// The name users see.
    pub verified_name: Option<String>,
    /// Quality over the last seven days; only this call tells it, no callback does.
    pub quality_rating: Option<QualityRating>,
    /// State.
    pub status: Option<NumberStatus>,
    /// Distinct users a day outside the service window, a `TIER_…` word; belongs to the portfolio since October 2025.
    pub messaging_limit: Option<String>,
    /// Messages a second.
    pub throughput: Option<ThroughputLevel>,
    /// Review of the display name.
    pub name_status: Option<NameStatus>,
    /// Proof of ownership.
    pub code_verification_status: Option<CodeVerification>,
    /// Where it is registered.
    pub platform_type: Option<PlatformType>,
    /// `LIVE` or `SANDBOX`.
    pub account_mode: Option<String>,
    /// Whether it carries the official badge.
    pub is_official_business_account: Option<bool>,
    /// Everything else Meta sent.
    pub other: Map<String, Value>,
}

redacted_debug!(NumberInfo {
    id,
    quality_rating,
    status,
    messaging_limit,
    throughput,
    name_status,
    code_verification_status,
    platform_type
});

impl Client {
    /// Asks for a number's state, quality and limits.
    pub async fn number(&self, phone_number_id: &str, token: &Secret) -> Result<NumberInfo, CallError> {
        let request = self
            .http
            .get(self.url([phone_number_id]))
            .query(&[("fields", NUMBER_FIELDS)])
            .bearer_auth(token.expose());
        let value = send_for_json(request).await?;
        // A success that is no object carries nothing at all about the number.
        Fields::from_value(value)
            .map(NumberInfo::from_fields)
            .ok_or(CallError::Unreadable { http_status: 200 })
    }
}

impl NumberInfo {
    fn from_fields(mut fields: Fields) -> Self {
        let current_limit = fields.filled_text("whatsapp_business_manager_messaging_limit");
        let old_limit = fields.filled_text("messaging_limit_tier");
        Self {
            id: fields.filled_text("id"),
            display_phone_number: fields.filled_text("display_phone_number"),
            verified_name: fields.filled_text("verified_name"),
            quality_rating: fields.filled_text("quality_rating").map(QualityRating::from),
            status: fields.filled_text("status").map(NumberStatus::from),
            messaging_limit: current_limit.or(old_limit),
            throughput: fields
                .object("throughput")
                .and_then(|mut throughput| throughput.filled_text("level"))
                .map(ThroughputLevel::from),
            name_status: fields.filled_text("name_status").map(NameStatus::from),
            code_verification_status: fields
                .filled_text("code_verification_status")
                .map(CodeVerification::from),
            platform_type: fields.filled_text("platform_type").map(PlatformType::from),
            account_mode: fields.filled_text("account_mode"),
            is_official_business_account: fields.boolean("is_official_business_account"),
            other: fields.into_rest(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_is_read_and_what_is_new_is_kept() {
        let fields = Fields::from_value(json!({"id": "318800000000042", "verified_name": "Marlow Optics",
            "display_phone_number": "+1 202-555-0100", "quality_rating": "GREEN", "status": "CONNECTED",
            "name_status": "APPROVED", "code_verification_status": "VERIFIED", "platform_type": "CLOUD_API",
            "throughput": {"level": "STANDARD"}, "whatsapp_business_manager_messaging_limit": "TIER_2K",
            "search_visibility": "VISIBLE"}))
        .unwrap();
        let number = NumberInfo::from_fields(fields);
        assert_eq!(number.quality_rating, Some(QualityRating::Green));
        assert_eq!(number.status, Some(NumberStatus::Connected));
        assert_eq!(number.messaging_limit.as_deref(), Some("TIER_2K"));
        assert_eq!(number.throughput, Some(ThroughputLevel::Standard));
        assert_eq!(number.other["search_visibility"], "VISIBLE");
    }

    #[test]
    fn an_unknown_colour_and_missing_fields_are_no_error() {
        let number =
            NumberInfo::from_fields(Fields::from_value(json!({"quality_rating": "PURPLE", "status": null})).unwrap());
        assert_eq!(number.quality_rating, Some(QualityRating::Other("PURPLE".into())));
        assert_eq!(number.status, None);
    }
}

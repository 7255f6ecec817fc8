//! What is concluded about a number. Its quality colour comes only by asking.

use assent_domain::{
    events::{NumberObserved, NumberStatus, ObservedFrom, QualityRating},
    values::{PhoneNumberId, TenantId, Term, Timestamp, WabaId},
};
use assent_whatsapp::client::NumberInfo;

/// The whole picture of a number as Meta gave it.
pub(crate) fn seen(
    tenant: &TenantId,
    number: &PhoneNumberId,
    waba: &WabaId,
    info: &NumberInfo,
    observed_at: Timestamp,
) -> NumberObserved {
    NumberObserved {
        tenant: tenant.clone(),
        number: number.clone(),
        waba: waba.clone(),
        status: info.status.as_ref().map_or(NumberStatus::Unknown, |status| {
            NumberStatus::from_provider(status.as_str())
        }),
        quality: info.quality_rating.as_ref().map_or(QualityRating::Unknown, |rating| {
            QualityRating::from_provider(rating.as_str())
        }),
        messaging_limit: info.messaging_limit.as_deref().map(Term::from_provider),
        throughput: info
            .throughput
            .as_ref()
            .map(|level| Term::from_provider(level.as_str())),
        name_status: info
            .name_status
            .as_ref()
            .map(|status| Term::from_provider(status.as_str())),
        observed_from: ObservedFrom::Poll,
        observed_at,
    }
}

/// Whether anything differs from what is known, apart from when and how it was seen.
pub(crate) fn is_news(seen: &NumberObserved, known: &NumberObserved) -> bool {
    let as_known = NumberObserved {
        observed_from: known.observed_from,
        observed_at: known.observed_at,
        ..seen.clone()
    };
    as_known != *known
}

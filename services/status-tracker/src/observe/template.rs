//! What is concluded about a template: from asking, and at once from a callback about its state or category.

use assent_domain::{
    events::{
        AnnouncedCategory, ObservedFrom, QualityRating, TemplateChange, TemplateChanged, TemplateObserved,
        TemplateStatus,
    },
    gates::TemplateFacts,
    values::{Category, LanguageCode, TemplateName, TemplateRef, TenantId, Term, Timestamp, WabaId},
};
use assent_whatsapp::client::TemplateInfo;
use std::time::Duration;

/// Meta stamps callbacks in whole seconds, so one may be this much younger than it says.
const STAMP_GRAIN: Duration = Duration::from_secs(1);

/// How long an announced change of category is believed after its date when listings neither make nor repeat it.
const ANNOUNCEMENT_KEPT: Duration = Duration::from_hours(24);

/// Name and language of a listed template; `None` for one that cannot be named in a send.
pub(crate) fn name_of(info: &TemplateInfo) -> Option<TemplateRef> {
    Some(TemplateRef {
        name: TemplateName::try_new(info.name.as_deref()?).ok()?,
        language: LanguageCode::try_new(info.language.as_deref()?).ok()?,
    })
}

/// The whole picture of a template as listed. What a listing leaves out is taken from what is known.
pub(crate) fn seen(
    tenant: &TenantId,
    waba: &WabaId,
    template: TemplateRef,
    info: &TemplateInfo,
    known: Option<&TemplateObserved>,
    observed_at: Timestamp,
) -> TemplateObserved {
    let status = info.status.as_ref().map_or(TemplateStatus::Unknown, |status| {
        TemplateStatus::from_provider(status.as_str())
    });
    // A category that is missing or new is judged as the strictest one.
    let category = info
        .category
        .as_ref()
        .and_then(|category| category.as_str().parse().ok())
        .or_else(|| known.map(|known| known.category))
        .unwrap_or(Category::Marketing);
    let listed_reason = info.rejected_reason.as_deref();
    let listed_reason = listed_reason.filter(|reason| !reason.eq_ignore_ascii_case("NONE"));
    // Why it is paused stands only in callbacks.
    let known_reason = known.filter(|known| known.status == status);
    TemplateObserved {
        tenant: tenant.clone(),
        waba: waba.clone(),
        template_id: info.id.as_deref().map(Term::from_provider),
        status,
        category,
        announced: announced(info, category, known, observed_at),
        quality: info.quality.as_ref().map_or(QualityRating::Unknown, |rating| {
            QualityRating::from_provider(rating.as_str())
        }),
        reason: listed_reason
            .map(Term::from_provider)
            .or_else(|| known_reason.and_then(|known| known.reason.clone())),
        definition: assent_api::template::recorded(info),
        template,
        observed_from: ObservedFrom::Poll,
        observed_at,
    }
}

/// The change of category that is still to come.
fn announced(
    info: &TemplateInfo,
    category: Category,
    known: Option<&TemplateObserved>,
    now: Timestamp,
) -> Option<AnnouncedCategory> {
    let known = known.and_then(|known| known.announced);
    let listed: Option<Category> = info
        .correct_category
        .as_ref()
        .and_then(|correct| correct.as_str().parse().ok());
    if let Some(listed) = listed.filter(|listed| *listed != category) {
        let effective_at = known.filter(|known| known.category == listed);
        return Some(AnnouncedCategory {
            category: listed,
            effective_at: effective_at.and_then(|known| known.effective_at),
        });
    }
    // Announced by a callback and not yet made: listings need not repeat it.
    known.filter(|known| {
        let is_to_come = known.effective_at.is_none_or(|at| now < at + ANNOUNCEMENT_KEPT);
        known.category != category && is_to_come
    })
}

/// A template that was there and is not listed any more.
pub(crate) fn gone(known: &TemplateObserved, observed_at: Timestamp) -> TemplateObserved {
    TemplateObserved {
        status: TemplateStatus::Deleted,
        reason: None,
        observed_from: ObservedFrom::Poll,
        observed_at,
        ..known.clone()
    }
}

/// Whether anything differs from what is known, apart from when and how it was seen; or from what the gates make of the
/// conclusions and the callbacks together, which a callback may have led astray.
pub(crate) fn is_news(seen: &TemplateObserved, known: &TemplateObserved, facts: &TemplateFacts) -> bool {
    let as_known = TemplateObserved {
        observed_from: known.observed_from,
        observed_at: known.observed_at,
        ..seen.clone()
    };
    as_known != *known
        || facts.status != seen.status
        || facts.category != seen.category
        || facts.announced != seen.announced
        || facts.definition != seen.definition
}

/// What a callback makes of what is known; `None` if it is nothing new, or too old to say.
pub(crate) fn changed(known: &TemplateObserved, event: &TemplateChanged) -> Option<TemplateObserved> {
    if event.provider_at + STAMP_GRAIN <= known.observed_at {
        return None;
    }
    let mut next = known.clone();
    match &event.change {
        TemplateChange::Status { status, reason, title } => {
            next.status = TemplateStatus::from_provider(status.as_str());
            // Within the same second the state that does not send wins; the next listing settles it.
            if next.status == TemplateStatus::Approved && event.provider_at <= known.observed_at {
                return None;
            }
            let told = title.as_ref().or(reason.as_ref());
            next.reason = told.filter(|word| !word.as_str().eq_ignore_ascii_case("NONE")).cloned();
        }
        TemplateChange::Quality { current, .. } => next.quality = QualityRating::from_provider(current.as_str()),
        TemplateChange::CategoryAnnounced {
            announced,
            effective_at,
            ..
        } => {
            next.announced = Some(AnnouncedCategory {
                category: *announced,
                effective_at: *effective_at,
            });
        }
        TemplateChange::CategoryChanged { current, .. } => {
            next.category = *current;
            next.announced = None;
        }
        TemplateChange::Components => return None,
    }
    if next == *known {
        return None;
    }
    next.observed_from = ObservedFrom::Callback;
    next.observed_at = event.provider_at.max(known.observed_at + Duration::from_micros(1));
    Some(next)
}

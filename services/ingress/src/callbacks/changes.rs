//! What changed about templates, numbers and accounts. Nothing in it is about a person.

use super::plan::{Plan, Planned, Unplanned};
use crate::parties::Number;
use assent_domain::{
    events::{
        AccountChange, AccountChanged, NumberChange, NumberChanged, ProviderEvent, StreamCategory, TemplateChange,
        TemplateChanged,
    },
    values::{Category, LanguageCode, TemplateName, TemplateRef, Term, Timestamp, WabaId},
};
use assent_runtime::streams::Subject;
use assent_whatsapp::{
    GraphError,
    callback::{
        AccountAlert, AccountReview, AccountUpdate, BusinessCapability, NumberNameUpdate, NumberQualityUpdate,
        SecurityUpdate, TemplateCategoryUpdate, TemplateComponentsUpdate, TemplateQualityUpdate, TemplateRef as Named,
        TemplateStatusUpdate,
    },
    client::TemplateCategory,
};

type Changes = Result<Vec<Planned>, Unplanned>;

fn word(text: &str) -> Term {
    Term::from_provider(text)
}

fn words(text: Option<&String>) -> Option<Term> {
    text.map(|text| word(text))
}

fn template(plan: &Plan<'_>, account: &WabaId, named: &Named, change: TemplateChange, at: Timestamp) -> Changes {
    let template = named.name.as_deref().zip(named.language.as_deref());
    let template = template.and_then(|(name, language)| {
        Some(TemplateRef {
            name: TemplateName::try_new(name).ok()?,
            language: LanguageCode::try_new(language).ok()?,
        })
    });
    let template = template.ok_or(Unplanned::Keep("template_not_named"))?;
    let subject = Subject::Template(account, &template);
    let stream = plan.platform.stream_of(StreamCategory::Provider, subject);
    let event = TemplateChanged {
        waba: account.clone(),
        template,
        template_id: words(named.id.as_ref()),
        change,
        provider_at: at,
        received_at: plan.now,
    };
    Ok(vec![Planned::ready(stream, ProviderEvent::from(Box::new(event)))])
}

pub(super) fn template_status(
    plan: &Plan<'_>,
    account: &WabaId,
    update: &TemplateStatusUpdate,
    at: Timestamp,
) -> Changes {
    let change = TemplateChange::Status {
        status: word(update.status.as_str()),
        reason: words(update.reason.as_ref()),
        title: words(update.pause_title.as_ref()),
    };
    template(plan, account, &update.template, change, at)
}

pub(super) fn template_quality(
    plan: &Plan<'_>,
    account: &WabaId,
    update: &TemplateQualityUpdate,
    at: Timestamp,
) -> Changes {
    let change = TemplateChange::Quality {
        previous: update.previous.as_ref().map(|colour| word(colour.as_str())),
        current: word(update.current.as_str()),
    };
    template(plan, account, &update.template, change, at)
}

pub(super) fn template_category(
    plan: &Plan<'_>,
    account: &WabaId,
    update: &TemplateCategoryUpdate,
    at: Timestamp,
) -> Changes {
    // A category nobody here knows cannot be judged by; a person has to look.
    let unknown = || Unplanned::Keep("category_unknown");
    let known = |category: &TemplateCategory| category.as_str().parse::<Category>().ok();
    let change = match (&update.announced, &update.current) {
        (Some(announced), current) => TemplateChange::CategoryAnnounced {
            current: current.as_ref().and_then(known),
            announced: known(announced).ok_or_else(unknown)?,
            effective_at: update.takes_effect.map(|at| plan.moment(Some(at))),
        },
        (None, Some(current)) => TemplateChange::CategoryChanged {
            previous: update.previous.as_ref().and_then(known),
            current: known(current).ok_or_else(unknown)?,
        },
        (None, None) => return Err(unknown()),
    };
    template(plan, account, &update.template, change, at)
}

pub(super) fn template_components(
    plan: &Plan<'_>,
    account: &WabaId,
    update: &TemplateComponentsUpdate,
    at: Timestamp,
) -> Changes {
    template(plan, account, &update.template, TemplateChange::Components, at)
}

fn number(
    plan: &Plan<'_>,
    account: &WabaId,
    number: Option<&Number>,
    change: NumberChange,
    at: Timestamp,
) -> Vec<Planned> {
    let subject = number.map_or(Subject::Account(account), |number| Subject::Number(&number.id));
    let event = NumberChanged {
        waba: account.clone(),
        number: number.map(|number| number.id.clone()),
        change,
        provider_at: at,
        received_at: plan.now,
    };
    let stream = plan.platform.stream_of(StreamCategory::Provider, subject);
    vec![Planned::ready(stream, event)]
}

pub(super) fn number_quality(
    plan: &Plan<'_>,
    account: &WabaId,
    named: Option<&Number>,
    update: &NumberQualityUpdate,
    at: Timestamp,
) -> Vec<Planned> {
    let change = NumberChange::Quality {
        event: word(&update.event),
        messaging_limit: words(update.messaging_limit.as_ref()),
    };
    number(plan, account, named, change, at)
}

pub(super) fn number_name(
    plan: &Plan<'_>,
    account: &WabaId,
    named: Option<&Number>,
    update: &NumberNameUpdate,
    at: Timestamp,
) -> Vec<Planned> {
    let change = NumberChange::Name {
        decision: word(&update.decision),
        reason: words(update.rejection_reason.as_ref()),
    };
    number(plan, account, named, change, at)
}

pub(super) fn security(
    plan: &Plan<'_>,
    account: &WabaId,
    named: Option<&Number>,
    update: &SecurityUpdate,
    at: Timestamp,
) -> Vec<Planned> {
    let event = word(&update.event);
    number(plan, account, named, NumberChange::Security { event }, at)
}

fn account_changes(plan: &Plan<'_>, account: &WabaId, changes: Vec<AccountChange>, at: Timestamp) -> Vec<Planned> {
    let planned = |change| {
        let event = AccountChanged {
            waba: account.clone(),
            change,
            provider_at: at,
            received_at: plan.now,
        };
        let subject = Subject::Account(account);
        Planned::ready(plan.platform.stream_of(StreamCategory::Provider, subject), event)
    };
    changes.into_iter().map(planned).collect()
}

fn other(field: &str, event: &str) -> AccountChange {
    AccountChange::Other {
        field: word(field),
        event: word(event),
    }
}

/// One update may bring a ban, restrictions and a violation at once.
pub(super) fn account(plan: &Plan<'_>, account: &WabaId, update: &AccountUpdate, at: Timestamp) -> Vec<Planned> {
    let mut changes: Vec<AccountChange> = update
        .restrictions
        .iter()
        .map(|restriction| AccountChange::Restriction {
            restriction: word(&restriction.kind),
            until: restriction.expires.map(|until| plan.moment(Some(until))),
        })
        .collect();
    changes.extend(
        update
            .violation_type
            .as_deref()
            .map(|violation| AccountChange::Violation {
                violation: word(violation),
            }),
    );
    changes.extend(
        update
            .ban_state
            .as_deref()
            .map(|state| AccountChange::Ban { state: word(state) }),
    );
    if changes.is_empty() {
        changes.push(other("account_update", &update.event));
    }
    account_changes(plan, account, changes, at)
}

pub(super) fn capability(
    plan: &Plan<'_>,
    account: &WabaId,
    update: &BusinessCapability,
    at: Timestamp,
) -> Vec<Planned> {
    let messaging_limit = words(update.messaging_limit.as_ref());
    account_changes(plan, account, vec![AccountChange::Capability { messaging_limit }], at)
}

pub(super) fn alert(plan: &Plan<'_>, account: &WabaId, update: &AccountAlert, at: Timestamp) -> Vec<Planned> {
    account_changes(plan, account, vec![other("account_alerts", &update.kind)], at)
}

pub(super) fn review(plan: &Plan<'_>, account: &WabaId, update: &AccountReview, at: Timestamp) -> Vec<Planned> {
    let change = other("account_review_update", &update.decision);
    account_changes(plan, account, vec![change], at)
}

/// A problem tied to no message, such as throttling.
pub(super) fn channel_error(plan: &Plan<'_>, account: &WabaId, error: &GraphError, at: Timestamp) -> Vec<Planned> {
    let change = other("messages.errors", &format!("error_{}", error.code));
    account_changes(plan, account, vec![change], at)
}

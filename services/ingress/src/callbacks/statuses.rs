//! What became of our messages: the busiest of all updates, so nothing in it is sealed.

use super::{
    people,
    plan::{Plan, Planned, Unplanned},
};
use crate::parties::Number;
use assent_domain::{
    events::{Pricing, ProviderError, ProviderEvent, ProviderStatus, StatusReported, StreamCategory},
    values::{AliasRef, Term},
};
use assent_runtime::{platform::Correlated, streams::Subject, telemetry};
use assent_whatsapp::callback::StatusUpdate;

/// A status of a message: of ours by the text that came back with it, else by Meta's id.
pub(super) fn status(plan: &Plan<'_>, number: &Number, status: &StatusUpdate) -> Result<Planned, Unplanned> {
    let tenant = plan.party.id.as_str();
    let ours = match &status.callback_data {
        None => None,
        Some(text) => match plan.platform.correlated(tenant, text) {
            Correlated::Ours(correlation) => Some(correlation),
            Correlated::Foreign => return Err(Unplanned::Foreign("message")),
            Correlated::Nothing => None,
        },
    };
    let wamid_hash = plan.platform.wamid_hash(status.message_id.as_str());
    let subject = match &ours {
        Some(correlation) => Subject::Message(correlation.message),
        None => Subject::Wamid(wamid_hash),
    };
    let person = status.participant.as_ref().unwrap_or(&status.recipient);
    let recipient = people::aliases(person).into_iter().map(|alias| AliasRef {
        hash: plan.platform.alias_hash(tenant, &alias),
        kind: alias.kind(),
        sealed: None,
    });
    let event = StatusReported {
        number: number.id.clone(),
        message: ours.as_ref().map(|correlation| correlation.message),
        attempt: ours.as_ref().map(|correlation| correlation.attempt),
        wamid_hash,
        wamid: None,
        recipient: recipient.collect(),
        status: ProviderStatus::from_provider(status.status.as_str()),
        provider_at: plan.moment(status.timestamp),
        errors: status
            .errors
            .iter()
            .map(|error| ProviderError {
                code: error.code,
                subcode: error.subcode,
            })
            .collect(),
        pricing: status.pricing.as_ref().map(|pricing| Pricing {
            category: Term::from_provider(pricing.category.as_deref().unwrap_or_default()),
            model: pricing.model.as_deref().map(Term::from_provider),
            kind: pricing.kind.as_deref().map(Term::from_provider),
            billable: pricing.billable,
        }),
        received_at: plan.now,
    };
    let stream = plan.platform.stream_of(StreamCategory::Provider, subject);
    let mut planned = Planned::ready(stream, ProviderEvent::from(Box::new(event)));
    planned.traceparent = ours.and_then(|correlation| correlation.traceparent).map(in_trace);
    Ok(planned)
}

/// A span for this status in the trace of its message, and the way on from there.
fn in_trace(traceparent: String) -> String {
    let span = tracing::info_span!(parent: None, "callback");
    telemetry::set_parent(&span, &traceparent);
    // Where no traces are collected, the message's own is handed on.
    span.in_scope(telemetry::current_traceparent).unwrap_or(traceparent)
}

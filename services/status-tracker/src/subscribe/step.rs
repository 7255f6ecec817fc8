//! What an event about a message says of its state.

use assent_api::{decision, message, timestamp, vocabulary};
use assent_domain::{
    delivery::{Delivery, DeliveryState},
    events::{AttemptEvent, DecisionEvent, DecodeError, FreeForm, ProviderError, RequestEvent},
    values::{MessageId, Timestamp},
};
use assent_event_store::RecordedEvent;
use assent_proto::v1;
use assent_runtime::log;
use serde::Deserialize;
use std::borrow::Cow;

/// The request for a message.
pub(super) const SUBMITTED: &str = "request.submitted";

/// What is read of a status; the rest is skipped.
#[derive(Deserialize)]
struct Reported<'a> {
    message: Option<MessageId>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    provider_at: Timestamp,
    #[serde(default)]
    errors: Vec<ProviderError>,
}

/// A message's new state, as one event says it.
pub(super) struct Step {
    pub(super) message: MessageId,
    pub(super) state: DeliveryState,
    at: Timestamp,
    refusals: Vec<v1::Refusal>,
    error: Option<ProviderError>,
}

impl Step {
    /// As it is told.
    pub(super) fn render(self, is_reaction: bool) -> v1::MessageStateChanged {
        v1::MessageStateChanged {
            message_id: self.message.to_string(),
            state: vocabulary::state(self.state).into(),
            r#final: self.state.is_final_of(is_reaction),
            refusals: self.refusals,
            provider_error: self.error.map(message::render_error),
            occurred_at: Some(timestamp::render(self.at)),
        }
    }
}

/// Whether a request is for a reaction. Hardly any is, so that most are told by their bytes, undecoded.
pub(super) fn is_reaction(request: &RecordedEvent) -> Result<bool, DecodeError> {
    let word = FreeForm::Reaction.as_str().as_bytes();
    if !request.data.windows(word.len()).any(|bytes| bytes == word) {
        return Ok(false);
    }
    Ok(match log::read::<RequestEvent>(request)? {
        RequestEvent::Submitted(submitted) => submitted.content.is_reaction(),
        RequestEvent::CancelRequested(_) => false,
    })
}

/// The state that an event about a message reports; `None` if it reports none, or is not about a message of ours.
pub(super) fn step_of(event: &RecordedEvent) -> Result<Option<Step>, DecodeError> {
    let mut step = Step {
        message: MessageId::new(event.stream.key),
        state: DeliveryState::Unknown,
        at: message::moment(event.recorded_at),
        refusals: Vec::new(),
        error: None,
    };
    // The most frequent ones say all that is needed by their name.
    match event.kind.as_str() {
        SUBMITTED => step.state = DeliveryState::Requested,
        "request.cancel_requested" => return Ok(None),
        "decision.authorized" => step.state = DeliveryState::Authorized,
        "attempt.started" => step.state = DeliveryState::Sending,
        "provider.status_reported" => return status_step(event, step),
        name if name.starts_with("decision.") => {
            let decided = log::read::<DecisionEvent>(event)?;
            step.state = Delivery::of_decision(&decided).state();
            if let DecisionEvent::Refused(refused) = &decided {
                step.refusals = decision::refusals(&refused.refusals);
            }
        }
        _ => {
            let attempt = log::read::<AttemptEvent>(event)?;
            step.state = Delivery::of_attempt(&attempt).state();
            if let AttemptEvent::Rejected(rejected) = &attempt {
                step.error = Some(rejected.error);
            }
        }
    }
    Ok((step.state != DeliveryState::Unknown).then_some(step))
}

fn status_step(event: &RecordedEvent, step: Step) -> Result<Option<Step>, DecodeError> {
    let name = "provider.status_reported";
    if event.schema_version != 1 {
        let version = event.schema_version;
        return Err(DecodeError::UnknownVersion {
            name,
            version,
            known: 1,
        });
    }
    let status: Reported<'_> = serde_json::from_slice(&event.data).map_err(|error| DecodeError::Shape {
        name,
        line: error.line(),
        column: error.column(),
    })?;
    let state = match &*status.status {
        "sent" => DeliveryState::Sent,
        "delivered" => DeliveryState::Delivered,
        "read" => DeliveryState::Read,
        "played" => DeliveryState::Played,
        "failed" => DeliveryState::Failed,
        _ => return Ok(None),
    };
    let unknown = ProviderError { code: 0, subcode: None };
    let error = (state == DeliveryState::Failed).then(|| status.errors.first().copied().unwrap_or(unknown));
    Ok(status.message.map(|message| Step {
        message,
        state,
        at: status.provider_at,
        error,
        ..step
    }))
}

//! Taking a request in: sealed, appended once for its key, compared when the key was used before.

use crate::draft::Draft;
use assent_api::content::ParsedContent;
use assent_domain::{
    Decider as _,
    events::{Content, DecisionEvent, Recipient, Reference, RequestEvent, StreamCategory, Submitted},
    request::{RequestCommand, RequestDecider, RequestRejection},
    values::{Actor, Fingerprint, Timestamp},
};
use assent_event_store::{Append, AppendError, DataKey, Expected, KeyError, RecordedEvent, SealAndAppendError};
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    facts::of_category,
    log::{self, Origin},
    platform::Platform,
    streams::{Subject, purpose},
};
use assent_sealed::{AliasHash, KeyClass};
use std::time::Duration;

/// When to ask again when the store is away.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// A request that is durable.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// When it was first taken in.
    pub(crate) at: Timestamp,
    /// Whether it was taken in by an earlier call, which may have been decided since.
    pub(crate) repeated: Option<Repeated>,
}

/// What an earlier call with the same key left.
#[derive(Debug)]
pub(crate) struct Repeated {
    /// The decision, if there is one by now.
    pub(crate) decision: Option<DecisionEvent>,
}

/// Takes a request in, or finds it there. Runs to its end: spawn it.
pub(crate) async fn accept(platform: &Platform, draft: Draft, actor: Actor) -> Result<Accepted, ApiError> {
    if let Some(stale) = &draft.stale {
        return match repeated(platform, &draft).await? {
            Some(accepted) => Ok(accepted),
            None => Err(stale.clone()),
        };
    }
    let origin = Origin::of(draft.party.id.clone(), actor);
    let to = draft.aliases[0];
    let wanted: &[(AliasHash, KeyClass)] = &[(to, KeyClass::Content), (to, KeyClass::OneTimeCode)];
    let wanted = match draft.content_class() {
        KeyClass::OneTimeCode => wanted,
        KeyClass::Content | KeyClass::Identity | KeyClass::Proof => &wanted[..1],
    };
    let stream = platform.stream_of(StreamCategory::Request, Subject::Message(draft.message));
    let build = |keys: &[DataKey]| -> Result<Append, KeyError> {
        let event = RequestEvent::from(Box::new(submitted(&draft, keys)?));
        Ok(Append::new().write(stream.clone(), Expected::NoStream, [log::record(&event, &origin)]))
    };
    let now = time::OffsetDateTime::now_utc();
    match platform.keys.append_sealed(draft.party.shard, wanted, now, build).await {
        Ok(_) => Ok(Accepted {
            at: draft.now,
            repeated: None,
        }),
        // No answer is not an outcome: it is there or it is not.
        Err(SealAndAppendError::Append(
            error @ (AppendError::Conflict { .. } | AppendError::OutcomeUnknown { .. }),
        )) => match repeated(platform, &draft).await? {
            Some(accepted) => Ok(accepted),
            None => Err(append_error(&error)),
        },
        Err(SealAndAppendError::Append(error)) => Err(append_error(&error)),
        Err(SealAndAppendError::Keys(error) | SealAndAppendError::Build(error)) => Err(key_error(&error)),
    }
}

/// The earlier request under the same key, if there is one and it said the same.
async fn repeated(platform: &Platform, draft: &Draft) -> Result<Option<Accepted>, ApiError> {
    let key = draft.message.uuid();
    let mut events = platform
        .store
        .read_keys(draft.party.shard, &[key])
        .await
        .map_err(|error| read_error(&error))?;
    let events = events.remove(&key).unwrap_or_default();
    let Some(at) = compare(&events, &draft.fingerprint)? else {
        return Ok(None);
    };
    let decision = of_category::<DecisionEvent>(&events).next().map(|(_, event)| event);
    Ok(Some(Accepted {
        at,
        repeated: Some(Repeated { decision }),
    }))
}

/// When the request that these events tell of was taken in; an error that names the fields if it said something else.
fn compare(events: &[RecordedEvent], fingerprint: &Fingerprint) -> Result<Option<Timestamp>, ApiError> {
    let history: Vec<RequestEvent> = of_category(events).map(|(_, event)| event).collect();
    let Some(first) = history.iter().find_map(|event| match event {
        RequestEvent::Submitted(submitted) => Some(submitted),
        RequestEvent::CancelRequested(_) => None,
    }) else {
        return Ok(None);
    };
    // Only the fingerprint is looked at.
    let mut again = first.clone();
    again.fingerprint = fingerprint.clone();
    let state = RequestDecider::fold(&history);
    match RequestDecider::decide(&state, RequestCommand::Submit(again)) {
        Ok(_) => Ok(Some(first.accepted_at)),
        Err(rejection @ RequestRejection::Different { .. }) => Err(reused(&rejection)),
        Err(RequestRejection::Absent) => Ok(None),
    }
}

fn reused(rejection: &RequestRejection) -> ApiError {
    let error = ApiError::new(ErrorCode::IdempotencyKeyReused).message(rejection.to_string());
    match rejection {
        RequestRejection::Different { fields } => fields.iter().fold(error, |error, field| {
            error.field(field.as_str(), "differs from the first request with this key")
        }),
        RequestRejection::Absent => error,
    }
}

/// The event, sealed: the address by the recipient's content key, the content by the same or by one for one-time codes.
fn submitted(draft: &Draft, keys: &[DataKey]) -> Result<Submitted, KeyError> {
    let (address_key, content_key) = (&keys[0], &keys[keys.len() - 1]);
    let content = match &draft.content {
        ParsedContent::Text { body, preview_url } => Content::Text {
            body: content_key.seal(body, purpose::CONTENT)?,
            preview_url: *preview_url,
        },
        ParsedContent::Template { template, components } => Content::Template {
            template: template.clone(),
            components: content_key.seal(components, purpose::CONTENT)?,
        },
        ParsedContent::FreeForm { form, body } => Content::FreeForm {
            form: *form,
            body: content_key.seal(body, purpose::CONTENT)?,
        },
    };
    let refers_to = match &draft.refers_to {
        Some(reference) => Some(Reference {
            message: reference.message,
            wamid: address_key.seal(&reference.wamid, purpose::WAMID)?,
        }),
        None => None,
    };
    Ok(Submitted {
        tenant: draft.party.id.clone(),
        sender: draft.sender.clone(),
        recipient: Recipient {
            alias: draft.aliases[0],
            other_spellings: draft.aliases[1..].to_vec(),
            address: address_key.seal(&draft.to, purpose::RECIPIENT)?,
        },
        content,
        refers_to,
        purpose: draft.purpose,
        fingerprint: draft.fingerprint.clone(),
        expires_at: draft.expires_at,
        campaign: draft.campaign.clone(),
        tags: draft.tags.clone(),
        fetch_credential: draft.fetch_credential.clone(),
        accepted_at: draft.now,
    })
}

/// What a caller is told when an append was not written.
pub(crate) fn append_error(error: &AppendError) -> ApiError {
    match error {
        AppendError::Invalid(assent_event_store::InvalidAppend::EventTooLarge { .. }) => {
            ApiError::new(ErrorCode::InvalidRequest).field("content", "is larger than a message may be")
        }
        AppendError::Closed => ApiError::new(ErrorCode::ShuttingDown).retry_after(STORE_RETRY),
        AppendError::OutcomeUnknown { .. } | AppendError::KeysGone { .. } => unavailable(),
        AppendError::Conflict { .. } => ApiError::new(ErrorCode::Conflict).retry_after(Duration::from_millis(100)),
        AppendError::Invalid(_) | AppendError::Refused { .. } => ApiError::internal(error),
    }
}

/// What a caller is told when the log cannot be read.
pub(crate) fn read_error(error: &assent_event_store::ReadError) -> ApiError {
    match error {
        // Another process may be newer and understand it.
        assent_event_store::ReadError::Unavailable(_) | assent_event_store::ReadError::NotUnderstood { .. } => {
            unavailable()
        }
        assent_event_store::ReadError::Hole { .. } | assent_event_store::ReadError::NoSuchShard { .. } => {
            ApiError::internal(error)
        }
    }
}

/// What a caller is told when something cannot be sealed or opened.
pub(crate) fn key_error(error: &KeyError) -> ApiError {
    if error.is_retryable() {
        unavailable()
    } else {
        ApiError::internal(error)
    }
}

fn unavailable() -> ApiError {
    ApiError::new(ErrorCode::StoreUnavailable).retry_after(STORE_RETRY)
}

//! What people wrote and chose. Everything personal is sealed by keys of the first alias a person is named by.

use super::{
    keep,
    plan::{Event, Keys, Plan, Planned, SMALL_EVENT_BYTES, Unplanned, Wanted},
};
use crate::{limits, parties::Number};
use assent_domain::{
    events::{MessageReceived, PreferenceChanged, PreferenceValue, ProviderEvent, ReceivedFile, StreamCategory},
    values::{
        Alias, AliasRef, FileDescription, FileId, InboundDetails, ProfileName, Term, TextBody, UserId, WaId, Wamid,
    },
};
use assent_event_store::{DataKey, KeyError};
use assent_runtime::streams::{Subject, purpose};
use assent_sealed::{AliasHash, KeyClass, Sealed};
use assent_whatsapp::callback::{InboundContent, InboundMedia, InboundMessage, PreferenceChange, User};
use serde::Serialize;
use serde_json::{Map, Value};

/// The names a person is given by: the WhatsApp id first.
pub(super) fn aliases(user: &User) -> Vec<Alias> {
    let wa_id = user.wa_id.as_deref().and_then(|id| WaId::try_new(id).ok());
    let user_id = user.user_id.as_deref().and_then(|id| UserId::try_new(id).ok());
    wa_id
        .map(Alias::WaId)
        .into_iter()
        .chain(user_id.map(Alias::UserId))
        .collect()
}

/// A person with the hashes of their names.
struct Person {
    names: Vec<(Alias, AliasHash)>,
}

impl Person {
    fn of(plan: &Plan<'_>, user: &User) -> Result<Self, Unplanned> {
        let tenant = plan.party.id.as_str();
        let hashed = aliases(user).into_iter().map(|alias| {
            let hash = plan.platform.alias_hash(tenant, &alias);
            (alias, hash)
        });
        let names: Vec<_> = hashed.collect();
        if names.is_empty() {
            return Err(Unplanned::Keep("nobody_named"));
        }
        Ok(Self { names })
    }

    fn first(&self) -> AliasHash {
        self.names[0].1
    }

    /// Every name's own identity key.
    fn identity_keys(&self) -> impl Iterator<Item = Wanted> + '_ {
        self.names.iter().map(|(_, hash)| (*hash, KeyClass::Identity))
    }

    fn sealed(&self, keys: &Keys) -> Result<Vec<AliasRef>, KeyError> {
        let name = |(alias, hash): &(Alias, AliasHash)| {
            Ok(AliasRef {
                hash: *hash,
                kind: alias.kind(),
                sealed: Some(key(keys, *hash, KeyClass::Identity).seal(alias, purpose::ALIAS)?),
            })
        };
        self.names.iter().map(name).collect()
    }
}

fn key(keys: &Keys, alias: AliasHash, class: KeyClass) -> &DataKey {
    keys.get(&(alias, class)).expect("every key that is used was asked for")
}

fn seal<T: Serialize>(key: &DataKey, value: Option<&T>, purpose: &str) -> Result<Option<Sealed<T>>, KeyError> {
    value.map(|value| key.seal(value, purpose)).transpose()
}

/// A message from a person. If it is too large for our event, the whole body is kept beside it.
pub(super) fn message(
    plan: &mut Plan<'_>,
    number: &Number,
    message: InboundMessage,
) -> Result<Vec<Planned>, Unplanned> {
    let person = Person::of(plan, &message.sender)?;
    let first = person.first();
    let written = message.content.written_text().map(ToOwned::to_owned);
    let written = match (written, &message.content) {
        (None, InboundContent::Reaction { emoji, .. }) => emoji.clone(),
        (written, _) => written,
    };
    let text = written
        .as_deref()
        .map(|text| TextBody(keep::beginning(text).to_owned()));
    let payload = message.content.tapped_payload();
    let payload = payload.map(|payload| TextBody(keep::beginning(payload).to_owned()));
    let details = details(&message.raw);
    let cut = [&written, &message.content.tapped_payload().map(ToOwned::to_owned)]
        .into_iter()
        .flatten()
        .any(|text| keep::json_bytes(text) > limits::PART_BYTES_MAX);
    if cut {
        plan.keep_whole("text_too_long");
    } else if matches!(details, Details::TooLarge) {
        plan.keep_whole("message_too_large");
    }
    let details = match details {
        Details::Some(details) => Some(InboundDetails(Value::Object(details))),
        Details::None | Details::TooLarge => None,
    };

    let wamid_hash = |id: &assent_whatsapp::Wamid| plan.platform.wamid_hash(id.as_str());
    let quoted = message.context.as_ref().and_then(|context| context.message_id.as_ref());
    let reacted_to = match &message.content {
        InboundContent::Reaction { message_id, .. } => message_id.as_ref(),
        _ => None,
    };
    let in_reply_to = quoted.or(reacted_to).map(wamid_hash);
    let profile_name = message.sender.profile_name.clone().map(ProfileName);
    let mut wanted: Vec<Wanted> = vec![(first, KeyClass::Content)];
    wanted.extend(person.identity_keys());
    let written_bytes = text.as_ref().map_or(0, |text| text.0.len());
    let size = (written_bytes + details.as_ref().map_or(0, |_| message.raw.len())) * 2 + SMALL_EVENT_BYTES;
    let opens_window = opens_window(&message);
    let kind = Term::from_provider(kind_of(&message.content));
    let (number, received_at) = (number.id.clone(), plan.now);
    let provider_at = plan.moment(message.timestamp);
    let wamid_hash = wamid_hash(&message.id);
    let file = file_of(plan, &message.content);
    let wamid = Wamid(message.id.into_string());
    let sealed = move |keys: &Keys| -> Result<ProviderEvent, KeyError> {
        let content = key(keys, first, KeyClass::Content);
        let identity = key(keys, first, KeyClass::Identity);
        let event = MessageReceived {
            number: number.clone(),
            wamid_hash,
            wamid: content.seal(&wamid, purpose::WAMID)?,
            from: person.sealed(keys)?,
            profile_name: seal(identity, profile_name.as_ref(), purpose::PROFILE_NAME)?,
            kind: kind.clone(),
            text: seal(content, text.as_ref(), purpose::INBOUND)?,
            payload: seal(content, payload.as_ref(), purpose::INBOUND)?,
            file: match &file {
                Some((id, description)) => Some(ReceivedFile {
                    id: *id,
                    description: content.seal(description, purpose::FILE)?,
                }),
                None => None,
            },
            details: seal(content, details.as_ref(), purpose::INBOUND_DETAILS)?,
            in_reply_to,
            opens_window,
            provider_at,
            received_at,
        };
        Ok(Box::new(event).into())
    };
    Ok(vec![Planned {
        stream: plan
            .platform
            .stream_of(StreamCategory::Provider, Subject::Person(first)),
        traceparent: None,
        wanted,
        size,
        event: Event::Sealed(Box::new(sealed)),
    }])
}

/// The file that came with a message, if Meta says by which id it is fetched.
fn file_of(plan: &Plan<'_>, content: &InboundContent) -> Option<(FileId, FileDescription)> {
    let InboundContent::Media(media) = content else {
        return None;
    };
    let provider_id = file_id(media)?.to_owned();
    let id = plan.platform.file_id(plan.party.id.as_str(), &provider_id);
    let short = |text: &Option<String>| {
        let text = text.as_deref()?;
        Some(text.chars().take(limits::FILE_TEXT_CHARS_MAX).collect())
    };
    Some((
        id,
        FileDescription {
            provider_id,
            media_type: short(&media.mime_type),
            sha256: short(&media.sha256),
            filename: short(&media.filename),
        },
    ))
}

fn file_id(media: &InboundMedia) -> Option<&str> {
    let id = media.id.as_deref()?;
    (id.len() <= limits::FILE_TEXT_CHARS_MAX).then_some(id)
}

/// What there is to a message beside its text.
enum Details {
    None,
    Some(Map<String, Value>),
    /// More than fits into an event beside the text.
    TooLarge,
}

/// Fields of a message that our event holds in fields of its own.
const OWN_FIELDS: [&str; 5] = ["from", "from_user_id", "from_parent_user_id", "id", "timestamp"];

/// The message without those fields, unless it is a text and nothing else.
fn details(raw: &str) -> Details {
    let Ok(Value::Object(mut message)) = serde_json::from_str(raw) else {
        return Details::None;
    };
    message.retain(|field, _| !OWN_FIELDS.contains(&field.as_str()));
    let is_plain = message.keys().all(|field| field == "type" || field == "text");
    if is_plain && message.contains_key("text") {
        return Details::None;
    }
    if raw.len() > limits::DETAILS_BYTES_MAX {
        return Details::TooLarge;
    }
    Details::Some(message)
}

/// Whether a message is something the person wrote to us now. Groups have no customer service window.
fn opens_window(message: &InboundMessage) -> bool {
    let written = !matches!(
        message.content,
        InboundContent::System(_) | InboundContent::Changed { .. }
    );
    written && message.group_id.is_none()
}

fn kind_of(content: &InboundContent) -> &str {
    match content {
        InboundContent::Other { kind, .. } | InboundContent::Changed { kind, .. } => kind,
        known => known.kind(),
    }
}

/// A person's choice in WhatsApp's own control.
pub(super) fn preference(plan: &Plan<'_>, number: &Number, change: &PreferenceChange) -> Result<Planned, Unplanned> {
    let person = Person::of(plan, &change.user)?;
    let stream = plan
        .platform
        .stream_of(StreamCategory::Provider, Subject::Person(person.first()));
    let wanted = person.identity_keys().collect();
    let (number, received_at) = (number.id.clone(), plan.now);
    let provider_at = plan.moment(change.timestamp);
    let category = Term::from_provider(change.category.as_deref().unwrap_or_default());
    let value = PreferenceValue::from(Term::from_provider(change.preference.as_str()));
    let sealed = move |keys: &Keys| -> Result<ProviderEvent, KeyError> {
        let event = PreferenceChanged {
            number: number.clone(),
            from: person.sealed(keys)?,
            category: category.clone(),
            value: value.clone(),
            provider_at,
            received_at,
        };
        Ok(event.into())
    };
    Ok(Planned {
        stream,
        traceparent: None,
        wanted,
        size: SMALL_EVENT_BYTES,
        event: Event::Sealed(Box::new(sealed)),
    })
}

//! From recorded events to public ones. What is sealed is opened for a whole batch with one query; without its key it is left
//! out.

use super::{
    recent::Recent,
    step::{SUBMITTED, Step, is_reaction, step_of},
};
use crate::{
    grpc::{read_error, unavailable},
    metrics,
};
use assent_api::{inbound, message, recipient, timestamp};
use assent_domain::{
    delivery::DeliveryState,
    events::{
        ContactEvent, DecodeError, LiftReason, MessageReceived, NumberEvent, ProviderEvent, ReceivedFile,
        StreamCategory, SuppressionEvent, TemplateEvent,
    },
    values::{
        Alias, CategorySet, ContactId, FileDescription, InboundDetails, MessageId, ProfileName, TenantId, TextBody,
        Timestamp, Wamid,
    },
};
use assent_event_store::{KeyError, LoadedKeys, RecordedEvent, ShardId, StreamId};
use assent_proto::v1::{self, EventKind, event::Payload};
use assent_runtime::{
    api_error::ApiError,
    facts::Facts,
    log,
    platform::Platform,
    streams::{Subject, purpose},
};
use assent_sealed::KeyId;
use serde::Deserialize;
use std::borrow::Cow;

/// The kind of public event that a recorded one is; `None` for what is not shown. Looks at names only.
pub(super) fn kind_of(wire_name: &str) -> Option<EventKind> {
    match wire_name {
        "provider.message_received" => Some(EventKind::InboundMessage),
        "provider.status_reported" => Some(EventKind::MessageState),
        "contact.opted_in"
        | "contact.opted_out"
        | "contact.platform_stopped"
        | "contact.platform_resumed"
        | "contact.erased" => Some(EventKind::Consent),
        _ => match wire_name.split_once('.')?.0 {
            "request" | "decision" | "attempt" => Some(EventKind::MessageState),
            "suppression" => Some(EventKind::Suppression),
            "number" => Some(EventKind::Number),
            "template" => Some(EventKind::Template),
            _ => None,
        },
    }
}

/// Whether an event belongs to a tenant, by what stands beside it.
pub(super) fn is_of_tenant(event: &RecordedEvent, tenant: &TenantId) -> bool {
    #[derive(Deserialize)]
    struct Meta<'a> {
        #[serde(borrow, default)]
        tenant: Option<Cow<'a, str>>,
    }
    serde_json::from_slice::<Meta<'_>>(&event.meta).is_ok_and(|meta| meta.tenant.as_deref() == Some(tenant.as_str()))
}

/// Makes public events for one subscriber.
#[derive(Debug)]
pub(super) struct Show {
    platform: Platform,
    tenant: TenantId,
    shard: ShardId,
    recent: Recent,
}

impl Show {
    pub(super) fn new(platform: Platform, tenant: TenantId, shard: ShardId) -> Self {
        Self {
            platform,
            tenant,
            shard,
            recent: Recent::default(),
        }
    }

    /// The public events that recorded ones are, in order. What cannot be read is left out and counted.
    pub(super) async fn events<'a>(
        &mut self,
        recorded: impl Iterator<Item = &'a RecordedEvent>,
    ) -> Result<Vec<v1::Event>, ApiError> {
        let mut shown = Vec::new();
        let (mut inbound, mut sent) = (Vec::new(), Vec::new());
        for event in recorded {
            match self.payload(event) {
                Ok(Some(Shown::Ready(kind, payload))) => shown.push(event_of(event, kind, *payload)),
                Ok(Some(Shown::State(step))) => {
                    let is_reaction = self.recent.is_reaction(step.message);
                    if step.state == DeliveryState::Sent && is_reaction.is_none() {
                        sent.push((shown.len(), step.message));
                    }
                    let change = Payload::MessageState(step.render(is_reaction.unwrap_or(false)));
                    shown.push(event_of(event, EventKind::MessageState, change));
                }
                Ok(Some(Shown::Inbound(received))) => {
                    inbound.push((shown.len(), event, received));
                    // Filled in below: its keys are loaded with those of the others.
                    shown.push(event_of(
                        event,
                        EventKind::InboundMessage,
                        Payload::InboundMessage(v1::InboundMessage::default()),
                    ));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(shard = event.shard.0, position = event.position, %error, "an event cannot be shown");
                    metrics::skipped("undecodable");
                }
            }
        }
        if !inbound.is_empty() {
            self.open(&inbound, &mut shown).await?;
        }
        if !sent.is_empty() {
            self.end_reactions(&sent, &mut shown).await?;
        }
        Ok(shown)
    }

    fn payload(&mut self, event: &RecordedEvent) -> Result<Option<Shown>, DecodeError> {
        let ready = |kind, payload| Ok(Some(Shown::Ready(kind, Box::new(payload))));
        match kind_of(event.kind.as_str()) {
            Some(EventKind::MessageState) => {
                if event.kind.as_str() == SUBMITTED {
                    self.recent.note(MessageId::new(event.stream.key), is_reaction(event)?);
                }
                let step = step_of(event)?.filter(|step| self.recent.rises(step.message, step.state));
                Ok(step.map(Box::new).map(Shown::State))
            }
            Some(EventKind::InboundMessage) => match log::read::<ProviderEvent>(event)? {
                ProviderEvent::MessageReceived(received) => Ok(Some(Shown::Inbound(received))),
                _ => Ok(None),
            },
            Some(EventKind::Consent) => ready(EventKind::Consent, Payload::Consent(consent(event)?)),
            Some(EventKind::Suppression) => ready(EventKind::Suppression, Payload::Suppression(suppression(event)?)),
            Some(EventKind::Number) => ready(EventKind::Number, Payload::Number(number(event)?)),
            Some(EventKind::Template) => ready(EventKind::Template, Payload::Template(template(event)?)),
            Some(EventKind::Unspecified) | None => Ok(None),
        }
    }

    /// Marks as final what was said to be sent and is a reaction. For messages whose request this subscription has not seen:
    /// all of a batch with one query.
    async fn end_reactions(&mut self, sent: &[(usize, MessageId)], shown: &mut [v1::Event]) -> Result<(), ApiError> {
        let stream = |message| {
            self.platform
                .stream_of(StreamCategory::Request, Subject::Message(message))
        };
        let streams: Vec<StreamId> = sent.iter().map(|(_, message)| stream(*message)).collect();
        let requests = self.platform.store.read_streams(self.shard, &streams).await;
        let requests = requests.map_err(read_error)?;
        for ((index, message), stream) in sent.iter().zip(&streams) {
            let request = requests.get(stream).and_then(|events| events.first());
            let is_reaction = request.is_some_and(|event| is_reaction(event).unwrap_or(false));
            self.recent.note(*message, is_reaction);
            if let Some(Payload::MessageState(change)) = &mut shown[*index].payload {
                change.r#final = DeliveryState::Sent.is_final_of(is_reaction);
            }
        }
        Ok(())
    }

    /// Opens what people wrote, all of a batch with one query for the keys and one for the contacts.
    async fn open(
        &self,
        inbound: &[(usize, &RecordedEvent, Box<MessageReceived>)],
        shown: &mut [v1::Event],
    ) -> Result<(), ApiError> {
        let keys = inbound.iter().flat_map(|(_, _, received)| keys_of(received));
        let keys = self.platform.keys.load(keys, time::OffsetDateTime::now_utc()).await;
        let keys = keys.map_err(|error| {
            if error.is_retryable() {
                unavailable()
            } else {
                ApiError::internal(error)
            }
        })?;
        let named = |received: &MessageReceived| {
            let alias = received.from.first()?.hash;
            Some(self.platform.contact_id(self.tenant.as_str(), alias))
        };
        let facts = self.platform.facts(self.shard, |wanted| {
            for (_, _, received) in inbound {
                if let Some(contact) = named(received) {
                    wanted.contact(contact);
                }
            }
        });
        let facts = facts.await.map_err(read_error)?;
        for (index, event, received) in inbound {
            let written = written(event, received, named(received), &facts, &keys).map_err(ApiError::internal)?;
            shown[*index].payload = Some(Payload::InboundMessage(written));
        }
        Ok(())
    }
}

enum Shown {
    Ready(EventKind, Box<Payload>),
    State(Box<Step>),
    Inbound(Box<MessageReceived>),
}

fn event_of(event: &RecordedEvent, kind: EventKind, payload: Payload) -> v1::Event {
    v1::Event {
        position: event.position,
        event_id: event.id.to_string(),
        recorded_at: Some(timestamp::render(message::moment(event.recorded_at))),
        kind: kind.into(),
        payload: Some(payload),
    }
}

fn keys_of(received: &MessageReceived) -> impl Iterator<Item = KeyId> + '_ {
    let name = received.profile_name.iter().map(|sealed| sealed.key);
    let text = received.text.iter().map(|sealed| sealed.key);
    let file = received.file.iter().map(|file| file.description.key);
    let payload = received.payload.iter().map(|sealed| sealed.key);
    let details = received.details.iter().map(|sealed| sealed.key);
    let wamid = std::iter::once(received.wamid.key);
    let aliases = received
        .from
        .iter()
        .filter_map(|alias| Some(alias.sealed.as_ref()?.key));
    name.chain(text)
        .chain(payload)
        .chain(details)
        .chain(file)
        .chain(wamid)
        .chain(aliases)
}

fn written(
    event: &RecordedEvent,
    received: &MessageReceived,
    named: Option<ContactId>,
    facts: &Facts<'_>,
    keys: &LoadedKeys,
) -> Result<v1::InboundMessage, KeyError> {
    let mut from: Option<Alias> = None;
    for alias in received.from.iter().filter_map(|alias| alias.sealed.as_ref()) {
        if from.is_none() {
            from = keys.open(alias, purpose::ALIAS)?.value();
        }
    }
    let name: Option<ProfileName> = match &received.profile_name {
        Some(sealed) => keys.open(sealed, purpose::PROFILE_NAME)?.value(),
        None => None,
    };
    let text: Option<TextBody> = match &received.text {
        Some(sealed) => keys.open(sealed, purpose::INBOUND)?.value(),
        None => None,
    };
    let payload: Option<TextBody> = match &received.payload {
        Some(sealed) => keys.open(sealed, purpose::INBOUND)?.value(),
        None => None,
    };
    let details: Option<InboundDetails> = match &received.details {
        Some(sealed) => keys.open(sealed, purpose::INBOUND_DETAILS)?.value(),
        None => None,
    };
    let wamid: Option<Wamid> = keys.open(&received.wamid, purpose::WAMID)?.value();
    let mut message = v1::InboundMessage {
        inbound_id: event.id.to_string(),
        to: received.number.as_str().to_owned(),
        contact_id: named
            .map(|contact| facts.survivor(contact).0.to_string())
            .unwrap_or_default(),
        from: from.as_ref().map(recipient::render),
        profile_name: name.map(|name| name.0).unwrap_or_default(),
        r#type: received.kind.as_str().to_owned(),
        content: text.map(|text| v1::inbound_message::Content::Text(text.0)),
        file: match &received.file {
            Some(file) => Some(shown_file(file, keys)?),
            None => None,
        },
        provider_message_id: wamid.map(|wamid| wamid.0).unwrap_or_default(),
        payload: payload.map(|payload| payload.0).unwrap_or_default(),
        occurred_at: Some(timestamp::render(received.provider_at)),
        ..v1::InboundMessage::default()
    };
    if let Some(details) = &details {
        inbound::describe(details, &mut message);
    }
    Ok(message)
}

fn shown_file(file: &ReceivedFile, keys: &LoadedKeys) -> Result<v1::InboundFile, KeyError> {
    let description: Option<FileDescription> = keys.open(&file.description, purpose::FILE)?.value();
    let (media_type, filename) = description.map_or((None, None), |file| (file.media_type, file.filename));
    Ok(v1::InboundFile {
        file_id: file.id.to_string(),
        media_type: media_type.unwrap_or_default(),
        filename: filename.unwrap_or_default(),
        ..v1::InboundFile::default()
    })
}

fn consent(event: &RecordedEvent) -> Result<v1::ConsentChanged, DecodeError> {
    let mut changed = v1::ConsentChanged {
        contact_id: ContactId::new(event.stream.key).to_string(),
        ..v1::ConsentChanged::default()
    };
    let of = |categories: &CategorySet, state: v1::ConsentState, since: Timestamp, source: &str| {
        let consent = |category| v1::CategoryConsent {
            category: assent_api::category::render(category).into(),
            state: state.into(),
            since: Some(timestamp::render(since)),
            source: source.to_owned(),
            event_id: event.id.to_string(),
        };
        categories.iter().map(consent).collect()
    };
    match log::read::<ContactEvent>(event)? {
        ContactEvent::OptedIn(given) => {
            let state = v1::ConsentState::OptedIn;
            changed.consents = of(&given.categories, state, given.given_at, given.source.as_str());
        }
        ContactEvent::OptedOut(given) => {
            let state = v1::ConsentState::OptedOut;
            changed.consents = of(&given.categories, state, given.given_at, given.source.as_str());
        }
        ContactEvent::PlatformStopped(_) => changed.platform_stopped = true,
        ContactEvent::PlatformResumed(_) => changed.platform_resumed = true,
        ContactEvent::Erased(_) => changed.erased = true,
        ContactEvent::AliasBound(_) | ContactEvent::Merged(_) | ContactEvent::MergedInto(_) => {}
    }
    Ok(changed)
}

fn suppression(event: &RecordedEvent) -> Result<v1::SuppressionChanged, DecodeError> {
    let mut suppression = v1::Suppression {
        contact_id: ContactId::new(event.stream.key).to_string(),
        active: true,
        ..v1::Suppression::default()
    };
    let mut evidence = v1::SuppressionEvidence {
        position: event.position,
        recorded_at: Some(timestamp::render(message::moment(event.recorded_at))),
        ..v1::SuppressionEvidence::default()
    };
    match log::read::<SuppressionEvent>(event)? {
        SuppressionEvent::Undeliverable(concluded) => {
            suppression.reason = v1::SuppressionReason::Undeliverable.into();
            suppression.since = Some(timestamp::render(concluded.failed_at));
            evidence.message_id = concluded.message.map(|message| message.to_string()).unwrap_or_default();
            evidence.provider_code = i32::try_from(concluded.code).unwrap_or_default();
            evidence.summary = format!(
                "Meta said that the person cannot be reached (error {}).",
                concluded.code
            );
        }
        SuppressionEvent::SuspectedBlocked(concluded) => {
            suppression.reason = v1::SuppressionReason::SuspectedBlocked.into();
            suppression.since = Some(timestamp::render(concluded.concluded_at));
            evidence.summary = format!(
                "{} messages in a row were sent since {} and none was delivered.",
                concluded.sent_without_delivery, concluded.first_sent_at
            );
        }
        SuppressionEvent::Lifted(lifted) => {
            suppression.active = false;
            suppression.ended_at = Some(timestamp::render(lifted.lifted_at));
            let why = match lifted.reason {
                LiftReason::PersonWrote => "The person wrote.",
                LiftReason::Delivered => "A message was delivered.",
                LiftReason::Requested => "Somebody lifted it.",
            };
            why.clone_into(&mut evidence.summary);
        }
    }
    suppression.evidence = vec![evidence];
    Ok(v1::SuppressionChanged {
        suppression: Some(suppression),
    })
}

fn number(event: &RecordedEvent) -> Result<v1::NumberChanged, DecodeError> {
    let NumberEvent::Observed(seen) = log::read::<NumberEvent>(event)?;
    let recorded_at = message::moment(event.recorded_at);
    Ok(v1::NumberChanged {
        phone_number_id: seen.number.as_str().to_owned(),
        change: Some(crate::grpc::render_change(&seen, event.position, recorded_at)),
    })
}

fn template(event: &RecordedEvent) -> Result<v1::TemplateChanged, DecodeError> {
    let TemplateEvent::Observed(seen) = log::read::<TemplateEvent>(event)?;
    Ok(v1::TemplateChanged {
        waba_id: seen.waba.as_str().to_owned(),
        name: seen.template.name.as_str().to_owned(),
        language: seen.template.language.as_str().to_owned(),
        provider_status: seen.status.as_str().to_ascii_uppercase(),
        category: assent_api::category::render(seen.category).into(),
        reason: seen.reason.map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_domain::events::{AttemptEvent, DecisionEvent, DomainEvent as _};

    #[test]
    fn every_event_of_ours_has_a_kind_or_is_left_out_on_purpose() {
        let shown = |names: &[(&str, u16)]| names.iter().filter(|(name, _)| kind_of(name).is_some()).count();
        assert_eq!(shown(DecisionEvent::TABLE), DecisionEvent::TABLE.len());
        assert_eq!(shown(AttemptEvent::TABLE), AttemptEvent::TABLE.len());
        assert_eq!(shown(SuppressionEvent::TABLE), SuppressionEvent::TABLE.len());
        assert_eq!(shown(ProviderEvent::TABLE), 2);
        // Aliases and merges are not the tenant's business.
        assert_eq!(shown(ContactEvent::TABLE), ContactEvent::TABLE.len() - 3);
        assert_eq!(kind_of("pacing.braked"), None);
    }
}

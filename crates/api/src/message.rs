//! A message as it stands, out of its events.

use crate::{
    category,
    content::{self, ParsedContent, ParsedReference},
    decision, recipient, tags, timestamp, vocabulary,
};
use assent_domain::{
    delivery::{Delivery, DeliveryState},
    events::{AttemptEvent, Content, DecisionEvent, ProviderError, ProviderStatus, RequestEvent, Submitted},
    explain::{self, MessageEvent},
    values::{Alias, FreeFormBody, MessageId, TemplateComponents, TextBody, Timestamp, Wamid},
};
use assent_event_store::{KeyError, LoadedKeys, RecordedEvent};
use assent_proto::v1;
use assent_runtime::streams::purpose;
use assent_sealed::{KeyId, Sealed};
use assent_whatsapp::error_table;

/// Most events of a message that are shown.
pub const TIMELINE_MAX: usize = 500;

/// Everything that happened to one message, folded.
#[derive(Debug, Clone)]
pub struct Story {
    /// The message.
    pub id: MessageId,
    /// What was asked for.
    pub submitted: Box<Submitted>,
    /// The decision, if there is one.
    pub decision: Option<DecisionEvent>,
    /// How far it has come.
    pub delivery: Delivery,
    /// Whether the caller asked not to send it.
    pub cancel_requested: bool,
    /// How many attempts were started.
    pub attempts: u32,
    /// Whether an attempt may have repeated another.
    pub possible_duplicate: bool,
    /// What Meta said last when it did not take or not deliver it.
    pub provider_error: Option<ProviderError>,
    /// Meta's id of it.
    pub wamid: Option<Sealed<Wamid>>,
    /// When its state last changed.
    pub updated_at: Timestamp,
    events: Vec<Happened>,
}

/// One event of the story.
#[derive(Debug, Clone)]
struct Happened {
    position: u64,
    kind: String,
    recorded_at: Timestamp,
    state: DeliveryState,
    actor: String,
    event: MessageEvent,
}

/// What was sealed in a message's events, as far as its keys are still there.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// Whom it goes to.
    pub recipient: Option<Alias>,
    /// What it says.
    pub content: Option<ParsedContent>,
    /// The earlier message it refers to.
    pub refers_to: Option<ParsedReference>,
    /// Meta's id of it.
    pub wamid: Option<Wamid>,
}

impl Story {
    /// Folds the events of one message, in the order of the log: what `read_keys` answers for its id. `None` if it was never
    /// asked for. Events of a newer version, and those that are not about a message, are left out.
    pub fn of(id: MessageId, events: &[RecordedEvent]) -> Option<Self> {
        let mut story: Option<Self> = None;
        // Facts may stand in the log before the request they are about only if somebody else's hand was in it.
        for recorded in events {
            let read = MessageEvent::from_json(recorded.kind.as_str(), recorded.schema_version, &recorded.data);
            let event = match read {
                Ok(Some(event)) => event,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(position = recorded.position, %error, "an event was not understood");
                    continue;
                }
            };
            if story.is_none()
                && let MessageEvent::Request(RequestEvent::Submitted(submitted)) = &event
            {
                story = Some(Self::new(id, submitted.clone()));
            }
            if let Some(story) = &mut story {
                story.apply(recorded, event);
            }
        }
        story
    }

    fn new(id: MessageId, submitted: Box<Submitted>) -> Self {
        Self {
            id,
            updated_at: submitted.accepted_at,
            submitted,
            decision: None,
            delivery: Delivery::default(),
            cancel_requested: false,
            attempts: 0,
            possible_duplicate: false,
            provider_error: None,
            wamid: None,
            events: Vec::new(),
        }
    }

    fn apply(&mut self, recorded: &RecordedEvent, event: MessageEvent) {
        let before = self.delivery.state();
        let known = std::mem::take(&mut self.delivery);
        self.delivery = known.join(match &event {
            MessageEvent::Request(event) => Delivery::of_request(event),
            MessageEvent::Decision(event) => Delivery::of_decision(event),
            MessageEvent::Attempt(event) => Delivery::of_attempt(event),
            MessageEvent::Status(event) => Delivery::of_status(event),
        });
        match &event {
            MessageEvent::Request(RequestEvent::Submitted(_)) => {}
            MessageEvent::Request(RequestEvent::CancelRequested(_)) => self.cancel_requested = true,
            // The first decision stands.
            MessageEvent::Decision(event) => drop(self.decision.get_or_insert_with(|| event.clone())),
            MessageEvent::Attempt(event) => self.apply_attempt(event),
            MessageEvent::Status(event) => {
                if event.status == ProviderStatus::Failed {
                    let unknown = ProviderError { code: 0, subcode: None };
                    self.provider_error = Some(event.errors.first().copied().unwrap_or(unknown));
                }
            }
        }
        let recorded_at = moment(recorded.recorded_at);
        let state = self.delivery.state();
        if state != before {
            self.updated_at = recorded_at;
        }
        if self.events.len() < TIMELINE_MAX {
            self.events.push(Happened {
                position: recorded.position,
                kind: recorded.kind.to_string(),
                recorded_at,
                state,
                actor: recorded.meta().actor,
                event,
            });
        }
    }

    fn apply_attempt(&mut self, event: &AttemptEvent) {
        match event {
            AttemptEvent::Started(event) => {
                self.attempts += 1;
                self.possible_duplicate |= event.possible_duplicate_of.is_some();
            }
            AttemptEvent::Accepted(event) => self.wamid = event.wamid.clone().or(self.wamid.take()),
            AttemptEvent::Rejected(event) => self.provider_error = Some(event.error),
            AttemptEvent::Deferred(_)
            | AttemptEvent::OutcomeUnknown(_)
            | AttemptEvent::GivenUp(_)
            | AttemptEvent::Cancelled(_) => {}
        }
    }

    /// Where it stands.
    pub fn state(&self) -> DeliveryState {
        self.delivery.state()
    }

    /// Whether nothing more is expected to happen to it.
    pub fn is_final(&self) -> bool {
        self.state().is_final_of(self.submitted.content.is_reaction())
    }

    /// The keys that open what is sealed in it.
    pub fn keys(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.submitted.keys().chain(self.wamid.iter().map(|wamid| wamid.key))
    }

    /// Opens what is sealed in it with the keys that are still there.
    pub fn open(&self, keys: &LoadedKeys) -> Result<Opened, KeyError> {
        let content = match &self.submitted.content {
            Content::Template { template, components } => {
                let components: Option<TemplateComponents> = keys.open(components, purpose::CONTENT)?.value();
                components.map(|components| ParsedContent::Template {
                    template: template.clone(),
                    components,
                })
            }
            Content::Text { body, preview_url } => {
                let body: Option<TextBody> = keys.open(body, purpose::CONTENT)?.value();
                body.map(|body| ParsedContent::Text {
                    body,
                    preview_url: *preview_url,
                })
            }
            Content::FreeForm { form, body } => {
                let body: Option<FreeFormBody> = keys.open(body, purpose::CONTENT)?.value();
                body.map(|body| ParsedContent::FreeForm { form: *form, body })
            }
        };
        let refers_to = match &self.submitted.refers_to {
            Some(reference) => {
                let wamid = keys.open(&reference.wamid, purpose::WAMID)?.value();
                // As the caller named it.
                let ours = reference.message.map(ParsedReference::Ours);
                ours.or_else(|| wamid.map(ParsedReference::Provider))
            }
            None => None,
        };
        let wamid = match &self.wamid {
            Some(wamid) => keys.open(wamid, purpose::WAMID)?.value(),
            None => None,
        };
        Ok(Opened {
            recipient: keys
                .open(&self.submitted.recipient.address, purpose::RECIPIENT)?
                .value(),
            content,
            refers_to,
            wamid,
        })
    }

    /// The message as it stands, without its timeline.
    pub fn render(&self, opened: &Opened) -> v1::Message {
        let state = self.state();
        let judged_as = match &self.decision {
            Some(DecisionEvent::Authorized(authorized)) => Some(authorized.category),
            Some(DecisionEvent::Refused(_) | DecisionEvent::Expired(_)) | None => self.submitted.purpose,
        };
        v1::Message {
            message_id: self.id.to_string(),
            from: self.submitted.sender.to_string(),
            to: opened.recipient.as_ref().map(recipient::render),
            content: opened
                .content
                .as_ref()
                .map(|content| content::render(content, opened.refers_to.as_ref())),
            category: category::render_option(judged_as),
            state: vocabulary::state(state).into(),
            r#final: self.is_final(),
            decision: self.decision.as_ref().map(decision::render),
            provider_error: self.provider_error.map(render_error),
            attempts: self.attempts,
            possible_duplicate: self.possible_duplicate,
            provider_message_id: opened.wamid.clone().map(|wamid| wamid.0).unwrap_or_default(),
            tags: tags::render(&self.submitted.tags),
            accepted_at: Some(timestamp::render(self.submitted.accepted_at)),
            updated_at: Some(timestamp::render(self.updated_at)),
            expires_at: Some(timestamp::render(self.submitted.expires_at)),
            timeline: Vec::new(),
            campaign: self
                .submitted
                .campaign
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        }
    }

    /// Its events, one sentence each, in the order of the log.
    pub fn timeline(&self) -> Vec<v1::TimelineEntry> {
        let entry = |happened: &Happened| {
            let occurred_at = match &happened.event {
                MessageEvent::Status(status) => Some(timestamp::render(status.provider_at)),
                MessageEvent::Request(_) | MessageEvent::Decision(_) | MessageEvent::Attempt(_) => None,
            };
            v1::TimelineEntry {
                position: happened.position,
                r#type: happened.kind.clone(),
                recorded_at: Some(timestamp::render(happened.recorded_at)),
                occurred_at,
                state: vocabulary::state(happened.state).into(),
                summary: explain::explain([&happened.event])
                    .pop()
                    .map(|sentence| sentence.text)
                    .unwrap_or_default(),
                actor: happened.actor.clone(),
            }
        };
        self.events.iter().map(entry).collect()
    }

    /// Its story in sentences, each with its moment.
    pub fn sentences(&self) -> Vec<String> {
        explain::explain(self.events.iter().map(|happened| &happened.event))
            .into_iter()
            .map(|sentence| format!("{}: {}", sentence.at, sentence.text))
            .collect()
    }
}

/// What Meta said, with what our table knows of it.
pub fn render_error(error: ProviderError) -> v1::ProviderError {
    let entry = error_table::look_up(error.code);
    v1::ProviderError {
        code: error.code,
        meaning: entry.meaning.to_owned(),
        remedy: entry.remedy.to_owned(),
    }
}

/// The moment an event was recorded.
pub fn moment(recorded_at: time::OffsetDateTime) -> Timestamp {
    Timestamp::from_micros(i64::try_from(recorded_at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX))
}

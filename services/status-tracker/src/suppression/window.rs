//! What the events since the last checkpoint say about who is reached, held in memory.
//!
//! A message that was sent and delivered within one window leaves one row about its person and none about itself. Everything
//! here is a union or a maximum, so neither the order of events nor where a window ends makes a difference.

use crate::metrics;
use assent_domain::{
    events::{MessageReceived, ProviderEvent, SuppressionEvent},
    values::{ContactId, MessageId, PhoneNumberId, TenantId, Timestamp},
};
use assent_event_store::RecordedEvent;
use assent_runtime::log;
use assent_sealed::AliasHash;
use assent_whatsapp::error_table::todays_code;
use serde::Deserialize;
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    time::Duration,
};

/// "Message undeliverable": not on WhatsApp, or a client too old.
/// Source: <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>.
pub(crate) const UNDELIVERABLE: i64 = 131_026;

/// Messages whose contact is remembered; of those before, twice as many. Older ones are looked up.
const CONTACTS_REMEMBERED_MAX: usize = 100_000;

/// Contacts of recent messages, in two generations so that forgetting costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Contacts {
    young: HashMap<MessageId, ContactId>,
    old: HashMap<MessageId, ContactId>,
}

impl Contacts {
    pub(crate) fn insert(&mut self, message: MessageId, contact: ContactId) {
        if self.young.len() >= CONTACTS_REMEMBERED_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(message, contact);
    }

    pub(crate) fn get(&self, message: MessageId) -> Option<ContactId> {
        self.young.get(&message).or_else(|| self.old.get(&message)).copied()
    }
}

/// How the callbacks of one of our numbers come in: silence counts only while they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    /// When the newest one arrived.
    pub(crate) last_at: Timestamp,
    /// Since when there was no long pause between two of them.
    pub(crate) steady_since: Timestamp,
}

/// Meta said that a person cannot be reached.
#[derive(Debug, Clone)]
pub(crate) struct Unreachable {
    pub(crate) message: MessageId,
    pub(crate) code: i64,
    pub(crate) failed_at: Timestamp,
    pub(crate) cause: RecordedEvent,
}

/// A person wrote.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) tenant: TenantId,
    pub(crate) aliases: Vec<AliasHash>,
    pub(crate) at: Timestamp,
    pub(crate) cause: RecordedEvent,
}

/// A message arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) at: Timestamp,
    /// Kept only while it may end a suppression.
    pub(crate) cause: RecordedEvent,
}

/// What is known of a person beyond what is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) delivered_at: Option<Timestamp>,
    pub(crate) alive_at: Option<Timestamp>,
    pub(crate) is_suppressed: Option<bool>,
}

/// Everything since the last checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// Events looked at.
    pub(crate) events: usize,
    pub(crate) sent: HashMap<MessageId, (PhoneNumberId, Timestamp)>,
    pub(crate) arrived: HashMap<MessageId, Arrived>,
    pub(crate) failed: HashSet<MessageId>,
    pub(crate) people: HashMap<ContactId, Person>,
    pub(crate) clocks: HashMap<PhoneNumberId, Clock>,
}

/// What a batch holds that is concluded from at once.
#[derive(Debug, Default)]
pub(crate) struct Urgent {
    pub(crate) unreachable: Vec<Unreachable>,
    pub(crate) written: Vec<Written>,
    /// Messages that arrived in this batch.
    pub(crate) arrived: Vec<MessageId>,
}

/// What is read of a decision; the rest is skipped.
#[derive(Deserialize)]
struct Authorized {
    contact: ContactId,
}

/// What is read of a status; the rest is skipped.
#[derive(Deserialize)]
struct Reported<'a> {
    number: PhoneNumberId,
    message: Option<MessageId>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    provider_at: Timestamp,
    received_at: Timestamp,
    #[serde(default)]
    errors: Vec<Code>,
}

#[derive(Deserialize)]
struct Code {
    code: i64,
}

/// What is read of a refused attempt.
#[derive(Deserialize)]
struct Rejected {
    error: Code,
    rejected_at: Timestamp,
}

fn read<'a, T: Deserialize<'a>>(event: &'a RecordedEvent) -> Option<T> {
    let read = (event.schema_version == 1).then(|| serde_json::from_slice(&event.data).ok());
    if let Some(read) = read.flatten() {
        return Some(read);
    }
    tracing::warn!(shard = event.shard.0, position = event.position, kind = %event.kind, "an event was not understood");
    metrics::skipped("undecodable");
    None
}

impl Window {
    /// Takes in one event. `pause_max` is the longest pause between two callbacks of a number that still counts as steady.
    pub(crate) fn take(
        &mut self,
        event: &RecordedEvent,
        contacts: &mut Contacts,
        urgent: &mut Urgent,
        pause_max: Duration,
    ) {
        self.events += 1;
        match event.kind.as_str() {
            "decision.authorized" => {
                if let Some(Authorized { contact }) = read(event) {
                    contacts.insert(MessageId::new(event.stream.key), contact);
                }
            }
            "provider.status_reported" => {
                if let Some(status) = read::<Reported<'_>>(event) {
                    self.take_status(status, event, urgent, pause_max);
                }
            }
            "attempt.rejected" => {
                if let Some(Rejected { error, rejected_at }) = read(event)
                    && todays_code(error.code) == UNDELIVERABLE
                {
                    urgent.unreachable.push(Unreachable {
                        message: MessageId::new(event.stream.key),
                        code: error.code,
                        failed_at: rejected_at,
                        cause: event.clone(),
                    });
                }
            }
            "provider.message_received" => {
                if let Ok(ProviderEvent::MessageReceived(received)) = log::read(event) {
                    self.take_written(&received, event, urgent, pause_max);
                }
            }
            "suppression.undeliverable" | "suppression.suspected_blocked" => {
                self.person(ContactId::new(event.stream.key)).is_suppressed = Some(true);
            }
            "suppression.lifted" => {
                if let Ok(SuppressionEvent::Lifted(lifted)) = log::read(event) {
                    let person = self.person(ContactId::new(event.stream.key));
                    person.is_suppressed = Some(false);
                    // What was sent before was known to whoever lifted it.
                    person.alive_at = person.alive_at.max(Some(lifted.lifted_at));
                }
            }
            _ => {}
        }
    }

    fn person(&mut self, contact: ContactId) -> &mut Person {
        self.people.entry(contact).or_default()
    }

    fn take_status(&mut self, status: Reported<'_>, event: &RecordedEvent, urgent: &mut Urgent, pause_max: Duration) {
        self.tick(&status.number, status.received_at, pause_max);
        let Some(message) = status.message else { return };
        match &*status.status {
            "sent" => {
                let sent = self.sent.entry(message).or_insert((status.number, status.provider_at));
                sent.1 = sent.1.min(status.provider_at);
            }
            "delivered" | "read" | "played" => {
                self.arrived
                    .entry(message)
                    .and_modify(|arrived| arrived.at = arrived.at.max(status.provider_at))
                    .or_insert_with(|| Arrived {
                        at: status.provider_at,
                        cause: event.clone(),
                    });
                urgent.arrived.push(message);
            }
            "failed" => {
                self.failed.insert(message);
                let code = status.errors.iter().map(|error| error.code);
                if let Some(code) = code.clone().find(|code| todays_code(*code) == UNDELIVERABLE) {
                    urgent.unreachable.push(Unreachable {
                        message,
                        code,
                        failed_at: status.provider_at,
                        cause: event.clone(),
                    });
                }
            }
            _ => {}
        }
    }

    fn take_written(
        &mut self,
        received: &MessageReceived,
        event: &RecordedEvent,
        urgent: &mut Urgent,
        pause_max: Duration,
    ) {
        self.tick(&received.number, received.received_at, pause_max);
        let Some(tenant) = log::tenant_of(event) else {
            metrics::skipped("no_tenant");
            return;
        };
        urgent.written.push(Written {
            tenant,
            aliases: received.from.iter().map(|alias| alias.hash).collect(),
            at: received.provider_at,
            cause: event.clone(),
        });
    }

    fn tick(&mut self, number: &PhoneNumberId, at: Timestamp, pause_max: Duration) {
        if let Some(clock) = self.clocks.get_mut(number) {
            if at.since(clock.last_at) > pause_max {
                clock.steady_since = at;
            }
            clock.last_at = clock.last_at.max(at);
        } else {
            let clock = Clock {
                last_at: at,
                steady_since: at,
            };
            self.clocks.insert(number.clone(), clock);
        }
    }

    /// The newest callback of any number.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        self.clocks.values().map(|clock| clock.last_at).max()
    }

    /// Starts the next window; the clocks run on.
    pub(crate) fn clear(&mut self) {
        let clocks = std::mem::take(&mut self.clocks);
        *self = Self {
            clocks,
            ..Self::default()
        };
    }
}

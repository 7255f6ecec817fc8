//! What the gates look at, folded from the log: one query for a slice of messages.

use crate::{log, platform::Platform, streams::Subject};
use assent_domain::{
    Decider as _,
    contact::{Contact, ContactDecider},
    events::{
        AccountEvent, ContactEvent, DomainEvent, NumberEvent, ProviderEvent, StreamCategory, SuppressionEvent,
        TemplateEvent,
    },
    gates::{NumberFacts, SuppressionFacts, TemplateFacts},
    values::{ContactId, PhoneNumberId, TemplateRef, WabaId},
};
use assent_event_store::{ReadError, RecordedEvent, ShardId};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Which facts are wanted. Asking for the same thing often costs as much as asking once.
#[derive(Debug)]
pub struct Wanted<'a> {
    platform: &'a Platform,
    keys: HashSet<Uuid>,
}

impl Wanted<'_> {
    /// What is known of a contact: consent and suppression.
    pub fn contact(&mut self, contact: ContactId) {
        self.keys.insert(self.platform.key_of(Subject::Contact(contact)));
    }

    /// What is known of a number and the account it belongs to.
    pub fn number(&mut self, number: &PhoneNumberId, account: &WabaId) {
        self.keys.insert(self.platform.key_of(Subject::Number(number)));
        self.keys.insert(self.platform.key_of(Subject::Account(account)));
    }

    /// What is known of a template.
    pub fn template(&mut self, account: &WabaId, template: &TemplateRef) {
        self.keys
            .insert(self.platform.key_of(Subject::Template(account, template)));
    }

    /// Everything recorded about anything else, as it is: [`Facts::events`].
    pub fn events(&mut self, subject: Subject<'_>) {
        self.keys.insert(self.platform.key_of(subject));
    }
}

/// What the log said at one moment.
#[derive(Debug)]
pub struct Facts<'a> {
    platform: &'a Platform,
    events: HashMap<Uuid, Vec<RecordedEvent>>,
}

impl Platform {
    /// Reads the facts that `want` asks for, with one query; those of merged contacts with a second one.
    ///
    /// Errors: [`ReadError::NotUnderstood`] if a newer program wrote one of them. It may be a withdrawal: nobody is to judge
    /// without it.
    pub async fn facts(&self, shard: ShardId, want: impl FnOnce(&mut Wanted<'_>)) -> Result<Facts<'_>, ReadError> {
        let mut wanted = Wanted {
            platform: self,
            keys: HashSet::new(),
        };
        want(&mut wanted);
        let keys: Vec<Uuid> = wanted.keys.into_iter().collect();
        let mut facts = Facts {
            platform: self,
            events: understood(self.store.read_keys(shard, &keys).await?)?,
        };
        // A contact that goes on for another one may have ended in a third: follow to the end, no contact twice.
        let mut asked: HashSet<Uuid> = keys.into_iter().collect();
        loop {
            let next: HashSet<Uuid> = facts.survivors().filter(|key| asked.insert(*key)).collect();
            if next.is_empty() {
                return Ok(facts);
            }
            let keys: Vec<Uuid> = next.into_iter().collect();
            let more = understood(self.store.read_keys(shard, &keys).await?)?;
            facts.events.extend(more);
        }
    }
}

fn understood(events: HashMap<Uuid, Vec<RecordedEvent>>) -> Result<HashMap<Uuid, Vec<RecordedEvent>>, ReadError> {
    match events.values().flatten().find(|event| !log::is_understood(event)) {
        None => Ok(events),
        Some(unknown) => Err(ReadError::NotUnderstood {
            shard: unknown.shard,
            position: unknown.position,
        }),
    }
}

impl Facts<'_> {
    /// Everything recorded about a subject, in order.
    pub fn events(&self, subject: Subject<'_>) -> &[RecordedEvent] {
        self.events
            .get(&self.platform.key_of(subject))
            .map_or(&[], Vec::as_slice)
    }

    /// The domain events of one category about a subject, in order. Events of a newer version are left out, with a warning.
    pub fn of<'a, E: DomainEvent + 'a>(&'a self, subject: Subject<'_>) -> impl Iterator<Item = (&'a RecordedEvent, E)> {
        of_category::<E>(self.events(subject))
    }

    /// A contact as its own stream tells it, merged or not.
    pub fn contact(&self, contact: ContactId) -> Contact {
        let events: Vec<ContactEvent> = self.of(Subject::Contact(contact)).map(|(_, event)| event).collect();
        ContactDecider::fold(&events)
    }

    /// The contact that goes on for `contact`, itself if it was never merged.
    pub fn survivor(&self, contact: ContactId) -> (ContactId, Contact) {
        let (mut id, mut seen) = (contact, HashSet::new());
        loop {
            let contact = self.contact(id);
            match contact.merged_into() {
                // Streams that name each other cannot come from our deciders; they must not hang anybody either.
                Some(into) if seen.insert(id) => id = into,
                _ => return (id, contact),
            }
        }
    }

    /// Whether a contact is worth writing to, as the status-tracker concluded.
    pub fn suppression(&self, contact: ContactId) -> SuppressionFacts {
        let mut facts = SuppressionFacts::default();
        for (_, event) in self.of::<SuppressionEvent>(Subject::Contact(contact)) {
            facts.apply(&event);
        }
        facts
    }

    /// A number and its account.
    pub fn number(&self, number: &PhoneNumberId, account: &WabaId) -> NumberFacts {
        let mut facts = NumberFacts::default();
        for (recorded, NumberEvent::Observed(event)) in self.of::<NumberEvent>(Subject::Number(number)) {
            facts.observed(&event, recorded.version);
        }
        for (_, event) in self.of::<ProviderEvent>(Subject::Number(number)) {
            if let ProviderEvent::NumberChanged(event) = event {
                facts.changed(&event);
            }
        }
        for (_, AccountEvent::Observed(event)) in self.of::<AccountEvent>(Subject::Account(account)) {
            facts.account_observed(&event);
        }
        for (_, event) in self.of::<ProviderEvent>(Subject::Account(account)) {
            if let ProviderEvent::AccountChanged(event) = event {
                facts.account_changed(&event);
            }
        }
        facts
    }

    /// A template, if anything was concluded about it.
    pub fn template(&self, account: &WabaId, template: &TemplateRef) -> Option<TemplateFacts> {
        let subject = Subject::Template(account, template);
        let mut observed = self.of::<TemplateEvent>(subject);
        let (recorded, TemplateEvent::Observed(first)) = observed.next()?;
        let mut facts = TemplateFacts::new(&first, recorded.version);
        for (recorded, TemplateEvent::Observed(event)) in observed {
            facts.observed(&event, recorded.version);
        }
        for (_, event) in self.of::<ProviderEvent>(subject) {
            if let ProviderEvent::TemplateChanged(event) = event {
                facts.changed(&event);
            }
        }
        Some(facts)
    }

    fn survivors(&self) -> impl Iterator<Item = Uuid> + '_ {
        let contacts = self.events.iter().filter(|(_, events)| {
            let last = events.iter().rfind(|event| log::is_of(event, StreamCategory::Contact));
            last.is_some_and(|event| event.kind.as_str() == "contact.merged_into")
        });
        contacts.filter_map(|(key, _)| {
            let contact = self.contact(ContactId::new(*key));
            contact.merged_into().map(ContactId::uuid)
        })
    }
}

/// The domain events of one category among recorded ones. Those of a newer version are left out, with a warning.
pub fn of_category<'a, E: DomainEvent + 'a>(
    events: &'a [RecordedEvent],
) -> impl Iterator<Item = (&'a RecordedEvent, E)> {
    let of_category = events.iter().filter(|event| log::is_of(event, E::CATEGORY));
    of_category.filter_map(|recorded| match log::read::<E>(recorded) {
        Ok(event) => Some((recorded, event)),
        Err(error) => {
            tracing::warn!(shard = recorded.shard.0, position = recorded.position, %error, "an event was not understood");
            None
        }
    })
}

//! One person as the log knows them: all contacts that their aliases lead to.

use assent_domain::{
    Decider as _,
    contact::{Contact, ContactDecider, survivor_of},
    events::Merged,
    values::{ContactId, Timestamp},
};
use assent_event_store::Expected;
use assent_runtime::facts::Facts;
use std::borrow::Cow;

/// One person. Several contacts only where aliases were met apart and nothing has merged them yet: the spellings of a Mexican
/// number, say. They are judged as one: the most restrictive standing counts.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// Contacts that go on, each once, in the order of the aliases; never empty.
    contacts: Vec<(ContactId, Contact)>,
}

impl Person {
    /// The person that goes by the aliases from which `ids` derive, the address as given first.
    pub(crate) fn find(facts: &Facts<'_>, ids: impl IntoIterator<Item = ContactId>) -> Self {
        let mut contacts: Vec<(ContactId, Contact)> = Vec::with_capacity(1);
        for id in ids {
            let (id, contact) = facts.survivor(id);
            if contacts.iter().all(|(known, _)| *known != id) {
                contacts.push((id, contact));
            }
        }
        Self { contacts }
    }

    /// The contacts of which anything is known.
    pub(crate) fn known(&self) -> impl Iterator<Item = &(ContactId, Contact)> {
        self.contacts
            .iter()
            .filter(|(_, contact)| !matches!(contact, Contact::Unknown))
    }

    /// The contact that stands for the person: the one that goes on after a merge, or the one that the address as given
    /// would make.
    pub(crate) fn id(&self) -> ContactId {
        let known = self.known().map(|(id, _)| *id).reduce(survivor_of);
        known
            .or_else(|| self.contacts.first().map(|(id, _)| *id))
            .unwrap_or(ContactId::new(uuid::Uuid::nil()))
    }

    /// All contacts as one, as a merge would leave them.
    pub(crate) fn as_one(&self) -> Cow<'_, Contact> {
        let id = self.id();
        let own = self
            .contacts
            .iter()
            .find(|(own, _)| *own == id)
            .map(|(_, contact)| contact);
        let own = own.unwrap_or(&Contact::Unknown);
        if self.known().count() < 2 {
            return Cow::Borrowed(own);
        }
        let others = self.known().filter(|(other, _)| *other != id);
        Cow::Owned(others.fold(own.clone(), |one, (from, contact)| {
            let merged = Merged {
                from: *from,
                snapshot: contact.snapshot(*from),
                merged_at: Timestamp::from_micros(0),
            };
            ContactDecider::evolve(one, &merged.into())
        }))
    }

    /// The version of the stream of [`Self::id`].
    pub(crate) fn version(&self) -> u32 {
        let id = self.id();
        let own = self.contacts.iter().find(|(own, _)| *own == id);
        own.map_or(0, |(_, contact)| contact.version())
    }

    /// The streams that were looked at, with their versions. Whatever was found in none of them is guarded too: somebody may
    /// withdraw by a spelling that was never met before.
    pub(crate) fn guards(&self) -> impl Iterator<Item = (ContactId, Expected)> {
        self.contacts.iter().map(|(id, contact)| (*id, expected(contact)))
    }
}

/// What an append expects of a contact's stream.
pub(crate) fn expected(contact: &Contact) -> Expected {
    match contact.version() {
        0 => Expected::NoStream,
        version => Expected::Exact(version),
    }
}

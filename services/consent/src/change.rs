//! How a contact changes: whoever learned something says of whom and what, and this finds the contact, merges what turns out
//! to be one person, decides, and appends.

use crate::{
    metrics,
    person::{Person, expected},
    reader::HandleError,
};
use assent_domain::{
    Decider as _,
    contact::{Contact, ContactCommand, ContactDecider, ContactRejection},
    events::{ContactEvent, MergedInto, StreamCategory},
    values::{AliasRef, ContactId, TenantId, Timestamp},
};
use assent_event_store::{Append, AppendError, Expected, NewEvent, ShardId};
use assent_runtime::{
    facts::{Facts, Wanted},
    log::{self, Origin},
    platform::Platform,
    streams::Subject,
};
use assent_sealed::{AliasHash, KeyId};
use futures::future::join_all;
use std::time::Duration;

/// How long a contact that changed meanwhile is left alone, times the number of tries.
const AGAIN_AFTER: Duration = Duration::from_millis(2);

/// Something learned of a person.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// Names that are the person's for certain; bound to the contact. The first one makes the contact if there is none.
    pub(crate) aliases: Vec<AliasRef>,
    /// The contacts that these and all other spellings would make.
    pub(crate) contacts: Vec<ContactId>,
    /// What is to be done, in this order.
    pub(crate) commands: Vec<ContactCommand>,
    /// Whether somebody of whom nothing is known is worth a contact. If not, an erased one is left alone as well.
    pub(crate) creates: bool,
    /// Now.
    pub(crate) at: Timestamp,
}

impl Change {
    /// Something learned of whoever has these aliases, or perhaps goes by other spellings of them.
    pub(crate) fn of(
        platform: &Platform,
        tenant: &TenantId,
        aliases: Vec<AliasRef>,
        spellings: impl IntoIterator<Item = AliasHash>,
        at: Timestamp,
    ) -> Self {
        let hashes = aliases.iter().map(|alias| alias.hash).chain(spellings);
        let mut contacts: Vec<ContactId> = Vec::new();
        for hash in hashes {
            let contact = platform.contact_id(tenant.as_str(), hash);
            if !contacts.contains(&contact) {
                contacts.push(contact);
            }
        }
        Self {
            aliases,
            contacts,
            commands: Vec::new(),
            creates: true,
            at,
        }
    }

    pub(crate) fn want(&self, wanted: &mut Wanted<'_>) {
        self.contacts.iter().for_each(|contact| wanted.contact(*contact));
    }

    /// What happens if it is done to what `facts` tell.
    pub(crate) fn plan(&self, facts: &Facts<'_>) -> Result<Plan, ContactRejection> {
        let person = Person::find(facts, self.contacts.iter().copied());
        let contact = person.id();
        let known = person.known().find(|(id, _)| *id == contact);
        let mut plan = Plan {
            contact,
            after: known.map_or(Contact::Unknown, |(_, contact)| contact.clone()),
            is_known: known.is_some(),
            writes: Vec::new(),
        };
        let expects = expected(&plan.after);
        if !self.creates && (!plan.is_known || plan.after.is_erased()) {
            return Ok(plan);
        }
        let at = self.at;
        let mut events = Vec::new();
        for (from, other) in person.known().filter(|(id, _)| *id != contact) {
            let snapshot = other.snapshot(*from);
            plan.obey(
                ContactCommand::Merge {
                    from: *from,
                    snapshot,
                    at,
                },
                &mut events,
            )?;
            let ends = ContactDecider::decide(other, ContactCommand::MergeInto { into: contact, at })?;
            plan.write(*from, expected(other), ends);
        }
        for alias in &self.aliases {
            plan.obey(
                ContactCommand::BindAlias {
                    alias: alias.clone(),
                    at,
                },
                &mut events,
            )?;
        }
        // Every alias leads to the contact: from its own stream, if that is not the contact's.
        for own in self.contacts.iter().take(self.aliases.len()) {
            if *own != contact && facts.contact(*own) == Contact::Unknown {
                let leads = MergedInto {
                    into: contact,
                    merged_at: at,
                };
                plan.write(*own, Expected::NoStream, vec![leads.into()]);
            }
        }
        for command in &self.commands {
            plan.obey(command.clone(), &mut events)?;
        }
        plan.write(contact, expects, events);
        Ok(plan)
    }
}

/// What is to be written.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The contact that stands for the person.
    pub(crate) contact: ContactId,
    /// As it will be.
    pub(crate) after: Contact,
    /// Whether anything was known of the person before.
    pub(crate) is_known: bool,
    writes: Vec<(ContactId, Expected, Vec<ContactEvent>)>,
}

impl Plan {
    fn obey(&mut self, command: ContactCommand, events: &mut Vec<ContactEvent>) -> Result<(), ContactRejection> {
        for event in ContactDecider::decide(&self.after, command)? {
            self.after = ContactDecider::evolve(std::mem::take(&mut self.after), &event);
            events.push(event);
        }
        Ok(())
    }

    fn write(&mut self, contact: ContactId, expected: Expected, events: Vec<ContactEvent>) {
        if !events.is_empty() {
            self.writes.push((contact, expected, events));
        }
    }

    /// Whether it is all so already.
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The events to be written to the contact itself.
    pub(crate) fn own_events_mut(&mut self) -> Option<&mut Vec<ContactEvent>> {
        let contact = self.contact;
        self.writes
            .iter_mut()
            .find(|(id, ..)| *id == contact)
            .map(|(.., events)| events)
    }

    /// The append, and the contact's own new events as they will be recorded.
    pub(crate) fn append(&self, platform: &Platform, origin: &Origin) -> (Append, Vec<NewEvent>) {
        let mut append = Append::new();
        let mut own = Vec::new();
        for (contact, expected, events) in &self.writes {
            let stream = platform.stream_of(StreamCategory::Contact, Subject::Contact(*contact));
            let recorded: Vec<NewEvent> = events.iter().map(|event| log::record(event, origin)).collect();
            if *contact == self.contact {
                own.clone_from(&recorded);
            }
            append = append
                .write(stream, *expected, recorded)
                .sealed_with(events.iter().filter_map(key_of));
        }
        (append, own)
    }
}

/// The key that personal data in an event is sealed with.
fn key_of(event: &ContactEvent) -> Option<KeyId> {
    match event {
        ContactEvent::AliasBound(bound) => bound.alias.sealed.as_ref().map(|sealed| sealed.key),
        ContactEvent::OptedIn(opted_in) => opted_in.proof.as_ref().map(|sealed| sealed.key),
        ContactEvent::OptedOut(opted_out) => opted_out.proof.as_ref().map(|sealed| sealed.key),
        ContactEvent::PlatformStopped(_)
        | ContactEvent::PlatformResumed(_)
        | ContactEvent::Merged(_)
        | ContactEvent::MergedInto(_)
        | ContactEvent::Erased(_) => None,
    }
}

/// A change learned from the log itself.
#[derive(Debug)]
pub(crate) struct Learned {
    pub(crate) change: Change,
    pub(crate) origin: Origin,
}

/// Makes all changes, each as often as it takes, with one query for all that are left. Says which of them were about somebody
/// known, in their order.
pub(crate) async fn make_all(
    platform: &Platform,
    shard: ShardId,
    learned: Vec<Learned>,
) -> Result<Vec<bool>, HandleError> {
    let mut known = vec![false; learned.len()];
    let mut open: Vec<(usize, Learned)> = learned.into_iter().enumerate().collect();
    for tries in 1.. {
        if open.is_empty() {
            return Ok(known);
        }
        let want = |wanted: &mut Wanted<'_>| open.iter().for_each(|(_, learned)| learned.change.want(wanted));
        let facts = platform.facts(shard, want).await?;
        let mut appends = Vec::new();
        for (at, learned) in std::mem::take(&mut open) {
            match learned.change.plan(&facts) {
                Ok(plan) => {
                    known[at] = plan.is_known || !plan.is_empty();
                    metrics::changed("feed", !plan.is_empty());
                    if !plan.is_empty() {
                        let (append, _) = plan.append(platform, &learned.origin);
                        appends.push(async move { ((at, learned), platform.store.append(shard, append).await) });
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "something learned of a contact cannot be recorded");
                    metrics::skipped("rejected");
                }
            }
        }
        drop(facts);
        for ((at, mut learned), result) in join_all(appends).await {
            match result {
                Ok(_) => {}
                Err(AppendError::Conflict { .. } | AppendError::OutcomeUnknown { .. }) => open.push((at, learned)),
                Err(AppendError::KeysGone { .. }) => {
                    // Erased in between: the hash still finds the person.
                    learned.change.aliases.iter_mut().for_each(|alias| alias.sealed = None);
                    open.push((at, learned));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if !open.is_empty() {
            metrics::conflict("contact");
            tokio::time::sleep(AGAIN_AFTER * u32::min(tries, 100)).await;
        }
    }
    unreachable!("the loop ends when every change is made")
}

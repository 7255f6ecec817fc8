//! Forgetting a person: first recorded, then the keys of all their aliases are destroyed.
//!
//! Whoever asked is answered when both are done. Should the process end in between, the reader of withdrawals, whose checkpoint
//! lies before the recorded erasure, destroys the keys when it comes by: an erasure is confirmed by the checkpoint passing it.

use crate::reader::HandleError;
use assent_domain::{
    Decider as _,
    contact::{Contact, ContactDecider},
    events::ContactEvent,
    values::ContactId,
};
use assent_event_store::{Destruction, RecordedEvent, ShardId};
use assent_runtime::{facts::of_category, platform::Platform, streams::Subject};
use assent_sealed::AliasHash;
use time::OffsetDateTime;

/// A recorded erasure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Erasure {
    contact: ContactId,
    version: u32,
    at: OffsetDateTime,
}

impl Erasure {
    /// The erasure that this event records.
    pub(crate) fn of(event: &RecordedEvent) -> Self {
        Self {
            contact: ContactId::new(event.stream.key),
            version: event.version,
            at: event.recorded_at,
        }
    }
}

/// Destroys the keys once more for erasures that were recorded. Keys made since belong to somebody who came back, and stay.
pub(crate) async fn repeat(platform: &Platform, shard: ShardId, erasures: &[Erasure]) -> Result<(), HandleError> {
    if erasures.is_empty() {
        return Ok(());
    }
    let want = |wanted: &mut assent_runtime::facts::Wanted<'_>| {
        for erasure in erasures {
            wanted.contact(erasure.contact);
        }
    };
    let facts = platform.facts(shard, want).await?;
    let mut destructions = Vec::new();
    for erasure in erasures {
        let events = facts.events(Subject::Contact(erasure.contact));
        let aliases = aliases_before(events, erasure.version);
        destructions.extend(aliases.into_iter().map(|alias| Destruction { alias, at: erasure.at }));
    }
    platform.keys.replay_destructions(destructions).await?;
    Ok(())
}

/// The aliases a contact had before the event of that version.
fn aliases_before(events: &[RecordedEvent], version: u32) -> Vec<AliasHash> {
    let before = of_category::<ContactEvent>(events).filter(|(recorded, _)| recorded.version < version);
    let events: Vec<ContactEvent> = before.map(|(_, event)| event).collect();
    hashes(&ContactDecider::fold(&events))
}

/// The hashes of a contact's aliases.
pub(crate) fn hashes(contact: &Contact) -> Vec<AliasHash> {
    contact.aliases().map(|alias| alias.hash).collect()
}

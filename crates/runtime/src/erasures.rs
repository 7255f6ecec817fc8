//! Erasures, carried out again: on a key table that came out of a backup, or after a process ended half-way.
//!
//! An erasure is an event; the keys of the person's aliases are destroyed after it. The log is kept for ever and the keys are backed
//! up apart and for a short time. Whoever puts an older backup of the keys beside a newer log has keys that were destroyed: they
//! are destroyed again here, before the process serves anything. [`KeyRing::replayed`](assent_event_store::KeyRing::replayed)
//! says up to where that was done already, so that a usual start looks at little.

use crate::{facts::of_category, platform::Platform, streams::Subject};
use assent_domain::{
    Decider as _,
    contact::{Contact, ContactDecider},
    events::ContactEvent,
    values::ContactId,
};
use assent_event_store::{Destruction, KeyError, ReadError, RecordedEvent, ShardId};
use assent_sealed::AliasHash;
use time::OffsetDateTime;

/// The event that records an erasure.
pub const ERASED: &str = "contact.erased";

/// Erasures whose contacts are read by one query.
const ERASURES_AT_ONCE: usize = 200;

/// A recorded erasure.
#[derive(Debug, Clone, Copy)]
pub struct Erasure {
    contact: ContactId,
    version: u32,
    position: u64,
    at: OffsetDateTime,
}

impl Erasure {
    /// The erasure that an event named [`ERASED`] records.
    pub fn of(event: &RecordedEvent) -> Self {
        Self {
            contact: ContactId::new(event.stream.key),
            version: event.version,
            position: event.position,
            at: event.recorded_at,
        }
    }
}

/// Why erasures were not carried out. To be tried again; nothing may be served before.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// The log cannot be read.
    #[error("the log cannot be read for erasures")]
    Read(#[from] ReadError),
    /// Keys cannot be destroyed, or it cannot be read or written up to where they were.
    #[error("keys of erased people cannot be destroyed")]
    Keys(#[from] KeyError),
}

impl Platform {
    /// Carries out again whatever was erased since the key table was last known to be right, and returns how many keys had come
    /// back.
    pub async fn catch_up_erasures(&self) -> Result<u64, ErasureError> {
        let mut destroyed = 0;
        for shard in self.store.shards() {
            let head = self.store.head(shard).await?;
            self.keys.take_back_replayed(shard, head).await?;
            let mut position = self.keys.replayed(shard).await?;
            while position < head {
                let (events, end) = self.store.scan_kind(shard, ERASED, position, head).await?;
                let erasures: Vec<Erasure> = events.iter().map(Erasure::of).collect();
                destroyed += self.repeat_erasures(shard, &erasures).await?;
                self.keys.set_replayed(shard, end).await?;
                position = end;
            }
        }
        if destroyed > 0 {
            tracing::warn!(
                destroyed,
                "keys of erased people were in the key table, as after a restore; they are destroyed again"
            );
        }
        Ok(destroyed)
    }

    /// Destroys the keys once more for erasures of a shard that were recorded, and returns how many there were. Keys made since
    /// belong to somebody who came back, and stay.
    pub async fn repeat_erasures(&self, shard: ShardId, erasures: &[Erasure]) -> Result<u64, ErasureError> {
        let mut destroyed = 0;
        for erasures in erasures.chunks(ERASURES_AT_ONCE) {
            let facts = self.facts(shard, |wanted| {
                for erasure in erasures {
                    wanted.contact(erasure.contact);
                }
            });
            let facts = facts.await?;
            let mut destructions = Vec::new();
            for erasure in erasures {
                let events = facts.events(Subject::Contact(erasure.contact));
                let aliases = aliases_before(events, erasure.version);
                destructions.extend(aliases.into_iter().map(|alias| Destruction { alias, at: erasure.at }));
            }
            destroyed += self.keys.replay_destructions(destructions).await?;
        }
        Ok(destroyed)
    }

    /// The same for erasures that come one after the other out of a reader that leaves none out: what came before them is
    /// known to be carried out too.
    pub async fn follow_erasures(&self, shard: ShardId, erasures: &[Erasure]) -> Result<(), ErasureError> {
        let Some(last) = erasures.last() else { return Ok(()) };
        self.repeat_erasures(shard, erasures).await?;
        Ok(self.keys.set_replayed(shard, last.position).await?)
    }
}

/// The aliases a contact had before the event of that version.
fn aliases_before(events: &[RecordedEvent], version: u32) -> Vec<AliasHash> {
    let before = of_category::<ContactEvent>(events).filter(|(recorded, _)| recorded.version < version);
    let events: Vec<ContactEvent> = before.map(|(_, event)| event).collect();
    hashes(&ContactDecider::fold(&events))
}

/// The hashes of a contact's aliases.
pub fn hashes(contact: &Contact) -> Vec<AliasHash> {
    contact.aliases().map(|alias| alias.hash).collect()
}

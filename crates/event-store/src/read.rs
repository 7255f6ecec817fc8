//! Reading the log.

use std::{collections::HashSet, sync::Arc};

use crate::event::{Name, RecordedEvent, ShardId};

/// Why a read has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database did not answer. Try again.
    #[error("the database did not answer the read")]
    Unavailable(#[source] sqlx::Error),
    /// Positions are missing from a shard. They are written without holes, so somebody removed events: run `verify`.
    #[error(
        "shard {shard} has a hole: after position {after} comes {found}; the log was changed from outside, run verify"
    )]
    Hole {
        /// The shard.
        shard: ShardId,
        /// The last position before the hole.
        after: u64,
        /// The next position there is.
        found: u64,
    },
    /// The event there is of a kind or a version that this program does not know. Whoever would act without it leaves the
    /// work to a newer program; see `docs/upgrading.md`.
    #[error("the event at position {position} of shard {shard} is newer than this program; run a newer Assent")]
    NotUnderstood {
        /// The shard.
        shard: ShardId,
        /// Where it stands.
        position: u64,
    },
    /// The store has no such shard.
    #[error("there is no shard {shard}; the store has {shards}, numbered from 0")]
    NoSuchShard {
        /// The shard asked for.
        shard: ShardId,
        /// How many the store has.
        shards: u16,
    },
}

impl From<sqlx::Error> for ReadError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error)
    }
}

/// A page of a shard has no holes: the positions of a shard are consecutive, and so are those of any range read of it.
pub(crate) fn check_contiguous(shard: ShardId, after: u64, events: &[RecordedEvent]) -> Result<(), ReadError> {
    let mut before = after;
    for event in events {
        if event.position != before + 1 {
            return Err(ReadError::Hole {
                shard,
                after: before,
                found: event.position,
            });
        }
        before = event.position;
    }
    Ok(())
}

/// Shares the few distinct categories and types among the many events of a read.
#[derive(Default)]
pub(crate) struct Names(HashSet<Arc<str>>);

impl Names {
    pub(crate) fn get(&mut self, name: &str) -> Name {
        if let Some(name) = self.0.get(name) {
            return name.clone().into();
        }
        let name: Arc<str> = name.into();
        self.0.insert(name.clone());
        name.into()
    }
}

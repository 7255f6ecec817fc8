//! The key table, in either database.

mod postgres;
mod sqlite;

use assent_sealed::{AliasHash, KeyClass, KeyId};
use time::OffsetDateTime;

use super::cache::Slot;
use crate::{EventStore, adapter::Adapter};

/// A key as it is stored.
#[derive(Debug)]
pub(crate) struct KeyRow {
    pub(crate) key: KeyId,
    pub(crate) wrapped: Vec<u8>,
    pub(crate) master: String,
    pub(crate) expires_at: Option<OffsetDateTime>,
}

/// A key to be made unless its slot has one.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) slot: &'a Slot,
    pub(crate) key: KeyId,
    pub(crate) wrapped: Vec<u8>,
}

/// What became of a candidate.
#[derive(Debug)]
pub(crate) enum Obtained {
    /// It is now the key of its slot.
    Made,
    /// The slot had a key.
    Found(KeyRow),
    /// The slot's key was destroyed in that moment.
    Gone,
}

/// A key wrapped anew.
#[derive(Debug)]
pub(crate) struct Rewrapped {
    pub(crate) key: KeyId,
    /// The master key that it was under.
    pub(crate) was: String,
    pub(crate) wrapped: Vec<u8>,
}

/// The key table of a store. Every statement is bounded by its caller.
#[derive(Debug, Clone)]
pub(crate) struct KeyTable {
    store: EventStore,
}

macro_rules! either {
    ($self:ident, $postgres:ident => $on_postgres:expr, $sqlite:ident => $on_sqlite:expr) => {
        match $self.store.adapter() {
            Adapter::Postgres($postgres) => $on_postgres.await,
            Adapter::Sqlite($sqlite) => $on_sqlite.await,
        }
    };
}

impl KeyTable {
    pub(crate) fn new(store: EventStore) -> Self {
        Self { store }
    }

    pub(crate) fn store(&self) -> &EventStore {
        &self.store
    }

    /// Whether a flush can make keys in the transaction of its events.
    pub(crate) fn takes_new_keys_in_flushes(&self) -> bool {
        matches!(self.store.adapter(), Adapter::Postgres(_))
    }

    /// The key of each candidate's slot, made if there is none. Candidates are sorted by slot.
    pub(crate) async fn obtain(
        &self,
        candidates: &[Candidate<'_>],
        master: &str,
        now: OffsetDateTime,
    ) -> Result<Vec<Obtained>, sqlx::Error> {
        either!(self,
            adapter => postgres::obtain(&adapter.pool, candidates, master, now),
            adapter => sqlite::obtain(adapter, candidates, master, now))
    }

    /// Those of the keys that there are.
    pub(crate) async fn load(&self, keys: &[KeyId]) -> Result<Vec<KeyRow>, sqlx::Error> {
        either!(self, adapter => postgres::load(&adapter.pool, keys), adapter => sqlite::load(&adapter.keys, keys))
    }

    /// Deletes the keys of aliases, if given only those made until then, and says which they were. Ordered with appends.
    pub(crate) async fn destroy(
        &self,
        aliases: &[AliasHash],
        classes: &[KeyClass],
        created_until: Option<OffsetDateTime>,
    ) -> Result<Vec<KeyId>, sqlx::Error> {
        either!(self,
            adapter => postgres::destroy(&adapter.pool, aliases, classes, created_until),
            adapter => sqlite::destroy(adapter, aliases, classes, created_until))
    }

    /// Deletes up to `limit` keys that have expired, and says how many they were. Ordered with appends.
    pub(crate) async fn expire(&self, now: OffsetDateTime, limit: usize) -> Result<u64, sqlx::Error> {
        either!(self,
            adapter => postgres::expire(&adapter.pool, now, limit),
            adapter => sqlite::expire(adapter, now, limit))
    }

    /// Up to `limit` keys that are not under `master`, by id, after `after`.
    pub(crate) async fn not_under(
        &self,
        master: &str,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<KeyRow>, sqlx::Error> {
        either!(self,
            adapter => postgres::not_under(&adapter.pool, master, after, limit),
            adapter => sqlite::not_under(&adapter.keys, master, after, limit))
    }

    /// Puts keys under `master`, except those that somebody changed meanwhile, and says how many they were.
    pub(crate) async fn rewrap(&self, keys: &[Rewrapped], master: &str) -> Result<u64, sqlx::Error> {
        either!(self,
            adapter => postgres::rewrap(&adapter.pool, keys, master),
            adapter => sqlite::rewrap(adapter, keys, master))
    }

    pub(crate) async fn count_under(&self, master: &str) -> Result<u64, sqlx::Error> {
        let count: i64 = either!(self,
            adapter => postgres::count_under(&adapter.pool, master),
            adapter => sqlite::count_under(&adapter.keys, master))?;
        Ok(count as u64)
    }
}

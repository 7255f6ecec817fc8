//! The messages that are open: in flight, of unknown outcome, or waiting for another try.
//!
//! In memory while a process watches a shard, and in the table `dispatcher_open` as of the checkpoint of its feed, written
//! in the same transaction. Only what differs from the last time is written, so a message that opens and closes between
//! two checkpoints costs nothing. The table is a read model: it could be rebuilt from the first event on.

use crate::tables;
use assent_domain::values::{MessageId, Timestamp};
use assent_event_store::{Checkpoint, EventStore, FeedError, ShardId};
use sqlx::Row as _;
use std::collections::{BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// Why a message is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum State {
    /// Its call is being made, or its process died.
    Flight,
    /// Its outcome is unknown.
    Unknown,
    /// It waits for another try.
    Retry,
}

impl State {
    /// Every state.
    pub(crate) const ALL: [Self; 3] = [Self::Flight, Self::Unknown, Self::Retry];

    /// For metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Flight => "flight",
            Self::Unknown => "unknown",
            Self::Retry => "retry",
        }
    }

    const fn code(self) -> i16 {
        match self {
            Self::Flight => 1,
            Self::Unknown => 2,
            Self::Retry => 3,
        }
    }

    const fn from_code(code: i16) -> Self {
        match code {
            1 => Self::Flight,
            2 => Self::Unknown,
            _ => Self::Retry,
        }
    }
}

/// An open message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) state: State,
    /// When it is to be looked at.
    pub(crate) due: Timestamp,
    /// A callback of the same number that came after the message had been listened for long enough.
    pub(crate) heard: Option<Timestamp>,
}

/// The open messages of a shard.
#[derive(Debug, Default)]
pub(crate) struct OpenSet {
    open: HashMap<MessageId, Open>,
    by_due: BTreeSet<(Timestamp, MessageId)>,
    by_state: HashMap<State, usize>,
    /// What the table holds.
    stored: HashMap<MessageId, (State, Timestamp)>,
    /// What may differ from the table.
    changed: HashSet<MessageId>,
}

/// What has to be written for the table to be as of now.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    upserts: Vec<(Uuid, i16, i64)>,
    deletes: Vec<Uuid>,
}

impl OpenSet {
    /// Opens a message, or changes why and until when it is open.
    pub(crate) fn put(&mut self, message: MessageId, state: State, due: Timestamp) {
        let heard = None;
        if let Some(before) = self.open.insert(message, Open { state, due, heard }) {
            self.by_due.remove(&(before.due, message));
            self.discount(before.state);
        }
        *self.by_state.entry(state).or_default() += 1;
        self.by_due.insert((due, message));
        self.changed.insert(message);
    }

    /// Looks at a message at another moment; nothing else about it changes.
    pub(crate) fn postpone(&mut self, message: MessageId, due: Timestamp) {
        let Some(open) = self.open.get_mut(&message) else {
            return;
        };
        self.by_due.remove(&(open.due, message));
        open.due = due;
        self.by_due.insert((due, message));
    }

    /// Notes that a message's number is alive, and looks at it now.
    pub(crate) fn heard(&mut self, message: MessageId, callback_at: Timestamp, now: Timestamp) {
        if let Some(open) = self.open.get_mut(&message) {
            open.heard = Some(callback_at);
        }
        self.postpone(message, now);
    }

    /// Closes a message.
    pub(crate) fn close(&mut self, message: MessageId) {
        if let Some(before) = self.open.remove(&message) {
            self.by_due.remove(&(before.due, message));
            self.discount(before.state);
            self.changed.insert(message);
        }
    }

    fn discount(&mut self, state: State) {
        if let Some(count) = self.by_state.get_mut(&state) {
            *count -= 1;
        }
    }

    /// An open message.
    pub(crate) fn get(&self, message: MessageId) -> Option<Open> {
        self.open.get(&message).copied()
    }

    /// How many are open for this reason.
    pub(crate) fn count(&self, state: State) -> usize {
        self.by_state.get(&state).copied().unwrap_or_default()
    }

    /// When the next one is to be looked at.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// Those to be looked at by `now`, at most `max`.
    pub(crate) fn due(&self, now: Timestamp, max: usize) -> Vec<(MessageId, Open)> {
        let due = self.by_due.iter().take_while(|(due, _)| *due <= now).take(max);
        due.map(|(_, message)| (*message, self.open[message])).collect()
    }

    /// What the table lacks.
    pub(crate) fn changes(&self) -> Changes {
        let mut changes = Changes::default();
        for message in &self.changed {
            match (self.open.get(message), self.stored.get(message)) {
                (Some(open), stored) if stored.is_none_or(|(state, _)| *state != open.state) => {
                    changes
                        .upserts
                        .push((message.uuid(), open.state.code(), open.due.as_micros()));
                }
                (None, Some(_)) => changes.deletes.push(message.uuid()),
                (Some(_) | None, _) => {}
            }
        }
        changes
    }

    /// The table is as of now.
    pub(crate) fn written(&mut self) {
        for message in self.changed.drain() {
            match self.open.get(&message) {
                Some(open) => drop(self.stored.insert(message, (open.state, open.due))),
                None => drop(self.stored.remove(&message)),
            }
        }
    }
}

const POSTGRES_TABLES: [&str; 2] = [
    "create schema if not exists assent_views",
    "create table if not exists assent_views.dispatcher_open (
         shard smallint not null, message uuid not null, state smallint not null, due_at bigint not null,
         primary key (shard, message))",
];

const SQLITE_TABLES: [&str; 1] = ["create table if not exists dispatcher_open (
         shard integer not null, message blob not null, state integer not null, due_at integer not null,
         primary key (shard, message)) without rowid"];

/// Makes the table, if it is not there.
pub(crate) async fn prepare(store: &EventStore) -> Result<(), sqlx::Error> {
    tables::make(store, &POSTGRES_TABLES, &SQLITE_TABLES).await
}

/// Reads the table: what was open at the checkpoint.
pub(crate) async fn load(store: &EventStore, shard: ShardId) -> Result<OpenSet, sqlx::Error> {
    let mut rows: Vec<(Uuid, i16, i64)> = Vec::new();
    if let Some(pool) = store.postgres() {
        let found = sqlx::query("select message, state, due_at from assent_views.dispatcher_open where shard = $1")
            .bind(shard.0 as i16)
            .fetch_all(pool)
            .await?;
        for row in found {
            rows.push((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        }
    }
    if let Some(pool) = store.sqlite() {
        let found = sqlx::query("select message, state, due_at from dispatcher_open where shard = ?1")
            .bind(shard.0)
            .fetch_all(pool)
            .await?;
        for row in found {
            rows.push((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        }
    }
    let mut set = OpenSet::default();
    for (message, state, due) in rows {
        set.put(
            MessageId::new(message),
            State::from_code(state),
            Timestamp::from_micros(due),
        );
    }
    set.written();
    Ok(set)
}

/// Writes the changes and moves the checkpoint, both or neither.
pub(crate) async fn save(
    store: &EventStore,
    shard: ShardId,
    changes: &Changes,
    step: &Checkpoint,
) -> Result<(), FeedError> {
    if let Some(pool) = store.postgres() {
        let mut transaction = pool.begin().await?;
        if !changes.deletes.is_empty() {
            sqlx::query("delete from assent_views.dispatcher_open where shard = $1 and message = any($2)")
                .bind(shard.0 as i16)
                .bind(&changes.deletes)
                .execute(&mut *transaction)
                .await?;
        }
        if !changes.upserts.is_empty() {
            let messages: Vec<Uuid> = changes.upserts.iter().map(|row| row.0).collect();
            let states: Vec<i16> = changes.upserts.iter().map(|row| row.1).collect();
            let dues: Vec<i64> = changes.upserts.iter().map(|row| row.2).collect();
            sqlx::query(
                "insert into assent_views.dispatcher_open (shard, message, state, due_at)
                 select $1, message, state, due_at from unnest($2::uuid[], $3::smallint[], $4::bigint[])
                     as opened (message, state, due_at)
                 on conflict (shard, message) do update set state = excluded.state, due_at = excluded.due_at",
            )
            .bind(shard.0 as i16)
            .bind(messages)
            .bind(states)
            .bind(dues)
            .execute(&mut *transaction)
            .await?;
        }
        step.commit_postgres(&mut transaction).await?;
        transaction.commit().await?;
    }
    if let Some(pool) = store.sqlite() {
        let mut transaction = pool.begin().await?;
        for message in &changes.deletes {
            sqlx::query("delete from dispatcher_open where shard = ?1 and message = ?2")
                .bind(shard.0)
                .bind(message)
                .execute(&mut *transaction)
                .await?;
        }
        for (message, state, due) in &changes.upserts {
            sqlx::query(
                "insert into dispatcher_open (shard, message, state, due_at) values (?1, ?2, ?3, ?4)
                 on conflict (shard, message) do update set state = excluded.state, due_at = excluded.due_at",
            )
            .bind(shard.0)
            .bind(message)
            .bind(state)
            .bind(due)
            .execute(&mut *transaction)
            .await?;
        }
        step.commit_sqlite(&mut transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u128) -> MessageId {
        MessageId::new(Uuid::from_u128(number))
    }

    const fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    #[test]
    fn a_message_that_opens_and_closes_between_two_checkpoints_costs_nothing() {
        let mut set = OpenSet::default();
        set.put(message(1), State::Flight, at(10));
        set.close(message(1));
        let changes = set.changes();
        assert!(changes.upserts.is_empty() && changes.deletes.is_empty());
    }

    #[test]
    fn only_what_differs_from_the_table_is_written() {
        let mut set = OpenSet::default();
        set.put(message(1), State::Flight, at(10));
        set.put(message(2), State::Unknown, at(20));
        assert_eq!(set.changes().upserts.len(), 2);
        set.written();
        assert_eq!(set.changes().upserts.len(), 0);
        set.put(message(1), State::Unknown, at(30));
        set.close(message(2));
        let changes = set.changes();
        assert_eq!(changes.upserts.len(), 1);
        assert_eq!(changes.deletes, [message(2).uuid()]);
        set.written();
        assert!(set.changes().deletes.is_empty());
    }

    #[test]
    fn messages_are_due_in_order_and_can_be_postponed() {
        let mut set = OpenSet::default();
        set.put(message(1), State::Flight, at(10));
        set.put(message(2), State::Retry, at(5));
        set.put(message(3), State::Retry, at(50));
        let due = |set: &OpenSet| {
            set.due(at(20), 10)
                .into_iter()
                .map(|(message, _)| message)
                .collect::<Vec<_>>()
        };
        assert_eq!(due(&set), [message(2), message(1)]);
        set.postpone(message(2), at(60));
        assert_eq!(due(&set), [message(1)]);
        set.close(message(1));
        assert_eq!(set.next_due(), Some(at(50)));
    }

    #[test]
    fn they_are_counted_by_why_they_are_open() {
        let mut set = OpenSet::default();
        set.put(message(1), State::Flight, at(10));
        set.put(message(2), State::Flight, at(10));
        set.put(message(2), State::Unknown, at(20));
        set.put(message(3), State::Retry, at(20));
        set.close(message(3));
        set.close(message(3));
        assert_eq!(State::ALL.map(|state| set.count(state)), [1, 1, 0]);
    }
}

//! The decider's own tables, in the read models' database: they can be made again from the log, and they commit with the
//! checkpoint. Meaning: *people* hold when somebody was last known to be reached, *waiting* the messages that were sent after
//! that, *clocks* how each number's callbacks come in.

use super::window::{Clock, Person};
use assent_domain::values::{ContactId, MessageId, PhoneNumberId, Timestamp};
use assent_event_store::{Checkpoint, EventStore, FeedError, ShardId};
use serde_json::json;
use sqlx::{PgPool, SqlitePool};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// People looked at in one search for silence.
pub(crate) const CANDIDATES_MAX: i64 = 500;

/// Meta gives up on a message after thirty days; so do we.
pub(crate) const WAITING_KEPT: Duration = Duration::from_hours(30 * 24);

/// The lock of everybody who makes something in the schema of the read models.
const LOCK: i64 = 7_310_578_193_325;

/// Where the tables are.
#[derive(Debug, Clone)]
pub(crate) enum Table {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

/// What a window leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) people: Vec<(ContactId, Person)>,
    pub(crate) waiting: Vec<(MessageId, ContactId, PhoneNumberId, Timestamp)>,
    pub(crate) failed: Vec<MessageId>,
    pub(crate) clocks: Vec<(PhoneNumberId, Clock)>,
}

/// What a reader starts with.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) suppressed: HashSet<ContactId>,
    pub(crate) clocks: HashMap<PhoneNumberId, Clock>,
}

/// A number with its two moments.
type ClockRow = (String, i64, i64);

/// Somebody who may have blocked us.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) contact: ContactId,
    pub(crate) delivered_at: Timestamp,
    pub(crate) silent: Vec<(MessageId, Timestamp)>,
}

struct Sql {
    people: &'static str,
    waiting: &'static str,
    reached: &'static str,
    failed: &'static str,
    clocks: &'static str,
    candidates: &'static str,
}

const POSTGRES: Sql = Sql {
    people: "insert into assent_views.tracker_people as p (shard, contact, delivered_at, alive_at, is_suppressed)
        select $1, (e ->> 0)::uuid, (e ->> 1)::bigint, (e ->> 2)::bigint, greatest((e ->> 3)::smallint, 0)
        from jsonb_array_elements($2::jsonb) e
        on conflict (shard, contact) do update set
            delivered_at = greatest(p.delivered_at, excluded.delivered_at),
            alive_at = greatest(p.alive_at, excluded.alive_at),
            is_suppressed = excluded.is_suppressed",
    waiting: "insert into assent_views.tracker_waiting (shard, message, contact, number, sent_at)
        select $1, (e ->> 0)::uuid, (e ->> 1)::uuid, e ->> 2, (e ->> 3)::bigint from jsonb_array_elements($2::jsonb) e
        where not exists (select 1 from assent_views.tracker_people p
            where p.shard = $1 and p.contact = (e ->> 1)::uuid and p.alive_at >= (e ->> 3)::bigint)
        on conflict do nothing",
    reached: "delete from assent_views.tracker_waiting w using assent_views.tracker_people p
        where w.shard = $1 and p.shard = $1 and p.contact = w.contact and w.sent_at <= p.alive_at
          and w.contact in (select e::uuid from jsonb_array_elements_text($2::jsonb) e)",
    failed: "delete from assent_views.tracker_waiting
        where shard = $1 and message in (select e::uuid from jsonb_array_elements_text($2::jsonb) e)",
    clocks: "insert into assent_views.tracker_clocks (shard, number, last_at, steady_since)
        select $1, e ->> 0, (e ->> 1)::bigint, (e ->> 2)::bigint from jsonb_array_elements($2::jsonb) e
        on conflict (shard, number) do update set last_at = excluded.last_at, steady_since = excluded.steady_since",
    candidates: "with ripe as (
            select w.contact, w.message, w.sent_at from assent_views.tracker_waiting w
            join assent_views.tracker_clocks c on c.shard = w.shard and c.number = w.number
            where w.shard = $1 and c.last_at - greatest(w.sent_at, c.steady_since) >= $2),
        many as (
            select r.contact, p.delivered_at from ripe r
            join assent_views.tracker_people p on p.shard = $1 and p.contact = r.contact
            where p.is_suppressed = 0 and p.delivered_at > 0
            group by r.contact, p.delivered_at having count(*) >= $3 order by r.contact limit $4)
        select r.contact::text, r.message::text, r.sent_at, m.delivered_at from ripe r join many m on m.contact = r.contact
        order by r.contact",
};

const SQLITE: Sql = Sql {
    people: "insert into tracker_people (shard, contact, delivered_at, alive_at, is_suppressed)
        select ?1, value ->> 0, value ->> 1, value ->> 2, max(value ->> 3, 0) from json_each(?2) where true
        on conflict (shard, contact) do update set
            delivered_at = max(delivered_at, excluded.delivered_at), alive_at = max(alive_at, excluded.alive_at),
            is_suppressed = excluded.is_suppressed",
    waiting: "insert into tracker_waiting (shard, message, contact, number, sent_at)
        select ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?2)
        where not exists (select 1 from tracker_people p
            where p.shard = ?1 and p.contact = value ->> 1 and p.alive_at >= value ->> 3)
        on conflict do nothing",
    reached: "delete from tracker_waiting where shard = ?1 and contact in (select value from json_each(?2))
        and sent_at <= (select alive_at from tracker_people p where p.shard = ?1 and p.contact = tracker_waiting.contact)",
    failed: "delete from tracker_waiting where shard = ?1 and message in (select value from json_each(?2))",
    clocks: "insert into tracker_clocks (shard, number, last_at, steady_since)
        select ?1, value ->> 0, value ->> 1, value ->> 2 from json_each(?2) where true
        on conflict (shard, number) do update set last_at = excluded.last_at, steady_since = excluded.steady_since",
    candidates: "with ripe as (
            select w.contact, w.message, w.sent_at from tracker_waiting w
            join tracker_clocks c on c.shard = w.shard and c.number = w.number
            where w.shard = ?1 and c.last_at - max(w.sent_at, c.steady_since) >= ?2),
        many as (
            select r.contact, p.delivered_at from ripe r
            join tracker_people p on p.shard = ?1 and p.contact = r.contact
            where p.is_suppressed = 0 and p.delivered_at > 0
            group by r.contact, p.delivered_at having count(*) >= ?3 order by r.contact limit ?4)
        select r.contact, r.message, r.sent_at, m.delivered_at from ripe r join many m on m.contact = r.contact
        order by r.contact",
};

const POSTGRES_TABLES: &str = "
    create schema if not exists assent_views;
    create table if not exists assent_views.tracker_people (
        shard smallint not null, contact uuid not null, delivered_at bigint not null, alive_at bigint not null,
        is_suppressed smallint not null, primary key (shard, contact));
    create index if not exists idx_tracker_people_suppressed on assent_views.tracker_people (shard)
        where is_suppressed = 1;
    create table if not exists assent_views.tracker_waiting (
        shard smallint not null, message uuid not null, contact uuid not null, number text not null,
        sent_at bigint not null, primary key (shard, message));
    create index if not exists idx_tracker_waiting_contact on assent_views.tracker_waiting (shard, contact);
    create table if not exists assent_views.tracker_clocks (
        shard smallint not null, number text not null, last_at bigint not null, steady_since bigint not null,
        primary key (shard, number));";

const SQLITE_TABLES: &str = "
    create table if not exists tracker_people (
        shard integer not null, contact text not null, delivered_at integer not null, alive_at integer not null,
        is_suppressed integer not null, primary key (shard, contact)) strict, without rowid;
    create index if not exists idx_tracker_people_suppressed on tracker_people (shard) where is_suppressed = 1;
    create table if not exists tracker_waiting (
        shard integer not null, message text not null, contact text not null, number text not null,
        sent_at integer not null, primary key (shard, message)) strict, without rowid;
    create index if not exists idx_tracker_waiting_contact on tracker_waiting (shard, contact);
    create table if not exists tracker_clocks (
        shard integer not null, number text not null, last_at integer not null, steady_since integer not null,
        primary key (shard, number)) strict, without rowid;";

/// Runs one statement with the shard and a JSON list, on either database.
macro_rules! run {
    ($transaction:expr, $sql:expr, $shard:expr, $list:expr) => {{
        let list: serde_json::Value = $list;
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            sqlx::query($sql)
                .bind($shard)
                .bind(list.to_string())
                .execute(&mut *$transaction)
                .await?;
        }
    }};
}

macro_rules! write_rows {
    ($transaction:expr, $sql:expr, $shard:expr, $rows:expr) => {{
        let (transaction, sql, shard, rows) = (&mut *$transaction, $sql, $shard, $rows);
        run!(transaction, sql.people, shard, people(&rows.people));
        run!(transaction, sql.waiting, shard, waiting(&rows.waiting));
        run!(transaction, sql.reached, shard, reached(&rows.people));
        run!(transaction, sql.failed, shard, messages(&rows.failed));
        run!(transaction, sql.clocks, shard, clocks(&rows.clocks));
    }};
}

fn micros(at: Option<Timestamp>) -> i64 {
    at.map_or(0, Timestamp::as_micros)
}

fn people(rows: &[(ContactId, Person)]) -> serde_json::Value {
    let row = |(contact, person): &(ContactId, Person)| {
        let is_suppressed = person.is_suppressed.map_or(0, i32::from);
        json!([
            contact.uuid(),
            micros(person.delivered_at),
            micros(person.alive_at),
            is_suppressed
        ])
    };
    rows.iter().map(row).collect()
}

fn reached(rows: &[(ContactId, Person)]) -> serde_json::Value {
    let reached = rows.iter().filter(|(_, person)| person.alive_at.is_some());
    reached.map(|(contact, _)| json!(contact.uuid())).collect()
}

fn waiting(rows: &[(MessageId, ContactId, PhoneNumberId, Timestamp)]) -> serde_json::Value {
    let row = |(message, contact, number, sent_at): &(MessageId, ContactId, PhoneNumberId, Timestamp)| {
        json!([message.uuid(), contact.uuid(), number.as_str(), sent_at.as_micros()])
    };
    rows.iter().map(row).collect()
}

fn messages(rows: &[MessageId]) -> serde_json::Value {
    rows.iter().map(|message| json!(message.uuid())).collect()
}

fn clocks(rows: &[(PhoneNumberId, Clock)]) -> serde_json::Value {
    let row = |(number, clock): &(PhoneNumberId, Clock)| {
        json!([
            number.as_str(),
            clock.last_at.as_micros(),
            clock.steady_since.as_micros()
        ])
    };
    rows.iter().map(row).collect()
}

impl Table {
    /// Makes the tables where they are missing.
    pub(crate) async fn open(store: &EventStore) -> Result<Self, sqlx::Error> {
        match (store.postgres(), store.sqlite()) {
            (Some(pool), _) => {
                let mut transaction = pool.begin().await?;
                sqlx::query("select pg_advisory_xact_lock($1)")
                    .bind(LOCK)
                    .execute(&mut *transaction)
                    .await?;
                sqlx::raw_sql(POSTGRES_TABLES).execute(&mut *transaction).await?;
                transaction.commit().await?;
                Ok(Self::Postgres(pool.clone()))
            }
            (None, Some(pool)) => {
                sqlx::raw_sql(SQLITE_TABLES).execute(pool).await?;
                Ok(Self::Sqlite(pool.clone()))
            }
            (None, None) => unreachable!("a store is in Postgres or in SQLite"),
        }
    }

    /// What was known at the checkpoint.
    pub(crate) async fn load(&self, shard: ShardId) -> Result<Loaded, sqlx::Error> {
        let shard = i32::from(shard.0);
        let (suppressed, clocks): (Vec<(String,)>, Vec<ClockRow>) = match self {
            Self::Postgres(pool) => {
                let people =
                    "select contact::text from assent_views.tracker_people where shard = $1 and is_suppressed = 1";
                let clocks = "select number, last_at, steady_since from assent_views.tracker_clocks where shard = $1";
                (
                    sqlx::query_as(people).bind(shard).fetch_all(pool).await?,
                    sqlx::query_as(clocks).bind(shard).fetch_all(pool).await?,
                )
            }
            Self::Sqlite(pool) => {
                let people = "select contact from tracker_people where shard = ?1 and is_suppressed = 1";
                let clocks = "select number, last_at, steady_since from tracker_clocks where shard = ?1";
                (
                    sqlx::query_as(people).bind(shard).fetch_all(pool).await?,
                    sqlx::query_as(clocks).bind(shard).fetch_all(pool).await?,
                )
            }
        };
        let suppressed = suppressed
            .iter()
            .filter_map(|(contact,)| contact.parse().ok())
            .collect();
        let clocks = clocks.into_iter().filter_map(|(number, last_at, steady_since)| {
            let clock = Clock {
                last_at: Timestamp::from_micros(last_at),
                steady_since: Timestamp::from_micros(steady_since),
            };
            Some((PhoneNumberId::try_new(&number).ok()?, clock))
        });
        Ok(Loaded {
            suppressed,
            clocks: clocks.collect(),
        })
    }

    /// Writes what a window leaves behind and moves the checkpoint, both or neither.
    pub(crate) async fn commit(&self, shard: ShardId, rows: &Rows, step: &Checkpoint) -> Result<(), FeedError> {
        let shard = i32::from(shard.0);
        match self {
            Self::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                write_rows!(transaction, POSTGRES, shard, rows);
                step.commit_postgres(&mut transaction).await?;
                transaction.commit().await?;
            }
            Self::Sqlite(pool) => {
                let mut transaction = pool.begin_with("begin immediate").await?;
                write_rows!(transaction, SQLITE, shard, rows);
                step.commit_sqlite(&mut transaction).await?;
                transaction.commit().await?;
            }
        }
        Ok(())
    }

    /// People to whom at least `messages_min` messages have waited for `silence` by their number's clock, and who had been
    /// reached before. At most [`CANDIDATES_MAX`].
    pub(crate) async fn candidates(
        &self,
        shard: ShardId,
        silence: Duration,
        messages_min: u32,
    ) -> Result<Vec<Candidate>, sqlx::Error> {
        let silence = i64::try_from(silence.as_micros()).unwrap_or(i64::MAX);
        let (shard, messages_min) = (i32::from(shard.0), i64::from(messages_min));
        let rows: Vec<(String, String, i64, i64)> = match self {
            Self::Postgres(pool) => {
                let query = sqlx::query_as(POSTGRES.candidates)
                    .bind(shard)
                    .bind(silence)
                    .bind(messages_min);
                query.bind(CANDIDATES_MAX).fetch_all(pool).await?
            }
            Self::Sqlite(pool) => {
                let query = sqlx::query_as(SQLITE.candidates)
                    .bind(shard)
                    .bind(silence)
                    .bind(messages_min);
                query.bind(CANDIDATES_MAX).fetch_all(pool).await?
            }
        };
        let mut candidates: Vec<Candidate> = Vec::new();
        for (contact, message, sent_at, delivered_at) in rows {
            let (Ok(contact), Ok(message)) = (contact.parse(), message.parse()) else {
                continue;
            };
            let silent = (message, Timestamp::from_micros(sent_at));
            match candidates.last_mut() {
                Some(before) if before.contact == contact => before.silent.push(silent),
                _ => candidates.push(Candidate {
                    contact,
                    delivered_at: Timestamp::from_micros(delivered_at),
                    silent: vec![silent],
                }),
            }
        }
        Ok(candidates)
    }

    /// Stops waiting for messages, and for all that were sent before a moment.
    pub(crate) async fn forget(
        &self,
        shard: ShardId,
        ended: &[MessageId],
        before: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let shard = i32::from(shard.0);
        match self {
            Self::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                run!(transaction, POSTGRES.failed, shard, messages(ended));
                sqlx::query("delete from assent_views.tracker_waiting where shard = $1 and sent_at < $2")
                    .bind(shard)
                    .bind(before.as_micros())
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await
            }
            Self::Sqlite(pool) => {
                let mut transaction = pool.begin_with("begin immediate").await?;
                run!(transaction, SQLITE.failed, shard, messages(ended));
                sqlx::query("delete from tracker_waiting where shard = ?1 and sent_at < ?2")
                    .bind(shard)
                    .bind(before.as_micros())
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await
            }
        }
    }
}

//! What only this service needs to know of people, folded from Meta's reports: when somebody wrote to a number, and who
//! cannot be reached. Rows are keyed by alias hash; every value is the latest moment seen, so that repeating and reordering
//! reports changes nothing.

use assent_domain::{
    gates::{SuppressionFacts, WindowFacts},
    values::{PhoneNumberId, Timestamp},
};
use assent_event_store::{Checkpoint, EventStore, FeedError, ShardId};
use assent_sealed::AliasHash;
use serde::Serialize;
use sqlx::Row as _;
use std::collections::HashMap;

/// The lock of everybody who makes something in the schema of the read models: two who make the schema at once would collide.
const SETUP_LOCK: i64 = 7_310_578_193_325;

/// Never: sorts before every moment.
const NEVER: i64 = 0;

/// When one person last wrote to one number, and when Meta last said that their window is closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) wrote_at: Option<Timestamp>,
    pub(crate) closed_at: Option<Timestamp>,
}

/// When Meta last said that an alias cannot be reached, and when something last proved otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) failed_at: Option<(Timestamp, i64)>,
    pub(crate) alive_at: Option<Timestamp>,
}

/// What a batch has to say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    pub(crate) windows: HashMap<(AliasHash, PhoneNumberId), Window>,
    pub(crate) reach: HashMap<AliasHash, Reach>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.windows.is_empty() && self.reach.is_empty()
    }

    pub(crate) fn wrote(&mut self, alias: AliasHash, number: &PhoneNumberId, at: Timestamp) {
        let window = self.windows.entry((alias, number.clone())).or_default();
        window.wrote_at = window.wrote_at.max(Some(at));
    }

    pub(crate) fn closed(&mut self, alias: AliasHash, number: &PhoneNumberId, at: Timestamp) {
        let window = self.windows.entry((alias, number.clone())).or_default();
        window.closed_at = window.closed_at.max(Some(at));
    }

    pub(crate) fn failed(&mut self, alias: AliasHash, code: i64, at: Timestamp) {
        let reach = self.reach.entry(alias).or_default();
        reach.failed_at = reach.failed_at.max(Some((at, code)));
    }

    pub(crate) fn alive(&mut self, alias: AliasHash, at: Timestamp) {
        let reach = self.reach.entry(alias).or_default();
        reach.alive_at = reach.alive_at.max(Some(at));
    }
}

/// What is known of some aliases.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Changes);

impl Seen {
    /// Adds what is not written yet.
    pub(crate) fn add(&mut self, changes: &Changes) {
        for ((alias, number), window) in &changes.windows {
            window.wrote_at.inspect(|at| self.0.wrote(*alias, number, *at));
            window.closed_at.inspect(|at| self.0.closed(*alias, number, *at));
        }
        for (alias, reach) in &changes.reach {
            reach.failed_at.inspect(|(at, code)| self.0.failed(*alias, *code, *at));
            reach.alive_at.inspect(|at| self.0.alive(*alias, *at));
        }
    }

    /// The window of a person, by any of their aliases, with one number.
    pub(crate) fn window(&self, aliases: &[AliasHash], number: &PhoneNumberId) -> WindowFacts {
        let mut facts = WindowFacts::default();
        for ((alias, of), window) in &self.0.windows {
            if of == number && aliases.contains(alias) {
                window.wrote_at.inspect(|at| facts.wrote(*at));
                window.closed_at.inspect(|at| facts.was_closed(*at));
            }
        }
        facts
    }

    /// Until when a window of these people is open, with any number.
    pub(crate) fn open_until(&self, aliases: &[AliasHash], now: Timestamp) -> Option<Timestamp> {
        let numbers = self.0.windows.keys().map(|(_, number)| number);
        numbers
            .filter_map(|number| self.window(aliases, number).open_until(now))
            .max()
    }

    /// Adds whether a person, by any of their aliases, cannot be reached.
    pub(crate) fn suppress(&self, aliases: &[AliasHash], facts: &mut SuppressionFacts) {
        for reach in aliases.iter().filter_map(|alias| self.0.reach.get(alias)) {
            reach
                .failed_at
                .inspect(|(at, code)| facts.failed_undeliverable(*code, *at));
            reach.alive_at.inspect(|at| facts.evidence_of_life(*at));
        }
    }
}

/// The tables.
#[derive(Debug, Clone)]
pub(crate) struct Views {
    store: EventStore,
}

#[derive(Serialize)]
struct WindowRow<'a> {
    alias: &'a AliasHash,
    number: &'a PhoneNumberId,
    wrote_at: i64,
    closed_at: i64,
}

#[derive(Serialize)]
struct ReachRow<'a> {
    alias: &'a AliasHash,
    code: i64,
    failed_at: i64,
    alive_at: i64,
}

/// Runs the same statements on either database: `$pool` is bound to whichever there is.
macro_rules! on_either {
    ($self:ident, |$pool:ident, $dialect:ident| $body:expr) => {
        if let Some($pool) = $self.store.postgres() {
            let $dialect = Dialect::Postgres;
            $body
        } else if let Some($pool) = $self.store.sqlite() {
            let $dialect = Dialect::Sqlite;
            $body
        } else {
            unreachable!("a store is in one of two databases")
        }
    };
}

impl Views {
    pub(crate) fn of(store: &EventStore) -> Self {
        Self { store: store.clone() }
    }

    /// Makes the tables unless they are there.
    pub(crate) async fn open(store: &EventStore) -> Result<Self, sqlx::Error> {
        let views = Self::of(store);
        if let Some(pool) = store.postgres() {
            let mut transaction = pool.begin().await?;
            sqlx::query("select pg_advisory_xact_lock($1)")
                .bind(SETUP_LOCK)
                .execute(&mut *transaction)
                .await?;
            sqlx::query("create schema if not exists assent_views")
                .execute(&mut *transaction)
                .await?;
            for table in Dialect::Postgres.tables() {
                sqlx::query(sqlx::AssertSqlSafe(table))
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
        } else if let Some(pool) = store.sqlite() {
            for table in Dialect::Sqlite.tables() {
                sqlx::query(sqlx::AssertSqlSafe(table)).execute(pool).await?;
            }
        }
        Ok(views)
    }

    /// Everything known of these aliases, with one query; none for no aliases.
    pub(crate) async fn seen(&self, aliases: &[AliasHash]) -> Result<Seen, sqlx::Error> {
        if aliases.is_empty() {
            return Ok(Seen::default());
        }
        let json = json(&aliases);
        let mut seen = Seen::default();
        on_either!(self, |pool, dialect| {
            for row in sqlx::query(dialect.select_seen()).bind(&json).fetch_all(pool).await? {
                let Some(alias) = parse_alias(row.get(0)) else { continue };
                let (first, second): (i64, i64) = (row.get(2), row.get(3));
                let number = row
                    .get::<Option<&str>, _>(1)
                    .and_then(|text| PhoneNumberId::try_new(text).ok());
                if let Some(number) = number {
                    moment(first).inspect(|at| seen.0.wrote(alias, &number, *at));
                    moment(second).inspect(|at| seen.0.closed(alias, &number, *at));
                } else {
                    let code: i64 = row.get(4);
                    moment(first).inspect(|at| seen.0.failed(alias, code, *at));
                    moment(second).inspect(|at| seen.0.alive(alias, *at));
                }
            }
        });
        Ok(seen)
    }

    /// Aliases of a shard with which something is the matter: who wrote since `since`, with that moment, and who cannot be
    /// reached, without one.
    pub(crate) async fn noted(
        &self,
        shard: ShardId,
        since: Timestamp,
    ) -> Result<Vec<(AliasHash, Option<Timestamp>)>, sqlx::Error> {
        let mut noted = Vec::new();
        on_either!(self, |pool, dialect| {
            let query = sqlx::query(dialect.select_noted())
                .bind(i32::from(shard.0))
                .bind(since.as_micros());
            for row in query.fetch_all(pool).await? {
                if let Some(alias) = parse_alias(row.get(0)) {
                    noted.push((alias, moment(row.get(1))));
                }
            }
        });
        Ok(noted)
    }

    /// Writes what a step of the reader says, and the step with it.
    pub(crate) async fn write(
        &self,
        shard: ShardId,
        changes: &Changes,
        checkpoint: &Checkpoint,
    ) -> Result<(), FeedError> {
        let micros = |at: Option<Timestamp>| at.map_or(NEVER, Timestamp::as_micros);
        let windows: Vec<WindowRow<'_>> = changes
            .windows
            .iter()
            .map(|((alias, number), window)| WindowRow {
                alias,
                number,
                wrote_at: micros(window.wrote_at),
                closed_at: micros(window.closed_at),
            })
            .collect();
        let reach: Vec<ReachRow<'_>> = changes
            .reach
            .iter()
            .map(|(alias, reach)| ReachRow {
                alias,
                code: reach.failed_at.map_or(0, |(_, code)| code),
                failed_at: micros(reach.failed_at.map(|(at, _)| at)),
                alive_at: micros(reach.alive_at),
            })
            .collect();
        let (windows, reach, shard) = (json(&windows), json(&reach), i32::from(shard.0));
        on_either!(self, |pool, dialect| {
            let mut transaction = pool.begin().await?;
            if !changes.windows.is_empty() {
                let statement = sqlx::query(dialect.upsert_windows()).bind(&windows).bind(shard);
                statement.execute(&mut *transaction).await?;
            }
            if !changes.reach.is_empty() {
                let statement = sqlx::query(dialect.upsert_reach()).bind(&reach).bind(shard);
                statement.execute(&mut *transaction).await?;
            }
            Step::commit(checkpoint, &mut transaction).await?;
            transaction.commit().await?;
        });
        Ok(())
    }
}

/// A checkpoint within a transaction of either database.
trait Step {
    async fn commit(checkpoint: &Checkpoint, transaction: &mut Self) -> Result<(), FeedError>;
}

impl Step for sqlx::Transaction<'_, sqlx::Postgres> {
    async fn commit(checkpoint: &Checkpoint, transaction: &mut Self) -> Result<(), FeedError> {
        checkpoint.commit_postgres(transaction).await
    }
}

impl Step for sqlx::Transaction<'_, sqlx::Sqlite> {
    async fn commit(checkpoint: &Checkpoint, transaction: &mut Self) -> Result<(), FeedError> {
        checkpoint.commit_sqlite(transaction).await
    }
}

fn json(rows: &impl Serialize) -> String {
    serde_json::to_string(rows).expect("hashes and numbers are always written")
}

fn parse_alias(text: &str) -> Option<AliasHash> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}

fn moment(micros: i64) -> Option<Timestamp> {
    (micros > NEVER).then(|| Timestamp::from_micros(micros))
}

/// The two ways of saying the same.
#[derive(Debug, Clone, Copy)]
enum Dialect {
    Postgres,
    Sqlite,
}

impl Dialect {
    fn tables(self) -> [String; 2] {
        let schema = match self {
            Self::Postgres => "assent_views.",
            Self::Sqlite => "",
        };
        [
            format!(
                "create table if not exists {schema}consent_windows (
                    alias text not null, number text not null, shard integer not null,
                    wrote_at bigint not null, closed_at bigint not null, primary key (alias, number))"
            ),
            format!(
                "create table if not exists {schema}consent_reach (
                    alias text not null primary key, shard integer not null,
                    code bigint not null, failed_at bigint not null, alive_at bigint not null)"
            ),
        ]
    }

    const fn select_seen(self) -> &'static str {
        match self {
            Self::Postgres => {
                "with a as materialized (select jsonb_array_elements_text($1::jsonb) as alias)
                 select w.alias, w.number, w.wrote_at, w.closed_at, 0::bigint
                   from a join assent_views.consent_windows w on w.alias = a.alias
                 union all
                 select r.alias, null, r.failed_at, r.alive_at, r.code
                   from a join assent_views.consent_reach r on r.alias = a.alias"
            }
            Self::Sqlite => {
                "select alias, number, wrote_at, closed_at, 0
                   from consent_windows where alias in (select value from json_each($1))
                 union all
                 select alias, null, failed_at, alive_at, code
                   from consent_reach where alias in (select value from json_each($1))"
            }
        }
    }

    const fn select_noted(self) -> &'static str {
        match self {
            Self::Postgres => {
                "select alias, wrote_at from assent_views.consent_windows where shard = $1 and wrote_at > $2
                 union all
                 select alias, 0::bigint from assent_views.consent_reach where shard = $1 and failed_at > alive_at"
            }
            Self::Sqlite => {
                "select alias, wrote_at from consent_windows where shard = $1 and wrote_at > $2
                 union all
                 select alias, 0 from consent_reach where shard = $1 and failed_at > alive_at"
            }
        }
    }

    const fn upsert_windows(self) -> &'static str {
        match self {
            Self::Postgres => {
                "insert into assent_views.consent_windows as t (alias, number, shard, wrote_at, closed_at)
                 select alias, number, $2, wrote_at, closed_at
                   from jsonb_to_recordset($1::jsonb) as r(alias text, number text, wrote_at bigint, closed_at bigint)
                 on conflict (alias, number) do update set
                   wrote_at = greatest(t.wrote_at, excluded.wrote_at),
                   closed_at = greatest(t.closed_at, excluded.closed_at)"
            }
            Self::Sqlite => {
                "insert into consent_windows as t (alias, number, shard, wrote_at, closed_at)
                 select value ->> 'alias', value ->> 'number', $2, value ->> 'wrote_at', value ->> 'closed_at'
                   from json_each($1) where true
                 on conflict (alias, number) do update set
                   wrote_at = max(t.wrote_at, excluded.wrote_at),
                   closed_at = max(t.closed_at, excluded.closed_at)"
            }
        }
    }

    const fn upsert_reach(self) -> &'static str {
        match self {
            Self::Postgres => {
                "insert into assent_views.consent_reach as t (alias, shard, code, failed_at, alive_at)
                 select alias, $2, code, failed_at, alive_at
                   from jsonb_to_recordset($1::jsonb) as r(alias text, code bigint, failed_at bigint, alive_at bigint)
                 on conflict (alias) do update set
                   code = case when excluded.failed_at >= t.failed_at then excluded.code else t.code end,
                   failed_at = greatest(t.failed_at, excluded.failed_at),
                   alive_at = greatest(t.alive_at, excluded.alive_at)"
            }
            Self::Sqlite => {
                "insert into consent_reach as t (alias, shard, code, failed_at, alive_at)
                 select value ->> 'alias', $2, value ->> 'code', value ->> 'failed_at', value ->> 'alive_at'
                   from json_each($1) where true
                 on conflict (alias) do update set
                   code = case when excluded.failed_at >= t.failed_at then excluded.code else t.code end,
                   failed_at = max(t.failed_at, excluded.failed_at),
                   alive_at = max(t.alive_at, excluded.alive_at)"
            }
        }
    }
}

//! The log in Postgres, 15 or newer.

use std::{collections::HashMap, str::FromStr, sync::Arc, time::Duration};

use bytes::Bytes;
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{FlushError, Flushed};
use crate::{
    chain::ChainRow,
    committer::plan::{Findings, Flush, Found},
    event::{RecordedEvent, ShardId, StreamId},
    read::{Names, ReadError, check_contiguous},
    store::ConnectError,
};

pub(crate) static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// The oldest server that has what the log uses.
const SERVER_VERSION_MIN: i32 = 150_000;

/// A connection that was used within this time is taken to be alive.
const IDLE_TRUSTED_MAX: Duration = Duration::from_secs(1);

/// A Postgres database with the log in it.
#[derive(Debug, Clone)]
pub(crate) struct Postgres {
    pub(crate) pool: PgPool,
    /// For what can be rebuilt or found again: commits do not wait for the disk.
    pub(crate) views: PgPool,
    options: PgConnectOptions,
    /// A connection for each shard's committer, opened when it is first needed and again after it was lost.
    writers: Arc<[Mutex<Option<PgConnection>>]>,
}

/// Settings of every connection. The planner must not choose by statistics: a plan made while the tables are empty
/// would be kept, and read the whole log for every append once they are not.
pub(crate) fn connect_options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(PgConnectOptions::from_str(url)?
        .application_name("assent")
        .options([
            ("jit", "off"),
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("default_transaction_isolation", "read committed"),
            ("timezone", "UTC"),
        ])
        .log_statements(tracing::log::LevelFilter::Trace)
        .log_slow_statements(tracing::log::LevelFilter::Debug, Duration::from_secs(1)))
}

impl Postgres {
    pub(crate) fn new(pool: PgPool, views: PgPool, options: PgConnectOptions, shards: u16) -> Self {
        let writers = (0..shards).map(|_| Mutex::new(None)).collect();
        Self {
            pool,
            views,
            options,
            writers,
        }
    }

    pub(crate) async fn pool(options: &PgConnectOptions, connections_max: u32) -> Result<PgPool, ConnectError> {
        PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(Duration::from_secs(5))
            // A ping before every query is a round trip of its own; after a pause the server may be another one.
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > IDLE_TRUSTED_MAX {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(options.clone())
            .await
            .map_err(ConnectError::from_sqlx)
    }

    /// Refuses a server that would acknowledge what it may lose.
    pub(crate) async fn check_server(pool: &PgPool) -> Result<(), ConnectError> {
        let row = sqlx::query(
            "select current_setting('server_version_num')::int, current_setting('fsync'), current_setting('synchronous_commit'),
                    current_setting('full_page_writes')",
        )
        .fetch_one(pool)
        .await
        .map_err(ConnectError::from_sqlx)?;
        let version: i32 = row.get(0);
        if version < SERVER_VERSION_MIN {
            return Err(ConnectError::ServerTooOld {
                version: version / 10_000,
                min: SERVER_VERSION_MIN / 10_000,
            });
        }
        for (column, setting) in [(1, "fsync"), (2, "synchronous_commit"), (3, "full_page_writes")] {
            if row.get::<&str, _>(column) == "off" {
                return Err(ConnectError::NotDurable { setting });
            }
        }
        Ok(())
    }

    async fn connect_writer(&self) -> Result<PgConnection, sqlx::Error> {
        self.options.connect().await
    }

    pub(crate) async fn flush(&self, flush: &Flush, again: bool) -> Result<Flushed, FlushError> {
        let mut slot = self.writers[usize::from(flush.shard.0)].lock().await;
        // Taken out while it is used: a flush that is cut short leaves no half-read connection behind.
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => self.connect_writer().await.map_err(FlushError::Unknown)?,
        };
        let flushed = run_flush(&mut connection, flush, again).await;
        match &flushed {
            Ok(_) => *slot = Some(connection),
            Err(_) => drop(connection.close_hard()),
        }
        flushed
    }

    pub(crate) async fn head(&self, shard: ShardId) -> Result<u64, ReadError> {
        let head: Option<i64> =
            sqlx::query_scalar("select last from assent_log.chain where shard = $1 order by last desc limit 1")
                .bind(shard.0 as i16)
                .fetch_optional(&self.pool)
                .await?;
        Ok(head.unwrap_or(0) as u64)
    }

    pub(crate) async fn read_shard(
        &self,
        shard: ShardId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let rows = sqlx::query(
            "select position, stream, category, version, event_id, type, schema_version, recorded_at, data, meta
             from assent_log.events where shard = $1 and position > $2 order by position limit $3",
        )
        .bind(shard.0 as i16)
        .bind(after as i64)
        .bind(limit as i64)
        .fetch_all(&self.pool)
        .await?;
        let events = decode(shard, &rows)?;
        check_contiguous(shard, after, &events)?;
        Ok(events)
    }

    pub(crate) async fn read_stream(
        &self,
        shard: ShardId,
        stream: &StreamId,
        after: u32,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let rows = sqlx::query(
            "select position, stream, category, version, event_id, type, schema_version, recorded_at, data, meta
             from assent_log.events where shard = $1 and stream = $2 and category = $3 and version > $4
             order by version limit $5",
        )
        .bind(shard.0 as i16)
        .bind(stream.key)
        .bind(stream.category.as_str())
        .bind(after as i32)
        .bind(limit as i64)
        .fetch_all(&self.pool)
        .await?;
        decode(shard, &rows)
    }

    pub(crate) async fn read_streams(
        &self,
        shard: ShardId,
        streams: &[StreamId],
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let keys: Vec<Uuid> = streams.iter().map(|stream| stream.key).collect();
        let categories: Vec<&str> = streams.iter().map(|stream| stream.category.as_str()).collect();
        // `offset 0` keeps the planner from turning the look-ups into a join over the whole log.
        let rows = sqlx::query(
            "select e.position, e.stream, e.category, e.version, e.event_id, e.type, e.schema_version, e.recorded_at,
                    e.data, e.meta
             from unnest($2::uuid[], $3::text[]) s (key, category) cross join lateral (
                 select * from assent_log.events
                 where shard = $1 and stream = s.key and category = s.category collate \"C\" order by version offset 0) e",
        )
        .bind(shard.0 as i16)
        .bind(keys)
        .bind(categories)
        .fetch_all(&self.pool)
        .await?;
        decode(shard, &rows)
    }

    pub(crate) async fn read_keys(&self, shard: ShardId, keys: &[Uuid]) -> Result<Vec<RecordedEvent>, ReadError> {
        // In the order of the index, so that no other will do: in the order of positions, the planner of a small table
        // would read the whole shard for each key, and keep to that when the table is large.
        let rows = sqlx::query(
            "select e.position, e.stream, e.category, e.version, e.event_id, e.type, e.schema_version, e.recorded_at,
                    e.data, e.meta
             from unnest($2::uuid[]) s (key) cross join lateral (
                 select * from assent_log.events where shard = $1 and stream = s.key
                 order by category, version offset 0) e",
        )
        .bind(shard.0 as i16)
        .bind(keys)
        .fetch_all(&self.pool)
        .await?;
        decode(shard, &rows)
    }

    /// Keeps `check` if the store has none yet, and gives what it has.
    pub(crate) async fn hasher_check(&self, check: &[u8]) -> Result<Vec<u8>, ConnectError> {
        sqlx::query("update assent_log.store set hasher_check = $1 where hasher_check is null")
            .bind(check)
            .execute(&self.pool)
            .await
            .map_err(ConnectError::from_sqlx)?;
        sqlx::query_scalar("select hasher_check from assent_log.store")
            .fetch_one(&self.pool)
            .await
            .map_err(ConnectError::from_sqlx)
    }

    pub(crate) async fn chain(&self, shard: ShardId, after: u64, limit: usize) -> Result<Vec<ChainRow>, ReadError> {
        let rows = sqlx::query(
            "select first, last, hash, digests from assent_log.chain where shard = $1 and last > $2 order by last limit $3",
        )
        .bind(shard.0 as i16)
        .bind(after as i64)
        .bind(limit as i64)
        .fetch_all(&self.pool)
        .await?;
        let row = |row: &PgRow| {
            Ok(ChainRow {
                first: row.try_get::<i64, _>(0)? as u64,
                last: row.try_get::<i64, _>(1)? as u64,
                hash: row.try_get(2)?,
                digests: row.try_get(3)?,
            })
        };
        rows.iter()
            .map(row)
            .collect::<Result<_, sqlx::Error>>()
            .map_err(ReadError::from)
    }

    pub(crate) async fn close(&self) {
        for writer in self.writers.iter() {
            if let Some(connection) = writer.lock().await.take() {
                // The server notices a closed socket as well.
                let _ = connection.close().await;
            }
        }
        self.views.close().await;
        self.pool.close().await;
    }
}

async fn run_flush(connection: &mut PgConnection, flush: &Flush, again: bool) -> Result<Flushed, FlushError> {
    let recorded_at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(flush.recorded_at_us) * 1_000)
        .map_err(|error| FlushError::Refused(error.to_string()))?;
    let known_head = if again {
        -1
    } else {
        flush.known_head.map_or(-1, |head| head as i64)
    };
    let streams = &flush.streams;
    let checks = &flush.checks;
    let events = &flush.events;
    let new_keys = &flush.new_keys;
    // `fetch_all` and not `fetch_one`: it reads on to ReadyForQuery, which comes after the commit. The row comes before.
    let rows = sqlx::query(
        "select done_before, base, heads, gone from assent_log.flush($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
         $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34)",
    )
    .bind(flush.shard.0 as i16)
    .bind(flush.id)
    .bind(recorded_at)
    .bind(known_head)
    .bind(again)
    .bind(streams.iter().map(|stream| stream.id.key).collect::<Vec<_>>())
    .bind(streams.iter().map(|stream| stream.id.category.as_str()).collect::<Vec<_>>())
    .bind(streams.iter().map(|stream| stream.belief.version() as i32).collect::<Vec<_>>())
    .bind(streams.iter().map(|stream| stream.belief.trust()).collect::<Vec<_>>())
    .bind(checks.iter().map(|check| check.stream as i32 + 1).collect::<Vec<_>>())
    .bind(checks.iter().map(|check| check.group as i32).collect::<Vec<_>>())
    .bind(checks.iter().map(|check| check.version as i32).collect::<Vec<_>>())
    .bind(flush.keys.iter().map(|key| key.key.0).collect::<Vec<_>>())
    .bind(flush.keys.iter().map(|key| key.group as i32).collect::<Vec<_>>())
    .bind(new_keys.iter().map(|new| new.key.0).collect::<Vec<_>>())
    .bind(new_keys.iter().map(|new| &new.slot.alias.0[..]).collect::<Vec<_>>())
    .bind(new_keys.iter().map(|new| new.slot.class.as_str()).collect::<Vec<_>>())
    .bind(new_keys.iter().map(|new| new.slot.period.name.as_str()).collect::<Vec<_>>())
    .bind(new_keys.iter().map(|new| &new.wrapped[..]).collect::<Vec<_>>())
    .bind(new_keys.iter().map(|new| new.master.as_str()).collect::<Vec<_>>())
    .bind(new_keys.iter().map(|new| new.created_at).collect::<Vec<_>>())
    .bind(new_keys.iter().map(|new| new.slot.period.expires_at).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.group as i32).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.stream as i32 + 1).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.rank as i32).collect::<Vec<_>>())
    .bind(events.iter().map(|event| streams[event.stream].id.key).collect::<Vec<_>>())
    .bind(events.iter().map(|event| streams[event.stream].id.category.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.event.id).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.event.kind.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.event.schema_version as i16).collect::<Vec<_>>())
    .bind(events.iter().map(|event| &event.event.data[..]).collect::<Vec<_>>())
    .bind(events.iter().map(|event| &event.event.meta[..]).collect::<Vec<_>>())
    .bind(events.iter().flat_map(|event| event.digest.0).collect::<Vec<u8>>())
    .bind(events.iter().flat_map(|event| event.digest.kept()).copied().collect::<Vec<u8>>())
    .fetch_all(&mut *connection)
    .await
    .map_err(classify)?;
    let row = rows.first().ok_or(FlushError::Unknown(sqlx::Error::RowNotFound))?;
    if row.get(0) {
        return find_flush(connection, flush).await.map_err(FlushError::Unknown);
    }
    let gone: Option<Vec<i32>> = row.get(3);
    Ok(Flushed::Now(Findings {
        base: row.get::<i64, _>(1) as u64,
        heads: row.get::<Vec<i32>, _>(2).into_iter().map(|head| head as u32).collect(),
        gone: gone
            .unwrap_or_default()
            .into_iter()
            .map(|index| index as usize)
            .collect(),
    }))
}

/// The events that an earlier run of the flush wrote.
async fn find_flush(connection: &mut PgConnection, flush: &Flush) -> Result<Flushed, sqlx::Error> {
    let rows = sqlx::query(
        "select e.event_id, e.position, e.version from assent_log.chain c
         join assent_log.events e on e.shard = c.shard and e.position between c.first and c.last
         where c.shard = $1 and c.flush_id = $2",
    )
    .bind(flush.shard.0 as i16)
    .bind(flush.id)
    .fetch_all(connection)
    .await?;
    let found: HashMap<Uuid, Found> = rows
        .iter()
        .map(|row| {
            (
                row.get(0),
                Found {
                    position: row.get::<i64, _>(1) as u64,
                    version: row.get::<i32, _>(2) as u32,
                },
            )
        })
        .collect();
    let head = found.values().map(|found| found.position).max().unwrap_or(0);
    Ok(Flushed::Before { head, found })
}

/// A statement that the server answered with an error of its own making did not commit. Anything else leaves it open.
fn classify(error: sqlx::Error) -> FlushError {
    let refused = error.as_database_error().is_some_and(|error| {
        // 22 data exception, 23 integrity, 42 syntax or access rule.
        error
            .code()
            .is_some_and(|code| ["22", "23", "42"].iter().any(|class| code.starts_with(class)))
    });
    if refused {
        FlushError::Refused(error.to_string())
    } else {
        FlushError::Unknown(error)
    }
}

pub(crate) fn decode(shard: ShardId, rows: &[PgRow]) -> Result<Vec<RecordedEvent>, ReadError> {
    let mut names = Names::default();
    let event = |row: &PgRow| {
        Ok(RecordedEvent {
            shard,
            position: row.try_get::<i64, _>(0)? as u64,
            stream: StreamId {
                key: row.try_get(1)?,
                category: names.get(row.try_get(2)?),
            },
            version: row.try_get::<i32, _>(3)? as u32,
            id: row.try_get(4)?,
            kind: names.get(row.try_get(5)?),
            schema_version: row.try_get::<i16, _>(6)? as u16,
            recorded_at: row.try_get(7)?,
            data: Bytes::copy_from_slice(row.try_get(8)?),
            meta: Bytes::copy_from_slice(row.try_get(9)?),
        })
    };
    rows.iter()
        .map(event)
        .collect::<Result<_, sqlx::Error>>()
        .map_err(ReadError::from)
}

//! The log in SQLite: a directory with the log, the keys and the read models in a file each.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use sqlx::{
    ConnectOptions as _, Connection as _, QueryBuilder, Row as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use time::OffsetDateTime;
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use super::{FlushError, Flushed};
use crate::{
    chain::{ChainHash, ChainRow, Digest, FlushSpan},
    committer::plan::{Belief, Findings, Flush, Found},
    event::{RecordedEvent, ShardId, StreamId},
    read::{Names, ReadError, check_contiguous},
    store::ConnectError,
};

pub(crate) static LOG_MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite/log");
pub(crate) static KEYS_MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite/keys");
pub(crate) static VIEWS_MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite/views");

/// Rows of one `insert`; twelve parameters each, far below SQLite's bound, and few distinct statements to prepare.
const INSERT_ROWS: usize = 32;

/// How long a statement waits for another process that writes the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A directory with a log in it.
#[derive(Debug, Clone)]
pub(crate) struct Sqlite {
    pub(crate) log: SqlitePool,
    pub(crate) keys: SqlitePool,
    pub(crate) views: SqlitePool,
    writer_options: SqliteConnectOptions,
    /// SQLite has one writer for the whole file, whatever the number of shards.
    writer: Arc<Mutex<Option<SqliteConnection>>>,
}

/// The writing connection while it is in use. Taken out of its slot: work that is cut short leaves no open transaction
/// behind, because then the connection is dropped.
pub(crate) struct Writer<'a> {
    slot: MutexGuard<'a, Option<SqliteConnection>>,
    pub(crate) connection: SqliteConnection,
}

impl Writer<'_> {
    /// Gives the connection back if it is `sound`; else the next user opens another.
    pub(crate) fn done(mut self, sound: bool) {
        if sound {
            *self.slot = Some(self.connection);
        }
    }
}

/// The log and the keys are flushed to the disk by each commit; the read models, which can be rebuilt, are not.
pub(crate) fn file_options(dir: &Path, file: &str, durable: bool, create: bool) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(dir.join(file))
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(if durable {
            SqliteSynchronous::Full
        } else {
            SqliteSynchronous::Normal
        })
        .busy_timeout(BUSY_TIMEOUT)
        .log_statements(tracing::log::LevelFilter::Trace)
        .log_slow_statements(tracing::log::LevelFilter::Debug, Duration::from_secs(1))
}

impl Sqlite {
    pub(crate) async fn open(dir: &Path, create: bool) -> Result<Self, ConnectError> {
        let log_options = file_options(dir, "log.db", true, create);
        let keys_options = file_options(dir, "keys.db", true, create);
        let views_options = file_options(dir, "views.db", false, create);
        let pool = |options: SqliteConnectOptions, connections_max| async move {
            SqlitePoolOptions::new()
                .max_connections(connections_max)
                .connect_with(options)
                .await
                .map_err(ConnectError::from_sqlx)
        };
        let log = pool(log_options.clone(), 4).await?;
        let keys = pool(keys_options, 2).await?;
        let views = pool(views_options, 4).await?;
        Ok(Self {
            log,
            keys,
            views,
            writer_options: log_options,
            writer: Arc::default(),
        })
    }

    pub(crate) async fn connect_writer(&self, dir: &Path) -> Result<(), ConnectError> {
        let connection = self.open_writer(dir).await.map_err(ConnectError::from_sqlx)?;
        *self.writer.lock().await = Some(connection);
        Ok(())
    }

    async fn open_writer(&self, dir: &Path) -> Result<SqliteConnection, sqlx::Error> {
        let mut connection = self.writer_options.connect().await?;
        let keys = dir.join("keys.db");
        sqlx::query("attach database ?1 as keys")
            .bind(keys.to_string_lossy())
            .execute(&mut connection)
            .await?;
        // What an append is sealed with is on the disk before it, and a deleted key is overwritten.
        sqlx::query("pragma keys.synchronous = full")
            .execute(&mut connection)
            .await?;
        sqlx::query("pragma keys.secure_delete = on")
            .execute(&mut connection)
            .await?;
        Ok(connection)
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        self.writer_options.get_filename().parent().unwrap_or(Path::new(""))
    }

    /// The connection that writes the log and the keys; this process has one. A transaction begun on it as `immediate`
    /// holds the write locks of both files.
    pub(crate) async fn writer(&self) -> Result<Writer<'_>, sqlx::Error> {
        let mut slot = self.writer.lock().await;
        let connection = if let Some(connection) = slot.take() {
            connection
        } else {
            self.open_writer(self.dir()).await?
        };
        Ok(Writer { slot, connection })
    }

    pub(crate) async fn flush(&self, flush: &Flush, again: bool) -> Result<Flushed, FlushError> {
        let mut writer = self.writer().await.map_err(FlushError::Unknown)?;
        let flushed = run_flush(&mut writer.connection, flush, again).await;
        writer.done(flushed.is_ok());
        flushed
    }

    pub(crate) async fn head(&self, shard: ShardId) -> Result<u64, ReadError> {
        let head: Option<i64> =
            sqlx::query_scalar("select last from chain where shard = ?1 order by last desc limit 1")
                .bind(shard.0)
                .fetch_optional(&self.log)
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
             from events where shard = ?1 and position > ?2 order by position limit ?3",
        )
        .bind(shard.0)
        .bind(after as i64)
        .bind(limit as i64)
        .fetch_all(&self.log)
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
             from events where shard = ?1 and stream = ?2 and category = ?3 and version > ?4 order by version limit ?5",
        )
        .bind(shard.0)
        .bind(stream.key)
        .bind(stream.category.as_str())
        .bind(after)
        .bind(limit as i64)
        .fetch_all(&self.log)
        .await?;
        decode(shard, &rows)
    }

    pub(crate) async fn read_streams(
        &self,
        shard: ShardId,
        streams: &[StreamId],
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let rows = sqlx::query(
            "select e.position, e.stream, e.category, e.version, e.event_id, e.type, e.schema_version, e.recorded_at,
                    e.data, e.meta
             from json_each(?2) s cross join events e
             on e.shard = ?1 and e.stream = unhex(s.value ->> 0) and e.category = s.value ->> 1
             order by s.key, e.version",
        )
        .bind(shard.0)
        .bind(streams_json(streams.iter()))
        .fetch_all(&self.log)
        .await?;
        decode(shard, &rows)
    }

    pub(crate) async fn read_keys(&self, shard: ShardId, keys: &[Uuid]) -> Result<Vec<RecordedEvent>, ReadError> {
        let keys: Vec<String> = keys.iter().map(|key| key.simple().to_string()).collect();
        let rows = sqlx::query(
            "select e.position, e.stream, e.category, e.version, e.event_id, e.type, e.schema_version, e.recorded_at,
                    e.data, e.meta
             from json_each(?2) s cross join events e on e.shard = ?1 and e.stream = unhex(s.value)
             order by s.key",
        )
        .bind(shard.0)
        .bind(serde_json::to_string(&keys).expect("strings serialize"))
        .fetch_all(&self.log)
        .await?;
        decode(shard, &rows)
    }

    /// Keeps `check` if the store has none yet, and gives what it has.
    pub(crate) async fn hasher_check(&self, check: &[u8]) -> Result<Vec<u8>, ConnectError> {
        let mut writer = self.writer().await.map_err(ConnectError::from_sqlx)?;
        let kept = async {
            sqlx::query("update store set hasher_check = ?1 where hasher_check is null")
                .bind(check)
                .execute(&mut writer.connection)
                .await?;
            sqlx::query_scalar("select hasher_check from store")
                .fetch_one(&mut writer.connection)
                .await
        }
        .await;
        writer.done(kept.is_ok());
        kept.map_err(ConnectError::from_sqlx)
    }

    pub(crate) async fn chain(&self, shard: ShardId, after: u64, limit: usize) -> Result<Vec<ChainRow>, ReadError> {
        let rows = sqlx::query(
            "select first, last, hash, digests from chain where shard = ?1 and last > ?2 order by last limit ?3",
        )
        .bind(shard.0)
        .bind(after as i64)
        .bind(limit as i64)
        .fetch_all(&self.log)
        .await?;
        let row = |row: &SqliteRow| {
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
        if let Some(connection) = self.writer.lock().await.take() {
            // Nothing is pending on it; the file is consistent however it is closed.
            let _ = connection.close().await;
        }
        self.log.close().await;
        self.keys.close().await;
        self.views.close().await;
    }
}

fn streams_json<'a>(streams: impl Iterator<Item = &'a StreamId>) -> String {
    let streams: Vec<(String, &str)> = streams
        .map(|stream| (stream.key.simple().to_string(), stream.category.as_str()))
        .collect();
    serde_json::to_string(&streams).expect("strings serialize")
}

async fn run_flush(connection: &mut SqliteConnection, flush: &Flush, again: bool) -> Result<Flushed, FlushError> {
    // Locks the attached key table too: no key that is found alive is destroyed before the commit.
    let mut transaction = connection.begin_with("begin immediate").await.map_err(classify)?;
    let flushed = write_flush(&mut transaction, flush, again).await.map_err(classify)?;
    transaction.commit().await.map_err(FlushError::Unknown)?;
    Ok(flushed)
}

async fn write_flush(connection: &mut SqliteConnection, flush: &Flush, again: bool) -> Result<Flushed, sqlx::Error> {
    if again && let Some(found) = find_flush(connection, flush).await? {
        return Ok(found);
    }
    let last: Option<(i64, Vec<u8>)> =
        sqlx::query_as("select last, hash from chain where shard = ?1 order by last desc limit 1")
            .bind(flush.shard.0)
            .fetch_optional(&mut *connection)
            .await?;
    let (base, previous) = match last {
        Some((last, hash)) => (
            last as u64,
            ChainHash(hash.try_into().map_err(|_| corrupt("a chain hash has 32 bytes"))?),
        ),
        None => (0, ChainHash::START),
    };
    let findings = Findings {
        base,
        heads: find_heads(connection, flush, base).await?,
        gone: find_gone(connection, flush).await?,
    };
    let passing = flush.passing(&findings);
    let mut heads = findings.heads.clone();
    let rows: Vec<EventRow<'_>> = flush
        .events
        .iter()
        .filter(|event| passing[event.group])
        .zip(base + 1..)
        .map(|(event, position)| {
            heads[event.stream] += 1;
            EventRow {
                event,
                stream: &flush.streams[event.stream].id,
                position,
                version: heads[event.stream],
            }
        })
        .collect();
    let Some(last) = rows.last().map(|row| row.position) else {
        return Ok(Flushed::Now(findings));
    };
    for rows in rows.chunks(INSERT_ROWS) {
        insert_events(connection, flush, rows).await?;
    }
    let digests: Vec<Digest> = rows.iter().map(|row| row.event.digest).collect();
    let versions: Vec<u32> = rows.iter().map(|row| row.version).collect();
    let span = FlushSpan {
        first: base + 1,
        last,
        recorded_at_us: flush.recorded_at_us,
    };
    sqlx::query("insert into chain (shard, first, last, flush_id, hash, digests) values (?1, ?2, ?3, ?4, ?5, ?6)")
        .bind(flush.shard.0)
        .bind(base as i64 + 1)
        .bind(last as i64)
        .bind(flush.id)
        .bind(&previous.extend(&span, &digests, &versions).0[..])
        .bind(digests.iter().flat_map(Digest::kept).copied().collect::<Vec<u8>>())
        .execute(connection)
        .await?;
    Ok(Flushed::Now(findings))
}

struct EventRow<'a> {
    event: &'a crate::committer::plan::FlushEvent,
    stream: &'a StreamId,
    position: u64,
    version: u32,
}

async fn find_heads(connection: &mut SqliteConnection, flush: &Flush, base: u64) -> Result<Vec<u32>, sqlx::Error> {
    let trusted = flush.known_head == Some(base);
    let cached: Vec<Option<u32>> = flush
        .streams
        .iter()
        .map(|stream| match stream.belief {
            Belief::AtKnownHead(version) if trusted => Some(version),
            // A look-up costs little without a round trip; nothing is assumed here.
            Belief::AtKnownHead(_) | Belief::New | Belief::Seen(_) | Belief::None => None,
        })
        .collect();
    let unknown: Vec<&StreamId> = flush
        .streams
        .iter()
        .zip(&cached)
        .filter(|(_, cached)| cached.is_none())
        .map(|(stream, _)| &stream.id)
        .collect();
    if unknown.is_empty() {
        return Ok(cached.into_iter().flatten().collect());
    }
    let looked_up: Vec<u32> = sqlx::query_scalar(
        "select coalesce((select version from events where shard = ?1 and stream = unhex(s.value ->> 0)
                          and category = s.value ->> 1 order by version desc limit 1), 0)
         from json_each(?2) s order by s.key",
    )
    .bind(flush.shard.0)
    .bind(streams_json(unknown.into_iter()))
    .fetch_all(connection)
    .await?;
    let mut looked_up = looked_up.into_iter();
    Ok(cached
        .into_iter()
        .map(|head| head.or_else(|| looked_up.next()).unwrap_or(0))
        .collect())
}

async fn find_gone(connection: &mut SqliteConnection, flush: &Flush) -> Result<Vec<usize>, sqlx::Error> {
    if flush.keys.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<String> = flush.keys.iter().map(|key| key.key.0.simple().to_string()).collect();
    let gone: Vec<i64> = sqlx::query_scalar(
        "select s.key from json_each(?1) s where not exists (
             select 1 from keys.keys where key_id = unhex(s.value) and (expires_at is null or expires_at > ?2))",
    )
    .bind(serde_json::to_string(&keys).expect("strings serialize"))
    .bind(flush.recorded_at_us)
    .fetch_all(connection)
    .await?;
    Ok(gone.into_iter().map(|index| index as usize).collect())
}

async fn insert_events(
    connection: &mut SqliteConnection,
    flush: &Flush,
    rows: &[EventRow<'_>],
) -> Result<(), sqlx::Error> {
    let mut insert = QueryBuilder::new(
        "insert into events (shard, position, stream, category, version, event_id, type, schema_version, recorded_at, data, meta) ",
    );
    insert.push_values(rows, |mut values, row| {
        values
            .push_bind(flush.shard.0)
            .push_bind(row.position as i64)
            .push_bind(row.stream.key)
            .push_bind(row.stream.category.as_str())
            .push_bind(row.version)
            .push_bind(row.event.event.id)
            .push_bind(row.event.event.kind.as_str())
            .push_bind(row.event.event.schema_version)
            .push_bind(flush.recorded_at_us)
            .push_bind(&row.event.event.data[..])
            .push_bind(&row.event.event.meta[..]);
    });
    insert.build().execute(connection).await?;
    Ok(())
}

/// The events that an earlier run of the flush wrote, if there was one.
async fn find_flush(connection: &mut SqliteConnection, flush: &Flush) -> Result<Option<Flushed>, sqlx::Error> {
    let rows = sqlx::query(
        "select e.event_id, e.position, e.version from chain c
         join events e on e.shard = c.shard and e.position between c.first and c.last
         where c.shard = ?1 and c.flush_id = ?2",
    )
    .bind(flush.shard.0)
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
                    version: row.get(2),
                },
            )
        })
        .collect();
    let head = found.values().map(|found| found.position).max();
    Ok(head.map(|head| Flushed::Before { head, found }))
}

fn corrupt(what: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(what.into())
}

/// Inside the transaction every error means that it was rolled back, but a full disk or a busy file may pass.
fn classify(error: sqlx::Error) -> FlushError {
    const CONSTRAINT: u32 = 19;
    const MISUSE: u32 = 1;
    let refused = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| {
            code.parse::<u32>()
                .is_ok_and(|code| [CONSTRAINT, MISUSE].contains(&(code & 0xff)))
        });
    if refused {
        FlushError::Refused(error.to_string())
    } else {
        FlushError::Unknown(error)
    }
}

pub(crate) fn decode(shard: ShardId, rows: &[SqliteRow]) -> Result<Vec<RecordedEvent>, ReadError> {
    let mut names = Names::default();
    let event = |row: &SqliteRow| {
        let recorded_at = i128::from(row.try_get::<i64, _>(7)?) * 1_000;
        Ok(RecordedEvent {
            shard,
            position: row.try_get::<i64, _>(0)? as u64,
            stream: StreamId {
                key: row.try_get(1)?,
                category: names.get(row.try_get(2)?),
            },
            version: row.try_get(3)?,
            id: row.try_get(4)?,
            kind: names.get(row.try_get(5)?),
            schema_version: row.try_get(6)?,
            recorded_at: OffsetDateTime::from_unix_timestamp_nanos(recorded_at)
                .map_err(|_| corrupt("recorded_at is not a time"))?,
            data: Bytes::copy_from_slice(row.try_get(8)?),
            meta: Bytes::copy_from_slice(row.try_get(9)?),
        })
    };
    rows.iter()
        .map(event)
        .collect::<Result<_, sqlx::Error>>()
        .map_err(ReadError::from)
}

//! Processes that read, and write down what they see.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use assent_event_store::{Batch, EventStore, FeedError, Feeds, RecordedEvent, Source, Start};
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    DatabaseAt,
    check::Sighting,
    role::{READY, SHARD, jetstream, say},
};

/// What a durable reader prints when its transaction was refused because another reads under its name.
pub const FENCED: &str = "durable reader was fenced";
/// What a durable reader prints when it holds a batch back.
pub const HOLDING: &str = "durable reader is holding a batch";
/// What a process that is to die before its commit ends with.
pub const DIED_BEFORE_COMMIT: i32 = 70;

/// Rows of one `insert`.
const INSERT_ROWS: usize = 200;
const RETRY: Duration = Duration::from_millis(50);
const HOLD_POLL: Duration = Duration::from_millis(5);

/// A reader without a name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DirectReaderJob {
    /// The log.
    pub database: DatabaseAt,
    /// The file that gets a line for each event.
    pub file: PathBuf,
}

/// A reader with a durable name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DurableReaderJob {
    /// The log, with the table of [`create_seen_table`] among its read models.
    pub database: DatabaseAt,
    /// Where the live tail comes from: a NATS server, or the log itself.
    pub nats: Option<String>,
    /// The durable name.
    pub feed: String,
    /// Which process this is, in the column `reader`.
    pub label: String,
    /// Most events in a batch.
    pub batch_events_max: usize,
    /// Stop in the middle of the first batch and wait.
    pub hold: Option<Hold>,
    /// End the process at the first batch, after everything but the commit.
    pub die_before_commit: bool,
}

/// Where a durable reader waits in its first batch, until `until` exists.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hold {
    /// With its effects written and not committed, or before its transaction begins.
    pub in_transaction: bool,
    /// The file it waits for.
    pub until: PathBuf,
}

/// Follows the log from its first event.
pub(super) async fn run_direct(job: DirectReaderJob) -> anyhow::Result<()> {
    let store = job.database.open().await?;
    let feeds = Feeds::start(&store, &Source::Direct).await?;
    let mut tail = feeds.tail(SHARD, 0);
    let mut file = File::create(&job.file).context("create the reader's file")?;
    say(READY);
    loop {
        let events = tail.next(usize::MAX).await.context("read the log")?;
        let now = now_us();
        let mut lines = Vec::new();
        for RecordedEvent {
            position, id, version, ..
        } in events
        {
            writeln!(lines, "{position} {id} {version} {now}")?;
        }
        file.write_all(&lines)?;
    }
}

/// What a direct reader saw, in the order it saw it.
pub(super) fn read_sightings(file: &Path) -> anyhow::Result<Vec<Sighting>> {
    let text = std::fs::read_to_string(file).context("read the reader's file")?;
    text.lines()
        .map(|line| parse_sighting(line).with_context(|| format!("not a sighting: {line}")))
        .collect()
}

fn parse_sighting(line: &str) -> Option<Sighting> {
    let mut fields = line.split(' ');
    Some(Sighting {
        position: fields.next()?.parse().ok()?,
        id: fields.next()?.parse().ok()?,
        version: fields.next()?.parse().ok()?,
        seen_at_us: fields.next()?.parse().ok()?,
    })
}

/// The last position in a direct reader's file; 0 if it has none yet.
pub(super) fn direct_position(file: &Path) -> anyhow::Result<u64> {
    const LAST_LINES_BYTES: u64 = 400;
    let mut file = File::open(file).context("open the reader's file")?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_LINES_BYTES)))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let last = whole.rsplit('\n').next().and_then(parse_sighting);
    Ok(last.map_or(0, |sighting| sighting.position))
}

/// Reads under a name, for ever.
pub(super) async fn run_durable(job: DurableReaderJob) -> anyhow::Result<()> {
    let store = job.database.open().await?;
    let source = match &job.nats {
        Some(url) => Source::JetStream(jetstream(url).await?),
        None => Source::Direct,
    };
    let feeds = Feeds::start(&store, &source).await?;
    let mut feed = feeds
        .feed(job.feed.clone(), SHARD, Start::Beginning)
        .batch_events_max(job.batch_events_max);
    let mut hold = job.hold.clone();
    say(READY);
    loop {
        let batch = match feed.next_batch().await {
            Ok(batch) => batch,
            Err(FeedError::Read(error)) if !matches!(error, assent_event_store::ReadError::Unavailable(_)) => {
                return Err(error).context("read the log");
            }
            Err(error) => {
                tracing::warn!(%error, "no batch; trying again");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        match project(&store, &batch, &job, hold.take().as_ref()).await {
            Ok(()) => {}
            // The transaction was rolled back with the error. The feed finds out by itself where to go on.
            Err(FeedError::Fenced { .. }) => say(FENCED),
            Err(error) => {
                tracing::warn!(%error, "a batch was not committed; trying again");
                tokio::time::sleep(RETRY).await;
                feed.rewind();
            }
        }
    }
}

/// Writes what was seen, and the checkpoint, in one transaction.
async fn project(
    store: &EventStore,
    batch: &Batch,
    job: &DurableReaderJob,
    hold: Option<&Hold>,
) -> Result<(), FeedError> {
    let now = now_us();
    wait_for(hold.filter(|hold| !hold.in_transaction)).await;
    if let Some(pool) = store.postgres() {
        let mut transaction = pool.begin().await?;
        for events in batch.events.chunks(INSERT_ROWS) {
            let mut insert = insert(events, &job.label, now);
            insert.build().execute(&mut *transaction).await?;
        }
        wait_for(hold.filter(|hold| hold.in_transaction)).await;
        batch.checkpoint.commit_postgres(&mut transaction).await?;
        die(job);
        transaction.commit().await?;
    } else if let Some(pool) = store.sqlite() {
        let mut transaction = pool.begin_with("begin immediate").await?;
        for events in batch.events.chunks(INSERT_ROWS) {
            let mut insert = insert(events, &job.label, now);
            insert.build().execute(&mut *transaction).await?;
        }
        batch.checkpoint.commit_sqlite(&mut transaction).await?;
        die(job);
        transaction.commit().await?;
    }
    Ok(())
}

fn insert<DB: sqlx::Database>(events: &[RecordedEvent], label: &str, now: i64) -> QueryBuilder<DB>
where
    i64: sqlx::Type<DB> + for<'q> sqlx::Encode<'q, DB>,
    String: sqlx::Type<DB> + for<'q> sqlx::Encode<'q, DB>,
{
    let mut insert = QueryBuilder::new("insert into chaos_seen (position, event, version, seen_at_us, reader) ");
    insert.push_values(events, |mut values, event| {
        values
            .push_bind(event.position as i64)
            .push_bind(event.id.to_string())
            .push_bind(i64::from(event.version))
            .push_bind(now)
            .push_bind(label.to_owned());
    });
    insert
}

async fn wait_for(hold: Option<&Hold>) {
    let Some(hold) = hold else { return };
    say(HOLDING);
    while !hold.until.exists() {
        tokio::time::sleep(HOLD_POLL).await;
    }
}

/// No destructor runs and nothing is said to the database: for it, the process was killed.
fn die(job: &DurableReaderJob) {
    if job.die_before_commit {
        std::process::exit(DIED_BEFORE_COMMIT);
    }
}

/// Makes the table of durable readers. There is no unique key on the positions: what is seen twice must show.
pub async fn create_seen_table(store: &EventStore) -> sqlx::Result<()> {
    if let Some(pool) = store.postgres() {
        sqlx::query(
            "create table chaos_seen (ordinal bigserial primary key, position bigint not null, event text not null,
             version bigint not null, seen_at_us bigint not null, reader text not null)",
        )
        .execute(pool)
        .await?;
    } else if let Some(pool) = store.sqlite() {
        sqlx::query(
            "create table chaos_seen (ordinal integer primary key autoincrement, position integer not null,
             event text not null, version integer not null, seen_at_us integer not null, reader text not null)",
        )
        .execute(pool)
        .await?;
    }
    Ok(())
}

/// What the durable readers of a store have seen, in the order of their commits, and which of them did.
pub async fn read_seen(store: &EventStore) -> anyhow::Result<Vec<(Sighting, String)>> {
    const ALL: &str = "select position, event, version, seen_at_us, reader from chaos_seen order by ordinal";
    let mut seen = Vec::new();
    if let Some(pool) = store.postgres() {
        for row in sqlx::query(ALL).fetch_all(pool).await? {
            let sighting = sighting(row.get(0), &row.get::<String, _>(1), row.get(2), row.get(3))?;
            seen.push((sighting, row.get(4)));
        }
    } else if let Some(pool) = store.sqlite() {
        for row in sqlx::query(ALL).fetch_all(pool).await? {
            let sighting = sighting(row.get(0), &row.get::<String, _>(1), row.get(2), row.get(3))?;
            seen.push((sighting, row.get(4)));
        }
    }
    Ok(seen)
}

fn sighting(position: i64, event: &str, version: i64, seen_at_us: i64) -> anyhow::Result<Sighting> {
    Ok(Sighting {
        position: position as u64,
        id: Uuid::try_parse(event)?,
        version: version as u32,
        seen_at_us,
    })
}

/// The last position that durable readers have seen; 0 if none.
pub async fn seen_position(store: &EventStore) -> sqlx::Result<u64> {
    const LAST: &str = "select position from chaos_seen order by ordinal desc limit 1";
    let position: Option<i64> = if let Some(pool) = store.postgres() {
        sqlx::query_scalar(LAST).fetch_optional(pool).await?
    } else if let Some(pool) = store.sqlite() {
        sqlx::query_scalar(LAST).fetch_optional(pool).await?
    } else {
        None
    };
    Ok(position.unwrap_or(0) as u64)
}

/// Microseconds since the epoch, by the clock that `recorded_at` is taken from.
pub(super) fn now_us() -> i64 {
    (OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000) as i64
}

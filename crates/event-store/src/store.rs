//! The store: opening it, appending, reading, verifying.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use sqlx::{PgPool, SqlitePool};
use tokio::{
    sync::{Mutex, watch},
    task::JoinHandle,
};
use uuid::Uuid;

use crate::{
    adapter::Adapter,
    append::{Append, AppendError, Appended, InvalidAppend},
    chain::{Verified, Verifier},
    committer,
    event::{RecordedEvent, ShardId, StreamId},
    keys::AliasHasher,
    limits,
    read::ReadError,
    schema,
};

/// Where the log lives.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// A Postgres server, 15 or newer.
    Postgres {
        /// `postgres://user:password@host:port/database`.
        url: String,
        /// Connections for reading, and as many again for read models; writing takes one more for each shard.
        connections_max: u32,
    },
    /// A directory with SQLite files in it.
    Sqlite {
        /// The directory; made if it is missing when the schema is.
        dir: PathBuf,
    },
}

impl Database {
    /// Postgres at `url`, with the usual number of connections.
    pub fn postgres(url: impl Into<String>) -> Self {
        Self::Postgres {
            url: url.into(),
            connections_max: 8,
        }
    }

    /// SQLite files in `dir`.
    pub fn sqlite(dir: impl Into<PathBuf>) -> Self {
        Self::Sqlite { dir: dir.into() }
    }

    /// How many shards a new store gets: 2 on Postgres, so that one flush is prepared while another is on the disk; 1 on
    /// SQLite, which has one writer anyway.
    pub fn shards_default(&self) -> u16 {
        match self {
            Self::Postgres { .. } => 2,
            Self::Sqlite { .. } => 1,
        }
    }
}

// Written by hand: the URL holds a password.
impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Postgres { .. } => f.write_str("Postgres"),
            Self::Sqlite { dir } => write!(f, "Sqlite({})", dir.display()),
        }
    }
}

/// Why a store could not be opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server cannot be reached.
    #[error("the database cannot be reached: {reason}; check that it runs and that its address is right")]
    Unreachable {
        /// What went wrong.
        reason: String,
    },
    /// The server refuses the user or the password.
    #[error("the database refused the login: {reason}")]
    LoginRefused {
        /// The server's words.
        reason: String,
    },
    /// There is no such database or directory.
    #[error("there is no database {name}; create it, then run `assent migrate`")]
    NoDatabase {
        /// Its name.
        name: String,
    },
    /// The database is there but holds no log.
    #[error("the database holds no log yet; run `assent migrate`")]
    NoSchema,
    /// The schema is older than this program needs.
    #[error("the schema lacks {missing} migrations that this program needs; run `assent migrate`")]
    OlderSchema {
        /// How many.
        missing: usize,
    },
    /// The schema has a format that this program does not know.
    #[error("the log has format {found} and this program knows {known}; run a newer Assent")]
    NewerSchema {
        /// The log's format.
        found: i32,
        /// This program's.
        known: i32,
    },
    /// A migration was applied that differs from this program's of the same name.
    #[error("migration {version} was applied with other content; this is not the schema of this program")]
    ForeignSchema {
        /// The migration.
        version: i64,
    },
    /// A setting of the server would lose what was acknowledged.
    #[error("{setting} is off on the database server: it would lose what was acknowledged; turn it on")]
    NotDurable {
        /// The setting.
        setting: &'static str,
    },
    /// The server is too old.
    #[error("the database server is Postgres {version}; {min} or newer is needed")]
    ServerTooOld {
        /// Its major version.
        version: i32,
        /// The oldest that works.
        min: i32,
    },
    /// The number of shards of a store never changes.
    #[error("the store has {found} shards and {asked} were asked for; the number is fixed when a store is made")]
    WrongShards {
        /// What the store has.
        found: u16,
        /// What was asked for.
        asked: u16,
    },
    /// The look-up hashes of the store were made with another key than the one configured.
    #[error(
        "this store was written with another keys.hash; configure that one: with any other nobody is recognised, opt-outs included"
    )]
    OtherHasher,
    /// Anything else that the database said.
    #[error("the database refused: {reason}")]
    Refused {
        /// Its words.
        reason: String,
    },
}

impl ConnectError {
    #[expect(clippy::needless_pass_by_value, reason = "handed to `map_err`")]
    pub(crate) fn from_sqlx(error: sqlx::Error) -> Self {
        const SQLITE_CANTOPEN: &str = "14";
        if let Some(database) = error.as_database_error() {
            let reason = database.message().to_owned();
            return match database.code().as_deref() {
                Some("3D000") => Self::NoDatabase {
                    name: reason.split('"').nth(1).unwrap_or("of that name").to_owned(),
                },
                Some("28P01" | "28000") => Self::LoginRefused { reason },
                Some(SQLITE_CANTOPEN) => Self::NoDatabase {
                    name: "in that directory".to_owned(),
                },
                _ => Self::Refused { reason },
            };
        }
        Self::Unreachable {
            reason: error.to_string(),
        }
    }

    pub(crate) fn from_migrate(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) => Self::from_sqlx(error),
            sqlx::migrate::MigrateError::VersionMismatch(version) => Self::ForeignSchema { version },
            other => Self::Refused {
                reason: other.to_string(),
            },
        }
    }
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Where it is.
    pub database: Database,
    /// How many shards it has; when given, a store that has another number is refused.
    pub shards: Option<u16>,
}

impl StoreConfig {
    /// The store at `database`, with whatever number of shards it has.
    pub fn new(database: Database) -> Self {
        Self { database, shards: None }
    }
}

/// The log of a store. Cheap to clone; all clones share the committers.
#[derive(Debug, Clone)]
pub struct EventStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    adapter: Adapter,
    store_id: Uuid,
    shards: Vec<committer::Handle>,
    closing: watch::Sender<bool>,
    committers: Mutex<Vec<JoinHandle<()>>>,
}

/// What the committers of this process have done since the store was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Flushes that were settled.
    pub flushes: u64,
    /// Events written.
    pub events: u64,
    /// Appends answered with a conflict or with gone keys.
    pub conflicts: u64,
    /// Flushes that were run again because their outcome was not known.
    pub retries: u64,
}

impl EventStore {
    /// Makes or updates the schema and, in a new database, the store. Safe to run again and beside running programs.
    pub async fn migrate(config: &StoreConfig) -> Result<(), ConnectError> {
        schema::migrate(config).await
    }

    /// Opens a store whose schema is in place.
    pub async fn connect(config: &StoreConfig) -> Result<Self, ConnectError> {
        // Boxed, or every caller's future would carry what both databases need to be opened.
        let (adapter, description) = Box::pin(schema::open(config)).await?;
        let (closing, watch_closing) = watch::channel(false);
        let mut shards = Vec::new();
        let mut committers = Vec::new();
        for shard in (0..description.shards).map(ShardId) {
            let head = adapter.head(shard).await.map_err(|error| ConnectError::Refused {
                reason: error.to_string(),
            })?;
            let (handle, committer) = committer::start(adapter.clone(), shard, head, watch_closing.clone());
            shards.push(handle);
            committers.push(committer);
        }
        let committers = Mutex::new(committers);
        Ok(Self {
            inner: Arc::new(Inner {
                adapter,
                store_id: description.store_id,
                shards,
                closing,
                committers,
            }),
        })
    }

    /// Refuses a hasher whose key is not the one that this store's look-up hashes were made with. The first that asks
    /// decides; the store keeps a short keyed hash by which it knows the key again.
    pub async fn check_hasher(&self, hasher: &AliasHasher) -> Result<(), ConnectError> {
        let check = hasher.check_value();
        let kept = self.inner.adapter.hasher_check(&check).await?;
        if kept[..] == check[..] {
            Ok(())
        } else {
            Err(ConnectError::OtherHasher)
        }
    }

    /// The store's own id; differs between databases, and stays when one is restored.
    pub fn store_id(&self) -> Uuid {
        self.inner.store_id
    }

    /// The store's shards.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.inner.shards.len() as u16).map(ShardId)
    }

    pub(crate) fn adapter(&self) -> &Adapter {
        &self.inner.adapter
    }

    /// The pool for read models when the store is in Postgres. Its commits do not wait for the disk
    /// (`synchronous_commit = off`): what it writes can be rebuilt. Nothing else may be written through it.
    pub fn postgres(&self) -> Option<&PgPool> {
        match &self.inner.adapter {
            Adapter::Postgres(postgres) => Some(&postgres.views),
            Adapter::Sqlite(_) => None,
        }
    }

    /// The pool for read models when the store is in SQLite: a file of their own.
    pub fn sqlite(&self) -> Option<&SqlitePool> {
        match &self.inner.adapter {
            Adapter::Postgres(_) => None,
            Adapter::Sqlite(sqlite) => Some(&sqlite.views),
        }
    }

    /// The directory of a store in SQLite, for what has to last and is no event: a file of its own beside the log.
    pub fn sqlite_dir(&self) -> Option<&std::path::Path> {
        match &self.inner.adapter {
            Adapter::Postgres(_) => None,
            Adapter::Sqlite(sqlite) => Some(sqlite.dir()),
        }
    }

    /// Writes events, all or none, and returns once they are durable.
    ///
    /// Dropping the future leaves the outcome open: the append may be written. Whoever must know spawns it.
    pub async fn append(&self, shard: ShardId, append: Append) -> Result<Appended, AppendError> {
        append.validate()?;
        let handle = self
            .inner
            .shards
            .get(usize::from(shard.0))
            .ok_or_else(|| InvalidAppend::NoSuchShard {
                shard: shard.0,
                shards: self.inner.shards.len() as u16,
            })?;
        handle.append(append).await
    }

    /// Follows the shard's head as far as this process wrote it.
    pub fn watch_head(&self, shard: ShardId) -> Option<watch::Receiver<u64>> {
        self.inner
            .shards
            .get(usize::from(shard.0))
            .map(|handle| handle.head.clone())
    }

    fn check_shard(&self, shard: ShardId) -> Result<(), ReadError> {
        let shards = self.inner.shards.len() as u16;
        if shard.0 < shards {
            Ok(())
        } else {
            Err(ReadError::NoSuchShard { shard, shards })
        }
    }

    /// The position of the shard's last event, 0 if it has none.
    pub async fn head(&self, shard: ShardId) -> Result<u64, ReadError> {
        self.check_shard(shard)?;
        self.inner.adapter.head(shard).await
    }

    /// Up to `limit` events after position `after`, in order, without holes.
    pub async fn read_shard(&self, shard: ShardId, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, ReadError> {
        self.check_shard(shard)?;
        self.inner
            .adapter
            .read_shard(shard, after, limit.min(limits::READ_EVENTS_MAX))
            .await
    }

    /// Up to `limit` events of one stream after version `after`.
    pub async fn read_stream(
        &self,
        shard: ShardId,
        stream: &StreamId,
        after: u32,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        self.check_shard(shard)?;
        self.inner
            .adapter
            .read_stream(shard, stream, after, limit.min(limits::READ_EVENTS_MAX))
            .await
    }

    /// All events of many streams in one query. A stream without events is not in the answer.
    pub async fn read_streams(
        &self,
        shard: ShardId,
        streams: &[StreamId],
    ) -> Result<HashMap<StreamId, Vec<RecordedEvent>>, ReadError> {
        self.check_shard(shard)?;
        let events = self.inner.adapter.read_streams(shard, streams).await?;
        Ok(group_by(events, |event| event.stream.clone()))
    }

    /// All events of all streams about each key, in order: the timeline of a message, for many messages in one query.
    pub async fn read_keys(
        &self,
        shard: ShardId,
        keys: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<RecordedEvent>>, ReadError> {
        self.check_shard(shard)?;
        let events = self.inner.adapter.read_keys(shard, keys).await?;
        let mut timelines = group_by(events, |event| event.stream.key);
        for events in timelines.values_mut() {
            // They came stream by stream.
            events.sort_unstable_by_key(|event| event.position);
        }
        Ok(timelines)
    }

    /// Recomputes every hash of a shard and compares it with the chain.
    pub async fn verify(&self, shard: ShardId) -> Result<Verified, ReadError> {
        const CHAIN_ROWS: usize = 1_000;
        self.check_shard(shard)?;
        let adapter = &self.inner.adapter;
        let mut verifier = Verifier::new(shard);
        let mut events = std::collections::VecDeque::new();
        let (mut read, mut position) = (0, 0);
        loop {
            let rows = adapter.chain(shard, position, CHAIN_ROWS).await?;
            let Some(last) = rows.last() else { break };
            position = last.last;
            for row in rows {
                while read < row.last {
                    let page = match adapter.read_shard(shard, read, limits::READ_EVENTS_MAX / 2).await {
                        // A hole is what the verifier is for: hand it what there is before the hole.
                        Err(ReadError::Hole { after, .. }) if after > read => {
                            adapter.read_shard(shard, read, (after - read) as usize).await?
                        }
                        Err(ReadError::Hole { .. }) => Vec::new(),
                        page => page?,
                    };
                    let Some(last) = page.last() else { break };
                    read = last.position;
                    events.extend(page);
                }
                let flush: Vec<RecordedEvent> =
                    std::iter::from_fn(|| events.pop_front_if(|event: &mut RecordedEvent| event.position <= row.last))
                        .collect();
                if let Err(tampering) = verifier.check(&row, &flush) {
                    return Ok(Verified::Tampered(tampering));
                }
            }
        }
        let beyond = adapter.read_shard(shard, position, limits::READ_EVENTS_MAX).await;
        let last_event = match beyond {
            Ok(events) => events.last().map_or(position, |event| event.position),
            Err(ReadError::Hole { found, .. }) => found,
            Err(error) => return Err(error),
        };
        // Events written since the chain was read belong to flushes that were not looked at.
        let still_last = adapter.chain(shard, position, 1).await?.is_empty();
        Ok(verifier.finish(if still_last { last_event } else { position }))
    }

    /// What the committers of this process have done so far.
    pub fn stats(&self) -> LogStats {
        self.inner
            .shards
            .iter()
            .fold(LogStats::default(), |stats, shard| LogStats {
                flushes: stats.flushes + shard.counters.flushes.load(Ordering::Relaxed),
                events: stats.events + shard.counters.events.load(Ordering::Relaxed),
                conflicts: stats.conflicts + shard.counters.conflicts.load(Ordering::Relaxed),
                retries: stats.retries + shard.counters.retries.load(Ordering::Relaxed),
            })
    }

    /// Answers everything that was queued, then lets go of the database. Later appends get [`AppendError::Closed`].
    pub async fn close(&self) {
        self.inner.closing.send_replace(true);
        for committer in self.inner.committers.lock().await.drain(..) {
            if let Err(error) = committer.await {
                tracing::error!(%error, "a committer ended abnormally");
            }
        }
        self.inner.adapter.close().await;
    }
}

fn group_by<K: std::hash::Hash + Eq>(
    events: Vec<RecordedEvent>,
    key: impl Fn(&RecordedEvent) -> K,
) -> HashMap<K, Vec<RecordedEvent>> {
    let mut groups: HashMap<K, Vec<RecordedEvent>> = HashMap::new();
    for event in events {
        groups.entry(key(&event)).or_default().push(event);
    }
    groups
}

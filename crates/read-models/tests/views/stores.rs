//! Fresh stores for tests.

use std::{io::Write as _, ops::Deref};

use assent_event_store::{Append, Database, EventStore, Expected, NewEvent, ShardId, StoreConfig, StreamId};
use assent_read_models::{View, Views};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) const SHARD: ShardId = ShardId(0);

/// Where fresh stores are made.
pub(crate) enum TestStores {
    Sqlite,
    Postgres(String),
}

impl TestStores {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite
    }

    /// On the server that `tests/run` started. Without one, says so, or fails where that was asked for.
    pub(crate) fn postgres() -> Option<Self> {
        let url = std::env::var("ASSENT_TEST_POSTGRES_URL").ok();
        if url.is_none() {
            assert!(
                std::env::var("ASSENT_TEST_REQUIRE_SERVERS").is_err(),
                "ASSENT_TEST_POSTGRES_URL is not set"
            );
            // Straight to the stream: what `eprintln!` prints in a test that passes is not shown.
            let _unseen = writeln!(std::io::stderr(), "SKIPPED: needs Postgres (run tests/run)");
        }
        url.map(Self::Postgres)
    }

    pub(crate) async fn fresh(&self) -> TestStore {
        let (database, dir) = match self {
            Self::Sqlite => {
                let dir = tempfile::tempdir().unwrap();
                (Database::sqlite(dir.path().join("data")), Some(dir))
            }
            Self::Postgres(server) => (Database::postgres(new_database(server).await), None),
        };
        let config = StoreConfig::new(database);
        EventStore::migrate(&config).await.unwrap();
        let store = EventStore::connect(&config).await.unwrap();
        let views = Views::open(&store).await.unwrap();
        TestStore {
            views,
            store,
            _dir: dir,
        }
    }
}

/// The URL of a new, empty database. It goes with the server, which is private to the run.
async fn new_database(server: &str) -> String {
    let name = format!("views_{}", Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(server).await.unwrap();
    connection
        .execute(sqlx::AssertSqlSafe(format!("create database {name}")))
        .await
        .unwrap();
    connection.close().await.unwrap();
    let (base, options) = server.split_once('?').unwrap_or((server, ""));
    let (base, _) = base.rsplit_once('/').unwrap();
    format!("{base}/{name}?{options}").trim_end_matches('?').to_owned()
}

/// A store of its own for one test, with its views.
pub(crate) struct TestStore {
    pub(crate) views: Views,
    store: EventStore,
    /// Kept until the test is over.
    _dir: Option<TempDir>,
}

impl Deref for TestStore {
    type Target = EventStore;

    fn deref(&self) -> &EventStore {
        &self.store
    }
}

/// The digests of all views.
pub(crate) type Digests = Vec<(View, [u8; 32])>;

impl TestStore {
    /// Appends events in this order, as many at once as an append takes: it names a stream only once.
    pub(crate) async fn append_all(&self, events: &[(StreamId, NewEvent)]) {
        let mut waiting: Vec<(StreamId, Vec<NewEvent>)> = Vec::new();
        for (stream, event) in events {
            if waiting.len() == 500 || waiting.iter().any(|(known, _)| known == stream) {
                self.append_each(std::mem::take(&mut waiting)).await;
            }
            waiting.push((stream.clone(), vec![event.clone()]));
        }
        self.append_each(waiting).await;
    }

    async fn append_each(&self, streams: Vec<(StreamId, Vec<NewEvent>)>) {
        if streams.is_empty() {
            return;
        }
        let append = streams.into_iter().fold(Append::new(), |append, (stream, events)| {
            append.write(stream, Expected::Any, events)
        });
        self.store.append(SHARD, append).await.unwrap();
    }

    pub(crate) async fn digests(&self) -> Digests {
        let mut digests = Vec::new();
        for view in View::ALL {
            digests.push((view, self.views.digest(SHARD, view).await.unwrap()));
        }
        digests
    }

    /// The tables that rebuilds have made and not removed.
    pub(crate) async fn left_overs(&self) -> Vec<String> {
        let is_left_over = |name: &String| name.contains("_g") && name.ends_with(|last: char| last.is_ascii_digit());
        let names: Vec<String> = match (self.store.postgres(), self.store.sqlite()) {
            (Some(pool), _) => {
                sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'assent_views'")
                    .fetch_all(pool)
                    .await
                    .unwrap()
            }
            (None, Some(pool)) => sqlx::query_scalar("select name from sqlite_schema where type = 'table'")
                .fetch_all(pool)
                .await
                .unwrap(),
            (None, None) => unreachable!(),
        };
        names.into_iter().filter(is_left_over).collect()
    }

    /// Makes it look as if a process had died in the middle of rebuilding the blocked people.
    pub(crate) async fn leave_a_dead_rebuild(&self) {
        let statements = [
            "insert into S.rebuilds (view, generation, owner, beat_at) values ('blocked', 41, 'dead', 0)",
            "create table S.blocked_b_g41 (shard bigint)",
        ];
        for statement in statements {
            match (self.store.postgres(), self.store.sqlite()) {
                (Some(pool), _) => {
                    let sql = statement.replace("S.", "assent_views.");
                    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(pool).await.unwrap();
                }
                (None, Some(pool)) => {
                    let sql = statement.replace("S.", "");
                    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(pool).await.unwrap();
                }
                (None, None) => unreachable!(),
            }
        }
    }
}

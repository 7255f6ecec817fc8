//! Fresh stores for tests.

use std::{io::Write as _, ops::Deref};

use assent_event_store::{
    Append, Appended, Database, EventMeta, EventStore, Expected, NewEvent, ShardId, StoreConfig, StreamId,
};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) const SHARD: ShardId = ShardId(0);

/// A store of its own for one test, and the means to reach behind its back.
pub(crate) struct TestStore {
    pub(crate) store: EventStore,
    pub(crate) config: StoreConfig,
    /// Kept until the test is over.
    _dir: Option<TempDir>,
}

impl Deref for TestStore {
    type Target = EventStore;

    fn deref(&self) -> &EventStore {
        &self.store
    }
}

/// The server that `tests/run` started. Without one, says so, or fails where that was asked for.
pub(crate) fn postgres_server() -> Option<String> {
    let url = std::env::var("ASSENT_TEST_POSTGRES_URL").ok();
    if url.is_none() {
        assert!(
            std::env::var("ASSENT_TEST_REQUIRE_SERVERS").is_err(),
            "ASSENT_TEST_POSTGRES_URL is not set"
        );
        // Straight to the stream: what `eprintln!` prints in a test that passes is not shown.
        let _unseen = writeln!(std::io::stderr(), "SKIPPED: needs Postgres (run tests/run)");
    }
    url
}

/// The URL of a new, empty database. It goes with the server, which is private to the run.
pub(crate) async fn new_database(server: &str) -> String {
    let name = format!("contract_{}", Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(server).await.unwrap();
    connection
        .execute(sqlx::AssertSqlSafe(format!("create database {name}")))
        .await
        .unwrap();
    connection.close().await.unwrap();
    with_database(server, &name)
}

pub(crate) fn with_database(server: &str, name: &str) -> String {
    let (base, options) = server.split_once('?').unwrap_or((server, ""));
    let (base, _) = base.rsplit_once('/').unwrap();
    let options = if options.is_empty() {
        String::new()
    } else {
        format!("?{options}")
    };
    format!("{base}/{name}{options}")
}

impl TestStore {
    pub(crate) async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::open(Database::sqlite(dir.path().join("data")), Some(dir)).await
    }

    pub(crate) async fn postgres() -> Option<Self> {
        let server = postgres_server()?;
        Some(Self::open(Database::postgres(new_database(&server).await), None).await)
    }

    async fn open(database: Database, dir: Option<TempDir>) -> Self {
        let config = StoreConfig::new(database);
        EventStore::migrate(&config).await.unwrap();
        let store = EventStore::connect(&config).await.unwrap();
        Self {
            store,
            config,
            _dir: dir,
        }
    }

    /// Another process' view of the same store.
    pub(crate) async fn again(&self) -> EventStore {
        EventStore::connect(&self.config).await.unwrap()
    }

    /// Runs a statement behind the store's back, as somebody with access to the database could.
    pub(crate) async fn tamper(&self, statement: &'static str) -> Result<u64, sqlx::Error> {
        match &self.config.database {
            Database::Postgres { url, .. } => {
                let mut connection = PgConnection::connect(url).await?;
                // As the owner of the tables can.
                connection.execute("set session_replication_role = replica").await?;
                let statement = statement
                    .replace("events", "assent_log.events")
                    .replace("chain", "assent_log.chain");
                Ok(connection
                    .execute(sqlx::AssertSqlSafe(statement))
                    .await?
                    .rows_affected())
            }
            Database::Sqlite { dir } => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.join("log.db"));
                let mut connection = sqlx::SqliteConnection::connect_with(&options).await?;
                for trigger in [
                    "events_refuse_update",
                    "events_refuse_delete",
                    "chain_refuse_update",
                    "chain_refuse_delete",
                ] {
                    connection
                        .execute(sqlx::AssertSqlSafe(format!("drop trigger {trigger}")))
                        .await?;
                }
                Ok(connection.execute(statement).await?.rows_affected())
            }
        }
    }

    /// Runs a statement as any program could, triggers in place.
    pub(crate) async fn execute(&self, statement: &'static str) -> Result<u64, sqlx::Error> {
        match &self.config.database {
            Database::Postgres { url, .. } => {
                let mut connection = PgConnection::connect(url).await?;
                let statement = statement
                    .replace("events", "assent_log.events")
                    .replace("chain", "assent_log.chain");
                Ok(connection
                    .execute(sqlx::AssertSqlSafe(statement))
                    .await?
                    .rows_affected())
            }
            Database::Sqlite { dir } => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.join("log.db"));
                let mut connection = sqlx::SqliteConnection::connect_with(&options).await?;
                Ok(connection.execute(statement).await?.rows_affected())
            }
        }
    }
}

pub(crate) fn event(number: usize) -> NewEvent {
    NewEvent::new(
        "test.happened",
        1,
        format!("{{\"n\":{number}}}"),
        &EventMeta {
            actor: "service:test".into(),
            ..EventMeta::default()
        },
    )
}

pub(crate) fn events(count: usize) -> Vec<NewEvent> {
    (0..count).map(event).collect()
}

pub(crate) fn new_stream() -> StreamId {
    StreamId::new("test", Uuid::new_v4())
}

pub(crate) async fn put(store: &EventStore, stream: &StreamId, expected: Expected, count: usize) -> Appended {
    store
        .append(SHARD, Append::new().write(stream.clone(), expected, events(count)))
        .await
        .unwrap()
}

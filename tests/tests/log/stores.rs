//! Fresh stores.

use std::{ops::Deref, path::Path};

use assent_event_store::{Append, Appended, EventMeta, EventStore, Expected, NewEvent, StreamId};
use assent_tests::{
    chaos::{DatabaseAt, SHARD},
    servers::{PostgresServer, shared_postgres_url},
};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

/// A store of its own for one test.
pub(crate) struct TestStore {
    pub(crate) store: EventStore,
    pub(crate) at: DatabaseAt,
    /// For whatever the test writes.
    pub(crate) directory: TempDir,
    /// Kept until the test is over, where there is no shared one.
    _server: Option<PostgresServer>,
}

impl Deref for TestStore {
    type Target = EventStore;

    fn deref(&self) -> &EventStore {
        &self.store
    }
}

impl TestStore {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = DatabaseAt::Sqlite {
            dir: directory.path().join("data"),
        };
        Self::create(at, directory, None).await
    }

    /// On the server that `tests/run` shares among suites, or on one of its own.
    pub(crate) async fn postgres() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let name = format!("log_{}", Uuid::new_v4().simple());
        if let Some(shared) = shared_postgres_url() {
            let mut connection = PgConnection::connect(&shared).await.unwrap();
            let create = format!("create database {name}");
            connection.execute(sqlx::AssertSqlSafe(create)).await.unwrap();
            connection.close().await.unwrap();
            let (server, _) = shared.rsplit_once('/').unwrap();
            let url = format!("{server}/{name}");
            return Self::create(DatabaseAt::Postgres { url }, directory, None).await;
        }
        let server = PostgresServer::start().await.unwrap();
        let url = server.create_database(&name).await.unwrap();
        Self::create(DatabaseAt::Postgres { url }, directory, Some(server)).await
    }

    async fn create(at: DatabaseAt, directory: TempDir, server: Option<PostgresServer>) -> Self {
        EventStore::migrate(&at.config()).await.unwrap();
        let store = EventStore::connect(&at.config()).await.unwrap();
        Self {
            store,
            at,
            directory,
            _server: server,
        }
    }

    /// A copy of a SQLite store as it is now, same id and all: what a restored backup is.
    pub(crate) async fn backup(&self) -> Self {
        let DatabaseAt::Sqlite { dir } = &self.at else {
            panic!("only SQLite stores are copied")
        };
        let directory = tempfile::tempdir().unwrap();
        let copy = directory.path().join("data");
        std::fs::create_dir(&copy).unwrap();
        for file in ["log.db", "keys.db", "views.db"] {
            vacuum_into(&dir.join(file), &copy.join(file)).await;
        }
        let at = DatabaseAt::Sqlite { dir: copy };
        let store = EventStore::connect(&at.config()).await.unwrap();
        Self {
            store,
            at,
            directory,
            _server: None,
        }
    }

    /// Appends `count` small events to a new stream, at once.
    pub(crate) async fn put(&self, count: usize) -> Appended {
        put(&self.store, (0..count).map(|_| 100)).await
    }
}

async fn vacuum_into(from: &Path, to: &Path) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(from);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("vacuum into ?1")
        .bind(to.to_string_lossy())
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

/// Appends events of these sizes, in bytes, to a new stream, at once.
pub(crate) async fn put(store: &EventStore, sizes: impl IntoIterator<Item = usize>) -> Appended {
    let events = sizes.into_iter().map(event);
    let stream = StreamId::new("test", Uuid::new_v4());
    let append = Append::new().write(stream, Expected::NoStream, events);
    store.append(SHARD, append).await.unwrap()
}

/// An event with so many bytes of data, different from any other.
fn event(bytes: usize) -> NewEvent {
    let mut data = format!("\"{}", Uuid::new_v4());
    data.extend(std::iter::repeat_n('x', bytes.saturating_sub(data.len() + 1)));
    data.push('"');
    NewEvent::new("test.happened", 1, data, &EventMeta::default())
}

//! Opening a store: every way it can be wrong has its own answer.

use assent_event_store::{AliasHasher, ConnectError, Database, EventStore, StoreConfig, generate_secret};
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::stores::{SHARD, TestStore, new_database, new_stream, postgres_server, put, with_database};

crate::contract!(
    migrating_again_changes_nothing,
    an_older_schema_is_named,
    a_newer_format_is_refused,
    a_foreign_schema_is_refused,
    another_number_of_shards_is_refused,
    another_key_of_the_look_up_hashes_is_refused,
);

async fn migrating_again_changes_nothing(store: TestStore) {
    put(&store, &new_stream(), assent_event_store::Expected::Any, 1).await;
    EventStore::migrate(&store.config).await.unwrap();
    let again = store.again().await;
    assert_eq!(
        (again.store_id(), again.head(SHARD).await.unwrap()),
        (store.store_id(), 1)
    );
    assert_eq!(
        again.shards().count(),
        usize::from(store.config.database.shards_default())
    );
}

async fn an_older_schema_is_named(store: TestStore) {
    store
        .execute("delete from assent_log_migrations where version = (select max(version) from assent_log_migrations)")
        .await
        .unwrap();
    let error = EventStore::connect(&store.config).await.unwrap_err();
    assert!(matches!(error, ConnectError::OlderSchema { missing: 1 }), "{error}");
}

async fn a_newer_format_is_refused(store: TestStore) {
    let statement = if store.postgres().is_some() {
        "update assent_log.store set format = 2"
    } else {
        "update store set format = 2"
    };
    store.execute(statement).await.unwrap();
    let error = EventStore::connect(&store.config).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::NewerSchema { found: 2, known: 1 }),
        "{error}"
    );
}

async fn a_foreign_schema_is_refused(store: TestStore) {
    let statement = if store.postgres().is_some() {
        "update assent_log_migrations set checksum = '\\x00' where version = 20261122000001"
    } else {
        "update assent_log_migrations set checksum = x'00' where version = 20261122000001"
    };
    store.execute(statement).await.unwrap();
    let error = EventStore::connect(&store.config).await.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::ForeignSchema {
                version: 20_261_122_000_001
            }
        ),
        "{error}"
    );
}

async fn another_number_of_shards_is_refused(store: TestStore) {
    let config = StoreConfig {
        shards: Some(7),
        ..store.config.clone()
    };
    let error = EventStore::connect(&config).await.unwrap_err();
    assert!(matches!(error, ConnectError::WrongShards { asked: 7, .. }), "{error}");
}

async fn another_key_of_the_look_up_hashes_is_refused(store: TestStore) {
    let hasher = || AliasHasher::try_new(&generate_secret()).unwrap();
    let (ours, other) = (hasher(), hasher());
    // Two processes that start at once: whoever comes second is told.
    let (one, two) = (store.again().await, store.again().await);
    let (one, two) = tokio::join!(one.check_hasher(&ours), two.check_hasher(&other));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let (kept, refused) = if one.is_ok() { (ours, other) } else { (other, ours) };
    store.check_hasher(&kept).await.unwrap();
    EventStore::migrate(&store.config).await.unwrap();
    store.again().await.check_hasher(&kept).await.unwrap();
    let error = store.again().await.check_hasher(&refused).await.unwrap_err();
    assert!(matches!(error, ConnectError::OtherHasher), "{error}");
    assert!(error.to_string().contains("written with another keys.hash"));
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = StoreConfig::new(Database::sqlite(dir.path().join("nowhere")));
    let error = EventStore::connect(&missing).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::NoDatabase { name } if name.ends_with("nowhere")),
        "{error}"
    );
    let empty = StoreConfig::new(Database::sqlite(dir.path()));
    assert!(matches!(
        EventStore::connect(&empty).await.unwrap_err(),
        ConnectError::NoSchema
    ));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let config = StoreConfig::new(Database::postgres(format!(
        "postgres://postgres@127.0.0.1:{port}/assent"
    )));
    let error = EventStore::connect(&config).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_database_that_is_missing_or_empty_is_named() {
    let Some(server) = postgres_server() else { return };
    let missing = StoreConfig::new(Database::postgres(with_database(&server, "assent_nowhere")));
    let error = EventStore::connect(&missing).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::NoDatabase { name } if name == "assent_nowhere"),
        "{error}"
    );
    let empty = StoreConfig::new(Database::postgres(new_database(&server).await));
    let error = EventStore::connect(&empty).await.unwrap_err();
    assert!(matches!(error, ConnectError::NoSchema), "{error}");
}

#[tokio::test]
async fn a_server_that_would_lose_what_was_acknowledged_is_refused() {
    let Some(server) = postgres_server() else { return };
    let url = new_database(&server).await;
    let config = StoreConfig::new(Database::postgres(&url));
    EventStore::migrate(&config).await.unwrap();
    let name = url.rsplit_once('/').unwrap().1.split('?').next().unwrap().to_owned();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let statement = format!("alter database {name} set synchronous_commit = off");
    connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    let error = EventStore::connect(&config).await.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::NotDurable {
                setting: "synchronous_commit"
            }
        ),
        "{error}"
    );
}

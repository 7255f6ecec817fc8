//! Stores for the tests, in either database, and what goes into them.

use std::{io::Write as _, panic::AssertUnwindSafe, path::PathBuf};

use assent_event_store::{
    Database, EventMeta, EventStore, KeyPolicy, KeyRing, MasterKey, MasterKeys, NewEvent, StoreConfig, StreamId,
    generate_secret,
};
use assent_sealed::AliasHash;
use futures::FutureExt as _;
use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

pub(crate) const PHONE: &str = "+12025550142";
pub(crate) const TEXT: &str = "Your parcel waits at the corner shop until Thursday";

/// A store of the test's own.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) config: StoreConfig,
    pub(crate) store: EventStore,
    pub(crate) masters: MasterKeys,
    /// Where SQLite keeps its files.
    pub(crate) dir: Option<PathBuf>,
}

impl World {
    pub(crate) async fn new(database: Database, dir: Option<PathBuf>) -> Self {
        let config = StoreConfig::new(database);
        EventStore::migrate(&config).await.unwrap();
        let store = EventStore::connect(&config).await.unwrap();
        Self {
            config,
            store,
            masters: masters("2026-11", []),
            dir,
        }
    }

    pub(crate) fn ring(&self) -> KeyRing {
        KeyRing::new(self.store.clone(), self.masters.clone(), KeyPolicy::default())
    }

    /// What another process on the same store has.
    pub(crate) async fn other_process(&self) -> Self {
        Self {
            store: EventStore::connect(&self.config).await.unwrap(),
            ..self.clone()
        }
    }
}

pub(crate) fn masters<const N: usize>(id: &str, older: [MasterKey; N]) -> MasterKeys {
    MasterKeys::try_new(master(id), older).unwrap()
}

pub(crate) fn master(id: &str) -> MasterKey {
    MasterKey::try_new(id, &generate_secret()).unwrap()
}

pub(crate) fn alias(number: u64) -> AliasHash {
    let mut hash = [7; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    AliasHash(hash)
}

pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

pub(crate) fn event(sealed: &impl serde::Serialize) -> NewEvent {
    NewEvent::new(
        "contact.opted_in",
        1,
        serde_json::to_vec(sealed).unwrap(),
        &EventMeta::default(),
    )
}

pub(crate) fn contact(number: u128) -> StreamId {
    StreamId::new("contact", Uuid::from_u128(number))
}

pub(crate) async fn on_sqlite<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(Database::sqlite(dir.path()), Some(dir.path().to_owned())).await;
    let store = world.store.clone();
    test(world).await;
    store.close().await;
}

pub(crate) async fn on_postgres<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    let Ok(server) = std::env::var("ASSENT_TEST_POSTGRES_URL") else {
        assert!(
            std::env::var("ASSENT_TEST_REQUIRE_SERVERS").as_deref() != Ok("1"),
            "ASSENT_TEST_POSTGRES_URL is not set"
        );
        // Straight to the stream: what `eprintln!` prints in a test that passes is not shown.
        let _unseen = writeln!(std::io::stderr(), "SKIPPED: needs Postgres (run tests/run)");
        return;
    };
    let name = format!("assent_keys_{}", Uuid::new_v4().simple());
    let admin = async |statement: String| {
        let mut connection = PgConnection::connect(&server).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    };
    admin(format!("create database {name}")).await;
    let (address, options) = server
        .split_once('?')
        .map_or((&*server, String::new()), |(a, o)| (a, format!("?{o}")));
    let (base, _) = address.rsplit_once('/').unwrap();
    let url = format!("{base}/{name}{options}");
    let outcome = AssertUnwindSafe(async { test(World::new(Database::postgres(url), None).await).await });
    let outcome = outcome.catch_unwind().await;
    admin(format!("drop database {name} with (force)")).await;
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

//! Where the suite of a service keeps its log: in SQLite, in a directory of the test's own. With `ASSENT_SUITES_POSTGRES`, the
//! URL of a database server, in a new database there: `tests/run` runs each suite both ways.
//!
//! Part of each suite by its path: a crate for one function would be one more for every suite to wait for.

use assent_runtime::{config::Secret, platform::DatabaseConfig};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use std::path::Path;

/// A new database with one shard.
pub(crate) async fn new_database(dir: &Path) -> DatabaseConfig {
    let postgres_url = match std::env::var("ASSENT_SUITES_POSTGRES") {
        Ok(server) => Some(create(&server).await),
        Err(_unset) => None,
    };
    DatabaseConfig {
        sqlite_dir: postgres_url.is_none().then(|| dir.to_owned()),
        postgres_url: postgres_url.map(Secret::new),
        connections_max: 4,
        shards: Some(1),
        migrate: true,
    }
}

async fn create(server: &str) -> String {
    let name = format!("suite_{}", uuid::Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(server).await.unwrap();
    let statement = AssertSqlSafe(format!("create database {name}"));
    connection.execute(statement).await.unwrap();
    connection.close().await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}

//! The database: whether it is there, keeps what it acknowledges, holds our schema and has room for our connections.

use std::time::Duration;

use assent_event_store::{AliasHasher, ConnectError, EventStore};
use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgRow};

use super::report::{Finding, chain, within};
use crate::config::Config;

/// Processes of a roll-out: two of each service and one more.
const PROCESSES_EXPECTED: u32 = 9;
/// Pools of a process: one for the log, one for read models.
const POOLS: u32 = 2;
const REACHABLE: &str = "database.reachable";
const CONNECT_FIX: &str = "check that the server runs, that the address is right and that the network lets us through";

/// Looks at the database that the configuration names.
pub(super) async fn check(config: &Config, limit: Duration) -> Vec<Finding> {
    let mut findings = match &config.database.postgres_url {
        Some(url) => {
            within(
                limit,
                REACHABLE,
                CONNECT_FIX,
                server(url.expose(), config.database.connections_max),
            )
            .await
        }
        None => vec![Finding::ok(REACHABLE, "SQLite: for one process on this machine")],
    };
    findings.extend(within(limit, "database.schema", CONNECT_FIX, schema(config)).await);
    findings
}

async fn server(url: &str, connections_max: u32) -> Vec<Finding> {
    let mut connection = match PgConnection::connect(url).await {
        Ok(connection) => connection,
        Err(error) => return vec![Finding::failed(REACHABLE, without_url(&error), CONNECT_FIX)],
    };
    let settings = sqlx::query(
        "select current_setting('server_version'), current_setting('server_version_num')::int,
                current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes'),
                current_setting('max_connections')::int, current_setting('superuser_reserved_connections')::int,
                (select count(*)::int from pg_stat_activity where backend_type = 'client backend'),
                pg_is_in_recovery(), current_setting('data_checksums')",
    );
    let row = match settings.fetch_one(&mut connection).await {
        Ok(row) => row,
        Err(error) => return vec![Finding::failed(REACHABLE, chain(&error), "look at the server's log")],
    };
    // Everything is known; a server that does not say good-bye changes nothing.
    let _ = connection.close().await;
    let mut findings = vec![version(&row)];
    findings.extend(durability(&row));
    findings.push(room(&row, connections_max));
    findings
}

fn version(row: &PgRow) -> Finding {
    const MIN: i32 = 150_000;
    let (text, number): (String, i32) = (row.get(0), row.get(1));
    if number < MIN {
        let fix = "upgrade the server to Postgres 15 or newer";
        return Finding::failed(REACHABLE, format!("Postgres {text}"), fix);
    }
    if row.get::<bool, _>(8) {
        let fix = "let the address name the primary: a standby takes no writes";
        return Finding::failed(REACHABLE, format!("Postgres {text}, a standby"), fix);
    }
    Finding::ok(REACHABLE, format!("Postgres {text}"))
}

fn durability(row: &PgRow) -> Vec<Finding> {
    let settings = [("fsync", 2), ("synchronous_commit", 3), ("full_page_writes", 4)];
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    for (name, column) in settings {
        let value: String = row.get(column);
        seen.push(format!("{name} {value}"));
        if value == "off" {
            let fix = format!(
                "turn {name} on, for the server, the database and our user: what was acknowledged could be lost"
            );
            findings.push(Finding::failed("database.durability", format!("{name} is off"), fix));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok("database.durability", seen.join(", ")));
    }
    if row.get::<String, _>(9) == "off" {
        let fix = "enable them with pg_checksums while the server is down: a disk that errs is then noticed";
        findings.push(Finding::warning("database.checksums", "data checksums are off", fix));
    }
    findings
}

/// Our connections are two pools a process and one connection for each shard that it writes.
fn room(row: &PgRow, connections_max: u32) -> Finding {
    const CHECK: &str = "database.connections";
    const SHARDS: u32 = 2;
    let (max, reserved, used): (i32, i32, i32) = (row.get(5), row.get(6), row.get(7));
    let each = POOLS * connections_max + SHARDS;
    let (usable, needed) = ((max - reserved).max(0) as u32, each * PROCESSES_EXPECTED);
    let seen = format!(
        "{usable} possible, {used} in use; a process takes up to {each}, {PROCESSES_EXPECTED} processes {needed}"
    );
    if usable < each {
        return Finding::failed(CHECK, seen, "raise max_connections, or lower database.connections_max");
    }
    if usable < needed {
        let fix = format!(
            "raise max_connections to {} or more before there are so many processes",
            needed + reserved as u32
        );
        return Finding::warning(CHECK, seen, fix);
    }
    Finding::ok(CHECK, seen)
}

async fn schema(config: &Config) -> Vec<Finding> {
    const CHECK: &str = "database.schema";
    let store = match EventStore::connect(&config.database.store()).await {
        Ok(store) => store,
        // Said by the checks of the server, which know more.
        Err(ConnectError::NotDurable { .. } | ConnectError::ServerTooOld { .. }) => return Vec::new(),
        Err(error @ ConnectError::Unreachable { .. }) if config.database.postgres_url.is_some() => {
            tracing::debug!(%error, "the store cannot be opened");
            return Vec::new();
        }
        Err(error) => {
            // Each of them says what to do after its semicolon.
            let text = error.to_string();
            let (seen, fix) = text.split_once("; ").unwrap_or((&text, "look at the server's log"));
            return vec![Finding::failed(CHECK, seen, fix)];
        }
    };
    let shards = store.shards().count();
    let mut findings = vec![Finding::ok(CHECK, format!("in place, {shards} shards"))];
    findings.push(hash_key(config, &store).await);
    store.close().await;
    findings
}

/// Whether `keys.hash` is the key that this store was written with.
async fn hash_key(config: &Config, store: &EventStore) -> Finding {
    const CHECK: &str = "database.hash_key";
    const FIX: &str = "configure the keys.hash that this store was written with";
    let hasher = match AliasHasher::try_new(config.keys.hash.expose()) {
        Ok(hasher) => hasher,
        Err(error) => return Finding::failed(CHECK, chain(&error), "let keys.hash be 32 random bytes in base64"),
    };
    match store.is_hasher(&hasher).await {
        Ok(Some(true)) => Finding::ok(CHECK, "the one that this store was written with"),
        Ok(Some(false)) => Finding::failed(CHECK, "another one than this store was written with", FIX),
        Ok(None) => Finding::ok(CHECK, "the store is new: the first process that starts decides"),
        Err(error) => Finding::failed(CHECK, chain(&error), "look at the server's log"),
    }
}

/// What the server said. Errors before it spoke may quote the address, which holds a password.
pub(super) fn without_url(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Configuration(_) => "the address is not postgres://user:password@host/database".to_owned(),
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Tls(_) => "TLS failed".to_owned(),
        _ => "no connection".to_owned(),
    }
}

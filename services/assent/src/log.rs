//! Commands on the log itself.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use assent_event_store::{Database, EventStore, StoreConfig, Verified};
use clap::Args;

/// Where the log is.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Where {
    /// The log in Postgres; better given by the environment, since it holds a password
    #[arg(long, env = "ASSENT_POSTGRES_URL", hide_env_values = true)]
    postgres_url: Option<String>,
    /// The log in SQLite files in this directory
    #[arg(long, env = "ASSENT_SQLITE_DIR")]
    sqlite_dir: Option<PathBuf>,
}

impl Where {
    fn store(&self) -> anyhow::Result<StoreConfig> {
        let postgres = self.postgres_url.as_ref().map(Database::postgres);
        let database = postgres.or_else(|| self.sqlite_dir.as_ref().map(Database::sqlite));
        Ok(StoreConfig::new(
            database.context("give --postgres-url or --sqlite-dir")?,
        ))
    }
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
pub(crate) fn print(line: &str) {
    println!("{line}");
}

pub(crate) async fn migrate(place: &Where) -> anyhow::Result<ExitCode> {
    EventStore::migrate(&place.store()?).await?;
    print("the schema is up to date");
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn verify(place: &Where) -> anyhow::Result<ExitCode> {
    let store = EventStore::connect(&place.store()?).await?;
    let mut code = ExitCode::SUCCESS;
    for shard in store.shards() {
        match store.verify(shard).await? {
            Verified::Intact { events, flushes, head } => {
                let hash = head.to_hex();
                print(&format!(
                    "shard {shard}: intact, {events} events in {flushes} flushes, head {hash}"
                ));
            }
            Verified::Tampered(tampering) => {
                print(&format!("CHANGED: {tampering}"));
                code = ExitCode::FAILURE;
            }
        }
    }
    store.close().await;
    Ok(code)
}

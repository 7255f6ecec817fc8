//! Commands on the log itself.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use assent_event_store::{Database, EventStore, StoreConfig, Verified};
use assent_runtime::config::Environment;
use clap::Args;

use crate::{config::Config, output::print};

/// Where the log is.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Where {
    /// The log that this configuration file names
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The log in Postgres; better given by the environment, since it holds a password
    #[arg(long, value_name = "URL", env = "ASSENT_POSTGRES_URL", hide_env_values = true)]
    postgres_url: Option<String>,
    /// The log in SQLite files in this directory
    #[arg(long, value_name = "DIR", env = "ASSENT_SQLITE_DIR")]
    sqlite_dir: Option<PathBuf>,
}

impl Where {
    /// How the store is opened.
    pub(crate) fn store(&self) -> anyhow::Result<StoreConfig> {
        if let Some(file) = &self.config {
            return Ok(Config::load(file, &Environment::of_process())?.database.store());
        }
        let postgres = self.postgres_url.as_ref().map(Database::postgres);
        let database = postgres.or_else(|| self.sqlite_dir.as_ref().map(Database::sqlite));
        Ok(StoreConfig::new(
            database.context("give --config, --postgres-url or --sqlite-dir")?,
        ))
    }
}

/// Makes or updates the schema.
pub(crate) async fn migrate(place: &Where) -> anyhow::Result<ExitCode> {
    EventStore::migrate(&place.store()?).await?;
    print("the schema is up to date");
    Ok(ExitCode::SUCCESS)
}

/// Recomputes every hash of the log.
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

//! Commands on the log itself.

use std::{path::PathBuf, process::ExitCode};

use assent_event_store::{Database, EventStore, StoreConfig, Verified};
use assent_runtime::config::Environment;
use clap::Args;

use crate::{config::Config, output::print};

/// Where the log is; if no option says so, ASSENT_POSTGRES_URL or ASSENT_SQLITE_DIR does.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Where {
    /// The log that this configuration file names
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The log in Postgres; better given by ASSENT_POSTGRES_URL, since it holds a password
    #[arg(long, value_name = "URL")]
    postgres_url: Option<String>,
    /// The log in SQLite files in this directory
    #[arg(long, value_name = "DIR")]
    sqlite_dir: Option<PathBuf>,
}

impl Where {
    /// How the store is opened.
    pub(crate) fn store(&self) -> anyhow::Result<StoreConfig> {
        if let Some(file) = &self.config {
            return Ok(Config::load(file, &Environment::of_process())?.database.store());
        }
        // Not by clap, to which a variable is as good as an option: a configuration file may name the same variable.
        let by_environment = || match (
            std::env::var("ASSENT_POSTGRES_URL"),
            std::env::var_os("ASSENT_SQLITE_DIR"),
        ) {
            (Ok(_), Some(_)) => {
                anyhow::bail!("ASSENT_POSTGRES_URL and ASSENT_SQLITE_DIR are both set; say which by an option")
            }
            (Ok(url), None) => Ok(Database::postgres(url)),
            (Err(_), Some(dir)) => Ok(Database::sqlite(dir)),
            (Err(_), None) => clap::Error::raw(
                clap::error::ErrorKind::MissingRequiredArgument,
                "give --config, --postgres-url or --sqlite-dir\n",
            )
            .exit(),
        };
        let database = match (&self.postgres_url, &self.sqlite_dir) {
            (Some(url), _) => Database::postgres(url),
            (None, Some(dir)) => Database::sqlite(dir),
            (None, None) => by_environment()?,
        };
        Ok(StoreConfig::new(database))
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

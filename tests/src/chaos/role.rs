//! The processes of a run, all played by the `log-chaos` binary.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context as _;
use assent_event_store::{Database, EventStore, JetStream, JetStreamConfig, Relay, ShardId, StoreConfig};
use serde::{Deserialize, Serialize};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};
use tracing_subscriber::EnvFilter;

use super::{DirectReaderJob, DurableReaderJob, WriterJob, readers, writer};
use crate::processes::ChildProcess;

/// The shard that every chaos run writes.
pub const SHARD: ShardId = ShardId(0);

/// What a process prints when it has begun.
pub const READY: &str = "chaos role is ready";

/// How long a process tries to reach its servers: they may be down, or recovering, when it starts.
const CONNECT_PATIENCE: Duration = Duration::from_mins(1);
const CONNECT_RETRY: Duration = Duration::from_millis(50);

/// Where the log is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum DatabaseAt {
    /// A Postgres database.
    Postgres {
        /// Its URL.
        url: String,
    },
    /// A directory with SQLite files.
    Sqlite {
        /// The directory.
        dir: PathBuf,
    },
}

impl DatabaseAt {
    /// How a store there is opened.
    pub fn config(&self) -> StoreConfig {
        StoreConfig::new(match self {
            Self::Postgres { url } => Database::postgres(url),
            Self::Sqlite { dir } => Database::sqlite(dir),
        })
    }

    /// Opens the store, however often it takes while the database is down.
    pub async fn open(&self) -> anyhow::Result<EventStore> {
        let deadline = Instant::now() + CONNECT_PATIENCE;
        loop {
            match EventStore::connect(&self.config()).await {
                Ok(store) => return Ok(store),
                Err(error) if Instant::now() >= deadline => return Err(error).context("open the store"),
                Err(error) => {
                    tracing::debug!(%error, "the store cannot be opened yet");
                    tokio::time::sleep(CONNECT_RETRY).await;
                }
            }
        }
    }
}

/// JetStream at a NATS URL, as a run uses it.
pub(super) async fn jetstream(url: &str) -> anyhow::Result<JetStream> {
    let options = async_nats::ConnectOptions::new().retry_on_initial_connect();
    let client = options.connect(url).await.context("connect to NATS")?;
    Ok(JetStream::new(client, JetStreamConfig::default()))
}

/// The process that fills JetStream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RelayJob {
    /// The log.
    pub database: DatabaseAt,
    /// The NATS server.
    pub nats: String,
}

/// What a process does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Role {
    /// Appends and writes down what it is told.
    Writer(WriterJob),
    /// Follows the log without a name and writes down what it sees.
    DirectReader(DirectReaderJob),
    /// Reads under a durable name into a table, in the transaction of the checkpoint.
    DurableReader(DurableReaderJob),
    /// Runs the relay.
    Relay(RelayJob),
}

impl Role {
    /// Starts `program`, which is `log-chaos`, in this role.
    pub fn spawn(&self, program: &Path, name: &str, log_directory: &Path) -> io::Result<ChildProcess> {
        let mut command = Command::new(program);
        command.arg("role").arg(serde_json::to_string(self)?);
        ChildProcess::spawn(name, command, log_directory)
    }

    /// Plays the role until SIGTERM, or until it ends by itself.
    pub async fn play(self) -> anyhow::Result<()> {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            .init();
        let mut terminate = signal(SignalKind::terminate())?;
        let terminated = async move {
            terminate.recv().await;
        };
        match self {
            // A writer settles what is under way before it ends.
            Self::Writer(job) => writer::run(job, terminated).await,
            other => Box::pin(unless(terminated, other.play_until_killed())).await,
        }
    }

    async fn play_until_killed(self) -> anyhow::Result<()> {
        match self {
            Self::Writer(job) => writer::run(job, std::future::pending()).await,
            Self::DirectReader(job) => readers::run_direct(job).await,
            Self::DurableReader(job) => readers::run_durable(job).await,
            Self::Relay(job) => {
                let store = job.database.open().await?;
                let jetstream = jetstream(&job.nats).await?;
                say(READY);
                Relay::new(&store, &jetstream, SHARD).run().await;
                Ok(())
            }
        }
    }
}

async fn unless(
    ended: impl Future<Output = ()>,
    played: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::select! {
        outcome = played => outcome,
        () = ended => Ok(()),
    }
}

/// A line for whoever started the process; see [`ChildProcess::wait_ready`].
pub(super) fn say(line: &str) {
    eprintln!("{line}");
}

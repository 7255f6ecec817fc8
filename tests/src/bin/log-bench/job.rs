//! What a writing process is told and what it reports.

use std::path::PathBuf;

use assent_event_store::Database;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where a writer writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Target {
    Postgres { url: String },
    Sqlite { dir: PathBuf },
}

impl Target {
    pub(crate) fn database(&self) -> Database {
        match self {
            Self::Postgres { url } => Database::postgres(url.clone()),
            Self::Sqlite { dir } => Database::sqlite(dir.clone()),
        }
    }
}

/// What each of a writer's lanes does again and again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Appends one event to a new stream, `NoStream`; lanes spread over the shards.
    Append { shards: Vec<u16> },
    /// Appends that carry their time, so many a second altogether, whatever the answers take.
    Paced { per_second: u32 },
    /// The same as `Append`, but every second append expects a version that is wrong.
    HalfConflicts { conflicts: Conflicts },
    /// Appends one event to one and the same stream, `Any`.
    Hot { stream: Uuid },
    /// Inserts one row with a serial number, autocommit, on a connection of the lane's own: no store.
    UnorderedInsert,
    /// Inserts rows by one `insert … select from unnest`, numbered by the client: no store.
    UnnestInsert { rows: usize },
}

/// Which streams the conflicting appends meet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Conflicts {
    /// Such as this process wrote just before.
    Known,
    /// Such as another process wrote, each met once: the database has to find the conflict.
    Unknown {
        /// Names the run that wrote them.
        run: u64,
        /// Numbers of the first and behind the last of this writer's.
        from: u64,
        to: u64,
    },
}

/// One writing process's order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) target: Target,
    pub(crate) work: Work,
    /// Where relays hear of commits; none: nobody is told.
    pub(crate) nats: Option<String>,
    /// Lanes: how many appends are under way at any time.
    pub(crate) in_flight: usize,
    pub(crate) seed: u64,
    pub(crate) run: u64,
    pub(crate) writer: u64,
    /// Appears when all writers are ready; holds the [`Window`].
    pub(crate) go: PathBuf,
    /// Where the [`Outcome`] goes.
    pub(crate) outcome: PathBuf,
}

/// What is measured: answers between two moments, in microseconds since the epoch. Work begins before and ends with it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) opens_us: u64,
    pub(crate) closes_us: u64,
}

/// What a writer saw.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Answers within the window, whatever they were.
    pub(crate) answered: u64,
    /// Events acknowledged within the window.
    pub(crate) events: u64,
    /// Conflicts answered within the window.
    pub(crate) conflicts: u64,
    /// Anything else, at any time, with an example.
    pub(crate) failures: u64,
    pub(crate) failure: Option<String>,
    /// Events acknowledged at any time.
    pub(crate) acknowledged: u64,
    /// Of the store within the window.
    pub(crate) flushes: u64,
    pub(crate) flushed_events: u64,
    /// CPU time of the process within the window.
    pub(crate) cpu_us: u64,
    /// Time to each answer within the window.
    pub(crate) latencies_us: Vec<u32>,
}

impl Outcome {
    pub(crate) fn merge(&mut self, other: Self) {
        self.answered += other.answered;
        self.events += other.events;
        self.conflicts += other.conflicts;
        self.failures += other.failures;
        self.failure = self.failure.take().or(other.failure);
        self.acknowledged += other.acknowledged;
        self.flushes += other.flushes;
        self.flushed_events += other.flushed_events;
        self.cpu_us += other.cpu_us;
        self.latencies_us.extend(other.latencies_us);
    }
}

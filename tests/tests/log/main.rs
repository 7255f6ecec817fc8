//! The log under faults: histories of many processes while everything is killed, JetStream broken in every way, durable
//! feeds whose processes die or freeze, and SQLite killed in the middle of its appends.

#![expect(
    clippy::unwrap_used,
    reason = "a test; clippy only knows the functions marked as tests"
)]

mod chaos;
mod durability;
mod durable_feeds;
mod jetstream;
mod newer_events;
mod raw_stream;
mod sqlite_crash;
mod stores;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// How long a test waits for something that must come, on a machine that is busy with others.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// The program that plays the processes of a test.
fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_log-chaos"))
}

/// Waits until `condition` holds.
///
/// # Panics
/// If it does not within [`PATIENCE`], with what `describe` says.
async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(POLL).await;
    }
}

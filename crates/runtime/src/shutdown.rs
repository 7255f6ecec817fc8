//! Ending a process: first softly, so that work in hand is finished, then hard.

use crate::config::{Check, Validate};
use serde::{Deserialize, Serialize};
use std::{
    fmt, io,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How a process ends.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default)]
pub struct ShutdownConfig {
    /// How long work in hand may take once the process was asked to end, in milliseconds.
    pub grace_ms: u64,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { grace_ms: 20_000 }
    }
}

impl Validate for ShutdownConfig {
    fn validate(&self, check: &mut Check) {
        check.range("grace_ms", self.grace_ms, 100, 600_000);
    }
}

/// Why a process ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// Somebody asked by a signal.
    #[error("asked by {0}")]
    Signal(&'static str),
    /// Part of the process asked, with nothing being wrong.
    #[error("{0}")]
    Requested(String),
    /// A task failed and may not be restarted, or was restarted too often.
    #[error("task {task} failed: {error}")]
    TaskFailed {
        /// Name of the task.
        task: &'static str,
        /// What it failed with.
        error: String,
    },
    /// A task that should run for ever ended.
    #[error("task {task} ended though nobody asked it to")]
    TaskEnded {
        /// Name of the task.
        task: &'static str,
    },
    /// More tasks were started than a process may have.
    #[error("more than {limit} tasks were started")]
    TooManyTasks {
        /// How many are allowed.
        limit: usize,
    },
}

impl StopReason {
    /// Whether the process should end with an exit code other than 0.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Signal(_) | Self::Requested(_) => false,
            Self::TaskFailed { .. } | Self::TaskEnded { .. } | Self::TooManyTasks { .. } => true,
        }
    }
}

/// The one switch all parts of a process watch. Clones are the same switch.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<Inner>);

#[derive(Default)]
struct Inner {
    soft: CancellationToken,
    hard: CancellationToken,
    reason: OnceLock<StopReason>,
}

impl Shutdown {
    /// A switch not thrown yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when no new work may be taken on: finish what is in hand, then end.
    pub fn soft(&self) -> &CancellationToken {
        &self.0.soft
    }

    /// Cancelled when everything must be dropped at once.
    pub fn hard(&self) -> &CancellationToken {
        &self.0.hard
    }

    /// Begins the soft shutdown; only the first reason counts.
    pub fn begin(&self, reason: StopReason) {
        if self.0.reason.set(reason).is_ok() {
            if let Some(reason) = self.reason() {
                tracing::info!(%reason, failure = reason.is_failure(), "shutting down");
            }
            self.0.soft.cancel();
        }
    }

    /// Ends the grace: whatever still runs is dropped.
    pub fn force(&self) {
        self.begin(StopReason::Requested("forced".to_owned()));
        self.0.hard.cancel();
    }

    /// Why the process ends, once it does.
    pub fn reason(&self) -> Option<&StopReason> {
        self.0.reason.get()
    }

    /// Begins the soft shutdown on SIGTERM or SIGINT, and the hard one on a second signal or when `grace` has passed
    /// since the soft one began, whoever began it. The signals are caught from the moment this returns.
    ///
    /// Errors: the operating system refuses to deliver signals. Needs a tokio runtime.
    pub fn listen(&self, grace: Duration) -> io::Result<()> {
        let signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        tokio::spawn(self.clone().follow(signals, grace));
        Ok(())
    }

    async fn follow(self, mut signals: Signals, grace: Duration) {
        tokio::select! {
            name = signals.next() => self.begin(StopReason::Signal(name)),
            () = self.0.soft.cancelled() => {}
        }
        tokio::select! {
            name = signals.next() => tracing::warn!(signal = name, "asked again; dropping work in hand"),
            () = tokio::time::sleep(grace) => {
                tracing::warn!(grace_ms = grace.as_millis() as u64, "grace has passed; dropping work in hand");
            }
            () = self.0.hard.cancelled() => {}
        }
        self.0.hard.cancel();
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shutdown")
            .field("soft", &self.0.soft.is_cancelled())
            .field("hard", &self.0.hard.is_cancelled())
            .field("reason", &self.0.reason.get())
            .finish()
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_counts() {
        let shutdown = Shutdown::new();
        shutdown.begin(StopReason::Requested("first".into()));
        shutdown.begin(StopReason::Requested("second".into()));
        assert_eq!(shutdown.reason(), Some(&StopReason::Requested("first".into())));
        assert!(shutdown.soft().is_cancelled() && !shutdown.hard().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn the_hard_shutdown_follows_when_the_grace_has_passed() {
        let shutdown = Shutdown::new();
        shutdown.listen(Duration::from_secs(20)).unwrap();
        shutdown.begin(StopReason::Requested("done".into()));
        let begun = tokio::time::Instant::now();
        shutdown.hard().cancelled().await;
        assert_eq!(begun.elapsed().as_secs(), 20);
    }

    #[tokio::test]
    async fn forcing_ends_both() {
        let shutdown = Shutdown::new();
        shutdown.force();
        assert!(shutdown.soft().is_cancelled() && shutdown.hard().is_cancelled());
        assert!(!shutdown.reason().unwrap().is_failure());
    }
}

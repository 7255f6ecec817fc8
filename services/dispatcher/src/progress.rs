//! How far a reader has come, and when that is written down.

use assent_event_store::{Batch, Checkpoint};
use std::time::Duration;
use tokio::time::Instant;

/// Batches that were handled and are not yet committed, as one step.
#[derive(Debug)]
pub(crate) struct Progress {
    every: Duration,
    step: Option<Checkpoint>,
    due: Instant,
}

impl Progress {
    pub(crate) fn new(every: Duration) -> Self {
        Self {
            every,
            step: None,
            due: Instant::now(),
        }
    }

    /// Notes that a batch was handled. A batch that does not follow on, after a take-over or a rewind, starts anew.
    pub(crate) fn handled(&mut self, batch: &Batch) {
        let follows = self
            .step
            .take()
            .filter(|step| step.position() == batch.checkpoint.start());
        if follows.is_none() {
            self.due = Instant::now() + self.every;
        }
        let step = follows.map(|step| step.through(&batch.checkpoint));
        self.step = Some(step.unwrap_or_else(|| batch.checkpoint.clone()));
    }

    /// When it is time to commit, if there is anything.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.step.as_ref().map(|_| self.due)
    }

    /// What is to be committed, if it is time.
    pub(crate) fn take_due(&mut self) -> Option<Checkpoint> {
        if self.due > Instant::now() {
            return None;
        }
        self.take()
    }

    /// What is to be committed, whether it is time or not.
    pub(crate) fn take(&mut self) -> Option<Checkpoint> {
        self.step.take()
    }

    /// Puts back what could not be committed.
    pub(crate) fn put_back(&mut self, step: Checkpoint) {
        self.due = Instant::now() + self.every;
        self.step = Some(step);
    }

    /// Forgets what was handled: it will be handled again.
    pub(crate) fn forget(&mut self) {
        self.step = None;
    }
}

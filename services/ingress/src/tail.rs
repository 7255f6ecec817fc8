//! The live tail of one shard: shows callers their decisions, and what became of templates.

use crate::{templates::Templates, waiting::Waiting};
use assent_event_store::{Feeds, ShardId, limits::BATCH_EVENTS_MAX};
use assent_runtime::{shutdown::Shutdown, supervise::TaskResult};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// How far this process has read a shard, and what it saw.
#[derive(Debug)]
pub(crate) struct LiveTail {
    pub(crate) shard: ShardId,
    position: AtomicU64,
    /// How many of the events were requests: what a position in the log is worth in requests.
    requests: AtomicU64,
}

impl LiveTail {
    /// A tail that begins after `position`.
    pub(crate) fn new(shard: ShardId, position: u64) -> Self {
        Self {
            shard,
            position: AtomicU64::new(position),
            requests: AtomicU64::new(0),
        }
    }

    /// The newest position seen.
    pub(crate) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// How many requests were seen.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Acquire)
    }

    /// Follows the shard until the soft shutdown.
    pub(crate) async fn follow(
        self: Arc<Self>,
        feeds: Feeds,
        waiting: Arc<Waiting>,
        templates: Arc<Templates>,
        shutdown: Shutdown,
    ) -> TaskResult {
        let mut tail = feeds.tail(self.shard, self.position());
        loop {
            let events = tokio::select! {
                events = tail.next(BATCH_EVENTS_MAX) => events?,
                // Callers are answered until the process is told to end at once.
                () = shutdown.hard().cancelled() => return Ok(()),
                () = ended(&shutdown, &waiting) => return Ok(()),
            };
            waiting.tell(&events);
            templates.forget(&events);
            let requests = events.iter().filter(|event| event.kind == "request.submitted").count();
            self.requests.fetch_add(requests as u64, Ordering::AcqRel);
            self.position.store(tail.position(), Ordering::Release);
        }
    }
}

/// The soft shutdown has begun and nobody waits any more.
async fn ended(shutdown: &Shutdown, waiting: &Waiting) {
    shutdown.soft().cancelled().await;
    while waiting.count() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

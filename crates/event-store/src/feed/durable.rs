//! A durable reader: a name, a lease and a checkpoint.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::{
    checkpoint::{self, Checkpoint},
    hub::Feeds,
    lease::Lease,
    tail::Tail,
};
use crate::{
    event::{RecordedEvent, ShardId},
    limits,
    read::ReadError,
};

/// Where a name begins that has no checkpoint yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first event of the shard.
    Beginning,
    /// With what comes from now on.
    Head,
}

/// Events for a durable reader, and the checkpoint to commit when they are done.
#[derive(Debug, Clone)]
pub struct Batch {
    /// One or more consecutive events.
    pub events: Vec<RecordedEvent>,
    /// To be committed with the effects of the events.
    pub checkpoint: Checkpoint,
}

/// Why a durable reader cannot go on as it was.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// Another process reads under this name now, or a crash of the database took back what this one had committed.
    /// Roll back and call `next_batch`, which waits for the lease and goes on from the checkpoint.
    #[error("the checkpoint of feed {name} of shard {shard} is not where this reader left it")]
    Fenced {
        /// The feed.
        name: String,
        /// The shard.
        shard: ShardId,
    },
    /// The database did not answer. The batch is not committed; try again.
    #[error("the checkpoint could not be moved")]
    Unavailable(#[from] sqlx::Error),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The durable reader called by its name. Many processes may hold one; the lease lets one at a time read.
///
/// ```no_run
/// # use assent_event_store::{Feeds, ShardId, Start};
/// # async fn handle(_: &[assent_event_store::RecordedEvent]) {}
/// # async fn example(feeds: Feeds) -> Result<(), assent_event_store::FeedError> {
/// let mut feed = feeds.feed("consent-requests", ShardId(0), Start::Beginning);
/// loop {
///     let batch = feed.next_batch().await?;
///     handle(&batch.events).await;
///     feed.commit(&batch.checkpoint).await?;
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Feed {
    feeds: Feeds,
    name: String,
    shard: ShardId,
    start: Start,
    batch_events_max: usize,
    owner: Uuid,
    active: Option<Active>,
    /// Since when an event that is not understood keeps this reader from going on.
    stuck_since: Option<Instant>,
}

#[derive(Debug)]
struct Active {
    lease: Lease,
    tail: Tail,
    /// Set by a checkpoint that could not be moved: what was handed out since is not done and has to be read again.
    refused: Arc<AtomicBool>,
}

impl Feed {
    pub(crate) fn new(feeds: Feeds, name: String, shard: ShardId, start: Start) -> Self {
        Self {
            feeds,
            name,
            shard,
            start,
            batch_events_max: limits::BATCH_EVENTS_MAX,
            owner: Uuid::new_v4(),
            active: None,
            stuck_since: None,
        }
    }

    /// Hands out at most this many events at once; [`BATCH_EVENTS_MAX`](limits::BATCH_EVENTS_MAX) if not called, and never more
    /// than [`READ_EVENTS_MAX`](limits::READ_EVENTS_MAX).
    #[must_use]
    pub fn batch_events_max(mut self, events: usize) -> Self {
        self.batch_events_max = events.clamp(1, limits::READ_EVENTS_MAX);
        self
    }

    /// The feed's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The position up to which events were handed out, while this process is the active reader.
    pub fn position(&self) -> Option<u64> {
        self.active.as_ref().map(|active| active.tail.position())
    }

    /// The next events. Waits until this process is the active reader and there are some; cancelling loses nothing.
    ///
    /// A batch that was handed out and not committed is handed out again only after [`Self::rewind`] or a take-over.
    ///
    /// An event that this program does not understand ([`Feeds::understanding`]) is never handed out, nor is any after it:
    /// whoever commits a position has done everything up to it. The reader leaves the lease to another process, which may
    /// be a newer one, and looks again later.
    pub async fn next_batch(&mut self) -> Result<Batch, FeedError> {
        loop {
            self.step_aside().await;
            if self.active.as_ref().is_some_and(|active| !active.lease.is_held()) {
                tracing::warn!(feed = self.name, shard = self.shard.0, "the lease was lost");
                self.active = None;
            }
            if self
                .active
                .as_ref()
                .is_some_and(|active| active.refused.load(Ordering::Relaxed))
            {
                self.active = None;
            }
            if self.active.is_none() {
                self.active = self.become_active().await?;
            }
            let Some(active) = &mut self.active else { continue };
            let from = active.tail.position();
            let mut events = tokio::select! {
                events = active.tail.next(self.batch_events_max) => events?,
                () = active.lease.lost() => continue,
            };
            if let Some(known) = events.iter().position(|event| !self.feeds.understands(event)) {
                let unknown = &events[known];
                active.tail = self.feeds.tail(self.shard, unknown.position - 1);
                if known == 0 {
                    not_understood(&self.name, unknown);
                    self.stuck_since = Some(Instant::now());
                    continue;
                }
                events.truncate(known);
            }
            let checkpoint = Checkpoint {
                name: self.name.clone(),
                shard: self.shard,
                fence: active.lease.fence,
                from,
                to: active.tail.position(),
                refused: active.refused.clone(),
            };
            return Ok(Batch { events, checkpoint });
        }
    }

    /// After an event that is not understood: leaves the reader time to commit what it has in hand, gives the lease away
    /// and waits. May be cut short anywhere and called again.
    async fn step_aside(&mut self) {
        let Some(since) = self.stuck_since else { return };
        if self.active.is_some() {
            sleep_until(since + limits::STUCK_LINGER).await;
            self.release().await;
        }
        sleep_until(since + limits::STUCK_PAUSE).await;
        self.stuck_since = None;
    }

    /// Waits for the lease and finds the checkpoint; `None` if somebody was quicker.
    async fn become_active(&self) -> Result<Option<Active>, FeedError> {
        let store = self.feeds.store();
        let lease = Lease::acquire(store, &self.name, self.shard, self.owner).await;
        let start = match self.start {
            Start::Beginning => 0,
            Start::Head => store.head(self.shard).await?,
        };
        let position = checkpoint::take_over(store.adapter(), &self.name, self.shard, lease.fence, start).await?;
        Ok(position.map(|position| Active {
            lease,
            tail: self.feeds.tail(self.shard, position),
            refused: Arc::default(),
        }))
    }

    /// Moves the checkpoint by itself, for readers whose effects are idempotent and elsewhere: in the log.
    pub async fn commit(&mut self, checkpoint: &Checkpoint) -> Result<(), FeedError> {
        checkpoint.commit(self.feeds.store().adapter()).await
    }

    /// Forgets what was handed out since the last commit: the next batch starts at the checkpoint again.
    pub fn rewind(&mut self) {
        self.active = None;
    }

    /// Lets another process take over at once.
    pub async fn release(&mut self) {
        if let Some(active) = self.active.take() {
            active.lease.release().await;
        }
    }
}

fn not_understood(feed: &str, event: &RecordedEvent) {
    metrics::counter!("assent_feed_not_understood_total", "feed" => feed.to_owned()).increment(1);
    tracing::error!(
        feed,
        shard = event.shard.0,
        position = event.position,
        kind = event.kind.as_str(),
        schema_version = event.schema_version,
        "an event is newer than this program; the reader stops before it and leaves it to a newer Assent"
    );
}

//! The loop of a durable reader: take batches, have several handled at a time, commit them in order.
//!
//! A batch may be handled again after a crash or an error, so handlers are idempotent. That also allows to commit rarely: what
//! has no effect in this service's own tables is committed with the next step, at most [`COMMIT_AFTER`] later.

use crate::{
    metrics,
    views::{Changes, Views},
};
use assent_event_store::{Batch, Checkpoint, Feed, FeedError, KeyError, ReadError, RecordedEvent, ShardId, Start};
use assent_runtime::{admin::Condition, platform::Platform, shutdown::Shutdown};
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesOrdered};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Longest time that something done stays uncommitted: the most that is done again after a crash.
const COMMIT_AFTER: Duration = Duration::from_millis(200);

/// Pauses while the database is away: from this, doubling, to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);

/// Why a batch has to be handled again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandleError {
    #[error("the log could not be read")]
    Read(#[from] ReadError),
    #[error("the read model did not answer")]
    Views(#[from] sqlx::Error),
    #[error("keys could not be had")]
    Keys(#[from] KeyError),
    #[error("an erasure could not be carried out")]
    Erasures(#[from] assent_runtime::erasures::ErasureError),
    #[error("an append failed")]
    Append(#[from] assent_event_store::AppendError),
}

/// What a reader does with its batches.
pub(crate) trait Handler: Send + Sync + 'static {
    /// What is left of a batch once everything irrelevant is dropped.
    type Work: Send;

    /// Prepares for reading from a checkpoint: at the start, and whenever batches will be handled again.
    fn begin(&self) -> BoxFuture<'_, Result<(), HandleError>>;

    /// What there is to do in a batch; `None` in most of them.
    fn sift(&self, events: Vec<RecordedEvent>) -> Option<Self::Work>;

    /// Whether the work changes the read model: it is then done with nothing else in flight, so that whatever follows sees it.
    fn changes_views(&self, work: &Self::Work) -> bool;

    /// Does it. What it returns is written to the read model together with the checkpoint.
    fn handle(&self, work: Self::Work) -> BoxFuture<'_, Result<Changes, HandleError>>;

    /// The changes are written and committed.
    fn committed(&self, changes: &Changes);
}

/// How much a reader takes on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) batch_events_max: usize,
    pub(crate) batches_in_flight_max: usize,
}

/// A durable reader of one shard.
pub(crate) struct Reader<H> {
    platform: Platform,
    name: &'static str,
    shard: ShardId,
    pace: Pace,
    handler: Arc<H>,
    condition: Condition,
    views: Views,
    /// Failures in a row.
    failures: AtomicU64,
}

type Handled = (Checkpoint, Result<Changes, HandleError>);

/// What is between the feed and the checkpoint.
struct Pipeline<'a, W> {
    feed: Feed,
    in_flight: FuturesOrdered<BoxFuture<'a, Handled>>,
    /// Work that waits until nothing else is in flight.
    held: Option<(Checkpoint, W)>,
    /// Whether what is in flight must be alone.
    alone: bool,
    /// Done and not committed.
    done: Option<Checkpoint>,
    done_since: Instant,
    /// Up to where batches were taken.
    position: Option<u64>,
}

impl<W> Pipeline<'_, W> {
    /// Forgets everything that is not committed.
    fn rewind(&mut self) {
        self.in_flight.clear();
        (self.held, self.alone, self.done, self.position) = (None, false, None, None);
        self.feed.rewind();
    }

    fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.held.is_none()
    }

    fn may_take(&self, in_flight_max: usize) -> bool {
        !self.alone && self.held.is_none() && self.in_flight.len() < in_flight_max
    }

    /// The step from the last commit up to and with `checkpoint`.
    fn step(&self, checkpoint: &Checkpoint) -> Checkpoint {
        self.done
            .as_ref()
            .map_or_else(|| checkpoint.clone(), |done| done.through(checkpoint))
    }

    fn add_done(&mut self, checkpoint: &Checkpoint) {
        if self.done.is_none() {
            self.done_since = Instant::now();
        }
        self.done = Some(self.step(checkpoint));
    }

    async fn commit(&mut self) -> Result<(), FeedError> {
        let Some(done) = self.done.take() else { return Ok(()) };
        self.feed.commit(&done).await
    }
}

impl<H: Handler> Reader<H> {
    pub(crate) fn new(
        platform: &Platform,
        name: &'static str,
        shard: ShardId,
        pace: Pace,
        handler: Arc<H>,
        condition: Condition,
    ) -> Self {
        Self {
            views: Views::of(&platform.store),
            platform: platform.clone(),
            name,
            shard,
            pace,
            handler,
            condition,
            failures: AtomicU64::new(0),
        }
    }

    /// Reads until the soft shutdown; finishes what is in hand and lets another process take over.
    pub(crate) async fn run(&self, shutdown: &Shutdown) {
        let feed = self.platform.feeds.feed(self.name, self.shard, Start::Beginning);
        let mut pipeline = Pipeline {
            feed: feed.batch_events_max(self.pace.batch_events_max),
            in_flight: FuturesOrdered::new(),
            held: None,
            alone: false,
            done: None,
            done_since: Instant::now(),
            position: None,
        };
        // A reader that waits for its turn is as ready as one that reads.
        self.condition.met();
        let mut stopping = false;
        loop {
            if stopping && pipeline.is_idle() {
                if let Err(error) = pipeline.commit().await {
                    tracing::warn!(feed = self.name, shard = self.shard.0, %error, "the last step was not committed");
                }
                pipeline.feed.release().await;
                return;
            }
            if let Err(error) = self.turn(&mut pipeline, shutdown, &mut stopping).await {
                pipeline.rewind();
                if let FeedError::Fenced { .. } = error {
                    tracing::warn!(feed = self.name, shard = self.shard.0, "going back to the checkpoint");
                    continue;
                }
                if stopping {
                    return;
                }
                self.pause(&error, shutdown).await;
            }
        }
    }

    /// Whatever happens next: a batch is done, a commit is due, there is a new batch, or the end.
    async fn turn<'a>(
        &'a self,
        pipeline: &mut Pipeline<'a, H::Work>,
        shutdown: &Shutdown,
        stopping: &mut bool,
    ) -> Result<(), FeedError> {
        if pipeline.in_flight.is_empty() {
            pipeline.alone = false;
            if let Some((checkpoint, work)) = pipeline.held.take() {
                pipeline.alone = true;
                pipeline.in_flight.push_back(self.start(checkpoint, work));
            }
        }
        let due = (pipeline.done_since + COMMIT_AFTER).into();
        let is_done = pipeline.done.is_some();
        let may_take = !*stopping && pipeline.may_take(self.pace.batches_in_flight_max);
        tokio::select! {
            biased;
            Some((checkpoint, result)) = pipeline.in_flight.next() => match result {
                Ok(changes) => {
                    self.finish(pipeline, &checkpoint, &changes).await?;
                    self.recovered();
                    Ok(())
                }
                Err(error) => Err(handle_failed(self.name, self.shard, error)),
            },
            () = tokio::time::sleep_until(due), if is_done => pipeline.commit().await,
            () = shutdown.soft().cancelled(), if !*stopping => {
                *stopping = true;
                Ok(())
            }
            batch = pipeline.feed.next_batch(), if may_take => self.take(pipeline, batch?).await,
        }
    }

    /// Sorts a new batch out and has its work started, at once or once it can be alone.
    async fn take<'a>(&'a self, pipeline: &mut Pipeline<'a, H::Work>, batch: Batch) -> Result<(), FeedError> {
        let Batch { events, checkpoint } = batch;
        if pipeline.position != Some(checkpoint.start()) {
            // Read again from a checkpoint: what is in flight belongs to a lease that was lost.
            pipeline.in_flight.clear();
            pipeline.done = None;
            if let Err(error) = self.handler.begin().await {
                return Err(handle_failed(self.name, self.shard, error));
            }
        }
        pipeline.position = Some(checkpoint.position());
        let Some(work) = self.handler.sift(events) else {
            if pipeline.in_flight.is_empty() {
                pipeline.add_done(&checkpoint);
            } else {
                // Behind batches that are not done yet.
                pipeline
                    .in_flight
                    .push_back(Box::pin(async move { (checkpoint, Ok(Changes::default())) }));
            }
            return Ok(());
        };
        if self.handler.changes_views(&work) {
            pipeline.held = Some((checkpoint, work));
        } else {
            pipeline.in_flight.push_back(self.start(checkpoint, work));
        }
        Ok(())
    }

    fn start(&self, checkpoint: Checkpoint, work: H::Work) -> BoxFuture<'_, Handled> {
        let events = checkpoint.position() - checkpoint.start();
        let started = Instant::now();
        Box::pin(async move {
            let result = self.handler.handle(work).await;
            metrics::batch(self.name, events as usize, started.elapsed().as_secs_f64());
            (checkpoint, result)
        })
    }

    /// A batch is done: its changes are written at once, a mere step of the checkpoint later.
    async fn finish(
        &self,
        pipeline: &mut Pipeline<'_, H::Work>,
        checkpoint: &Checkpoint,
        changes: &Changes,
    ) -> Result<(), FeedError> {
        if changes.is_empty() {
            pipeline.add_done(checkpoint);
            return Ok(());
        }
        let step = pipeline.step(checkpoint);
        self.views.write(self.shard, changes, &step).await?;
        pipeline.done = None;
        self.handler.committed(changes);
        Ok(())
    }

    fn recovered(&self) {
        if self.failures.swap(0, Ordering::Relaxed) > 0 {
            self.condition.met();
        }
    }

    async fn pause(&self, error: &FeedError, shutdown: &Shutdown) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        let pause = PAUSE_FIRST.saturating_mul(1 << failures.min(16)).min(PAUSE_LONGEST);
        self.condition.unmet("the database does not answer");
        tracing::warn!(
            feed = self.name,
            shard = self.shard.0,
            %error,
            pause_ms = pause.as_millis() as u64,
            "a step failed and is tried again"
        );
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.soft().cancelled() => {}
        }
    }
}

/// Logged where it is known; for the loop only counts that the batch is not done.
fn handle_failed(feed: &'static str, shard: ShardId, error: HandleError) -> FeedError {
    match error {
        HandleError::Read(error) => FeedError::Read(error),
        HandleError::Views(error) => FeedError::Unavailable(error),
        other => {
            let source = std::error::Error::source(&other).map(ToString::to_string);
            tracing::warn!(feed, shard = shard.0, error = %other, source, "a batch was not handled");
            FeedError::Unavailable(sqlx::Error::WorkerCrashed)
        }
    }
}

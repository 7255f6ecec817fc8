//! Group commit: one task for each shard and process that turns waiting appends into flushes.
//!
//! A flush is one round trip and one fsync, whoever the appends in it came from. While it runs the next appends queue up;
//! when the shard is idle an append goes at once, and when it is busy the committer waits a little for more
//! ([`pace`]), because an event alone in its flush costs the database twenty times what it costs among a hundred.

mod heads;
mod pace;
pub(crate) mod plan;

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use time::OffsetDateTime;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, error::Elapsed},
};
use uuid::Uuid;

use self::{
    heads::Heads,
    pace::Pace,
    plan::{Assume, Beliefs, Offer, Plan, Planner, Settled, Waiting},
};
use crate::{
    adapter::{Adapter, FlushError, Flushed},
    append::{Append, AppendError, Appended},
    chain::micros,
    event::ShardId,
    limits,
    metrics::CommitterMetrics,
};

pub(crate) type Reply = oneshot::Sender<Result<Appended, AppendError>>;

/// What a shard's committer has done since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) flushes: AtomicU64,
    pub(crate) events: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) retries: AtomicU64,
}

/// The way into a shard.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    queue: mpsc::Sender<Waiting<Reply>>,
    pub(crate) head: watch::Receiver<u64>,
    pub(crate) counters: Arc<Counters>,
    metrics: CommitterMetrics,
}

impl Handle {
    /// Queues an append and waits for its outcome. Dropping the future before the append is in a flush withdraws it.
    pub(crate) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let asked = Instant::now();
        let (reply, answer) = oneshot::channel();
        let outcome = async {
            self.queue
                .send(Waiting::new(append, reply))
                .await
                .map_err(|_| AppendError::Closed)?;
            answer.await.unwrap_or(Err(AppendError::Closed))
        };
        let unknown = AppendError::OutcomeUnknown {
            waited_ms: limits::APPEND_TIMEOUT.as_millis() as u64,
        };
        let answered = tokio::time::timeout(limits::APPEND_TIMEOUT, outcome).await;
        self.metrics.append_answered(asked.elapsed());
        answered.unwrap_or(Err(unknown))
    }
}

/// Starts the committer of a shard. It ends when `closing` turns true and everything queued is answered.
pub(crate) fn start(
    adapter: Adapter,
    shard: ShardId,
    head: u64,
    closing: watch::Receiver<bool>,
) -> (Handle, tokio::task::JoinHandle<()>) {
    let (queue, waiting) = mpsc::channel(limits::QUEUE_APPENDS_MAX);
    let (published, head) = watch::channel(head);
    let counters = Arc::new(Counters::default());
    let metrics = CommitterMetrics::new();
    let committer = Committer {
        adapter,
        shard,
        waiting,
        closing,
        planner: Planner::new(),
        backlog: VecDeque::new(),
        deferred: Vec::new(),
        alone: VecDeque::new(),
        heads: Heads::default(),
        known_head: None,
        look_up_new_flushes: 0,
        look_up_seen_flushes: 0,
        shared_flushes: 0,
        pace: Pace::default(),
        published,
        counters: counters.clone(),
        metrics: metrics.clone(),
    };
    let handle = Handle {
        queue,
        head,
        counters,
        metrics,
    };
    (handle, tokio::spawn(committer.run()))
}

/// Hashes stream names. Their keys are random or keyed hashes already, so nobody can make them collide on purpose.
pub(crate) type Hashing = foldhash::fast::RandomState;

struct Committer {
    adapter: Adapter,
    shard: ShardId,
    waiting: mpsc::Receiver<Waiting<Reply>>,
    closing: watch::Receiver<bool>,
    /// The next flush, filled while the one before it is on its way.
    planner: Planner<Reply>,
    /// Appends that the next flush has no room for, oldest first.
    backlog: VecDeque<Waiting<Reply>>,
    /// Appends whose fate depends on the next flush: first in line for the one after it.
    deferred: Vec<Waiting<Reply>>,
    /// Appends of a flush that the database refused: one of them is to blame, so each goes alone.
    alone: VecDeque<Waiting<Reply>>,
    heads: Heads,
    known_head: Option<u64>,
    /// Flushes that still look every new stream up, because assuming was wrong lately.
    look_up_new_flushes: u32,
    /// The same for streams that were seen before.
    look_up_seen_flushes: u32,
    /// Flushes for which another process is still taken to write the shard as well, because one did lately: then what was exact
    /// a moment ago no longer is.
    shared_flushes: u32,
    pace: Pace,
    published: watch::Sender<u64>,
    counters: Arc<Counters>,
    metrics: CommitterMetrics,
}

impl Committer {
    async fn run(mut self) {
        while self.gather().await {
            if let Some(plan) = self.finish_plan() {
                self.flush(plan).await;
            }
        }
    }

    /// Waits until there is something worth flushing. False when the store is closed and nothing is left.
    async fn gather(&mut self) -> bool {
        if !self.alone.is_empty() {
            return true;
        }
        while self.planner.is_empty() {
            let next = tokio::select! {
                biased;
                next = self.waiting.recv() => next,
                () = closed(&mut self.closing) => {
                    self.waiting.close();
                    self.waiting.recv().await
                }
            };
            let Some(next) = next else { return false };
            self.admit(next);
        }
        self.admit_queued();
        let wake = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(wake);
        while let Some(deadline) = self.pace.deadline(self.planner.is_patient())
            && !self
                .pace
                .is_enough(self.planner.appends() + self.backlog.len(), self.planner.events())
        {
            if wake.deadline() != deadline {
                wake.as_mut().reset(deadline);
            }
            tokio::select! {
                biased;
                more = self.waiting.recv() => match more {
                    Some(more) => self.admit(more),
                    None => break,
                },
                () = &mut wake => break,
            }
            self.admit_queued();
        }
        true
    }

    /// Takes what is queued, within the bound of two flushes; the rest stays in the queue, which is bounded too.
    fn admit_queued(&mut self) {
        while self.has_room() {
            let Ok(next) = self.waiting.try_recv() else { break };
            self.admit(next);
        }
    }

    fn has_room(&self) -> bool {
        self.backlog.len() < limits::FLUSH_EVENTS_MAX
    }

    /// Puts an append into the next flush, into the line behind it, or answers it at once.
    fn admit(&mut self, waiting: Waiting<Reply>) {
        if waiting.reply.is_closed() {
            return; // its caller gave up before it was flushed
        }
        if let Some(conflict) = self.heads.conflict(&waiting.append) {
            self.counters.conflicts.fetch_add(1, Ordering::Relaxed);
            answer(waiting.reply, Err(conflict));
        } else if !self.backlog.is_empty() || !self.planner.has_room_for(&waiting.append) {
            self.backlog.push_back(waiting);
        } else if let Offer::Deferred(waiting) = self.planner.offer(waiting) {
            self.deferred.push(waiting);
        }
    }

    /// Closes the next flush and starts to fill the one after it.
    fn finish_plan(&mut self) -> Option<Plan<Reply>> {
        let planner = if let Some(alone) = self.alone.pop_front() {
            let mut planner = Planner::new();
            // The first append always fits and nothing before it can defer it.
            planner.offer(alone);
            planner
        } else {
            let planner = std::mem::replace(&mut self.planner, Planner::new());
            let waiting = self.deferred.drain(..).chain(self.backlog.drain(..));
            let waiting: Vec<Waiting<Reply>> = waiting.collect();
            for waiting in waiting {
                self.admit(waiting);
            }
            planner
        };
        if planner.is_empty() {
            return None;
        }
        let is_shared = self.shared_flushes > 0;
        let beliefs = Beliefs {
            known_head: self.known_head,
            cached: &|stream| self.heads.exact(stream).filter(|_| !is_shared),
            seen: &|stream| self.heads.seen(stream),
            assume: Assume {
                new: self.look_up_new_flushes == 0,
                seen: self.look_up_seen_flushes == 0,
                min: limits::FLUSH_ASSUMED_STREAMS_MIN,
            },
        };
        let now = micros(OffsetDateTime::now_utc());
        let plan = planner.finish(Uuid::new_v4(), self.shard, now, &beliefs);
        let flushes = [
            &mut self.look_up_new_flushes,
            &mut self.look_up_seen_flushes,
            &mut self.shared_flushes,
        ];
        for left in flushes {
            *left = left.saturating_sub(1);
        }
        Some(plan)
    }

    /// Runs a flush until its outcome is known, however often the connection is lost meanwhile.
    async fn flush(&mut self, plan: Plan<Reply>) {
        const BACKOFF_FIRST: Duration = Duration::from_millis(20);
        const BACKOFF_MAX: Duration = Duration::from_secs(1);
        let mut backoff = BACKOFF_FIRST;
        let mut again = false;
        let started = Instant::now();
        self.pace.flush_started(started);
        loop {
            match self.run_once(&plan, again).await {
                Ok(Ok(flushed)) => return self.settle(plan, flushed, started),
                Ok(Err(FlushError::Refused(reason))) => return self.refuse(plan, reason),
                Ok(Err(FlushError::Unknown(error))) => {
                    // The next connection may lead to another server, with less in its log.
                    self.heads.clear();
                    tracing::warn!(shard = self.shard.0, %error, "a flush was cut off; running it again under its id");
                }
                Err(_elapsed) => {
                    self.heads.clear();
                    tracing::warn!(
                        shard = self.shard.0,
                        "a flush had no answer in time; running it again under its id"
                    );
                }
            }
            if plan.is_abandoned() {
                tracing::error!(
                    shard = self.shard.0,
                    "the database did not answer before every caller gave up"
                );
                self.known_head = None;
                self.heads.forget_exact();
                return;
            }
            again = true;
            self.counters.retries.fetch_add(1, Ordering::Relaxed);
            self.metrics.retried();
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Runs a flush and takes in what is queued meanwhile, so that the next one is ready when the database is.
    async fn run_once(&mut self, plan: &Plan<Reply>, again: bool) -> Result<Result<Flushed, FlushError>, Elapsed> {
        let adapter = self.adapter.clone();
        let flush = tokio::time::timeout(limits::FLUSH_TIMEOUT, adapter.flush(&plan.flush, again));
        tokio::pin!(flush);
        loop {
            let room = self.has_room();
            tokio::select! {
                biased;
                outcome = &mut flush => return outcome,
                Some(next) = self.waiting.recv(), if room => {
                    self.admit(next);
                    self.admit_queued();
                }
            }
        }
    }

    fn settle(&mut self, plan: Plan<Reply>, flushed: Flushed, started: Instant) {
        let appends = plan.appends();
        let settled = match flushed {
            Flushed::Now(findings) => {
                if self.known_head != Some(findings.base) {
                    self.heads.forget_exact();
                    self.shared_flushes = limits::FLUSHES_SHARED;
                }
                let settled = plan.settle(&findings);
                self.known_head = Some(settled.head);
                settled
            }
            Flushed::Before { head, found } => {
                // Others may have written since.
                self.known_head = None;
                self.heads.forget_exact();
                plan.settle_found(head, &found)
            }
        };
        if settled.was_not_new {
            self.look_up_new_flushes = limits::FLUSHES_WITHOUT_ASSUMPTION;
        }
        if settled.was_beyond_seen {
            self.look_up_seen_flushes = limits::FLUSHES_WITHOUT_ASSUMPTION;
        }
        self.observe(appends, &settled, started);
        let Settled {
            answers,
            again,
            heads,
            head,
            ..
        } = settled;
        for (stream, version) in heads {
            self.heads.put(stream, version);
        }
        self.published.send_if_modified(|published| {
            let newer = head > *published;
            *published = head.max(*published);
            newer
        });
        for (reply, outcome) in answers {
            answer(reply, outcome);
        }
        for waiting in again {
            self.admit(waiting);
        }
        let queued = self.planner.appends() + self.backlog.len() + self.waiting.len();
        self.pace.flush_ended(Instant::now(), appends, queued);
    }

    fn observe(&self, appends: usize, settled: &Settled<Reply>, started: Instant) {
        let conflicts = settled.answers.iter().filter(|(_, outcome)| outcome.is_err()).count() as u64;
        self.counters.flushes.fetch_add(1, Ordering::Relaxed);
        self.counters.events.fetch_add(settled.written, Ordering::Relaxed);
        self.counters.conflicts.fetch_add(conflicts, Ordering::Relaxed);
        self.metrics
            .flushed((appends, settled.written, conflicts), started.elapsed());
    }

    /// The database refused a flush as a whole, so nothing of it was written. One append is to blame; find it.
    fn refuse(&mut self, plan: Plan<Reply>, reason: String) {
        tracing::error!(shard = self.shard.0, reason, "the database refused a flush");
        self.known_head = None;
        self.heads.forget_exact();
        if plan.appends() > 1 {
            self.alone.extend(plan.take_apart());
            return;
        }
        for (reply, error) in plan.fail(&AppendError::Refused { reason }) {
            answer(reply, Err(error));
        }
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // An error means that the store was dropped, which closes it as well.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// A caller that no longer waits has been told, or has chosen, that it does not know the outcome.
fn answer(reply: Reply, outcome: Result<Appended, AppendError>) {
    let _gone = reply.send(outcome);
}

//! Many callers, one round trip.
//!
//! Callers queue what they want. One of them starts a task that *leads*: it takes what is queued, makes one round trip,
//! answers, and goes on until the queue is empty. Who comes while a round trip is under way is in the next one, so
//! nobody is told what was read before they asked. A caller that goes away takes nothing from the others: the leader
//! does not run in its future.
//!
//! An idle process asks at once. A busy one spaces its round trips a little ([`Pace`]), because the round trip costs far
//! more than a key in it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use time::OffsetDateTime;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Instant, timeout, timeout_at},
};
use tracing::instrument::WithSubscriber as _;

use super::KeyError;
use crate::limits;

/// Gathers callers that want an `A` for each of some `K`. Cheap to clone; all clones share the queue.
#[derive(Clone)]
pub(crate) struct Gatherer<K, A> {
    shared: Arc<Shared<K, A>>,
}

struct Shared<K, A> {
    state: Mutex<State<K, A>>,
    /// Bounds the queue.
    callers: Arc<Semaphore>,
    /// What waits is worth a round trip now.
    worthwhile: Notify,
}

struct State<K, A> {
    waiting: VecDeque<Request<K, A>>,
    /// How many keys `waiting` names.
    keys: usize,
    led: bool,
    pace: Pace,
}

struct Request<K, A> {
    /// Sorted, each once.
    wanted: Vec<K>,
    at: OffsetDateTime,
    reply: oneshot::Sender<Result<Vec<A>, KeyError>>,
    _permit: OwnedSemaphorePermit,
}

/// What one round trip asks for, and for whom.
struct Batch<K, A> {
    requests: Vec<Request<K, A>>,
    /// Sorted, each once.
    wanted: Vec<K>,
    /// The earliest of the callers' clocks.
    at: OffsetDateTime,
}

impl<K, A> Gatherer<K, A>
where
    K: Ord + Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    waiting: VecDeque::new(),
                    keys: 0,
                    led: false,
                    pace: Pace::new(Instant::now()),
                }),
                callers: Arc::new(Semaphore::new(limits::KEYS_CALLERS_MAX)),
                worthwhile: Notify::new(),
            }),
        }
    }

    /// An answer for each of `wanted`, which is sorted, has each key once and at most
    /// [`KEYS_STATEMENT_MAX`](limits::KEYS_STATEMENT_MAX) of them. `round_trip` is given such a list, perhaps a longer
    /// one, and the earliest clock of all who are in it; every caller of one gatherer brings the same `round_trip`.
    pub(crate) async fn ask<F>(
        &self,
        wanted: Vec<K>,
        at: OffsetDateTime,
        round_trip: impl Fn(Vec<K>, OffsetDateTime) -> F + Send + Sync + 'static,
    ) -> Result<Vec<A>, KeyError>
    where
        F: Future<Output = Result<Vec<A>, KeyError>> + Send + 'static,
    {
        let permit = self.shared.callers.clone().acquire_owned().await;
        let (reply, answer) = oneshot::channel();
        let request = Request {
            wanted,
            at,
            reply,
            _permit: permit.expect("the semaphore is never closed"),
        };
        if self.shared.queue(request) {
            tokio::spawn(lead(self.shared.clone(), round_trip).with_current_subscriber());
        }
        // The leader goes without an answer only when its runtime ends or it panics.
        answer
            .await
            .unwrap_or_else(|_| Err(KeyError::from(sqlx::Error::WorkerCrashed)))
    }
}

impl<K: Ord + Clone, A> Shared<K, A> {
    fn state(&self) -> MutexGuard<'_, State<K, A>> {
        self.state.lock().expect("nothing panics while it holds the queue")
    }

    /// Queues a request. Whether somebody has to lead.
    fn queue(&self, request: Request<K, A>) -> bool {
        let mut state = self.state();
        state.pace.came(Instant::now());
        state.keys += request.wanted.len();
        state.waiting.push_back(request);
        if state.keys >= limits::KEYS_STATEMENT_WORTHWHILE {
            self.worthwhile.notify_one();
        }
        !std::mem::replace(&mut state.led, true)
    }

    /// Waits while the pace says so, and takes what fits into one round trip. Nothing: the leader is dismissed.
    async fn next_batch(&self) -> Option<Batch<K, A>> {
        let deadline = {
            let state = self.state();
            let worthwhile = state.keys >= limits::KEYS_STATEMENT_WORTHWHILE || state.waiting.is_empty();
            state.pace.deadline().filter(|_| !worthwhile)
        };
        if let Some(deadline) = deadline {
            // Woken early or not, what is there now goes.
            let _ = timeout_at(deadline, self.worthwhile.notified()).await;
        }
        let mut state = self.state();
        let requests = state.take();
        if requests.is_empty() {
            state.led = false;
            return None;
        }
        state.pace.started(Instant::now());
        drop(state);
        let mut wanted: Vec<K> = requests.iter().flat_map(|request| &request.wanted).cloned().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let at = requests.iter().map(|request| request.at).min();
        Some(Batch {
            wanted,
            at: at.unwrap_or(OffsetDateTime::UNIX_EPOCH),
            requests,
        })
    }
}

impl<K, A> State<K, A> {
    /// The oldest requests whose callers still wait, as many as fit. Callers whose clocks differ widely do not share.
    fn take(&mut self) -> Vec<Request<K, A>> {
        let mut taken: Vec<Request<K, A>> = Vec::new();
        let mut keys = 0;
        while let Some(next) = self.waiting.front() {
            let fits = keys + next.wanted.len() <= limits::KEYS_STATEMENT_MAX;
            let same_time = taken
                .first()
                .is_none_or(|first| (next.at - first.at).unsigned_abs() <= limits::CLOCK_SKEW_MAX);
            let gone = next.reply.is_closed();
            let comes_along = gone || taken.is_empty() || (fits && same_time);
            if !comes_along {
                break;
            }
            let Some(next) = self.waiting.pop_front() else { break };
            self.keys -= next.wanted.len();
            if !gone {
                keys += next.wanted.len();
                taken.push(next);
            }
        }
        taken
    }
}

/// Whoever waits is let go if the leader ends before its time, and the next caller leads anew.
struct Leading<K: Ord + Clone, A>(Arc<Shared<K, A>>, bool);

impl<K: Ord + Clone, A> Drop for Leading<K, A> {
    fn drop(&mut self) {
        if !self.1 {
            let mut state = self.0.state();
            state.led = false;
            state.keys = 0;
            state.waiting.clear();
        }
    }
}

async fn lead<K, A, F>(shared: Arc<Shared<K, A>>, round_trip: impl Fn(Vec<K>, OffsetDateTime) -> F)
where
    K: Ord + Clone,
    A: Clone,
    F: Future<Output = Result<Vec<A>, KeyError>>,
{
    let mut leading = Leading(shared.clone(), false);
    while let Some(batch) = shared.next_batch().await {
        let round_trip = round_trip(batch.wanted.clone(), batch.at);
        let outcome = timeout(limits::KEYS_STATEMENT_TIMEOUT, round_trip).await;
        let outcome = outcome.unwrap_or_else(|_elapsed| {
            let error = std::io::Error::new(std::io::ErrorKind::TimedOut, "the key table gave no answer in time");
            Err(KeyError::from(sqlx::Error::Io(error)))
        });
        batch.answer(&outcome);
    }
    leading.1 = true;
}

impl<K: Ord, A: Clone> Batch<K, A> {
    /// Hands everybody their part. Who no longer waits has no use for it.
    fn answer(self, outcome: &Result<Vec<A>, KeyError>) {
        for request in self.requests {
            let part = outcome.as_ref().map_err(Clone::clone).map(|answers| {
                let answer = |key| {
                    let place = self.wanted.binary_search(key);
                    answers[place.expect("the batch has what each of its requests wants")].clone()
                };
                request.wanted.iter().map(answer).collect()
            });
            let _gone = request.reply.send(part);
        }
    }
}

/// Spaces the round trips of a process that many callers ask at a time.
#[derive(Debug)]
struct Pace {
    started: Instant,
    /// The window that callers are counted in, how many came, and whether those of the last one were many.
    since: Instant,
    callers: usize,
    busy: bool,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self {
            started: now,
            since: now,
            callers: 0,
            busy: false,
        }
    }

    fn came(&mut self, now: Instant) {
        let windows = now.saturating_duration_since(self.since).as_nanos() / limits::KEYS_RATE_WINDOW.as_nanos();
        if windows > 0 {
            self.busy = windows == 1 && self.callers >= limits::KEYS_BUSY_CALLERS_MIN;
            self.since = now;
            self.callers = 0;
        }
        self.callers += 1;
    }

    fn started(&mut self, now: Instant) {
        self.started = now;
    }

    /// Until when the next round trip may wait, if it should wait at all.
    fn deadline(&self) -> Option<Instant> {
        self.busy.then(|| self.started + limits::KEYS_SPACING)
    }
}

#[cfg(test)]
mod tests;

//! A courier carries callbacks to one destination: a bounded number at once, with retries and a back-off.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use serde::Serialize;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::payload::render;
use super::signature::Signer;
use crate::config::CallbackLimits;
use crate::world::{Callback, Endpoint};

/// Longest pause of a whole destination that could not be reached. Short, so that it is noticed soon when it is back.
const UNREACHABLE_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Largest body of a POST. One update alone is never that large.
const BODY_BYTES_MAX: usize = 3 * 1_024 * 1_024;
const SIGNATURE_HEADER: &str = "x-hub-signature-256";
const AGENT: HeaderValue = HeaderValue::from_static("facebookexternalua");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What became of callbacks, as counts.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Callbacks not yet acknowledged or dropped.
    pub(crate) outstanding: AtomicU64,
    pub(crate) posts: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) unreachable: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) unsubscribed: AtomicU64,
}

/// Counts of callback sending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallbackCounts {
    /// Updates on their way: waiting, being sent or to be sent again.
    pub outstanding: u64,
    /// POSTs made, retries included.
    pub posts: u64,
    /// Updates answered with 200.
    pub acknowledged: u64,
    /// POSTs answered with anything else.
    pub refused: u64,
    /// POSTs that found nobody or got no answer in time.
    pub unreachable: u64,
    /// Updates given up after the last attempt, or for lack of room.
    pub dropped: u64,
    /// Updates nobody was subscribed to.
    pub unsubscribed: u64,
}

impl Ledger {
    pub(crate) fn counts(&self) -> CallbackCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CallbackCounts {
            outstanding: self.outstanding.load(Ordering::SeqCst),
            posts: read(&self.posts),
            acknowledged: read(&self.acknowledged),
            refused: read(&self.refused),
            unreachable: read(&self.unreachable),
            dropped: read(&self.dropped),
            unsubscribed: read(&self.unsubscribed),
        }
    }
}

/// Callbacks that share one POST.
pub(crate) struct Post {
    callbacks: Vec<Callback>,
    attempts: u32,
}

struct Retry {
    at: Instant,
    order: u64,
    post: Post,
}

impl PartialEq for Retry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Retry {}

impl PartialOrd for Retry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Retry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<Callback>,
    again: VecDeque<Post>,
    retries: BinaryHeap<Reverse<Retry>>,
    retried: u64,
    /// Nobody was there: nothing is tried before this instant.
    closed_until: Option<Instant>,
    unreachable_in_a_row: u32,
    /// Retries and new callbacks take turns, so that neither starves the other.
    retry_is_next: bool,
    /// Forgotten: what still comes back is dropped.
    is_closed: bool,
}

/// Called with callbacks something has happened to.
pub(crate) type OnCallbacks = Box<dyn Fn(&[Callback]) + Send + Sync>;

/// Carries callbacks to one destination.
pub(crate) struct Courier {
    endpoint: Arc<Endpoint>,
    signer: Signer,
    limits: CallbackLimits,
    client: reqwest::Client,
    url: reqwest::Url,
    slots: Arc<Semaphore>,
    queue: Mutex<Queue>,
    news: Notify,
    ledger: Arc<Ledger>,
    on_acknowledged: OnCallbacks,
    on_first_refusal: Option<OnCallbacks>,
}

enum Outcome {
    Acknowledged,
    Refused,
    Unreachable,
}

impl Courier {
    /// A courier for a destination; `None` if its URL is not one.
    pub(crate) fn new(
        endpoint: Arc<Endpoint>,
        limits: CallbackLimits,
        client: reqwest::Client,
        ledger: Arc<Ledger>,
        on_acknowledged: OnCallbacks,
    ) -> Option<Self> {
        let url = reqwest::Url::parse(&endpoint.url).ok()?;
        Some(Self {
            signer: Signer::new(&endpoint.secret),
            slots: Arc::new(Semaphore::new(limits.in_flight_max)),
            endpoint,
            limits,
            client,
            url,
            queue: Mutex::new(Queue::default()),
            news: Notify::new(),
            ledger,
            on_acknowledged,
            on_first_refusal: None,
        })
    }

    /// Has this done when callbacks are refused for the first time.
    pub(crate) fn when_refused(&mut self, act: OnCallbacks) {
        self.on_first_refusal = Some(act);
    }

    /// Where this courier goes.
    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Hands over a callback. The caller has counted it as outstanding.
    pub(crate) fn take(&self, callback: Callback) {
        let mut queue = self.lock();
        if queue.is_closed || queue.ready.len() >= self.limits.waiting_max {
            drop(queue);
            self.give_up(1);
            return;
        }
        queue.ready.push_back(callback);
        drop(queue);
        self.news.notify_one();
    }

    /// Forgets everything that waits and takes nothing more, as a reset does.
    pub(crate) fn close(&self) {
        let queue = std::mem::replace(
            &mut *self.lock(),
            Queue {
                is_closed: true,
                ..Queue::default()
            },
        );
        let again: usize = queue.again.iter().map(|post| post.callbacks.len()).sum();
        let retries: usize = queue
            .retries
            .iter()
            .map(|Reverse(retry)| retry.post.callbacks.len())
            .sum();
        self.settle(queue.ready.len() + again + retries);
    }

    /// Works until cancelled.
    pub(crate) async fn run(self: Arc<Self>, tasks: TaskTracker, cancel: CancellationToken) {
        loop {
            let next = async {
                let slot = self
                    .slots
                    .clone()
                    .acquire_owned()
                    .await
                    .expect("the semaphore is never closed");
                (slot, self.next_post().await)
            };
            let (slot, post) = tokio::select! {
                () = cancel.cancelled() => return,
                next = next => next,
            };
            let courier = self.clone();
            tasks.spawn(async move {
                courier.carry(post).await;
                drop(slot);
            });
        }
    }

    async fn next_post(&self) -> Post {
        loop {
            let wake_at = {
                let mut queue = self.lock();
                match queue.next(Instant::now(), self.limits.updates_per_post_max) {
                    Ok(post) => return post,
                    Err(wake_at) => wake_at,
                }
            };
            match wake_at {
                Some(at) => {
                    tokio::select! {
                        () = self.news.notified() => {}
                        () = tokio::time::sleep_until(at) => {}
                    }
                }
                None => self.news.notified().await,
            }
        }
    }

    async fn carry(&self, mut post: Post) {
        let mut body = render(&post.callbacks, self.limits.escape);
        while body.len() > BODY_BYTES_MAX && post.callbacks.len() > 1 {
            let rest = post.callbacks.split_off(post.callbacks.len() / 2);
            self.lock().again.push_front(Post {
                callbacks: rest,
                attempts: post.attempts,
            });
            self.news.notify_one();
            body = render(&post.callbacks, self.limits.escape);
        }
        // A spoilt signature is a fault of the first attempt: the retry shows that nothing was lost by refusing it.
        let spoil = post.attempts == 0 && post.callbacks.iter().any(|callback| callback.bad_signature);
        let signature = self.signer.header(&body, spoil);
        post.attempts += 1;
        self.ledger.posts.fetch_add(1, Ordering::Relaxed);
        let outcome = self.post(body, &signature).await;
        let mut is_first_refusal = false;
        let mut queue = self.lock();
        match outcome {
            Outcome::Acknowledged => {
                queue.unreachable_in_a_row = 0;
                drop(queue);
                (self.on_acknowledged)(&post.callbacks);
                self.ledger
                    .acknowledged
                    .fetch_add(post.callbacks.len() as u64, Ordering::Relaxed);
                self.settle(post.callbacks.len());
                return;
            }
            Outcome::Refused => {
                queue.unreachable_in_a_row = 0;
                self.ledger.refused.fetch_add(1, Ordering::Relaxed);
                is_first_refusal = post.attempts == 1;
            }
            Outcome::Unreachable => {
                queue.close_for_a_while(Duration::from_millis(self.limits.retry_first_ms));
                self.ledger.unreachable.fetch_add(1, Ordering::Relaxed);
            }
        }
        if queue.is_closed || post.attempts >= self.limits.attempts_max {
            drop(queue);
            self.give_up(post.callbacks.len());
            return;
        }
        let others = self.on_first_refusal.as_ref().filter(|_| is_first_refusal);
        let for_others = others.map(|_| post.callbacks.clone());
        queue.try_again(post, &self.limits);
        drop(queue);
        if let (Some(tell), Some(callbacks)) = (others, for_others) {
            tell(&callbacks);
        }
        self.news.notify_one();
    }

    async fn post(&self, body: Vec<u8>, signature: &str) -> Outcome {
        let signature = HeaderValue::from_str(signature).expect("hexadecimal digits make a header value");
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, JSON)
            .header(USER_AGENT, AGENT)
            .header(SIGNATURE_HEADER, signature)
            .timeout(Duration::from_millis(self.limits.timeout_ms))
            .body(body);
        let Ok(response) = request.send().await else {
            return Outcome::Unreachable;
        };
        let is_ok = response.status() == reqwest::StatusCode::OK;
        // Read to the end, else the connection cannot be used again.
        let _ = response.bytes().await;
        if is_ok { Outcome::Acknowledged } else { Outcome::Refused }
    }

    fn give_up(&self, count: usize) {
        self.ledger.dropped.fetch_add(count as u64, Ordering::Relaxed);
        self.settle(count);
    }

    fn settle(&self, count: usize) {
        self.ledger.outstanding.fetch_sub(count as u64, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// What goes next, or when to look again.
    fn next(&mut self, now: Instant, updates_max: usize) -> Result<Post, Option<Instant>> {
        if let Some(until) = self.closed_until {
            if until > now {
                return Err(Some(until));
            }
            self.closed_until = None;
        }
        while self.retries.peek().is_some_and(|Reverse(retry)| retry.at <= now) {
            if let Some(Reverse(retry)) = self.retries.pop() {
                self.again.push_back(retry.post);
            }
        }
        self.retry_is_next = !self.retry_is_next;
        if (self.retry_is_next || self.ready.is_empty())
            && let Some(post) = self.again.pop_front()
        {
            return Ok(post);
        }
        let count = self.ready.len().min(updates_max);
        if count > 0 {
            return Ok(Post {
                callbacks: self.ready.drain(..count).collect(),
                attempts: 0,
            });
        }
        Err(self.retries.peek().map(|Reverse(retry)| retry.at))
    }

    fn try_again(&mut self, post: Post, limits: &CallbackLimits) {
        let doublings = (post.attempts - 1).min(20);
        let pause_ms = limits
            .retry_first_ms
            .saturating_mul(1 << doublings)
            .min(limits.retry_longest_ms);
        self.retried += 1;
        let at = Instant::now() + Duration::from_millis(pause_ms);
        self.retries.push(Reverse(Retry {
            at,
            order: self.retried,
            post,
        }));
    }

    fn close_for_a_while(&mut self, first: Duration) {
        let doublings = self.unreachable_in_a_row.min(10);
        self.unreachable_in_a_row += 1;
        let pause = first.saturating_mul(1 << doublings).min(UNREACHABLE_PAUSE_MAX);
        self.closed_until = Some(Instant::now() + pause);
    }
}

//! One live tail for each shard of a process, shared by all its readers.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{broadcast, watch},
    task::JoinHandle,
};

use super::{
    durable::{Feed, Start},
    jetstream::JetStreamTail,
    tail::Tail,
};
use crate::{
    event::{RecordedEvent, ShardId},
    limits,
    metrics::HubMetrics,
    read::ReadError,
    relay::JetStream,
    store::EventStore,
};

/// Consecutive events of a shard.
pub(crate) type Slice = Arc<[RecordedEvent]>;

/// Where a process gets the live tail from.
#[derive(Debug, Clone)]
pub enum Source {
    /// The log itself. For one process; those of other processes are noticed within [`limits::DIRECT_POLL`].
    Direct,
    /// JetStream, which a [`Relay`](crate::Relay) fills from the log.
    JetStream(JetStream),
}

/// Whether a program knows an event's name and version.
pub type Understands = fn(&RecordedEvent) -> bool;

/// The live tails of all shards, and the way to readers of them.
#[derive(Debug, Clone)]
pub struct Feeds {
    inner: Arc<Inner>,
    understands: Understands,
}

#[derive(Debug)]
struct Inner {
    store: EventStore,
    shards: Vec<broadcast::Sender<Slice>>,
    hubs: Vec<JoinHandle<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.hubs.iter().for_each(JoinHandle::abort);
    }
}

impl Feeds {
    /// Starts to follow every shard of the store from its present head. Must be called within a tokio runtime.
    pub async fn start(store: &EventStore, source: &Source) -> Result<Self, ReadError> {
        let mut shards = Vec::new();
        let mut hubs = Vec::new();
        for shard in store.shards() {
            let (sender, _) = broadcast::channel(limits::HUB_SLICES_MAX);
            let hub = Hub {
                store: store.clone(),
                shard,
                position: store.head(shard).await?,
                sender: sender.clone(),
                metrics: HubMetrics::new(),
            };
            hubs.push(match source {
                Source::Direct => tokio::spawn(hub.follow_log()),
                Source::JetStream(jetstream) => tokio::spawn(hub.follow_jetstream(jetstream.clone())),
            });
            shards.push(sender);
        }
        Ok(Self {
            inner: Arc::new(Inner {
                store: store.clone(),
                shards,
                hubs,
            }),
            understands: |_| true,
        })
    }

    /// Makes durable readers stop before events that are not understood, and leave them to a newer program; see
    /// [`Feed::next_batch`]. Without it every event is taken to be understood.
    #[must_use]
    pub fn understanding(mut self, understands: Understands) -> Self {
        self.understands = understands;
        self
    }

    pub(crate) fn understands(&self, event: &RecordedEvent) -> bool {
        (self.understands)(event)
    }

    /// The store that is followed.
    pub fn store(&self) -> &EventStore {
        &self.inner.store
    }

    /// A reader of everything after `after`, without a name: nothing is remembered of it.
    ///
    /// # Panics
    /// If the store has no such shard.
    pub fn tail(&self, shard: ShardId, after: u64) -> Tail {
        let live = self.inner.shards[usize::from(shard.0)].subscribe();
        Tail::new(self.inner.store.clone(), shard, after, live)
    }

    /// The durable reader called `name`. The name keys its progress: never rename it.
    pub fn feed(&self, name: impl Into<String>, shard: ShardId, start: Start) -> Feed {
        Feed::new(self.clone(), name.into(), shard, start)
    }
}

struct Hub {
    store: EventStore,
    shard: ShardId,
    position: u64,
    sender: broadcast::Sender<Slice>,
    metrics: HubMetrics,
}

impl Hub {
    /// Hands a slice to all readers. Having none is no reason to stop: they come and go.
    fn publish(&mut self, events: Vec<RecordedEvent>) {
        let Some(last) = events.last() else { return };
        self.position = last.position;
        let _no_reader = self.sender.send(events.into());
    }

    /// Reads the log until its end. True when there was something.
    async fn catch_up(&mut self) -> bool {
        let mut any = false;
        let mut backoff = Duration::from_millis(20);
        loop {
            match self
                .store
                .read_shard(self.shard, self.position, limits::BATCH_EVENTS_MAX)
                .await
            {
                Ok(events) => {
                    let full = events.len() == limits::BATCH_EVENTS_MAX;
                    any |= !events.is_empty();
                    self.publish(events);
                    if !full {
                        return any;
                    }
                }
                Err(error) => {
                    tracing::warn!(shard = self.shard.0, error = %error, "the log cannot be read; trying again");
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(Duration::from_secs(1));
                }
            }
        }
    }

    async fn follow_log(mut self) {
        let Some(mut head) = self.store.watch_head(self.shard) else {
            return;
        };
        loop {
            self.catch_up().await;
            wait_past(&mut head, self.position, limits::DIRECT_POLL).await;
        }
    }

    async fn follow_jetstream(mut self, jetstream: JetStream) {
        loop {
            // Subscribed before the log is read: what is committed in between is in both, never in neither.
            let mut tail = match JetStreamTail::subscribe(&jetstream, self.shard).await {
                Ok(tail) => tail,
                Err(error) => {
                    tracing::warn!(shard = self.shard.0, %error, "JetStream cannot be followed; reading the log meanwhile");
                    self.poll_log(limits::CONSUMER_RETRY).await;
                    continue;
                }
            };
            self.catch_up().await;
            self.relay_slices(&mut tail).await;
        }
    }

    /// Hands on what JetStream delivers, until it errs.
    async fn relay_slices(&mut self, tail: &mut JetStreamTail) {
        let store_id = self.store.store_id();
        loop {
            match tokio::time::timeout(limits::SILENCE_MAX, tail.next()).await {
                Err(_silence) => {
                    if self.catch_up().await {
                        self.metrics.silence_repairs.increment(1);
                    }
                }
                Ok(Ok(slice)) => {
                    if slice.store_id != store_id {
                        continue; // left behind by another store; the relay deletes it
                    }
                    let mut events = slice.events;
                    events.retain(|event| event.position > self.position);
                    match events.first() {
                        None => {}
                        Some(first) if first.position == self.position + 1 => self.publish(events),
                        Some(_) => {
                            self.metrics.gap_repairs.increment(1);
                            self.catch_up().await;
                        }
                    }
                }
                Ok(Err(error)) => {
                    tracing::warn!(shard = self.shard.0, %error, "the JetStream consumer ended; making a new one");
                    return;
                }
            }
        }
    }

    async fn poll_log(&mut self, duration: Duration) {
        let until = tokio::time::Instant::now() + duration;
        while tokio::time::Instant::now() < until {
            self.catch_up().await;
            tokio::time::sleep(limits::FALLBACK_POLL).await;
        }
    }
}

/// Waits until the head that this process knows of is past `position`, or for `at_most`.
pub(crate) async fn wait_past(head: &mut watch::Receiver<u64>, position: u64, at_most: Duration) {
    let moved = async {
        if head.wait_for(|head| *head > position).await.is_err() {
            std::future::pending::<()>().await; // the store is closed; the time-out paces what is left
        }
    };
    let _either = tokio::time::timeout(at_most, moved).await;
}

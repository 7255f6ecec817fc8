//! The leader of a shard: finds where the stream ends, and goes on from there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::{
    self,
    context::{GetStreamErrorKind, PublishErrorKind},
    message::PublishMessage,
    stream::LastRawMessageErrorKind,
};
use futures::StreamExt as _;
use uuid::Uuid;

use super::{JetStream, Slice, slice};
use crate::{
    event::{RecordedEvent, ShardId},
    feed::lease::Lease,
    limits,
    metrics::RelayMetrics,
    read::ReadError,
    store::EventStore,
};

/// The name under which relays compete for a shard.
const LEASE: &str = "relay";

/// Relays one shard of the log to JetStream while it leads. Every process may run one; the lease chooses.
#[derive(Debug)]
pub struct Relay {
    store: EventStore,
    jetstream: JetStream,
    shard: ShardId,
    owner: Uuid,
    counters: Arc<Counters>,
    metrics: RelayMetrics,
}

#[derive(Debug, Default)]
struct Counters {
    slices: AtomicU64,
    events: AtomicU64,
    repairs: AtomicU64,
    streams_deleted: AtomicU64,
}

/// What a relay has done in this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RelayStats {
    /// Slices published.
    pub slices: u64,
    /// Events in them.
    pub events: u64,
    /// Times that the end of the stream had to be looked up again.
    pub repairs: u64,
    /// Streams deleted because they were ahead of the log or differed from it.
    pub streams_deleted: u64,
}

/// Reads what a relay has done, from anywhere.
#[derive(Debug, Clone)]
pub struct RelayObserver(Arc<Counters>);

impl RelayObserver {
    /// The counts so far.
    pub fn stats(&self) -> RelayStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RelayStats {
            slices: read(&self.0.slices),
            events: read(&self.0.events),
            repairs: read(&self.0.repairs),
            streams_deleted: read(&self.0.streams_deleted),
        }
    }
}

/// The end of the stream: the last position in it, and its last sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    position: u64,
    sequence: u64,
}

#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("JetStream does not answer: {0}")]
    JetStream(String),
    #[error("the stream did not end where it was expected to")]
    Moved,
    #[error(transparent)]
    Log(#[from] ReadError),
}

impl Relay {
    /// A relay for one shard.
    pub fn new(store: &EventStore, jetstream: &JetStream, shard: ShardId) -> Self {
        Self {
            store: store.clone(),
            jetstream: jetstream.clone(),
            shard,
            owner: Uuid::new_v4(),
            counters: Arc::default(),
            metrics: RelayMetrics::new(shard),
        }
    }

    /// A view of what it does.
    pub fn observer(&self) -> RelayObserver {
        RelayObserver(self.counters.clone())
    }

    /// Leads whenever the lease can be had; never ends. Dropping the future gives the lease up when it expires.
    pub async fn run(self) {
        self.run_until(std::future::pending()).await;
    }

    /// The same until `stop`, then hands the lease to whoever asks next, at once.
    pub async fn run_until(self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let mut lease = tokio::select! {
                lease = Lease::acquire(&self.store, LEASE, self.shard, self.owner) => lease,
                () = &mut stop => return,
            };
            tracing::info!(shard = self.shard.0, "leading the relay");
            tokio::select! {
                () = self.lead() => {}
                () = lease.lost() => tracing::warn!(shard = self.shard.0, "no longer leading the relay"),
                () = &mut stop => return lease.release().await,
            }
            // Where the relay is, the next leader knows.
            self.metrics.position.set(f64::NAN);
        }
    }

    /// Relays without asking for the lease. For tests: two such relays at once must publish nothing twice.
    pub async fn run_without_lease(self) {
        self.lead().await;
    }

    async fn lead(&self) {
        const BACKOFF_FIRST: Duration = Duration::from_millis(20);
        const BACKOFF_MAX: Duration = Duration::from_secs(1);
        let mut backoff = BACKOFF_FIRST;
        loop {
            let published = self.counters.slices.load(Ordering::Relaxed);
            let outcome = match self.find_end().await {
                Ok(end) => {
                    backoff = BACKOFF_FIRST;
                    self.metrics.position.set(end.position as f64);
                    self.publish_from(end).await
                }
                Err(error) => Err(error),
            };
            let Err(error) = outcome else { continue };
            self.counters.repairs.fetch_add(1, Ordering::Relaxed);
            self.metrics.repairs.increment(1);
            if matches!(error, RelayError::Moved) {
                // Another relay was quicker. One that gets nothing out at all leaves the server some peace.
                if self.counters.slices.load(Ordering::Relaxed) > published {
                    continue;
                }
            } else {
                tracing::warn!(shard = self.shard.0, %error, "relaying was interrupted; trying again");
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Where to go on. Makes the stream if there is none; deletes it if it does not agree with the log.
    async fn find_end(&self) -> Result<End, RelayError> {
        loop {
            let head = self.store.head(self.shard).await?;
            let stream = self.stream().await?;
            let state = &stream.cached_info().state;
            if state.messages == 0 {
                return Ok(End {
                    position: head,
                    sequence: state.last_sequence,
                });
            }
            let last = match stream
                .get_last_raw_message_by_subject(&self.jetstream.subject(self.shard))
                .await
            {
                Ok(last) => last,
                Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => continue,
                Err(error) => return Err(RelayError::JetStream(error.to_string())),
            };
            // Read again: the log may have grown since, and only then the stream.
            let head = self.store.head(self.shard).await?;
            match self.agreed_position(&last.payload, head).await? {
                Some(position) => {
                    // After a torn block the server goes on counting where it was: the last message it still has is
                    // then not the last one it numbered.
                    return Ok(End {
                        position,
                        sequence: last.sequence.max(state.last_sequence),
                    });
                }
                None => self.delete_stream().await?,
            }
        }
    }

    async fn stream(&self) -> Result<jetstream::stream::Stream, RelayError> {
        let context = self.jetstream.context();
        let name = self.jetstream.stream(self.shard);
        match context.get_stream(&name).await {
            Ok(stream) => Ok(stream),
            Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(_)) => {
                tracing::info!(shard = self.shard.0, "making the stream");
                context
                    .create_stream(self.jetstream.stream_config(self.shard))
                    .await
                    .map_err(|error| RelayError::JetStream(error.to_string()))
            }
            Err(error) => Err(RelayError::JetStream(error.to_string())),
        }
    }

    /// The stream's last position, if its last slice is what the log has there.
    async fn agreed_position(&self, payload: &bytes::Bytes, head: u64) -> Result<Option<u64>, RelayError> {
        let Ok(slice) = Slice::decode(self.shard, payload.clone()) else {
            return Ok(None);
        };
        let (Some(first), Some(last)) = (slice.events.first(), slice.events.last()) else {
            return Ok(None);
        };
        if slice.store_id != self.store.store_id() || last.position > head {
            return Ok(None);
        }
        let logged = self
            .store
            .read_shard(self.shard, first.position - 1, slice.events.len())
            .await?;
        Ok((logged == slice.events).then_some(last.position))
    }

    async fn delete_stream(&self) -> Result<(), RelayError> {
        tracing::warn!(
            shard = self.shard.0,
            "the stream is ahead of the log or differs from it; deleting it"
        );
        self.counters.streams_deleted.fetch_add(1, Ordering::Relaxed);
        let deleted = self
            .jetstream
            .context()
            .delete_stream(self.jetstream.stream(self.shard))
            .await;
        deleted.map_err(|error| RelayError::JetStream(error.to_string()))?;
        Ok(())
    }

    /// Publishes everything after `end`, slice by slice, until something is not as expected.
    async fn publish_from(&self, mut end: End) -> Result<(), RelayError> {
        let subscription = self
            .jetstream
            .client()
            .subscribe(self.jetstream.poke_subject(self.shard))
            .await;
        let mut pokes = subscription.map_err(|error| RelayError::JetStream(error.to_string()))?;
        let mut head = self.store.watch_head(self.shard);
        loop {
            let events = self
                .store
                .read_shard(self.shard, end.position, limits::SLICE_EVENTS_MAX)
                .await?;
            if !events.is_empty() {
                let mut rest = &events[..];
                while !rest.is_empty() {
                    let (now, later) = rest.split_at(slice::fitting(rest));
                    end = self.publish(now, end).await?;
                    rest = later;
                }
                tokio::time::sleep(spacing_after(events.len())).await;
                continue;
            }
            tokio::select! {
                poke = pokes.next() => {
                    if poke.is_none() {
                        return Err(RelayError::JetStream("the subscription ended".to_owned()));
                    }
                }
                () = moved_past(head.as_mut(), end.position) => {}
                () = tokio::time::sleep(limits::RELAY_POLL) => {}
            }
            // Pokes that piled up while a slice was published say nothing new.
            while futures::FutureExt::now_or_never(pokes.next()).flatten().is_some() {}
        }
    }

    async fn publish(&self, events: &[RecordedEvent], end: End) -> Result<End, RelayError> {
        let Some(last) = events.last() else { return Ok(end) };
        let message = PublishMessage::build()
            .payload(slice::encode(self.store.store_id(), events))
            .expected_last_sequence(end.sequence);
        let subject = self.jetstream.subject(self.shard);
        let published = async { self.jetstream.context().send_publish(subject, message).await?.await };
        match published.await {
            Ok(ack) => {
                self.counters.slices.fetch_add(1, Ordering::Relaxed);
                self.counters.events.fetch_add(events.len() as u64, Ordering::Relaxed);
                self.metrics.slice_events.record(events.len() as f64);
                self.metrics.position.set(last.position as f64);
                Ok(End {
                    position: last.position,
                    sequence: ack.sequence,
                })
            }
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Err(RelayError::Moved),
            Err(error) => Err(RelayError::JetStream(error.to_string())),
        }
    }
}

/// How long to wait for company after so many events. As many as a slice holds mean that the relay is behind.
fn spacing_after(events: usize) -> Duration {
    match events {
        limits::SLICE_EVENTS_MAX.. => Duration::ZERO,
        limits::SLICE_EVENTS_BUSY.. => limits::SLICE_SPACING_BUSY,
        _ => limits::SLICE_SPACING,
    }
}

async fn moved_past(head: Option<&mut tokio::sync::watch::Receiver<u64>>, position: u64) {
    let moved = match head {
        Some(head) => head.wait_for(|head| *head > position).await.is_ok(),
        None => false,
    };
    if !moved {
        std::future::pending::<()>().await;
    }
}

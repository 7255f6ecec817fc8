//! A reader with a position.

use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};

use super::hub::Slice;
use crate::{
    event::{RecordedEvent, ShardId},
    limits,
    read::ReadError,
    store::EventStore,
};

/// Reads a shard from a position on, without end: first from the log, then live.
#[derive(Debug)]
pub struct Tail {
    store: EventStore,
    shard: ShardId,
    position: u64,
    live: broadcast::Receiver<Slice>,
    /// Whether the log may hold more than the live tail has delivered.
    behind: bool,
    /// Live events that did not fit into the last batch.
    rest: Option<Slice>,
}

impl Tail {
    pub(crate) fn new(store: EventStore, shard: ShardId, after: u64, live: broadcast::Receiver<Slice>) -> Self {
        Self {
            store,
            shard,
            position: after,
            live,
            behind: true,
            rest: None,
        }
    }

    /// The position of the last event that was handed out.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next events, at least one and at most `max`. Waits for them; cancelling loses nothing.
    ///
    /// # Errors
    /// Only for a log that was changed from outside. A database that does not answer is waited for.
    pub async fn next(&mut self, max: usize) -> Result<Vec<RecordedEvent>, ReadError> {
        let max = max.clamp(1, limits::READ_EVENTS_MAX);
        let mut backoff = Duration::from_millis(20);
        loop {
            if self.behind {
                match self.store.read_shard(self.shard, self.position, max).await {
                    Ok(events) => {
                        self.behind = events.len() == max;
                        if let Some(last) = events.last() {
                            self.position = last.position;
                            return Ok(events);
                        }
                    }
                    Err(
                        error @ (ReadError::Hole { .. }
                        | ReadError::NoSuchShard { .. }
                        | ReadError::NotUnderstood { .. }),
                    ) => return Err(error),
                    Err(ReadError::Unavailable(error)) => {
                        tracing::warn!(shard = self.shard.0, %error, "the log cannot be read; trying again");
                        tokio::time::sleep(backoff).await;
                        backoff = (backoff * 2).min(Duration::from_secs(1));
                    }
                }
                continue;
            }
            let slice = match self.rest.take() {
                Some(slice) => slice,
                None => match self.live.recv().await {
                    Ok(slice) => slice,
                    Err(RecvError::Lagged(_)) => {
                        self.behind = true;
                        continue;
                    }
                    // The hub is gone, and with it all that could come.
                    Err(RecvError::Closed) => std::future::pending().await,
                },
            };
            let mut events = Vec::new();
            self.take(slice, max, &mut events);
            // Whatever else is there already belongs to the same batch.
            while events.len() < max && self.rest.is_none() && !self.behind {
                let Ok(slice) = self.live.try_recv() else { break };
                self.take(slice, max, &mut events);
            }
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }

    /// Moves what follows on from a slice into the batch.
    fn take(&mut self, slice: Slice, max: usize, events: &mut Vec<RecordedEvent>) {
        let known = slice.partition_point(|event| event.position <= self.position);
        let Some(first) = slice.get(known) else { return };
        if first.position != self.position + 1 {
            self.behind = true;
            return;
        }
        let end = slice.len().min(known + max - events.len());
        events.extend_from_slice(&slice[known..end]);
        self.position = slice[end - 1].position;
        if end < slice.len() {
            self.rest = Some(slice);
        }
    }
}

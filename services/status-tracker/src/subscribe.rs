//! Subscriptions: a tenant's public events in order, from any position, first out of the log and then live.
//!
//! Every subscription reads through a tail of its own, and all tails of a process share the one live feed of the shard. So a
//! subscriber who falls behind reads from the log again and holds nobody up. What waits for it is bounded; one that takes
//! nothing for too long is ended and told where to go on.

mod recent;
mod seats;
mod show;
mod step;

pub(crate) use seats::Seats;

use crate::{config::SubscriptionsConfig, grpc::read_error, metrics};
use assent_api::timestamp;
use assent_domain::values::{TenantId, Timestamp};
use assent_event_store::{EventStore, ReadError, RecordedEvent, ShardId};
use assent_proto::v1::{self, EventKind, subscribe_response::Item};
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    log,
    platform::Platform,
    shutdown::Shutdown,
};
use futures::{FutureExt as _, Stream, StreamExt as _};
use seats::Seat;
use show::Show;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tonic::Status;

/// Events read at a time.
const BATCH_EVENTS_MAX: usize = 500;

/// How far the clocks of writing processes may put events out of order, in events, when one is looked for by its moment.
const MOMENT_SLACK_EVENTS: u64 = 2_000;

/// Which kinds of events are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kinds(u32);

impl Kinds {
    /// Empty means all.
    pub(crate) fn parse(kinds: &[i32]) -> Result<Self, ApiError> {
        let mut problems = assent_api::Problems::new();
        let mut bits = 0;
        for (index, kind) in kinds.iter().enumerate() {
            match EventKind::try_from(*kind) {
                Ok(EventKind::Unspecified) | Err(_) => {
                    problems.add(format!("kinds[{index}]"), "is not one of the kinds");
                }
                Ok(_) => bits |= 1_u32 << kind,
            }
        }
        problems.into_result()?;
        Ok(Self(if kinds.is_empty() { u32::MAX } else { bits }))
    }

    pub(crate) fn contains(self, kind: EventKind) -> bool {
        self.0 & (1 << (kind as u32)) != 0
    }
}

/// What somebody wants to be told.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) platform: Platform,
    pub(crate) tenant: TenantId,
    pub(crate) shard: ShardId,
    pub(crate) kinds: Kinds,
    pub(crate) after: u64,
    pub(crate) from: Option<Timestamp>,
    pub(crate) config: Arc<SubscriptionsConfig>,
    pub(crate) shutdown: Shutdown,
}

type Answer = Result<v1::SubscribeResponse, Status>;

impl Subscription {
    /// Tells it, until the subscriber goes, is too slow, or the process ends.
    pub(crate) fn start(self, seat: Seat) -> impl Stream<Item = Answer> + Send + 'static {
        let (items, taken) = mpsc::channel(self.config.buffer_events_max);
        let (end, ended) = oneshot::channel::<Status>();
        tokio::spawn(async move {
            let error = tokio::select! {
                error = self.tell(&items) => error,
                () = items.closed() => None,
            };
            if let Some(error) = error {
                let _gone = end.send(error.into());
            }
            drop((items, seat));
        });
        let items = futures::stream::unfold(taken, |mut taken| async move { Some((taken.recv().await?, taken)) });
        // What was read before the end is handed out before it.
        let end = ended
            .into_stream()
            .filter_map(|error| async move { error.ok().map(Err) });
        items.map(Ok).chain(end)
    }

    /// Reads and tells. Says why it ended; nothing if the subscriber is gone.
    async fn tell(&self, items: &mpsc::Sender<v1::SubscribeResponse>) -> Option<ApiError> {
        let mut tail = self.platform.feeds.tail(self.shard, self.after);
        let mut show = Show::new(self.platform.clone(), self.tenant.clone(), self.shard);
        let heartbeat = Duration::from_millis(self.config.heartbeat_ms);
        let mut told_at = Instant::now();
        let mut position = self.after;
        loop {
            let next = tokio::select! {
                events = tail.next(BATCH_EVENTS_MAX) => Some(events),
                () = tokio::time::sleep_until(told_at + heartbeat) => None,
                () = self.shutdown.soft().cancelled() => {
                    return Some(ApiError::new(ErrorCode::ShuttingDown).metadata("position", position.to_string()));
                }
            };
            let events = match next {
                None => Vec::new(),
                Some(Ok(events)) => events,
                Some(Err(error)) => return Some(read_error(error)),
            };
            if let Some(unknown) = events
                .iter()
                .find(|event| !log::is_understood(event) && show::is_of_tenant(event, &self.tenant))
            {
                let error = read_error(ReadError::NotUnderstood {
                    shard: unknown.shard,
                    position: unknown.position,
                });
                return Some(error.metadata("position", position.to_string()));
            }
            let read_up_to = events.last().map_or(position, |last| last.position);
            let shown = match show.events(events.iter().filter(|event| self.wants(event))).await {
                Ok(shown) => shown,
                Err(error) => return Some(error.metadata("position", position.to_string())),
            };
            for event in shown {
                let at = event.position;
                if let Err(error) = self.hand_over(items, Item::Event(event), position).await {
                    return error;
                }
                (position, told_at) = (at, Instant::now());
            }
            position = read_up_to;
            if told_at.elapsed() >= heartbeat {
                let beat = v1::Heartbeat {
                    position,
                    now: Some(timestamp::render(log::now())),
                };
                if let Err(error) = self.hand_over(items, Item::Heartbeat(beat), position).await {
                    return error;
                }
                told_at = Instant::now();
            }
        }
    }

    fn wants(&self, event: &RecordedEvent) -> bool {
        let is_wanted = show::kind_of(event.kind.as_str()).is_some_and(|kind| self.kinds.contains(kind));
        let is_late_enough = || {
            self.from
                .is_none_or(|from| assent_api::message::moment(event.recorded_at) >= from)
        };
        is_wanted && is_late_enough() && show::is_of_tenant(event, &self.tenant)
    }

    /// Waits for room. The error is `None` when the subscriber is gone.
    async fn hand_over(
        &self,
        items: &mpsc::Sender<v1::SubscribeResponse>,
        item: Item,
        told: u64,
    ) -> Result<(), Option<ApiError>> {
        let patience = Duration::from_millis(self.config.stall_ms);
        let response = v1::SubscribeResponse { item: Some(item) };
        match items.send_timeout(response, patience).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(None),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                metrics::subscriber_too_slow();
                let error = ApiError::new(ErrorCode::SubscriberTooSlow)
                    .message(format!(
                        "nothing was read for {} ms; subscribe again from the position named",
                        patience.as_millis()
                    ))
                    .metadata("position", told.to_string());
                Err(Some(error))
            }
        }
    }
}

/// A position before the first event that was recorded at `from` or later, and not far before it.
pub(crate) async fn position_before(store: &EventStore, shard: ShardId, from: Timestamp) -> Result<u64, ReadError> {
    let (mut before, mut after) = (0, store.head(shard).await? + 1);
    // Everything up to `before` is older, everything from `after` on is not, but for clocks that differ.
    while before + 1 < after {
        let middle = before + (after - before) / 2;
        let event = store.read_shard(shard, middle - 1, 1).await?;
        match event.first() {
            Some(event) if assent_api::message::moment(event.recorded_at) < from => before = middle,
            _ => after = middle,
        }
    }
    Ok(before.saturating_sub(MOMENT_SLACK_EVENTS))
}

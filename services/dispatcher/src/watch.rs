//! Watches what becomes of attempts: keeps the open set, and does what is due.

use crate::{
    check::{AttemptsFacts, Candidate, Stage, is_cancel_requested, stage},
    dispatcher::{Dispatcher, Pause},
    limits, metrics,
    open_set::{self, Open, OpenSet, State},
    progress::Progress,
    send::Halted,
    settle::Next,
    uploads,
};
use assent_domain::{
    events::{AttemptEvent, RetryClass, StreamCategory},
    values::{Actor, MessageId, PhoneNumberId, Timestamp},
};
use assent_event_store::{Batch, Checkpoint, FeedError, ReadError, RecordedEvent, ShardId, Start};
use assent_runtime::{log, supervise::TaskResult};
use serde::Deserialize;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;
use uuid::Uuid;

/// The feed's name; keys its progress.
const FEED: &str = "dispatcher-callbacks";

/// The shortest sleep: what cannot be done now does not keep the processor busy.
const SLEEP_MIN: Duration = Duration::from_millis(5);

/// Watches until the soft shutdown, then waits for the calls under way.
pub(crate) async fn run(dispatcher: Arc<Dispatcher>, shard: ShardId) -> TaskResult {
    let mut feed = dispatcher.platform.feeds.feed(FEED, shard, Start::Beginning);
    let mut watch = Watch::new(Arc::clone(&dispatcher), shard);
    let soft = dispatcher.shutdown.soft().clone();
    let mut pause = Pause::default();
    loop {
        let wake = watch.wake();
        let batch = tokio::select! {
            biased;
            () = soft.cancelled() => break,
            batch = feed.next_batch() => Some(batch),
            () = tokio::time::sleep_until(wake) => None,
        };
        let done = match batch {
            Some(Ok(batch)) => watch.take(&batch).await,
            Some(Err(error)) => Err(error),
            None => {
                let Some(position) = feed.position() else {
                    // Another process watches this shard.
                    watch.forget();
                    continue;
                };
                watch.stand_at(position).await
            }
        };
        let done = match done {
            Ok(()) => watch.act().await,
            Err(error) => Err(error.into()),
        };
        let done = match done {
            Ok(()) => watch.save(Progress::take_due).await.map_err(Trouble::from),
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => pause = Pause::default(),
            Err(Trouble::Feed(FeedError::Fenced { .. })) => watch.forget(),
            Err(Trouble::Feed(FeedError::Unavailable(error)) | Trouble::Read(ReadError::Unavailable(error))) => {
                dispatcher.unavailable("the database does not answer");
                tracing::warn!(shard = shard.0, %error, "open messages cannot be looked at; trying again");
                watch.forget();
                feed.rewind();
                pause.wait().await;
            }
            Err(Trouble::Feed(error @ FeedError::Read(_))) => return Err(error.into()),
            Err(Trouble::Read(error)) => return Err(error.into()),
            Err(Trouble::Halted(error)) => return Err(error.into()),
        }
    }
    // What is not written is folded again.
    if let Err(error) = watch.save(Progress::take).await {
        tracing::warn!(shard = shard.0, %error, "the last progress was not written");
    }
    feed.release().await;
    dispatcher.calls.close();
    dispatcher.calls.wait().await;
    Ok(())
}

/// Why the watch had to stop.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Halted(#[from] Halted),
}

struct Watch {
    dispatcher: Arc<Dispatcher>,
    shard: ShardId,
    open: OpenSet,
    /// Up to where the open set is folded; absent: it has to be read first.
    position: Option<u64>,
    progress: Progress,
    /// Messages for which silence would count if their number had callbacks after these moments.
    listening: HashMap<PhoneNumberId, HashMap<MessageId, Timestamp>>,
    /// Messages of the batch in hand whose file Meta could not use.
    unusable: Vec<MessageId>,
    shown: metrics::OpenMessages,
}

/// What is looked at in a callback while a number is listened for.
#[derive(Deserialize)]
struct Heard {
    number: PhoneNumberId,
    received_at: Timestamp,
}

impl Watch {
    fn new(dispatcher: Arc<Dispatcher>, shard: ShardId) -> Self {
        let every = Duration::from_millis(dispatcher.config.checkpoint_ms);
        Self {
            dispatcher,
            shard,
            open: OpenSet::default(),
            position: None,
            progress: Progress::new(every),
            listening: HashMap::new(),
            unusable: Vec::new(),
            shown: metrics::OpenMessages::of(shard),
        }
    }

    /// When there is something to do even if nothing happens.
    fn wake(&self) -> Instant {
        let now = Instant::now();
        let until_due = self.open.next_due().map(|due| due.since(log::now()));
        let due = now + until_due.unwrap_or(limits::TICK).clamp(SLEEP_MIN, limits::TICK);
        self.progress.due().map_or(due, |progress| progress.min(due)).max(now)
    }

    /// Forgets everything that is not in the table.
    fn forget(&mut self) {
        self.position = None;
        self.progress.forget();
        self.unusable.clear();
        // Whoever watches the shard now shows them.
        self.shown.show(&OpenSet::default());
    }

    /// Makes sure that the open set is as of `position`, which the feed stands at.
    async fn stand_at(&mut self, position: u64) -> Result<(), FeedError> {
        if self.position == Some(position) {
            return Ok(());
        }
        self.progress.forget();
        self.listening.clear();
        self.open = open_set::load(&self.dispatcher.platform.store, self.shard).await?;
        self.position = Some(position);
        Ok(())
    }

    /// Folds a batch.
    async fn take(&mut self, batch: &Batch) -> Result<(), FeedError> {
        self.stand_at(batch.checkpoint.start()).await?;
        for event in &batch.events {
            if log::is_of(event, StreamCategory::Attempt) {
                self.fold_attempt(event);
            } else if log::is_of(event, StreamCategory::Provider) {
                self.fold_callback(event);
            } else if event.kind.as_str() == "request.cancel_requested" {
                self.look_now(event, State::Retry);
            }
        }
        self.position = Some(batch.checkpoint.position());
        self.progress.handled(batch);
        Ok(())
    }

    /// Only what is rare is decoded: a message that is started and accepted is followed by names alone.
    fn fold_attempt(&mut self, event: &RecordedEvent) {
        let message = MessageId::new(event.stream.key);
        let micros = event.recorded_at.unix_timestamp_nanos() / 1_000;
        let at = Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX));
        let config = &self.dispatcher.config;
        match event.kind.as_str() {
            "attempt.started" => self.open.put(message, State::Flight, at + config.orphan_after()),
            "attempt.accepted" | "attempt.given_up" | "attempt.cancelled" => self.open.close(message),
            "attempt.outcome_unknown" => {
                // Looked at soon: its callback may have come before the news that it is unknown.
                self.open
                    .put(message, State::Unknown, at + limits::RECHECK.min(config.silence()));
            }
            "attempt.rejected" | "attempt.deferred" => match log::read::<AttemptEvent>(event) {
                Ok(AttemptEvent::Rejected(rejected)) if rejected.retry == RetryClass::Safe => {
                    self.open.put(message, State::Retry, at);
                }
                Ok(AttemptEvent::Deferred(deferred)) => self.open.put(message, State::Retry, deferred.until),
                Ok(_) => self.open.close(message),
                Err(error) => {
                    metrics::skipped("decode");
                    tracing::error!(position = event.position, %error, "an attempt is not understood");
                }
            },
            _ => metrics::skipped("unknown_kind"),
        }
    }

    fn fold_callback(&mut self, event: &RecordedEvent) {
        let kind = event.kind.as_str();
        if kind == "provider.status_reported" {
            self.look_now(event, State::Unknown);
            if uploads::says_unusable(event) {
                self.unusable.push(MessageId::new(event.stream.key));
            }
        }
        if self.listening.is_empty() || !matches!(kind, "provider.status_reported" | "provider.message_received") {
            return;
        }
        let Ok(heard) = serde_json::from_slice::<Heard>(&event.data) else {
            return;
        };
        let Some(waiting) = self.listening.get_mut(&heard.number) else {
            return;
        };
        let now = log::now();
        let ready = waiting.extract_if(|_, after| *after <= heard.received_at);
        for (message, _) in ready {
            self.open.heard(message, heard.received_at, now);
        }
        self.listening.retain(|_, waiting| !waiting.is_empty());
    }

    /// Looks at a message now if it is open for this reason.
    fn look_now(&mut self, event: &RecordedEvent, state: State) {
        let message = MessageId::new(event.stream.key);
        if self.open.get(message).is_some_and(|open| open.state == state) {
            self.open.postpone(message, log::now());
        }
    }

    /// Does what is due.
    async fn act(&mut self) -> Result<(), Trouble> {
        let Some(position) = self.position else { return Ok(()) };
        if !self.unusable.is_empty() {
            let messages = std::mem::take(&mut self.unusable);
            self.dispatcher.forget_unusable(self.shard, &messages).await?;
        }
        let due = self.open.due(log::now(), limits::DUE_MESSAGES_MAX);
        if due.is_empty() {
            return Ok(());
        }
        let (retries, unsettled): (Vec<_>, Vec<_>) = due.into_iter().partition(|(_, open)| open.state == State::Retry);
        if !unsettled.is_empty() {
            let dispatcher = Arc::clone(&self.dispatcher);
            for (message, next) in dispatcher.settle(self.shard, &unsettled, position).await? {
                self.follow(message, next);
            }
        }
        if !retries.is_empty() {
            self.retry(&retries).await?;
        }
        Ok(())
    }

    fn follow(&mut self, message: MessageId, next: Next) {
        match next {
            Next::Close => self.open.close(message),
            Next::At(moment) => self.open.postpone(message, moment),
            Next::Listen { number, after } => {
                self.listening.entry(number).or_default().insert(message, after);
                let again = log::now() + self.dispatcher.config.silence().max(limits::RECHECK);
                self.open.postpone(message, again);
            }
        }
    }

    /// Tries messages again, as many as there are free slots; it does not wait for any.
    async fn retry(&mut self, due: &[(MessageId, Open)]) -> Result<(), Trouble> {
        let slots = self.dispatcher.try_slots(due.len());
        let now = log::now();
        let (taken, left) = due.split_at(slots.len());
        for (message, _) in left {
            self.open.postpone(*message, now + limits::BACKOFF.0);
        }
        if taken.is_empty() {
            return Ok(());
        }
        let keys: Vec<Uuid> = taken.iter().map(|(message, _)| message.uuid()).collect();
        let events = self.dispatcher.platform.store.read_keys(self.shard, &keys).await?;
        let mut slice = Vec::new();
        for (message, _) in taken {
            let events = events.get(&message.uuid()).map_or(&[][..], Vec::as_slice);
            match retry_of(events, &self.dispatcher.actor, now) {
                Retry::Now(candidate) => {
                    self.open.postpone(*message, now + limits::RECHECK);
                    slice.push(*candidate);
                }
                Retry::At(moment) => self.open.postpone(*message, moment),
                Retry::Never => self.open.close(*message),
            }
        }
        if !slice.is_empty() {
            self.dispatcher.send(self.shard, slice, slots).await?;
        }
        Ok(())
    }

    /// Writes the open set and how far it was folded.
    async fn save(&mut self, take: impl FnOnce(&mut Progress) -> Option<Checkpoint>) -> Result<(), FeedError> {
        let Some(step) = take(&mut self.progress) else {
            return Ok(());
        };
        let changes = self.open.changes();
        open_set::save(&self.dispatcher.platform.store, self.shard, &changes, &step).await?;
        self.open.written();
        self.shown.show(&self.open);
        let open = &self.open;
        self.listening.retain(|_, waiting| {
            waiting.retain(|message, _| open.get(*message).is_some());
            !waiting.is_empty()
        });
        Ok(())
    }
}

/// What to do about a message that waits for another try.
enum Retry {
    Now(Box<Candidate>),
    At(Timestamp),
    Never,
}

fn retry_of(events: &[RecordedEvent], actor: &Actor, now: Timestamp) -> Retry {
    let Some(facts) = AttemptsFacts::fold(events) else {
        metrics::skipped("attempts_not_understood");
        return Retry::Never;
    };
    let candidate = events.iter().find(|event| log::is_of(event, StreamCategory::Decision));
    let Some(Ok(candidate)) = candidate.map(|event| Candidate::read(event, actor)) else {
        metrics::skipped("no_decision");
        return Retry::Never;
    };
    match stage(&facts.attempts, now, &[]) {
        Stage::Free => Retry::Now(Box::new(candidate)),
        Stage::Waits if is_cancel_requested(events) => Retry::Now(Box::new(candidate)),
        // Known to us later: the feed brings what happened.
        Stage::Waits | Stage::Bound | Stage::NeverCalled(_) => Retry::At(now + limits::RECHECK),
    }
}

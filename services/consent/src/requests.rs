//! The reader of requests: decides them, and folds what Meta reports of windows and of people who cannot be reached.

use crate::{
    codes,
    decisions::{Decisions, Request},
    metrics,
    reader::{HandleError, Handler},
    views::{Changes, Views},
};
use assent_domain::{
    events::{
        AttemptEvent, AttemptRejected, ProviderEvent, ProviderStatus, RequestEvent, StatusReported, StreamCategory,
        Submitted,
    },
    gates::WINDOW,
    values::{MessageId, Timestamp},
};
use assent_event_store::{RecordedEvent, ShardId};
use assent_runtime::{
    facts::{Facts, of_category},
    log,
    platform::Platform,
    streams::Subject,
};
use assent_sealed::AliasHash;
use futures::future::BoxFuture;
use serde::Deserialize;
use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// Most aliases that are remembered as worth a query. With more, every one is taken to be.
const NOTED_ALIASES_MAX: usize = 1_000_000;

/// The reader of requests of one shard.
pub(crate) struct Requests {
    platform: Platform,
    shard: ShardId,
    views: Views,
    noted: Noted,
}

/// What a batch holds for this service.
#[derive(Default)]
pub(crate) struct Work {
    requests: Vec<Request>,
    changes: Changes,
    /// Attempts that Meta refused at once because of the recipient or the window: their recipients have to be looked up.
    rejected: Vec<(MessageId, AttemptRejected)>,
}

/// As much of a status as says whether it matters.
#[derive(Deserialize)]
struct StatusPeek<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
}

impl Requests {
    pub(crate) fn new(platform: Platform, shard: ShardId, views: Views) -> Self {
        Self {
            platform,
            shard,
            views,
            noted: Noted::default(),
        }
    }

    fn sift_provider(&self, event: &RecordedEvent, work: &mut Work) {
        match event.kind.as_str() {
            "provider.status_reported" => {
                let peek: Option<StatusPeek<'_>> = serde_json::from_slice(&event.data).ok();
                let status = peek.map(|peek| ProviderStatus::from_provider(&peek.status));
                let matters = match status {
                    Some(ProviderStatus::Failed) => true,
                    Some(ProviderStatus::Delivered | ProviderStatus::Read | ProviderStatus::Played) => {
                        // Good news matters only where there was bad news.
                        self.noted.is_anybody_unreachable() || !work.changes.reach.is_empty()
                    }
                    Some(ProviderStatus::Sent | ProviderStatus::Other(_)) | None => false,
                };
                if matters && let Some(ProviderEvent::StatusReported(status)) = read(event) {
                    self.fold_status(&status, &mut work.changes);
                }
            }
            "provider.message_received" => {
                if let Some(ProviderEvent::MessageReceived(message)) = read(event) {
                    for alias in &message.from {
                        if message.opens_window {
                            work.changes.wrote(alias.hash, &message.number, message.provider_at);
                        }
                        self.sign_of_life(alias.hash, message.provider_at, &mut work.changes);
                    }
                }
            }
            _ => {}
        }
    }

    fn fold_status(&self, status: &StatusReported, changes: &mut Changes) {
        let has = |code: i64| status.errors.iter().any(|error| error.code == code);
        for alias in &status.recipient {
            if status.status != ProviderStatus::Failed {
                self.sign_of_life(alias.hash, status.provider_at, changes);
                continue;
            }
            if has(codes::UNDELIVERABLE) {
                changes.failed(alias.hash, codes::UNDELIVERABLE, status.provider_at);
            }
            if has(codes::WINDOW_CLOSED) {
                changes.closed(alias.hash, &status.number, status.provider_at);
            }
        }
    }

    /// Written only where somebody was called unreachable: nobody else needs it.
    fn sign_of_life(&self, alias: AliasHash, at: Timestamp, changes: &mut Changes) {
        if changes.reach.contains_key(&alias) || self.noted.is_unreachable(alias) {
            changes.alive(alias, at);
        }
    }

    /// Adds what follows from attempts that Meta refused at once.
    async fn fold_rejected(&self, work: &mut Work) -> Result<(), HandleError> {
        if work.rejected.is_empty() {
            return Ok(());
        }
        let facts = self
            .platform
            .facts(self.shard, |wanted| {
                for (message, _) in &work.rejected {
                    wanted.events(Subject::Message(*message));
                }
            })
            .await?;
        for (message, rejected) in &work.rejected {
            let Some(submitted) = submitted(&facts, *message) else {
                continue;
            };
            let (alias, at) = (submitted.recipient.alias, rejected.rejected_at);
            match rejected.error.code {
                codes::UNDELIVERABLE => work.changes.failed(alias, rejected.error.code, at),
                codes::WINDOW_CLOSED => work.changes.closed(alias, &submitted.sender, at),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Handler for Requests {
    type Work = Work;

    fn begin(&self) -> BoxFuture<'_, Result<(), HandleError>> {
        Box::pin(async move {
            let now = log::now();
            let rows = self.views.noted(self.shard, now - WINDOW).await?;
            self.noted.replace(rows, now);
            Ok(())
        })
    }

    fn sift(&self, events: Vec<RecordedEvent>) -> Option<Work> {
        let mut work = Work::default();
        for event in &events {
            if log::is_of(event, StreamCategory::Provider) {
                self.sift_provider(event, &mut work);
            } else if event.kind.as_str() == "request.submitted" {
                if let Some(RequestEvent::Submitted(submitted)) = read(event) {
                    work.requests.push(Request::new(event, submitted));
                }
            } else if event.kind.as_str() == "attempt.rejected"
                && let Some(AttemptEvent::Rejected(rejected)) = read(event)
                && matches!(rejected.error.code, codes::UNDELIVERABLE | codes::WINDOW_CLOSED)
            {
                work.rejected.push((MessageId::new(event.stream.key), rejected));
            }
        }
        let is_idle = work.requests.is_empty() && !self.changes_views(&work);
        (!is_idle).then_some(work)
    }

    fn changes_views(&self, work: &Work) -> bool {
        !work.changes.is_empty() || !work.rejected.is_empty()
    }

    fn handle(&self, mut work: Work) -> BoxFuture<'_, Result<Changes, HandleError>> {
        Box::pin(async move {
            self.fold_rejected(&mut work).await?;
            let decisions = Decisions {
                platform: &self.platform,
                shard: self.shard,
                views: &self.views,
                noted: &self.noted,
                changes: &work.changes,
            };
            if !work.requests.is_empty() {
                decisions.take(work.requests).await?;
            }
            Ok(work.changes)
        })
    }

    fn committed(&self, changes: &Changes) {
        self.noted.add(changes, log::now());
    }
}

/// The request of a message, if it is one of ours.
pub(crate) fn submitted(facts: &Facts<'_>, message: MessageId) -> Option<Box<Submitted>> {
    let events = facts.events(Subject::Message(message));
    of_category::<RequestEvent>(events).find_map(|(_, event)| match event {
        RequestEvent::Submitted(submitted) => Some(submitted),
        RequestEvent::CancelRequested(_) => None,
    })
}

/// A domain event, or nothing: what cannot be understood is told, counted and left out.
pub(crate) fn read<E: assent_domain::events::DomainEvent>(event: &RecordedEvent) -> Option<E> {
    log::read(event)
        .inspect_err(|error| {
            tracing::error!(shard = event.shard.0, position = event.position, %error, "an event was not understood");
            metrics::skipped("not_understood");
        })
        .ok()
}

/// Which aliases the read model knows something of that matters now, so that most batches need no query. Kept by the one
/// active reader of a shard, who writes every row.
#[derive(Default)]
pub(crate) struct Noted(RwLock<Notes>);

#[derive(Default)]
struct Notes {
    /// Until when it matters, in microseconds.
    aliases: HashMap<AliasHash, Note>,
    unreachable: usize,
    /// There are more than are remembered.
    overflowed: bool,
}

#[derive(Default, Clone, Copy)]
struct Note {
    window_until: Option<Timestamp>,
    is_unreachable: bool,
}

impl Noted {
    fn read(&self) -> RwLockReadGuard<'_, Notes> {
        self.0.read().expect("nothing panics while it holds this lock")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Notes> {
        self.0.write().expect("nothing panics while it holds this lock")
    }

    /// Whether a query about the alias may bring something to light.
    pub(crate) fn may_know(&self, alias: AliasHash) -> bool {
        let notes = self.read();
        notes.overflowed || notes.aliases.contains_key(&alias)
    }

    fn is_unreachable(&self, alias: AliasHash) -> bool {
        let notes = self.read();
        notes.overflowed || notes.aliases.get(&alias).is_some_and(|note| note.is_unreachable)
    }

    fn is_anybody_unreachable(&self) -> bool {
        let notes = self.read();
        notes.overflowed || notes.unreachable > 0
    }

    /// Starts over with what is in the tables; rows without a moment are of people who cannot be reached.
    fn replace(&self, rows: Vec<(AliasHash, Option<Timestamp>)>, now: Timestamp) {
        let mut notes = self.write();
        *notes = Notes::default();
        for (alias, wrote_at) in rows {
            notes.note(alias, now, |note| match wrote_at {
                Some(wrote_at) => note.window_until = note.window_until.max(Some(wrote_at + WINDOW)),
                None => note.is_unreachable = true,
            });
        }
    }

    /// Adds what was written.
    fn add(&self, changes: &Changes, now: Timestamp) {
        let mut notes = self.write();
        for ((alias, _), window) in &changes.windows {
            let until = window.wrote_at.map(|at| at + WINDOW);
            notes.note(*alias, now, |note| note.window_until = note.window_until.max(until));
        }
        for (alias, reach) in &changes.reach {
            // Known to be reachable again or not, the row is there from now on.
            let failed = reach.failed_at.is_some();
            notes.note(*alias, now, |note| note.is_unreachable |= failed);
        }
    }
}

impl Notes {
    fn note(&mut self, alias: AliasHash, now: Timestamp, change: impl FnOnce(&mut Note)) {
        if self.aliases.len() >= NOTED_ALIASES_MAX && !self.aliases.contains_key(&alias) {
            self.aliases
                .retain(|_, note| note.is_unreachable || note.window_until > Some(now));
            self.overflowed |= self.aliases.len() >= NOTED_ALIASES_MAX;
        }
        if self.overflowed {
            return;
        }
        let note = self.aliases.entry(alias).or_default();
        let before = note.is_unreachable;
        change(note);
        self.unreachable += usize::from(note.is_unreachable && !before);
    }
}

//! Callers who wait: for a decision, or for anything that happens to a message.

use crate::limits;
use assent_domain::{events::DecisionEvent, values::MessageId};
use assent_event_store::RecordedEvent;
use assent_runtime::log;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

/// Everybody who waits in this process.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    decisions: Mutex<Decisions>,
    watchers: Mutex<HashMap<Uuid, Vec<Arc<Notify>>>>,
    /// How many watch, so that nothing is looked up where nobody does.
    watching: AtomicUsize,
}

/// Where a waiter is told the decision.
type Tell = oneshot::Sender<Arc<DecisionEvent>>;

#[derive(Debug, Default)]
struct Decisions {
    next_ticket: u64,
    by_message: HashMap<Uuid, Vec<(u64, Tell)>>,
    count: usize,
}

/// A place among those who wait for a decision; given back when dropped.
#[derive(Debug)]
pub(crate) struct Waiter {
    waiting: Arc<Waiting>,
    message: Uuid,
    ticket: u64,
    decided: oneshot::Receiver<Arc<DecisionEvent>>,
}

impl Waiter {
    /// The decision, once the tail shows it. Never answers if the tail ends.
    pub(crate) async fn decided(&mut self) -> Arc<DecisionEvent> {
        match (&mut self.decided).await {
            Ok(decision) => decision,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut decisions = self.waiting.decisions();
        let Entry::Occupied(mut waiters) = decisions.by_message.entry(self.message) else {
            return;
        };
        let before = waiters.get().len();
        waiters.get_mut().retain(|(ticket, _)| *ticket != self.ticket);
        let gone = before - waiters.get().len();
        if waiters.get().is_empty() {
            waiters.remove();
        }
        decisions.count -= gone;
    }
}

/// Somebody who watches a message.
#[derive(Debug)]
pub(crate) struct Watcher {
    waiting: Arc<Waiting>,
    message: Uuid,
    changed: Arc<Notify>,
}

impl Watcher {
    /// Something happened since the last time this answered.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut watchers = self.waiting.watchers();
        if let Entry::Occupied(mut entry) = watchers.entry(self.message) {
            entry.get_mut().retain(|other| !Arc::ptr_eq(other, &self.changed));
            if entry.get().is_empty() {
                entry.remove();
            }
        }
        self.waiting.watching.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Waiting {
    /// Waits for the decision on a message; `None` when too many wait already. To be called before the message is appended.
    pub(crate) fn for_decision(self: &Arc<Self>, message: MessageId) -> Option<Waiter> {
        let (sender, decided) = oneshot::channel();
        let mut decisions = self.decisions();
        if decisions.count >= limits::WAITERS_MAX {
            return None;
        }
        decisions.count += 1;
        decisions.next_ticket += 1;
        let ticket = decisions.next_ticket;
        let message = message.uuid();
        decisions.by_message.entry(message).or_default().push((ticket, sender));
        Some(Waiter {
            waiting: Arc::clone(self),
            message,
            ticket,
            decided,
        })
    }

    /// Watches a message; `None` when too many watch already.
    pub(crate) fn watch(self: &Arc<Self>, message: MessageId) -> Option<Watcher> {
        if self.watching.fetch_add(1, Ordering::AcqRel) >= limits::WATCHERS_MAX {
            self.watching.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let (message, changed) = (message.uuid(), Arc::new(Notify::new()));
        self.watchers().entry(message).or_default().push(Arc::clone(&changed));
        Some(Watcher {
            waiting: Arc::clone(self),
            message,
            changed,
        })
    }

    /// How many wait for a decision.
    pub(crate) fn count(&self) -> usize {
        self.decisions().count
    }

    /// Tells those who wait what the log shows. A decision is decoded only if somebody waits for it.
    pub(crate) fn tell(&self, events: &[RecordedEvent]) {
        let mut told = Vec::new();
        {
            let mut decisions = self.decisions();
            if decisions.count > 0 {
                for event in events.iter().filter(|event| event.stream.category == "decision") {
                    if let Some(waiters) = decisions.by_message.remove(&event.stream.key) {
                        decisions.count -= waiters.len();
                        told.push((event, waiters));
                    }
                }
            }
        }
        for (event, waiters) in told {
            match log::read::<DecisionEvent>(event) {
                Ok(decision) => {
                    let decision = Arc::new(decision);
                    for (_, waiter) in waiters {
                        // Whoever hung up does not want to know.
                        let _ = waiter.send(Arc::clone(&decision));
                    }
                }
                Err(error) => {
                    tracing::warn!(position = event.position, %error, "a decision was not understood; callers are answered without it");
                }
            }
        }
        if self.watching.load(Ordering::Acquire) > 0 {
            let watchers = self.watchers();
            for event in events {
                for watcher in watchers.get(&event.stream.key).into_iter().flatten() {
                    watcher.notify_one();
                }
            }
        }
    }

    fn decisions(&self) -> MutexGuard<'_, Decisions> {
        self.decisions.lock().expect("nothing panics while it holds this lock")
    }

    fn watchers(&self) -> MutexGuard<'_, HashMap<Uuid, Vec<Arc<Notify>>>> {
        self.watchers.lock().expect("nothing panics while it holds this lock")
    }
}

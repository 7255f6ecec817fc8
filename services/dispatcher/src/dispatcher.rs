//! What all parts of the dispatcher share.

use crate::{config::Config, limits, uploads::Uploads};
use assent_domain::values::{Actor, MessageId, Term};
use assent_runtime::{admin::Condition, platform::Platform, shutdown::Shutdown};
use assent_whatsapp::client::Client;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

/// What all parts of the dispatcher share.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    pub(crate) platform: Platform,
    pub(crate) config: Config,
    pub(crate) client: Client,
    pub(crate) uploads: Arc<Uploads>,
    pub(crate) actor: Actor,
    pub(crate) shutdown: Shutdown,
    /// One permit for each call that may be made at a time.
    slots: Arc<Semaphore>,
    /// One permit for each attempt of this process whose outcome is not recorded.
    flights: Arc<Semaphore>,
    /// Messages whose call this process makes.
    own: Mutex<HashSet<MessageId>>,
    /// Calls under way.
    pub(crate) calls: TaskTracker,
    condition: Condition,
}

/// The right to make one call.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) call: OwnedSemaphorePermit,
    pub(crate) flight: OwnedSemaphorePermit,
}

impl Dispatcher {
    pub(crate) fn new(
        config: &Config,
        platform: Platform,
        condition: Condition,
        shutdown: Shutdown,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            platform,
            client: Client::try_new(&config.client())?,
            uploads: Arc::new(Uploads::try_new(&config.media)?),
            actor: Actor::Service(Term::try_new("dispatcher").expect("a short word")),
            shutdown,
            slots: Arc::new(Semaphore::new(config.calls_max)),
            flights: Arc::new(Semaphore::new(config.calls_max * limits::FLIGHTS_PER_SLOT)),
            own: Mutex::default(),
            calls: TaskTracker::new(),
            condition,
            config: config.clone(),
        })
    }

    /// Waits for free slots: at least one, at most `wanted`, and a moment for more if there are not enough.
    pub(crate) async fn slots(&self, wanted: usize) -> Vec<Slot> {
        let mut slots = vec![self.slot().await];
        let mut taken = self.try_slots(wanted.saturating_sub(1));
        slots.append(&mut taken);
        if slots.len() < wanted {
            tokio::time::sleep(limits::SLOTS_LINGER).await;
            slots.append(&mut self.try_slots(wanted - slots.len()));
        }
        slots
    }

    async fn slot(&self) -> Slot {
        const NEVER_CLOSED: &str = "the semaphores are never closed";
        // The flight first: while the outcomes of old calls wait for the database, nobody holds slots for new ones.
        let flight = Arc::clone(&self.flights).acquire_owned().await.expect(NEVER_CLOSED);
        let call = Arc::clone(&self.slots).acquire_owned().await.expect(NEVER_CLOSED);
        Slot { call, flight }
    }

    /// Whatever slots are free now, at most `wanted`.
    pub(crate) fn try_slots(&self, wanted: usize) -> Vec<Slot> {
        let slot = |_| {
            let flight = Arc::clone(&self.flights).try_acquire_owned().ok()?;
            let call = Arc::clone(&self.slots).try_acquire_owned().ok()?;
            Some(Slot { call, flight })
        };
        (0..wanted).map_while(slot).collect()
    }

    /// Notes that this process makes a message's call, until the answer is dropped.
    pub(crate) fn own_flight(self: &Arc<Self>, message: MessageId) -> OwnFlight {
        self.own
            .lock()
            .expect("nothing panics while it holds this lock")
            .insert(message);
        OwnFlight {
            dispatcher: Arc::clone(self),
            message,
        }
    }

    /// Whether this process makes a message's call.
    pub(crate) fn is_own_flight(&self, message: MessageId) -> bool {
        self.own
            .lock()
            .expect("nothing panics while it holds this lock")
            .contains(&message)
    }

    /// Says that the database answers.
    pub(crate) fn available(&self) {
        self.condition.met();
    }

    /// Says that the database does not answer.
    pub(crate) fn unavailable(&self, reason: &str) {
        self.condition.unmet(reason);
    }
}

/// A call of this process.
#[derive(Debug)]
pub(crate) struct OwnFlight {
    dispatcher: Arc<Dispatcher>,
    message: MessageId,
}

impl Drop for OwnFlight {
    fn drop(&mut self) {
        if let Ok(mut own) = self.dispatcher.own.lock() {
            own.remove(&self.message);
        }
    }
}

/// Growing pauses while something does not answer.
#[derive(Debug)]
pub(crate) struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(limits::BACKOFF.0)
    }
}

impl Pause {
    /// Waits, longer from time to time.
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(limits::BACKOFF.1);
    }
}

//! A world with time passing in it: lets things happen when they are due and hands callbacks to couriers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::callbacks::{CallbackCounts, Clients, Courier, Ledger};
use crate::clock::Clock;
use crate::config::Config;
use crate::world::{Callback, Endpoint, World};

/// Sleep when nothing is planned; a plan made meanwhile wakes the pump.
const NOTHING_PLANNED: Duration = Duration::from_hours(1);
/// Shortest sleep, so that a busy world is pumped in small batches instead of once per message.
const SHORTEST_SLEEP_MS: i64 = 1;

/// What the world and its couriers run on.
#[derive(Clone)]
pub(crate) struct Ground {
    /// Where clients reach the simulator.
    pub(crate) base_url: String,
    /// Clients callbacks are sent with.
    pub(crate) clients: Clients,
    /// Tasks to wait for at the end.
    pub(crate) tasks: TaskTracker,
    /// Says when the end is.
    pub(crate) cancel: CancellationToken,
}

/// A running world.
pub(crate) struct Engine {
    config: Config,
    world: Mutex<World>,
    clock: Clock,
    planned: Notify,
    couriers: Mutex<Vec<(Arc<Courier>, CancellationToken)>>,
    ledger: Mutex<Arc<Ledger>>,
    /// Grows with each reset, so that what was under way before does not touch the new world.
    epoch: AtomicU64,
    ground: Ground,
}

impl Engine {
    /// Starts a world.
    pub(crate) fn start(config: Config, ground: Ground) -> Arc<Self> {
        let mut world = World::new(&config);
        world.set_base_url(&ground.base_url);
        let engine = Arc::new(Self {
            world: Mutex::new(world),
            clock: Clock::new(config.clock),
            config,
            planned: Notify::new(),
            couriers: Mutex::new(Vec::new()),
            ledger: Mutex::default(),
            epoch: AtomicU64::new(0),
            ground,
        });
        engine.ground.tasks.spawn(engine.clone().pump());
        engine
    }

    /// Does something to the world now; what it reports is sent.
    pub(crate) fn with<T>(self: &Arc<Self>, act: impl FnOnce(&mut World, i64, &mut Vec<Callback>) -> T) -> T {
        let mut reports = Vec::new();
        let mut routed = Vec::new();
        let mut world = self.lock();
        let now_ms = self.clock.now_ms();
        let due_before = world.next_due_ms();
        let result = act(&mut world, now_ms, &mut reports);
        let due_after = world.next_due_ms();
        if !reports.is_empty() {
            // Counted while the world is locked: a callback is never both off the agenda and not yet outstanding.
            self.route(&world, reports, &mut routed);
        }
        drop(world);
        for (courier, callback) in routed {
            courier.take(callback);
        }
        if due_after.is_some_and(|after| due_before.is_none_or(|before| after < before)) {
            self.planned.notify_one();
        }
        result
    }

    /// Now, Unix ms.
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Moves time forward; everything due by then happens before this returns.
    pub(crate) fn advance_clock(self: &Arc<Self>, by_ms: u64) {
        self.clock.advance(by_ms);
        self.with(World::advance);
        self.planned.notify_one();
    }

    /// Moves time forward from one thing that happens to the next, until nothing more will or `limit_ms` have passed. Gives
    /// how far it went, ms.
    pub(crate) fn advance_until_quiet(self: &Arc<Self>, limit_ms: u64) -> u64 {
        let mut gone_ms = 0;
        while let Some(due_ms) = self.with(|world, _, _| world.next_due_ms()) {
            let step_ms = (due_ms - self.clock.now_ms()).max(0).unsigned_abs();
            if gone_ms + step_ms > limit_ms {
                break;
            }
            gone_ms += step_ms;
            self.advance_clock(step_ms);
        }
        gone_ms
    }

    /// Starts again from the configuration; callbacks still waiting are forgotten. Time is not turned back.
    pub(crate) fn reset(&self) {
        let mut world = self.lock();
        self.epoch.fetch_add(1, Ordering::SeqCst);
        for (courier, cancel) in self.lock_couriers().drain(..) {
            courier.close();
            cancel.cancel();
        }
        *self.ledger.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
        // Callback URLs set since the start are kept: a reset between two tests must not cut the line.
        let urls: Vec<_> = world
            .apps
            .iter()
            .map(|app| (app.id.clone(), app.endpoint.clone()))
            .collect();
        *world = World::new(&self.config);
        world.set_base_url(&self.ground.base_url);
        for (id, endpoint) in urls {
            world.set_callback_url(Some(&id), endpoint.as_ref().map(|endpoint| endpoint.url.as_str()));
        }
    }

    /// Counts of callback sending.
    pub(crate) fn callback_counts(&self) -> CallbackCounts {
        self.ledger().counts()
    }

    /// Whether nothing will happen any more by itself, and every callback has arrived or been given up.
    pub(crate) fn is_idle(&self) -> bool {
        let world = self.lock();
        world.happenings_ahead() == 0 && self.ledger().outstanding.load(Ordering::SeqCst) == 0
    }

    /// Asks a callback URL for the verification challenge, as Meta does when one is configured.
    pub(crate) async fn verify_callback(&self, url: &str, verify_token: &str) -> bool {
        let challenge = (self.now_ms().unsigned_abs() % 1_000_000_007).to_string();
        let query = [
            ("hub.mode", "subscribe"),
            ("hub.challenge", &challenge),
            ("hub.verify_token", verify_token),
        ];
        let timeout = Duration::from_millis(self.config.callbacks.timeout_ms);
        let Some(client) = self.client_for(url) else {
            return false;
        };
        let Ok(response) = client.get(url).query(&query).timeout(timeout).send().await else {
            return false;
        };
        let is_ok = response.status() == reqwest::StatusCode::OK;
        response
            .text()
            .await
            .is_ok_and(|text| is_ok && text.trim() == challenge)
    }

    fn client_for(&self, url: &str) -> Option<reqwest::Client> {
        let client = self.ground.clients.for_url(url);
        client
            .inspect_err(
                |error| tracing::error!(%error, "cannot make a client for https; is there a certificate store?"),
            )
            .ok()
    }

    async fn pump(self: Arc<Self>) {
        loop {
            let next_due_ms = self.with(|world, now_ms, out| {
                world.advance(now_ms, out);
                world.next_due_ms()
            });
            let sleep = next_due_ms
                .filter(|_| !self.clock.stands())
                .map_or(NOTHING_PLANNED, |due_ms| {
                    let ahead_ms = (due_ms - self.clock.now_ms()).max(SHORTEST_SLEEP_MS);
                    Duration::from_millis(ahead_ms.unsigned_abs()).min(NOTHING_PLANNED)
                });
            tokio::select! {
                () = self.ground.cancel.cancelled() => return,
                () = self.planned.notified() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    fn route(self: &Arc<Self>, world: &World, reports: Vec<Callback>, routed: &mut Vec<(Arc<Courier>, Callback)>) {
        let ledger = self.ledger();
        for callback in reports {
            let endpoints = world.endpoints(&callback);
            if endpoints.is_empty() {
                ledger.unsubscribed.fetch_add(1, Ordering::Relaxed);
            }
            for endpoint in endpoints {
                if let Some(courier) = self.courier(endpoint, &ledger) {
                    ledger.outstanding.fetch_add(1, Ordering::SeqCst);
                    routed.push((courier, callback.clone()));
                }
            }
        }
    }

    /// The courier to a destination, put to work if there is none yet.
    fn courier(self: &Arc<Self>, endpoint: Arc<Endpoint>, ledger: &Arc<Ledger>) -> Option<Arc<Courier>> {
        let mut couriers = self.lock_couriers();
        if let Some((courier, _)) = couriers.iter().find(|(courier, _)| *courier.endpoint() == endpoint) {
            return Some(courier.clone());
        }
        let (engine, epoch) = (Arc::downgrade(self), self.epoch.load(Ordering::SeqCst));
        let note = Box::new(move |callbacks: &[Callback]| note_acknowledged(&engine, epoch, callbacks));
        let limits = self.config.callbacks.clone();
        let client = self.client_for(&endpoint.url)?;
        let mut courier = Courier::new(endpoint.clone(), limits, client, ledger.clone(), note)?;
        if self.config.callbacks.retry_to_all_apps {
            let engine = Arc::downgrade(self);
            courier.when_refused(Box::new(move |callbacks| {
                send_to_others(&engine, epoch, &endpoint, callbacks);
            }));
        }
        let courier = Arc::new(courier);
        let cancel = self.ground.cancel.child_token();
        self.ground
            .tasks
            .spawn(courier.clone().run(self.ground.tasks.clone(), cancel.clone()));
        couriers.push((courier.clone(), cancel));
        Some(courier)
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_couriers(&self) -> MutexGuard<'_, Vec<(Arc<Courier>, CancellationToken)>> {
        self.couriers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger(&self) -> Arc<Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A callback that one app refused goes again to the others that are subscribed.
fn send_to_others(engine: &Weak<Engine>, epoch: u64, refused_by: &Endpoint, callbacks: &[Callback]) {
    let Some(engine) = engine.upgrade() else { return };
    let mut routed = Vec::new();
    let world = engine.lock();
    if engine.epoch.load(Ordering::SeqCst) != epoch {
        return;
    }
    let ledger = engine.ledger();
    for callback in callbacks {
        let others = world
            .endpoints(callback)
            .into_iter()
            .filter(|other| **other != *refused_by);
        for courier in others.filter_map(|other| engine.courier(other, &ledger)) {
            ledger.outstanding.fetch_add(1, Ordering::SeqCst);
            routed.push((courier, callback.clone()));
        }
    }
    drop(world);
    for (courier, callback) in routed {
        courier.take(callback);
    }
}

fn note_acknowledged(engine: &Weak<Engine>, epoch: u64, callbacks: &[Callback]) {
    let Some(engine) = engine.upgrade() else { return };
    let mut world = engine.lock();
    if engine.epoch.load(Ordering::SeqCst) != epoch {
        return;
    }
    for (message, status) in callbacks.iter().filter_map(|callback| callback.reports) {
        world.acknowledged(message, status);
    }
}

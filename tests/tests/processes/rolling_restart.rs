//! A rolling restart of all services under load: nothing is lost, nobody gets anything twice, and callers see nothing but
//! UNAVAILABLE, or what their library makes of a connection that ends, which the same call again gets over.
//!
//! There are two processes of each service. Each is replaced in turn: a new one is started beside it, and when that is ready
//! the old one gets SIGTERM while callers still go to it, without anything taking it off their list before. Callbacks go through a
//! port that hands connections to either ingress.
//!
//! `ASSENT_OLD_BINARY` names an older `assent`: the database is then migrated by the binary under test, everything starts
//! with the old one, is rolled to the one under test and back again, as an upgrade that is taken back.

use std::{
    collections::{BTreeMap, HashSet},
    error::Error,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use assent_proto::v1::{self, MessageState, subscribe_response::Item};
use assent_tests::system::{Client, Instance, Role, System, SystemConfig, people};
use tokio::task::JoinSet;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::{
    PATIENCE, accepted_by_message, assert_none_twice, eventually, full, note, servers_are_here, start, wait_until_ended,
};

/// Names an older binary to roll from.
const OLD_BINARY_VARIABLE: &str = "ASSENT_OLD_BINARY";
const PROCESSES_OF_EACH: usize = 2;
/// Calls at a time of those who send; more wait for their turn.
const SENDS_IN_FLIGHT_MAX: usize = 256;
/// A caller's pause before it calls again.
const RETRY_AFTER: Duration = Duration::from_millis(20);
/// Longest for one call: beyond it a caller hangs, which is not what a restart may do to it.
const CALL_MAX: Duration = Duration::from_secs(15);
/// Longest that a process may take to end. Calls to Meta take milliseconds here.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// Longer than the shipped grace of 20 s.
const DRAIN_PATIENCE: Duration = Duration::from_secs(25);

struct Plan {
    /// Messages at most, each to another person.
    messages_max: usize,
    messages_per_second: u64,
    /// How long the load goes on between two restarts.
    pause: Duration,
}

impl Plan {
    fn of_this_run() -> Self {
        if full() {
            return Self {
                messages_max: 40_000,
                messages_per_second: 300,
                pause: Duration::from_secs(3),
            };
        }
        Self {
            messages_max: 4_000,
            messages_per_second: 80,
            pause: Duration::from_millis(500),
        }
    }
}

/// What callers know of the processes, and what they saw.
#[derive(Default)]
struct Callers {
    endpoints: Mutex<BTreeMap<Role, Vec<(std::net::SocketAddr, Client)>>>,
    turn: AtomicUsize,
    /// How often each role was UNAVAILABLE.
    unavailable: Mutex<BTreeMap<Role, usize>>,
    /// Whatever else a caller was answered.
    errors: Mutex<Vec<String>>,
    acknowledged: Mutex<Vec<Uuid>>,
    other_calls: AtomicUsize,
    stop: AtomicBool,
}

impl Callers {
    fn add(&self, key: &str, instance: &Instance) {
        let address = instance.grpc_address();
        let client = Client::new(key, |_| address).unwrap();
        let mut endpoints = self.endpoints.lock().unwrap();
        endpoints.entry(instance.role()).or_default().push((address, client));
    }

    fn remove(&self, role: Role, address: std::net::SocketAddr) {
        let mut endpoints = self.endpoints.lock().unwrap();
        endpoints
            .entry(role)
            .or_default()
            .retain(|(other, _)| *other != address);
    }

    /// Any process of the role, in turn.
    fn any(&self, role: Role) -> Client {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let endpoints = self.endpoints.lock().unwrap();
        let of_role = &endpoints[&role];
        of_role[turn % of_role.len()].1.clone()
    }

    fn saw(&self, role: Role, what: &str, status: &Status) {
        if status.code() == Code::Unavailable || never_sent(status) || met_go_away(status) {
            *self.unavailable.lock().unwrap().entry(role).or_default() += 1;
        } else {
            self.errors.lock().unwrap().push(format!("{role}, {what}: {status:?}"));
        }
    }

    /// Calls again and again, as a careful caller does: only where a service or its connection went away, and not for ever.
    async fn call<T, F>(&self, role: Role, what: &str, call: impl Fn(Client) -> F) -> Option<T>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let answer = tokio::time::timeout(CALL_MAX, call(self.any(role))).await;
            match answer.unwrap_or_else(|_elapsed| Err(Status::deadline_exceeded("no answer in the caller's time"))) {
                Ok(answer) => return Some(answer.into_inner()),
                Err(status) => self.saw(role, what, &status),
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
        let mut errors = self.errors.lock().unwrap();
        errors.push(format!("{role}, {what}: never succeeded"));
        None
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// Whether tonic itself says that the connection was closed before the request went out. It calls that CANCELLED where other
/// libraries say UNAVAILABLE or try again by themselves; a service's own answer has no such source.
fn never_sent(status: &Status) -> bool {
    let is_of_transport = status.source().is_some_and(<dyn Error>::is::<tonic::transport::Error>);
    status.code() == Code::Cancelled && is_of_transport
}

/// Whether the server said that it takes no more calls on this connection, just as this one was handed to it. hyper's client looks
/// once more at the connection after it has queued a call, fails the call with what the server said to the connection, and tonic
/// calls that INTERNAL (hyper 1.12, `proto/h2/client.rs`). The call may have gone out: it is repeated with the same key, like any
/// whose outcome is not known.
fn met_go_away(status: &Status) -> bool {
    let causes = std::iter::successors(status.source(), |&error| error.source());
    let mut said = causes.filter_map(|error| error.downcast_ref::<h2::Error>());
    status.code() == Code::Internal
        && said.any(|error| error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_all_services_under_load_loses_nothing() {
    if !servers_are_here() {
        return;
    }
    let plan = Plan::of_this_run();
    let old = std::env::var_os(OLD_BINARY_VARIABLE).map(PathBuf::from);
    let config = SystemConfig {
        first_binary: old.clone(),
        balanced_callbacks: true,
        ..SystemConfig::default()
    };
    let mut system = start(config, plan.messages_max).await;
    let callers = Arc::new(Callers::default());
    let first = old.clone().unwrap_or_else(|| system.binary().to_owned());
    let mut instances = two_of_each(&mut system, &callers, &first).await;

    let mut load = JoinSet::new();
    load.spawn(send(
        callers.clone(),
        system.tenants[0].phone_number_id.clone(),
        plan.messages_per_second,
        plan.messages_max,
    ));
    load.spawn(ask_consent(callers.clone(), plan.messages_max));
    load.spawn(ask_tracker(callers.clone()));
    let told = Arc::new(Mutex::new(HashSet::new()));
    let following = tokio::spawn(follow(callers.clone(), told.clone()));

    let new = system.binary().to_owned();
    roll(&mut system, &callers, &mut instances, &new, &plan).await;
    if let Some(old) = &old {
        roll(&mut system, &callers, &mut instances, old, &plan).await;
    }
    callers.stop.store(true, Ordering::Release);
    while let Some(ended) = load.join_next().await {
        ended.unwrap();
    }
    judge(&system, &callers, &instances, &told).await;
    following.abort();
    for instance in &mut instances {
        assert!(
            instance.is_running(),
            "{} ended by itself: {}",
            instance.role(),
            instance.output()
        );
    }
}

async fn two_of_each(system: &mut System, callers: &Callers, binary: &Path) -> Vec<Instance> {
    let mut instances = Vec::new();
    for role in Role::ALL {
        instances.push(system.detach(role).unwrap());
        for _ in 1..PROCESSES_OF_EACH {
            instances.push(system.start_instance(role, binary).await.unwrap());
        }
    }
    let balancer = system.callbacks_balancer().unwrap();
    for instance in &instances {
        callers.add(&system.tenants[0].key, instance);
        // The first one is known to the balancer already.
        if let Some(callbacks) = instance.callbacks_address() {
            balancer.remove(callbacks);
            balancer.add(callbacks);
        }
    }
    instances
}

/// Replaces each process by a new one of `binary`.
async fn roll(system: &mut System, callers: &Callers, instances: &mut Vec<Instance>, binary: &Path, plan: &Plan) {
    for _ in 0..instances.len() {
        tokio::time::sleep(plan.pause).await;
        let old = instances.remove(0);
        let role = old.role();
        let new = system.start_instance(role, binary).await.unwrap();
        callers.add(&system.tenants[0].key, &new);
        let balancer = system.callbacks_balancer().unwrap();
        if let Some(callbacks) = new.callbacks_address() {
            balancer.add(callbacks);
        }

        let (grpc, callbacks) = (old.grpc_address(), old.callbacks_address());
        let before = callers.acknowledged.lock().unwrap().len();
        let took = old.terminate(DRAIN_PATIENCE).await.unwrap();
        eventually("messages are acknowledged again", async || {
            callers.acknowledged.lock().unwrap().len() > before
        })
        .await;
        callers.remove(role, grpc);
        if let Some(callbacks) = callbacks {
            balancer.remove(callbacks);
        }
        note(&format!(
            "rolling: {role} ended in {} ms after {before} messages",
            took.as_millis()
        ));
        assert!(took < DRAIN_MAX, "{role} took {took:?} to end");
        instances.push(new);
    }
}

/// Sends at a steady pace, each message again until it is acknowledged.
async fn send(callers: Arc<Callers>, from: String, per_second: u64, messages_max: usize) {
    let mut pace = tokio::time::interval(Duration::from_micros(1_000_000 / per_second));
    let mut under_way = JoinSet::new();
    for person in 0..messages_max {
        pace.tick().await;
        if callers.stopped() {
            break;
        }
        while under_way.len() >= SENDS_IN_FLIGHT_MAX {
            under_way.join_next().await;
        }
        let wait_for = if person % 2 == 0 {
            v1::WaitFor::Accepted
        } else {
            v1::WaitFor::Decision
        };
        let request = people::send_request(&format!("rolling-{person}"), &from, person, wait_for);
        let callers = callers.clone();
        under_way.spawn(async move {
            let answer = callers
                .call(Role::Ingress, "send", |mut client| {
                    let request = request.clone();
                    async move { client.messages.send_message(request).await }
                })
                .await;
            if let Some(answer) = answer {
                callers
                    .acknowledged
                    .lock()
                    .unwrap()
                    .push(answer.message_id.parse().unwrap());
            }
        });
    }
    while under_way.join_next().await.is_some() {}
}

/// Records opt-ins of people nobody writes to.
async fn ask_consent(callers: Arc<Callers>, first: usize) {
    for person in first.. {
        if callers.stopped() {
            return;
        }
        let request = people::opt_in_request(person);
        callers
            .call(Role::Consent, "opt-in", |mut client| {
                let request = request.clone();
                async move { client.consent.record_opt_in(request).await }
            })
            .await;
        callers.other_calls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// Asks for the counts.
async fn ask_tracker(callers: Arc<Callers>) {
    while !callers.stopped() {
        callers
            .call(Role::StatusTracker, "funnel", |mut client| async move {
                client.tracking.get_funnel(v1::GetFunnelRequest::default()).await
            })
            .await;
        callers.other_calls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// Follows the events from the first one on, and goes on after the last one handled when the stream breaks.
async fn follow(callers: Arc<Callers>, told_read: Arc<Mutex<HashSet<Uuid>>>) {
    let mut position = 0;
    loop {
        let request = v1::SubscribeRequest {
            start: Some(v1::subscribe_request::Start::AfterPosition(position)),
            kinds: vec![v1::EventKind::MessageState.into()],
        };
        let subscribed = callers.call(Role::StatusTracker, "subscribe", |mut client| {
            let request = request.clone();
            async move { client.events.subscribe(request).await }
        });
        let Some(mut events) = subscribed.await else { return };
        loop {
            match events.message().await {
                Ok(Some(response)) => match response.item {
                    Some(Item::Event(event)) => {
                        position = event.position;
                        if let Some(v1::event::Payload::MessageState(state)) = event.payload
                            && state.state() == MessageState::Read
                        {
                            told_read.lock().unwrap().insert(state.message_id.parse().unwrap());
                        }
                    }
                    Some(Item::Heartbeat(beat)) => position = beat.position,
                    None => {}
                },
                Ok(None) => {
                    let mut errors = callers.errors.lock().unwrap();
                    errors.push("a subscription ended without saying why".to_owned());
                    break;
                }
                Err(status) => {
                    callers.saw(Role::StatusTracker, "events", &status);
                    break;
                }
            }
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

async fn judge(system: &System, callers: &Callers, instances: &[Instance], told_read: &Mutex<HashSet<Uuid>>) {
    let acknowledged = callers.acknowledged.lock().unwrap().clone();
    let unavailable = callers.unavailable.lock().unwrap().clone();
    note(&format!(
        "rolling: {} messages and {} other calls; UNAVAILABLE seen: {unavailable:?}",
        acknowledged.len(),
        callers.other_calls.load(Ordering::Relaxed),
    ));
    let errors = callers.errors.lock().unwrap().clone();
    assert!(
        errors.is_empty(),
        "{} calls failed otherwise: {:#?}",
        errors.len(),
        &errors[..errors.len().min(10)]
    );
    let distinct: HashSet<Uuid> = acknowledged.iter().copied().collect();
    assert_eq!(distinct.len(), acknowledged.len(), "two requests were one message");

    let address = |role| {
        instances
            .iter()
            .find(|instance| instance.role() == role)
            .unwrap()
            .grpc_address()
    };
    let client = Client::new(&system.tenants[0].key, address).unwrap();
    let ended = wait_until_ended(&client, &acknowledged, PATIENCE).await;
    assert!(system.simulator.wait_idle(PATIENCE).await.unwrap());
    assert_none_twice(&accepted_by_message(system).await);
    for message in &acknowledged {
        // A drained dispatcher leaves no call whose outcome it does not know: nothing is given up.
        assert_eq!(ended[message].state(), MessageState::Read, "{message}");
    }
    let callbacks = system.simulator.summary().await.unwrap()["callbacks"].clone();
    note(&format!("rolling: callbacks {callbacks}"));
    assert_eq!(callbacks["dropped"], 0, "{callbacks}");
    assert_eq!(callbacks["outstanding"], 0, "{callbacks}");
    assert_eq!(
        callbacks["refused"], 0,
        "an ingress that ends finishes or refuses connections: {callbacks}"
    );
    eventually("the subscriber was told that every message was read", async || {
        let told = told_read.lock().unwrap();
        acknowledged.iter().all(|message| told.contains(message))
    })
    .await;
}

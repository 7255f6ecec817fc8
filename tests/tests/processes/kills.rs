//! Nothing acknowledged is lost and nobody gets anything twice, whatever is killed.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use assent_proto::v1::{self, MessageState};
use assent_simulator::{Fault, FaultKind};
use assent_tests::system::{Client, Role, System, SystemConfig, people};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

use crate::support::{
    Acknowledged, PATIENCE, accepted_by_message, assert_all_run, assert_none_twice, full, note, seed, send_to_all,
    send_until_acknowledged, servers_are_here, start, wait_until_ended,
};

/// Share of calls to Meta that are accepted there and never answered.
const TIMEOUTS_AFTER_ACCEPT: f64 = 0.02;
/// Calls that never reach Meta and are never answered: nobody can know, so these messages end as given up.
const CALLS_INTO_THE_VOID: u32 = 5;
const IN_FLIGHT: usize = 32;
/// How long the dispatcher waits for a callback before it gives a message up whose outcome is unknown.
const SILENCE: Duration = Duration::from_secs(5);

/// What a run with kills is.
struct Plan {
    messages: usize,
    kills: usize,
    /// Shortest and longest time between two faults.
    pauses: (Duration, Duration),
}

impl Plan {
    fn of_this_run() -> Self {
        if full() {
            return Self {
                messages: 5_000,
                kills: 20,
                pauses: (Duration::from_millis(300), Duration::from_secs(2)),
            };
        }
        Self {
            messages: 800,
            kills: 8,
            pauses: (Duration::from_millis(100), Duration::from_millis(700)),
        }
    }
}

/// What strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strike {
    Kill(Role),
    /// Whichever process relays at that moment.
    KillRelay,
    KillPostgres,
    PurgeJetStream,
}

/// Every service in turn, the relay's process, and somewhere among them the database and the broker's memory.
fn strikes(kills: usize, random: &mut StdRng) -> Vec<Strike> {
    let mut strikes: Vec<Strike> = (0..kills)
        .map(|index| {
            Role::ALL
                .get(index % 5)
                .map_or(Strike::KillRelay, |role| Strike::Kill(*role))
        })
        .collect();
    for strike in [Strike::KillPostgres, Strike::PurgeJetStream] {
        let at = random.random_range(1..strikes.len());
        strikes.insert(at, strike);
    }
    strikes
}

async fn strike(system: &mut System, strike: Strike) {
    match strike {
        Strike::Kill(role) => restart(system, role).await,
        Strike::KillRelay => {
            let role = relaying_role(system).await;
            note(&format!("  {role} relays"));
            restart(system, role).await;
        }
        Strike::KillPostgres => {
            system.postgres.kill_9();
            system.postgres.start_again().await.unwrap();
        }
        Strike::PurgeJetStream => purge_jetstream(&system.nats.url()).await,
    }
}

async fn restart(system: &mut System, role: Role) {
    system.kill_9(role);
    system.start_role(role).await.unwrap();
}

/// The process that published the most slices since it started: the leader, or the last one.
async fn relaying_role(system: &System) -> Role {
    let mut best = (Role::Ingress, -1.0);
    for role in Role::ALL {
        let slices = match system.metrics(role).await {
            Ok(page) => page.sum("assent_relay_slice_events_count"),
            Err(_starting) => 0.0,
        };
        if slices > best.1 {
            best = (role, slices);
        }
    }
    best.0
}

pub(crate) async fn purge_jetstream(url: &str) {
    use futures::TryStreamExt as _;
    let context = async_nats::jetstream::new(async_nats::connect(url).await.unwrap());
    let names: Vec<String> = context.stream_names().try_collect().await.unwrap();
    assert!(!names.is_empty(), "there is a stream for each shard");
    for name in names {
        context.get_stream(name).await.unwrap().purge().await.unwrap();
    }
}

fn config(seed: u64) -> SystemConfig {
    let mut config = SystemConfig {
        overrides: vec![
            // Shipped values wait ten minutes for a callback before they give up, and 15 s for an answer.
            ("ASSENT__DISPATCHER__SILENCE_MS", SILENCE.as_millis().to_string()),
            ("ASSENT__DISPATCHER__META__TOTAL_TIMEOUT_MS", "2000".to_owned()),
            ("ASSENT__DISPATCHER__META__CONNECT_TIMEOUT_MS", "1000".to_owned()),
        ],
        ..SystemConfig::default()
    };
    config.simulator.seed = seed;
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nobody_gets_it_twice_while_everything_is_killed() {
    if !servers_are_here() {
        return;
    }
    let seed = seed("kills");
    let plan = Plan::of_this_run();
    let mut random = StdRng::seed_from_u64(seed);
    let mut system = start(config(seed), plan.messages).await;
    let timeouts = Fault::rate(FaultKind::NeverAnswer, TIMEOUTS_AFTER_ACCEPT);
    let void = Fault {
        next: CALLS_INTO_THE_VOID,
        ..Fault::rate(FaultKind::NeverAnswerBeforeAccept, 0.0)
    };
    system.simulator.set_faults(&[void, timeouts]).await.unwrap();

    let client = system.client(0).unwrap();
    let from = system.tenants[0].phone_number_id.clone();
    let acknowledged: Acknowledged = Arc::new(Mutex::new(Vec::new()));
    let sending = tokio::spawn(send_to_all(
        client.clone(),
        from.clone(),
        plan.messages,
        IN_FLIGHT,
        acknowledged.clone(),
    ));
    for next in strikes(plan.kills, &mut random) {
        tokio::time::sleep(random.random_range(plan.pauses.0..plan.pauses.1)).await;
        let so_far = acknowledged.lock().unwrap().len();
        note(&format!("kills: {next:?} after {so_far} messages"));
        strike(&mut system, next).await;
        assert_all_run(&mut system);
    }
    sending.await.unwrap();
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert_eq!(acknowledged.len(), plan.messages);

    let signs_of_life = tokio::spawn(show_signs_of_life(client.clone(), from));
    let patience = if full() { PATIENCE * 5 } else { PATIENCE * 2 };
    let ended = wait_until_ended(&client, &acknowledged, patience).await;
    signs_of_life.abort();
    assert!(system.simulator.wait_idle(PATIENCE).await.unwrap());
    let accepted = accepted_by_message(&system).await;
    assert_none_twice(&accepted);

    let mut given_up = 0;
    for message in &acknowledged {
        let state = ended[message].state();
        match state {
            MessageState::Read => assert!(accepted.contains_key(message), "{message} was read and never arrived"),
            MessageState::GivenUp => {
                given_up += 1;
                assert!(
                    !accepted.contains_key(message),
                    "{message} was given up and everybody reads in this world"
                );
                assert_given_up_with_evidence(&client, *message).await;
            }
            other => panic!("{message} ended as {other:?}"),
        }
    }
    assert!(
        given_up > 0,
        "no call went into the void: the test means less than it says"
    );
    note(&format!(
        "kills: {} messages, {given_up} given up, all others read, none twice",
        plan.messages
    ));
}

/// Goes on to send now and then. Silence about a message is measured by the number's other callbacks: on a number about which
/// nobody hears anything, nobody is given up.
async fn show_signs_of_life(client: Client, from: String) {
    for index in 0.. {
        let request = people::send_request(&format!("sign-of-life-{index}"), &from, 0, v1::WaitFor::Accepted);
        send_until_acknowledged(&client, request).await;
        tokio::time::sleep(SILENCE / 4).await;
    }
}

/// The timeline names the attempt, that its outcome was not known, and that it was given up.
async fn assert_given_up_with_evidence(client: &Client, message: Uuid) {
    let request = v1::GetMessageRequest {
        key: Some(v1::get_message_request::Key::MessageId(message.to_string())),
        include_timeline: true,
    };
    let answer = client.messages.clone().get_message(request).await.unwrap().into_inner();
    let timeline: Vec<String> = answer
        .message
        .unwrap()
        .timeline
        .into_iter()
        .map(|entry| entry.r#type)
        .collect();
    for needed in ["attempt.started", "attempt.given_up"] {
        assert!(
            timeline.iter().any(|kind| kind == needed),
            "{message} has no {needed}: {timeline:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_asked_to_end_finishes_what_it_has_begun() {
    const MESSAGES: usize = 400;
    /// Longer than the shipped grace of 20 s.
    const DRAIN_PATIENCE: Duration = Duration::from_secs(25);
    /// A call to Meta takes milliseconds here: whoever takes longer waits for something that does not come.
    const DRAIN_MAX: Duration = Duration::from_secs(5);
    if !servers_are_here() {
        return;
    }
    let mut system = start(SystemConfig::default(), MESSAGES).await;
    let client = system.client(0).unwrap();
    let from = system.tenants[0].phone_number_id.clone();
    let acknowledged: Acknowledged = Arc::new(Mutex::new(Vec::new()));
    let sending = tokio::spawn(send_to_all(client.clone(), from, MESSAGES, 16, acknowledged.clone()));
    for role in Role::ALL {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let took = system.terminate(role, DRAIN_PATIENCE).await.unwrap();
        note(&format!("drain: {role} took {} ms", took.as_millis()));
        assert!(took < DRAIN_MAX, "{role} took {took:?} to end");
        system.start_role(role).await.unwrap();
    }
    sending.await.unwrap();
    let acknowledged = acknowledged.lock().unwrap().clone();
    let ended = wait_until_ended(&client, &acknowledged, PATIENCE).await;
    let accepted = accepted_by_message(&system).await;
    assert_none_twice(&accepted);
    // A drained dispatcher leaves nothing whose outcome it does not know, so nothing is ever given up.
    for message in &acknowledged {
        assert_eq!(ended[message].state(), MessageState::Read, "{message}");
    }
}

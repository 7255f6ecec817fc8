//! What the tests share: sending until it is acknowledged, and waiting until everything has ended.

use std::{
    collections::HashMap,
    io::Write as _,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use assent_proto::v1::{self, MessageState};
use assent_tests::{
    servers::{self, Server},
    system::{Accepted, Client, Role, System, SystemConfig, people},
};
use tonic::Code;
use uuid::Uuid;

/// How long a test waits for something that must come, on a machine that is busy with others.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Whether the sizes are those that are recorded, not those of every test run.
pub(crate) fn full() -> bool {
    std::env::var("ASSENT_TEST_FULL").is_ok_and(|value| value == "1")
}

/// The seed of whatever a test draws; printed, so that a failure can be repeated.
pub(crate) fn seed(test: &str) -> u64 {
    const DEFAULT: u64 = 20_261_122;
    let given = std::env::var("ASSENT_TEST_SEED").ok();
    let seed = given.map_or(DEFAULT, |seed| seed.parse().expect("ASSENT_TEST_SEED is a number"));
    note(&format!("{test}: seed {seed}"));
    seed
}

/// Shown even where the test passes.
pub(crate) fn note(line: &str) {
    let _unseen = writeln!(std::io::stderr(), "{line}");
}

pub(crate) fn servers_are_here() -> bool {
    servers::require(&[Server::Postgres, Server::Nats])
}

/// A running system in which the first people of every business have opted in.
pub(crate) async fn start(config: SystemConfig, opted_in: usize) -> System {
    let system = System::start(config).await.unwrap();
    people::opt_in_all(&system, opted_in).await.unwrap();
    for tenant in 0..system.tenants.len() {
        let request = people::check_request(&system, tenant);
        system.wait_until_sendable(tenant, request).await.unwrap();
    }
    system
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// Sends with the same key again and again until it is acknowledged, as a careful caller does.
pub(crate) async fn send_until_acknowledged(client: &Client, request: v1::SendMessageRequest) -> Uuid {
    let deadline = Instant::now() + PATIENCE;
    let mut messages = client.messages.clone();
    loop {
        let call = messages.send_message(request.clone());
        let status = match tokio::time::timeout(Duration::from_secs(10), call).await {
            Ok(Ok(answer)) => return answer.into_inner().message_id.parse().unwrap(),
            Ok(Err(status)) => status,
            Err(_elapsed) => tonic::Status::deadline_exceeded("the test's own patience"),
        };
        // A connection that breaks while the service is killed is reported as one of these.
        let may_be_asked_again = matches!(
            status.code(),
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::ResourceExhausted | Code::DeadlineExceeded
        ) || (status.code() == Code::Internal && status.message().contains("h2"));
        assert!(may_be_asked_again, "{status:?}");
        assert!(Instant::now() < deadline, "never acknowledged: {status:?}");
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// The acknowledged messages of a run in progress.
pub(crate) type Acknowledged = Arc<Mutex<Vec<Uuid>>>;

/// Sends a message to each of the first people, a few at a time; ends when all are acknowledged.
pub(crate) async fn send_to_all(
    client: Client,
    from: String,
    people: usize,
    in_flight: usize,
    acknowledged: Acknowledged,
) {
    use futures::{StreamExt as _, stream};
    stream::iter(0..people)
        .for_each_concurrent(in_flight, |person| {
            let (client, from, acknowledged) = (client.clone(), from.clone(), acknowledged.clone());
            async move {
                let wait_for = if person % 2 == 0 {
                    v1::WaitFor::Accepted
                } else {
                    v1::WaitFor::Decision
                };
                let request = people::send_request(&format!("message-{person}"), &from, person, wait_for);
                let message = send_until_acknowledged(&client, request).await;
                acknowledged.lock().unwrap().push(message);
            }
        })
        .await;
}

/// Every message of a business by the API's list.
pub(crate) async fn list_all(client: &Client) -> Result<HashMap<Uuid, v1::Message>, tonic::Status> {
    let mut client = client.messages.clone();
    let (mut all, mut page_token) = (HashMap::new(), String::new());
    loop {
        let request = v1::ListMessagesRequest {
            page_size: 500,
            page_token,
            ..v1::ListMessagesRequest::default()
        };
        let page = client.list_messages(request).await?.into_inner();
        for message in page.messages {
            all.insert(message.message_id.parse().unwrap(), message);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(all);
        }
    }
}

/// Whether nothing more will happen to a message. `delivered` is final too to the API, for not everybody sends read
/// receipts; in the simulator's world everybody does.
fn has_ended(message: &v1::Message) -> bool {
    message.r#final && message.state() != MessageState::Delivered
}

/// Waits until every one of these messages has ended, and gives all messages as they stand then.
pub(crate) async fn wait_until_ended(
    client: &Client,
    wanted: &[Uuid],
    patience: Duration,
) -> HashMap<Uuid, v1::Message> {
    let deadline = Instant::now() + patience;
    loop {
        let listed = list_all(client).await.unwrap_or_default();
        let open: Vec<&Uuid> = wanted
            .iter()
            .filter(|message| !listed.get(message).is_some_and(has_ended))
            .collect();
        if open.is_empty() {
            return listed;
        }
        if Instant::now() >= deadline {
            let states: Vec<String> = open
                .iter()
                .take(10)
                .map(|id| format!("{id}: {:?}", listed.get(id).map(v1::Message::state)))
                .collect();
            panic!("{} of {} messages never ended: {states:#?}", open.len(), wanted.len());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What the simulator accepted, by our id of the message.
pub(crate) async fn accepted_by_message(system: &System) -> HashMap<Uuid, Vec<Accepted>> {
    let mut by_message: HashMap<Uuid, Vec<Accepted>> = HashMap::new();
    for accepted in system.simulator.accepted().await.unwrap() {
        let (message, _attempt) = accepted.ours().expect("the dispatcher always says whose a message is");
        by_message.entry(message).or_default().push(accepted);
    }
    by_message
}

/// Nobody got a message twice.
pub(crate) fn assert_none_twice(accepted: &HashMap<Uuid, Vec<Accepted>>) {
    let twice: Vec<&Uuid> = accepted
        .iter()
        .filter(|(_, all)| all.len() > 1)
        .map(|(id, _)| id)
        .collect();
    assert!(twice.is_empty(), "dispatched more than once: {twice:?}");
}

/// Every role is still the process that was started last.
pub(crate) fn assert_all_run(system: &mut System) {
    for role in Role::ALL {
        let running = system.is_running(role);
        let output = system
            .role(role)
            .and_then(|process| process.output().ok())
            .unwrap_or_default();
        assert!(running, "{role} ended by itself: {output}");
    }
}

//! Follows every message by the public API, as a business backend would: one subscription to the tenant's events.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use assent_proto::v1::{self, event_service_client::EventServiceClient, subscribe_response::Item};
use assent_tests::system::{Authorized, System};
use tokio::{sync::Notify, task::JoinSet};
use uuid::Uuid;

use crate::driver::Sent;

/// How long nothing may happen before the rest is called lost.
const STALL_PATIENCE: Duration = Duration::from_mins(1);

/// What a subscriber was told about each message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Followed {
    /// The last state of each message, and when it was told.
    pub(crate) last: HashMap<Uuid, Told>,
    /// How many events came.
    pub(crate) events: u64,
    /// Steps that were told after a message had ended, by the two states: there must be none.
    pub(crate) told_backwards: BTreeMap<String, u64>,
    /// Subscriptions that ended and were made anew.
    pub(crate) interruptions: u64,
}

/// The last state that a subscriber was told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) state: v1::MessageState,
    pub(crate) is_final: bool,
    pub(crate) at: Instant,
}

impl Told {
    /// Nothing more will come. `delivered` is final too to the API, for not everybody sends read receipts; here everybody does.
    fn ended(&self) -> bool {
        self.is_final && self.state != v1::MessageState::Delivered
    }
}

#[derive(Debug, Default)]
struct Shared {
    followed: Mutex<Followed>,
    ended: std::sync::atomic::AtomicUsize,
    changed: Notify,
}

/// A running subscription of each business.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

impl Follower {
    /// Subscribes to what happens from now on.
    pub(crate) async fn start(system: &System) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut tasks = JoinSet::new();
        for tenant in 0..system.tenants.len() {
            let client = system.client(tenant)?.events;
            let position = counted_position(system, tenant).await?;
            tasks.spawn(follow(client, position, shared.clone()));
        }
        Ok(Self { shared, _tasks: tasks })
    }

    /// Waits until every acknowledged message has ended, or nothing happens for a long time.
    pub(crate) async fn wait_for_all(&mut self, sent: &Sent) -> Followed {
        let wanted = sent.acknowledged().count();
        let mut seen = 0;
        loop {
            let ended = self.shared.ended.load(std::sync::atomic::Ordering::Relaxed);
            if ended >= wanted {
                break;
            }
            let changed = tokio::time::timeout(STALL_PATIENCE, self.shared.changed.notified()).await;
            let events = self.followed(|followed| followed.events);
            if changed.is_err() && events == seen {
                eprintln!("load: {ended} of {wanted} messages have ended, and nothing happens any more");
                break;
            }
            seen = events;
        }
        self.followed(Clone::clone)
    }

    fn followed<T>(&self, read: impl FnOnce(&Followed) -> T) -> T {
        read(&self.shared.followed.lock().expect("nobody panics with this lock"))
    }
}

fn subscription(position: u64) -> v1::SubscribeRequest {
    v1::SubscribeRequest {
        start: Some(v1::subscribe_request::Start::AfterPosition(position)),
        kinds: vec![v1::EventKind::MessageState.into()],
    }
}

/// Where the tenant's counts stand now: no message was sent before the run, so reading on from there misses nothing.
async fn counted_position(system: &System, tenant: usize) -> anyhow::Result<u64> {
    let mut client = system.client(tenant)?.tracking;
    let funnel = client.get_funnel(v1::GetFunnelRequest::default()).await?;
    Ok(funnel.into_inner().as_of_position)
}

async fn follow(mut client: EventServiceClient<Authorized>, mut position: u64, shared: Arc<Shared>) {
    loop {
        if let Ok(answer) = client.subscribe(subscription(position)).await {
            let mut stream = answer.into_inner();
            while let Ok(Some(answer)) = stream.message().await {
                match answer.item {
                    Some(Item::Event(event)) => {
                        position = event.position;
                        note(&shared, event);
                    }
                    Some(Item::Heartbeat(heartbeat)) => position = heartbeat.position,
                    None => {}
                }
            }
        }
        shared
            .followed
            .lock()
            .expect("nobody panics with this lock")
            .interruptions += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn note(shared: &Shared, event: v1::Event) {
    let Some(v1::event::Payload::MessageState(change)) = event.payload else {
        return;
    };
    let Ok(message) = change.message_id.parse::<Uuid>() else {
        return;
    };
    let told = Told {
        state: change.state(),
        is_final: change.r#final,
        at: Instant::now(),
    };
    let mut followed = shared.followed.lock().expect("nobody panics with this lock");
    followed.events += 1;
    let before = followed.last.insert(message, told);
    if let Some(before) = before.filter(Told::ended) {
        let step = format!("{} to {}", before.state.as_str_name(), told.state.as_str_name());
        *followed.told_backwards.entry(step).or_default() += 1;
    }
    drop(followed);
    if told.ended() && !before.is_some_and(|before| before.ended()) {
        shared.ended.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        shared.changed.notify_one();
    }
}

//! Callbacks are taken whatever else is down.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use assent_proto::v1::{self, MessageState, subscribe_response::Item};
use assent_tests::{
    stats::Samples,
    system::{Role, System, SystemConfig, people},
};
use serde_json::{Value, json};

use crate::support::{
    Acknowledged, PATIENCE, accepted_by_message, assert_none_twice, full, note, send_to_all, servers_are_here, start,
    wait_until_ended,
};

const MESSAGES: usize = 200;
/// Callbacks posted a second, beside those of the simulator.
const POSTS_PER_SECOND: u64 = 40;

/// A post of Meta's, signed as Meta signs.
pub(crate) fn signed(http: &reqwest::Client, system: &System, tenant: usize, body: &[u8]) -> reqwest::RequestBuilder {
    let secret = assent_whatsapp::secret::Secret::new(&*system.tenants[tenant].app_secret);
    http.post(system.callback_url(tenant))
        .header("content-type", "application/json")
        .header("x-hub-signature-256", assent_whatsapp::signature::sign(&secret, body))
        .body(body.to_vec())
}

/// What Meta posts when a person writes a text to the number of a business.
pub(crate) fn inbound_text(system: &System, tenant: usize, person: &str, wamid: &str, text: &str) -> Value {
    let business = &system.tenants[tenant];
    let seconds = time::OffsetDateTime::now_utc().unix_timestamp().to_string();
    let digits = person.trim_start_matches('+');
    json!({
        "object": "whatsapp_business_account",
        "entry": [{
            "id": business.waba_id,
            "changes": [{
                "field": "messages",
                "value": {
                    "messaging_product": "whatsapp",
                    "metadata": {"display_phone_number": business.digits, "phone_number_id": business.phone_number_id},
                    "contacts": [{"profile": {"name": "A Person"}, "wa_id": digits}],
                    "messages": [{
                        "from": digits, "id": wamid, "timestamp": seconds, "type": "text", "text": {"body": text},
                    }],
                },
            }],
        }],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_are_acknowledged_while_the_other_services_are_stopped_and_processed_afterwards() {
    if !servers_are_here() {
        return;
    }
    let stopped_for = Duration::from_secs(if full() { 60 } else { 6 });
    let mut system = start(SystemConfig::default(), MESSAGES).await;
    // Nothing is reported before the services are down, and everything long before they are back.
    let slow = json!({"min_ms": 1_500, "max_ms": 3_000});
    let latency = json!({"sent": slow, "delivered": {"min_ms": 5, "max_ms": 500}, "read": {"min_ms": 5, "max_ms": 500},
        "reaction": slow, "template_review": slow});
    system.simulator.set(&json!({"latency": latency})).await.unwrap();
    let client = system.client(0).unwrap();
    let from = system.tenants[0].phone_number_id.clone();
    let acknowledged: Acknowledged = Arc::new(Mutex::new(Vec::new()));
    send_to_all(client.clone(), from, MESSAGES, 64, acknowledged.clone()).await;
    let query = format!("wait?accepted={MESSAGES}");
    system
        .simulator
        .control(&query)
        .await
        .expect("all arrive at the simulator");

    for role in [Role::Consent, Role::Dispatcher, Role::StatusTracker] {
        system.kill_9(role);
    }
    let (latencies, texts) = post_for(&system, stopped_for).await;
    assert!(system.simulator.wait_idle(PATIENCE).await.unwrap());
    let summary = system.simulator.summary().await.unwrap();
    assert_eq!(summary["callbacks"]["dropped"], 0);
    assert_eq!(
        summary["callbacks"]["refused"], 0,
        "a callback was answered with an error: {}",
        summary["callbacks"]
    );

    let figures = latencies.summary().unwrap();
    let over_a_second = latencies.share_above(1_000.0);
    note(&format!(
        "callbacks: {} while services were down, p50 {:.0} ms, p99 {:.0} ms, {:.2} % over 1 s",
        figures.count,
        figures.p50,
        figures.p99,
        over_a_second * 100.0
    ));
    assert!(figures.p50 <= 250.0, "{figures:?}");
    assert!(over_a_second < 0.01, "{figures:?}");

    for role in [Role::Consent, Role::Dispatcher, Role::StatusTracker] {
        system.start_role(role).await.unwrap();
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    let ended = wait_until_ended(&client, &acknowledged, PATIENCE).await;
    assert!(
        acknowledged
            .iter()
            .all(|message| ended[message].state() == MessageState::Read)
    );
    assert_none_twice(&accepted_by_message(&system).await);
    assert_all_told(&system, texts).await;
}

/// Posts inbound texts at a steady pace; how long each took to be acknowledged, in ms, and what was written.
async fn post_for(system: &System, duration: Duration) -> (Samples, HashSet<String>) {
    let http = reqwest::Client::new();
    let posts = duration.as_secs() * POSTS_PER_SECOND;
    let mut pace = tokio::time::interval(Duration::from_millis(1_000 / POSTS_PER_SECOND));
    let mut under_way = tokio::task::JoinSet::new();
    let mut texts = HashSet::new();
    for index in 0..posts {
        pace.tick().await;
        let person = people::phone_number(index as usize % MESSAGES);
        let text = format!("question {index}");
        let body = inbound_text(system, 0, &person, &format!("wamid.TEST{index:08}"), &text).to_string();
        texts.insert(text);
        let post = signed(&http, system, 0, body.as_bytes());
        under_way.spawn(async move {
            let started = Instant::now();
            let status = post.send().await.unwrap().status();
            (status, started.elapsed())
        });
    }
    let mut latencies = Samples::new();
    while let Some(answer) = under_way.join_next().await {
        let (status, took) = answer.unwrap();
        assert_eq!(status, reqwest::StatusCode::OK);
        latencies.record(took.as_secs_f64() * 1e3);
    }
    (latencies, texts)
}

/// A subscriber is told of every text.
async fn assert_all_told(system: &System, mut texts: HashSet<String>) {
    let request = v1::SubscribeRequest {
        start: Some(v1::subscribe_request::Start::AfterPosition(0)),
        kinds: vec![v1::EventKind::InboundMessage.into()],
    };
    let mut client = system.client(0).unwrap().events;
    let mut stream = client.subscribe(request).await.unwrap().into_inner();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !texts.is_empty() {
        let next = tokio::time::timeout_at(deadline, stream.message()).await;
        let Ok(next) = next else {
            panic!(
                "{} texts were never told, {:?} among them",
                texts.len(),
                texts.iter().next()
            );
        };
        if let Some(Item::Event(event)) = next.unwrap().expect("a subscription goes on").item
            && let Some(v1::event::Payload::InboundMessage(inbound)) = event.payload
            && let Some(v1::inbound_message::Content::Text(text)) = inbound.content
        {
            texts.remove(&text);
        }
    }
}

//! A running simulator, a client that talks to it, and a receiver of its callbacks.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assent_simulator::{
    Config, DEFAULT_APP_SECRET, DEFAULT_NUMBER_ID, DEFAULT_TOKEN, Handle, Latency, Mix, Simulator, WaitFor,
};
use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use serde_json::{Value, json};

/// A person everybody in these tests writes to.
pub(super) const ANA: &str = "+12025550142";

/// One POST the receiver got.
#[derive(Clone)]
pub(super) struct Received {
    pub(super) body: Bytes,
    pub(super) signature: String,
    pub(super) answered: u16,
}

impl Received {
    /// Whether the signature fits the bytes.
    pub(super) fn is_authentic(&self) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, DEFAULT_APP_SECRET.as_bytes());
        let given = self.signature.strip_prefix("sha256=").unwrap_or_default();
        let tag: Option<Vec<u8>> = (0..given.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(given.get(at..at + 2)?, 16).ok())
            .collect();
        let is_lower_case = !given.contains(|digit: char| digit.is_ascii_uppercase());
        is_lower_case && tag.is_some_and(|tag| hmac::verify(&key, &self.body, &tag).is_ok())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The status it reports, if it is a status.
    pub(super) fn status(&self) -> Option<String> {
        let value = &self.json()["entry"][0]["changes"][0]["value"];
        value["statuses"][0]["status"].as_str().map(str::to_owned)
    }
}

#[derive(Clone, Default)]
pub(super) struct Receiver {
    pub(super) url: String,
    received: Arc<Mutex<Vec<Received>>>,
    answer: Arc<AtomicU16>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            url: format!("http://{}/callback", listener.local_addr().unwrap()),
            answer: Arc::new(AtomicU16::new(200)),
            ..Self::default()
        };
        let router = Router::new()
            .route("/callback", get(challenge).post(take))
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        receiver
    }

    /// Answers this from now on.
    pub(super) fn answer(&self, status: u16) {
        self.answer.store(status, Ordering::SeqCst);
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Statuses in the order they came.
    pub(super) fn statuses(&self) -> Vec<String> {
        self.received().iter().filter_map(Received::status).collect()
    }
}

async fn challenge(Query(query): Query<std::collections::HashMap<String, String>>) -> Result<String, StatusCode> {
    if query["hub.mode"] == "subscribe" && query["hub.verify_token"] == assent_simulator::DEFAULT_VERIFY_TOKEN {
        return Ok(query["hub.challenge"].clone());
    }
    Err(StatusCode::FORBIDDEN)
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers["x-hub-signature-256"].to_str().unwrap().to_owned();
    let mut post = Received {
        body,
        signature,
        answered: receiver.answer.load(Ordering::SeqCst),
    };
    if !post.is_authentic() {
        post.answered = 401;
    }
    let status = StatusCode::from_u16(post.answered).unwrap();
    receiver.received.lock().unwrap().push(post);
    status
}

/// A simulator with a receiver and a client.
pub(super) struct Stage {
    pub(super) handle: Handle,
    pub(super) receiver: Receiver,
    pub(super) client: reqwest::Client,
}

impl Stage {
    /// An ideal crowd at a fast pace.
    pub(super) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(super) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let receiver = Receiver::start().await;
        let mut config = Config {
            mix: Mix::ideal(),
            latency: Latency::fast(),
            ..Config::default()
        };
        config.apps[0].callback_url = Some(receiver.url.clone());
        config.callbacks.retry_first_ms = 5;
        config.callbacks.retry_longest_ms = 20;
        change(&mut config);
        let handle = Simulator::start(config).await.unwrap();
        Self {
            handle,
            receiver,
            client: reqwest::Client::new(),
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.handle.url())
    }

    /// Posts a message and gives status and JSON.
    pub(super) async fn send(&self, body: &Value) -> (u16, Value) {
        let response = self.try_send(body).await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub(super) async fn try_send(&self, body: &Value) -> reqwest::Result<reqwest::Response> {
        let url = self.url(&format!("v23.0/{DEFAULT_NUMBER_ID}/messages"));
        self.client
            .post(url)
            .bearer_auth(DEFAULT_TOKEN)
            .json(body)
            .timeout(Duration::from_secs(2))
            .send()
            .await
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        let response = self
            .client
            .get(self.url(path))
            .bearer_auth(DEFAULT_TOKEN)
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let response = self
            .client
            .post(self.url(path))
            .bearer_auth(DEFAULT_TOKEN)
            .json(body)
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Waits until nothing more will happen.
    pub(super) async fn settle(&self) {
        let idle = WaitFor {
            idle: true,
            timeout_ms: Some(20_000),
            ..WaitFor::default()
        };
        assert!(
            self.handle.control().wait(&idle).await,
            "{:?}",
            self.handle.control().report()
        );
    }

    pub(super) fn accepted(&self) -> Vec<assent_simulator::AcceptedMessage> {
        self.handle
            .control()
            .accepted(&assent_simulator::Filter::default())
            .unwrap()
    }
}

/// The body of a template message with the number of parameters `order_update` takes.
pub(super) fn order_update(to: &str) -> Value {
    json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": to, "type": "template",
        "biz_opaque_callback_data": "cmd:1",
        "template": {"name": "order_update", "language": {"code": "en_US"}, "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "Ana"}, {"type": "text", "text": "A-17"}]}]},
    })
}

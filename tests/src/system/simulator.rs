//! The simulator as a process, and its control API: the truth that everything is judged by.

use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::Context as _;
use assent_domain::values::Correlation;
use assent_simulator::Fault;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::processes::ChildProcess;

const READY_PATIENCE: Duration = Duration::from_secs(30);
/// Accepted messages fetched at a time.
const PAGE: usize = 10_000;

/// A running simulator.
#[derive(Debug)]
pub struct SimulatorProcess {
    process: ChildProcess,
    http: reqwest::Client,
    url: String,
}

/// A message that the simulator accepted, as its control API tells it. Holds a phone number, so it has no `Debug`.
#[derive(Clone, Deserialize)]
pub struct Accepted {
    /// Position in the list.
    pub sequence: u64,
    /// Meta's id of the message.
    pub wamid: String,
    /// The number it came from.
    pub phone_number_id: String,
    /// Whom it went to, in digits.
    pub wa_id: String,
    /// What the dispatcher gave to recognise it by.
    pub biz_opaque_callback_data: Option<String>,
    /// When it was accepted, Unix ms.
    pub accepted_at_ms: i64,
    /// What was done to the answer, if anything.
    pub answer_fault: Option<String>,
    /// What it has reached, in true order.
    pub statuses: Vec<Reached>,
}

/// A status that a message has reached in truth.
#[derive(Debug, Clone, Deserialize)]
pub struct Reached {
    /// `sent`, `delivered`, `read` or `failed`.
    pub status: String,
    /// When, Unix ms.
    pub at_ms: i64,
    /// Callbacks meant to report it.
    pub callbacks: u16,
    /// Callbacks answered with 200.
    pub acknowledged: u16,
}

impl Accepted {
    /// Our ids of the message and of the attempt; none if the dispatcher did not say, which it always must.
    pub fn ours(&self) -> Option<(Uuid, Uuid)> {
        let correlation: Correlation = self.biz_opaque_callback_data.as_deref()?.parse().ok()?;
        Some((correlation.message.uuid(), correlation.attempt.uuid()))
    }

    /// The last status it has reached; `accepted` if none.
    pub fn standing(&self) -> &str {
        self.statuses.last().map_or("accepted", |reached| &reached.status)
    }
}

impl SimulatorProcess {
    /// Starts it with a configuration file and waits until it listens.
    pub(super) async fn start(
        binary: &Path,
        config: &Path,
        listen: SocketAddr,
        log_directory: &Path,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(binary);
        command.arg("simulator").arg("--config").arg(config);
        let mut process = ChildProcess::spawn("simulator", command, log_directory)?;
        process.wait_ready("ready http://", READY_PATIENCE).await?;
        Ok(Self {
            process,
            http: reqwest::Client::new(),
            url: format!("http://{listen}"),
        })
    }

    /// Where the Cloud API is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process, for its CPU time and memory.
    pub fn process(&self) -> &ChildProcess {
        &self.process
    }

    /// Everything counted so far.
    pub async fn summary(&self) -> anyhow::Result<Value> {
        self.get("summary", &[]).await
    }

    /// Waits until nothing will happen any more by itself and every callback has arrived or was given up; whether it came
    /// to that in time.
    pub async fn wait_idle(&self, timeout: Duration) -> anyhow::Result<bool> {
        let timeout = timeout.as_millis().to_string();
        let url = format!("{}/_sim/wait", self.url);
        let query = [("idle", "true"), ("timeout_ms", &timeout)];
        let answer = self.http.get(url).query(&query).send().await?;
        Ok(answer.status().is_success())
    }

    /// Everything it has accepted, in order.
    pub async fn accepted(&self) -> anyhow::Result<Vec<Accepted>> {
        #[derive(Deserialize)]
        struct Page {
            data: Vec<Accepted>,
            next: Option<u64>,
        }
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let query = [("after", after.to_string()), ("limit", PAGE.to_string())];
            let page: Page = self.get("accepted", &query).await?;
            all.extend(page.data);
            match page.next {
                Some(next) => after = next,
                None => return Ok(all),
            }
        }
    }

    /// Switches faults on.
    pub async fn set_faults(&self, faults: &[Fault]) -> anyhow::Result<()> {
        self.post("faults", &json!(faults)).await
    }

    /// Switches all faults off.
    pub async fn clear_faults(&self) -> anyhow::Result<()> {
        let url = format!("{}/_sim/faults", self.url);
        self.http.delete(url).send().await?.error_for_status()?;
        Ok(())
    }

    /// A person writes a text to a business.
    pub async fn write(&self, person: &str, phone_number_id: &str, text: &str) -> anyhow::Result<()> {
        let person = person.trim_start_matches('+');
        let body = json!({"phone_number_id": phone_number_id, "text": text});
        self.post(&format!("users/{person}/write"), &body).await
    }

    /// Changes how people behave, how long things take, or which rules hold; see the simulator's README.
    pub async fn set(&self, settings: &Value) -> anyhow::Result<()> {
        self.post("settings", settings).await
    }

    async fn get<T: DeserializeOwned>(&self, what: &str, query: &[(&str, String)]) -> anyhow::Result<T> {
        let url = format!("{}/_sim/{what}", self.url);
        let answer = self.http.get(url).query(query).send().await?.error_for_status()?;
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }

    async fn post(&self, what: &str, body: &Value) -> anyhow::Result<()> {
        let url = format!("{}/_sim/{what}", self.url);
        let answer = self.http.post(url).json(body).send().await?;
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        anyhow::ensure!(status.is_success(), "the simulator answered {status} to {what}: {text}");
        Ok(())
    }
}

impl SimulatorProcess {
    /// A control API answer as it stands, for what has no method here.
    pub async fn control(&self, what: &str) -> anyhow::Result<Value> {
        self.get(what, &[])
            .await
            .with_context(|| format!("ask the simulator for {what}"))
    }
}

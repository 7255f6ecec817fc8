//! Sends the messages and notes what was answered and when.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use assent_proto::v1::{self, message_service_client::MessageServiceClient};
use assent_tests::system::{ApiKeyHeader, Authorized, Role, System, connect_lazily, people};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::{Code, service::interceptor::InterceptedService};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::Options;

/// HTTP/2 connections of each business.
const CONNECTIONS: usize = 2;
/// How often a message is sent again with its key when the service asks for patience.
const RETRIES_MAX: usize = 50;
const RETRY_AFTER_DEFAULT: Duration = Duration::from_millis(100);

/// Sends the messages.
pub(crate) struct Driver {
    messages: usize,
    rate: Option<f64>,
    in_flight: usize,
    senders: Vec<Sender>,
}

/// One business's way to send.
struct Sender {
    clients: Vec<MessageServiceClient<Authorized>>,
    from: String,
}

/// What became of one call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Whether it waited for the decision.
    pub(crate) for_decision: bool,
    /// When it was due (open loop) or sent (closed loop).
    pub(crate) started: Instant,
    /// When the last answer came.
    pub(crate) answered: Instant,
    /// How often the service asked for patience before.
    pub(crate) retries: usize,
    /// The acknowledged message, or what the caller was told instead.
    pub(crate) outcome: Result<Acknowledged, String>,
}

/// A message that was acknowledged: from here on it may not be lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acknowledged {
    pub(crate) message: Uuid,
    pub(crate) decided: bool,
}

/// All calls, and the instant of the first.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) started: Instant,
    /// When the last call was answered.
    pub(crate) ended: Instant,
    pub(crate) calls: Vec<Call>,
}

impl Sent {
    /// The acknowledged messages with their calls.
    pub(crate) fn acknowledged(&self) -> impl Iterator<Item = (&Call, Acknowledged)> {
        self.calls
            .iter()
            .filter_map(|call| Some((call, *call.outcome.as_ref().ok()?)))
    }
}

impl Driver {
    pub(crate) fn new(system: &System, options: &Options) -> anyhow::Result<Self> {
        let address = system.grpc_address(Role::Ingress);
        let senders = system.tenants.iter().map(|tenant| {
            let header = ApiKeyHeader::new(&tenant.key);
            let clients = (0..CONNECTIONS).map(|_| {
                let channel = InterceptedService::new(connect_lazily(address)?, header.clone());
                anyhow::Ok(MessageServiceClient::new(channel))
            });
            Ok(Sender {
                clients: clients.collect::<Result<_, _>>()?,
                from: tenant.phone_number_id.clone(),
            })
        });
        Ok(Self {
            messages: options.messages,
            rate: options.rate,
            in_flight: options.in_flight,
            senders: senders.collect::<anyhow::Result<_>>()?,
        })
    }

    /// Sends everything; returns when the last answer has come.
    pub(crate) async fn run(&self) -> Sent {
        let permits = Arc::new(Semaphore::new(self.in_flight));
        let mut running: JoinSet<Call> = JoinSet::new();
        let mut calls = Vec::with_capacity(self.messages);
        let started = Instant::now();
        for index in 0..self.messages {
            let due = self
                .rate
                .map(|rate| started + Duration::from_secs_f64(index as f64 / rate));
            if let Some(due) = due
                && due > Instant::now()
            {
                tokio::time::sleep_until(due.into()).await;
            }
            let permit = permits
                .clone()
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            let tenant = index % self.senders.len();
            let sender = &self.senders[tenant];
            let client = sender.clients[index / self.senders.len() % CONNECTIONS].clone();
            let (request, for_decision) = self.request(index, &sender.from);
            let started = due.unwrap_or_else(Instant::now);
            running.spawn(async move {
                let (outcome, retries) = send(client, request).await;
                drop(permit);
                Call {
                    for_decision,
                    started,
                    answered: Instant::now(),
                    retries,
                    outcome,
                }
            });
            while let Some(call) = running.try_join_next() {
                calls.push(call.expect("a call does not panic"));
            }
        }
        while let Some(call) = running.join_next().await {
            calls.push(call.expect("a call does not panic"));
        }
        Sent {
            started,
            ended: Instant::now(),
            calls,
        }
    }

    fn request(&self, index: usize, from: &str) -> (v1::SendMessageRequest, bool) {
        // By turns of each business.
        let for_decision = index / self.senders.len() % 2 == 1;
        let wait_for = if for_decision {
            v1::WaitFor::Decision
        } else {
            v1::WaitFor::Accepted
        };
        let request = people::send_request(&format!("load-{index}"), from, index, wait_for);
        (request, for_decision)
    }
}

async fn send(
    mut client: MessageServiceClient<Authorized>,
    request: v1::SendMessageRequest,
) -> (Result<Acknowledged, String>, usize) {
    let mut retries = 0;
    loop {
        match client.send_message(request.clone()).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                let acknowledged = answer.message_id.parse().map(|message| Acknowledged {
                    message,
                    decided: answer.decision.is_some(),
                });
                return (
                    acknowledged.map_err(|_| "the message id is no UUID".to_owned()),
                    retries,
                );
            }
            Err(status)
                if retries < RETRIES_MAX && matches!(status.code(), Code::ResourceExhausted | Code::Unavailable) =>
            {
                let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
                tokio::time::sleep(asked.unwrap_or(RETRY_AFTER_DEFAULT)).await;
                retries += 1;
            }
            Err(status) => return (Err(format!("{:?}: {}", status.code(), status.message())), retries),
        }
    }
}

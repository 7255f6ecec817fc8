//! The way in: takes requests from callers and callbacks from Meta, and answers only once they are durable (I4).
//!
//! Owns the streams `request` (what callers asked for) and `provider` (what Meta reported, as reported). Reads `decision`, for
//! callers who wait for it. Serves the gRPC `MessageService` and the callback endpoint.
//!
//! # A request
//!
//! [`draft`] parses it and names everything that is wrong with it, [`templates`] what does not fit its template. [`accept`] seals it and appends `request.submitted` to
//! the stream that its idempotency key stands for, in a task of its own: a caller who hangs up changes nothing. If the
//! stream was there already, the fingerprints are compared: the same request gets the same answer for ever. [`waiting`] then
//! holds the caller until the process's own live tail shows the decision, or the deadline comes near.
//!
//! # A callback
//!
//! [`callbacks`] checks the signature over the raw bytes, turns each update into an event and answers 200 after the commit. An
//! update that names another tenant's number, account or message changes nothing and is counted.

mod accept;
mod backlog;
mod callbacks;
mod draft;
mod fingerprint;
mod grpc;
pub mod limits;
mod list;
mod metrics;
mod parties;
mod reference;
mod service;
mod tail;
mod templates;
mod waiting;
mod watch;

use crate::{parties::Parties, service::Ingress, tail::LiveTail, templates::Templates, waiting::Waiting};
use anyhow::Context as _;
use assent_domain::values::PhoneNumber;
use assent_proto::v1::message_service_server::MessageServiceServer;
use assent_runtime::{
    config::{Check, Validate},
    host::Host,
    http::{HttpServer, ListenConfig, Protocol},
    supervise::{Backoff, Restart},
};
use serde::{Deserialize, Serialize};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// How ingress is set up. Everything has a default.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default)]
pub struct Config {
    /// Where Meta's callbacks arrive: `/callbacks/<tenant>`.
    pub callbacks: ListenConfig,
    /// How long a caller waits for the decision at most, in milliseconds; one with a nearer deadline waits less.
    pub decision_wait_ms: u64,
    /// Largest gRPC request, in bytes.
    pub message_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            callbacks: ListenConfig::plain(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
            decision_wait_ms: 5_000,
            message_bytes_max: 256 * 1024,
        }
    }
}

impl Validate for Config {
    fn validate(&self, check: &mut Check) {
        check.section("callbacks", &self.callbacks);
        check.range("decision_wait_ms", self.decision_wait_ms, 1, 60_000);
        check.range("message_bytes_max", self.message_bytes_max, 1_024, 4 * 1024 * 1024);
    }
}

/// What was mounted.
#[derive(Debug, Clone, Copy)]
pub struct Mounted {
    /// Where callbacks arrive, with the real port.
    pub callbacks: SocketAddr,
}

/// Puts ingress on a process: its gRPC service, its callback endpoint, its tails.
pub async fn mount(config: &Config, host: &mut Host) -> anyhow::Result<Mounted> {
    // The numbering plans are read when the first number is parsed, which is not to be the first caller's time.
    tokio::task::spawn_blocking(|| drop(PhoneNumber::try_new("+12025550100"))).await?;
    metrics::prepare();
    let platform = host.platform.clone();
    let shutdown = host.supervisor.shutdown().clone();
    let parties = Arc::new(Parties::new(platform.clone()));
    let waiting = Arc::new(Waiting::default());
    let templates = Arc::new(Templates::default());

    let readiness = host.readiness.condition("tail");
    let mut share = Vec::new();
    for shard in platform.store.shards() {
        let head = platform.store.head(shard).await.context("reading the log's head")?;
        let tail = Arc::new(LiveTail::new(shard, head));
        share.push(Arc::clone(&tail));
        let (platform, shutdown) = (platform.clone(), shutdown.clone());
        let (waiting, templates) = (Arc::clone(&waiting), Arc::clone(&templates));
        host.supervisor
            .spawn("ingress-tail", Restart::After(Backoff::default()), move || {
                let (waiting, templates) = (Arc::clone(&waiting), Arc::clone(&templates));
                Arc::clone(&tail).follow(platform.feeds.clone(), waiting, templates, shutdown.clone())
            });
    }
    readiness.met();

    let (admission, backlog_platform, stop) = (host.admission.clone(), platform.clone(), shutdown.clone());
    host.supervisor
        .spawn("ingress-backlog", Restart::After(Backoff::default()), move || {
            backlog::observe(backlog_platform.clone(), share.clone(), admission.clone(), stop.clone())
        });

    let ingress = Arc::new(Ingress {
        platform,
        admission: host.admission.clone(),
        parties,
        templates,
        waiting,
        shutdown: shutdown.clone(),
        decision_wait: Duration::from_millis(config.decision_wait_ms),
    });
    let server = MessageServiceServer::new(grpc::MessageApi::new(Arc::clone(&ingress)))
        .max_decoding_message_size(config.message_bytes_max);
    host.add_service(server);

    let endpoint = HttpServer::bind(&config.callbacks, Protocol::Http).await?;
    let callbacks = endpoint.local_addr();
    let router = callbacks::router(ingress);
    host.supervisor.spawn_finite("callbacks", async move {
        endpoint.serve(router, shutdown).await;
        Ok(())
    });
    Ok(Mounted { callbacks })
}

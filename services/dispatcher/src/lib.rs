//! The dispatcher: sends what was authorized. It owns the `attempt` streams, and with them the promise that nobody is
//! written to twice.
//!
//! Meta's send has no idempotency key, so the order of things is everything (invariant I6). Follow a message:
//!
//! 1. `decisions` reads `decision.authorized` and takes as many as there are free slots for calls, never more: nothing
//!    that was checked waits.
//! 2. `check` judges the slice as of now, by one query: withdrawals, expiry, number, template, suppression.
//! 3. `send` makes each attempt durable, guarded by the version of the contact that was just judged. The id of the
//!    attempt is drawn here, and **only our own first append of it is permission to call**: after a conflict everything
//!    is judged again, and an append whose outcome cannot be learned is never followed by its call.
//! 4. `call` makes the call and records what came of it. No answer is an outcome of its own: unknown.
//! 5. `watch` folds all attempts and callbacks and keeps the set of open messages (`open_set`): those in flight, of
//!    unknown outcome, or waiting for another try. It settles unknowns by callbacks or by silence (`settle`), tries
//!    again what is due, and finds attempts whose process died.
//!
//! # After a crash
//!
//! A decision is handled again until an attempt event of its message is durable; all reading is done from the log, so
//! handling it twice changes nothing. The open set stands in a table that is written in the transaction of its feed's
//! checkpoint: whatever instant a process dies at, table and checkpoint fit together, and the events after the checkpoint are
//! folded again. The table is written a few times a second and holds only what is open at that moment, so a message
//! that is answered quickly mostly costs no row at all.
//!
//! An attempt that has been in flight for longer than any call can take has lost its process: [`orphan_after`] says how long
//! that is. A process that was only slow records its outcome later all the same, and a call that did not begin
//! within [`limits::CALL_BEGINS_WITHIN`] of its attempt is not made at all.
//!
//! [`orphan_after`]: Config::orphan_after

mod call;
mod check;
mod config;
mod decisions;
mod dispatcher;
mod grpc;
mod inbound;
pub mod limits;
mod metrics;
mod open_set;
mod outcome;
mod outgoing;
mod progress;
mod record;
mod send;
mod settle;
mod tables;
mod uploads;
mod watch;

pub use config::{Config, MediaConfig, MetaConfig};

use crate::dispatcher::Dispatcher;
use anyhow::Context as _;
use assent_proto::v1::media_service_server::MediaServiceServer;
use assent_runtime::{
    host::Host,
    supervise::{Backoff, Restart},
};
use std::sync::Arc;

/// Starts the dispatcher in a process.
///
/// # Errors
/// Meta's address or the time-outs are malformed, or the read model cannot be made.
pub async fn mount(config: &Config, host: &mut Host) -> anyhow::Result<()> {
    metrics::prepare(&host.platform.tenants.tenants());
    open_set::prepare(&host.platform.store)
        .await
        .context("the dispatcher's read model cannot be made")?;
    let files = inbound::prepare(&host.platform.store)
        .await
        .context("the tables for files that people send cannot be made")?;
    uploads::prepare(&host.platform.store)
        .await
        .context("the tables for linked files cannot be made")?;
    let condition = host.readiness.condition("dispatcher");
    let shutdown = host.supervisor.shutdown().clone();
    let dispatcher = Dispatcher::new(config, host.platform.clone(), condition, shutdown)
        .context("the clients for calls cannot be made")?;
    let dispatcher = Arc::new(dispatcher);
    let fetching = inbound::Fetching::new(Arc::clone(&dispatcher), files.clone());
    for shard in host.platform.store.shards() {
        let restart = Restart::After(Backoff::default());
        let decisions = Arc::clone(&dispatcher);
        host.supervisor.spawn("dispatcher-decisions", restart, move || {
            decisions::run(Arc::clone(&decisions), shard)
        });
        let watch = Arc::clone(&dispatcher);
        host.supervisor.spawn("dispatcher-callbacks", restart, move || {
            watch::run(Arc::clone(&watch), shard)
        });
        let fetching = fetching.clone();
        host.supervisor.spawn("dispatcher-files", restart, move || {
            inbound::run(fetching.clone(), shard)
        });
    }
    let library = inbound::Library::new(host.platform.clone(), files);
    let media = MediaServiceServer::new(grpc::MediaApi::new(Arc::clone(&dispatcher), library));
    host.add_service(media.max_decoding_message_size(limits::REQUEST_BYTES_MAX));
    dispatcher.available();
    Ok(())
}

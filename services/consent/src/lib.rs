//! Who may be written to about what: keeps consent, and decides every request.
//!
//! Owns the streams `contact` and `decision`. Three things run here, and none waits for another:
//!
//! 1. [`requests`] reads `request.submitted`, asks the gates ([`judging`]) with one query for a whole batch, and records each
//!    decision under the guard of the contact's version: a withdrawal in between makes it judge again.
//! 2. [`withdrawals`] reads what people say to Meta or to us (STOP, WhatsApp's own control, error 131050) and which aliases turn
//!    out to be one person. Its own feed: it never queues behind requests (I11).
//! 3. [`grpc`] serves `ConsentService`. Concurrent callers share their look-ups ([`gatherer`]).
//!
//! Both readers stand on [`reader`]; [`change`] is the one way in which a contact changes; [`views`] is the read model of what
//! only this service needs: when people wrote, and who cannot be reached.

mod change;
mod codes;
mod config;
mod decisions;
mod gatherer;
mod grpc;
mod judging;
mod metrics;
mod person;
mod reader;
mod requests;
mod views;
mod withdrawals;

pub use config::Config;

use crate::{
    gatherer::Gatherer,
    grpc::ConsentGrpc,
    reader::{Pace, Reader},
    requests::Requests,
    views::Views,
    withdrawals::Withdrawals,
};
use anyhow::Context as _;
use assent_proto::v1::consent_service_server::ConsentServiceServer;
use assent_runtime::{
    host::Host,
    platform::Platform,
    shutdown::Shutdown,
    supervise::{Backoff, Restart, TaskResult},
};
use std::{sync::Arc, time::Duration};

/// How often it is written down up to where erasures are known to be carried out: a start looks at what came since.
const MARK_ERASURES_EVERY: Duration = Duration::from_mins(10);

/// Progress of the reader of requests; never renamed.
pub const REQUESTS_FEED: &str = "consent-requests";

/// Progress of the reader of withdrawals; never renamed.
pub const WITHDRAWALS_FEED: &str = "consent-withdrawals";

/// The name of this service as the actor of events.
pub(crate) const SERVICE: &str = "consent";

/// Mounts the service: its tables, two readers for every shard, and `ConsentService`.
///
/// Errors: the tables of its read model cannot be made.
pub async fn mount(config: &Config, host: &mut Host) -> anyhow::Result<()> {
    metrics::prepare();
    let platform = host.platform.clone();
    let views = Views::open(&platform.store)
        .await
        .context("the tables of the consent service cannot be made")?;
    for shard in platform.store.shards() {
        let requests = Arc::new(Requests::new(platform.clone(), shard, views.clone()));
        let pace = Pace {
            batch_events_max: config.batch_events_max,
            batches_in_flight_max: config.batches_in_flight_max,
        };
        let condition = host.readiness.condition(REQUESTS_FEED);
        spawn_reader(
            host,
            REQUESTS_FEED,
            Reader::new(&platform, REQUESTS_FEED, shard, pace, requests, condition),
        );

        let withdrawals = Arc::new(Withdrawals::new(platform.clone(), shard));
        let pace = Pace {
            batch_events_max: config.batch_events_max,
            batches_in_flight_max: 1,
        };
        let condition = host.readiness.condition(WITHDRAWALS_FEED);
        let reader = Reader::new(&platform, WITHDRAWALS_FEED, shard, pace, withdrawals, condition);
        spawn_reader(host, WITHDRAWALS_FEED, reader);
    }
    let (marked, stop) = (platform.clone(), host.supervisor.shutdown().clone());
    host.supervisor
        .spawn("consent-erasures", Restart::After(Backoff::default()), move || {
            mark_erasures(marked.clone(), stop.clone())
        });
    let service = ConsentGrpc::new(platform.clone(), Gatherer::new(&platform), views, config);
    host.add_service(ConsentServiceServer::new(service).max_decoding_message_size(config.message_bytes_max));
    Ok(())
}

/// The reader of withdrawals leaves no erasure out: up to its checkpoint all are carried out.
async fn mark_erasures(platform: Platform, shutdown: Shutdown) -> TaskResult {
    loop {
        tokio::select! {
            () = tokio::time::sleep(MARK_ERASURES_EVERY) => {}
            () = shutdown.soft().cancelled() => return Ok(()),
        }
        for shard in platform.store.shards() {
            let position = platform.store.checkpoint(WITHDRAWALS_FEED, shard).await?;
            platform.keys.set_replayed(shard, position).await?;
        }
    }
}

fn spawn_reader<H: reader::Handler>(host: &Host, name: &'static str, reader: Reader<H>) {
    let reader = Arc::new(reader);
    let shutdown = host.supervisor.shutdown().clone();
    host.supervisor
        .spawn(name, Restart::After(Backoff::default()), move || {
            let (reader, shutdown) = (Arc::clone(&reader), shutdown.clone());
            async move {
                reader.run(&shutdown).await;
                Ok(())
            }
        });
}

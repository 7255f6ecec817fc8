//! The status-tracker: what numbers, templates and accounts are good for, who is not worth writing to, and what became of
//! every message.
//!
//! It owns the streams `number`, `template`, `account` and `suppression`, and runs three kinds of work:
//!
//! - `observe` asks Meta about every number and template, at intervals and after a callback, and records what changed.
//! - deciders draw conclusions about people from statuses. Each has a checkpoint of its own and appends with the version
//!   that it decided on: a batch that is handled again changes nothing.
//! - projections, which never append.
//!
//! Several processes may run it: durable feeds have one active reader for each shard, and the others take over.

mod config;
mod grpc;
mod metrics;
mod observe;
mod subscribe;
mod suppression;

pub use config::{Config, SubscriptionsConfig, SuppressionConfig};

use anyhow::Context as _;
use assent_domain::values::{Actor, Term};
use assent_proto::v1::{
    event_service_server::EventServiceServer, number_service_server::NumberServiceServer,
    suppression_service_server::SuppressionServiceServer, template_service_server::TemplateServiceServer,
    tracking_service_server::TrackingServiceServer,
};
use assent_read_models::Views;
use assent_runtime::{
    host::Host,
    supervise::{Backoff, Restart},
};
use std::sync::Arc;

/// Who acts when the status-tracker appends by itself.
pub(crate) fn actor() -> Actor {
    Actor::Service(Term::from_provider("status-tracker"))
}

/// Starts the status-tracker's tasks on a host and adds its services to the port for callers.
pub async fn mount(config: &Config, host: &mut Host) -> anyhow::Result<()> {
    metrics::prepare();
    let config = Arc::new(config.clone());
    let meta = assent_whatsapp::client::Client::try_new(&config.meta).context("the client for Meta")?;
    let table = suppression::Table::open(&host.platform.store)
        .await
        .context("the tables of the suppression decider")?;
    let views = Views::open(&host.platform.store).await.context("the read models")?;
    add_services(config.subscriptions.clone(), &views, &meta, host);
    for shard in host.platform.store.shards() {
        let observer = observe::Observing {
            platform: host.platform.clone(),
            meta: meta.clone(),
            config: config.clone(),
            shard,
            readiness: host.readiness.condition("tracker-observations"),
        };
        let shutdown = host.supervisor.shutdown().clone();
        host.supervisor
            .spawn("tracker-observations", Restart::After(Backoff::default()), move || {
                observe::run(observer.clone(), shutdown.clone())
            });

        let suppressing = suppression::Suppressing {
            platform: host.platform.clone(),
            table: table.clone(),
            config: config.suppression.clone(),
            shard,
            readiness: host.readiness.condition("tracker-suppression"),
        };
        let shutdown = host.supervisor.shutdown().clone();
        host.supervisor
            .spawn("tracker-suppression", Restart::After(Backoff::default()), move || {
                suppression::run(suppressing.clone(), shutdown.clone())
            });

        let (views, feeds) = (views.clone(), host.platform.feeds.clone());
        let readiness = host.readiness.condition("read-models");
        let shutdown = host.supervisor.shutdown().clone();
        host.supervisor
            .spawn("read-models", Restart::After(Backoff::default()), move || {
                let (views, feeds, shutdown, readiness) =
                    (views.clone(), feeds.clone(), shutdown.clone(), readiness.clone());
                async move {
                    readiness.met();
                    let healthy = |is_healthy| {
                        if is_healthy {
                            readiness.met();
                        } else {
                            readiness.unmet("the read models cannot be written");
                        }
                    };
                    views.run(&feeds, shard, shutdown.soft().clone(), healthy).await;
                    Ok(())
                }
            });
    }
    Ok(())
}

/// Adds the services to the port for callers.
fn add_services(
    subscriptions: SubscriptionsConfig,
    views: &Views,
    meta: &assent_whatsapp::client::Client,
    host: &mut Host,
) {
    let ground = grpc::Ground {
        platform: host.platform.clone(),
        views: views.clone(),
    };
    let max = grpc::REQUEST_BYTES_MAX;
    let shutdown = host.supervisor.shutdown().clone();
    let events = grpc::EventApi::new(ground.clone(), subscriptions, shutdown);
    let provider = grpc::Provider::new(meta.clone());
    let numbers = grpc::NumberApi {
        ground: ground.clone(),
        provider: provider.clone(),
    };
    let templates = grpc::TemplateApi {
        ground: ground.clone(),
        provider,
    };
    host.add_service(NumberServiceServer::new(numbers).max_decoding_message_size(max));
    host.add_service(TemplateServiceServer::new(templates).max_decoding_message_size(max));
    host.add_service(
        SuppressionServiceServer::new(grpc::SuppressionApi(ground.clone())).max_decoding_message_size(max),
    );
    host.add_service(TrackingServiceServer::new(grpc::TrackingApi(ground)).max_decoding_message_size(max));
    host.add_service(EventServiceServer::new(events).max_decoding_message_size(max));
}

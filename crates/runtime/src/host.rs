//! A process: what the services in it share, and its way from start to end.

use crate::{
    admin::{self, Readiness},
    admission::Admission,
    database,
    grpc::{GrpcError, GrpcServer},
    http::{HttpError, HttpServer, Protocol},
    lag,
    platform::Platform,
    settings::RuntimeConfig,
    shutdown::StopReason,
    supervise::{Backoff, Restart, Supervisor},
    telemetry::Metrics,
};
use assent_event_store::Poker;
use std::{net::SocketAddr, time::Duration};
use tonic::service::{Routes, RoutesBuilder};

/// How often the rows of expired keys are deleted.
const KEY_EXPIRY_EVERY: Duration = Duration::from_mins(10);

/// What a service mounts itself on. One process may hold one service or all of them.
#[derive(Debug)]
pub struct Host {
    /// The log, its feeds, the keys and the tenants.
    pub platform: Platform,
    /// Runs the tasks.
    pub supervisor: Supervisor,
    /// What has to be met before the process is called ready.
    pub readiness: Readiness,
    /// How much work is taken on.
    pub admission: Admission,
    routes: RoutesBuilder,
    /// Held until the last task has ended.
    poker: Option<Poker>,
}

/// Why a process cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The port for callers.
    #[error(transparent)]
    Grpc(#[from] GrpcError),
    /// The port for operators.
    #[error("admin port: {0}")]
    Admin(#[from] HttpError),
}

/// Where a process answers.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// gRPC.
    pub grpc: SocketAddr,
    /// Probes and metrics.
    pub admin: SocketAddr,
}

impl Host {
    /// A process without services.
    pub fn new(platform: Platform, supervisor: Supervisor, config: &RuntimeConfig) -> Self {
        Self {
            platform,
            supervisor,
            readiness: Readiness::new(),
            admission: Admission::new(config.admission.clone()),
            routes: Routes::builder(),
            poker: None,
        }
    }

    /// Adds a gRPC service to the port for callers.
    pub fn add_service<S>(&mut self, service: S)
    where
        S: tower::Service<
                axum::http::Request<tonic::body::Body>,
                Response = axum::http::Response<tonic::body::Body>,
                Error = std::convert::Infallible,
            > + tonic::server::NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.routes.add_service(service);
    }

    /// Binds the ports and serves what was mounted, with the relay, the following of the tenants file, the expiry of keys,
    /// the measuring of the feeds and the watch over the database beside it. `descriptors` is what reflection tells.
    pub async fn serve(
        &mut self,
        config: &RuntimeConfig,
        descriptors: &'static [u8],
        metrics: Metrics,
    ) -> Result<Addresses, HostError> {
        let grpc = GrpcServer::bind(&config.grpc).await?;
        let admin = HttpServer::bind(&config.admin, Protocol::Http).await?;
        let addresses = Addresses {
            grpc: grpc.local_addr(),
            admin: admin.local_addr(),
        };
        let shutdown = self.supervisor.shutdown().clone();
        self.poker = self.platform.spawn_relay(&self.supervisor);

        let (directory, stop) = (self.platform.tenants.clone(), shutdown.clone());
        self.supervisor.spawn("tenants", Restart::Never, move || {
            let (directory, stop) = (directory.clone(), stop.clone());
            async move { Ok(directory.follow(stop).await?) }
        });
        let (keys, stop) = (self.platform.keys.clone(), shutdown.clone());
        self.supervisor
            .spawn("key-expiry", Restart::After(Backoff::default()), move || {
                expire_keys(keys.clone(), stop.clone())
            });

        let (store, stop) = (self.platform.store.clone(), shutdown.clone());
        self.supervisor
            .spawn("feed-lag", Restart::After(Backoff::default()), move || {
                lag::measure(store.clone(), stop.clone())
            });
        self.watch_database();

        let routes = std::mem::replace(&mut self.routes, Routes::builder()).routes();
        let (directory, readiness, stop) = (self.platform.tenants.clone(), self.readiness.clone(), shutdown.clone());
        self.supervisor.spawn_finite("grpc", async move {
            Ok(grpc.serve(routes, &[descriptors], directory, readiness, stop).await?)
        });
        let pages = admin::router(self.readiness.clone(), metrics);
        self.supervisor.spawn_finite("admin", async move {
            admin.serve(pages, shutdown).await;
            Ok(())
        });
        Ok(addresses)
    }

    /// Has the process called ready only while its database answers.
    fn watch_database(&self) {
        let condition = self.readiness.condition(database::CONDITION);
        // The platform has just been read from it.
        condition.met();
        let (store, stop) = (self.platform.store.clone(), self.supervisor.shutdown().clone());
        self.supervisor
            .spawn("database", Restart::After(Backoff::default()), move || {
                database::watch(store.clone(), condition.clone(), stop.clone())
            });
    }

    /// Waits for the end of the process: its reason, if something failed. What was accepted is written before it returns.
    pub async fn join(self) -> Result<(), StopReason> {
        let ended = self.supervisor.join().await;
        drop(self.poker);
        self.platform.close().await;
        ended
    }
}

/// Deletes keys that have expired. What they sealed reads as erased since then; this frees their rows.
async fn expire_keys(
    keys: assent_event_store::KeyRing,
    shutdown: crate::shutdown::Shutdown,
) -> crate::supervise::TaskResult {
    loop {
        tokio::select! {
            () = tokio::time::sleep(KEY_EXPIRY_EVERY) => {}
            () = shutdown.soft().cancelled() => return Ok(()),
        }
        let now = time::OffsetDateTime::now_utc();
        keys.expire(now).await?;
    }
}

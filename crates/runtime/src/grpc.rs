//! The gRPC port: authentication, scopes, tracing, metrics, health and reflection, the same for every service.

mod authenticate;
mod observe;

pub use authenticate::{principal, require};

use crate::{
    admin::Readiness,
    config::{Check, Validate},
    http::{HttpError, HttpServer, ListenConfig, Protocol},
    shutdown::Shutdown,
    tenants::Directory,
};
use axum::middleware;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tonic::service::Routes;
use tonic_health::ServingStatus;

/// The gRPC port.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct GrpcConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Connections at a time; more wait to be accepted.
    #[serde(default = "default_connections_max")]
    pub connections_max: usize,
    /// Calls at a time on one connection.
    #[serde(default = "default_streams_max")]
    pub streams_max: u32,
    /// Largest request message, in bytes. Services hand it to tonic: `Server::new(…).max_decoding_message_size(…)`.
    #[serde(default = "default_message_bytes_max")]
    pub message_bytes_max: usize,
    /// TLS; without it the port speaks plain text and belongs behind something that does TLS.
    pub tls: Option<crate::tls::TlsConfig>,
}

fn default_connections_max() -> usize {
    1_024
}

fn default_streams_max() -> u32 {
    4_096
}

fn default_message_bytes_max() -> usize {
    256 * 1024
}

impl GrpcConfig {
    /// A plain-text port with the default limits.
    pub fn plain(listen: SocketAddr) -> Self {
        Self {
            listen,
            connections_max: default_connections_max(),
            streams_max: default_streams_max(),
            message_bytes_max: default_message_bytes_max(),
            tls: None,
        }
    }

    fn listen_config(&self) -> ListenConfig {
        ListenConfig {
            listen: self.listen,
            connections_max: self.connections_max,
            streams_max: self.streams_max,
            tls: self.tls.clone(),
        }
    }
}

impl Validate for GrpcConfig {
    fn validate(&self, check: &mut Check) {
        check.range("connections_max", self.connections_max, 1, 100_000);
        check.range("streams_max", self.streams_max, 1, 100_000);
        check.range("message_bytes_max", self.message_bytes_max, 1_024, 16 * 1024 * 1024);
        check.section("tls", &self.tls);
    }
}

/// Why the gRPC port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum GrpcError {
    /// The port cannot be bound.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A descriptor set is not one.
    #[error("a descriptor set cannot be read")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A bound gRPC port that does not answer yet.
#[derive(Debug)]
pub struct GrpcServer {
    http: HttpServer,
}

impl GrpcServer {
    /// Binds the port and reads the certificate.
    pub async fn bind(config: &GrpcConfig) -> Result<Self, GrpcError> {
        let http = HttpServer::bind(&config.listen_config(), Protocol::Grpc).await?;
        Ok(Self { http })
    }

    /// The address bound, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.http.local_addr()
    }

    /// Answers until the shutdown, with the standard health service, which follows `readiness`, and reflection of
    /// `descriptor_sets` beside the given services. Every other call needs an API key out of `directory`.
    pub async fn serve(
        self,
        mut services: Routes,
        descriptor_sets: &[&[u8]],
        directory: Arc<Directory>,
        readiness: Readiness,
        shutdown: Shutdown,
    ) -> Result<(), GrpcError> {
        let (health_reporter, health_server) = tonic_health::server::health_reporter();
        let mut v1 = tonic_reflection::server::Builder::configure();
        let mut v1alpha = tonic_reflection::server::Builder::configure();
        for set in descriptor_sets
            .iter()
            .copied()
            .chain([tonic_health::pb::FILE_DESCRIPTOR_SET])
        {
            v1 = v1.register_encoded_file_descriptor_set(set);
            v1alpha = v1alpha.register_encoded_file_descriptor_set(set);
        }
        services = services
            .add_service(health_server)
            .add_service(v1.build_v1()?)
            // Older clients, grpcurl among them, ask the older name.
            .add_service(v1alpha.build_v1alpha()?);
        let methods = Arc::new(observe::Methods::of(descriptor_sets));
        let names = methods.services();
        let door = authenticate::Door::new(directory);
        let router = services
            .prepare()
            .into_axum_router()
            .layer(middleware::from_fn_with_state(door, authenticate::authenticate))
            .layer(middleware::from_fn_with_state(methods, observe::observe));
        let health = follow_readiness(health_reporter, readiness, names, shutdown.clone());
        tokio::join!(self.http.serve(router, shutdown), health);
        Ok(())
    }
}

/// Keeps the health service's answers in step with the readiness, for the server as a whole and each service.
async fn follow_readiness(
    reporter: tonic_health::server::HealthReporter,
    readiness: Readiness,
    services: Vec<String>,
    shutdown: Shutdown,
) {
    let mut ready = readiness.watch();
    loop {
        let stopping = shutdown.soft().is_cancelled();
        let status = if *ready.borrow_and_update() && !stopping {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for service in services.iter().map(String::as_str).chain([""]) {
            reporter.set_service_status(service, status).await;
        }
        if stopping {
            return;
        }
        tokio::select! {
            _ = ready.changed() => {}
            () = shutdown.soft().cancelled() => {}
        }
    }
}

/// The time the caller gives this call, by its `grpc-timeout` header; `None` when it gives none.
pub fn deadline<T>(request: &tonic::Request<T>) -> Option<Duration> {
    let text = request.metadata().get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    // The gRPC specification allows at most eight digits.
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3_600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_time_is_read_in_every_unit() {
        let read = |text: &str| {
            let mut request = tonic::Request::new(());
            request.metadata_mut().insert("grpc-timeout", text.parse().unwrap());
            deadline(&request)
        };
        assert_eq!(read("2H"), Some(Duration::from_hours(2)));
        assert_eq!(read("3M"), Some(Duration::from_mins(3)));
        assert_eq!(read("10S"), Some(Duration::from_secs(10)));
        assert_eq!(read("150m"), Some(Duration::from_millis(150)));
        assert_eq!(read("20u"), Some(Duration::from_micros(20)));
        assert_eq!(read("7n"), Some(Duration::from_nanos(7)));
        for wrong in ["", "S", "1", "-1S", "123456789S", "1x", "1.5S"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(deadline(&tonic::Request::new(())), None);
    }
}

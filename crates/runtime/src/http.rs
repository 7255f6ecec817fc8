//! A bounded HTTP server: the one behind the gRPC port, the callback endpoint and the admin port.
//!
//! Everything a stranger could exhaust has a limit: connections, the time of a TLS handshake and of a request's head,
//! streams and header bytes of a connection. On the soft shutdown it stops accepting and lets requests finish, on the
//! hard one it drops them.

use crate::{
    config::{Check, Validate},
    shutdown::Shutdown,
    tls::{TlsConfig, TlsError},
};
use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use serde::{Deserialize, Serialize};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

/// Longest TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time until the head of an HTTP/1 request has arrived.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Header bytes of one HTTP/2 request.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// How often an idle HTTP/2 connection is asked whether it still lives, and how long it may take to answer.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after the system refused to accept a connection, e.g. for lack of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// A port to listen on.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct ListenConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Connections at a time; more wait to be accepted.
    #[serde(default = "default_connections_max")]
    pub connections_max: usize,
    /// Requests at a time on one HTTP/2 connection.
    #[serde(default = "default_streams_max")]
    pub streams_max: u32,
    /// TLS; without it the port speaks plain text and belongs behind something that does TLS.
    pub tls: Option<TlsConfig>,
}

fn default_connections_max() -> usize {
    1_024
}

fn default_streams_max() -> u32 {
    1_024
}

impl ListenConfig {
    /// A plain-text port with the default limits.
    pub fn plain(listen: SocketAddr) -> Self {
        Self {
            listen,
            connections_max: default_connections_max(),
            streams_max: default_streams_max(),
            tls: None,
        }
    }
}

impl Validate for ListenConfig {
    fn validate(&self, check: &mut Check) {
        check.range("connections_max", self.connections_max, 1, 100_000);
        check.range("streams_max", self.streams_max, 1, 100_000);
        check.section("tls", &self.tls);
    }
}

/// What is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 and HTTP/2.
    Http,
    /// HTTP/2 only, as gRPC needs it.
    Grpc,
}

/// Why a port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// TLS cannot be offered.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A bound port that does not answer yet.
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    protocol: Protocol,
    connections: Arc<Semaphore>,
    streams_max: u32,
}

impl HttpServer {
    /// Binds the port and reads the certificate.
    pub async fn bind(config: &ListenConfig, protocol: Protocol) -> Result<Self, HttpError> {
        let alpn: &[&[u8]] = match protocol {
            Protocol::Http => &[b"h2", b"http/1.1"],
            Protocol::Grpc => &[b"h2"],
        };
        let tls = config.tls.as_ref().map(|tls| tls.server_config(alpn)).transpose()?;
        let refused = |source| HttpError::Bind {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(refused)?;
        Ok(Self {
            address: listener.local_addr().map_err(refused)?,
            listener,
            acceptor: tls.map(TlsAcceptor::from),
            protocol,
            connections: Arc::new(Semaphore::new(config.connections_max)),
            streams_max: config.streams_max,
        })
    }

    /// The address bound, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the soft shutdown, then until every request in hand has ended or the hard one comes.
    pub async fn serve(self, router: Router, shutdown: Shutdown) {
        let graceful = GracefulShutdown::new();
        let tasks = TaskTracker::new();
        let builder = self.connection_builder();
        loop {
            let accepted = tokio::select! {
                () = shutdown.soft().cancelled() => break,
                accepted = self.accept() => accepted,
            };
            let (permit, stream) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, port = self.address.port(), "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                    continue;
                }
            };
            let connection = Connection {
                builder: builder.clone(),
                router: router.clone(),
                watcher: graceful.watcher(),
            };
            let (acceptor, hard) = (self.acceptor.clone(), shutdown.hard().clone());
            tasks.spawn(async move {
                let _permit = permit;
                tokio::select! {
                    () = connection.run(stream, acceptor) => {}
                    () = hard.cancelled() => {}
                }
            });
        }
        // Later connections are refused by the system rather than left waiting.
        drop(self.listener);
        tasks.close();
        tokio::select! {
            () = graceful.shutdown() => {}
            () = shutdown.hard().cancelled() => {}
        }
        // Connections still in their TLS handshake end here.
        tokio::select! {
            () = tasks.wait() => {}
            () = shutdown.hard().cancelled() => tasks.wait().await,
        }
    }

    async fn accept(&self) -> io::Result<(tokio::sync::OwnedSemaphorePermit, TcpStream)> {
        let permit = Arc::clone(&self.connections)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let (stream, _) = self.listener.accept().await?;
        // Answers are small: waiting to fill a packet only delays them.
        stream.set_nodelay(true)?;
        Ok((permit, stream))
    }

    fn connection_builder(&self) -> auto::Builder<TokioExecutor> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.streams_max)
            .max_header_list_size(HEADER_BYTES_MAX)
            .keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
        match self.protocol {
            Protocol::Http => builder,
            Protocol::Grpc => builder.http2_only(),
        }
    }
}

impl std::fmt::Debug for HttpServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("HttpServer")
            .field("address", &self.address)
            .field("tls", &self.acceptor.is_some())
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// What one connection needs.
struct Connection {
    builder: auto::Builder<TokioExecutor>,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
}

impl Connection {
    async fn run(self, stream: TcpStream, acceptor: Option<TlsAcceptor>) {
        let Some(acceptor) = acceptor else {
            return self.serve(stream).await;
        };
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let service = TowerToHyperService::new(self.router);
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = self.watcher.watch(connection).await {
            // Callers that hang up are nothing to act upon.
            tracing::debug!(error, "connection ended with an error");
        }
    }
}

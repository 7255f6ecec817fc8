//! Accepting connections. Served by hyper directly, because a fault must be able to close one without an answer.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::connection::Connection;
use super::graph::Dropped;
use super::worlds::Worlds;
use super::{control, graph};
use crate::tls::TlsListener;

/// Connections served at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4_096;
/// Pause after a failed accept, such as for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Time for a client to begin, and to end its TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

/// What every request handler needs.
pub(crate) struct App {
    /// The worlds.
    pub(crate) worlds: Worlds,
    /// Present if the listener speaks https too.
    pub(crate) tls: Option<TlsListener>,
    /// Says when the simulator ends; answers that never come end with it.
    pub(crate) cancel: CancellationToken,
}

/// Serves until cancelled.
pub(crate) async fn serve(listener: TcpListener, app: Arc<App>, tasks: TaskTracker, cancel: CancellationToken) {
    let control = control::router(app.clone());
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = places
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let accepted = tokio::select! {
            () = cancel.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // An answer of two writes must not wait for an acknowledgement of the first.
        let _ = stream.set_nodelay(true);
        let (app, control, cancel) = (app.clone(), control.clone(), cancel.clone());
        tasks.spawn(async move {
            serve_client(Connection::new(stream), app, control, cancel).await;
            drop(place);
        });
    }
}

/// Serves a client over http, or over https if it is offered and the client begins with a handshake.
async fn serve_client(connection: Connection, app: Arc<App>, control: Router, cancel: CancellationToken) {
    let resets = connection.reset_switch();
    let Some(tls) = &app.tls else {
        return serve_connection(connection, app, control, cancel, "http", resets).await;
    };
    let handshake = async {
        if !connection.begins_with_tls().await? {
            return Ok(Err(connection));
        }
        tls.acceptor.accept(connection).await.map(Ok)
    };
    let begun = tokio::select! {
        () = cancel.cancelled() => return,
        begun = tokio::time::timeout(HANDSHAKE_MAX, handshake) => begun,
    };
    match begun {
        Ok(Ok(Ok(stream))) => serve_connection(stream, app, control, cancel, "https", resets).await,
        Ok(Ok(Err(plain))) => serve_connection(plain, app, control, cancel, "http", resets).await,
        // A client that does not trust the authority, or says nothing.
        Ok(Err(_)) | Err(_) => {}
    }
}

async fn serve_connection<S>(
    stream: S,
    app: Arc<App>,
    control: Router,
    cancel: CancellationToken,
    scheme: &'static str,
    resets: Arc<AtomicBool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (app, control, resets) = (app.clone(), control.clone(), resets.clone());
        async move {
            let answered = answer(request, app, control, scheme).await;
            if answered.as_ref().is_err_and(|dropped| dropped.resets) {
                resets.store(true, Ordering::Relaxed);
            }
            answered
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // An error here is a client that went away, or a drop on purpose.
        _ = connection.as_mut() => return,
        () = cancel.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn answer(
    request: Request<Incoming>,
    app: Arc<App>,
    control: Router,
    scheme: &'static str,
) -> Result<Response<Body>, Dropped> {
    if request.uri().path().starts_with("/_sim") {
        return match control.oneshot(request.map(Body::new)).await {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        };
    }
    graph::answer(request, &app, scheme).await
}

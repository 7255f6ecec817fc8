//! Accepting connections. Served by hyper directly, because a fault must be able to close one without an answer.

use std::pin::pin;
use std::sync::Arc;
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

use super::worlds::Worlds;
use super::{control, graph};

/// Connections served at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4_096;
/// Pause after a failed accept, such as for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What every request handler needs.
pub(crate) struct App {
    /// The worlds.
    pub(crate) worlds: Worlds,
    /// Says when the simulator ends; answers that never come end with it.
    pub(crate) cancel: CancellationToken,
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection dropped on purpose")]
pub(super) struct Dropped;

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
            serve_connection(stream, app, control, cancel).await;
            drop(place);
        });
    }
}

async fn serve_connection<S>(stream: S, app: Arc<App>, control: Router, cancel: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, app.clone(), control.clone()));
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

async fn answer(request: Request<Incoming>, app: Arc<App>, control: Router) -> Result<Response<Body>, Dropped> {
    if request.uri().path().starts_with("/_sim") {
        return match control.oneshot(request.map(Body::new)).await {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        };
    }
    graph::answer(request, &app).await
}

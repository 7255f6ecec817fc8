//! What stands before several processes of a service: a port whose connections go to any of them that takes them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};

/// Connections at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 1_024;

/// Hands connections to the targets in turn. Knows nothing of what is spoken, and does not notice that a target is about to
/// end: harsher than a balancer that is told.
#[derive(Debug)]
pub struct Balancer {
    targets: Arc<Mutex<Vec<SocketAddr>>>,
    serving: JoinHandle<()>,
}

impl Balancer {
    /// Listens. Connections are closed at once while there is no target.
    pub(super) async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let targets = Arc::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&targets)));
        Ok(Self { targets, serving })
    }

    /// Sends connections to this address too.
    pub fn add(&self, target: SocketAddr) {
        lock(&self.targets).push(target);
    }

    /// Sends no more connections to this address.
    pub fn remove(&self, target: SocketAddr) {
        lock(&self.targets).retain(|other| *other != target);
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(targets: &Mutex<Vec<SocketAddr>>) -> MutexGuard<'_, Vec<SocketAddr>> {
    targets.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, targets: Arc<Mutex<Vec<SocketAddr>>>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = tokio::task::JoinSet::new();
    for turn in 0_usize.. {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let Ok((mut caller, _)) = listener.accept().await else {
            continue;
        };
        let mut order = lock(&targets).clone();
        if !order.is_empty() {
            let first = turn % order.len();
            order.rotate_left(first);
        }
        connections.spawn(async move {
            let _permit = permit;
            for target in order {
                if let Ok(mut served) = TcpStream::connect(target).await {
                    // Small answers must not wait for each other; without it they are only slower.
                    let _ = (caller.set_nodelay(true), served.set_nodelay(true));
                    // Either side may hang up whenever it likes.
                    let _ = copy_bidirectional(&mut caller, &mut served).await;
                    return;
                }
            }
        });
    }
}

//! A server on a free loopback port that reacts to each request as told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What happens after a request was read to its end.
pub(in crate::client) enum Reaction {
    Answer {
        status: u16,
        headers: &'static str,
        body: Vec<u8>,
    },
    Drop,
    Hang,
    HalfAnswer(&'static str),
    HalfAnswerThenHang(&'static str),
}

impl Reaction {
    pub(in crate::client) fn answer(status: u16, body: &str) -> Self {
        Self::Answer {
            status,
            headers: "",
            body: body.as_bytes().to_vec(),
        }
    }
}

#[derive(Clone)]
pub(in crate::client) struct Request {
    pub(in crate::client) head: String,
    pub(in crate::client) body: Vec<u8>,
}

#[derive(Default)]
struct Shared {
    reactions: Mutex<VecDeque<Reaction>>,
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
}

pub(in crate::client) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves HTTP with keep-alive; the n-th request, on whichever connection, meets the n-th reaction.
    pub(in crate::client) async fn start(reactions: impl IntoIterator<Item = Reaction>) -> Self {
        let shared = Arc::new(Shared {
            reactions: Mutex::new(reactions.into_iter().collect()),
            ..Shared::default()
        });
        let handler = Arc::clone(&shared);
        Self::listen(shared, move |stream| {
            let shared = Arc::clone(&handler);
            async move { serve(stream, &shared).await }
        })
        .await
    }

    /// Closes every connection as soon as it stands.
    pub(in crate::client) async fn start_dropping_at_once() -> Self {
        Self::listen(Arc::default(), |stream| async move { drop(stream) }).await
    }

    /// Writes these bytes after the first it reads, then stays silent.
    pub(in crate::client) async fn start_raw(bytes: &'static [u8]) -> Self {
        Self::listen(Arc::default(), move |mut stream| async move {
            let mut buffer = [0; 4096];
            if stream.read(&mut buffer).await.is_ok() && stream.write_all(bytes).await.is_ok() {
                // Until the other side goes away.
                while matches!(stream.read(&mut buffer).await, Ok(read) if read > 0) {}
            }
        })
        .await
    }

    /// A port that was free a moment ago and that nobody listens on.
    pub(in crate::client) async fn url_of_nobody() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    async fn listen<F>(shared: Arc<Shared>, handle: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counting = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counting.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(handle(stream));
            }
        });
        Self { address, shared, task }
    }

    pub(in crate::client) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests read to their end so far.
    pub(in crate::client) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub(in crate::client) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) {
    while let Some(request) = read_request(&mut stream).await {
        shared.requests.lock().unwrap().push(request);
        let reaction = shared
            .reactions
            .lock()
            .unwrap()
            .pop_front()
            .expect("a reaction for every request");
        match reaction {
            Reaction::Answer { status, headers, body } => {
                let head = format!(
                    "HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n{headers}\r\n",
                    body.len()
                );
                if stream.write_all(head.as_bytes()).await.is_err() || stream.write_all(&body).await.is_err() {
                    return;
                }
            }
            Reaction::Drop => return,
            Reaction::Hang => return std::future::pending().await,
            Reaction::HalfAnswer(body) => return write_half(&mut stream, body).await,
            Reaction::HalfAnswerThenHang(body) => {
                write_half(&mut stream, body).await;
                return std::future::pending().await;
            }
        }
    }
}

async fn write_half(stream: &mut TcpStream, body: &str) {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..body.len() / 2]).await.unwrap();
    stream.flush().await.unwrap();
}

/// Reads one request; `None` at the end of the connection.
async fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let length: usize = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length:")
                .map(|value| value.trim().parse().unwrap())
        })
        .unwrap_or(0);
    while bytes.len() < head_end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request {
        head,
        body: bytes[head_end..].to_vec(),
    })
}

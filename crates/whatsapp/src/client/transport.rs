//! One HTTP exchange, and what can go wrong before, during and after it.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};

use crate::graph_error::GraphError;
use crate::limits::ANSWER_BYTES_MAX;
use crate::message::Invalid;
use crate::redact::redacted_debug;

/// Why not one byte of a request left this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotSentReason {
    /// The request could not be built: a token or id with characters no header or path can hold.
    BadRequest,
    /// The name of the host could not be resolved.
    Dns,
    /// The host refused the connection.
    Refused,
    /// Connecting took longer than configured.
    ConnectTimeout,
    /// The TLS handshake failed.
    Tls,
    /// No connection for another reason.
    Unreachable,
}

impl NotSentReason {
    /// A short word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Why a call other than a send gave no result. Repeating such a call changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection.
    #[error("no connection to Meta ({})", .0.as_str())]
    NotSent(NotSentReason),
    /// The call took longer than configured.
    #[error("no answer from Meta in time")]
    Timeout,
    /// The connection was lost before the answer was complete.
    #[error("the connection to Meta was lost")]
    ConnectionLost,
    /// Meta answered an error.
    #[error(transparent)]
    Graph(Box<GraphError>),
    /// The answer is neither what was asked for nor an error in Meta's form.
    #[error("unreadable answer with HTTP status {http_status}")]
    Unreadable {
        /// Status of the answer.
        http_status: u16,
    },
    /// The listing has more pages than any real account.
    #[error("the listing does not end")]
    Endless,
}

/// Why something Meta keeps was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Meta would refuse it for its shape; nothing was sent.
    #[error("Meta would refuse this: {0}")]
    Invalid(#[from] Invalid),
    /// The call failed. Unless nothing was sent or Meta refused, the change may have been made: ask before repeating it.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// A failed exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing was written.
    NotSent(NotSentReason),
    /// The deadline passed after the connection stood.
    Timeout,
    /// The connection broke after it stood.
    ConnectionLost,
    /// The answer is longer than anything Meta sends.
    TooLong {
        /// Status of the answer.
        http_status: u16,
    },
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotSent(reason) => Self::NotSent(reason),
            Failure::Timeout => Self::Timeout,
            Failure::ConnectionLost => Self::ConnectionLost,
            Failure::TooLong { http_status } => Self::Unreadable { http_status },
        }
    }
}

/// An answer, whatever it says.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

redacted_debug!(Answer { status });

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    }

    /// `Retry-After` in seconds; Meta does not document it, gateways in between send it.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.header("retry-after")
            .and_then(|seconds| seconds.trim().parse().ok())
            .map(Duration::from_secs)
    }
}

/// Sends a request and reads its whole answer.
pub(super) async fn exchange(request: RequestBuilder) -> Result<Answer, Failure> {
    let mut response = request.send().await.map_err(|error| failure_of(&error))?;
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let mut body = Vec::new();
    // A response is here, so the request was written: whatever fails from now on, it may have had its effect.
    while let Some(chunk) = response.chunk().await.map_err(|error| after_writing(&error))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Failure::TooLong {
                http_status: status.as_u16(),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body })
}

/// Sends a request that may be repeated; anything but a 2xx with a JSON body is an error.
pub(super) async fn send_for_json(request: RequestBuilder) -> Result<serde_json::Value, CallError> {
    json_of(&exchange(request).await?)
}

/// The JSON body of a 2xx.
pub(super) fn json_of(answer: &Answer) -> Result<serde_json::Value, CallError> {
    if let Some(error) = GraphError::from_answer(&answer.body) {
        return Err(CallError::Graph(Box::new(error)));
    }
    let unreadable = CallError::Unreadable {
        http_status: answer.status.as_u16(),
    };
    if !answer.status.is_success() {
        return Err(unreadable);
    }
    serde_json::from_slice(&answer.body).map_err(|_| unreadable)
}

/// Sends a request whose answer says no more than that it worked: `{"success": true}`.
pub(super) async fn send_for_success(request: RequestBuilder) -> Result<(), CallError> {
    let answer = send_for_json(request).await?;
    if answer.get("success").and_then(serde_json::Value::as_bool) == Some(true) {
        return Ok(());
    }
    Err(CallError::Unreadable { http_status: 200 })
}

/// The heart of "no blind resend": only an error that provably precedes the first written byte is called not sent.
/// hyper marks as connect errors name look-up, TCP and TLS, all of them before the request is handed to the connection.
pub(super) fn failure_of(error: &reqwest::Error) -> Failure {
    if error.is_builder() {
        return Failure::NotSent(NotSentReason::BadRequest);
    }
    if !error.is_connect() {
        return after_writing(error);
    }
    if error.is_dns() {
        return Failure::NotSent(NotSentReason::Dns);
    }
    if error.is_timeout() {
        return Failure::NotSent(NotSentReason::ConnectTimeout);
    }
    Failure::NotSent(match io_kind(error) {
        Some(io::ErrorKind::ConnectionRefused) => NotSentReason::Refused,
        // rustls reports what it cannot accept as invalid data, and a peer that hangs up in the handshake as an early end.
        Some(io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => NotSentReason::Tls,
        _ => NotSentReason::Unreachable,
    })
}

pub(super) fn after_writing(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        Failure::Timeout
    } else {
        Failure::ConnectionLost
    }
}

/// The innermost I/O error of a chain.
fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut found = None;
    let mut next: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = next {
        next = error.source();
        if let Some(error) = error.downcast_ref::<io::Error>() {
            found = Some(error.kind());
            // The source of an I/O error is the source of what it wraps, so the wrapped error itself has to be asked for.
            next = error.get_ref().map(|inner| inner as &(dyn StdError + 'static)).or(next);
        }
    }
    found
}

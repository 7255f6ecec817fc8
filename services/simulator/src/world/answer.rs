//! Answers to HTTP requests, and how they reach the client.

use axum::body::Bytes;

const HTML_PAGE: &str = "<!DOCTYPE html><html><head><title>Sorry, something went wrong.</title></head><body>\
    <h1>Sorry, something went wrong.</h1><p>We're working on it and we'll get it fixed as soon as we can.</p></body></html>";

/// How an answer reaches the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// At once.
    Normal,
    /// Late by this many ms.
    Slow(u64),
    /// Never; the connection stays open.
    Never,
    /// Never; the connection is closed.
    Drop,
    /// Never; the connection is reset.
    Reset,
}

/// What a body holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BodyKind {
    /// JSON.
    Json,
    /// An HTML page.
    Html,
    /// A media file of this MIME type.
    File(String),
}

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// Body bytes.
    pub(crate) body: Bytes,
    /// What the body holds.
    pub(crate) kind: BodyKind,
    /// How it reaches the client.
    pub(crate) manner: Manner,
}

impl Answer {
    /// A JSON answer.
    pub(crate) fn json(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            body: body.into(),
            kind: BodyKind::Json,
            manner: Manner::Normal,
        }
    }

    /// `{"success": true}`.
    pub(crate) fn success() -> Self {
        Self::json(200, br#"{"success":true}"#.to_vec())
    }

    /// The page a proxy on the way answers with when something is wrong.
    pub(crate) fn html(status: u16) -> Self {
        Self {
            status,
            body: Bytes::from_static(HTML_PAGE.as_bytes()),
            kind: BodyKind::Html,
            manner: Manner::Normal,
        }
    }

    /// A media file.
    pub(crate) fn file(mime_type: String, bytes: Bytes) -> Self {
        Self {
            status: 200,
            body: bytes,
            kind: BodyKind::File(mime_type),
            manner: Manner::Normal,
        }
    }

    /// No answer at all.
    pub(crate) fn silent(manner: Manner) -> Self {
        Self {
            status: 200,
            body: Bytes::new(),
            kind: BodyKind::Json,
            manner,
        }
    }
}

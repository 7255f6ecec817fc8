//! Uploads of sample files for template headers (Graph API, "Resumable Upload API"): a session, then the bytes, for a handle.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::graph::GraphRequest;
use super::management::{parameters, unsupported};
use super::worlds::Access;
use crate::error::GraphError;
use crate::request::{invalid, missing};

/// How ids of upload sessions begin.
pub(super) const PREFIX: &str = "upload:";
/// Types a sample file may have.
const TYPES: [&str; 5] = ["application/pdf", "image/jpeg", "image/jpg", "image/png", "video/mp4"];

/// `POST /{app-id}/uploads`: begins an upload; the session's id holds what was announced.
pub(super) fn start(
    request: &GraphRequest<'_>,
    access: &Access,
    query: &HashMap<String, String>,
    app_id: &str,
) -> Result<Value, GraphError> {
    let is_app = access
        .engine
        .with(|world, _, _| world.apps.iter().any(|app| app.id == app_id));
    if !is_app || request.method != Method::POST {
        return Err(unsupported(app_id));
    }
    let given = parameters(request, query)?;
    let length = text(&given, "file_length")?;
    let length: u64 = length
        .parse()
        .map_err(|_| invalid("file_length must be a number of bytes"))?;
    let kind = text(&given, "file_type")?;
    if !TYPES.contains(&kind.as_str()) {
        return Err(invalid(format!("file_type must be one of {}", TYPES.join(", "))));
    }
    let session = URL_SAFE_NO_PAD.encode(format!("{length}:{kind}"));
    Ok(json!({"id": format!("{PREFIX}{session}")}))
}

/// Takes the bytes of a sample file and gives its handle; `GET` tells how much is there, which is nothing.
pub(super) fn take(request: &GraphRequest<'_>, id: &str) -> Result<Value, GraphError> {
    let session = id
        .strip_prefix(PREFIX)
        .and_then(|session| URL_SAFE_NO_PAD.decode(session).ok());
    let announced = session.and_then(|session| String::from_utf8(session).ok());
    let (length, kind) = announced
        .as_deref()
        .and_then(|announced| announced.split_once(':'))
        .ok_or_else(|| GraphError::no_such_object(id))?;
    match *request.method {
        Method::GET => Ok(json!({"id": id, "file_offset": 0})),
        Method::POST if length == request.body.len().to_string() => {
            let kind = URL_SAFE_NO_PAD.encode(kind);
            let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, &request.body));
            Ok(json!({"h": format!("4::{kind}:{hash}")}))
        }
        Method::POST => Err(invalid(format!("{length} bytes were announced, others came"))),
        _ => Err(unsupported(id)),
    }
}

/// A parameter as text; one in a query has perhaps been read as a number.
fn text(given: &Map<String, Value>, name: &str) -> Result<String, GraphError> {
    let value = given.get(name).ok_or_else(|| missing(name))?;
    Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

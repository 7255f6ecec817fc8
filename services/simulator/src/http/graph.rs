//! The Graph API: paths with any or no version, bearer tokens, and `messages`. The rest is in `management`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::json;

use super::server::App;
use super::worlds::{Access, Worlds};
use super::{management, media};
use crate::config::FaultEndpoint;
use crate::error::GraphError;
use crate::request;
use crate::world::{Answer, BodyKind, Manner, Route, UPLOAD_BYTES_MAX};

/// Largest JSON body taken.
const BODY_BYTES_MAX: usize = 5 * 1_024 * 1_024;
/// An answer that never comes ends after this, so that forgotten connections do not pile up.
const NEVER: Duration = Duration::from_mins(10);
const VERSION_HEADER: HeaderName = HeaderName::from_static("facebook-api-version");
const DEFAULT_VERSION: HeaderValue = HeaderValue::from_static("v23.0");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=UTF-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
const FORM: &str = "application/x-www-form-urlencoded";
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection dropped on purpose")]
pub(super) struct Dropped {
    /// The client is told `connection reset`.
    pub(super) resets: bool,
}

/// A request to the Graph API, taken apart.
pub(super) struct GraphRequest<'a> {
    /// Method.
    pub(super) method: &'a Method,
    /// Path segments after the version.
    pub(super) segments: Vec<&'a str>,
    /// Query string.
    pub(super) query: Option<&'a str>,
    /// All worlds, to judge tokens by.
    pub(super) worlds: &'a Worlds,
    /// Headers.
    pub(super) headers: &'a HeaderMap,
    /// Scheme and host the client reached the simulator by.
    pub(super) base_url: String,
    /// Path, with its version.
    pub(super) path: &'a str,
    /// Body.
    pub(super) body: Bytes,
}

impl GraphRequest<'_> {
    /// The members of a body that is a form, which the Graph API takes as well as JSON.
    pub(super) fn form(&self) -> Option<HashMap<String, String>> {
        let content_type = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let form = std::str::from_utf8(&self.body).ok()?;
        // curl says that it sends a form, whatever it sends.
        let is_form = content_type.starts_with(FORM) && !form.trim_start().starts_with('{');
        is_form.then(|| super::query::parse(Some(form)))
    }
}

/// Answers a request, or says that the connection is to be dropped.
pub(super) async fn answer(
    request: Request<Incoming>,
    app: &App,
    scheme: &'static str,
) -> Result<Response<Body>, Dropped> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let version = segments.first().copied().filter(|segment| is_version(segment));
    let version_header = version
        .and_then(|version| HeaderValue::from_str(version).ok())
        .unwrap_or(DEFAULT_VERSION);
    if version.is_some() {
        segments.remove(0);
    }
    let is_public = matches!(segments.as_slice(), ["oauth", "access_token"]);
    let access = if is_public {
        Some(app.worlds.without_token())
    } else {
        let token = token(&parts.headers, parts.uri.query()).unwrap_or_default();
        app.worlds.access(&token)
    };
    let answer = match access {
        None => unauthorised(app, &parts.headers, parts.uri.query()),
        Some(access) => match Limited::new(body, body_bytes_max(&segments)).collect().await {
            Err(_) => refuse(
                &access,
                &GraphError::new(100, "The request body is too large or broken off."),
            ),
            Ok(collected) => {
                let host = parts
                    .headers
                    .get(HOST)
                    .and_then(|host| host.to_str().ok())
                    .unwrap_or("localhost");
                let base_url = format!("{scheme}://{host}");
                let body = collected.to_bytes();
                let request = GraphRequest {
                    method: &parts.method,
                    segments,
                    query: parts.uri.query(),
                    worlds: &app.worlds,
                    headers: &parts.headers,
                    base_url,
                    path,
                    body,
                };
                dispatch(&request, &access).await
            }
        },
    };
    deliver(answer, version_header, app).await
}

async fn deliver(answer: Answer, version: HeaderValue, app: &App) -> Result<Response<Body>, Dropped> {
    match answer.manner {
        Manner::Normal => {}
        Manner::Slow(delay_ms) => tokio::select! {
            () = app.cancel.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(delay_ms)) => {}
        },
        Manner::Never => {
            tokio::select! {
                () = app.cancel.cancelled() => {}
                () = tokio::time::sleep(NEVER) => {}
            }
            return Err(Dropped { resets: false });
        }
        Manner::Drop => return Err(Dropped { resets: false }),
        Manner::Reset => return Err(Dropped { resets: true }),
    }
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let content_type = match answer.kind {
        BodyKind::Json => JSON,
        BodyKind::Html => HTML,
        BodyKind::File(mime_type) => HeaderValue::from_str(&mime_type).unwrap_or(BYTES),
    };
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(VERSION_HEADER, version);
    Ok(response)
}

async fn dispatch(request: &GraphRequest<'_>, access: &Access) -> Answer {
    let route = match (request.method, request.segments.as_slice()) {
        (&Method::POST, [_, "messages"]) => Some(Route::Messages),
        (&Method::POST, [_, "marketing_messages"]) => Some(Route::MarketingMessages),
        _ => None,
    };
    if let (Some(route), [number_id, _]) = (route, request.segments.as_slice()) {
        let form = request.form().map(|members| json!(members).to_string().into_bytes());
        return post_message(number_id, route, form.as_deref().unwrap_or(&request.body), access);
    }
    let on = match (request.method, request.segments.as_slice()) {
        (_, ["whatsapp_business", "attachments"]) => FaultEndpoint::Download,
        (&Method::POST, [_, "media"]) => FaultEndpoint::Upload,
        _ => FaultEndpoint::Management,
    };
    let (fault, instead) = access.engine.with(|world, now_ms, _| {
        let fault = world.strike_call(on);
        if let Some(instead) = fault.as_ref().and_then(|fault| world.answer_before(fault)) {
            return (fault, Some(instead));
        }
        let counted = match (on, access.accounts.first()) {
            (FaultEndpoint::Management, Some(account)) => world.count_call(now_ms, *account),
            _ => Ok(()),
        };
        let refused = counted.err().map(|error| world.refuse(&error));
        (fault, refused)
    });
    if let Some(instead) = instead {
        return instead;
    }
    let answer = match request.segments.as_slice() {
        ["whatsapp_business", "attachments"] => media::download(request, access),
        _ => management::dispatch(request, access).await,
    };
    match fault {
        Some(fault) => access.engine.with(|world, _, _| world.answer_after(&fault, answer)),
        None => answer,
    }
}

fn post_message(number_id: &str, route: Route, body: &[u8], access: &Access) -> Answer {
    // Parsed outside the lock: it is most of the work.
    let mut body = Cow::Borrowed(body);
    let mut parsed = request::parse(&body);
    if parsed.is_err()
        && let Some(rewritten) = request::rewritten(&body)
    {
        parsed = request::parse(&rewritten);
        body = Cow::Owned(rewritten);
    }
    access.engine.with(|world, now_ms, _| {
        let Some(number) = world.number_by_id(number_id) else {
            return world.refuse(&GraphError::no_such_object(number_id));
        };
        if !access.accounts.contains(&world.numbers[number as usize].account) {
            return world.refuse(&no_permission());
        }
        world.post(now_ms, number, route, parsed, &body)
    })
}

fn body_bytes_max(segments: &[&str]) -> usize {
    match segments {
        [_, "media"] => UPLOAD_BYTES_MAX,
        _ => BODY_BYTES_MAX,
    }
}

/// The token belongs to another business.
pub(super) fn no_permission() -> GraphError {
    GraphError::new(
        200,
        "You do not have the necessary permissions to send messages on behalf of this business.",
    )
}

/// Counts and renders an error.
pub(super) fn refuse(access: &Access, error: &GraphError) -> Answer {
    access.engine.with(|world, _, _| world.refuse(error))
}

fn unauthorised(app: &App, headers: &HeaderMap, query: Option<&str>) -> Answer {
    let error = if token(headers, query).is_some() {
        GraphError::new(190, "Invalid OAuth access token - Cannot parse access token")
    } else {
        GraphError::new(104, "An access token is required to request this resource.")
    };
    app.worlds.first().with(|world, _, _| world.refuse(&error))
}

/// The token of a request. One in the query goes before one in the header: clients that always send their own token there
/// give the app's token so.
fn token(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let in_query = query
        .filter(|query| query.contains("access_token="))
        .and_then(|query| super::query::parse(Some(query)).remove("access_token"));
    if in_query.is_some() {
        return in_query;
    }
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok())?;
    let (scheme, token) = header.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("oauth")).then(|| token.trim().to_owned())
}

fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| {
        rest.starts_with(|first: char| first.is_ascii_digit())
            && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    })
}

//! Who is calling.

use crate::{
    api_error::{ApiError, ErrorCode},
    counters::Counters,
    tenants::{Directory, Principal, Scope},
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, header::AUTHORIZATION},
    middleware::Next,
    response::Response,
};
use std::sync::Arc;
use tonic::Status;

/// Services that answer anybody: they tell nothing about a tenant, and probes have no key.
const OPEN_SERVICES: [&str; 3] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

/// Who may call, and how many were not let in.
#[derive(Debug)]
pub(super) struct Door {
    directory: Arc<Directory>,
    failures: Counters,
}

impl Door {
    pub(super) fn new(directory: Arc<Directory>) -> Arc<Self> {
        let reasons = [
            ErrorCode::ApiKeyMissing,
            ErrorCode::ApiKeyInvalid,
            ErrorCode::ApiKeyRevoked,
        ];
        let failures = Counters::new(
            "assent_runtime_authentication_failures_total",
            ["reason"],
            reasons.map(|code| [code.reason()]),
        );
        Arc::new(Self { directory, failures })
    }
}

/// Puts the [`Principal`] of the call's API key into its extensions, or refuses the call.
pub(super) async fn authenticate(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if OPEN_SERVICES.iter().any(|service| path.starts_with(service)) {
        return next.run(request).await;
    }
    let principal = bearer(request.headers()).and_then(|key| Ok(door.directory.authenticate(key)?));
    match principal {
        Ok(principal) => {
            request.extensions_mut().insert(Arc::new(principal));
            next.run(request).await
        }
        Err(error) => {
            door.failures.one([error.code().reason()]);
            Status::from(error).into_http::<Body>()
        }
    }
}

/// The key of an `authorization: Bearer …` header.
fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let missing =
        || ApiError::new(ErrorCode::ApiKeyMissing).message("no API key was given; send `authorization: Bearer ak_…`");
    let header = headers.get(AUTHORIZATION).ok_or_else(missing)?;
    let text = header.to_str().map_err(|_| ApiError::new(ErrorCode::ApiKeyInvalid))?;
    let (scheme, key) = text.split_once(' ').ok_or_else(missing)?;
    // HTTP's schemes are the same in capitals and small letters.
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(missing());
    }
    Ok(key.trim())
}

/// Who sent this request.
pub fn principal<T>(request: &tonic::Request<T>) -> Result<Arc<Principal>, ApiError> {
    let principal = request.extensions().get::<Arc<Principal>>();
    principal
        .cloned()
        .ok_or_else(|| ApiError::new(ErrorCode::ApiKeyMissing))
}

/// Who sent this request, provided its key has the scope.
pub fn require<T>(request: &tonic::Request<T>, scope: Scope) -> Result<Arc<Principal>, ApiError> {
    let principal = principal(request)?;
    principal.require(scope)?;
    Ok(principal)
}

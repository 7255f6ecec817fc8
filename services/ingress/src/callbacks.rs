//! The endpoint that Meta calls: `/callbacks/<tenant>`.
//!
//! A GET is Meta's check that the endpoint is ours. A POST is signed over its raw bytes, so these are checked before anything
//! is read from them; then every update becomes an event, all are appended, and only then is the answer 200. Anything
//! else makes Meta call again, for days. Callbacks are never refused for load: they wait.

mod changes;
mod keep;
mod people;
mod plan;
mod record;
mod statuses;

use crate::{limits, metrics, parties::Party, service::Ingress};
use assent_domain::values::TenantId;
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    log,
};
use assent_whatsapp::{
    callback,
    challenge::{self, ChallengeQuery},
    signature::SIGNATURE_HEADER,
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use std::{sync::Arc, time::Instant};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Instrument as _;

/// What the endpoint needs.
struct Endpoint {
    ingress: Arc<Ingress>,
    /// KiB of bodies that may be in memory at a time.
    room: Semaphore,
}

/// The routes of the endpoint.
pub(crate) fn router(ingress: Arc<Ingress>) -> Router {
    let room = Semaphore::new(limits::CALLBACK_BYTES_TOTAL_MAX / 1024);
    Router::new()
        .route("/callbacks/{tenant}", get(verify).post(receive))
        .with_state(Arc::new(Endpoint { ingress, room }))
}

impl Endpoint {
    fn party(&self, tenant: &str) -> Option<Arc<Party>> {
        self.ingress.parties.by_id(&TenantId::try_new(tenant).ok()?)
    }
}

/// Meta checks that the endpoint is ours.
async fn verify(
    State(endpoint): State<Arc<Endpoint>>,
    Path(tenant): Path<String>,
    Query(query): Query<ChallengeQuery>,
) -> Response {
    let Some(party) = endpoint.party(&tenant) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match challenge::answer(&query, &party.verify_tokens) {
        Ok(challenge) => challenge.to_owned().into_response(),
        Err(error) => {
            tracing::warn!(tenant = %party.id, %error, "a check of the callback endpoint was refused");
            (StatusCode::FORBIDDEN, error.to_string()).into_response()
        }
    }
}

/// Meta reports.
async fn receive(State(endpoint): State<Arc<Endpoint>>, Path(tenant): Path<String>, request: Request) -> Response {
    let begun = Instant::now();
    let span = tracing::info_span!("callback");
    let (outcome, response) = async {
        let Some(party) = endpoint.party(&tenant) else {
            return ("unknown_tenant", StatusCode::NOT_FOUND.into_response());
        };
        let (head, body) = request.into_parts();
        let (body, _room) = match read_body(&endpoint.room, &head.headers, body).await {
            Ok(body) => body,
            Err(refused) => return refused,
        };
        let signature = head.headers.get(SIGNATURE_HEADER).map(HeaderValue::as_bytes);
        if let Err(error) = party.verifier.verify(signature, &body) {
            tracing::warn!(tenant = %party.id, %error, "a callback was not accepted as Meta's");
            let error = ApiError::new(ErrorCode::SignatureInvalid);
            return ("signature", error.into_response());
        }
        match take(&endpoint.ingress, &party, &body).await {
            Ok(()) => ("recorded", StatusCode::OK.into_response()),
            Err(error) => ("not_recorded", error.into_response()),
        }
    }
    .instrument(span)
    .await;
    metrics::callback(outcome, begun);
    response
}

/// The whole body, once there is room for it.
async fn read_body<'room>(
    room: &'room Semaphore,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Bytes, SemaphorePermit<'room>), (&'static str, Response)> {
    let too_large = || {
        let error = ApiError::new(ErrorCode::BodyTooLarge);
        ("too_large", error.into_response())
    };
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limits::CALLBACK_BYTES_MAX) {
        return Err(too_large());
    }
    let kib = length.unwrap_or(limits::CALLBACK_BYTES_MAX).div_ceil(1024).max(1) as u32;
    let gone = |_| ("interrupted", StatusCode::SERVICE_UNAVAILABLE.into_response());
    let permit = room.acquire_many(kib).await.map_err(gone)?;
    let reading = axum::body::to_bytes(body, limits::CALLBACK_BYTES_MAX);
    match tokio::time::timeout(limits::CALLBACK_READ_MAX, reading).await {
        Ok(Ok(body)) => Ok((body, permit)),
        Ok(Err(error)) if error.to_string().contains("length limit") => Err(too_large()),
        Ok(Err(_)) => Err(("interrupted", StatusCode::BAD_REQUEST.into_response())),
        Err(_elapsed) => Err(("interrupted", StatusCode::REQUEST_TIMEOUT.into_response())),
    }
}

/// Records everything a body says.
async fn take(ingress: &Ingress, party: &Arc<Party>, body: &[u8]) -> Result<(), ApiError> {
    let now = log::now();
    let mut plan = plan::Plan::new(&ingress.platform, party, now);
    match callback::parse(body) {
        Ok(updates) => {
            let tenants = ingress.parties.tenants();
            for received in updates {
                plan.add(received, &tenants);
            }
        }
        Err(error) => {
            tracing::warn!(tenant = %party.id, %error, "a signed callback is not JSON; it is kept as it is");
            plan.keep_whole("not_json");
        }
    }
    let (planned, tally) = plan.finish(body);
    record::record(&ingress.platform, party, planned).await?;
    tally.count();
    Ok(())
}

//! A span and the metrics of each call.

use crate::{
    api_error::{ApiError, ErrorCode},
    telemetry,
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue},
    middleware::Next,
    response::Response,
};
use http_body_util::BodyExt as _;
use metrics::{Counter, Histogram};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tonic::{Code, Status};
use tracing::Instrument as _;

/// The methods that exist, by path: whatever else is asked for gets one label, so that strangers cannot make labels.
#[derive(Debug)]
pub(super) struct Methods {
    by_path: HashMap<String, Arc<Method>>,
    unknown: Arc<Method>,
    services: Vec<String>,
}

/// A method, and what counts its calls.
#[derive(Debug)]
struct Method {
    label: String,
    /// Made with the first call: a process describes all services and has mostly one of them.
    meters: OnceLock<Meters>,
}

#[derive(Debug)]
struct Meters {
    /// One for each code, by its number, so that the first failure of a method is seen as an increase.
    calls: Vec<Counter>,
    seconds: Histogram,
}

/// The codes of gRPC: 0 to 16.
const CODES: i32 = 17;

impl Method {
    fn new(label: String) -> Arc<Self> {
        let meters = OnceLock::new();
        Arc::new(Self { label, meters })
    }

    fn count(&self, code: Code, took: Duration) {
        let meters = self.meters.get_or_init(|| {
            let calls = |code| {
                let labels = [
                    ("method", self.label.clone()),
                    ("code", code_name(Code::from_i32(code)).to_owned()),
                ];
                metrics::counter!("assent_runtime_grpc_calls_total", &labels)
            };
            Meters {
                calls: (0..CODES).map(calls).collect(),
                seconds: metrics::histogram!("assent_runtime_grpc_call_seconds", "method" => self.label.clone()),
            }
        });
        meters.calls[code as usize].increment(1);
        meters.seconds.record(took);
    }
}

impl Methods {
    /// The methods of the services described. What cannot be read has none; reflection reports it.
    pub(super) fn of(descriptor_sets: &[&[u8]]) -> Self {
        let mut methods = Self {
            by_path: HashMap::new(),
            unknown: Method::new("unknown".to_owned()),
            services: Vec::new(),
        };
        let files = descriptor_sets
            .iter()
            .filter_map(|set| FileDescriptorSet::decode(*set).ok())
            .flat_map(|set| set.file);
        for file in files {
            for service in &file.service {
                let name = format!("{}.{}", file.package(), service.name());
                for method in &service.method {
                    let label = format!("{}/{}", service.name(), method.name());
                    methods
                        .by_path
                        .insert(format!("/{name}/{}", method.name()), Method::new(label));
                }
                methods.services.push(name);
            }
        }
        methods
    }

    /// Full names of the services.
    pub(super) fn services(&self) -> Vec<String> {
        self.services.clone()
    }

    fn method(&self, path: &str) -> Arc<Method> {
        Arc::clone(self.by_path.get(path).unwrap_or(&self.unknown))
    }
}

/// Counts and times a call, and gives it a span that continues the caller's trace.
pub(super) async fn observe(State(methods): State<Arc<Methods>>, request: Request, next: Next) -> Response {
    let method = methods.method(request.uri().path());
    let span = tracing::info_span!("grpc.call", rpc.method = method.label);
    if let Some(traceparent) = request
        .headers()
        .get("traceparent")
        .and_then(|header| header.to_str().ok())
    {
        telemetry::set_parent(&span, traceparent);
    }
    let mut call = Call {
        method,
        begun: Instant::now(),
        code: None,
    };
    let response = clearer(next.run(request).instrument(span).await);
    let (parts, body) = response.into_parts();
    // An error without a body has its code here, everything else in the trailers.
    call.read(&parts.headers);
    let body = body.map_frame(move |frame| {
        if let Some(trailers) = frame.trailers_ref() {
            call.read(trailers);
        }
        frame
    });
    Response::from_parts(parts, Body::new(body))
}

/// tonic answers a message that is too large with a code that says "out of range"; callers get ours.
fn clearer(response: Response) -> Response {
    if response.headers().get("grpc-status").is_none_or(|code| code != "11") {
        return response;
    }
    let too_large = Status::from_header_map(response.headers())
        .filter(|status| status.message().contains("decoded message length too large"));
    match too_large {
        Some(status) => Status::from(ApiError::new(ErrorCode::BodyTooLarge).message(status.message())).into_http(),
        None => response,
    }
}

/// A call under way; it is recorded when it is dropped, however it ends.
struct Call {
    method: Arc<Method>,
    begun: Instant,
    code: Option<Code>,
}

impl Call {
    fn read(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get("grpc-status").map(HeaderValue::as_bytes) {
            self.code = Some(Code::from_bytes(code));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Without a code the caller hung up first.
        let code = self.code.unwrap_or(Code::Cancelled);
        self.method.count(code, self.begun.elapsed());
    }
}

const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

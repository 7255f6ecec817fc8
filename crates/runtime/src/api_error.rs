//! Errors as callers see them: one closed list of codes, each mapped once to gRPC and once to HTTP.

use axum::response::{IntoResponse, Response};
use std::{collections::HashMap, fmt, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// `google.rpc.ErrorInfo.domain` of every error of ours.
pub const ERROR_DOMAIN: &str = "assent";

/// Most bytes of details in one error. They travel base64-encoded in a header, and some gRPC implementations refuse
/// more than 8 KiB of headers.
pub const DETAILS_BYTES_MAX: usize = 5_000;

/// Longest text of one violation, in bytes; longer ones are cut.
const TEXT_BYTES_MAX: usize = 300;

/// Whether asking again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request will fail again.
    Never,
    /// The same request may succeed later.
    Later,
}

/// Everything that can be wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// Fields of the request are wrong; each is named.
    InvalidRequest,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// No API key was given.
    ApiKeyMissing,
    /// The API key is not one of ours.
    ApiKeyInvalid,
    /// The API key was revoked.
    ApiKeyRevoked,
    /// The signature of a callback is missing or wrong.
    SignatureInvalid,
    /// The API key lacks a scope.
    ScopeMissing,
    /// The tenant has no such message.
    MessageUnknown,
    /// The tenant has no such number.
    NumberUnknown,
    /// The account has no such template.
    TemplateUnknown,
    /// Nothing is recorded about the contact.
    ContactUnknown,
    /// The contact is not suppressed.
    SuppressionUnknown,
    /// The tenant has no such file, or it was erased.
    FileUnknown,
    /// The file is not fetched yet.
    FileNotFetched,
    /// The file could not be fetched.
    FileUnavailable,
    /// The idempotency key was used for another request.
    IdempotencyKeyReused,
    /// A gate refused the message.
    MessageRefused,
    /// The person withdrew, and what was to be recorded does not bring them back.
    ConsentWithdrawn,
    /// The message was already handed over or has ended.
    TooLate,
    /// What was to be changed changed meanwhile.
    Conflict,
    /// The caller read its stream too slowly.
    SubscriberTooSlow,
    /// A position beyond the newest event.
    PositionAhead,
    /// Meta refused what was asked of it.
    ProviderRefused,
    /// Meta takes no more calls for now.
    ProviderThrottled,
    /// Meta did not answer.
    ProviderUnavailable,
    /// Too much is in flight or waiting.
    Overloaded,
    /// The store cannot be reached.
    StoreUnavailable,
    /// The process is ending.
    ShuttingDown,
    /// The caller's deadline passed.
    DeadlineExceeded,
    /// Our fault.
    Internal,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 30] = [
        Self::InvalidRequest,
        Self::BodyTooLarge,
        Self::ApiKeyMissing,
        Self::ApiKeyInvalid,
        Self::ApiKeyRevoked,
        Self::SignatureInvalid,
        Self::ScopeMissing,
        Self::MessageUnknown,
        Self::NumberUnknown,
        Self::TemplateUnknown,
        Self::ContactUnknown,
        Self::SuppressionUnknown,
        Self::FileUnknown,
        Self::FileNotFetched,
        Self::FileUnavailable,
        Self::IdempotencyKeyReused,
        Self::MessageRefused,
        Self::ConsentWithdrawn,
        Self::TooLate,
        Self::Conflict,
        Self::SubscriberTooSlow,
        Self::PositionAhead,
        Self::ProviderRefused,
        Self::ProviderThrottled,
        Self::ProviderUnavailable,
        Self::Overloaded,
        Self::StoreUnavailable,
        Self::ShuttingDown,
        Self::DeadlineExceeded,
        Self::Internal,
    ];

    /// The table: reason on the wire, gRPC code, HTTP status, retry, default message.
    const fn row(self) -> (&'static str, Code, u16, Retry, &'static str) {
        use Retry::{Later, Never};
        match self {
            Self::InvalidRequest => (
                "INVALID_REQUEST",
                Code::InvalidArgument,
                400,
                Never,
                "the request is not valid",
            ),
            Self::BodyTooLarge => (
                "BODY_TOO_LARGE",
                Code::InvalidArgument,
                413,
                Never,
                "the body is too large",
            ),
            Self::ApiKeyMissing => (
                "API_KEY_MISSING",
                Code::Unauthenticated,
                401,
                Never,
                "no API key was given",
            ),
            Self::ApiKeyInvalid => (
                "API_KEY_INVALID",
                Code::Unauthenticated,
                401,
                Never,
                "the API key is not valid",
            ),
            Self::ApiKeyRevoked => (
                "API_KEY_REVOKED",
                Code::Unauthenticated,
                401,
                Never,
                "the API key was revoked",
            ),
            Self::SignatureInvalid => (
                "SIGNATURE_INVALID",
                Code::Unauthenticated,
                401,
                Never,
                "the signature is missing or wrong",
            ),
            Self::ScopeMissing => (
                "SCOPE_MISSING",
                Code::PermissionDenied,
                403,
                Never,
                "the API key lacks a scope",
            ),
            Self::MessageUnknown => (
                "MESSAGE_UNKNOWN",
                Code::NotFound,
                404,
                Never,
                "there is no such message",
            ),
            Self::NumberUnknown => ("NUMBER_UNKNOWN", Code::NotFound, 404, Never, "there is no such number"),
            Self::TemplateUnknown => (
                "TEMPLATE_UNKNOWN",
                Code::NotFound,
                404,
                Never,
                "there is no such template in this language",
            ),
            Self::ContactUnknown => (
                "CONTACT_UNKNOWN",
                Code::NotFound,
                404,
                Never,
                "nothing is known of the contact",
            ),
            Self::SuppressionUnknown => (
                "SUPPRESSION_UNKNOWN",
                Code::NotFound,
                404,
                Never,
                "the contact is not suppressed",
            ),
            Self::FileUnknown => ("FILE_UNKNOWN", Code::NotFound, 404, Never, "there is no such file"),
            Self::FileNotFetched => (
                "FILE_NOT_FETCHED",
                Code::Unavailable,
                503,
                Later,
                "the file is still being fetched",
            ),
            Self::FileUnavailable => (
                "FILE_UNAVAILABLE",
                Code::FailedPrecondition,
                410,
                Never,
                "the file could not be fetched",
            ),
            Self::IdempotencyKeyReused => (
                "IDEMPOTENCY_KEY_REUSED",
                Code::AlreadyExists,
                409,
                Never,
                "the key was used for another request",
            ),
            Self::MessageRefused => (
                "MESSAGE_REFUSED",
                Code::FailedPrecondition,
                422,
                Never,
                "the message was refused",
            ),
            Self::ConsentWithdrawn => (
                "CONSENT_WITHDRAWN",
                Code::FailedPrecondition,
                409,
                Never,
                "the person withdrew",
            ),
            Self::TooLate => (
                "TOO_LATE",
                Code::FailedPrecondition,
                409,
                Never,
                "the message is already on its way",
            ),
            Self::Conflict => (
                "CONFLICT",
                Code::Aborted,
                409,
                Later,
                "it was changed by somebody else meanwhile",
            ),
            Self::SubscriberTooSlow => (
                "SUBSCRIBER_TOO_SLOW",
                Code::Aborted,
                409,
                Later,
                "the stream was read too slowly",
            ),
            Self::PositionAhead => (
                "POSITION_AHEAD",
                Code::OutOfRange,
                416,
                Never,
                "the position lies beyond the newest event",
            ),
            Self::ProviderRefused => (
                "PROVIDER_REFUSED",
                Code::FailedPrecondition,
                422,
                Never,
                "Meta refused this",
            ),
            Self::ProviderThrottled => (
                "PROVIDER_THROTTLED",
                Code::ResourceExhausted,
                429,
                Later,
                "Meta takes no more calls for now",
            ),
            Self::ProviderUnavailable => (
                "PROVIDER_UNAVAILABLE",
                Code::Unavailable,
                503,
                Later,
                "Meta did not answer",
            ),
            Self::Overloaded => ("OVERLOADED", Code::ResourceExhausted, 429, Later, "too much is waiting"),
            Self::StoreUnavailable => (
                "STORE_UNAVAILABLE",
                Code::Unavailable,
                503,
                Later,
                "the store cannot be reached",
            ),
            Self::ShuttingDown => ("SHUTTING_DOWN", Code::Unavailable, 503, Later, "the process is ending"),
            Self::DeadlineExceeded => (
                "DEADLINE_EXCEEDED",
                Code::DeadlineExceeded,
                504,
                Later,
                "the deadline passed",
            ),
            Self::Internal => (
                "INTERNAL",
                Code::Internal,
                500,
                Later,
                "something went wrong on our side",
            ),
        }
    }

    /// The reason on the wire, e.g. `IDEMPOTENCY_KEY_REUSED`; never changes.
    pub const fn reason(self) -> &'static str {
        self.row().0
    }

    /// The gRPC status code.
    pub const fn grpc(self) -> Code {
        self.row().1
    }

    /// The HTTP status.
    pub const fn http(self) -> u16 {
        self.row().2
    }

    /// Whether asking again may help.
    pub const fn retry(self) -> Retry {
        self.row().3
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.reason())
    }
}

/// A refusal of a gate, as a violation of a precondition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition {
    /// The reason, for machines, e.g. `CONSENT_MISSING`.
    pub kind: String,
    /// The gate, e.g. `GATE_CONSENT`.
    pub subject: String,
    /// Why, and what to do about it.
    pub description: String,
}

/// A field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// Path in the request, e.g. `content.template.name`.
    pub field: String,
    /// What is wrong; never repeats the value.
    pub description: String,
}

/// An error to answer a caller with. None of its texts may hold personal data.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError(Box<Inner>);

#[derive(Debug, Clone, PartialEq)]
struct Inner {
    code: ErrorCode,
    message: String,
    fields: Vec<FieldProblem>,
    preconditions: Vec<Precondition>,
    metadata: HashMap<String, String>,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// An error with the code's own message.
    pub fn new(code: ErrorCode) -> Self {
        Self(Box::new(Inner {
            code,
            message: code.row().4.to_owned(),
            fields: Vec::new(),
            preconditions: Vec::new(),
            metadata: HashMap::new(),
            retry_after: None,
        }))
    }

    /// Our fault: the cause is logged under a random id, and the caller gets the id only.
    pub fn internal(cause: impl fmt::Display) -> Self {
        let mut id = [0_u8; 8];
        // Without randomness the id is zeros, which is no reason to fail.
        let _ = aws_lc_rs::rand::fill(&mut id);
        let id = crate::hex::encode(&id);
        tracing::error!(error_id = id, cause = %cause, "internal error answered to a caller");
        Self::new(ErrorCode::Internal).metadata("error_id", id)
    }

    /// Its code.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// What is wrong with which field.
    pub fn fields(&self) -> &[FieldProblem] {
        &self.0.fields
    }

    /// The preconditions that do not hold.
    pub fn preconditions(&self) -> &[Precondition] {
        &self.0.preconditions
    }

    /// How long to wait before asking again.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The sentence for people.
    pub fn text(&self) -> &str {
        &self.0.message
    }

    /// Replaces the message.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    /// Adds a field that is wrong.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.0.fields.push(FieldProblem {
            field: field.into(),
            description: description.into(),
        });
        self
    }

    /// Adds a precondition that does not hold.
    #[must_use]
    pub fn precondition(mut self, precondition: Precondition) -> Self {
        self.0.preconditions.push(precondition);
        self
    }

    /// Adds a fact for machines, to `ErrorInfo.metadata`.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.metadata.insert(key.into(), value.into());
        self
    }

    /// Says when to ask again.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// The details of the gRPC status, as many as fit.
    fn details(&self) -> ErrorDetails {
        let mut details = ErrorDetails::with_error_info(self.0.code.reason(), ERROR_DOMAIN, self.0.metadata.clone());
        if self.0.retry_after.is_some() {
            details.set_retry_info(self.0.retry_after);
        }
        let mut room = DETAILS_BYTES_MAX;
        let mut left_out = 0;
        let mut fits = |texts: &[&str]| {
            // A few bytes of tags and lengths for each.
            let needed: usize = texts.iter().map(|text| text.len().min(TEXT_BYTES_MAX) + 4).sum();
            let fits = needed <= room;
            room = room.saturating_sub(needed);
            left_out += usize::from(!fits);
            fits
        };
        for Precondition {
            kind,
            subject,
            description,
        } in &self.0.preconditions
        {
            if fits(&[kind, subject, description]) {
                details.add_precondition_failure_violation(cut(kind), cut(subject), cut(description));
            }
        }
        for FieldProblem { field, description } in &self.0.fields {
            if fits(&[field, description]) {
                details.add_bad_request_violation(cut(field), cut(description));
            }
        }
        if left_out > 0 {
            let mut metadata = self.0.metadata.clone();
            metadata.insert("violations_left_out".to_owned(), left_out.to_string());
            details.set_error_info(self.0.code.reason(), ERROR_DOMAIN, metadata);
        }
        details
    }

    /// The body of an HTTP answer.
    fn to_json(&self) -> serde_json::Value {
        let fields: Vec<_> = self
            .0
            .fields
            .iter()
            .map(|problem| serde_json::json!({ "field": problem.field, "description": problem.description }))
            .collect();
        serde_json::json!({ "error": {
            "reason": self.0.code.reason(), "message": self.0.message, "metadata": self.0.metadata, "fields": fields,
        } })
    }
}

/// The beginning of a text that is too long.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.0.code, self.0.message)
    }
}

impl std::error::Error for ApiError {}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        Status::with_error_details(error.0.code.grpc(), error.0.message.clone(), error.details())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = axum::http::StatusCode::from_u16(self.0.code.http()).expect("the table holds valid statuses");
        let mut response = (status, axum::Json(self.to_json())).into_response();
        if let Some(delay) = self.0.retry_after {
            let seconds = delay.as_millis().div_ceil(1_000) as u64;
            response
                .headers_mut()
                .insert(axum::http::header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

#[cfg(test)]
mod tests;

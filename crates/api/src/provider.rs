//! What it means to a caller that Meta refused or did not answer a call made on its behalf.

use assent_runtime::api_error::{ApiError, ErrorCode};
use assent_whatsapp::{
    GraphError,
    client::CallError,
    error_table::{RetryClass, Scope},
};
use std::time::Duration;

/// When it is worth asking again while Meta does not answer.
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(5);

/// When it is worth asking again after Meta throttled; its management limits are by the hour.
const THROTTLED_RETRY_AFTER: Duration = Duration::from_mins(1);

/// Longest sentence of Meta's that is passed on, in characters.
const QUOTE_CHARS_MAX: usize = 300;

/// Whether Meta's own sentence may be shown: it may quote the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    /// The request holds nothing personal.
    Shown,
    /// It does.
    Hidden,
}

/// A failed call as the caller learns of it.
pub fn call_error(error: &CallError, quote: Quote) -> ApiError {
    match error {
        CallError::Graph(error) => graph_error(error, quote),
        CallError::Endless => ApiError::internal(error),
        CallError::NotSent(_) | CallError::Timeout | CallError::ConnectionLost | CallError::Unreadable { .. } => {
            ApiError::new(ErrorCode::ProviderUnavailable)
                .message(error.to_string())
                .retry_after(UNAVAILABLE_RETRY_AFTER)
        }
    }
}

fn graph_error(error: &GraphError, quote: Quote) -> ApiError {
    let entry = error.entry();
    let code = match (error.code, entry.retry) {
        (132_001, _) => ErrorCode::TemplateUnknown,
        (139_102, _) => ErrorCode::Conflict,
        (_, RetryClass::Safe) => ErrorCode::ProviderThrottled,
        (_, RetryClass::UnsafeMayHaveBeenSent) if error.is_transient != Some(false) && entry.scope != Scope::Token => {
            ErrorCode::ProviderUnavailable
        }
        _ => ErrorCode::ProviderRefused,
    };
    let mut answer = ApiError::new(code)
        .message(format!("Meta answered {}: {}", error.code, entry.meaning))
        .metadata("provider_code", error.code.to_string())
        .metadata("remedy", entry.remedy);
    if let Some(subcode) = error.subcode {
        answer = answer.metadata("provider_subcode", subcode.to_string());
    }
    if let Some(trace_id) = &error.trace_id {
        answer = answer.metadata("provider_trace_id", cut(trace_id));
    }
    let sentence = error
        .user_message
        .as_ref()
        .or(error.details.as_ref())
        .or(error.message.as_ref());
    if let Some(sentence) = sentence.filter(|_| quote == Quote::Shown) {
        answer = answer.metadata("provider_message", cut(sentence));
    }
    match code {
        ErrorCode::ProviderThrottled => answer.retry_after(THROTTLED_RETRY_AFTER),
        ErrorCode::ProviderUnavailable | ErrorCode::Conflict => answer.retry_after(UNAVAILABLE_RETRY_AFTER),
        _ => answer,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(QUOTE_CHARS_MAX).collect()
}

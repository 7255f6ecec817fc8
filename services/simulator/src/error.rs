//! Graph API errors: the codes the simulator gives, their titles, HTTP statuses and JSON forms.

use std::fmt;

use serde::Serialize;

/// An error as the Graph API reports it, in the answer or, as `failed`, in a callback.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct GraphError {
    /// Error code; what clients switch on.
    pub(crate) code: u32,
    /// Old-style subcode, where it is still seen.
    pub(crate) subcode: Option<u32>,
    /// What exactly was wrong. May quote the request, so it never goes into a log.
    pub(crate) details: String,
    /// HTTP status of the answer.
    pub(crate) http_status: u16,
}

impl fmt::Debug for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphError")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

impl GraphError {
    /// An error with this code; title and HTTP status come from the table.
    pub(crate) fn new(code: u32, details: impl Into<String>) -> Self {
        Self {
            code,
            subcode: None,
            details: details.into(),
            http_status: http_status(code),
        }
    }

    /// A node id that does not exist or may not be seen, as the Graph API words it (code 100, subcode 33).
    pub(crate) fn no_such_object(id: &str) -> Self {
        let details = format!(
            "Unsupported request. Object with ID '{id}' does not exist, cannot be loaded due to missing permissions, \
             or does not support this operation"
        );
        Self {
            subcode: Some(33),
            ..Self::new(100, details)
        }
    }

    /// The JSON body of the answer. `trace` makes up `fbtrace_id`.
    pub(crate) fn to_body(&self, trace: u64) -> Vec<u8> {
        let title = title(self.code);
        let message = match self.code {
            0 | 104 | 190 => self.details.clone(),
            100 if self.subcode.is_some() => self.details.clone(),
            code => format!("(#{code}) {title}"),
        };
        let trace_id = format!("A{trace:016x}");
        crate::ascii_json::to_vec(&Body {
            error: ErrorObject {
                message: &message,
                kind: "OAuthException",
                code: self.code,
                error_subcode: self.subcode,
                error_data: (!self.details.is_empty() && self.subcode.is_none()).then_some(ErrorData {
                    messaging_product: "whatsapp",
                    details: &self.details,
                }),
                fbtrace_id: &trace_id,
            },
        })
    }
}

#[derive(Serialize)]
struct Body<'a> {
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    code: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_subcode: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_data: Option<ErrorData<'a>>,
    fbtrace_id: &'a str,
}

#[derive(Serialize)]
struct ErrorData<'a> {
    messaging_product: &'a str,
    details: &'a str,
}

/// The HTTP status that goes with a code. Meta no longer documents it; clients must not switch on it.
fn http_status(code: u32) -> u16 {
    match code {
        0 | 104 | 190 => 401,
        10 | 200..=299 | 368 | 130_497 | 131_005 | 131_031 => 403,
        132_001 => 404,
        2 | 133_004 => 503,
        3 | 131_000 | 131_016 | 131_045 | 131_057 | 133_000 | 134_102 => 500,
        131_208 => 429,
        _ => 400,
    }
}

/// The short text of a code.
pub(crate) fn title(code: u32) -> &'static str {
    match code {
        0 => "AuthException",
        1 => "API Unknown",
        2 => "API Service",
        3 => "API Method",
        4 => "API Too Many Calls",
        10 => "Permission Denied",
        100 => "Invalid parameter",
        104 => "Access token required",
        190 => "Access token has expired",
        200..=299 => "API Permission",
        368 => "Temporarily blocked for policies violations",
        80_007 => "Rate limit issues",
        130_403 => "Business has blocked this user",
        130_429 => "Rate limit hit",
        130_472 => "User's number is part of an experiment",
        130_497 => "Business account is restricted from messaging users in this country",
        131_000 => "Something went wrong",
        131_005 => "Access denied",
        131_008 => "Required parameter is missing",
        33 | 131_009 => "Parameter value is not valid",
        131_016 => "Service unavailable",
        131_021 => "Recipient cannot be sender",
        131_026 => "Message undeliverable",
        131_030 => "Recipient phone number not in allowed list",
        131_031 => "Account has been locked",
        131_042 => "Business eligibility payment issue",
        131_047 => "Re-engagement message",
        131_048 => "Spam rate limit hit",
        131_049 => "This message was not delivered to maintain healthy ecosystem engagement.",
        131_050 => "User has stopped receiving marketing messages",
        131_051 => "Unsupported message type",
        131_052 => "Media download error",
        131_053 => "Media upload error",
        131_055 => "Method not allowed",
        131_056 => "(Business Account, Consumer Account) pair rate limit hit",
        131_057 => "Account in maintenance mode",
        131_062 => "Business-scoped user ids are not supported for this message",
        132_000 => "Number of parameters does not match the expected number of params",
        132_001 => "Template name does not exist in the translation",
        132_005 => "Translated text too long",
        132_007 => "Template format character policy violated",
        132_012 => "Parameter format does not match format in the created template",
        132_015 => "Template is paused",
        132_016 => "Template is disabled",
        132_018 => "Template parameters are not valid",
        133_010 => "Phone number not registered",
        133_016 => "Account register deregister rate limit exceeded",
        134_100 => "Only marketing templates are supported",
        135_000 => "Generic user error",
        137_000 => "Recipient identity key hash mismatch",
        139_100 => "Failed to block or unblock some users",
        2_388_023 | 2_388_024 => "Template content already exists",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_body_has_the_documented_members() {
        let body = GraphError::new(132_000, "body: 1 given, 2 expected").to_body(7);
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["error"]["code"], 132_000);
        assert_eq!(json["error"]["type"], "OAuthException");
        assert_eq!(json["error"]["error_data"]["details"], "body: 1 given, 2 expected");
        assert!(json["error"]["message"].as_str().unwrap().starts_with("(#132000) "));
    }
}

//! An error as the Graph API or a callback states it.

use serde_json::Value;

use crate::error_table::{self, ErrorEntry};
use crate::json::Fields;
use crate::redact::redacted_debug;

/// One error from Meta, from an HTTP answer or from a callback. Only [`GraphError::code`] is stable enough to decide by;
/// titles, messages and HTTP statuses are not (Cloud API error code reference).
///
/// `Debug` and `Display` print codes and the trace id. Titles and details may quote what was sent, so they are fields only.
#[derive(Clone, PartialEq)]
pub struct GraphError {
    /// Meta's code; 0 is itself a code (the token cannot be authenticated).
    pub code: i64,
    /// The sub-code, mostly gone since v16 but still seen with code 190.
    pub subcode: Option<i64>,
    /// `type` of an HTTP error, for example `OAuthException`.
    pub kind: Option<String>,
    /// Short title (callbacks, and `error_user_title` of template management).
    pub title: Option<String>,
    /// Text of the error. May quote the request.
    pub message: Option<String>,
    /// `error_data.details`: the part that says what exactly was wrong. May quote the request.
    pub details: Option<String>,
    /// Text meant for a person (`error_user_msg`, template management).
    pub user_message: Option<String>,
    /// Meta's own hint that trying again may help.
    pub is_transient: Option<bool>,
    /// The id Meta's support asks for.
    pub trace_id: Option<String>,
    /// Link to the documentation.
    pub href: Option<String>,
}

redacted_debug!(GraphError {
    code,
    subcode,
    kind,
    is_transient,
    trace_id
});

impl GraphError {
    /// What is known of this code: meaning, fault, scope, whether it may be tried again, remedy.
    pub fn entry(&self) -> &'static ErrorEntry {
        error_table::look_up(self.code)
    }

    /// Reads an error object; `None` without a numeric code.
    pub(crate) fn from_fields(mut fields: Fields) -> Option<Self> {
        let code = fields.integer("code")?;
        let mut data = fields.object("error_data").unwrap_or_default();
        Some(Self {
            code,
            subcode: fields.integer("error_subcode"),
            kind: fields.text("type"),
            title: fields.text("title").or_else(|| fields.text("error_user_title")),
            message: fields.text("message"),
            details: data.text("details"),
            user_message: fields.text("error_user_msg"),
            is_transient: fields.boolean("is_transient"),
            trace_id: fields.text("fbtrace_id"),
            href: fields.text("href"),
        })
    }

    /// Reads the body of an HTTP answer: `{"error": {…}}`.
    pub(crate) fn from_answer(body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        Self::take_from(&mut Fields::from_value(value)?)
    }

    /// The same out of a body that was read before.
    pub(crate) fn take_from(answer: &mut Fields) -> Option<Self> {
        Self::from_fields(answer.object("error")?)
    }
}

impl std::fmt::Display for GraphError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Meta error {}", self.code)?;
        if let Some(subcode) = self.subcode {
            write!(formatter, "/{subcode}")?;
        }
        write!(formatter, " ({})", self.entry().meaning)
    }
}

impl std::error::Error for GraphError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_error_is_read_and_its_texts_are_not_printed() {
        let body = br#"{"error":{"message":"(#131030) +12025550142 not allowed","type":"OAuthException","code":131030,
            "error_data":{"messaging_product":"whatsapp","details":"+12025550142"},"fbtrace_id":"A9x"}}"#;
        let error = GraphError::from_answer(body).unwrap();
        assert_eq!(error.code, 131_030);
        assert_eq!(error.details.as_deref(), Some("+12025550142"));
        let printed = format!("{error} {error:?}");
        assert!(printed.contains("131030") && printed.contains("A9x"), "{printed}");
        assert!(!printed.contains("2025550142"), "{printed}");
    }

    #[test]
    fn a_body_without_a_code_is_no_graph_error() {
        for body in [
            &b"<html>"[..],
            b"{}",
            b"{\"error\":\"x\"}",
            b"{\"error\":{\"message\":\"x\"}}",
            b"",
        ] {
            assert_eq!(GraphError::from_answer(body), None);
        }
    }
}

//! An error of the server as a person reads it: every named problem, and what to do about it.

use std::fmt;

use assent_proto::v1::Refusal;
use tonic::Status;
use tonic_types::StatusExt as _;

use super::words::reason_name;

/// What the server answered instead.
#[derive(Debug)]
pub(crate) struct Failure(Vec<String>);

impl From<&Status> for Failure {
    fn from(status: &Status) -> Self {
        let mut lines = vec![match reason_of(status) {
            Some(reason) => format!("{reason}: {}", status.message()),
            None => format!("{}: {}", status.code(), status.message()),
        }];
        let details = status.get_error_details();
        for violation in details.bad_request().into_iter().flat_map(|bad| &bad.field_violations) {
            lines.push(format!("  {}: {}", violation.field, violation.description));
        }
        for violation in details
            .precondition_failure()
            .into_iter()
            .flat_map(|failure| &failure.violations)
        {
            lines.push(format!("  {}: {}", violation.r#type, violation.description));
        }
        for (name, text) in details.error_info().into_iter().flat_map(|info| &info.metadata) {
            lines.push(format!("  {name}: {text}"));
        }
        if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
            lines.push(format!("  try again in {:.1} s", delay.as_secs_f64()));
        }
        Self(lines)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::from(&status)
    }
}

impl Failure {
    /// A message held back, by refusals in full.
    pub(super) fn refused(message_id: &str, refusals: &[Refusal]) -> Self {
        let mut lines = vec![format!("message {message_id} was refused")];
        for refusal in refusals {
            lines.push(format!("  {}: {}", reason_name(refusal.reason), refusal.explanation));
            lines.push(format!("    {}", refusal.remedy));
        }
        Self(lines)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Failure {}

/// The reason in an error of ours, e.g. `MESSAGE_REFUSED`.
pub(crate) fn reason_of(status: &Status) -> Option<String> {
    Some(status.get_error_details().error_info()?.reason.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_runtime::api_error::{ApiError, ErrorCode};

    #[test]
    fn every_bad_field_is_named() {
        let error = ApiError::new(ErrorCode::InvalidRequest)
            .field("to.phone_number", "is not a phone number")
            .field("content", "is missing");
        let text = Failure::from(Status::from(error)).to_string();
        assert!(text.starts_with("INVALID_REQUEST: "), "{text}");
        assert!(text.contains("to.phone_number: is not a phone number"), "{text}");
        assert!(text.contains("content: is missing"), "{text}");
    }
}

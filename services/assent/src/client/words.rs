//! The contract's words and moments as people read them.

use assent_proto::v1::{ConsentState, Gate, MessageCategory, MessageState, RefusalReason};
use prost_types::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The name of a value of the contract without the prefix all values share, e.g. `CONSENT_MISSING`.
fn name<T: TryFrom<i32>>(value: i32, prefix: &str, as_str: impl Fn(&T) -> &'static str) -> String {
    let known = T::try_from(value).ok();
    // A newer server may answer what this program does not know.
    known.map_or_else(
        || value.to_string(),
        |value| {
            let name = as_str(&value);
            name.strip_prefix(prefix).unwrap_or(name).to_owned()
        },
    )
}

/// A refusal's reason, e.g. `CONSENT_MISSING`.
pub(crate) fn reason_name(reason: i32) -> String {
    name(reason, "REFUSAL_REASON_", RefusalReason::as_str_name)
}

/// A message's state, e.g. `delivered`.
pub(crate) fn state_name(state: i32) -> String {
    name(state, "MESSAGE_STATE_", MessageState::as_str_name)
        .to_lowercase()
        .replace('_', " ")
}

/// A gate, e.g. `platform stop`.
pub(super) fn gate_name(gate: i32) -> String {
    name(gate, "GATE_", Gate::as_str_name).to_lowercase().replace('_', " ")
}

/// A category, e.g. `marketing`.
pub(super) fn category_name(category: i32) -> String {
    name(category, "MESSAGE_CATEGORY_", MessageCategory::as_str_name).to_lowercase()
}

/// Whether somebody agreed, e.g. `opted in`.
pub(super) fn consent_name(state: i32) -> String {
    name(state, "CONSENT_STATE_", ConsentState::as_str_name)
        .to_lowercase()
        .replace('_', " ")
}

/// A moment in UTC, to the second.
pub(super) fn moment(at: Option<&Timestamp>) -> String {
    let at = at.and_then(|at| OffsetDateTime::from_unix_timestamp(at.seconds).ok());
    at.and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_unknown_ones_are_numbers() {
        assert_eq!(reason_name(RefusalReason::ConsentMissing.into()), "CONSENT_MISSING");
        assert_eq!(state_name(MessageState::OutcomeUnknown.into()), "outcome unknown");
        assert_eq!(state_name(9_999), "9999");
        assert_eq!(
            moment(Some(&Timestamp { seconds: 0, nanos: 5 })),
            "1970-01-01T00:00:00Z"
        );
    }
}

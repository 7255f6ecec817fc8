//! Whom a message is for.

use super::check::Checker;
use crate::limits;

/// The recipient of a message.
#[derive(Clone, PartialEq, Eq)]
pub enum Recipient {
    /// A phone number in E.164 with its plus sign. Without the plus Meta may put the business number's own country code
    /// in front (Cloud API, "Messages" reference), so it is required here.
    Phone(String),
    /// A business-scoped user id, for users who show no phone number (accepted since May 2026).
    /// One-time-password templates with buttons cannot go to it (error 131062).
    BusinessScopedUser(String),
    /// A group id.
    Group(String),
}

impl std::fmt::Debug for Recipient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Phone(_) => "Phone(redacted)",
            Self::BusinessScopedUser(_) => "BusinessScopedUser(redacted)",
            Self::Group(_) => "Group(redacted)",
        })
    }
}

impl Recipient {
    pub(super) fn recipient_type(&self) -> &'static str {
        match self {
            Self::Phone(_) | Self::BusinessScopedUser(_) => "individual",
            Self::Group(_) => "group",
        }
    }

    /// Key and value in the body.
    pub(super) fn wire(&self) -> (&'static str, &str) {
        match self {
            Self::Phone(number) => ("to", number),
            Self::BusinessScopedUser(id) => ("recipient", id),
            Self::Group(id) => ("to", id),
        }
    }

    /// The number or id itself.
    pub(crate) fn id(&self) -> &str {
        self.wire().1
    }

    pub(crate) fn check(&self, checker: &mut Checker) {
        match self {
            Self::Phone(number) if !is_e164(number) => checker.problem_at(
                "to",
                "not an E.164 number",
                format!(
                    "+, country code and number: {} to {} digits",
                    limits::PHONE_DIGITS_MIN,
                    limits::PHONE_DIGITS_MAX
                ),
            ),
            Self::BusinessScopedUser(id) if !is_user_id(id) => checker.problem_at(
                "recipient",
                "not a business-scoped user id",
                format!(
                    "two capitals, a dot and an id (US.123, US.ENT.123), up to {} characters",
                    limits::USER_ID_CHARS_MAX
                ),
            ),
            Self::Group(id) => checker.filled("to", id),
            Self::Phone(_) | Self::BusinessScopedUser(_) => {}
        }
    }
}

fn is_e164(number: &str) -> bool {
    let Some(digits) = number.strip_prefix('+') else {
        return false;
    };
    (limits::PHONE_DIGITS_MIN..=limits::PHONE_DIGITS_MAX).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|digit| digit.is_ascii_digit())
}

fn is_user_id(id: &str) -> bool {
    let Some((country, rest)) = id.split_once('.') else {
        return false;
    };
    let rest = rest.strip_prefix("ENT.").unwrap_or(rest);
    country.len() == 2
        && country.bytes().all(|letter| letter.is_ascii_uppercase())
        && !rest.is_empty()
        && rest
            .bytes()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
        && id.len() <= limits::USER_ID_CHARS_MAX
}

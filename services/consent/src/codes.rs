//! The codes of Meta's that say something about a person. Source: Meta's error table, as `assent-whatsapp` has it.

/// The message cannot be delivered to this person: not on WhatsApp, or too old a version of it.
pub(crate) const UNDELIVERABLE: i64 = 131_026;

/// The customer service window is closed.
pub(crate) const WINDOW_CLOSED: i64 = 131_047;

/// The person stopped marketing of this business within WhatsApp.
pub(crate) const PLATFORM_STOPPED: i64 = 131_050;

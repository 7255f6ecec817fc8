//! What we conclude about our numbers. Stream key: the number id. Owner: status-tracker.

use serde::{Deserialize, Serialize};

use super::ObservedFrom;
use crate::values::{PhoneNumberId, TenantId, Term, Timestamp, WabaId};

super::event_catalogue! {
    /// What we conclude about one of our numbers.
    NumberEvent in Number {
        /// The number was looked at and something differs from before.
        Observed(NumberObserved) = "number.observed" v 1,
    }
}

/// The state of a number, in Meta's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberStatus {
    /// It works.
    Connected,
    /// Not yet set up.
    Pending,
    /// Not reachable.
    Offline,
    /// Ownership not proved.
    Unverified,
    /// Taken off the platform.
    Disconnected,
    /// No new business-initiated conversations; answering is allowed.
    Restricted,
    /// Sending too fast for its standing; treated like restricted.
    RateLimited,
    /// Low quality (before October 2025); still sends.
    Flagged,
    /// Banned.
    Banned,
    /// Moved to another account.
    Migrated,
    /// Deleted.
    Deleted,
    /// Meta says unknown, says something new, or nobody has asked yet.
    Unknown,
}

impl NumberStatus {
    const NAMES: [(Self, &'static str); 12] = [
        (Self::Connected, "connected"),
        (Self::Pending, "pending"),
        (Self::Offline, "offline"),
        (Self::Unverified, "unverified"),
        (Self::Disconnected, "disconnected"),
        (Self::Restricted, "restricted"),
        (Self::RateLimited, "rate_limited"),
        (Self::Flagged, "flagged"),
        (Self::Banned, "banned"),
        (Self::Migrated, "migrated"),
        (Self::Deleted, "deleted"),
        (Self::Unknown, "unknown"),
    ];

    /// The stable name: Meta's word in small letters.
    pub fn as_str(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(status, _)| *status == self)
            .map_or("unknown", |(_, name)| name)
    }

    /// From Meta's word, in any case; a new word is `Unknown`.
    pub fn from_provider(word: &str) -> Self {
        Self::NAMES
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(word))
            .map_or(Self::Unknown, |(status, _)| *status)
    }
}

/// Meta's quality colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QualityRating {
    /// High.
    Green,
    /// Medium.
    Yellow,
    /// Low.
    Red,
    /// Too little to say, or a word we do not know.
    Unknown,
}

impl QualityRating {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
            Self::Unknown => "unknown",
        }
    }

    /// From Meta's word, in any case; `NA` and new words are `Unknown`.
    pub fn from_provider(word: &str) -> Self {
        [Self::Green, Self::Yellow, Self::Red]
            .into_iter()
            .find(|rating| rating.as_str().eq_ignore_ascii_case(word))
            .unwrap_or(Self::Unknown)
    }
}

/// What is known of a number now. Each event holds the whole picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberObserved {
    /// Whose number it is.
    pub tenant: TenantId,
    /// The number.
    pub number: PhoneNumberId,
    /// The account it belongs to.
    pub waba: WabaId,
    /// Its state.
    pub status: NumberStatus,
    /// Meta's quality colour; comes only by polling.
    pub quality: QualityRating,
    /// The portfolio's messaging limit, such as `TIER_2K`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messaging_limit: Option<Term>,
    /// The throughput level, such as `STANDARD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<Term>,
    /// The state of the display name, such as `APPROVED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_status: Option<Term>,
    /// How we know.
    pub observed_from: ObservedFrom,
    /// When it was looked at.
    pub observed_at: Timestamp,
}

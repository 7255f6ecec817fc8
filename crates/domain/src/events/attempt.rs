//! What the dispatcher tried. Stream key: the message id; every event names its attempt. Owner: dispatcher.

use assent_sealed::{AliasHash, Sealed};
use serde::{Deserialize, Serialize};

use crate::values::{AttemptId, Term, Timestamp, UserId, WaId, Wamid, WamidHash};

super::event_catalogue! {
    /// What the dispatcher tried.
    AttemptEvent in Attempt {
        /// An attempt was made durable; the call may be made now, by whoever drew the id.
        Started(Started) = "attempt.started" v 1,
        /// Meta took the message.
        Accepted(Box<Accepted>) = "attempt.accepted" v 1,
        /// Meta refused the message.
        Rejected(AttemptRejected) = "attempt.rejected" v 1,
        /// It is not tried before a later moment.
        Deferred(Deferred) = "attempt.deferred" v 1,
        /// No answer: Meta may or may not have taken it.
        OutcomeUnknown(OutcomeUnknown) = "attempt.outcome_unknown" v 1,
        /// It is not tried any more.
        GivenUp(GivenUp) = "attempt.given_up" v 1,
        /// It was stopped before it left.
        Cancelled(Cancelled) = "attempt.cancelled" v 1,
    }
}

/// An attempt was made durable before its call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The attempt.
    pub attempt: AttemptId,
    /// 1 for the first attempt of the message, then 2, 3 …
    pub number: u32,
    /// The attempt whose fate is not known and that this one may repeat, by a recorded policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub possible_duplicate_of: Option<AttemptId>,
    /// The moment up to which withdrawals had been checked.
    pub checked_until: Timestamp,
    /// When it was started.
    pub started_at: Timestamp,
}

/// What Meta said it will do with the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcceptedAs {
    /// Send it.
    Accepted,
    /// Hold it until the template's quality is judged.
    HeldForQualityAssessment,
    /// Hold it: the template is being paused.
    Paused,
}

/// How an outcome was learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearnedFrom {
    /// The answer to the call.
    Answer,
    /// A callback that carried our id.
    Callback,
}

/// Meta took the message. Accepted is not delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The attempt.
    pub attempt: AttemptId,
    /// The keyed hash of Meta's id of the message.
    pub wamid_hash: WamidHash,
    /// Meta's id of the message; absent where it was learned from a callback, of which only the hash is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wamid: Option<Sealed<Wamid>>,
    /// The keyed hash of the `wa_id` Meta resolved the recipient to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wa_id_alias: Option<AliasHash>,
    /// The `wa_id` Meta resolved the recipient to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wa_id: Option<Sealed<WaId>>,
    /// The keyed hash of the business-scoped user id, if Meta gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id_alias: Option<AliasHash>,
    /// The business-scoped user id, if Meta gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Sealed<UserId>>,
    /// What Meta said it will do.
    pub accepted_as: AcceptedAs,
    /// How we know.
    pub learned_from: LearnedFrom,
    /// When we learned of it.
    pub accepted_at: Timestamp,
}

/// An error of Meta's: numbers only, because its texts may quote the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProviderError {
    /// Meta's code; see the error table of the `whatsapp` crate.
    pub code: i64,
    /// Meta's sub-code, where it still sends one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subcode: Option<i64>,
}

impl ProviderError {
    /// Not Meta's: the call never left this machine, because there was no connection. Meta's codes are not negative.
    pub const NOT_SENT: Self = Self {
        code: -1_000,
        subcode: None,
    };
}

/// What an error allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryClass {
    /// Refused before anything was done: try again after a wait.
    Safe,
    /// It may have been sent: the outcome is unknown, not rejected.
    MayHaveBeenSent,
    /// Never by machine.
    Never,
}

/// Meta refused the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRejected {
    /// The attempt.
    pub attempt: AttemptId,
    /// Meta's error.
    pub error: ProviderError,
    /// Whether it may be tried again.
    pub retry: RetryClass,
    /// When we learned of it.
    pub rejected_at: Timestamp,
}

/// Why a message waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeferReason {
    /// Too many messages to this person.
    PairLimit,
    /// Too many messages on this number.
    NumberLimit,
    /// Too many people in the moving 24 hours.
    PortfolioLimit,
    /// Meta said so.
    ProviderThrottled,
    /// Sending is paused on purpose.
    Paused,
    /// Waiting before a safe retry.
    Backoff,
    /// A file of it is being fetched and uploaded.
    Media,
}

impl DeferReason {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PairLimit => "pair_limit",
            Self::NumberLimit => "number_limit",
            Self::PortfolioLimit => "portfolio_limit",
            Self::ProviderThrottled => "provider_throttled",
            Self::Paused => "paused",
            Self::Backoff => "backoff",
            Self::Media => "media",
        }
    }
}

/// The message is not tried before a later moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferred {
    /// Why.
    pub reason: DeferReason,
    /// Until when.
    pub until: Timestamp,
    /// When that was decided.
    pub deferred_at: Timestamp,
}

/// Why an outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownCause {
    /// No answer in time.
    TimedOut,
    /// The connection broke after the request was written.
    ConnectionLost,
    /// An answer that does not say whether the message was taken: a server error, or not readable.
    UnclearAnswer,
    /// The process that made the attempt died.
    ProcessDied,
}

impl UnknownCause {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::ConnectionLost => "connection_lost",
            Self::UnclearAnswer => "unclear_answer",
            Self::ProcessDied => "process_died",
        }
    }
}

/// No answer: Meta may or may not have taken the message. Settled by a callback or by silence, never by a blind resend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeUnknown {
    /// The attempt.
    pub attempt: AttemptId,
    /// Why.
    pub cause: UnknownCause,
    /// The HTTP status, if there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// When that was noticed.
    pub noticed_at: Timestamp,
}

/// Why a message is not tried any more, with the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum GaveUpBecause {
    /// No callback carried our id although the number's callbacks arrived and our feed was caught up.
    Silence {
        /// From when it was listened for.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
        /// The newest callback of the same number in that time.
        last_callback_at: Timestamp,
        /// The log position up to which our feed had been read.
        caught_up_to: u64,
    },
    /// It was refused too often.
    RetriesExhausted {
        /// How many attempts were made.
        attempts: u32,
    },
    /// It became too old between two attempts.
    Expired,
    /// It cannot be sent for a reason of our own, such as a lost key or a missing token.
    Unsendable {
        /// The reason as a machine word.
        reason: Term,
        /// What is wrong in particular: where, what is there, what would be allowed. Counts and kinds, nothing personal.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        problems: Vec<String>,
    },
}

/// The message is not tried any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// The attempt that was given up; absent if none was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
    /// Why.
    pub because: GaveUpBecause,
    /// When.
    pub given_up_at: Timestamp,
}

/// Why a message was stopped before it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// The caller asked.
    Requested,
    /// The person withdrew after the message was authorized.
    ConsentWithdrawn,
    /// The person was suppressed after the message was authorized.
    Suppressed,
    /// The customer service window closed.
    WindowClosed,
    /// The template was paused, disabled or changed its category.
    TemplateUnavailable,
    /// The number or account may not send.
    NumberUnavailable,
    /// It became too old.
    Expired,
    /// The person's data was erased.
    Erased,
}

impl CancelReason {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::ConsentWithdrawn => "consent_withdrawn",
            Self::Suppressed => "suppressed",
            Self::WindowClosed => "window_closed",
            Self::TemplateUnavailable => "template_unavailable",
            Self::NumberUnavailable => "number_unavailable",
            Self::Expired => "expired",
            Self::Erased => "erased",
        }
    }
}

/// The message was stopped before it left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// Why.
    pub reason: CancelReason,
    /// When.
    pub cancelled_at: Timestamp,
}

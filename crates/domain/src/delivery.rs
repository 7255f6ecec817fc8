//! How far a message has come: a lattice (invariant I7).
//!
//! Meta's callbacks come in any order and more than once, and a status may come before the answer to the call is stored. So
//! nothing here depends on order. A [`Delivery`] is a set of facts, each kept with the earliest moment it was true;
//! [`Delivery::join`] is a union, hence commutative, associative and idempotent. Only [`Delivery::state`] looks at the facts together
//! and picks the one that says most, in this order, the strongest first:
//!
//! 1. **played**, **read**, **delivered**: it reached the person. A `failed` beside it means another device of theirs.
//! 2. **failed**: Meta says that it will not arrive.
//! 3. **sent**, then **accepted** or **held**: Meta has it.
//! 4. **given up**, **rejected**, **cancelled**, **expired**, **refused**: it will not be sent (again).
//! 5. **outcome unknown**, **sending**, **deferred**, **authorized**, **requested**: it is on its way.
//!
//! Evidence that Meta has the message (3) stands above our own conclusions (4): whoever gave up waiting was wrong.
//!
//! An attempt that was rejected but may be tried again is not a fact about the message, so it is not folded.

use serde::{Deserialize, Serialize};

use crate::{
    events::{
        AcceptedAs, AttemptEvent, DecisionEvent, Pricing, ProviderStatus, RequestEvent, RetryClass, StatusReported,
    },
    values::Timestamp,
};

/// What a message has come to. Ordered as documented in this module: a later variant says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Nothing is known of it.
    Unknown,
    /// It was asked for.
    Requested,
    /// It may be sent.
    Authorized,
    /// It may be sent, but not yet.
    Deferred,
    /// The call is being made.
    Sending,
    /// Nobody knows whether Meta has it.
    OutcomeUnknown,
    /// It may not be sent.
    Refused,
    /// It was too old before anybody decided.
    Expired,
    /// It was stopped before it left.
    Cancelled,
    /// Meta refused it for good.
    Rejected,
    /// It is not tried any more.
    GivenUp,
    /// Meta has it and holds it until its template's quality is judged.
    Held,
    /// Meta has it.
    Accepted,
    /// It left Meta's servers.
    Sent,
    /// Meta says that it will not arrive.
    Failed,
    /// It reached a device.
    Delivered,
    /// It was displayed.
    Read,
    /// The voice note was played.
    Played,
}

impl DeliveryState {
    /// Every state, the one that says least first.
    pub const ALL: [Self; 18] = [
        Self::Unknown,
        Self::Requested,
        Self::Authorized,
        Self::Deferred,
        Self::Sending,
        Self::OutcomeUnknown,
        Self::Refused,
        Self::Expired,
        Self::Cancelled,
        Self::Rejected,
        Self::GivenUp,
        Self::Held,
        Self::Accepted,
        Self::Sent,
        Self::Failed,
        Self::Delivered,
        Self::Read,
        Self::Played,
    ];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Requested => "requested",
            Self::Authorized => "authorized",
            Self::Deferred => "deferred",
            Self::Sending => "sending",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::GivenUp => "given_up",
            Self::Held => "held",
            Self::Accepted => "accepted",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
        }
    }

    /// Whether the message reached the person.
    pub const fn is_delivered(self) -> bool {
        matches!(self, Self::Delivered | Self::Read | Self::Played)
    }

    /// Whether nothing more will be done about the message: it arrived, or it will not be sent. A callback may still move it.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Refused
            | Self::Expired
            | Self::Cancelled
            | Self::Rejected
            | Self::GivenUp
            | Self::Failed
            | Self::Delivered
            | Self::Read
            | Self::Played => true,
            Self::Unknown
            | Self::Requested
            | Self::Authorized
            | Self::Deferred
            | Self::Sending
            | Self::OutcomeUnknown
            | Self::Held
            | Self::Accepted
            | Self::Sent => false,
        }
    }
}

impl DeliveryState {
    /// The same of a message that is or is not a reaction: of one Meta reports `sent` and nothing more
    /// ([`Content::is_reaction`](crate::events::Content::is_reaction)).
    pub const fn is_final_of(self, is_reaction: bool) -> bool {
        self.is_final() || (is_reaction && matches!(self, Self::Sent))
    }
}

/// The facts about a message's delivery, each with the earliest moment it was true.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Delivery {
    /// When it was asked for.
    pub requested_at: Option<Timestamp>,
    /// When it was let out.
    pub authorized_at: Option<Timestamp>,
    /// When it was held back.
    pub refused_at: Option<Timestamp>,
    /// When it became too old.
    pub expired_at: Option<Timestamp>,
    /// When it was first put off.
    pub deferred_at: Option<Timestamp>,
    /// When it was first tried.
    pub started_at: Option<Timestamp>,
    /// When an outcome was first unknown.
    pub outcome_unknown_at: Option<Timestamp>,
    /// When Meta took it.
    pub accepted_at: Option<Timestamp>,
    /// When Meta took it and held it.
    pub held_at: Option<Timestamp>,
    /// When Meta refused it for good, and its code.
    pub rejected: Option<(Timestamp, i64)>,
    /// When it was given up.
    pub given_up_at: Option<Timestamp>,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// When it left Meta's servers, by Meta's clock.
    pub sent_at: Option<Timestamp>,
    /// When it reached a device, by Meta's clock.
    pub delivered_at: Option<Timestamp>,
    /// When it was displayed, by Meta's clock.
    pub read_at: Option<Timestamp>,
    /// When the voice note was played, by Meta's clock.
    pub played_at: Option<Timestamp>,
    /// When Meta said that it will not arrive, by Meta's clock, and its code; 0 if it gave none.
    pub failed: Option<(Timestamp, i64)>,
    /// What Meta will charge for, by its earliest word.
    pub pricing: Option<(Timestamp, Pricing)>,
}

/// The earlier of two facts, or the one there is.
fn earliest<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Delivery {
    /// Everything both know: the join of the lattice.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            requested_at: earliest(self.requested_at, other.requested_at),
            authorized_at: earliest(self.authorized_at, other.authorized_at),
            refused_at: earliest(self.refused_at, other.refused_at),
            expired_at: earliest(self.expired_at, other.expired_at),
            deferred_at: earliest(self.deferred_at, other.deferred_at),
            started_at: earliest(self.started_at, other.started_at),
            outcome_unknown_at: earliest(self.outcome_unknown_at, other.outcome_unknown_at),
            accepted_at: earliest(self.accepted_at, other.accepted_at),
            held_at: earliest(self.held_at, other.held_at),
            rejected: earliest(self.rejected, other.rejected),
            given_up_at: earliest(self.given_up_at, other.given_up_at),
            cancelled_at: earliest(self.cancelled_at, other.cancelled_at),
            sent_at: earliest(self.sent_at, other.sent_at),
            delivered_at: earliest(self.delivered_at, other.delivered_at),
            read_at: earliest(self.read_at, other.read_at),
            played_at: earliest(self.played_at, other.played_at),
            failed: earliest(self.failed, other.failed),
            pricing: earliest(self.pricing, other.pricing),
        }
    }

    /// Whether `other` knows nothing that is not in here: the order of the lattice.
    pub fn includes(&self, other: &Self) -> bool {
        self.clone().join(other.clone()) == *self
    }

    /// What the facts together come to.
    pub fn state(&self) -> DeliveryState {
        let facts = [
            (self.played_at.is_some(), DeliveryState::Played),
            (self.read_at.is_some(), DeliveryState::Read),
            (self.delivered_at.is_some(), DeliveryState::Delivered),
            (self.failed.is_some(), DeliveryState::Failed),
            (self.sent_at.is_some(), DeliveryState::Sent),
            (self.accepted_at.is_some(), DeliveryState::Accepted),
            (self.held_at.is_some(), DeliveryState::Held),
            (self.given_up_at.is_some(), DeliveryState::GivenUp),
            (self.rejected.is_some(), DeliveryState::Rejected),
            (self.cancelled_at.is_some(), DeliveryState::Cancelled),
            (self.expired_at.is_some(), DeliveryState::Expired),
            (self.refused_at.is_some(), DeliveryState::Refused),
            (self.outcome_unknown_at.is_some(), DeliveryState::OutcomeUnknown),
            (self.started_at.is_some(), DeliveryState::Sending),
            (self.deferred_at.is_some(), DeliveryState::Deferred),
            (self.authorized_at.is_some(), DeliveryState::Authorized),
            (self.requested_at.is_some(), DeliveryState::Requested),
        ];
        facts
            .into_iter()
            .find(|(is_known, _)| *is_known)
            .map_or(DeliveryState::Unknown, |(_, state)| state)
    }

    /// What a request says.
    pub fn of_request(event: &RequestEvent) -> Self {
        match event {
            RequestEvent::Submitted(event) => Self {
                requested_at: Some(event.accepted_at),
                ..Self::default()
            },
            // A wish; whether it could be met is a fact of the attempt.
            RequestEvent::CancelRequested(_) => Self::default(),
        }
    }

    /// What a decision says.
    pub fn of_decision(event: &DecisionEvent) -> Self {
        match event {
            DecisionEvent::Authorized(event) => Self {
                authorized_at: Some(event.checked_at),
                ..Self::default()
            },
            DecisionEvent::Refused(event) => Self {
                refused_at: Some(event.checked_at),
                ..Self::default()
            },
            DecisionEvent::Expired(event) => Self {
                expired_at: Some(event.expired_at),
                ..Self::default()
            },
        }
    }

    /// What an attempt says.
    pub fn of_attempt(event: &AttemptEvent) -> Self {
        let nothing = Self::default();
        match event {
            AttemptEvent::Started(event) => Self {
                started_at: Some(event.started_at),
                ..nothing
            },
            AttemptEvent::Accepted(event) => match event.accepted_as {
                AcceptedAs::Accepted => Self {
                    accepted_at: Some(event.accepted_at),
                    ..nothing
                },
                AcceptedAs::HeldForQualityAssessment | AcceptedAs::Paused => Self {
                    held_at: Some(event.accepted_at),
                    ..nothing
                },
            },
            AttemptEvent::Rejected(event) => match event.retry {
                RetryClass::Never => Self {
                    rejected: Some((event.rejected_at, event.error.code)),
                    ..nothing
                },
                RetryClass::Safe | RetryClass::MayHaveBeenSent => nothing,
            },
            AttemptEvent::Deferred(event) => Self {
                deferred_at: Some(event.deferred_at),
                ..nothing
            },
            AttemptEvent::OutcomeUnknown(event) => Self {
                outcome_unknown_at: Some(event.noticed_at),
                ..nothing
            },
            AttemptEvent::GivenUp(event) => Self {
                given_up_at: Some(event.given_up_at),
                ..nothing
            },
            AttemptEvent::Cancelled(event) => Self {
                cancelled_at: Some(event.cancelled_at),
                ..nothing
            },
        }
    }

    /// What a callback of Meta's says.
    pub fn of_status(event: &StatusReported) -> Self {
        let nothing = Self {
            pricing: event.pricing.clone().map(|pricing| (event.provider_at, pricing)),
            ..Self::default()
        };
        let at = Some(event.provider_at);
        match &event.status {
            ProviderStatus::Sent => Self { sent_at: at, ..nothing },
            ProviderStatus::Delivered => Self {
                delivered_at: at,
                ..nothing
            },
            ProviderStatus::Read => Self { read_at: at, ..nothing },
            ProviderStatus::Played => Self {
                played_at: at,
                ..nothing
            },
            ProviderStatus::Failed => {
                // The smallest code, so that the order of several errors does not matter.
                let code = event.errors.iter().map(|error| error.code).min().unwrap_or_default();
                Self {
                    failed: Some((event.provider_at, code)),
                    ..nothing
                }
            }
            ProviderStatus::Other(_) => nothing,
        }
    }
}

#[cfg(test)]
mod tests;

//! The attempts to send one message. There is no blind resend (invariant I6).
//!
//! ```text
//! NotStarted ─start─▶ InFlight ─┬─▶ Accepted
//!     │                  │      ├─▶ Rejected ─start (safe)─▶ InFlight, the next attempt
//!     └─▶ Cancelled      └──────┴─▶ Unknown ─┬─▶ Accepted, Rejected (a callback settles it)
//!                                            └─▶ GivenUp ─start (by policy)─▶ InFlight, a possible duplicate
//! ```
//!
//! **Permission to call.** Only the process that drew an attempt's id, and only its own first-time append of
//! `attempt.started`, may make the call. An empty answer to [`AttemptCommand::Start`] means that the attempt is already on record,
//! perhaps from before a crash: that is *not* permission.

use crate::{
    decider::Decider,
    events::{
        Accepted, AttemptEvent, AttemptRejected, CancelReason, Cancelled, DeferReason, Deferred, GaveUpBecause,
        GivenUp, OutcomeUnknown, RetryClass, Started, UnknownCause,
    },
    values::{AttemptId, Timestamp},
};

/// The rules of sending.
#[derive(Debug, Clone, Copy)]
pub struct AttemptDecider;

/// What is known of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The call is being made, or its process has died.
    InFlight,
    /// Meta took the message.
    Accepted,
    /// Meta refused the message.
    Rejected(RetryClass),
    /// Nobody knows.
    Unknown,
    /// Nobody knows, and nobody waits any more.
    GivenUp,
}

/// The attempts of one message, folded from its stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Attempts {
    /// None was started.
    #[default]
    NotStarted,
    /// None was started, and none will be before this moment.
    Deferred {
        /// Why.
        reason: DeferReason,
        /// Until when.
        until: Timestamp,
    },
    /// At least one was started.
    Underway(Underway),
    /// None was in flight, and none will be.
    Cancelled {
        /// Why.
        reason: CancelReason,
    },
    /// None was started, and none will be.
    Abandoned,
}

/// The attempts of a message of which at least one was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Underway {
    /// All attempts in the order they were started; never empty.
    attempts: Vec<(AttemptId, Outcome)>,
    /// The next attempt is not made before this moment.
    deferred: Option<(DeferReason, Timestamp)>,
}

impl Underway {
    /// The newest attempt.
    pub fn current(&self) -> AttemptId {
        self.newest().0
    }

    /// What is known of the newest attempt.
    pub fn outcome(&self) -> Outcome {
        self.newest().1
    }

    /// How many attempts were started.
    pub fn count(&self) -> u32 {
        self.attempts.len() as u32
    }

    /// Until when the next attempt waits, and why.
    pub fn deferred(&self) -> Option<(DeferReason, Timestamp)> {
        self.deferred
    }

    /// What is known of this attempt, if it was started.
    pub fn outcome_of(&self, attempt: AttemptId) -> Option<Outcome> {
        self.attempts
            .iter()
            .find(|(id, _)| *id == attempt)
            .map(|(_, outcome)| *outcome)
    }

    /// Whether Meta took the message in any attempt.
    pub fn is_accepted(&self) -> bool {
        self.attempts.iter().any(|(_, outcome)| *outcome == Outcome::Accepted)
    }

    fn newest(&self) -> (AttemptId, Outcome) {
        *self
            .attempts
            .last()
            .expect("a message that is underway has at least one attempt")
    }

    fn set(&mut self, attempt: AttemptId, outcome: Outcome) {
        if let Some(known) = self.attempts.iter_mut().find(|(id, _)| *id == attempt) {
            // Meta has it: nothing that is learned later takes that back.
            if known.1 != Outcome::Accepted {
                known.1 = outcome;
            }
        } else {
            // History is a fact, even without the start it should have.
            self.attempts.push((attempt, outcome));
        }
    }
}

/// What can be wanted of the attempts of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptCommand {
    /// Make an attempt durable, to make its call afterwards.
    Start {
        /// The attempt, drawn at random by the process that will call.
        attempt: AttemptId,
        /// A policy of the tenant's takes the risk that the person gets the message twice. Only then may an attempt follow one
        /// that was given up without knowing.
        risk_duplicate: bool,
        /// The moment up to which withdrawals were checked.
        checked_until: Timestamp,
        /// Now.
        at: Timestamp,
    },
    /// Meta took the message.
    RecordAccepted(Box<Accepted>),
    /// Meta refused the message. With [`RetryClass::MayHaveBeenSent`] the outcome is recorded as unknown instead.
    RecordRejected(AttemptRejected),
    /// There was no answer that could be understood.
    RecordOutcomeUnknown(OutcomeUnknown),
    /// Do not try before a later moment.
    Defer {
        /// Why.
        reason: DeferReason,
        /// Until when.
        until: Timestamp,
        /// Now.
        at: Timestamp,
    },
    /// Do not try any more.
    GiveUp {
        /// Why, with the evidence.
        because: GaveUpBecause,
        /// Now.
        at: Timestamp,
    },
    /// Stop it before it leaves.
    Cancel {
        /// Why.
        reason: CancelReason,
        /// Now.
        at: Timestamp,
    },
}

/// Why a command on the attempts of a message cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttemptRejection {
    /// Another attempt is in flight.
    #[error("attempt {attempt} is in flight; another may only follow its outcome")]
    InFlight {
        /// That attempt.
        attempt: AttemptId,
    },
    /// Another attempt may have sent the message.
    #[error("the outcome of attempt {attempt} is not known; a callback or silence must settle it first")]
    OutcomeUnknown {
        /// That attempt.
        attempt: AttemptId,
    },
    /// The message was given up without knowing, and nobody took the risk of sending it twice.
    #[error("attempt {attempt} was given up and may have sent the message; only a policy may resend it")]
    WouldRiskDuplicate {
        /// That attempt.
        attempt: AttemptId,
    },
    /// Meta has the message.
    #[error("Meta has accepted the message")]
    AlreadyAccepted,
    /// The message's fate is sealed.
    #[error("the message was cancelled, given up, or refused for good")]
    Final,
    /// An outcome was reported for an attempt that was never started.
    #[error("attempt {attempt} was never started")]
    NeverStarted {
        /// That attempt.
        attempt: AttemptId,
    },
    /// Nothing is known that would make giving up right: the attempt is in flight or was accepted.
    #[error("the message cannot be given up now")]
    NothingToGiveUp,
}

impl Decider for AttemptDecider {
    type State = Attempts;
    type Command = AttemptCommand;
    type Event = AttemptEvent;
    type Rejection = AttemptRejection;

    fn decide(state: &Attempts, command: AttemptCommand) -> Result<Vec<AttemptEvent>, AttemptRejection> {
        match command {
            AttemptCommand::Start {
                attempt,
                risk_duplicate,
                checked_until,
                at,
            } => start(state, attempt, risk_duplicate, checked_until, at),
            AttemptCommand::RecordAccepted(accepted) => record_accepted(state, accepted),
            AttemptCommand::RecordRejected(rejected) => record_rejected(state, rejected),
            AttemptCommand::RecordOutcomeUnknown(unknown) => record_unknown(state, unknown),
            AttemptCommand::Defer { reason, until, at } => defer(
                state,
                Deferred {
                    reason,
                    until,
                    deferred_at: at,
                },
            ),
            AttemptCommand::GiveUp { because, at } => give_up(state, because, at),
            AttemptCommand::Cancel { reason, at } => cancel(
                state,
                Cancelled {
                    reason,
                    cancelled_at: at,
                },
            ),
        }
    }

    fn evolve(state: Attempts, event: &AttemptEvent) -> Attempts {
        match event {
            AttemptEvent::Started(started) => with(state, |underway| {
                underway.set(started.attempt, Outcome::InFlight);
                underway.deferred = None;
            }),
            AttemptEvent::Accepted(accepted) => {
                with(state, |underway| underway.set(accepted.attempt, Outcome::Accepted))
            }
            AttemptEvent::Rejected(rejected) => with(state, |underway| {
                underway.set(rejected.attempt, Outcome::Rejected(rejected.retry));
            }),
            AttemptEvent::OutcomeUnknown(unknown) => {
                with(state, |underway| underway.set(unknown.attempt, Outcome::Unknown))
            }
            AttemptEvent::Deferred(deferred) => match state {
                Attempts::Underway(mut underway) => {
                    underway.deferred = Some((deferred.reason, deferred.until));
                    Attempts::Underway(underway)
                }
                Attempts::NotStarted | Attempts::Deferred { .. } => Attempts::Deferred {
                    reason: deferred.reason,
                    until: deferred.until,
                },
                Attempts::Cancelled { .. } | Attempts::Abandoned => state,
            },
            AttemptEvent::GivenUp(given_up) => match given_up.attempt {
                Some(attempt) => with(state, |underway| underway.set(attempt, Outcome::GivenUp)),
                None => Attempts::Abandoned,
            },
            AttemptEvent::Cancelled(cancelled) => Attempts::Cancelled {
                reason: cancelled.reason,
            },
        }
    }
}

/// Applies a change to the attempts, whatever was known before.
fn with(state: Attempts, change: impl FnOnce(&mut Underway)) -> Attempts {
    let mut underway = match state {
        Attempts::Underway(underway) => underway,
        Attempts::NotStarted | Attempts::Deferred { .. } | Attempts::Cancelled { .. } | Attempts::Abandoned => {
            Underway {
                attempts: Vec::new(),
                deferred: None,
            }
        }
    };
    change(&mut underway);
    Attempts::Underway(underway)
}

fn start(
    state: &Attempts,
    attempt: AttemptId,
    risk_duplicate: bool,
    checked_until: Timestamp,
    at: Timestamp,
) -> Result<Vec<AttemptEvent>, AttemptRejection> {
    let (number, possible_duplicate_of) = match state {
        Attempts::NotStarted | Attempts::Deferred { .. } => (1, None),
        Attempts::Cancelled { .. } | Attempts::Abandoned => return Err(AttemptRejection::Final),
        Attempts::Underway(underway) => {
            if underway.outcome_of(attempt).is_some() {
                return Ok(Vec::new());
            }
            if underway.is_accepted() {
                return Err(AttemptRejection::AlreadyAccepted);
            }
            let current = underway.current();
            let duplicate_of = match underway.outcome() {
                Outcome::InFlight => return Err(AttemptRejection::InFlight { attempt: current }),
                Outcome::Unknown | Outcome::Rejected(RetryClass::MayHaveBeenSent) => {
                    return Err(AttemptRejection::OutcomeUnknown { attempt: current });
                }
                Outcome::GivenUp if !risk_duplicate => {
                    return Err(AttemptRejection::WouldRiskDuplicate { attempt: current });
                }
                Outcome::GivenUp => Some(current),
                Outcome::Rejected(RetryClass::Never) => return Err(AttemptRejection::Final),
                Outcome::Accepted => return Err(AttemptRejection::AlreadyAccepted),
                Outcome::Rejected(RetryClass::Safe) => earlier_given_up(underway),
            };
            (underway.count() + 1, duplicate_of)
        }
    };
    Ok(vec![
        Started {
            attempt,
            number,
            possible_duplicate_of,
            checked_until,
            started_at: at,
        }
        .into(),
    ])
}

/// An earlier attempt that may have sent the message: a resend that was safely rejected leaves that risk where it was.
fn earlier_given_up(underway: &Underway) -> Option<AttemptId> {
    underway
        .attempts
        .iter()
        .rev()
        .find(|(_, outcome)| *outcome == Outcome::GivenUp)
        .map(|(id, _)| *id)
}

fn outcome_of(state: &Attempts, attempt: AttemptId) -> Result<Outcome, AttemptRejection> {
    let known = match state {
        Attempts::Underway(underway) => underway.outcome_of(attempt),
        Attempts::NotStarted | Attempts::Deferred { .. } | Attempts::Cancelled { .. } | Attempts::Abandoned => None,
    };
    known.ok_or(AttemptRejection::NeverStarted { attempt })
}

/// Evidence that Meta has the message is taken in whatever was thought before, for the newest attempt and for older ones.
fn record_accepted(state: &Attempts, accepted: Box<Accepted>) -> Result<Vec<AttemptEvent>, AttemptRejection> {
    match outcome_of(state, accepted.attempt)? {
        Outcome::Accepted => Ok(Vec::new()),
        Outcome::InFlight | Outcome::Unknown | Outcome::GivenUp | Outcome::Rejected(_) => Ok(vec![accepted.into()]),
    }
}

fn record_rejected(state: &Attempts, rejected: AttemptRejected) -> Result<Vec<AttemptEvent>, AttemptRejection> {
    if rejected.retry == RetryClass::MayHaveBeenSent {
        let AttemptRejected {
            attempt, rejected_at, ..
        } = rejected;
        let cause = UnknownCause::UnclearAnswer;
        return record_unknown(
            state,
            OutcomeUnknown {
                attempt,
                cause,
                http_status: None,
                noticed_at: rejected_at,
            },
        );
    }
    match outcome_of(state, rejected.attempt)? {
        // Accepted stands, and what was rejected is rejected.
        Outcome::Accepted | Outcome::Rejected(_) => Ok(Vec::new()),
        Outcome::InFlight | Outcome::Unknown | Outcome::GivenUp => Ok(vec![rejected.into()]),
    }
}

fn record_unknown(state: &Attempts, unknown: OutcomeUnknown) -> Result<Vec<AttemptEvent>, AttemptRejection> {
    match outcome_of(state, unknown.attempt)? {
        Outcome::InFlight => Ok(vec![unknown.into()]),
        // Something better is known already.
        Outcome::Accepted | Outcome::Rejected(_) | Outcome::Unknown | Outcome::GivenUp => Ok(Vec::new()),
    }
}

fn defer(state: &Attempts, deferred: Deferred) -> Result<Vec<AttemptEvent>, AttemptRejection> {
    let wanted = (deferred.reason, deferred.until);
    let known = match state {
        Attempts::NotStarted => None,
        Attempts::Deferred { reason, until } => Some((*reason, *until)),
        Attempts::Cancelled { .. } | Attempts::Abandoned => return Err(AttemptRejection::Final),
        Attempts::Underway(underway) => {
            let attempt = underway.current();
            match underway.outcome() {
                Outcome::Rejected(RetryClass::Safe) => underway.deferred,
                Outcome::InFlight => return Err(AttemptRejection::InFlight { attempt }),
                Outcome::Unknown | Outcome::Rejected(RetryClass::MayHaveBeenSent) => {
                    return Err(AttemptRejection::OutcomeUnknown { attempt });
                }
                Outcome::Accepted => return Err(AttemptRejection::AlreadyAccepted),
                Outcome::GivenUp | Outcome::Rejected(RetryClass::Never) => return Err(AttemptRejection::Final),
            }
        }
    };
    Ok(if known == Some(wanted) {
        Vec::new()
    } else {
        vec![deferred.into()]
    })
}

fn give_up(state: &Attempts, because: GaveUpBecause, at: Timestamp) -> Result<Vec<AttemptEvent>, AttemptRejection> {
    let attempt = match state {
        Attempts::NotStarted | Attempts::Deferred { .. } => None,
        Attempts::Cancelled { .. } => return Err(AttemptRejection::Final),
        Attempts::Abandoned => return Ok(Vec::new()),
        Attempts::Underway(underway) => match underway.outcome() {
            Outcome::GivenUp => return Ok(Vec::new()),
            Outcome::Unknown | Outcome::Rejected(RetryClass::Safe | RetryClass::MayHaveBeenSent) => {
                Some(underway.current())
            }
            Outcome::InFlight | Outcome::Accepted => return Err(AttemptRejection::NothingToGiveUp),
            Outcome::Rejected(RetryClass::Never) => return Err(AttemptRejection::Final),
        },
    };
    Ok(vec![
        GivenUp {
            attempt,
            because,
            given_up_at: at,
        }
        .into(),
    ])
}

fn cancel(state: &Attempts, cancelled: Cancelled) -> Result<Vec<AttemptEvent>, AttemptRejection> {
    match state {
        Attempts::NotStarted | Attempts::Deferred { .. } => Ok(vec![cancelled.into()]),
        Attempts::Cancelled { .. } => Ok(Vec::new()),
        Attempts::Abandoned => Err(AttemptRejection::Final),
        Attempts::Underway(underway) => match underway.outcome() {
            // Refused and waiting for its retry, after nothing that may have been sent: it has not left.
            Outcome::Rejected(RetryClass::Safe) if earlier_given_up(underway).is_none() => Ok(vec![cancelled.into()]),
            Outcome::InFlight => Err(AttemptRejection::InFlight {
                attempt: underway.current(),
            }),
            Outcome::Unknown => Err(AttemptRejection::OutcomeUnknown {
                attempt: underway.current(),
            }),
            Outcome::Accepted => Err(AttemptRejection::AlreadyAccepted),
            Outcome::GivenUp | Outcome::Rejected(_) => Err(AttemptRejection::Final),
        },
    }
}

#[cfg(test)]
mod tests;

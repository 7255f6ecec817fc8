//! What an answer of Meta's, or its absence, means for a message. Pure.

use crate::config::Config;
use assent_domain::{
    attempt::AttemptCommand,
    events::{AttemptRejected, DeferReason, GaveUpBecause, OutcomeUnknown, ProviderError, RetryClass, UnknownCause},
    values::{AttemptId, Timestamp},
};
use assent_whatsapp::{
    GraphError,
    client::{NotSentReason, SendAccepted, SendError, UnknownOutcome},
    error_table::{self, Scope},
};
use std::time::Duration;

/// Codes by which Meta refuses a message whose file it does not have: a wrong parameter, a wrong value, unusable media. It has
/// none for that alone (Cloud API, "Error codes").
pub(crate) const MAY_BE_LOST_FILE: [i64; 3] = [100, 131_009, 131_053];

/// What came of a call.
#[derive(Debug)]
pub(crate) enum Learned {
    /// Meta took the message.
    Accepted(Box<SendAccepted>),
    /// Meta refused it, or it never left.
    Rejected {
        /// The error.
        error: ProviderError,
        /// Whether it may be tried again.
        retry: RetryClass,
        /// Why it waits before it is.
        reason: DeferReason,
        /// How long Meta asked us to wait.
        wait: Option<Duration>,
    },
    /// Nobody knows.
    Unknown {
        /// Why.
        cause: UnknownCause,
        /// The status of the answer, if there was one.
        http_status: Option<u16>,
    },
}

impl Learned {
    /// What the result of a call means.
    pub(crate) fn of(result: Result<SendAccepted, SendError>) -> Self {
        match result {
            Ok(accepted) => Self::Accepted(Box::new(accepted)),
            Err(SendError::NotSent(reason)) => Self::not_sent(reason),
            Err(SendError::Rejected(error)) => Self::Rejected {
                retry: retry_class(&error),
                error: provider_error(&error),
                reason: DeferReason::Backoff,
                wait: None,
            },
            Err(SendError::Throttled {
                error,
                scope,
                retry_after,
            }) => Self::Rejected {
                error: provider_error(&error),
                retry: RetryClass::Safe,
                reason: match scope {
                    Scope::Pair => DeferReason::PairLimit,
                    Scope::Number => DeferReason::NumberLimit,
                    Scope::Message | Scope::Template | Scope::Account | Scope::Token | Scope::Platform => {
                        DeferReason::ProviderThrottled
                    }
                },
                wait: retry_after,
            },
            Err(SendError::OutcomeUnknown(unknown)) => {
                let (cause, http_status) = match unknown {
                    UnknownOutcome::Timeout => (UnknownCause::TimedOut, None),
                    UnknownOutcome::ConnectionLost => (UnknownCause::ConnectionLost, None),
                    UnknownOutcome::Unreadable { http_status } | UnknownOutcome::Ambiguous { http_status, .. } => {
                        (UnknownCause::UnclearAnswer, Some(http_status))
                    }
                };
                Self::Unknown { cause, http_status }
            }
        }
    }

    fn not_sent(reason: NotSentReason) -> Self {
        // A request that cannot even be built will not be built by trying again.
        let retry = match reason {
            NotSentReason::BadRequest => RetryClass::Never,
            NotSentReason::Dns
            | NotSentReason::Refused
            | NotSentReason::ConnectTimeout
            | NotSentReason::Tls
            | NotSentReason::Unreachable => RetryClass::Safe,
        };
        Self::Rejected {
            error: ProviderError::NOT_SENT,
            retry,
            reason: DeferReason::Backoff,
            wait: None,
        }
    }

    /// The call was not made, because its time had passed.
    pub(crate) fn not_called() -> Self {
        Self::not_sent(NotSentReason::Unreachable)
    }

    /// For metrics.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Rejected {
                error: ProviderError::NOT_SENT,
                ..
            } => "not_sent",
            Self::Rejected {
                retry: RetryClass::Safe,
                ..
            } => "throttled",
            Self::Rejected { .. } => "rejected",
            Self::Unknown { .. } => "unknown",
        }
    }
}

fn provider_error(error: &GraphError) -> ProviderError {
    ProviderError {
        code: error.code,
        subcode: error.subcode,
    }
}

fn retry_class(error: &GraphError) -> RetryClass {
    match error.entry().retry {
        error_table::RetryClass::Safe => RetryClass::Safe,
        // The client tells refusals from unclear answers; what it calls a refusal is one.
        error_table::RetryClass::UnsafeMayHaveBeenSent
        | error_table::RetryClass::Later
        | error_table::RetryClass::Never
        | error_table::RetryClass::FixFirst
        | error_table::RetryClass::Stop
        | error_table::RetryClass::Ignore => RetryClass::Never,
    }
}

/// What is to be recorded for a refusal: with its retry, unless that was the last.
pub(crate) fn rejected(
    attempt: AttemptId,
    (error, retry): (ProviderError, RetryClass),
    waits: Option<(DeferReason, Duration)>,
    at: Timestamp,
) -> Vec<AttemptCommand> {
    let rejected = AttemptRejected {
        attempt,
        error,
        retry,
        rejected_at: at,
    };
    let mut commands = vec![AttemptCommand::RecordRejected(rejected)];
    if let Some((reason, wait)) = waits {
        let until = at + wait;
        commands.push(AttemptCommand::Defer { reason, until, at });
    }
    commands
}

/// What is to be recorded for an unknown outcome.
pub(crate) fn unknown(
    attempt: AttemptId,
    cause: UnknownCause,
    http_status: Option<u16>,
    at: Timestamp,
) -> Vec<AttemptCommand> {
    vec![AttemptCommand::RecordOutcomeUnknown(OutcomeUnknown {
        attempt,
        cause,
        http_status,
        noticed_at: at,
    })]
}

/// What is to be recorded for an attempt of ours that was written but never called.
pub(crate) fn not_called(attempt: AttemptId, at: Timestamp) -> Vec<AttemptCommand> {
    let verdict = (ProviderError::NOT_SENT, RetryClass::Safe);
    rejected(attempt, verdict, Some((DeferReason::Backoff, Duration::ZERO)), at)
}

/// What is to be recorded when a message was refused too often.
pub(crate) fn exhausted(attempts: u32, at: Timestamp) -> AttemptCommand {
    let because = GaveUpBecause::RetriesExhausted { attempts };
    AttemptCommand::GiveUp { because, at }
}

/// How long to wait before the next attempt, after the `number`th: what Meta asked for, else doubling from try to try. `draw`
/// lies between 0 and 1 and spreads those that failed together over half the time again.
pub(crate) fn pause(config: &Config, reason: DeferReason, number: u32, asked: Option<Duration>, draw: f64) -> Duration {
    // Meta's advice for a person who gets too many: 1, 4, 16, 64 times the first pause.
    let factor = if reason == DeferReason::PairLimit { 2 } else { 1 };
    let doublings = (number.saturating_sub(1) * factor).min(20);
    let first = Duration::from_millis(config.retry_first_ms);
    let longest = Duration::from_millis(config.retry_longest_ms);
    let pause = first
        .saturating_mul(1 << doublings)
        .min(longest)
        .max(asked.unwrap_or_default());
    pause + pause.mul_f64(draw.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_within_their_bounds_and_pairs_wait_four_times_as_long() {
        let config = Config {
            retry_first_ms: 1_000,
            retry_longest_ms: 60_000,
            ..Config::default()
        };
        let pauses = |reason| [1, 2, 3, 4, 40].map(|number| pause(&config, reason, number, None, 0.0).as_secs());
        assert_eq!(pauses(DeferReason::Backoff), [1, 2, 4, 8, 60]);
        assert_eq!(pauses(DeferReason::PairLimit), [1, 4, 16, 60, 60]);
        let asked = Some(Duration::from_secs(7));
        assert_eq!(
            pause(&config, DeferReason::NumberLimit, 1, asked, 0.0),
            Duration::from_secs(7)
        );
        assert_eq!(
            pause(&config, DeferReason::Backoff, 1, None, 1.0),
            Duration::from_millis(1_500)
        );
    }

    #[test]
    fn only_what_surely_did_nothing_is_tried_again() {
        let class = |error| match Learned::of(Err(error)) {
            Learned::Rejected { retry, .. } => Some(retry),
            Learned::Accepted(_) | Learned::Unknown { .. } => None,
        };
        for reason in [
            NotSentReason::Dns,
            NotSentReason::Refused,
            NotSentReason::ConnectTimeout,
        ] {
            assert_eq!(class(SendError::NotSent(reason)), Some(RetryClass::Safe));
        }
        assert_eq!(
            class(SendError::NotSent(NotSentReason::BadRequest)),
            Some(RetryClass::Never)
        );
        for unknown in [
            UnknownOutcome::Timeout,
            UnknownOutcome::ConnectionLost,
            UnknownOutcome::Unreadable { http_status: 502 },
        ] {
            assert_eq!(class(SendError::OutcomeUnknown(unknown)), None);
        }
    }
}

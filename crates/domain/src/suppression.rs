//! Who is not worth writing to: the decider of the `suppression` stream of one contact.
//!
//! Conclusions come from facts that arrive in any order and more than once, so each command brings the moment of its fact, and
//! what is older than what is known changes nothing.

use crate::{
    decider::Decider,
    events::{LiftReason, Lifted, SuppressionEvent, SuspectedBlocked, Undeliverable},
    values::{TenantId, Timestamp},
};

/// What is concluded about a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Suppression {
    undeliverable_since: Option<Timestamp>,
    suspicion: Option<Suspicion>,
    lifted_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Suspicion {
    first_sent_at: Timestamp,
    concluded_at: Timestamp,
}

impl Suppression {
    fn undeliverable_in_force(&self) -> Option<Timestamp> {
        self.undeliverable_since.filter(|since| self.lifted_at < Some(*since))
    }

    fn suspicion_in_force(&self) -> Option<Suspicion> {
        self.suspicion
            .filter(|suspicion| self.lifted_at < Some(suspicion.concluded_at))
    }

    /// Whether anything speaks against writing to the contact.
    pub fn is_in_force(&self) -> bool {
        self.undeliverable_in_force().is_some() || self.suspicion_in_force().is_some()
    }

    /// When it was last lifted, for whatever reason.
    pub fn lifted_at(&self) -> Option<Timestamp> {
        self.lifted_at
    }
}

/// A fact about a contact, or a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuppressionCommand {
    /// Meta said that the person cannot be reached.
    ConcludeUndeliverable(Undeliverable),
    /// Messages were sent and none was delivered.
    ConcludeBlocked {
        /// In whose eyes.
        tenant: TenantId,
        /// When each of the silent messages was sent.
        sent_at: Vec<Timestamp>,
        /// How many it takes.
        messages_min: u32,
        /// When a message was last delivered before.
        last_delivered_at: Option<Timestamp>,
        /// The present moment.
        now: Timestamp,
    },
    /// The person wrote, or a message was delivered.
    TakeEvidenceOfLife {
        /// In whose eyes.
        tenant: TenantId,
        /// What it is.
        reason: LiftReason,
        /// When that happened, by Meta's clock.
        at: Timestamp,
    },
    /// Somebody wants it lifted.
    Lift {
        /// In whose eyes.
        tenant: TenantId,
        /// The present moment.
        now: Timestamp,
    },
}

/// The rules.
#[derive(Debug)]
pub struct SuppressionDecider;

impl Decider for SuppressionDecider {
    type State = Suppression;
    type Command = SuppressionCommand;
    type Event = SuppressionEvent;
    type Rejection = std::convert::Infallible;

    fn decide(state: &Suppression, command: SuppressionCommand) -> Result<Vec<SuppressionEvent>, Self::Rejection> {
        let event: Option<SuppressionEvent> = match command {
            SuppressionCommand::ConcludeUndeliverable(event) => {
                let is_known = state.undeliverable_in_force().is_some() || state.lifted_at >= Some(event.failed_at);
                (!is_known).then(|| event.into())
            }
            SuppressionCommand::ConcludeBlocked {
                tenant,
                sent_at,
                messages_min,
                last_delivered_at,
                now,
            } => conclude_blocked(state, tenant, sent_at, messages_min, last_delivered_at, now).map(Into::into),
            SuppressionCommand::TakeEvidenceOfLife { tenant, reason, at } => {
                refuted_at(state, at).map(|lifted_at| lifted(tenant, reason, lifted_at))
            }
            SuppressionCommand::Lift { tenant, now } => state.is_in_force().then(|| {
                let since = state.undeliverable_in_force();
                let concluded_at = state.suspicion_in_force().map(|suspicion| suspicion.concluded_at);
                let lifted_at = since.into_iter().chain(concluded_at).fold(now, Timestamp::max);
                lifted(tenant, LiftReason::Requested, lifted_at)
            }),
        };
        Ok(event.into_iter().collect())
    }

    fn evolve(mut state: Suppression, event: &SuppressionEvent) -> Suppression {
        match event {
            SuppressionEvent::Undeliverable(event) => {
                state.undeliverable_since = state.undeliverable_since.max(Some(event.failed_at));
            }
            SuppressionEvent::SuspectedBlocked(event) => {
                state.suspicion = Some(Suspicion {
                    first_sent_at: event.first_sent_at,
                    concluded_at: event.concluded_at,
                });
            }
            SuppressionEvent::Lifted(event) => state.lifted_at = state.lifted_at.max(Some(event.lifted_at)),
        }
        state
    }
}

fn lifted(tenant: TenantId, reason: LiftReason, lifted_at: Timestamp) -> SuppressionEvent {
    let lifted = Lifted {
        tenant,
        reason,
        lifted_at,
    };
    lifted.into()
}

fn conclude_blocked(
    state: &Suppression,
    tenant: TenantId,
    sent_at: Vec<Timestamp>,
    messages_min: u32,
    last_delivered_at: Option<Timestamp>,
    now: Timestamp,
) -> Option<SuspectedBlocked> {
    // What was sent before a lift was known to whoever lifted it.
    let silent: Vec<Timestamp> = sent_at.into_iter().filter(|at| state.lifted_at < Some(*at)).collect();
    let count = u32::try_from(silent.len()).unwrap_or(u32::MAX);
    if state.is_in_force() || count < messages_min.max(1) || last_delivered_at.is_none() {
        return None;
    }
    Some(SuspectedBlocked {
        tenant,
        sent_without_delivery: count,
        first_sent_at: silent.iter().copied().min()?,
        last_sent_at: silent.iter().copied().max()?,
        last_delivered_at,
        concluded_at: now.max(
            state
                .lifted_at
                .map_or(now, |at| at + std::time::Duration::from_micros(1)),
        ),
    })
}

/// The moment of the lift if a sign of life at `at` refutes everything in force. A suspicion is refuted by whatever happened
/// after the first silent message, even if it became known only after the conclusion.
fn refuted_at(state: &Suppression, at: Timestamp) -> Option<Timestamp> {
    if state.undeliverable_in_force().is_some_and(|since| at < since) {
        return None;
    }
    let suspicion = state.suspicion_in_force();
    if suspicion.is_some_and(|suspicion| at < suspicion.first_sent_at) {
        return None;
    }
    state
        .is_in_force()
        .then(|| suspicion.map_or(at, |suspicion| at.max(suspicion.concluded_at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> TenantId {
        TenantId::try_new("acme").unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn unreachable(failed_at: i64) -> Undeliverable {
        Undeliverable {
            tenant: tenant(),
            code: 131_026,
            message: None,
            failed_at: at(failed_at),
            concluded_at: at(failed_at),
        }
    }

    fn silent(sent_at: &[i64], now: i64) -> SuppressionCommand {
        SuppressionCommand::ConcludeBlocked {
            tenant: tenant(),
            sent_at: sent_at.iter().map(|seconds| at(*seconds)).collect(),
            messages_min: 3,
            last_delivered_at: Some(at(1)),
            now: at(now),
        }
    }

    fn alive(seconds: i64) -> SuppressionCommand {
        SuppressionCommand::TakeEvidenceOfLife {
            tenant: tenant(),
            reason: LiftReason::Delivered,
            at: at(seconds),
        }
    }

    fn decided(history: &[SuppressionCommand], command: SuppressionCommand) -> Vec<SuppressionEvent> {
        let mut events = Vec::new();
        for command in history {
            events.extend(decide(&events, command.clone()));
        }
        decide(&events, command)
    }

    fn decide(events: &[SuppressionEvent], command: SuppressionCommand) -> Vec<SuppressionEvent> {
        match SuppressionDecider::decide(&SuppressionDecider::fold(events), command) {
            Ok(events) => events,
            Err(never) => match never {},
        }
    }

    fn undeliverable(seconds: i64) -> SuppressionCommand {
        SuppressionCommand::ConcludeUndeliverable(unreachable(seconds))
    }

    #[test]
    fn a_failure_that_is_told_twice_is_concluded_once() {
        assert_eq!(decided(&[], undeliverable(10)), [unreachable(10).into()]);
        assert_eq!(decided(&[undeliverable(10)], undeliverable(10)), []);
        assert_eq!(decided(&[undeliverable(10), alive(12)], undeliverable(10)), []);
        assert_eq!(decided(&[undeliverable(10), alive(12)], undeliverable(13)).len(), 1);
    }

    #[test]
    fn a_sign_of_life_lifts_what_is_older_and_nothing_else() {
        assert_eq!(decided(&[undeliverable(10)], alive(9)), []);
        assert_eq!(decided(&[undeliverable(10)], alive(10)).len(), 1);
        assert_eq!(decided(&[], alive(10)), []);
        assert_eq!(decided(&[undeliverable(10), alive(11)], alive(11)), []);
    }

    #[test]
    fn silence_counts_from_three_messages_after_the_last_lift() {
        assert_eq!(decided(&[], silent(&[5, 6], 100)), []);
        assert_eq!(decided(&[], silent(&[5, 6, 7], 100)).len(), 1);
        assert_eq!(decided(&[silent(&[5, 6, 7], 100)], silent(&[5, 6, 7, 8], 101)), []);
        let lifted = [
            silent(&[5, 6, 7], 100),
            SuppressionCommand::Lift {
                tenant: tenant(),
                now: at(110),
            },
        ];
        assert_eq!(decided(&lifted, silent(&[5, 6, 7, 111], 200)), []);
        assert_eq!(decided(&lifted, silent(&[111, 112, 113], 200)).len(), 1);
    }

    #[test]
    fn a_delivery_that_becomes_known_after_the_suspicion_refutes_it() {
        let history = [silent(&[5, 6, 7], 100)];
        assert_eq!(decided(&history, alive(4)), []);
        let events = decided(&history, alive(6));
        assert!(matches!(events.as_slice(), [SuppressionEvent::Lifted(lifted)] if lifted.lifted_at == at(100)));
        let mut all = decided(&[], history[0].clone());
        all.extend(events);
        assert!(!SuppressionDecider::fold(&all).is_in_force());
    }

    #[test]
    fn silence_of_somebody_who_was_never_reached_is_no_suspicion() {
        let never = SuppressionCommand::ConcludeBlocked {
            tenant: tenant(),
            sent_at: vec![at(5), at(6), at(7)],
            messages_min: 3,
            last_delivered_at: None,
            now: at(100),
        };
        assert_eq!(decided(&[], never), []);
    }
}

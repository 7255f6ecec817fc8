//! The decision about one message: let out, held back, or too late. Taken once, for ever.

use crate::{
    decider::Decider,
    events::{Authorized, DecisionEvent, Expired, Refused},
    gates::Judgement,
    values::{ContactId, Timestamp},
};

/// The rules of deciding.
#[derive(Debug, Clone, Copy)]
pub struct DecisionDecider;

/// The decision about one message, folded from its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decision {
    /// Nobody has decided.
    #[default]
    Undecided,
    /// It may be sent.
    Authorized {
        /// After this moment it may not any more.
        expires_at: Timestamp,
    },
    /// It may not be sent.
    Refused,
    /// It was too old before anybody decided.
    Expired,
}

/// Record what the gates said about a message. The first decision stands: repeating the command, or judging again later,
/// changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordJudgement {
    /// What the gates said.
    pub judgement: Judgement,
    /// The contact they looked at.
    pub contact: ContactId,
    /// The version of the contact's stream they looked at. Guard the append with it, so that a withdrawal in between wins.
    pub contact_version: u32,
    /// The moment they judged for.
    pub checked_at: Timestamp,
    /// After this moment the message shall not be sent any more; from the request.
    pub expires_at: Timestamp,
}

/// Recording a judgement cannot be rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRejection {}

impl Decider for DecisionDecider {
    type State = Decision;
    type Command = RecordJudgement;
    type Event = DecisionEvent;
    type Rejection = NoRejection;

    fn decide(state: &Decision, command: RecordJudgement) -> Result<Vec<DecisionEvent>, NoRejection> {
        match state {
            Decision::Undecided => {}
            Decision::Authorized { .. } | Decision::Refused | Decision::Expired => return Ok(Vec::new()),
        }
        let RecordJudgement {
            judgement,
            contact,
            contact_version,
            checked_at,
            expires_at,
        } = command;
        if checked_at >= expires_at {
            return Ok(vec![
                Expired {
                    expired_at: expires_at,
                    noticed_at: checked_at,
                }
                .into(),
            ]);
        }
        Ok(vec![match judgement {
            Judgement::Authorized { category, evidence } => {
                let authorized = Authorized {
                    contact,
                    contact_version,
                    category,
                    evidence,
                    checked_at,
                    expires_at,
                };
                Box::new(authorized).into()
            }
            Judgement::Refused { refusals } => Refused {
                contact,
                contact_version,
                refusals,
                checked_at,
            }
            .into(),
        }])
    }

    fn evolve(state: Decision, event: &DecisionEvent) -> Decision {
        match (state, event) {
            (Decision::Undecided, DecisionEvent::Authorized(event)) => Decision::Authorized {
                expires_at: event.expires_at,
            },
            (Decision::Undecided, DecisionEvent::Refused(_)) => Decision::Refused,
            (Decision::Undecided, DecisionEvent::Expired(_)) => Decision::Expired,
            // The first decision stands, whatever a stream may hold beyond it.
            (decided, DecisionEvent::Authorized(_) | DecisionEvent::Refused(_) | DecisionEvent::Expired(_)) => decided,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decider::spec::given,
        gates::{Refusal, RefusalReason},
        testing::{at, contact_id},
        values::Category,
    };

    fn judged(judgement: Judgement, second: i64) -> RecordJudgement {
        RecordJudgement {
            judgement,
            contact: contact_id(1),
            contact_version: 4,
            checked_at: at(second),
            expires_at: at(100),
        }
    }

    fn authorized() -> Judgement {
        Judgement::Authorized {
            category: Category::Utility,
            evidence: Vec::new(),
        }
    }

    fn refused() -> Judgement {
        Judgement::Refused {
            refusals: vec![Refusal::new(RefusalReason::ConsentMissing, "No.")],
        }
    }

    #[test]
    fn an_authorization_names_the_contact_version_it_is_guarded_by() {
        let event = Authorized {
            contact: contact_id(1),
            contact_version: 4,
            category: Category::Utility,
            evidence: Vec::new(),
            checked_at: at(10),
            expires_at: at(100),
        };
        given::<DecisionDecider>(&[])
            .when(judged(authorized(), 10))
            .then(&[Box::new(event).into()]);
    }

    #[test]
    fn the_first_decision_stands_for_ever() {
        for (first, second) in [
            (authorized(), refused()),
            (refused(), authorized()),
            (refused(), refused()),
        ] {
            given::<DecisionDecider>(&[])
                .after(judged(first, 10))
                .when(judged(second, 11))
                .then_nothing();
        }
    }

    #[test]
    fn a_message_that_became_too_old_is_expired_even_if_every_gate_is_open() {
        let expired = Expired {
            expired_at: at(100),
            noticed_at: at(100),
        };
        given::<DecisionDecider>(&[])
            .when(judged(authorized(), 100))
            .then(&[expired.clone().into()]);
        let again = given::<DecisionDecider>(&[expired.into()]);
        assert_eq!(again.state(), &Decision::Expired);
        again.when(judged(authorized(), 10)).then_nothing();
    }
}

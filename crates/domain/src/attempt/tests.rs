use proptest::prelude::*;

use super::*;
use crate::{
    decider::spec::{Given, given},
    events::{LearnedFrom, ProviderError},
    testing::{accepted, at, attempt_id, term},
};

fn start(number: u128) -> AttemptCommand {
    AttemptCommand::Start {
        attempt: attempt_id(number),
        risk_duplicate: false,
        checked_until: at(1),
        at: at(2),
    }
}

fn resend(number: u128) -> AttemptCommand {
    AttemptCommand::Start {
        attempt: attempt_id(number),
        risk_duplicate: true,
        checked_until: at(1),
        at: at(2),
    }
}

fn accept(number: u128) -> AttemptCommand {
    AttemptCommand::RecordAccepted(Box::new(accepted(attempt_id(number), 3)))
}

fn reject(number: u128, retry: RetryClass) -> AttemptCommand {
    let error = ProviderError {
        code: 131_056,
        subcode: None,
    };
    AttemptCommand::RecordRejected(AttemptRejected {
        attempt: attempt_id(number),
        error,
        retry,
        rejected_at: at(3),
    })
}

fn unknown(number: u128) -> AttemptCommand {
    AttemptCommand::RecordOutcomeUnknown(OutcomeUnknown {
        attempt: attempt_id(number),
        cause: UnknownCause::TimedOut,
        http_status: None,
        noticed_at: at(3),
    })
}

fn give_up() -> AttemptCommand {
    let because = GaveUpBecause::Silence {
        from: at(3),
        until: at(9),
        last_callback_at: at(8),
        caught_up_to: 70,
    };
    AttemptCommand::GiveUp { because, at: at(10) }
}

fn cancel() -> AttemptCommand {
    AttemptCommand::Cancel {
        reason: CancelReason::Requested,
        at: at(4),
    }
}

fn defer() -> AttemptCommand {
    AttemptCommand::Defer {
        reason: DeferReason::PairLimit,
        until: at(60),
        at: at(4),
    }
}

fn message() -> Given<AttemptDecider> {
    given(&[])
}

fn started(number: u128, count: u32, possible_duplicate_of: Option<AttemptId>) -> AttemptEvent {
    let attempt = attempt_id(number);
    Started {
        attempt,
        number: count,
        possible_duplicate_of,
        checked_until: at(1),
        started_at: at(2),
    }
    .into()
}

#[test]
fn only_the_first_start_of_an_attempt_is_permission_to_call() {
    message().when(start(1)).then(&[started(1, 1, None)]);
    message().after(start(1)).when(start(1)).then_nothing();
    message().after(start(1)).after(accept(1)).when(start(1)).then_nothing();
    message()
        .after(start(1))
        .when(start(2))
        .then_rejected(&AttemptRejection::InFlight { attempt: attempt_id(1) });
}

#[test]
fn an_unknown_outcome_is_never_resent_blindly() {
    let attempt = attempt_id(1);
    let unclear = message().after(start(1)).after(unknown(1));
    unclear
        .when(start(2))
        .then_rejected(&AttemptRejection::OutcomeUnknown { attempt });
    unclear
        .when(resend(2))
        .then_rejected(&AttemptRejection::OutcomeUnknown { attempt });
    unclear
        .when(cancel())
        .then_rejected(&AttemptRejection::OutcomeUnknown { attempt });
}

#[test]
fn only_a_policy_resends_what_was_given_up_and_records_a_possible_duplicate() {
    let attempt = attempt_id(1);
    let silent = message().after(start(1)).after(unknown(1)).after(give_up());
    silent
        .when(start(2))
        .then_rejected(&AttemptRejection::WouldRiskDuplicate { attempt });
    silent.when(resend(2)).then(&[started(2, 2, Some(attempt))]);
    // The risk does not go away when the resend is rejected and repeated.
    let repeated = silent.after(resend(2)).after(reject(2, RetryClass::Safe));
    repeated.when(start(3)).then(&[started(3, 3, Some(attempt))]);
}

#[test]
fn a_safe_rejection_may_be_followed_by_another_attempt_and_a_final_one_may_not() {
    message()
        .after(start(1))
        .after(reject(1, RetryClass::Safe))
        .when(start(2))
        .then(&[started(2, 2, None)]);
    let refused = message().after(start(1)).after(reject(1, RetryClass::Never));
    for command in [start(2), resend(2), defer(), cancel(), give_up()] {
        refused.when(command).then_rejected(&AttemptRejection::Final);
    }
}

#[test]
fn an_answer_that_may_mean_sent_is_recorded_as_unknown() {
    let expected = OutcomeUnknown {
        attempt: attempt_id(1),
        cause: UnknownCause::UnclearAnswer,
        http_status: None,
        noticed_at: at(3),
    };
    message()
        .after(start(1))
        .when(reject(1, RetryClass::MayHaveBeenSent))
        .then(&[expected.into()]);
}

#[test]
fn a_callback_settles_an_unknown_outcome_even_after_giving_up() {
    for history in [
        vec![unknown(1)],
        vec![unknown(1), give_up()],
        vec![unknown(1), give_up(), resend(2)],
    ] {
        let waiting = history.into_iter().fold(message().after(start(1)), Given::after);
        let mut callback = accepted(attempt_id(1), 20);
        callback.learned_from = LearnedFrom::Callback;
        let settled = waiting.after(AttemptCommand::RecordAccepted(Box::new(callback)));
        let Attempts::Underway(underway) = settled.state() else {
            panic!("underway")
        };
        assert!(underway.is_accepted());
        assert!(matches!(
            settled.when(resend(3)).into_outcome(),
            Err(AttemptRejection::AlreadyAccepted | AttemptRejection::InFlight { .. })
        ));
    }
}

#[test]
fn accepted_is_never_taken_back() {
    let taken = message().after(start(1)).after(accept(1));
    for command in [accept(1), unknown(1), reject(1, RetryClass::Never)] {
        taken.when(command).then_nothing();
    }
    taken.when(cancel()).then_rejected(&AttemptRejection::AlreadyAccepted);
    taken.when(give_up()).then_rejected(&AttemptRejection::NothingToGiveUp);
}

#[test]
fn a_message_can_be_cancelled_only_while_nothing_may_have_left() {
    let cancelled: AttemptEvent = Cancelled {
        reason: CancelReason::Requested,
        cancelled_at: at(4),
    }
    .into();
    message().when(cancel()).then(std::slice::from_ref(&cancelled));
    message()
        .after(defer())
        .when(cancel())
        .then(std::slice::from_ref(&cancelled));
    message()
        .after(start(1))
        .after(reject(1, RetryClass::Safe))
        .when(cancel())
        .then(&[cancelled]);
    message()
        .after(start(1))
        .when(cancel())
        .then_rejected(&AttemptRejection::InFlight { attempt: attempt_id(1) });
    message()
        .after(cancel())
        .when(start(1))
        .then_rejected(&AttemptRejection::Final);
}

#[test]
fn an_outcome_of_an_attempt_nobody_started_is_rejected() {
    let never = AttemptRejection::NeverStarted { attempt: attempt_id(9) };
    message().when(accept(9)).then_rejected(&never);
    message().after(start(1)).when(unknown(9)).then_rejected(&never);
}

#[test]
fn deferring_to_the_same_moment_changes_nothing() {
    message().after(defer()).when(defer()).then_nothing();
    let retried = message()
        .after(start(1))
        .after(reject(1, RetryClass::Safe))
        .after(defer());
    retried.when(defer()).then_nothing();
    let Attempts::Underway(underway) = retried.after(start(2)).state().clone() else {
        panic!("underway")
    };
    assert_eq!((underway.deferred(), underway.count()), (None, 2));
}

#[test]
fn a_message_that_cannot_be_sent_is_abandoned_before_it_was_tried() {
    let give_up = AttemptCommand::GiveUp {
        because: GaveUpBecause::Unsendable {
            reason: term("token_missing"),
            problems: Vec::new(),
        },
        at: at(3),
    };
    let abandoned = message().after(give_up.clone());
    assert_eq!(abandoned.state(), &Attempts::Abandoned);
    abandoned.when(give_up).then_nothing();
    abandoned.when(start(1)).then_rejected(&AttemptRejection::Final);
}

fn any_command() -> impl Strategy<Value = AttemptCommand> {
    let attempt = 1..5_u128;
    let retry = proptest::sample::select(vec![RetryClass::Safe, RetryClass::Never, RetryClass::MayHaveBeenSent]);
    prop_oneof![
        attempt.clone().prop_map(start),
        attempt.clone().prop_map(resend),
        attempt.clone().prop_map(accept),
        (attempt.clone(), retry).prop_map(|(attempt, retry)| reject(attempt, retry)),
        attempt.prop_map(unknown),
        Just(give_up()),
        Just(cancel()),
        Just(defer()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_history_keeps_the_promises(commands in proptest::collection::vec(any_command(), 0..16)) {
        let mut state = Attempts::default();
        let mut starts_without_risk = 0;
        let mut unsettled: Vec<AttemptId> = Vec::new();
        for command in commands {
            let Ok(events) = AttemptDecider::decide(&state, command.clone()) else { continue };
            for event in &events {
                match event {
                    AttemptEvent::Started(started) => {
                        // Whatever may have left is settled, or named as what this attempt may repeat.
                        prop_assert!(unsettled.iter().all(|id| started.possible_duplicate_of == Some(*id)
                            || matches!(&state, Attempts::Underway(u) if u.outcome_of(*id) == Some(Outcome::GivenUp))));
                        starts_without_risk += u32::from(started.possible_duplicate_of.is_none());
                        unsettled.push(started.attempt);
                    }
                    AttemptEvent::Rejected(rejected) => unsettled.retain(|id| *id != rejected.attempt),
                    AttemptEvent::Accepted(_) | AttemptEvent::Deferred(_) | AttemptEvent::OutcomeUnknown(_)
                    | AttemptEvent::GivenUp(_) | AttemptEvent::Cancelled(_) => {}
                }
            }
            let was_start = matches!(events.as_slice(), [AttemptEvent::Started(_)]);
            let was_accepted = matches!(&state, Attempts::Underway(underway) if underway.is_accepted());
            prop_assert!(!(was_start && was_accepted), "nothing is started after Meta has the message");
            state = events.iter().fold(state, AttemptDecider::evolve);
            prop_assert_eq!(AttemptDecider::decide(&state, command), Ok(Vec::new()));
        }
        prop_assert!(starts_without_risk <= 4);
    }
}

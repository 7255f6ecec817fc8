use proptest::prelude::*;

use super::*;
use crate::{
    events::{AttemptRejected, CancelReason, Cancelled, GaveUpBecause, GivenUp, ProviderError, Started},
    testing::{accepted, at, attempt_id, status, submitted, term},
};

fn fold(facts: impl IntoIterator<Item = Delivery>) -> Delivery {
    facts.into_iter().fold(Delivery::default(), Delivery::join)
}

fn started(second: i64) -> Delivery {
    Delivery::of_attempt(
        &Started {
            attempt: attempt_id(1),
            number: 1,
            possible_duplicate_of: None,
            checked_until: at(second),
            started_at: at(second),
        }
        .into(),
    )
}

fn given_up(second: i64) -> Delivery {
    let because = GaveUpBecause::RetriesExhausted { attempts: 3 };
    Delivery::of_attempt(
        &GivenUp {
            attempt: None,
            because,
            given_up_at: at(second),
        }
        .into(),
    )
}

fn rejected(second: i64, retry: RetryClass) -> Delivery {
    let error = ProviderError {
        code: 100,
        subcode: None,
    };
    Delivery::of_attempt(
        &AttemptRejected {
            attempt: attempt_id(1),
            error,
            retry,
            rejected_at: at(second),
        }
        .into(),
    )
}

fn reported(word: &str, second: i64) -> Delivery {
    Delivery::of_status(&status(word, second))
}

fn failed(code: i64, second: i64) -> Delivery {
    let mut status = status("failed", second);
    status.errors = vec![ProviderError { code, subcode: None }];
    Delivery::of_status(&status)
}

fn priced(word: &str, category: &str, second: i64) -> Delivery {
    let mut status = status(word, second);
    status.pricing = Some(Pricing {
        category: term(category),
        model: None,
        kind: None,
        billable: None,
    });
    Delivery::of_status(&status)
}

#[test]
fn a_message_comes_as_far_as_its_strongest_evidence() {
    let requested = Delivery::of_request(&Box::new(submitted()).into());
    let accepted = Delivery::of_attempt(&Box::new(accepted(attempt_id(1), 5)).into());
    assert_eq!(fold([]).state(), DeliveryState::Unknown);
    assert_eq!(fold([requested.clone(), started(4)]).state(), DeliveryState::Sending);
    assert_eq!(fold([accepted.clone(), requested]).state(), DeliveryState::Accepted);
    assert_eq!(
        fold([reported("read", 9), reported("sent", 6)]).state(),
        DeliveryState::Read,
        "delivered was skipped"
    );
    assert_eq!(
        fold([reported("deleted", 9), accepted]).state(),
        DeliveryState::Accepted
    );
}

#[test]
fn a_failure_after_delivery_does_not_undo_it() {
    assert_eq!(
        fold([reported("delivered", 7), failed(131_026, 8)]).state(),
        DeliveryState::Delivered
    );
    assert_eq!(
        fold([reported("sent", 7), failed(131_026, 8)]).state(),
        DeliveryState::Failed
    );
}

#[test]
fn a_callback_corrects_whoever_gave_up_waiting() {
    assert_eq!(fold([started(1), given_up(100)]).state(), DeliveryState::GivenUp);
    assert_eq!(
        fold([started(1), given_up(100), reported("sent", 2)]).state(),
        DeliveryState::Sent
    );
}

#[test]
fn only_a_rejection_for_good_is_a_fact_about_the_message() {
    assert_eq!(
        fold([started(1), rejected(2, RetryClass::Safe)]).state(),
        DeliveryState::Sending
    );
    assert_eq!(
        fold([started(1), rejected(2, RetryClass::Never)]).state(),
        DeliveryState::Rejected
    );
    let cancelled = Cancelled {
        reason: CancelReason::Requested,
        cancelled_at: at(3),
    };
    let cancelled = Delivery::of_attempt(&cancelled.into());
    assert_eq!(
        fold([started(1), rejected(2, RetryClass::Safe), cancelled]).state(),
        DeliveryState::Cancelled
    );
}

#[test]
fn each_fact_keeps_its_earliest_moment_and_money_is_counted_once() {
    let delivery = fold([
        priced("delivered", "utility", 9),
        priced("sent", "utility", 7),
        reported("delivered", 8),
    ]);
    assert_eq!((delivery.sent_at, delivery.delivered_at), (Some(at(7)), Some(at(8))));
    assert_eq!(
        delivery.pricing.map(|(moment, pricing)| (moment, pricing.category)),
        Some((at(7), term("utility")))
    );
}

#[test]
fn the_states_are_ordered_and_named_as_documented() {
    assert!(DeliveryState::ALL.is_sorted());
    for state in DeliveryState::ALL {
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
    assert!(
        DeliveryState::ALL
            .iter()
            .all(|state| !state.is_delivered() || state.is_final())
    );
}

/// Everything that can be learned of a message, at few moments so that ties are common.
fn any_fact() -> impl Strategy<Value = Delivery> {
    let second = 1..6_i64;
    let words = proptest::sample::select(vec!["sent", "delivered", "read", "played", "failed", "deleted"]);
    prop_oneof![
        6 => (words.clone(), second.clone()).prop_map(|(word, second)| reported(word, second)),
        1 => (words, proptest::sample::select(vec!["utility", "marketing"]), second.clone())
            .prop_map(|(word, category, second)| priced(word, category, second)),
        1 => (proptest::sample::select(vec![131_026, 131_049]), second.clone()).prop_map(|(code, second)| failed(code, second)),
        1 => second.clone().prop_map(started),
        1 => second.clone().prop_map(given_up),
        1 => second.clone().prop_map(|second| rejected(second, RetryClass::Never)),
        1 => second.prop_map(|second| Delivery::of_attempt(&Box::new(accepted(attempt_id(1), second)).into())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_permutation_and_duplication_of_callbacks_folds_to_one_state(
        (facts, disorder) in proptest::collection::vec(any_fact(), 0..10).prop_flat_map(|facts| {
            let twice: Vec<_> = facts.iter().chain(&facts).cloned().collect();
            (Just(facts), Just(twice).prop_shuffle())
        }),
    ) {
        let in_order = fold(facts);
        let in_disorder = fold(disorder);
        prop_assert_eq!(in_order.state(), in_disorder.state());
        prop_assert_eq!(in_order, in_disorder);
    }

    #[test]
    fn joining_is_a_semilattice(a in any_fact(), b in any_fact(), c in any_fact()) {
        prop_assert_eq!(a.clone().join(b.clone()), b.clone().join(a.clone()));
        prop_assert_eq!(a.clone().join(a.clone()), a.clone());
        let left = a.clone().join(b.clone()).join(c.clone());
        prop_assert_eq!(left.clone(), a.clone().join(b.join(c)));
        prop_assert!(left.includes(&a));
    }

    #[test]
    fn learning_more_never_weakens_the_state(facts in proptest::collection::vec(any_fact(), 0..8), more in any_fact()) {
        let before = fold(facts);
        let after = before.clone().join(more);
        prop_assert!(after.state() >= before.state());
    }
}

//! No answer is an outcome of its own. A callback settles it, or silence that counts.

use crate::stage::Stage;
use assent_domain::{
    attempt::Outcome,
    events::{AttemptEvent, GaveUpBecause, LearnedFrom, ProviderStatus, RetryClass, UnknownCause},
};
use assent_simulator::{Fault, FaultKind, WaitFor};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_settled_by_the_callback_and_never_by_a_second_call() {
    let mut stage = Stage::new().await;
    // Silence would not count within this test.
    stage.config.silence_ms = 600_000;
    let dispatcher = stage.dispatcher().await;
    for (kind, cause) in [
        (FaultKind::DropAfterAccept, UnknownCause::ConnectionLost),
        (FaultKind::Error500AfterAccept, UnknownCause::UnclearAnswer),
        (FaultKind::HtmlAfterAccept, UnknownCause::UnclearAnswer),
        (FaultKind::NeverAnswer, UnknownCause::TimedOut),
    ] {
        let before = stage.accepted().len();
        stage.fault(Fault::next(kind, 1));
        let message = stage.message().await;
        let unknown = stage.until_last(message, "outcome_unknown").await;
        assert!(
            matches!(&unknown, AttemptEvent::OutcomeUnknown(event) if event.cause == cause),
            "{unknown:?}"
        );
        let accepted = stage.accepted();
        stage.callback(&accepted[before], ProviderStatus::Sent).await;
        let AttemptEvent::Accepted(event) = stage.until_last(message, "accepted").await else {
            unreachable!()
        };
        assert_eq!(event.learned_from, LearnedFrom::Callback);
        assert_eq!(event.wamid_hash, stage.platform.wamid_hash(&accepted[before].wamid));
        assert_eq!(stage.accepted().len(), before + 1, "{kind:?}");
    }
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_comes_before_the_time_out_settles_it_too() {
    let mut stage = Stage::new().await;
    stage.config.silence_ms = 600_000;
    stage.fault(Fault::next(FaultKind::NeverAnswer, 1));
    let message = stage.message().await;
    let dispatcher = stage.dispatcher().await;
    let one = WaitFor {
        accepted: Some(1),
        ..WaitFor::default()
    };
    assert!(stage.simulator.control().wait(&one).await);
    stage.callback(&stage.accepted()[0], ProviderStatus::Delivered).await;
    stage.until_last(message, "accepted").await;
    assert_eq!(stage.story(message).await, ["started", "outcome_unknown", "accepted"]);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_status_settles_it_as_rejected_for_good() {
    let mut stage = Stage::new().await;
    stage.config.silence_ms = 600_000;
    stage.fault(Fault::next(FaultKind::DropAfterAccept, 1));
    let message = stage.message().await;
    let dispatcher = stage.dispatcher().await;
    stage.until_last(message, "outcome_unknown").await;
    stage.callback(&stage.accepted()[0], ProviderStatus::Failed).await;
    let AttemptEvent::Rejected(rejected) = stage.until_last(message, "rejected").await else {
        unreachable!()
    };
    assert_eq!((rejected.error.code, rejected.retry), (131_026, RetryClass::Never));
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_counts_only_while_the_numbers_callbacks_arrive() {
    let stage = Stage::new().await;
    stage.fault(Fault::next(FaultKind::DropBeforeAccept, 1));
    let message = stage.message().await;
    let dispatcher = stage.dispatcher().await;
    let AttemptEvent::OutcomeUnknown(unknown) = stage.until_last(message, "outcome_unknown").await else {
        unreachable!()
    };
    let other = stage.message().await;
    stage.until_last(other, "accepted").await;
    // Long after silence would count, nothing was heard of the number at all: that may be Meta's silence about everything.
    tokio::time::sleep(Duration::from_millis(stage.config.silence_ms * 5)).await;
    assert_eq!(stage.outcome(message).await, Some(Outcome::Unknown));
    stage.callback(&stage.accepted()[0], ProviderStatus::Sent).await;
    let AttemptEvent::GivenUp(given_up) = stage.until_last(message, "given_up").await else {
        unreachable!()
    };
    let GaveUpBecause::Silence {
        from,
        until,
        last_callback_at,
        caught_up_to,
    } = given_up.because
    else {
        panic!("{given_up:?}")
    };
    assert!(from <= unknown.noticed_at && until >= last_callback_at && caught_up_to > 0);
    assert!(last_callback_at >= unknown.noticed_at + Duration::from_millis(stage.config.silence_ms));
    assert_eq!(stage.taken(), [other]);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_process_died_is_not_repeated_and_is_settled_by_its_callback() {
    let mut stage = Stage::new().await;
    stage.config.silence_ms = 600_000;
    stage.fault(Fault {
        delay_ms: Some(300),
        ..Fault::rate(FaultKind::SlowAnswer, 1.0)
    });
    let messages = stage.messages(5).await;
    let first = stage.dispatcher().await;
    let all = WaitFor {
        accepted: Some(5),
        ..WaitFor::default()
    };
    assert!(stage.simulator.control().wait(&all).await);
    first.kill().await;
    stage.simulator.control().clear_faults();
    for message in &messages {
        assert_eq!(stage.outcome(*message).await, Some(Outcome::InFlight));
    }
    let second = stage.dispatcher().await;
    let accepted = stage.accepted();
    // For one of them the callback is there before anybody notices the death, for the others it comes later.
    stage.callback(&accepted[0], ProviderStatus::Sent).await;
    let early = stage.taken()[0];
    stage.until_last(early, "accepted").await;
    for message in messages.iter().filter(|message| **message != early) {
        let unknown = stage.until_last(*message, "outcome_unknown").await;
        assert!(matches!(unknown, AttemptEvent::OutcomeUnknown(event) if event.cause == UnknownCause::ProcessDied));
    }
    for accepted in &accepted[1..] {
        stage.callback(accepted, ProviderStatus::Sent).await;
    }
    for message in &messages {
        stage.until_last(*message, "accepted").await;
    }
    assert_eq!(stage.accepted().len(), 5);
    second.stop().await;
}

//! What surely did nothing is tried again, slower and not for ever.

use crate::stage::Stage;
use assent_domain::{
    attempt::Outcome,
    events::{AttemptEvent, DeferReason, GaveUpBecause, ProviderError},
};
use assent_simulator::{Fault, FaultKind, Latency, Mix, Simulator};
use std::time::Duration;

fn throttle(code: u32) -> Fault {
    Fault {
        code: Some(code),
        ..Fault::next(FaultKind::GraphError, 1)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_message_waits_and_goes_out_by_another_attempt() {
    let stage = Stage::new().await;
    let dispatcher = stage.dispatcher().await;
    for (code, reason) in [
        (130_429, DeferReason::NumberLimit),
        (131_056, DeferReason::PairLimit),
        (80_007, DeferReason::ProviderThrottled),
    ] {
        stage.fault(throttle(code));
        let message = stage.message().await;
        stage.until_last(message, "accepted").await;
        assert_eq!(
            stage.story(message).await,
            ["started", "rejected", "deferred", "started", "accepted"]
        );
        let events = stage.attempts(message).await;
        assert!(matches!(&events[2].1, AttemptEvent::Deferred(deferred) if deferred.reason == reason));
        assert!(matches!(&events[3].1, AttemptEvent::Started(started) if started.number == 2));
    }
    assert_eq!(stage.taken().len(), 3);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_always_refused_is_given_up() {
    let stage = Stage::new().await;
    stage.fault(Fault {
        code: Some(130_429),
        ..Fault::rate(FaultKind::GraphError, 1.0)
    });
    let mut config = stage.config.clone();
    config.attempts_max = 3;
    let message = stage.message().await;
    let dispatcher = stage.dispatcher_with(&config).await;
    let AttemptEvent::GivenUp(given_up) = stage.until_last(message, "given_up").await else {
        unreachable!()
    };
    assert_eq!(given_up.because, GaveUpBecause::RetriesExhausted { attempts: 3 });
    assert!(stage.accepted().is_empty());
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_becomes_too_old_between_two_tries_is_given_up() {
    let stage = Stage::new().await;
    stage.fault(Fault {
        code: Some(130_429),
        ..Fault::rate(FaultKind::GraphError, 1.0)
    });
    let mut config = stage.config.clone();
    config.attempts_max = 1_000;
    let phone = stage.somebody();
    stage.opt_in(&phone).await;
    let message = stage.authorized_for(&phone, Duration::from_millis(600)).await;
    let dispatcher = stage.dispatcher_with(&config).await;
    let ended = stage.until_last(message, "given_up").await;
    assert!(matches!(ended, AttemptEvent::GivenUp(given_up) if given_up.because == GaveUpBecause::Expired));
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_survive_a_crash() {
    let stage = Stage::new().await;
    stage.fault(throttle(130_429));
    let mut config = stage.config.clone();
    config.retry_first_ms = 300;
    config.retry_longest_ms = 300;
    let message = stage.message().await;
    let first = stage.dispatcher_with(&config).await;
    stage.until_last(message, "deferred").await;
    first.kill().await;
    let second = stage.dispatcher_with(&config).await;
    stage.until_last(message, "accepted").await;
    assert_eq!(stage.taken(), [message]);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_connection_nothing_is_sent_and_all_of_it_later() {
    let mut stage = Stage::new().await;
    // A port that is free now: the simulator of this stage goes, and another one comes back on the same address.
    let address = stage.simulator.address();
    let config = assent_simulator::Config {
        listen: address,
        mix: Mix::ideal(),
        latency: Latency::fast(),
        ..assent_simulator::Config::default()
    };
    let messages = stage.messages(3).await;
    let elsewhere = Simulator::start(assent_simulator::Config::default()).await.unwrap();
    std::mem::replace(&mut stage.simulator, elsewhere).shutdown().await;
    let dispatcher = stage.dispatcher().await;
    for message in &messages {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while stage
            .outcome(*message)
            .await
            .is_none_or(|outcome| outcome == Outcome::InFlight)
        {
            assert!(tokio::time::Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let events = stage.attempts(*message).await;
        assert!(
            matches!(&events[1].1, AttemptEvent::Rejected(rejected) if rejected.error == ProviderError::NOT_SENT),
            "{events:?}"
        );
    }
    stage.simulator = Simulator::start(config).await.unwrap();
    for message in &messages {
        stage.until_last(*message, "accepted").await;
    }
    assert_eq!(stage.taken().len(), 3);
    dispatcher.stop().await;
}

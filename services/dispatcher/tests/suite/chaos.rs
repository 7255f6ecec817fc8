//! Dispatchers that are killed at random instants, and an answer now and then that gets lost.

use crate::stage::Stage;
use assent_domain::{attempt::Outcome, events::ProviderStatus};
use assent_simulator::{Fault, FaultKind};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{collections::HashSet, time::Duration};

const MESSAGES: usize = 300;
const KILLS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_nobody_is_written_to_twice_and_everything_ends() {
    let seed = std::env::var("ASSENT_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("ASSENT_TEST_SEED={seed}");
    let mut draw = StdRng::seed_from_u64(seed);
    let mut stage = Stage::new().await;
    stage.config.silence_ms = 300;
    for (kind, rate) in [
        (FaultKind::DropAfterAccept, 0.03),
        (FaultKind::Error500AfterAccept, 0.03),
        (FaultKind::NeverAnswer, 0.01),
        (FaultKind::DropBeforeAccept, 0.02),
    ] {
        stage.fault(Fault::rate(kind, rate));
    }
    stage.fault(Fault {
        code: Some(130_429),
        ..Fault::rate(FaultKind::GraphError, 0.05)
    });
    stage.fault(Fault {
        delay_ms: Some(30),
        ..Fault::rate(FaultKind::SlowAnswer, 0.3)
    });
    let mut messages = Vec::new();
    for _ in 0..KILLS {
        messages.extend(stage.messages(MESSAGES / KILLS).await);
        let dispatcher = stage.dispatcher().await;
        tokio::time::sleep(Duration::from_millis(draw.random_range(1..120))).await;
        dispatcher.kill().await;
    }
    let dispatcher = stage.dispatcher().await;
    let mut reported = 0;
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    loop {
        // Callbacks keep arriving, for some messages not at all.
        let accepted = stage.accepted();
        for accepted in &accepted[reported..] {
            if draw.random_bool(0.9) {
                stage.callback(accepted, ProviderStatus::Sent).await;
            }
        }
        reported = accepted.len();
        if let Some(any) = accepted.first() {
            stage.callback(any, ProviderStatus::Delivered).await;
        }
        let mut open = Vec::new();
        for message in &messages {
            match stage.outcome(*message).await {
                Some(Outcome::Accepted | Outcome::GivenUp) => {}
                other => open.push((*message, other)),
            }
        }
        if open.is_empty() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "seed {seed}: {open:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let taken = stage.taken();
    let once: HashSet<_> = taken.iter().copied().collect();
    assert_eq!(once.len(), taken.len(), "seed {seed}: somebody was written to twice");
    for message in &messages {
        let accepted = stage.outcome(*message).await == Some(Outcome::Accepted);
        assert!(
            !accepted || once.contains(message),
            "seed {seed}: {message} was never taken"
        );
    }
    // Most of it got through.
    assert!(taken.len() > messages.len() / 2, "seed {seed}: {}", taken.len());
    dispatcher.stop().await;
}

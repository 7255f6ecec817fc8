//! What has changed since the decision is looked at again at the moment of sending.

use crate::stage::{Stage, tenant};
use assent_domain::{
    attempt::Attempts,
    contact::ContactCommand,
    events::{AttemptEvent, CancelReason, SuppressionEvent, TemplateChange, Undeliverable},
    values::{Category, MessageId, Term},
};
use assent_runtime::{log, streams::Subject};
use assent_sealed::KeyClass;
use assent_simulator::{Fault, FaultKind};
use std::time::Duration;

/// The message is cancelled for this reason and nothing reaches the simulator.
async fn cancelled(stage: &Stage, message: MessageId, reason: CancelReason) {
    let dispatcher = stage.dispatcher().await;
    let AttemptEvent::Cancelled(cancelled) = stage.until_last(message, "cancelled").await else {
        unreachable!()
    };
    assert_eq!(cancelled.reason, reason);
    assert_eq!(stage.story(message).await, ["cancelled"]);
    assert!(stage.accepted().is_empty());
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_between_decision_and_sending_wins() {
    let stage = Stage::new().await;
    let phone = stage.somebody();
    stage.opt_in(&phone).await;
    let message = stage.authorized(&phone).await;
    stage.opt_out(&phone).await;
    cancelled(&stage, message, CancelReason::ConsentWithdrawn).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_starts_after_a_withdrawal_while_hundreds_wait_for_the_person() {
    let stage = Stage::new().await;
    stage.fault(Fault {
        delay_ms: Some(20),
        ..Fault::rate(FaultKind::SlowAnswer, 1.0)
    });
    let phone = stage.somebody();
    stage.opt_in(&phone).await;
    let mut messages = Vec::new();
    for _ in 0..200 {
        messages.push(stage.authorized(&phone).await);
    }
    let mut config = stage.config.clone();
    config.calls_max = 4;
    let dispatcher = stage.dispatcher_with(&config).await;
    let some = assent_simulator::WaitFor {
        accepted: Some(20),
        ..assent_simulator::WaitFor::default()
    };
    assert!(stage.simulator.control().wait(&some).await);
    let withdrawn_at = stage.opt_out(&phone).await;
    let (mut sent, mut held) = (0, 0);
    for message in messages {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        let events = loop {
            let events = stage.attempts(message).await;
            let ended = matches!(
                events.last(),
                Some((_, AttemptEvent::Accepted(_) | AttemptEvent::Cancelled(_)))
            );
            if ended {
                break events;
            }
            assert!(tokio::time::Instant::now() < deadline, "{events:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        match &events[0] {
            (position, AttemptEvent::Started(_)) => {
                assert!(
                    *position < withdrawn_at,
                    "started at {position}, withdrawn at {withdrawn_at}"
                );
                sent += 1;
            }
            (_, AttemptEvent::Cancelled(event)) => {
                assert_eq!(event.reason, CancelReason::ConsentWithdrawn);
                held += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stage.accepted().len(), sent);
    assert!(sent >= 20 && held > 0, "{sent} sent, {held} held back");
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_template_is_not_sent() {
    let stage = Stage::new().await;
    let message = stage.message().await;
    stage
        .change_template(TemplateChange::Status {
            status: Term::try_new("PAUSED").unwrap(),
            reason: None,
            title: None,
        })
        .await;
    cancelled(&stage, message, CancelReason::TemplateUnavailable).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_became_marketing_needs_consent_for_marketing() {
    let stage = Stage::new().await;
    let phone = stage.somebody();
    let now = log::now();
    stage
        .command(
            &phone,
            ContactCommand::RecordOptIn {
                categories: assent_domain::values::CategorySet::only(Category::Utility),
                source: assent_domain::events::OptInSource::WebForm,
                proof: None,
                given_at: now,
                at: now,
            },
        )
        .await;
    let message = stage.authorized(&phone).await;
    stage
        .change_template(TemplateChange::CategoryChanged {
            previous: Some(Category::Utility),
            current: Category::Marketing,
        })
        .await;
    cancelled(&stage, message, CancelReason::TemplateUnavailable).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_became_unreachable_is_not_written_to() {
    let stage = Stage::new().await;
    let phone = stage.somebody();
    stage.opt_in(&phone).await;
    let message = stage.authorized(&phone).await;
    let undeliverable = Undeliverable {
        tenant: tenant(),
        code: 131_026,
        message: None,
        failed_at: log::now(),
        concluded_at: log::now(),
    };
    let event = SuppressionEvent::from(undeliverable);
    stage.append(Subject::Contact(stage.contact(&phone)), &[event]).await;
    cancelled(&stage, message, CancelReason::Suppressed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_caller_cancelled_is_not_sent() {
    let stage = Stage::new().await;
    let message = stage.message().await;
    stage.request_cancel(message).await;
    cancelled(&stage, message, CancelReason::Requested).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_too_old_is_not_sent() {
    let stage = Stage::new().await;
    let phone = stage.somebody();
    stage.opt_in(&phone).await;
    let message = stage.authorized_for(&phone, Duration::ZERO).await;
    cancelled(&stage, message, CancelReason::Expired).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_is_not_sent() {
    let stage = Stage::new().await;
    let phone = stage.somebody();
    stage.opt_in(&phone).await;
    let message = stage.authorized(&phone).await;
    stage
        .platform
        .keys
        .destroy(&[stage.alias(&phone)], &KeyClass::ALL)
        .await
        .unwrap();
    cancelled(&stage, message, CancelReason::Erased).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_waits_for_its_retry_can_be_cancelled() {
    let stage = Stage::new().await;
    stage.fault(Fault {
        code: Some(130_429),
        ..Fault::rate(FaultKind::GraphError, 1.0)
    });
    let mut config = stage.config.clone();
    config.retry_first_ms = 3_600_000;
    config.retry_longest_ms = 3_600_000;
    let message = stage.message().await;
    let dispatcher = stage.dispatcher_with(&config).await;
    stage.until_last(message, "deferred").await;
    stage.request_cancel(message).await;
    stage.until_last(message, "cancelled").await;
    assert!(matches!(
        stage.state(message).await,
        Attempts::Cancelled {
            reason: CancelReason::Requested
        }
    ));
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_that_comes_between_the_check_and_the_attempt_wins() {
    let stage = Stage::new().await;
    let mut people = Vec::new();
    for _ in 0..300 {
        let phone = stage.somebody();
        stage.opt_in(&phone).await;
        let message = stage.authorized(&phone).await;
        people.push((phone, message));
    }
    // Everybody withdraws while their message is on its way out: each pair of the two is a race of its own.
    let dispatcher = stage.dispatcher().await;
    let races = people.chunks(60).map(async |people| {
        let mut withdrawn = Vec::new();
        for (phone, message) in people {
            withdrawn.push((*message, stage.opt_out(phone).await));
        }
        withdrawn
    });
    let mut started = 0;
    for (message, withdrawn_at) in futures::future::join_all(races).await.into_iter().flatten() {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        let (position, first) = loop {
            if let Some(first) = stage.attempts(message).await.into_iter().next() {
                break first;
            }
            assert!(tokio::time::Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        if let AttemptEvent::Started(_) = first {
            assert!(
                position < withdrawn_at,
                "started at {position}, withdrawn at {withdrawn_at}"
            );
            started += 1;
        }
    }
    dispatcher.stop().await;
    assert_eq!(stage.accepted().len(), started);
}

//! What is authorized is sent, once, and its outcome recorded.

use crate::stage::{Stage, tenant};
use assent_domain::{
    attempt::Outcome,
    events::{AcceptedAs, AttemptEvent, LearnedFrom, RetryClass},
    values::{Alias, WaId},
};
use assent_runtime::streams::purpose;
use assent_simulator::{Fault, FaultKind, Filter};
use std::{collections::HashSet, time::Duration};
use time::OffsetDateTime;

#[tokio::test(flavor = "multi_thread")]
async fn every_authorized_message_is_sent_once() {
    let stage = Stage::new().await;
    let dispatcher = stage.dispatcher().await;
    let messages = stage.messages(60).await;
    for message in &messages {
        stage.until_last(*message, "accepted").await;
        assert_eq!(stage.story(*message).await, ["started", "accepted"]);
    }
    let taken = stage.taken();
    assert_eq!(taken.len(), messages.len());
    assert_eq!(
        taken.into_iter().collect::<HashSet<_>>(),
        messages.into_iter().collect()
    );
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_meta_answered_is_recorded_sealed_and_by_hash() {
    let stage = Stage::new().await;
    let phone = stage.somebody();
    stage.opt_in(&phone).await;
    let message = stage.authorized(&phone).await;
    let dispatcher = stage.dispatcher().await;
    let AttemptEvent::Accepted(accepted) = stage.until_last(message, "accepted").await else {
        unreachable!()
    };
    let truth = &stage.accepted()[0];
    assert_eq!(accepted.learned_from, LearnedFrom::Answer);
    assert_eq!(accepted.accepted_as, AcceptedAs::Accepted);
    assert_eq!(accepted.wamid_hash, stage.platform.wamid_hash(&truth.wamid));
    let wa_id = Alias::WaId(WaId::try_new(&truth.wa_id).unwrap());
    assert_eq!(
        accepted.wa_id_alias,
        Some(stage.platform.alias_hash(tenant().as_str(), &wa_id))
    );
    // The address it was sent to needs no second copy.
    assert_eq!(accepted.wa_id, None);
    let opened = stage
        .platform
        .keys
        .open(&accepted.wamid.unwrap(), purpose::WAMID, OffsetDateTime::now_utc())
        .await;
    assert_eq!(opened.unwrap().value().unwrap().0, truth.wamid);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_goes_out_with_the_components_that_were_sealed() {
    let stage = Stage::new().await;
    let message = stage.message().await;
    let dispatcher = stage.dispatcher().await;
    stage.until_last(message, "accepted").await;
    let filter = Filter {
        bodies: true,
        ..Filter::default()
    };
    let accepted = stage.simulator.control().accepted(&filter).unwrap();
    let body: serde_json::Value = serde_json::from_str(accepted[0].body.as_ref().unwrap().get()).unwrap();
    assert_eq!(body["template"]["components"][0]["parameters"][1]["text"], "A-17");
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_goes_out_while_the_window_is_open() {
    let stage = Stage::new().await;
    let phone = stage.somebody();
    stage
        .simulator
        .control()
        .write_text(&phone.e164(), None, "hello")
        .unwrap();
    let message = stage.authorized_text(&phone, "We are open until six.").await;
    let dispatcher = stage.dispatcher().await;
    stage.until_last(message, "accepted").await;
    assert_eq!(stage.accepted()[0].kind, "text");
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_meta_refuses_for_good_is_not_tried_again() {
    let stage = Stage::new().await;
    stage.fault(Fault {
        code: Some(131_026),
        ..Fault::next(FaultKind::GraphError, 1)
    });
    let message = stage.message().await;
    let dispatcher = stage.dispatcher().await;
    let AttemptEvent::Rejected(rejected) = stage.until_last(message, "rejected").await else {
        unreachable!()
    };
    assert_eq!((rejected.error.code, rejected.retry), (131_026, RetryClass::Never));
    // Another one passes by; the first stays where it is.
    let next = stage.message().await;
    stage.until_last(next, "accepted").await;
    assert_eq!(stage.story(message).await, ["started", "rejected"]);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soft_shutdown_finishes_calls_and_takes_no_new_ones() {
    let stage = Stage::new().await;
    stage.fault(Fault {
        delay_ms: Some(200),
        ..Fault::next(FaultKind::SlowAnswer, 1)
    });
    let message = stage.message().await;
    let dispatcher = stage.dispatcher().await;
    let one = assent_simulator::WaitFor {
        accepted: Some(1),
        ..assent_simulator::WaitFor::default()
    };
    assert!(stage.simulator.control().wait(&one).await);
    dispatcher.stop().await;
    assert_eq!(stage.outcome(message).await, Some(Outcome::Accepted));
    let later = stage.message().await;
    // The feed was released: another one goes on where this one was, without waiting for a lease.
    let dispatcher = stage.dispatcher().await;
    stage.until_last(later, "accepted").await;
    assert_eq!(stage.taken(), [message, later]);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_dispatchers_side_by_side_send_everything_once() {
    let stage = Stage::new().await;
    let first = stage.dispatcher().await;
    let messages = stage.messages(30).await;
    // The second takes the leases away in the middle of the work of the first.
    let second = stage.dispatcher().await;
    let more = stage.messages(30).await;
    for message in messages.iter().chain(&more) {
        stage.until_last(*message, "accepted").await;
    }
    let taken = stage.taken();
    assert_eq!(taken.len(), 60);
    assert_eq!(taken.into_iter().collect::<HashSet<_>>().len(), 60);
    tokio::time::timeout(Duration::from_secs(30), async {
        first.stop().await;
        second.stop().await;
    })
    .await
    .unwrap();
}

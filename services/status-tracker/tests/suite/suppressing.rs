//! Who is not worth writing to.

use super::{
    people::{at, contact},
    support::{Script, Stage, eventually},
};
use assent_domain::{
    events::{LiftReason, SuppressionEvent},
    values::Timestamp,
};
use assent_proto::v1::{self, suppression_service_client::SuppressionServiceClient};

fn quick(script: &mut Script) {
    script.config.suppression.persist_ms = 20;
    script.config.suppression.silence_hours = 24;
}

/// A message that was let out and has come to `words` at the hour.
async fn story(stage: &Stage, id: u128, person: u8, words: &[(&str, i64)]) {
    stage.let_out(id, person).await;
    for (word, hour) in words {
        stage.report(id, word, at(*hour)).await;
    }
}

/// Callbacks about somebody else's messages, every four hours: the number's callbacks come in.
async fn others(stage: &Stage, hours: std::ops::RangeInclusive<i64>) {
    for hour in hours.step_by(4) {
        story(
            stage,
            1_000_000 + hour as u128,
            99,
            &[("sent", hour), ("delivered", hour)],
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_meta_cannot_reach_is_suppressed_until_they_write() {
    let stage = Stage::start_with(quick).await;
    stage.let_out(1, 7).await;
    stage.report(1, "sent", at(1)).await;
    stage.fail(1, 131_026, at(1)).await;
    stage.fail(1, 131_026, at(1)).await;
    eventually("the person is suppressed", || async {
        (stage.concluded(7).await == ["suppression.undeliverable"]).then_some(())
    })
    .await;
    // A failure of another kind says nothing about the person.
    stage.let_out(2, 8).await;
    stage.fail(2, 131_049, at(1)).await;
    stage.write("acme", 7, "hello", at(2)).await;
    eventually("the suppression is lifted", || async {
        (stage.concluded(7).await == ["suppression.undeliverable", "suppression.lifted"]).then_some(())
    })
    .await;
    stage.fail(1, 131_026, at(1)).await;
    stage.decided().await;
    assert_eq!(stage.concluded(7).await.len(), 2);
    assert!(stage.concluded(8).await.is_empty());
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_delivered_after_all_lifts_the_suppression() {
    let stage = Stage::start_with(quick).await;
    stage.let_out(1, 7).await;
    stage.fail(1, 131_026, at(1)).await;
    eventually("the person is suppressed", || async {
        (stage.concluded(7).await.len() == 1).then_some(())
    })
    .await;
    stage.let_out(2, 7).await;
    stage.report(2, "delivered", at(3)).await;
    eventually("the suppression is lifted", || async {
        (stage.concluded(7).await.len() == 2).then_some(())
    })
    .await;
    let events = stage.events::<SuppressionEvent>().await;
    assert!(matches!(&events[1], SuppressionEvent::Lifted(lifted) if lifted.reason == LiftReason::Delivered));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_silent_messages_after_a_delivered_one_are_a_suspicion_while_callbacks_come() {
    let stage = Stage::start_with(quick).await;
    others(&stage, 0..=4).await;
    for person in [5, 7, 8, 9] {
        story(
            &stage,
            u128::from(person) * 100,
            person,
            &[("sent", 1), ("delivered", 1)],
        )
        .await;
    }
    // 7 stays silent; 8 fails once, so only two are silent; 9 is reached by the last one.
    for (nth, hour) in [(1, 5), (2, 6), (3, 7)] {
        story(&stage, 700 + nth, 7, &[("sent", hour)]).await;
        story(&stage, 800 + nth, 8, &[("sent", hour)]).await;
        story(&stage, 900 + nth, 9, &[("sent", hour)]).await;
    }
    // Of a reaction nothing but `sent` is ever reported: 5 is not silent.
    for (nth, hour) in [(1, 5), (2, 6), (3, 7)] {
        stage.react(500 + nth, 5).await;
        stage.report(500 + nth, "sent", at(hour)).await;
    }
    stage.fail(802, 131_049, at(7)).await;
    stage.report(903, "delivered", at(8)).await;
    // Never reached before: that is not silence after having been reached.
    for nth in 1..=3 {
        story(&stage, 600 + nth, 6, &[("sent", 5)]).await;
    }
    others(&stage, 8..=24).await;
    stage.decided().await;
    assert!(stage.concluded(7).await.is_empty(), "a day has not yet passed");
    others(&stage, 28..=40).await;
    eventually("the suspicion is concluded", || async {
        (stage.concluded(7).await == ["suppression.suspected_blocked"]).then_some(())
    })
    .await;
    for person in [5, 6, 8, 9] {
        assert!(stage.concluded(person).await.is_empty(), "{person}");
    }
    let events = stage.events::<SuppressionEvent>().await;
    let SuppressionEvent::SuspectedBlocked(suspected) = &events[0] else {
        panic!("{events:?}")
    };
    assert_eq!((suspected.sent_without_delivery, suspected.first_sent_at), (3, at(5)));
    assert_eq!(suspected.last_delivered_at, Some(at(1)));

    // One of them arrives after all.
    stage.report(702, "delivered", at(41)).await;
    eventually("the suspicion is lifted", || async {
        (stage.concluded(7).await.len() == 2).then_some(())
    })
    .await;
    others(&stage, 44..=80).await;
    stage.decided().await;
    assert_eq!(stage.concluded(7).await.len(), 2);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_silent_while_the_numbers_callbacks_do_not_come() {
    let stage = Stage::start_with(quick).await;
    others(&stage, 0..=4).await;
    story(&stage, 700, 7, &[("sent", 1), ("delivered", 1)]).await;
    for nth in 1..=3 {
        story(&stage, 700 + nth, 7, &[("sent", 5)]).await;
    }
    // Three days without a callback, then one.
    others(&stage, 80..=84).await;
    stage.decided().await;
    assert!(stage.concluded(7).await.is_empty());
    // Counted anew from then on.
    others(&stage, 88..=112).await;
    eventually("the suspicion is concluded", || async {
        (stage.concluded(7).await.len() == 1).then_some(())
    })
    .await;
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_and_the_ends_of_batches_make_no_difference() {
    // The same history three times: at once, with everything told twice in another order, and in small pieces.
    let mut outcomes = Vec::new();
    for variant in 0..3 {
        let stage = Stage::start_with(quick).await;
        others(&stage, 0..=4).await;
        let piece = |part: u8| {
            let stage = &stage;
            async move {
                if variant == 2 && part.is_multiple_of(2) {
                    stage.decided().await;
                }
            }
        };
        for person in 7..=9_u8 {
            story(
                &stage,
                u128::from(person) * 100,
                person,
                &[("sent", 1), ("delivered", 1)],
            )
            .await;
            piece(person).await;
            for nth in 1..=3 {
                let id = u128::from(person) * 100 + nth;
                let twice: &[(&str, i64)] = match (person, variant) {
                    (9, 1) => &[("read", 9), ("delivered", 8), ("sent", 5), ("read", 9), ("sent", 5)],
                    (9, _) => &[("sent", 5), ("delivered", 8), ("read", 9)],
                    (_, 1) => &[("sent", 5), ("sent", 5)],
                    (_, _) => &[("sent", 5)],
                };
                story(&stage, id, person, twice).await;
            }
            if person == 8 {
                for _ in 0..=variant {
                    stage.fail(802, 131_026, at(6)).await;
                }
            }
            piece(person + 1).await;
        }
        others(&stage, 8..=40).await;
        eventually("the suspicion is concluded", || async {
            (!stage.concluded(7).await.is_empty()).then_some(())
        })
        .await;
        stage.decided().await;
        let mut outcome = Vec::new();
        for person in 6..=9 {
            outcome.push(stage.concluded(person).await);
        }
        outcomes.push(outcome);
        stage.stop().await;
    }
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(outcomes[0], outcomes[2]);
    assert_eq!(outcomes[0][2], ["suppression.undeliverable"]);
    assert!(outcomes[0][3].is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suppression_is_listed_and_lifted_by_an_admin_and_no_other_tenant_sees_it() {
    let stage = Stage::start_with(quick).await;
    stage.let_out(1, 7).await;
    stage.fail(1, 131_026, at(1)).await;
    let client = |key| SuppressionServiceClient::with_interceptor(stage.channel(), super::support::bearer(key));
    let mut admin = client(stage.acme_key.clone());
    let listed = eventually("the view lists it", || {
        let mut admin = admin.clone();
        async move {
            let page = admin
                .list_suppressions(v1::ListSuppressionsRequest::default())
                .await
                .unwrap()
                .into_inner();
            page.suppressions.into_iter().next()
        }
    })
    .await;
    let id = contact(&stage, 7).to_string();
    assert_eq!((&listed.contact_id, listed.active), (&id, true));
    assert_eq!(listed.evidence[0].provider_code, 131_026);

    let lift = v1::LiftSuppressionRequest {
        key: Some(v1::lift_suppression_request::Key::ContactId(id.clone())),
    };
    let status = client(stage.reader_key().clone())
        .lift_suppression(lift.clone())
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
    let mut globex = client(stage.globex_key.clone());
    let status = globex.lift_suppression(lift.clone()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
    let get = v1::GetSuppressionRequest {
        key: Some(v1::get_suppression_request::Key::ContactId(id)),
    };
    assert_eq!(
        globex.get_suppression(get.clone()).await.unwrap_err().code(),
        tonic::Code::NotFound
    );
    assert!(admin.get_suppression(get).await.is_ok());

    assert!(admin.lift_suppression(lift.clone()).await.unwrap().into_inner().changed);
    assert!(!admin.lift_suppression(lift).await.unwrap().into_inner().changed);
    let events = stage.events::<SuppressionEvent>().await;
    assert!(
        matches!(&events[1], SuppressionEvent::Lifted(event) if event.reason == LiftReason::Requested && event.lifted_at > Timestamp::from_seconds(0))
    );
    stage.stop().await;
}

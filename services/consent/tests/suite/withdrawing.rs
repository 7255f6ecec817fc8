//! What people say and choose, and which aliases are one person.

use super::world::{
    ANA, BEN, Ground, SHARD, get, named, observe_template, opt_in, opt_out, origin, phone, record, report, seconds_ago,
    sender, submit, submitted, until, world, write,
};
use assent_domain::{
    events::{
        Accepted, AcceptedAs, AttemptEvent, AttemptRejected, ContactEvent, DecisionEvent, LearnedFrom,
        PreferenceChanged, PreferenceValue, ProviderError, ProviderEvent, RetryClass, StreamCategory, TemplateStatus,
    },
    gates::RefusalReason,
    values::{AttemptId, Category, MessageId, Term, Timestamp, WamidHash},
};
use assent_proto::v1::{ConsentState, MessageCategory};
use assent_runtime::{log, streams::Subject};
use assent_sealed::AliasHash;
use std::time::Duration;
use uuid::Uuid;

fn refusals(decision: DecisionEvent) -> Vec<RefusalReason> {
    match decision {
        DecisionEvent::Refused(refused) => refused.refusals.iter().map(|refusal| refusal.reason).collect(),
        other => panic!("not refused: {other:?}"),
    }
}

fn accepted(wa_id_alias: AliasHash) -> AttemptEvent {
    Box::new(Accepted {
        attempt: AttemptId::new(Uuid::now_v7()),
        wamid_hash: WamidHash([7; 32]),
        wamid: None,
        wa_id_alias: Some(wa_id_alias),
        wa_id: None,
        user_id_alias: None,
        user_id: None,
        accepted_as: AcceptedAs::Accepted,
        learned_from: LearnedFrom::Answer,
        accepted_at: log::now(),
    })
    .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_overtakes_thousands_of_requests() {
    const REQUESTS: usize = 3_000;
    let ground = Ground::new().await;
    let platform = ground.platform().await;
    observe_template(&platform, "order_ready", Category::Utility, TemplateStatus::Approved).await;
    let asks = (0..REQUESTS).map(|at| {
        let to = format!("+1202555{at:04}");
        submit(&platform, submitted(&platform, &to, Some("order_ready")))
    });
    futures::future::join_all(asks).await;
    // The last thing in the log when the service starts.
    write(&platform, "12025550142", "Stop!", log::now()).await;
    let world = ground.start_on(platform).await;
    let stopped = world.wait_for::<ContactEvent>("contact.opted_out", 1).await;
    let decided = until("all decisions", async || {
        let log = world.log().await;
        let decided: Vec<u64> = log
            .iter()
            .filter(|event| log::is_of(event, StreamCategory::Decision))
            .map(|event| event.position)
            .collect();
        (decided.len() == REQUESTS).then_some(decided)
    })
    .await;
    let before = decided
        .iter()
        .filter(|position| **position < stopped[0].0.position)
        .count();
    assert!(before < REQUESTS / 2, "{before} requests were decided before the STOP");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_keyword_withdraws_and_start_brings_nobody_back() {
    let world = world().await;
    let mut client = world.client().await;
    client
        .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
        .await
        .unwrap();
    write(&world.platform, "12025550142", "Please stop by at nine", log::now()).await;
    write(&world.platform, "12025550142", "¡STOP!", log::now()).await;
    write(&world.platform, "12025550142", "START", log::now()).await;
    world.wait_for::<ContactEvent>("contact.opted_out", 1).await;
    world.caught_up().await;
    assert_eq!(world.wait_for::<ContactEvent>("contact.opted_out", 1).await.len(), 1);
    let contact = client
        .get_contact(get(ANA))
        .await
        .unwrap()
        .into_inner()
        .contact
        .unwrap();
    assert!(
        contact
            .consents
            .iter()
            .all(|consent| consent.state() == ConsentState::OptedOut)
    );
    assert_eq!(contact.consents[0].source, "keyword");
    assert!(!contact.consents[0].event_id.is_empty());
    assert!(contact.window_closes_at.is_some());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_metas_clock_cuts_off_before_the_opt_in_still_wins() {
    let world = world().await;
    let mut client = world.client().await;
    // The opt-in falls into the middle of a second; the STOP that follows is stamped with the beginning of that second.
    let into_second = log::now().as_micros().rem_euclid(1_000_000) as u64;
    tokio::time::sleep(Duration::from_micros((1_300_000 - into_second) % 1_000_000)).await;
    client
        .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
        .await
        .unwrap();
    let second = Timestamp::from_seconds(log::now().as_seconds());
    write(&world.platform, "12025550142", "STOP", second).await;
    world.wait_for::<ContactEvent>("contact.opted_out", 1).await;
    let contact = client
        .get_contact(get(ANA))
        .await
        .unwrap()
        .into_inner()
        .contact
        .unwrap();
    assert_eq!(contact.consents[0].state(), ConsentState::OptedOut);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_within_whatsapp_ends_marketing_only() {
    let world = world().await;
    let mut client = world.client().await;
    let both = [MessageCategory::Utility, MessageCategory::Marketing];
    for person in [ANA, BEN] {
        client.record_opt_in(opt_in(person, &both)).await.unwrap();
    }
    let ana = named(&world.platform, "12025550142").await;
    let changed = PreferenceChanged {
        number: sender(),
        from: vec![ana.clone()],
        category: Term::try_new("marketing_messages").unwrap(),
        value: PreferenceValue::Stop,
        provider_at: log::now(),
        received_at: log::now(),
    };
    record(
        &world.platform,
        Subject::Person(ana.hash),
        &ProviderEvent::from(changed),
    )
    .await;
    // Ben's comes as an error, twice, and once more as an answer to the call.
    let message = submit(&world.platform, submitted(&world.platform, BEN, Some("offer"))).await;
    report(&world.platform, message, "12025550143", "failed", Some(131_050)).await;
    report(&world.platform, message, "12025550143", "failed", Some(131_050)).await;
    world.wait_for::<ContactEvent>("contact.platform_stopped", 2).await;
    for person in [ANA, BEN] {
        let refused = refusals(world.ask(person, Some("offer")).await);
        assert_eq!(
            refused,
            [RefusalReason::ConsentWithdrawn, RefusalReason::PlatformStopped]
        );
        assert!(matches!(
            world.ask(person, Some("order_ready")).await,
            DecisionEvent::Authorized(_)
        ));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_attempt_tells_of_a_stop_too() {
    let world = world().await;
    world
        .client()
        .await
        .record_opt_in(opt_in(ANA, &[MessageCategory::Marketing]))
        .await
        .unwrap();
    let message = submit(&world.platform, submitted(&world.platform, ANA, Some("offer"))).await;
    let rejected = AttemptRejected {
        attempt: AttemptId::new(Uuid::now_v7()),
        error: ProviderError {
            code: 131_050,
            subcode: None,
        },
        retry: RetryClass::Never,
        rejected_at: log::now(),
    };
    record(
        &world.platform,
        Subject::Message(message),
        &AttemptEvent::from(rejected),
    )
    .await;
    world.wait_for::<ContactEvent>("contact.platform_stopped", 1).await;
    assert!(refusals(world.ask(ANA, Some("offer")).await).contains(&RefusalReason::PlatformStopped));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_names_somebody_else_binds_the_alias_once() {
    let world = world().await;
    let mut client = world.client().await;
    let contact = client
        .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
        .await
        .unwrap()
        .into_inner();
    let other = world.platform.alias_hash("acme", &phone("+13035550111"));
    for _ in 0..3 {
        let message = submit(&world.platform, submitted(&world.platform, ANA, Some("order_ready"))).await;
        record(&world.platform, Subject::Message(message), &accepted(other)).await;
    }
    world.wait_for::<ContactEvent>("contact.merged_into", 1).await;
    world.caught_up().await;
    assert_eq!(world.wait_for::<ContactEvent>("contact.merged_into", 1).await.len(), 1);
    let found = client
        .get_contact(get("+13035550111"))
        .await
        .unwrap()
        .into_inner()
        .contact
        .unwrap();
    assert_eq!(found.contact_id, contact.contact_id);
    // The usual answer repeats what is known and writes nothing.
    let head = world.platform.store.head(SHARD).await.unwrap();
    let own = world.platform.alias_hash("acme", &phone(ANA));
    let message = submit(&world.platform, submitted(&world.platform, ANA, Some("order_ready"))).await;
    record(&world.platform, Subject::Message(message), &accepted(own)).await;
    world.decision(message).await;
    world.caught_up().await;
    assert_eq!(world.platform.store.head(SHARD).await.unwrap(), head + 3);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_contacts_that_are_one_person_are_merged_and_the_withdrawal_wins() {
    let world = world().await;
    let mut client = world.client().await;
    let other = "+13035550111";
    client
        .record_opt_in(opt_in(other, &[MessageCategory::Utility]))
        .await
        .unwrap();
    client.record_opt_out(opt_out(other)).await.unwrap();
    client
        .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
        .await
        .unwrap();
    let message = submit(&world.platform, submitted(&world.platform, ANA, Some("order_ready"))).await;
    assert!(matches!(world.decision(message).await, DecisionEvent::Authorized(_)));
    let alias = world.platform.alias_hash("acme", &phone(other));
    record(&world.platform, Subject::Message(message), &accepted(alias)).await;
    world.wait_for::<ContactEvent>("contact.merged", 1).await;
    for spelling in [ANA, other] {
        let refused = refusals(world.ask(spelling, Some("order_ready")).await);
        assert_eq!(refused, [RefusalReason::ConsentWithdrawn]);
    }
    // Agreeing anew, later, counts for both.
    client
        .record_opt_in(opt_in(other, &[MessageCategory::Utility]))
        .await
        .unwrap();
    assert!(matches!(
        world.ask(ANA, Some("order_ready")).await,
        DecisionEvent::Authorized(_)
    ));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_nobody_understands_do_not_hold_up_the_others() {
    let world = world().await;
    let message = MessageId::new(Uuid::now_v7());
    for (category, kind) in [
        ("request", "request.submitted"),
        ("provider", "provider.message_received"),
    ] {
        let stream = assent_event_store::StreamId::new(category, message.uuid());
        let meta = assent_event_store::EventMeta {
            tenant: Some("acme".into()),
            ..assent_event_store::EventMeta::default()
        };
        let event = assent_event_store::NewEvent::new(kind, 1, &b"{\"odd\":1}"[..], &meta);
        let append = assent_event_store::Append::new().write(stream, assent_event_store::Expected::Any, [event]);
        world.platform.store.append(SHARD, append).await.unwrap();
    }
    assert_eq!(origin().tenant.as_str(), "acme");
    write(&world.platform, "12025550142", "stop", seconds_ago(1)).await;
    world.wait_for::<ContactEvent>("contact.opted_out", 1).await;
    assert!(refusals(world.ask(ANA, Some("order_ready")).await).contains(&RefusalReason::ConsentWithdrawn));
    world.stop().await;
}

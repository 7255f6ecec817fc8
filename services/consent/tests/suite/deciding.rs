//! Requests and their decisions.

use super::world::{
    ANA, BEN, Ground, observe_template, opt_in, opt_out, report, seconds_ago, submit, submitted, until, world, write,
};
use assent_domain::{
    events::{ContactEvent, DecisionEvent, StreamCategory, TemplateStatus},
    gates::{Evidence, RefusalReason},
    values::{Category, PhoneNumberId, TenantId},
};
use assent_proto::v1::MessageCategory;
use assent_runtime::log;
use std::{collections::HashMap, time::Duration};

fn reasons(decision: &DecisionEvent) -> Vec<RefusalReason> {
    match decision {
        DecisionEvent::Refused(refused) => refused.refusals.iter().map(|refusal| refusal.reason).collect(),
        other => panic!("not refused: {other:?}"),
    }
}

fn is_authorized(decision: &DecisionEvent) -> bool {
    matches!(decision, DecisionEvent::Authorized(_))
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_opt_in_a_message_is_authorized_and_names_it() {
    let world = world().await;
    world
        .client()
        .await
        .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
        .await
        .unwrap();
    let DecisionEvent::Authorized(authorized) = world.ask(ANA, Some("order_ready")).await else {
        panic!("not authorized")
    };
    assert_eq!(
        (authorized.category, authorized.contact_version),
        (Category::Utility, 2)
    );
    let is_opt_in = |found: &Evidence| matches!(found, Evidence::OptIn { version: 2, .. });
    assert!(authorized.evidence.iter().any(is_opt_in), "{:?}", authorized.evidence);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reason_of_a_refusal_is_recorded() {
    let world = world().await;
    world
        .observe_template("paused", Category::Utility, TemplateStatus::Paused)
        .await;
    let refused = world.ask(ANA, Some("paused")).await;
    assert_eq!(
        reasons(&refused),
        [RefusalReason::TemplatePaused, RefusalReason::ConsentMissing]
    );
    let refused = world.ask(ANA, Some("nothing_like_it")).await;
    assert_eq!(
        reasons(&refused),
        [RefusalReason::TemplateUnknown, RefusalReason::ConsentMissing]
    );
    let refused = world.ask(ANA, None).await;
    assert_eq!(
        reasons(&refused),
        [RefusalReason::ConsentMissing, RefusalReason::WindowClosed]
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_or_tenant_that_left_the_file_is_a_recorded_refusal() {
    let world = world().await;
    let mut gone = submitted(&world.platform, ANA, Some("order_ready"));
    gone.sender = PhoneNumberId::try_new("999").unwrap();
    assert!(reasons(&world.decide(gone).await).contains(&RefusalReason::NumberUnknown));
    let mut gone = submitted(&world.platform, ANA, Some("order_ready"));
    gone.tenant = TenantId::try_new("closed").unwrap();
    assert!(reasons(&world.decide(gone).await).contains(&RefusalReason::NumberUnknown));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_old_expires_whatever_the_gates_say() {
    let world = world().await;
    world
        .client()
        .await
        .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
        .await
        .unwrap();
    for template in ["order_ready", "nothing_like_it"] {
        let mut late = submitted(&world.platform, ANA, Some(template));
        late.expires_at = seconds_ago(1);
        assert!(matches!(world.decide(late).await, DecisionEvent::Expired(_)));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_authorization_stands_behind_a_change_of_its_contact_that_it_has_not_seen() {
    let world = world().await;
    let mut client = world.client().await;
    client
        .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
        .await
        .unwrap();
    let platform = world.platform.clone();
    let asking = tokio::spawn(async move {
        for _ in 0..150 {
            submit(&platform, submitted(&platform, ANA, Some("order_ready"))).await;
        }
    });
    for _ in 0..20 {
        client.record_opt_out(opt_out(ANA)).await.unwrap();
        client
            .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
            .await
            .unwrap();
    }
    asking.await.unwrap();
    world.caught_up().await;

    let mut versions = HashMap::new();
    let (mut authorized, mut decided) = (0, 0);
    for event in world.log().await {
        if log::is_of(&event, StreamCategory::Contact) {
            versions.insert(event.stream.key, event.version);
        } else if log::is_of(&event, StreamCategory::Decision) {
            decided += 1;
            if let DecisionEvent::Authorized(decision) = log::read(&event).unwrap() {
                authorized += 1;
                assert_eq!(versions.get(&decision.contact.uuid()), Some(&decision.contact_version));
            }
        }
    }
    assert_eq!(decided, 150);
    assert!(authorized > 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_everything_again_changes_nothing() {
    let world = world().await;
    world
        .client()
        .await
        .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
        .await
        .unwrap();
    for to in [ANA, BEN, ANA] {
        world.ask(to, Some("order_ready")).await;
    }
    write(&world.platform, "12025550143", "STOP", seconds_ago(5)).await;
    world.wait_for::<ContactEvent>("contact.opted_out", 1).await;
    world.caught_up().await;
    let before = world.log().await;

    let ground = world.stop().await;
    ground.rewind().await;
    let world = ground.start().await;
    world.caught_up().await;
    assert_eq!(world.log().await, before);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mexican_number_is_found_by_either_spelling() {
    let world = world().await;
    let mut client = world.client().await;
    let (with_one, without) = ("+5215512345678", "+525512345678");
    client
        .record_opt_in(opt_in(without, &[MessageCategory::Utility]))
        .await
        .unwrap();
    assert!(is_authorized(&world.ask(with_one, Some("order_ready")).await));
    // Meta's spelling of somebody who was never addressed by it.
    write(&world.platform, "5215512345678", "Baja", log::now()).await;
    world.wait_for::<ContactEvent>("contact.opted_out", 1).await;
    for spelling in [with_one, without] {
        let refused = world.ask(spelling, Some("order_ready")).await;
        assert_eq!(reasons(&refused), [RefusalReason::ConsentWithdrawn]);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_the_person_opens_the_window_for_a_day() {
    let world = world().await;
    assert_eq!(
        reasons(&world.ask(ANA, None).await),
        [RefusalReason::ConsentMissing, RefusalReason::WindowClosed]
    );
    write(&world.platform, "12025550142", "Hello?", seconds_ago(25 * 3_600)).await;
    assert!(reasons(&world.ask(ANA, None).await).contains(&RefusalReason::WindowClosed));
    write(&world.platform, "12025550142", "Hello?", seconds_ago(23 * 3_600)).await;
    let DecisionEvent::Authorized(authorized) = world.ask(ANA, None).await else {
        panic!("not authorized")
    };
    assert_eq!(authorized.category, Category::Service);
    // Only Ana's, and only for answers.
    assert!(reasons(&world.ask(BEN, None).await).contains(&RefusalReason::WindowClosed));
    assert_eq!(
        reasons(&world.ask(ANA, Some("offer")).await),
        [RefusalReason::ConsentMissing]
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metas_word_that_the_window_is_closed_closes_it() {
    let world = world().await;
    write(&world.platform, "12025550142", "Hello?", seconds_ago(3_600)).await;
    let message = submit(&world.platform, submitted(&world.platform, ANA, None)).await;
    assert!(is_authorized(&world.decision(message).await));
    report(&world.platform, message, "12025550142", "failed", Some(131_047)).await;
    assert!(reasons(&world.ask(ANA, None).await).contains(&RefusalReason::WindowClosed));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_unreachable_is_not_written_to_until_a_sign_of_life() {
    let world = world().await;
    world
        .client()
        .await
        .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
        .await
        .unwrap();
    let message = submit(&world.platform, submitted(&world.platform, ANA, Some("order_ready"))).await;
    report(&world.platform, message, "12025550142", "sent", None).await;
    report(&world.platform, message, "12025550142", "failed", Some(131_026)).await;
    let refused = world.ask(ANA, Some("order_ready")).await;
    assert_eq!(reasons(&refused), [RefusalReason::RecipientUndeliverable]);
    // What is known survives the process.
    let world = world.stop().await.start().await;
    let refused = world.ask(ANA, Some("order_ready")).await;
    assert_eq!(reasons(&refused), [RefusalReason::RecipientUndeliverable]);
    report(&world.platform, message, "12025550142", "delivered", None).await;
    assert!(is_authorized(&world.ask(ANA, Some("order_ready")).await));
    world.stop().await;
}

/// What a request costs this service; printed, not judged. Run it with `--release -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn the_cost_of_a_request() {
    const REQUESTS: usize = 5_000;
    let ground = Ground::new().await;
    let platform = ground.platform().await;
    observe_template(&platform, "order_ready", Category::Utility, TemplateStatus::Approved).await;
    let asks = (0..REQUESTS).map(|at| {
        let to = format!("+1202555{:04}", at % 10_000);
        submit(&platform, submitted(&platform, &to, Some("order_ready")))
    });
    futures::future::join_all(asks).await;
    let started = std::time::Instant::now();
    let world = ground.start_on(platform).await;
    let head = (1 + 2 * REQUESTS) as u64;
    until("all decisions", async || {
        (world.platform.store.head(super::world::SHARD).await.unwrap() >= head).then_some(())
    })
    .await;
    let per_request: Duration = started.elapsed() / REQUESTS as u32;
    println!(
        "{} µs a request, {REQUESTS} requests in a backlog",
        per_request.as_micros()
    );
    world.stop().await;
}

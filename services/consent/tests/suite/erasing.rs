//! Forgetting people.

use super::world::{ANA, SHARD, get, opt_in, phone, recipient, record, world};
use super::world::{World, until};
use assent_domain::{
    events::{ContactEvent, DecisionEvent, Erased},
    gates::RefusalReason,
};
use assent_proto::v1::{self, MessageCategory};
use assent_runtime::{
    log,
    streams::{Subject, purpose},
};
use assent_sealed::Opened;

fn erase(who: &str) -> v1::EraseContactRequest {
    v1::EraseContactRequest {
        key: recipient(who).map(v1::erase_contact_request::Key::Contact),
        requested_at: None,
    }
}

/// Whether the proof of the first opt-in can still be read.
async fn proof_is_readable(world: &World) -> bool {
    let events = world.wait_for::<ContactEvent>("contact.opted_in", 1).await;
    let ContactEvent::OptedIn(opted_in) = &events[0].1 else {
        panic!("not an opt-in")
    };
    let proof = opted_in.proof.as_ref().unwrap();
    let now = time::OffsetDateTime::now_utc();
    !matches!(
        world.platform.keys.open(proof, purpose::PROOF, now).await.unwrap(),
        Opened::Erased
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_erased_cannot_be_read_or_written_to_until_they_come_back() {
    let world = world().await;
    let mut client = world.client().await;
    client
        .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
        .await
        .unwrap();
    assert!(proof_is_readable(&world).await);
    assert!(client.erase_contact(erase(ANA)).await.unwrap().into_inner().changed);
    assert!(!proof_is_readable(&world).await);
    let contact = client
        .get_contact(get(ANA))
        .await
        .unwrap()
        .into_inner()
        .contact
        .unwrap();
    assert!(contact.erased && contact.aliases.is_empty());
    let DecisionEvent::Refused(refused) = world.ask(ANA, Some("order_ready")).await else {
        panic!("not refused")
    };
    assert_eq!(refused.refusals[0].reason, RefusalReason::ConsentWithdrawn);

    let head = world.platform.store.head(SHARD).await.unwrap();
    assert!(!client.erase_contact(erase(ANA)).await.unwrap().into_inner().changed);
    assert_eq!(world.platform.store.head(SHARD).await.unwrap(), head);

    client
        .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
        .await
        .unwrap();
    assert!(matches!(
        world.ask(ANA, Some("order_ready")).await,
        DecisionEvent::Authorized(_)
    ));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_cut_short_by_a_crash_is_finished() {
    let world = world().await;
    world
        .client()
        .await
        .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
        .await
        .unwrap();
    assert!(proof_is_readable(&world).await);
    // Recorded, and then the process died before it destroyed the keys.
    let alias = world.platform.alias_hash("acme", &phone(ANA));
    let contact = world.platform.contact_id("acme", alias);
    let erased = Erased {
        requested_at: log::now(),
        recorded_at: log::now(),
    };
    record(&world.platform, Subject::Contact(contact), &ContactEvent::from(erased)).await;
    until("the destruction", async || {
        (!proof_is_readable(&world).await).then_some(())
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_never_met_can_be_erased_and_is_not_written_to() {
    let world = world().await;
    assert!(
        world
            .client()
            .await
            .erase_contact(erase(ANA))
            .await
            .unwrap()
            .into_inner()
            .changed
    );
    let DecisionEvent::Refused(refused) = world.ask(ANA, Some("order_ready")).await else {
        panic!("not refused")
    };
    assert_eq!(refused.refusals[0].reason, RefusalReason::ConsentWithdrawn);
    world.stop().await;
}

//! However the events come, the views say the same.

use assent_domain::{
    delivery::Delivery,
    events::{AttemptEvent, DecisionEvent, DomainEvent as _, ProviderEvent, RequestEvent},
    values::MessageId,
};
use assent_event_store::RecordedEvent;
use assent_read_models::messages;

use crate::{
    stores::{SHARD, TestStores},
    story::{message, story},
};

crate::contract!(
    where_batches_end_makes_no_difference,
    callbacks_in_any_order_and_number_lead_to_the_same_views,
    a_message_stands_where_the_domain_says_it_does,
    a_different_story_has_a_different_digest,
);

async fn where_batches_end_makes_no_difference(stores: TestStores) {
    let events = story(1, 150, Some(2));
    let mut digests = Vec::new();
    for batch_events in [1, 7, 500] {
        let store = stores.fresh().await;
        store.append_all(&events).await;
        let position = store.views.catch_up(SHARD, batch_events).await.unwrap();
        assert_eq!(position, events.len() as u64);
        assert_eq!(store.views.position(SHARD).await.unwrap().position, position);
        digests.push(store.digests().await);
    }
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
}

async fn callbacks_in_any_order_and_number_lead_to_the_same_views(stores: TestStores) {
    let straight = stores.fresh().await;
    straight.append_all(&story(3, 200, None)).await;
    straight.views.catch_up(SHARD, 64).await.unwrap();
    let expected = straight.digests().await;
    for disorder in 0..4 {
        let events = story(3, 200, Some(disorder));
        let store = stores.fresh().await;
        store.append_all(&events).await;
        store.views.catch_up(SHARD, 64).await.unwrap();
        assert_eq!(store.digests().await, expected, "disorder {disorder}");
    }
}

/// What the domain makes of everything recorded about a message, read in full.
fn fold(events: &[RecordedEvent]) -> Delivery {
    let mut delivery = Delivery::default();
    for event in events {
        let (kind, version, data) = (event.kind.as_str(), event.schema_version, &event.data[..]);
        let facts = match event.stream.category.as_str() {
            "request" => Delivery::of_request(&RequestEvent::from_json(kind, version, data).unwrap()),
            "decision" => Delivery::of_decision(&DecisionEvent::from_json(kind, version, data).unwrap()),
            "attempt" => Delivery::of_attempt(&AttemptEvent::from_json(kind, version, data).unwrap()),
            _ => match ProviderEvent::from_json(kind, version, data).unwrap() {
                ProviderEvent::StatusReported(status) => Delivery::of_status(&status),
                other => panic!("{other:?}"),
            },
        };
        delivery = delivery.join(facts);
    }
    delivery
}

async fn a_message_stands_where_the_domain_says_it_does(stores: TestStores) {
    const MESSAGES: u128 = 300;
    let store = stores.fresh().await;
    store.append_all(&story(5, MESSAGES, Some(6))).await;
    store.views.catch_up(SHARD, 100).await.unwrap();
    let ids: Vec<MessageId> = (0..MESSAGES).map(message).collect();
    let keys: Vec<_> = ids.iter().map(|id| id.uuid()).collect();
    let found = messages::get(&store, SHARD, &ids).await.unwrap();
    let states = messages::states(&store, SHARD, &ids).await.unwrap();
    let histories = store.read_keys(SHARD, &keys).await.unwrap();
    assert_eq!(found.len(), ids.len());
    for id in ids {
        let delivery = fold(&histories[&id.uuid()]);
        assert_eq!(found[&id].progress.delivery, delivery, "{id}");
        assert_eq!(states[&id], delivery.state());
    }
}

async fn a_different_story_has_a_different_digest(stores: TestStores) {
    let (one, other) = (stores.fresh().await, stores.fresh().await);
    one.append_all(&story(7, 60, None)).await;
    other.append_all(&story(8, 60, None)).await;
    one.views.catch_up(SHARD, 64).await.unwrap();
    other.views.catch_up(SHARD, 64).await.unwrap();
    let (one, other) = (one.digests().await, other.digests().await);
    assert!(
        one.iter().zip(&other).all(|(one, other)| one != other),
        "{one:?} {other:?}"
    );
}

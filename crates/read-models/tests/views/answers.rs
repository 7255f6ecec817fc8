//! Messages, counts and quality as they are asked for.

use std::collections::BTreeMap;

use assent_domain::{
    delivery::DeliveryState,
    events::{AcceptedAs, CancelReason, QualityRating, RequestEvent, RetryClass},
    gates::RefusalReason,
    values::{Category, CategorySet, TenantId, Term},
};
use assent_event_store::ShardId;
use assent_read_models::{Page, QueryError, funnel, messages, quality};

use crate::{
    stores::{SHARD, TestStore, TestStores},
    story::{
        Event, accepted, alias, at, authorized, cancelled, contact, event, message, observed, opted_out, refused,
        rejected, reported, sender, started, submitted, tenant,
    },
};

crate::contract!(
    the_funnel_counts_each_message_once_at_each_step,
    a_message_shows_what_became_of_it,
    pages_neither_repeat_nor_hide_messages_while_others_come,
    every_filter_narrows_the_list,
    a_foreign_page_token_is_refused,
    a_number_has_a_history_and_its_own_counts,
    facts_about_a_message_nobody_asked_for_are_left_out,
);

fn requested(number: u128, moment: i64) -> Event {
    event::<RequestEvent>(message(number).uuid(), Box::new(submitted(number, at(moment))))
}

async fn told(stores: &TestStores, events: &[Event]) -> TestStore {
    let store = stores.fresh().await;
    store.append_all(events).await;
    store.views.catch_up(SHARD, 3).await.unwrap();
    store
}

/// One of each: refused, cancelled, rejected, failed, read without a report of delivery, sent twice, unknown.
fn one_of_each() -> Vec<Event> {
    let mut events: Vec<Event> = (1..=7).map(|number| requested(number, number as i64)).collect();
    events.push(refused(
        1,
        20,
        &[RefusalReason::ConsentMissing, RefusalReason::PlatformStopped],
    ));
    events.extend((2..=6).map(|number| authorized(number, 30)));
    events.push(cancelled(2, 40, CancelReason::Requested));
    events.extend((3..=6).map(|number| started(number, 50, 1)));
    events.push(rejected(3, 60, 132_001, RetryClass::Never));
    events.extend((4..=6).map(|number| accepted(number, 70, AcceptedAs::Accepted)));
    events.extend((4..=6).map(|number| reported(number, "sent", 1_000, &[])));
    events.push(reported(4, "failed", 2_000, &[131_026]));
    events.push(reported(5, "read", 3_000, &[]));
    events.push(reported(6, "sent", 1_000, &[]));
    events
}

async fn the_funnel_counts_each_message_once_at_each_step(stores: TestStores) {
    let store = told(&stores, &one_of_each()).await;
    let all = funnel::of(&store, SHARD, &tenant(), &funnel::Filter::default())
        .await
        .unwrap();
    let reasons = |words: &[&str]| {
        words
            .iter()
            .map(|word| ((*word).to_owned(), 1))
            .collect::<BTreeMap<_, _>>()
    };
    let expected = funnel::Funnel {
        requested: 7,
        authorized: 5,
        refused: 1,
        refused_by_reason: reasons(&["consent_missing", "platform_stopped"]),
        cancelled: 1,
        cancelled_by_reason: reasons(&["requested"]),
        started: 4,
        accepted: 3,
        rejected: 1,
        rejected_by_code: BTreeMap::from([(132_001, 1)]),
        sent: 3,
        delivered: 1,
        read: 1,
        failed: 1,
        failed_by_code: BTreeMap::from([(131_026, 1)]),
        ..funnel::Funnel::default()
    };
    assert_eq!(all, expected);

    let by_template = funnel::by(
        &store,
        SHARD,
        &tenant(),
        &funnel::Filter::default(),
        funnel::Group::Template,
    )
    .await;
    let requested: BTreeMap<String, u64> = by_template
        .unwrap()
        .into_iter()
        .map(|(key, of)| (key, of.requested))
        .collect();
    let expected = [("order_ready_v0", 2), ("order_ready_v1", 3), ("order_ready_v2", 2)];
    assert_eq!(requested, expected.map(|(name, count)| (name.to_owned(), count)).into());

    let only = |filter: funnel::Filter| {
        let store = &store;
        async move { funnel::of(store, SHARD, &tenant(), &filter).await.unwrap().requested }
    };
    let autumn = Term::try_new("autumn").unwrap();
    assert_eq!(
        only(funnel::Filter {
            campaign: Some(autumn),
            ..Default::default()
        })
        .await,
        1
    );
    assert_eq!(
        only(funnel::Filter {
            sender: Some(sender(0)),
            ..Default::default()
        })
        .await,
        3
    );
    assert_eq!(
        only(funnel::Filter {
            category: Some(Category::Utility),
            ..Default::default()
        })
        .await,
        5
    );
    assert_eq!(
        only(funnel::Filter {
            accepted_until: Some(at(1)),
            ..Default::default()
        })
        .await,
        7
    );
    assert_eq!(
        only(funnel::Filter {
            accepted_from: Some(at(3_600_000)),
            ..Default::default()
        })
        .await,
        0
    );
    let stranger = TenantId::try_new("stranger").unwrap();
    let theirs = funnel::of(&store, SHARD, &stranger, &funnel::Filter::default())
        .await
        .unwrap();
    assert_eq!(theirs, funnel::Funnel::default());
}

async fn a_message_shows_what_became_of_it(stores: TestStores) {
    let store = told(&stores, &one_of_each()).await;
    let ids: Vec<_> = (1..=8).map(message).collect();
    let found = messages::get(&store, SHARD, &ids).await.unwrap();
    assert_eq!(found.len(), 7);
    let refused = &found[&message(1)];
    assert_eq!(refused.state(), DeliveryState::Refused);
    let reasons: Vec<RefusalReason> = refused.progress.refusals().collect();
    assert_eq!(reasons, [RefusalReason::ConsentMissing, RefusalReason::PlatformStopped]);
    assert_eq!(
        found[&message(2)].progress.cancelled,
        Some((at(40), CancelReason::Requested))
    );
    assert_eq!(found[&message(3)].progress.error_code(), Some(132_001));
    let failed = &found[&message(4)];
    assert_eq!(
        (failed.state(), failed.progress.error_code()),
        (DeliveryState::Failed, Some(131_026))
    );
    assert_eq!(failed.tags[&Term::try_new("shop.name/1").unwrap()].as_str(), "shop-4");
    let read = &found[&message(5)];
    assert_eq!(
        (read.state(), read.progress.attempts, read.updated_at()),
        (DeliveryState::Read, 1, at(3_000))
    );
    assert_eq!(
        (read.contact(), read.category),
        (Some(contact(5)), Some(Category::Utility))
    );
    assert_eq!((read.recipient, read.accepted_at), (alias(5), at(5)));
    assert_eq!(found[&message(6)].other_spellings, [alias(1_006)]);
    assert_eq!(found[&message(7)].updated_at(), at(7));
}

async fn pages_neither_repeat_nor_hide_messages_while_others_come(stores: TestStores) {
    // Two of each moment, so that the moment alone does not order them.
    let events: Vec<Event> = (0..50).map(|number| requested(number, number as i64 / 2)).collect();
    let store = told(&stores, &events).await;
    let (mut seen, mut page) = (Vec::new(), Page { size: 7, token: None });
    loop {
        let found = messages::list(&store, SHARD, &tenant(), &messages::Filter::default(), &page)
            .await
            .unwrap();
        assert!(found.items.len() <= 7);
        seen.extend(found.items.iter().map(|summary| (summary.accepted_at, summary.message)));
        let newer = 1_000 + seen.len() as u128;
        store.append_all(&[requested(newer, 1_000)]).await;
        store.views.catch_up(SHARD, 100).await.unwrap();
        match found.next {
            Some(token) => page.token = Some(token),
            None => break,
        }
    }
    let mut expected: Vec<_> = (0..50).map(|number| (at(number as i64 / 2), message(number))).collect();
    expected.sort_unstable();
    expected.reverse();
    assert_eq!(seen, expected);
    let other_shard = ShardId(1);
    let elsewhere = messages::list(
        &store,
        other_shard,
        &tenant(),
        &messages::Filter::default(),
        &Page::default(),
    )
    .await;
    assert!(elsewhere.unwrap().items.is_empty());
}

async fn every_filter_narrows_the_list(stores: TestStores) {
    let store = told(&stores, &one_of_each()).await;
    let numbers = |filter: messages::Filter| {
        let store = &store;
        async move {
            let found = messages::list(store, SHARD, &tenant(), &filter, &Page::default())
                .await
                .unwrap();
            let mut numbers: Vec<u128> = found
                .items
                .iter()
                .map(|row| row.message.uuid().as_u128() & 0xff)
                .collect();
            numbers.sort_unstable();
            numbers
        }
    };
    let term = |text: &str| Term::try_new(text).unwrap();
    let states = vec![DeliveryState::Read, DeliveryState::Failed];
    assert_eq!(
        numbers(messages::Filter {
            states,
            ..Default::default()
        })
        .await,
        [4, 5]
    );
    assert_eq!(
        numbers(messages::Filter {
            sender: Some(sender(1)),
            ..Default::default()
        })
        .await,
        [1, 3, 5, 7]
    );
    let recipients = vec![alias(77), alias(3), alias(6)];
    assert_eq!(
        numbers(messages::Filter {
            recipients: recipients.clone(),
            ..Default::default()
        })
        .await,
        [3, 6]
    );
    let states = vec![DeliveryState::Sent];
    assert_eq!(
        numbers(messages::Filter {
            recipients,
            states,
            ..Default::default()
        })
        .await,
        [6]
    );
    let template = Some("order_ready_v1".parse().unwrap());
    assert_eq!(
        numbers(messages::Filter {
            template,
            ..Default::default()
        })
        .await,
        [1, 4, 7]
    );
    assert_eq!(
        numbers(messages::Filter {
            campaign: Some(term("autumn")),
            ..Default::default()
        })
        .await,
        [5]
    );
    let tags = BTreeMap::from([(term("shop.name/1"), term("shop-4"))]);
    assert_eq!(
        numbers(messages::Filter {
            tags,
            ..Default::default()
        })
        .await,
        [4]
    );
    let tags = BTreeMap::from([(term("shop.name/1"), term("shop-5"))]);
    assert!(
        numbers(messages::Filter {
            tags,
            ..Default::default()
        })
        .await
        .is_empty()
    );
    let (accepted_from, accepted_until) = (Some(at(3)), Some(at(5)));
    let between = messages::Filter {
        accepted_from,
        accepted_until,
        ..Default::default()
    };
    assert_eq!(numbers(between).await, [3, 4]);
}

async fn a_foreign_page_token_is_refused(stores: TestStores) {
    let store = stores.fresh().await;
    for token in ["nonsense", "!", "YmJi"] {
        let page = Page {
            size: 5,
            token: Some(token.to_owned()),
        };
        let refused = messages::list(&store, SHARD, &tenant(), &messages::Filter::default(), &page).await;
        assert!(matches!(refused, Err(QueryError::BadPageToken)), "{token}");
    }
}

async fn a_number_has_a_history_and_its_own_counts(stores: TestStores) {
    let mut events = one_of_each();
    events.push(observed(0, 10, QualityRating::Green));
    events.push(observed(1, 15, QualityRating::Green));
    events.push(observed(0, 20, QualityRating::Yellow));
    events.push(observed(0, 30, QualityRating::Red));
    events.push(opted_out(1, 40, CategorySet::all()));
    events.push(opted_out(2, -86_400_000, CategorySet::all()));
    let store = told(&stores, &events).await;
    let now = quality::numbers(&store, SHARD, &tenant()).await.unwrap();
    let colours: Vec<_> = now
        .iter()
        .map(|change| (change.observed.number.clone(), change.observed.quality))
        .collect();
    assert_eq!(
        colours,
        [(sender(0), QualityRating::Red), (sender(1), QualityRating::Green)]
    );

    let page = Page { size: 2, token: None };
    let first = quality::history(&store, SHARD, &tenant(), &sender(0), (None, None), &page)
        .await
        .unwrap();
    let page = Page {
        size: 2,
        token: first.next.clone(),
    };
    let second = quality::history(&store, SHARD, &tenant(), &sender(0), (None, None), &page)
        .await
        .unwrap();
    let moments = |changes: &[quality::NumberChange]| -> Vec<_> {
        changes
            .iter()
            .map(|change| (change.version, change.observed.observed_at))
            .collect()
    };
    assert_eq!(moments(&first.items), [(3, at(30)), (2, at(20))]);
    assert_eq!(moments(&second.items), [(1, at(10))]);
    assert!(second.next.is_none() && first.items[0].position > first.items[1].position);

    let today = quality::own_counts(&store, SHARD, &tenant(), quality::window(at(0), 1))
        .await
        .unwrap();
    let even = today[&sender(0)];
    assert_eq!((even.taken, even.sent, even.delivered, even.failed), (2, 2, 0, 1));
    assert!((even.share(even.failed) - 0.5).abs() < f64::EPSILON);
    let odd = today[&sender(1)];
    assert_eq!(
        (odd.taken, odd.delivered, odd.read, odd.failed, odd.tenant_opt_outs),
        (1, 1, 1, 0, 1)
    );
    let week = quality::own_counts(&store, SHARD, &tenant(), quality::window(at(0), 7))
        .await
        .unwrap();
    assert_eq!(week[&sender(0)].tenant_opt_outs, 2);
}

async fn facts_about_a_message_nobody_asked_for_are_left_out(stores: TestStores) {
    let mut events = vec![reported(9, "read", 1_000, &[]), authorized(9, 5)];
    events.push(requested(9, 7));
    for batch_events in [1, 100] {
        let store = stores.fresh().await;
        store.append_all(&events).await;
        store.views.catch_up(SHARD, batch_events).await.unwrap();
        let states = messages::states(&store, SHARD, &[message(9), message(8)])
            .await
            .unwrap();
        assert_eq!(
            states.into_iter().collect::<Vec<_>>(),
            [(message(9), DeliveryState::Requested)]
        );
    }
}

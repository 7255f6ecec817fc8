//! People not written to.

use assent_domain::{
    events::{LedgerSnapshot, Merged, MergedInto, OptInSource},
    values::{Category, CategorySet, TenantId},
};
use assent_read_models::{
    Page,
    blocked::{self, Reason},
};

use crate::{
    stores::{SHARD, TestStores},
    story::{
        at, contact, erased, lifted, message, of_contact, opted_in, opted_out, suspected_blocked, tenant, undeliverable,
    },
};

crate::contract!(
    each_reason_comes_with_its_evidence_and_ends_with_what_ends_it,
    whoever_only_agreed_is_not_in_the_list,
    a_merged_contact_hands_its_reasons_on,
    an_erased_person_is_not_written_to,
    the_list_is_paged_and_filtered,
);

async fn each_reason_comes_with_its_evidence_and_ends_with_what_ends_it(stores: TestStores) {
    let store = stores.fresh().await;
    store
        .append_all(&[
            opted_in(1, 5, OptInSource::WebForm),
            undeliverable(1, 10, 77),
            suspected_blocked(1, 20),
            opted_out(1, 30, CategorySet::only(Category::Marketing)),
        ])
        .await;
    store.views.catch_up(SHARD, 1).await.unwrap();
    let rows = blocked::of(&store, SHARD, contact(1)).await.unwrap();
    let reasons: Vec<Reason> = rows.iter().map(|row| row.reason).collect();
    assert_eq!(
        reasons,
        [
            Reason::OptedOut(Category::Marketing),
            Reason::SuspectedBlocked,
            Reason::Undeliverable
        ]
    );
    assert!(rows.iter().all(|row| row.ended_at.is_none() && row.tenant == tenant()));
    let [withdrawn, suspected, unreachable] = &rows[..] else {
        panic!()
    };
    assert_eq!(withdrawn.evidence[0].said.source.as_deref(), Some("keyword"));
    assert_eq!((withdrawn.since, withdrawn.evidence[0].position), (at(30), 4));
    assert_eq!(suspected.evidence[0].said.sent_without_delivery, Some(3));
    assert_eq!(
        (unreachable.code, unreachable.evidence[0].said.message),
        (Some(131_026), Some(message(77)))
    );

    store
        .append_all(&[lifted(1, 40), opted_in(1, 50, OptInSource::Chat)])
        .await;
    store.views.catch_up(SHARD, 1).await.unwrap();
    let rows = blocked::of(&store, SHARD, contact(1)).await.unwrap();
    let ends: Vec<_> = rows.iter().map(|row| row.ended_at).collect();
    assert_eq!(ends, [Some(at(50)), Some(at(40)), Some(at(40))]);
    let newest = &rows[0].evidence[0].said;
    assert_eq!(
        (newest.event.as_str(), newest.source.as_deref()),
        ("contact.opted_in", Some("chat"))
    );

    store.append_all(&[undeliverable(1, 60, 78)]).await;
    store.views.catch_up(SHARD, 1).await.unwrap();
    let rows = blocked::of(&store, SHARD, contact(1)).await.unwrap();
    assert_eq!(
        (rows[0].reason, rows[0].since, rows[0].ended_at),
        (Reason::Undeliverable, at(60), None)
    );
    let told: Vec<&str> = rows[0].evidence.iter().map(|piece| piece.said.event.as_str()).collect();
    assert_eq!(
        told,
        [
            "suppression.undeliverable",
            "suppression.lifted",
            "suppression.undeliverable"
        ]
    );
}

async fn whoever_only_agreed_is_not_in_the_list(stores: TestStores) {
    let store = stores.fresh().await;
    store
        .append_all(&[opted_in(1, 5, OptInSource::Import), lifted(2, 6)])
        .await;
    store.views.catch_up(SHARD, 100).await.unwrap();
    let all = blocked::Filter {
        include_ended: true,
        ..Default::default()
    };
    let found = blocked::list(&store, SHARD, &tenant(), &all, &Page::default())
        .await
        .unwrap();
    assert!(found.items.is_empty());
}

async fn a_merged_contact_hands_its_reasons_on(stores: TestStores) {
    let store = stores.fresh().await;
    store
        .append_all(&[opted_out(2, 10, CategorySet::only(Category::Utility))])
        .await;
    store.views.catch_up(SHARD, 100).await.unwrap();
    assert_eq!(blocked::of(&store, SHARD, contact(2)).await.unwrap().len(), 1);
    let mut snapshot = LedgerSnapshot::default();
    let withdrawal = assent_domain::contact::Withdrawal {
        given_at: at(10),
        source: assent_domain::events::OptOutSource::Keyword,
    };
    snapshot.consent.entry(Category::Utility).or_default().withdrawn = Some(withdrawal);
    let merged_at = at(20);
    store
        .append_all(&[
            of_contact(
                1,
                Merged {
                    from: contact(2),
                    snapshot,
                    merged_at,
                },
            ),
            of_contact(
                2,
                MergedInto {
                    into: contact(1),
                    merged_at,
                },
            ),
        ])
        .await;
    store.views.catch_up(SHARD, 100).await.unwrap();
    assert!(blocked::of(&store, SHARD, contact(2)).await.unwrap().is_empty());
    let rows = blocked::of(&store, SHARD, contact(1)).await.unwrap();
    assert_eq!(
        (rows[0].reason, rows[0].since),
        (Reason::OptedOut(Category::Utility), at(10))
    );
    assert_eq!(rows[0].evidence[0].said.event, "contact.merged");
}

async fn an_erased_person_is_not_written_to(stores: TestStores) {
    let store = stores.fresh().await;
    store
        .append_all(&[opted_in(1, 5, OptInSource::WebForm), erased(1, 10)])
        .await;
    store.views.catch_up(SHARD, 100).await.unwrap();
    let rows = blocked::of(&store, SHARD, contact(1)).await.unwrap();
    assert_eq!(rows.len(), Category::ALL.len());
    assert!(
        rows.iter()
            .all(|row| row.ended_at.is_none() && row.evidence[0].said.event == "contact.erased")
    );
}

async fn the_list_is_paged_and_filtered(stores: TestStores) {
    let store = stores.fresh().await;
    let mut events: Vec<_> = (0..20)
        .map(|who| undeliverable(who, 10 * (who as i64 % 4), who))
        .collect();
    events.extend((0..10).map(|who| suspected_blocked(who, 50)));
    events.push(lifted(3, 100));
    store.append_all(&events).await;
    store.views.catch_up(SHARD, 4).await.unwrap();
    let filter = blocked::Filter {
        reasons: vec![Reason::Undeliverable],
        include_ended: false,
    };
    let (mut seen, mut page) = (Vec::new(), Page { size: 6, token: None });
    loop {
        let found = blocked::list(&store, SHARD, &tenant(), &filter, &page).await.unwrap();
        seen.extend(found.items.iter().map(|row| (row.since, row.contact)));
        match found.next {
            Some(token) => page.token = Some(token),
            None => break,
        }
    }
    let active = (0..20).filter(|who| *who != 3);
    let mut expected: Vec<_> = active.map(|who| (at(10 * (who as i64 % 4)), contact(who))).collect();
    expected.sort_unstable();
    expected.reverse();
    assert_eq!(seen, expected);
    let all = blocked::Filter {
        include_ended: true,
        ..Default::default()
    };
    let found = blocked::list(&store, SHARD, &tenant(), &all, &Page { size: 500, token: None })
        .await
        .unwrap();
    assert_eq!(found.items.len(), 30);
    let stranger = TenantId::try_new("stranger").unwrap();
    assert!(
        blocked::list(&store, SHARD, &stranger, &all, &Page::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

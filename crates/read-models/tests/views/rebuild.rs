//! Views are made again while they serve.

use std::time::Duration;

use assent_event_store::{Feeds, Source};
use assent_read_models::{Page, RebuildError, Rebuilding, View, messages};
use tokio_util::sync::CancellationToken;

use crate::{
    stores::{SHARD, TestStore, TestStores},
    story::{story, tenant},
};

crate::contract!(
    a_rebuilt_view_says_what_the_old_one_said_and_the_log_is_untouched,
    a_rebuild_while_events_come_and_views_move_on_loses_nothing,
    a_rebuild_that_is_dropped_midway_leaves_the_old_view_serving,
    a_rebuild_that_died_is_cleaned_up_by_the_next,
    one_rebuild_of_a_view_at_a_time,
    a_rebuild_mends_what_was_damaged,
);

async fn caught_up_to(store: &TestStore, position: u64) {
    let arrived = async {
        while store.views.position(SHARD).await.unwrap().position < position {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), arrived)
        .await
        .expect("the views catch up");
}

async fn a_rebuilt_view_says_what_the_old_one_said_and_the_log_is_untouched(stores: TestStores) {
    let store = stores.fresh().await;
    store.append_all(&story(11, 150, Some(12))).await;
    store.views.catch_up(SHARD, 100).await.unwrap();
    let (digests, head) = (store.digests().await, store.head(SHARD).await.unwrap());
    for view in View::ALL {
        let mut last = None;
        store
            .views
            .rebuild(&[view], |progress| last = Some(progress))
            .await
            .unwrap();
        let Some(Rebuilding { done, total }) = last else {
            panic!("no progress was shown")
        };
        assert!(done == total && done >= head, "{done} of {total}");
        assert_eq!(store.digests().await, digests, "{view}");
        assert_eq!(store.left_overs().await, Vec::<String>::new());
    }
    store.views.rebuild(&View::ALL, |_| {}).await.unwrap();
    assert_eq!(store.digests().await, digests);
    assert_eq!(store.head(SHARD).await.unwrap(), head);
    // What is opened again finds what was renamed.
    assent_read_models::Views::open(&store).await.unwrap();
    let page = messages::list(&store, SHARD, &tenant(), &messages::Filter::default(), &Page::default()).await;
    assert_eq!(page.unwrap().items.len(), 50);
}

async fn a_rebuild_while_events_come_and_views_move_on_loses_nothing(stores: TestStores) {
    let events = story(13, 400, Some(14));
    let store = stores.fresh().await;
    let (before, after) = events.split_at(events.len() / 2);
    store.append_all(before).await;
    let feeds = Feeds::start(&store, &Source::Direct).await.unwrap();
    let shutdown = CancellationToken::new();
    let reader = tokio::spawn({
        let (views, shutdown) = (store.views.clone(), shutdown.clone());
        async move { views.run(&feeds, SHARD, shutdown, |_| {}).await }
    });
    caught_up_to(&store, 100).await;
    let appending = store.append_all(after);
    let rebuilding = async {
        for _ in 0..3 {
            store.views.rebuild(&View::ALL, |_| {}).await.unwrap();
            store.views.rebuild(&[View::Funnel], |_| {}).await.unwrap();
        }
    };
    tokio::join!(appending, rebuilding);
    caught_up_to(&store, events.len() as u64).await;
    shutdown.cancel();
    reader.await.unwrap();
    assert_eq!(store.head(SHARD).await.unwrap(), events.len() as u64);

    let straight = stores.fresh().await;
    straight.append_all(&events).await;
    straight.views.catch_up(SHARD, 200).await.unwrap();
    assert_eq!(store.digests().await, straight.digests().await);
}

async fn a_rebuild_that_is_dropped_midway_leaves_the_old_view_serving(stores: TestStores) {
    let store = stores.fresh().await;
    store.append_all(&story(15, 100, None)).await;
    store.views.catch_up(SHARD, 100).await.unwrap();
    let digests = store.digests().await;
    let (sender, mut midway) = tokio::sync::mpsc::unbounded_channel();
    let rebuilding = tokio::spawn({
        let views = store.views.clone();
        async move {
            views
                .rebuild(&View::ALL, move |_| sender.send(()).unwrap_or_default())
                .await
        }
    });
    midway.recv().await;
    rebuilding.abort();
    let _ended = rebuilding.await;
    assert_eq!(store.digests().await, digests);
    // The next one may have to wait until the last one's end is known.
    let rebuilt = async {
        while let Err(error) = store.views.rebuild(&View::ALL, |_| {}).await {
            assert!(matches!(error, RebuildError::Busy { .. }), "{error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), rebuilt)
        .await
        .expect("it is let go of");
    assert_eq!(store.digests().await, digests);
    assert_eq!(store.left_overs().await, Vec::<String>::new());
}

async fn a_rebuild_that_died_is_cleaned_up_by_the_next(stores: TestStores) {
    let store = stores.fresh().await;
    store.leave_a_dead_rebuild().await;
    assert_eq!(store.left_overs().await, ["blocked_b_g41"]);
    store.views.rebuild(&[View::Messages], |_| {}).await.unwrap();
    assert_eq!(store.left_overs().await, ["blocked_b_g41"]);
    store.views.rebuild(&[View::Blocked], |_| {}).await.unwrap();
    assert_eq!(store.left_overs().await, Vec::<String>::new());
}

async fn one_rebuild_of_a_view_at_a_time(stores: TestStores) {
    let store = stores.fresh().await;
    store.append_all(&story(16, 100, None)).await;
    store.views.catch_up(SHARD, 100).await.unwrap();
    let rebuilds = (0..3).map(|_| store.views.rebuild(&[View::Quality, View::Messages], |_| {}));
    let ended = futures::future::join_all(rebuilds).await;
    let busy = ended
        .iter()
        .filter(|end| matches!(end, Err(RebuildError::Busy { .. })))
        .count();
    let done = ended.iter().filter(|end| end.is_ok()).count();
    assert!(done >= 1 && done + busy == 3, "{ended:?}");
}

async fn a_rebuild_mends_what_was_damaged(stores: TestStores) {
    let store = stores.fresh().await;
    store.append_all(&story(17, 60, None)).await;
    store.views.catch_up(SHARD, 100).await.unwrap();
    let digests = store.digests().await;
    let damage = "update funnel set messages = messages + 1";
    match (store.postgres(), store.sqlite()) {
        (Some(pool), _) => {
            let sql = damage.replace("funnel", "assent_views.funnel");
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(pool).await.unwrap();
        }
        (None, Some(pool)) => {
            sqlx::query(damage).execute(pool).await.unwrap();
        }
        (None, None) => unreachable!(),
    }
    assert_ne!(store.digests().await, digests);
    store.views.rebuild(&[View::Funnel], |_| {}).await.unwrap();
    assert_eq!(store.digests().await, digests);
}

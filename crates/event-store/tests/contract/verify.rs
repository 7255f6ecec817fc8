//! Tampering behind the store's back is found and located.

use assent_event_store::{Expected, TamperKind, Verified};

use crate::stores::{SHARD, TestStore, new_stream, put};

crate::contract!(
    an_untouched_log_is_intact,
    a_changed_byte_is_located,
    a_changed_version_is_noticed,
    a_removed_event_is_located,
    a_cut_tail_is_noticed,
    an_inserted_event_is_noticed,
    a_changed_chain_is_noticed,
);

async fn fill(store: &TestStore) {
    for number in 0..40 {
        put(store, &new_stream(), Expected::NoStream, 1 + number % 4).await;
    }
}

async fn tampering(store: &TestStore) -> (u64, TamperKind) {
    match store.verify(SHARD).await.unwrap() {
        Verified::Tampered(tampering) => (tampering.position, tampering.what),
        Verified::Intact { .. } => panic!("the tampering went unnoticed"),
    }
}

async fn an_untouched_log_is_intact(store: TestStore) {
    let Verified::Intact {
        events: 0, flushes: 0, ..
    } = store.verify(SHARD).await.unwrap()
    else {
        panic!()
    };
    fill(&store).await;
    let Verified::Intact { events, flushes, head } = store.verify(SHARD).await.unwrap() else {
        panic!()
    };
    assert_eq!((events, flushes), (100, 40));
    put(&store, &new_stream(), Expected::Any, 1).await;
    let Verified::Intact {
        events: 101,
        head: later,
        ..
    } = store.verify(SHARD).await.unwrap()
    else {
        panic!()
    };
    assert_ne!(head, later);
}

async fn a_changed_byte_is_located(store: TestStore) {
    fill(&store).await;
    let changed = if store.postgres().is_some() {
        "update events set data = set_byte(data, 5, get_byte(data, 5) # 1) where position = 57"
    } else {
        "update events set data = cast('{\"n\":!}' as blob) where position = 57"
    };
    assert_eq!(store.tamper(changed).await.unwrap(), 1);
    assert_eq!(tampering(&store).await, (57, TamperKind::EventChanged));
}

async fn a_changed_version_is_noticed(store: TestStore) {
    fill(&store).await;
    store
        .tamper("update events set version = 77 where position = 57")
        .await
        .unwrap();
    assert_eq!(tampering(&store).await.1, TamperKind::ChainChanged);
}

async fn a_removed_event_is_located(store: TestStore) {
    fill(&store).await;
    store.tamper("delete from events where position = 31").await.unwrap();
    assert_eq!(tampering(&store).await, (31, TamperKind::EventMissing));
}

async fn a_cut_tail_is_noticed(store: TestStore) {
    fill(&store).await;
    store.tamper("delete from events where position > 95").await.unwrap();
    assert_eq!(tampering(&store).await, (96, TamperKind::EventMissing));
}

async fn an_inserted_event_is_noticed(store: TestStore) {
    fill(&store).await;
    let inserted = "insert into events (shard, position, stream, category, version, event_id, type, schema_version, recorded_at, data, meta) \
                    select shard, 101, event_id, category, 1, event_id, type, schema_version, recorded_at, data, meta from events \
                    where position = 50";
    assert_eq!(store.tamper(inserted).await.unwrap(), 1);
    assert_eq!(tampering(&store).await, (101, TamperKind::EventInserted));
}

async fn a_changed_chain_is_noticed(store: TestStore) {
    fill(&store).await;
    let changed = if store.postgres().is_some() {
        "update chain set hash = set_byte(hash, 3, get_byte(hash, 3) # 1) where first = 51"
    } else {
        "update chain set hash = zeroblob(32) where first = 51"
    };
    assert_eq!(store.tamper(changed).await.unwrap(), 1);
    assert_eq!(tampering(&store).await, (51, TamperKind::ChainChanged));
}

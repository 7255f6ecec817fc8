//! A durable reader of an older program meets what a newer one wrote: it neither handles nor skips it.

use std::time::Duration;

use assent_event_store::{
    Append, Batch, EventMeta, EventStore, Expected, Feeds, NewEvent, RecordedEvent, Source, Start, StreamId,
};
use assent_tests::{
    chaos::SHARD,
    servers::{Server, require},
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{PATIENCE, stores::TestStore};

const FEED: &str = "test-upgraded";
const KNOWN: &str = "test.happened";

async fn put(store: &EventStore, kinds: &[(&'static str, u16)]) {
    let event = |(kind, version): &(&'static str, u16)| NewEvent::new(*kind, *version, "{}", &EventMeta::default());
    let stream = StreamId::new("test", Uuid::new_v4());
    let append = Append::new().write(stream, Expected::NoStream, kinds.iter().map(event));
    store.append(SHARD, append).await.unwrap();
}

/// What the older program knows.
fn understands(event: &RecordedEvent) -> bool {
    event.kind.as_str() == KNOWN && event.schema_version <= 1
}

fn positions(batch: &Batch) -> Vec<u64> {
    batch.events.iter().map(|event| event.position).collect()
}

async fn an_older_reader_stops_and_a_newer_one_goes_on(store: &TestStore, newer: (&'static str, u16)) {
    let newest = Feeds::start(store, &Source::Direct).await.unwrap();
    let older = newest.clone().understanding(understands);
    put(store, &[(KNOWN, 1), (KNOWN, 1), newer, (KNOWN, 1)]).await;

    let mut old = older.feed(FEED, SHARD, Start::Beginning);
    let batch = timeout(PATIENCE, old.next_batch()).await.unwrap().unwrap();
    assert_eq!(positions(&batch), [1, 2]);
    assert_eq!(batch.checkpoint.position(), 2);
    // Nothing comes after it, and what was handed out can still be committed.
    assert!(timeout(Duration::from_millis(300), old.next_batch()).await.is_err());
    old.commit(&batch.checkpoint).await.unwrap();

    // The newer program gets the lease though the older one goes on asking.
    let waiting = tokio::spawn(async move {
        let unknown = old.next_batch().await;
        unknown.map(|batch| positions(&batch))
    });
    let mut new = newest.feed(FEED, SHARD, Start::Beginning);
    let batch = timeout(PATIENCE, new.next_batch()).await.unwrap().unwrap();
    assert_eq!(positions(&batch), [3, 4]);
    new.commit(&batch.checkpoint).await.unwrap();

    // Once the newer one is gone, as after a roll-back, the older one goes on behind it.
    put(store, &[(KNOWN, 1)]).await;
    let batch = timeout(PATIENCE, new.next_batch()).await.unwrap().unwrap();
    assert_eq!(positions(&batch), [5]);
    new.release().await;
    let after = timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(after, [5], "what the newer one did not commit");
}

#[tokio::test]
async fn an_event_of_an_unknown_kind_is_left_to_a_newer_program() {
    let store = TestStore::sqlite().await;
    an_older_reader_stops_and_a_newer_one_goes_on(&store, ("test.renamed", 1)).await;
}

#[tokio::test]
async fn an_event_of_a_newer_version_is_left_to_a_newer_program() {
    if !require(&[Server::Postgres]) {
        return;
    }
    let store = TestStore::postgres().await;
    an_older_reader_stops_and_a_newer_one_goes_on(&store, (KNOWN, 2)).await;
}

//! JetStream broken in every way, while events are appended: readers go on by themselves and miss nothing.

mod bus;

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
};

use assent_event_store::{JetStreamConfig, Relay, limits};
use assent_tests::{
    chaos::SHARD,
    servers::{NatsConfig, Server, require},
};

use self::bus::Bus;
use crate::{
    eventually,
    raw_stream::assert_consecutive,
    stores::{TestStore, put},
};

/// A bus over Postgres, or nothing where there are no servers.
async fn bus(config: JetStreamConfig) -> Option<Bus> {
    if !require(&[Server::Postgres, Server::Nats]) {
        return None;
    }
    let nats = NatsConfig::default();
    Some(Bus::start(TestStore::postgres().await, nats, config).await)
}

#[tokio::test]
async fn readers_go_on_while_jetstream_is_killed_and_starts_again() {
    let Some(mut bus) = bus(JetStreamConfig::default()).await else {
        return;
    };
    bus.put_slices(20).await;
    bus.is_in_step().await;

    bus.nats.kill_9();
    bus.put_slices(20).await;
    // Without JetStream, from the log.
    bus.readers_have_all().await;

    let appending = {
        let store = bus.test.store.clone();
        tokio::spawn(async move {
            for _ in 0..100 {
                put(&store, [100; 5]).await;
            }
        })
    };
    bus.nats.start_again().await.unwrap();
    appending.await.unwrap();
    bus.is_in_step().await;
    assert_consecutive(&bus.raw.slices().await);
}

#[tokio::test]
async fn readers_and_relay_go_on_after_the_newest_block_was_truncated() {
    // The server then still knows how many messages there were and counts on from there. A relay that comes anew finds
    // a last message that is not the last one counted.
    truncated(async |bus| {
        bus.nats.stop().await.unwrap();
        bus.replace_relay();
    })
    .await;
}

#[tokio::test]
async fn readers_and_relay_go_on_after_a_crash_that_tore_the_newest_block() {
    truncated(async |bus| bus.nats.kill_9()).await;
}

async fn truncated(bring_down: impl AsyncFnOnce(&mut Bus)) {
    let Some(mut bus) = bus(JetStreamConfig::default()).await else {
        return;
    };
    bus.is_in_step().await;
    bus.put_slices(40).await;
    bus.is_in_step().await;
    let before = bus.raw.info().await.unwrap().state.messages;

    bring_down(&mut bus).await;
    truncate_newest_block(&bus.nats.store_dir());
    bus.nats.start_again().await.unwrap();
    let cut = bus.raw.info().await.map_or(0, |info| info.state.messages);
    assert!(cut < before, "nothing was cut off: {cut} of {before} messages");

    bus.put_slices(10).await;
    bus.is_in_step().await;
    assert_consecutive(&bus.raw.slices().await);
}

/// Cuts the newest block of the only stream in half, as a torn write would.
fn truncate_newest_block(store: &Path) {
    let mut blocks = files(store, "blk");
    blocks.sort_by_key(|block| fs::metadata(block).unwrap().modified().unwrap());
    let newest = OpenOptions::new().write(true).open(blocks.last().unwrap()).unwrap();
    let length = newest.metadata().unwrap().len();
    assert!(length > 1_000, "{length}");
    newest.set_len(length / 2).unwrap();
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn readers_and_relay_go_on_after_the_stream_was_purged() {
    let Some(bus) = bus(JetStreamConfig::default()).await else {
        return;
    };
    bus.put_slices(20).await;
    bus.is_in_step().await;
    bus.raw.purge().await;
    bus.put_slices(20).await;
    bus.is_in_step().await;
    assert_consecutive(&bus.raw.slices().await);
}

#[tokio::test]
async fn readers_and_relay_go_on_after_the_stream_was_deleted() {
    let Some(bus) = bus(JetStreamConfig::default()).await else {
        return;
    };
    bus.put_slices(20).await;
    bus.is_in_step().await;
    let before = bus.raw.info().await.unwrap().created;
    bus.raw.delete().await;
    bus.put_slices(20).await;
    bus.is_in_step().await;
    assert!(bus.raw.info().await.unwrap().created > before);
    assert_consecutive(&bus.raw.slices().await);
}

#[tokio::test]
async fn a_slow_reader_misses_nothing_when_the_stream_is_filled_to_its_bound() {
    const BOUND_BYTES: i64 = 512 * 1024;
    let config = JetStreamConfig {
        stream_bytes_max: BOUND_BYTES,
        ..JetStreamConfig::default()
    };
    let Some(bus) = bus(config).await else { return };
    // Reads its first events and then not for a long time.
    let mut slow = bus.feeds.tail(SHARD, 0);
    bus.put_slices(1).await;
    let first = slow.next(1).await.unwrap();
    assert_eq!(first[0].position, 1);
    let mut bytes = 0;
    while bytes < 4 * BOUND_BYTES {
        put(&bus.test.store, [10_000; 10]).await;
        bytes += 100_000;
    }
    bus.is_in_step().await;
    let state = bus.raw.info().await.unwrap().state;
    assert!(state.first_sequence > 1, "the bound was not reached: {state:?}");
    assert!(state.bytes <= BOUND_BYTES as u64, "{state:?}");

    let head = bus.test.head(SHARD).await.unwrap();
    let mut position = 1;
    while position < head {
        let events = slow.next(limits::BATCH_EVENTS_MAX).await.unwrap();
        for event in events {
            position += 1;
            assert_eq!(event.position, position);
        }
    }
}

#[tokio::test]
async fn a_body_of_3_mb_split_over_events_arrives_whole() {
    let Some(bus) = bus(JetStreamConfig::default()).await else {
        return;
    };
    bus.is_in_step().await;
    // The rest of an event is its meta data.
    let part = limits::EVENT_BYTES_MAX - 100;
    let parts = (3 * 1024 * 1024_usize).div_ceil(part);
    let appended = put(&bus.test.store, std::iter::repeat_n(part, parts)).await;
    assert_eq!(appended.last - appended.first + 1, parts as u64);
    bus.is_in_step().await;

    let written = bus.test.read_shard(SHARD, appended.first - 1, parts).await.unwrap();
    assert!(written.iter().map(|event| event.data.len()).sum::<usize>() >= 3 * 1024 * 1024);
    let body = appended.first as usize - 1..appended.last as usize;
    assert_eq!(bus.readers.tailed()[body.clone()], written);
    assert_eq!(bus.readers.durable()[body], written);
    let slices = bus.raw.slices().await;
    assert_consecutive(&slices);
    assert!(slices[0].first <= appended.first && slices.last().unwrap().last >= appended.last);
    assert!(slices.iter().all(|slice| slice.bytes < 1024 * 1024), "{slices:?}");
}

#[tokio::test]
async fn two_relays_at_once_publish_nothing_twice() {
    if !require(&[Server::Postgres, Server::Nats]) {
        return;
    }
    let test = TestStore::postgres().await;
    let mut bus = Bus::start_without_relay(test, NatsConfig::default(), JetStreamConfig::default()).await;
    let relays = [(); 2].map(|()| Relay::new(&bus.test, &bus.jetstream, SHARD));
    let observers = relays.each_ref().map(Relay::observer);
    for relay in relays {
        bus.tasks.spawn(relay.run_without_lease());
    }
    eventually("a relay has made the stream", async || bus.raw.info().await.is_some()).await;
    let collided = || observers.iter().map(|relay| relay.stats().repairs).sum::<u64>();
    let published = || observers.iter().map(|relay| relay.stats().slices).sum::<u64>();
    // Until they have been in each other's way often.
    eventually("the relays have collided", async || {
        bus.put_slices(5).await;
        collided() >= 50 && published() >= 50
    })
    .await;
    bus.is_in_step().await;
    let slices = bus.raw.slices().await;
    assert_consecutive(&slices);
    assert_eq!(slices.len() as u64, published(), "a relay counts what it has published");
}

#[tokio::test]
async fn a_stream_of_another_database_is_deleted_and_readers_go_on() {
    let Some(old) = bus(JetStreamConfig::default()).await else {
        return;
    };
    old.put_slices(20).await;
    old.is_in_step().await;
    let old_id = old.test.store_id();
    let bus = old.replace_store(TestStore::postgres().await).await;
    assert_ne!(bus.test.store_id(), old_id);
    goes_on_after_deletion(&bus).await;
}

#[tokio::test]
async fn a_stream_ahead_of_a_restored_log_is_deleted_and_readers_go_on() {
    if !require(&[Server::Nats]) {
        return;
    }
    let test = TestStore::sqlite().await;
    let old = Bus::start(test, NatsConfig::default(), JetStreamConfig::default()).await;
    old.put_slices(10).await;
    old.is_in_step().await;
    let backup = old.test.backup().await;
    old.put_slices(10).await;
    old.is_in_step().await;
    let old_id = old.test.store_id();
    let bus = old.replace_store(backup).await;
    assert_eq!(bus.test.store_id(), old_id);
    goes_on_after_deletion(&bus).await;
}

#[tokio::test]
async fn a_stream_that_differs_from_a_restored_log_is_deleted_and_readers_go_on() {
    if !require(&[Server::Nats]) {
        return;
    }
    let test = TestStore::sqlite().await;
    let old = Bus::start(test, NatsConfig::default(), JetStreamConfig::default()).await;
    old.put_slices(10).await;
    old.is_in_step().await;
    let backup = old.test.backup().await;
    old.put_slices(10).await;
    old.is_in_step().await;
    // As far as the stream, and further, but with other events.
    for _ in 0..12 {
        put(&backup.store, [100; 5]).await;
    }
    assert!(backup.head(SHARD).await.unwrap() > old.test.head(SHARD).await.unwrap());
    let bus = old.replace_store(backup).await;
    goes_on_after_deletion(&bus).await;
}

async fn goes_on_after_deletion(bus: &Bus) {
    bus.put_slices(20).await;
    bus.is_in_step().await;
    assert_eq!(bus.relay.stats().streams_deleted, 1);
    let slices = bus.raw.slices().await;
    assert!(slices.iter().all(|slice| slice.store_id == bus.test.store_id()));
    assert_consecutive(&slices);
}

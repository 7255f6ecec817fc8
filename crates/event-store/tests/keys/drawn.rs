//! Keys that are made by the flush that writes what they seal. In Postgres only.

use std::{sync::Arc, time::Duration};

use assent_event_store::{
    Append, AppendError, Expected, KeyError, KeyPolicy, KeyRing, SealAndAppendError, ShardId, limits,
};
use assent_sealed::{KeyClass, KeyId, Opened, Sealed};
use tracing::instrument::WithSubscriber as _;

use crate::{
    statements::{Counting, Statements},
    world::{TEXT, World, alias, contact, event, now, on_postgres},
};

/// A ring that takes keys which nobody remembers to be new, because all that it was asked for so far were. Remembers nothing.
async fn expecting_new_ones(world: &World) -> KeyRing {
    let ring = KeyRing::with_cache_ttl(
        world.store.clone(),
        world.masters.clone(),
        KeyPolicy::default(),
        Duration::ZERO,
    );
    let strangers: Vec<_> = (0..u64::from(limits::NEW_KEYS_LIKELY_MIN))
        .map(|_| (alias(rand::random()), KeyClass::Content))
        .collect();
    ring.obtain(&strangers, now()).await.unwrap();
    ring
}

/// Appends a text for somebody to a stream of its own; says with which keys it was sealed until it was written.
async fn append(ring: &KeyRing, person: u64, stream: u128) -> Vec<KeyId> {
    try_append(ring, person, stream).await.unwrap()
}

async fn try_append(ring: &KeyRing, person: u64, stream: u128) -> Result<Vec<KeyId>, SealAndAppendError<KeyError>> {
    let mut used = Vec::new();
    let wanted = [(alias(person), KeyClass::Content)];
    let appended = ring.append_sealed(ShardId(0), &wanted, now(), |keys| {
        used.push(keys[0].id());
        let text = keys[0].seal(&TEXT.to_owned(), "message.text")?;
        Ok::<_, KeyError>(Append::new().write(contact(stream), Expected::NoStream, [event(&text)]))
    });
    appended.await?;
    Ok(used)
}

async fn sealed(world: &World, stream: u128) -> Sealed<String> {
    let events = world
        .store
        .read_stream(ShardId(0), &contact(stream), 0, 10)
        .await
        .unwrap();
    serde_json::from_slice(&events[0].data).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_made_with_its_events_and_costs_no_statement() {
    let test = |world: World| async move {
        let (ring, statements) = (expecting_new_ones(&world).await, Arc::new(Statements::default()));
        let used = append(&ring, 1, 1).with_subscriber(Counting(statements.clone())).await;
        assert_eq!((used.len(), statements.count()), (1, 0));

        let other = world.other_process().await;
        let text = sealed(&other, 1).await;
        assert_eq!(text.key, used[0]);
        let opened = other.ring().open(&text, "message.text", now()).await.unwrap();
        assert_eq!(opened, Opened::Value(TEXT.to_owned()));
        let found = other.ring().obtain(&[(alias(1), KeyClass::Content)], now()).await;
        assert_eq!(found.unwrap()[0].id(), used[0]);
        other.store.close().await;
    };
    on_postgres(test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_there_is_used_although_a_new_one_was_expected() {
    let test = |world: World| async move {
        let (ring, other) = (expecting_new_ones(&world).await, world.other_process().await);
        let known = other.ring().obtain(&[(alias(1), KeyClass::Content)], now()).await;
        let known = known.unwrap()[0].id();
        let used = append(&ring, 1, 1).await;
        assert_eq!(used.len(), 2);
        assert_eq!((used[1], sealed(&world, 1).await.key), (known, known));
        other.store.close().await;
    };
    on_postgres(test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_first_texts_to_one_person_at_once_share_a_key_in_any_process() {
    const PERSONS: u64 = 20;
    let test = |world: World| async move {
        let other = world.other_process().await;
        let rings = [expecting_new_ones(&world).await, expecting_new_ones(&other).await];
        let texts: Vec<_> = (0..PERSONS * 6)
            .map(|number| {
                let ring = rings[number as usize % 2].clone();
                tokio::spawn(async move { append(&ring, number % PERSONS, u128::from(number)).await })
            })
            .collect();
        for text in texts {
            assert!(text.await.unwrap().len() <= 2);
        }
        let reader = world.ring();
        for number in 0..PERSONS * 6 {
            let text = sealed(&world, u128::from(number)).await;
            assert_eq!(text.key, sealed(&world, u128::from(number % PERSONS)).await.key);
            let opened = reader.open(&text, "message.text", now()).await.unwrap();
            assert_eq!(opened, Opened::Value(TEXT.to_owned()));
        }
        other.store.close().await;
    };
    on_postgres(test).await;
}

/// Whoever makes keys within a flush and whoever destroys them lock the same rows and shards.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_drawn_and_destroyed_at_once_without_a_deadlock() {
    const ROUNDS: u64 = 300;
    let test = |world: World| async move {
        let (ring, other) = (expecting_new_ones(&world).await, world.other_process().await);
        let destroyer = tokio::spawn({
            let (ring, other) = (other.ring(), other.clone());
            async move {
                let mut destroyed = 0;
                while other.store.head(ShardId(0)).await.unwrap() < ROUNDS {
                    let persons: Vec<_> = (0..4).map(alias).collect();
                    destroyed += ring.destroy(&persons, &KeyClass::ALL).await.unwrap();
                }
                destroyed
            }
        });
        let begun = std::time::Instant::now();
        for round in 0..ROUNDS / 4 {
            let text = async |person: u64| {
                // Somebody whose key is destroyed each time is tried again for ever.
                while let Err(error) = try_append(&ring, person, u128::from(round * 4 + person)).await {
                    let gone = matches!(error, SealAndAppendError::Append(AppendError::KeysGone { .. }));
                    assert!(gone, "{error:?}");
                }
            };
            futures::future::join_all((0..4).map(text)).await;
        }
        assert!(destroyer.await.unwrap() > 0);
        // A deadlock is noticed by Postgres after a second each.
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        other.store.close().await;
    };
    on_postgres(test).await;
}

//! Appends that race with the end of their keys.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use assent_event_store::{Append, AppendError, Expected, KeyPolicy, KeyRing, ShardId};
use assent_sealed::{KeyClass, Opened};

use crate::world::{World, alias, contact, event, now};

/// Writers append with one key as fast as they can while another process removes it and a third one watches. What lies
/// in the log beyond the head that was seen after the key was seen to be gone was committed with a dead key.
pub(crate) async fn race_appends_with<F: Future<Output = u64>>(
    world: &World,
    rounds: u64,
    remove: impl Fn(KeyRing, u64) -> F,
) {
    pub(crate) const WRITERS: u128 = 4;
    let (other, watching) = (world.other_process().await, world.other_process().await);
    let ring = world.ring();
    let (mut written, mut refused) = (0, 0);
    for round in 0..rounds {
        let class = if round % 2 == 0 {
            KeyClass::OneTimeCode
        } else {
            KeyClass::Content
        };
        let key = ring.obtain(&[(alias(round), class)], now()).await.unwrap().remove(0);
        let sealed = key.seal(&round, "n").unwrap();
        let begun = Arc::new(AtomicU64::new(0));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, sealed, begun) = (world.store.clone(), sealed.clone(), begun.clone());
                tokio::spawn(async move {
                    let mut last = 0;
                    loop {
                        let append = Append::new()
                            .write(contact(writer), Expected::Any, [event(&sealed)])
                            .sealed_with([sealed.key]);
                        match store.append(ShardId(0), append).await {
                            Ok(appended) => last = appended.last,
                            Err(AppendError::KeysGone { keys }) => {
                                assert_eq!(keys, [sealed.key]);
                                return last;
                            }
                            Err(error) => panic!("{error}"),
                        }
                        begun.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        // A different moment of the flush in each round.
        while begun.load(Ordering::Relaxed) < 1 + round % 7 {
            tokio::task::yield_now().await;
        }
        let watcher = tokio::spawn({
            let ring = KeyRing::with_cache_ttl(
                watching.store.clone(),
                world.masters.clone(),
                KeyPolicy::default(),
                Duration::ZERO,
            );
            let (store, sealed) = (watching.store.clone(), sealed.clone());
            async move {
                while ring.open(&sealed, "n", now()).await.unwrap() != Opened::Erased {}
                store.head(ShardId(0)).await.unwrap()
            }
        });
        assert_eq!(remove(other.ring(), round).await, 1);
        let head = watcher.await.unwrap();
        for writer in writers {
            let last = writer.await.unwrap();
            assert!(
                last <= head,
                "round {round}: an append at {last} was acknowledged after the head was {head}"
            );
            written = written.max(last);
            refused += 1;
        }
        let events = world.store.read_shard(ShardId(0), head, 10).await.unwrap();
        assert!(events.is_empty(), "round {round}: events with a dead key after {head}");
    }
    assert!(written >= rounds && refused == rounds * WRITERS as u64);
    other.store.close().await;
    watching.store.close().await;
}

pub(crate) async fn an_append_never_succeeds_with_a_key_destroyed_before_its_commit(world: World) {
    race_appends_with(&world, 100, async |ring, round| {
        ring.destroy(&[alias(round)], &KeyClass::ALL).await.unwrap()
    })
    .await;
}

pub(crate) async fn an_append_never_succeeds_with_a_key_that_expired_and_was_deleted(world: World) {
    let later = now() + Duration::from_hours(24 * 365);
    race_appends_with(&world, 40, async |ring, _| ring.expire(later).await.unwrap()).await;
}

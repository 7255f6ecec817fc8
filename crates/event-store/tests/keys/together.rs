//! Callers who ask at the same time.

use std::collections::{HashMap, HashSet};

use assent_event_store::{DataKey, KeyError, KeyRing};
use assent_sealed::{AliasHash, KeyClass, KeyId};
use futures::future::join_all;

use crate::world::{World, alias, masters, now};

const CALLERS: u64 = 500;

pub(crate) async fn callers_at_once_get_the_key_of_their_own_slot_and_those_of_one_slot_the_same(world: World) {
    let ring = world.ring();
    let tasks = (0..CALLERS).map(|caller| {
        let ring = ring.clone();
        let wanted = [
            (alias(caller % 100), KeyClass::Content),
            (alias(1_000 + caller), KeyClass::Identity),
        ];
        tokio::spawn(async move { (wanted, ring.obtain(&wanted, now()).await.unwrap()) })
    });
    let mut by_slot: HashMap<(AliasHash, KeyClass), KeyId> = HashMap::new();
    for task in join_all(tasks).await {
        let (wanted, keys) = task.unwrap();
        for (slot, key) in wanted.into_iter().zip(&keys) {
            assert_eq!(*by_slot.entry(slot).or_insert(key.id()), key.id());
        }
    }
    assert_eq!(by_slot.values().collect::<HashSet<_>>().len(), 100 + CALLERS as usize);
    // What they were given is what is stored.
    let wanted: Vec<_> = by_slot.keys().copied().collect();
    let stored = world.ring().obtain(&wanted, now()).await.unwrap();
    assert!(stored.iter().zip(&wanted).all(|(key, slot)| key.id() == by_slot[slot]));

    let reader = world.ring();
    let sealed: Vec<_> = stored.iter().map(|key| key.seal(&key.id().0, "n").unwrap()).collect();
    let opened = join_all(sealed.iter().map(|sealed| reader.open(sealed, "n", now()))).await;
    for (sealed, opened) in sealed.iter().zip(opened) {
        assert_eq!(opened.unwrap(), assent_sealed::Opened::Value(sealed.key.0));
    }
}

pub(crate) async fn callers_that_go_away_harm_nobody(world: World) {
    let ring = world.ring();
    let tasks: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let ring = ring.clone();
            tokio::spawn(async move { ring.obtain(&[(alias(caller / 2), KeyClass::Content)], now()).await })
        })
        .collect();
    for (number, task) in tasks.iter().enumerate() {
        if number % 3 == 0 {
            task.abort();
        }
    }
    for (number, task) in tasks.into_iter().enumerate() {
        match task.await {
            Ok(keys) => assert_eq!(keys.unwrap().len(), 1),
            Err(error) => assert!(error.is_cancelled() && number % 3 == 0),
        }
    }
    assert_eq!(
        ring.obtain(&[(alias(0), KeyClass::Content)], now())
            .await
            .unwrap()
            .len(),
        1
    );
}

pub(crate) async fn a_key_that_cannot_be_unwrapped_is_the_error_of_those_who_want_it(world: World) {
    let broken = (alias(1), KeyClass::Identity);
    let theirs = KeyRing::new(
        world.store.clone(),
        masters("another", []),
        assent_event_store::KeyPolicy::default(),
    );
    let unknown = theirs.obtain(&[broken], now()).await.unwrap().remove(0);
    let ring = world.ring();
    let at = now();
    let wanted: Vec<[_; 1]> = (0..50)
        .map(|caller| {
            if caller % 10 == 0 {
                [broken]
            } else {
                [(alias(100 + caller), KeyClass::Identity)]
            }
        })
        .collect();
    let outcomes = join_all(wanted.iter().map(|wanted| ring.obtain(wanted, at))).await;
    for (wanted, outcome) in wanted.iter().zip(outcomes) {
        match outcome {
            Ok(_) => assert_ne!(wanted[0], broken),
            Err(KeyError::UnknownMaster { master }) => {
                assert_eq!((wanted[0], &*master), (broken, "another"));
            }
            Err(error) => panic!("{error}"),
        }
    }
    let good = ring.obtain(&wanted[1], at).await.unwrap()[0].id();
    let reader = world.ring();
    let (good, bad) = tokio::join!(reader.load([good], at), reader.load([unknown.id()], at));
    assert!(good.is_ok() && matches!(bad, Err(KeyError::UnknownMaster { .. })));
}

pub(crate) async fn without_a_database_every_caller_is_told(world: World) {
    let ring = world.ring();
    let key: DataKey = ring
        .obtain(&[(alias(1), KeyClass::Content)], now())
        .await
        .unwrap()
        .remove(0);
    world.store.close().await;
    let wanted: Vec<[_; 1]> = (10..60).map(|number| [(alias(number), KeyClass::Content)]).collect();
    for outcome in join_all(wanted.iter().map(|wanted| ring.obtain(wanted, now()))).await {
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, KeyError::Unavailable(_)) && error.is_retryable(),
            "{error}"
        );
    }
    let outcome = world.ring().load([key.id()], now()).await;
    assert!(matches!(outcome, Err(KeyError::Unavailable(_))));
}

/// Whoever asks after a destruction is not told what was read before it.
pub(crate) async fn a_caller_after_a_destruction_never_gets_the_destroyed_key(world: World) {
    let ring = world.ring();
    let wanted = [(alias(1), KeyClass::Identity)];
    let asking = {
        let ring = ring.clone();
        tokio::spawn(async move {
            loop {
                // Keeps a round trip under way; a ring without memory, so that each asks the table.
                let fresh = [(alias(rand::random()), KeyClass::Identity), wanted[0]];
                ring.obtain(&fresh, now()).await.unwrap();
            }
        })
    };
    for _ in 0..50 {
        let before = ring.obtain(&wanted, now()).await.unwrap()[0].id();
        ring.destroy(&[alias(1)], &KeyClass::ALL).await.unwrap();
        assert_ne!(ring.obtain(&wanted, now()).await.unwrap()[0].id(), before);
    }
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
}

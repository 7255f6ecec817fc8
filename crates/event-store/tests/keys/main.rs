//! Sealed data and its keys, over SQLite and Postgres.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod drawn;
mod files;
mod race;
mod statements;
mod together;
mod world;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use assent_event_store::{
    Append, AppendError, Appended, DataKey, Destruction, Expected, KeyError, KeyPolicy, KeyRing, MasterKeys,
    SealAndAppendError, ShardId,
};
use assent_sealed::{AliasHash, KeyClass, KeyId, Opened, Sealed};
use time::OffsetDateTime;

use race::{
    an_append_never_succeeds_with_a_key_destroyed_before_its_commit,
    an_append_never_succeeds_with_a_key_that_expired_and_was_deleted,
};
use together::{
    a_caller_after_a_destruction_never_gets_the_destroyed_key,
    a_key_that_cannot_be_unwrapped_is_the_error_of_those_who_want_it,
    callers_at_once_get_the_key_of_their_own_slot_and_those_of_one_slot_the_same, callers_that_go_away_harm_nobody,
    without_a_database_every_caller_is_told,
};
use world::{PHONE, TEXT, World, alias, contact, event, master, masters, now};

macro_rules! on_both_databases {
    ($($test:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::world::on_sqlite(super::$test).await })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::world::on_postgres(super::$test).await })*
        }
    };
}

on_both_databases!(
    what_is_sealed_and_appended_reads_back_in_another_process,
    destroying_keys_erases_what_they_sealed_and_nothing_else,
    expired_keys_read_as_erased_before_and_after_they_are_deleted,
    a_sealed_value_that_was_changed_is_an_error_that_shows_nothing,
    asking_for_the_same_keys_at_once_in_two_processes_gives_the_same_keys,
    each_class_has_its_own_keys_and_content_one_each_month,
    more_keys_than_one_statement_takes_are_obtained_loaded_and_destroyed,
    an_append_never_succeeds_with_a_key_destroyed_before_its_commit,
    an_append_never_succeeds_with_a_key_that_expired_and_was_deleted,
    appending_seals_again_when_the_remembered_key_was_destroyed_elsewhere,
    appending_gives_up_when_its_keys_are_destroyed_each_time,
    another_process_notices_a_destruction_once_its_memory_ends,
    keys_rotate_under_concurrent_readers,
    a_rotation_that_was_cut_short_goes_on,
    a_missing_master_key_is_named,
    after_a_restore_destructions_are_replayed_and_later_keys_stay,
    callers_at_once_get_the_key_of_their_own_slot_and_those_of_one_slot_the_same,
    callers_that_go_away_harm_nobody,
    a_key_that_cannot_be_unwrapped_is_the_error_of_those_who_want_it,
    without_a_database_every_caller_is_told,
    a_caller_after_a_destruction_never_gets_the_destroyed_key,
);

async fn what_is_sealed_and_appended_reads_back_in_another_process(world: World) {
    let wanted = [(alias(1), KeyClass::Identity), (alias(1), KeyClass::Content)];
    let appended = world
        .ring()
        .append_sealed(ShardId(0), &wanted, now(), |keys| {
            let phone = keys[0].seal(&PHONE.to_owned(), "contact.phone")?;
            let text = keys[1].seal(&TEXT.to_owned(), "message.text")?;
            Ok::<_, KeyError>(Append::new().write(contact(1), Expected::NoStream, [event(&(phone, text))]))
        })
        .await
        .unwrap();
    assert_eq!(
        appended,
        Appended {
            first: 1,
            last: 1,
            versions: vec![1]
        }
    );

    let other = world.other_process().await;
    let events = other.store.read_stream(ShardId(0), &contact(1), 0, 10).await.unwrap();
    let (phone, text): (Sealed<String>, Sealed<String>) = serde_json::from_slice(&events[0].data).unwrap();
    let keys = other.ring().load([phone.key, text.key], now()).await.unwrap();
    assert_eq!(
        keys.open(&phone, "contact.phone").unwrap(),
        Opened::Value(PHONE.to_owned())
    );
    assert_eq!(
        keys.open(&text, "message.text").unwrap(),
        Opened::Value(TEXT.to_owned())
    );
    other.store.close().await;
}

async fn destroying_keys_erases_what_they_sealed_and_nothing_else(world: World) {
    let ring = world.ring();
    let wanted = [
        (alias(1), KeyClass::Identity),
        (alias(1), KeyClass::Content),
        (alias(2), KeyClass::Identity),
    ];
    let keys = ring.obtain(&wanted, now()).await.unwrap();
    let sealed: Vec<Sealed<u32>> = keys
        .iter()
        .zip(0..)
        .map(|(key, number)| key.seal(&number, "n").unwrap())
        .collect();
    let sealed: Vec<&Sealed<u32>> = sealed.iter().collect();
    let open = async || ring.open_many(&sealed, "n", now()).await.unwrap();
    assert_eq!(open().await, [Opened::Value(0), Opened::Value(1), Opened::Value(2)]);

    assert_eq!(ring.destroy(&[alias(1)], &[KeyClass::Content]).await.unwrap(), 1);
    assert_eq!(open().await, [Opened::Value(0), Opened::Erased, Opened::Value(2)]);
    assert_eq!(ring.destroy(&[alias(1)], &KeyClass::ALL).await.unwrap(), 1);
    assert_eq!(open().await, [Opened::Erased, Opened::Erased, Opened::Value(2)]);
    assert_eq!(ring.destroy(&[alias(1)], &KeyClass::ALL).await.unwrap(), 0);

    let again = ring.obtain(&wanted[..1], now()).await.unwrap();
    assert_ne!(again[0].id(), keys[0].id());
    assert_eq!(open().await, [Opened::Erased, Opened::Erased, Opened::Value(2)]);
}

async fn expired_keys_read_as_erased_before_and_after_they_are_deleted(world: World) {
    let ring = world.ring();
    let wanted = [(alias(1), KeyClass::Identity), (alias(1), KeyClass::OneTimeCode)];
    let keys = ring.obtain(&wanted, now()).await.unwrap();
    let (phone, code) = (keys[0].seal(&1, "n").unwrap(), keys[1].seal(&2, "n").unwrap());
    let later = now() + Duration::from_hours(3);
    assert_eq!(ring.open(&code, "n", now()).await.unwrap(), Opened::Value(2));
    assert_eq!(ring.expire(now()).await.unwrap(), 0);
    assert_eq!(ring.open(&code, "n", later).await.unwrap(), Opened::Erased);
    assert_eq!(ring.expire(later).await.unwrap(), 1);
    assert_eq!(world.ring().open(&code, "n", now()).await.unwrap(), Opened::Erased);
    assert_eq!(ring.open(&phone, "n", later).await.unwrap(), Opened::Value(1));
}

async fn a_sealed_value_that_was_changed_is_an_error_that_shows_nothing(world: World) {
    let ring = world.ring();
    let keys = ring.obtain(&[(alias(1), KeyClass::Identity)], now()).await.unwrap();
    let mut sealed = keys[0].seal(&PHONE.to_owned(), "contact.phone").unwrap();
    *sealed.ciphertext.last_mut().unwrap() ^= 1;
    let error = ring.open(&sealed, "contact.phone", now()).await.unwrap_err();
    assert!(
        matches!(&error, KeyError::Tampered { key, .. } if *key == sealed.key),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("202555"));
    // Nobody can be told of tampering once the key is gone: then there is nothing left to tamper with.
    ring.destroy(&[alias(1)], &KeyClass::ALL).await.unwrap();
    assert_eq!(
        ring.open(&sealed, "contact.phone", now()).await.unwrap(),
        Opened::Erased
    );
}

async fn asking_for_the_same_keys_at_once_in_two_processes_gives_the_same_keys(world: World) {
    const ROUNDS: u64 = 20;
    let other = world.other_process().await;
    for round in 0..ROUNDS {
        // In opposite orders, each alias twice.
        let wanted: Vec<_> = (0..40)
            .map(|number| (alias(round * 100 + number % 20), KeyClass::Content))
            .collect();
        let reversed: Vec<_> = wanted.iter().rev().copied().collect();
        let (one, two) = (world.ring(), other.ring());
        let at = now();
        let (one, two) = tokio::join!(one.obtain(&wanted, at), two.obtain(&reversed, at));
        let ids = |keys: Vec<DataKey>| keys.iter().map(DataKey::id).collect();
        let (one, mut two): (Vec<KeyId>, Vec<KeyId>) = (ids(one.unwrap()), ids(two.unwrap()));
        two.reverse();
        assert_eq!(one, two);
        assert_eq!(one.iter().collect::<HashSet<_>>().len(), 20);
    }
    other.store.close().await;
}

async fn each_class_has_its_own_keys_and_content_one_each_month(world: World) {
    let ring = world.ring();
    let at = OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap();
    let wanted = KeyClass::ALL.map(|class| (alias(1), class));
    let ids = async |ring: &KeyRing, at| -> Vec<KeyId> {
        ring.obtain(&wanted, at)
            .await
            .unwrap()
            .iter()
            .map(DataKey::id)
            .collect()
    };
    let first = ids(&ring, at).await;
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), KeyClass::ALL.len());
    assert_eq!(ids(&ring, at).await, first);
    assert_eq!(ids(&world.ring(), at).await, first);
    let next_month = ids(&ring, at + Duration::from_hours(24 * 31)).await;
    let kept: Vec<bool> = first
        .iter()
        .zip(&next_month)
        .map(|(first, next)| first == next)
        .collect();
    let content = KeyClass::ALL
        .iter()
        .position(|class| *class == KeyClass::Content)
        .unwrap();
    let identity = KeyClass::ALL
        .iter()
        .position(|class| *class == KeyClass::Identity)
        .unwrap();
    assert!(!kept[content] && kept[identity]);
}

async fn more_keys_than_one_statement_takes_are_obtained_loaded_and_destroyed(world: World) {
    const KEYS: u64 = 2_500;
    let wanted: Vec<_> = (0..KEYS).map(|number| (alias(number), KeyClass::Identity)).collect();
    let keys = world.ring().obtain(&wanted, now()).await.unwrap();
    let sealed: Vec<Sealed<u64>> = keys
        .iter()
        .zip(0..)
        .map(|(key, n)| key.seal(&n, "n").unwrap())
        .collect();
    let sealed: Vec<&Sealed<u64>> = sealed.iter().collect();
    let ring = world.ring();
    let opened = ring.open_many(&sealed, "n", now()).await.unwrap();
    assert!(
        opened
            .iter()
            .zip(0..)
            .all(|(opened, number)| *opened == Opened::Value(number))
    );
    let aliases: Vec<AliasHash> = wanted.iter().map(|(alias, _)| *alias).collect();
    assert_eq!(ring.destroy(&aliases, &KeyClass::ALL).await.unwrap(), KEYS);
    let codes: Vec<_> = (0..KEYS).map(|number| (alias(number), KeyClass::OneTimeCode)).collect();
    ring.obtain(&codes, now()).await.unwrap();
    assert_eq!(ring.expire(now() + Duration::from_hours(3)).await.unwrap(), KEYS);
}

async fn appending_seals_again_when_the_remembered_key_was_destroyed_elsewhere(world: World) {
    let ring = world.ring();
    let other = world.other_process().await;
    let wanted = [(alias(1), KeyClass::Identity)];
    let remembered = ring.obtain(&wanted, now()).await.unwrap()[0].id();
    other.ring().destroy(&[alias(1)], &KeyClass::ALL).await.unwrap();
    let mut used = Vec::new();
    let outcome = ring.append_sealed(ShardId(0), &wanted, now(), |keys| {
        used.push(keys[0].id());
        let phone = keys[0].seal(&PHONE.to_owned(), "contact.phone")?;
        Ok::<_, KeyError>(Append::new().write(contact(1), Expected::NoStream, [event(&phone)]))
    });
    outcome.await.unwrap();
    assert_eq!(used.len(), 2);
    assert_eq!(used[0], remembered);
    let events = world.store.read_stream(ShardId(0), &contact(1), 0, 10).await.unwrap();
    let phone: Sealed<String> = serde_json::from_slice(&events[0].data).unwrap();
    assert_eq!(
        ring.open(&phone, "contact.phone", now()).await.unwrap(),
        Opened::Value(PHONE.to_owned())
    );
    other.store.close().await;
}

async fn appending_gives_up_when_its_keys_are_destroyed_each_time(world: World) {
    let ring = world.ring();
    // Long ago: the append's own check finds each key expired.
    let then = now() - Duration::from_hours(24 * 365);
    let mut built = 0;
    let wanted = [(alias(1), KeyClass::OneTimeCode)];
    let outcome = ring.append_sealed(ShardId(0), &wanted, then, |keys| {
        built += 1;
        let code = keys[0].seal(&7, "code")?;
        Ok::<_, KeyError>(Append::new().write(contact(1), Expected::NoStream, [event(&code)]))
    });
    let outcome = outcome.await;
    assert!(
        matches!(outcome, Err(SealAndAppendError::Append(AppendError::KeysGone { .. }))),
        "{outcome:?}"
    );
    assert_eq!(built, 3);
    assert_eq!(world.store.head(ShardId(0)).await.unwrap(), 0);
}

async fn another_process_notices_a_destruction_once_its_memory_ends(world: World) {
    const TTL: Duration = Duration::from_millis(300);
    const PATIENCE: Duration = Duration::from_secs(20);
    let other = world.other_process().await;
    let key = world
        .ring()
        .obtain(&[(alias(1), KeyClass::Identity)], now())
        .await
        .unwrap()
        .remove(0);
    let sealed = key.seal(&7, "n").unwrap();
    let reader = KeyRing::with_cache_ttl(other.store.clone(), other.masters.clone(), KeyPolicy::default(), TTL);
    assert_eq!(reader.open(&sealed, "n", now()).await.unwrap(), Opened::Value(7));
    world.ring().destroy(&[alias(1)], &KeyClass::ALL).await.unwrap();
    let started = Instant::now();
    while reader.open(&sealed, "n", now()).await.unwrap() != Opened::Erased {
        assert!(
            started.elapsed() < PATIENCE,
            "still open long after the memory should have ended"
        );
        tokio::task::yield_now().await;
    }
    other.store.close().await;
}

async fn keys_rotate_under_concurrent_readers(world: World) {
    const KEYS: u64 = 2_200;
    let old = master("old");
    let before = MasterKeys::try_new(old.clone(), []).unwrap();
    let during = masters("new", [old]);
    let ring = |masters: &MasterKeys, ttl| {
        KeyRing::with_cache_ttl(world.store.clone(), masters.clone(), KeyPolicy::default(), ttl)
    };
    let wanted: Vec<_> = (0..KEYS).map(|number| (alias(number), KeyClass::Identity)).collect();
    let keys = ring(&before, Duration::ZERO).obtain(&wanted, now()).await.unwrap();
    let sealed: Vec<Sealed<u64>> = keys
        .iter()
        .zip(0..)
        .map(|(key, n)| key.seal(&n, "n").unwrap())
        .collect();
    let sealed = Arc::new(sealed);

    let rotating = Arc::new(AtomicBool::new(true));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (ring, sealed, rotating) = (ring(&during, Duration::ZERO), sealed.clone(), rotating.clone());
            let wanted = wanted.clone();
            tokio::spawn(async move {
                let sealed: Vec<&Sealed<u64>> = sealed.iter().step_by(11).collect();
                let mut rounds = 0;
                // Once more after the end, so that the rotated table is read as well.
                let mut last = false;
                while !last {
                    last = !rotating.load(Ordering::SeqCst);
                    let opened = ring.open_many(&sealed, "n", now()).await.unwrap();
                    assert!(
                        opened
                            .iter()
                            .zip((0..KEYS).step_by(11))
                            .all(|(one, n)| *one == Opened::Value(n))
                    );
                    assert_eq!(ring.obtain(&wanted[..50], now()).await.unwrap().len(), 50);
                    rounds += 1;
                }
                rounds
            })
        })
        .collect();
    let rotator = ring(&during, Duration::ZERO);
    assert_eq!(rotator.keys_under("old").await.unwrap(), KEYS);
    assert_eq!(rotator.rotate().await.unwrap(), KEYS);
    rotating.store(false, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() > 1);
    }
    assert_eq!(
        (
            rotator.keys_under("old").await.unwrap(),
            rotator.keys_under("new").await.unwrap()
        ),
        (0, KEYS)
    );
    assert_eq!(rotator.rotate().await.unwrap(), 0);
}

async fn a_rotation_that_was_cut_short_goes_on(world: World) {
    const KEYS: u64 = 3_500;
    let old = master("old");
    let before = MasterKeys::try_new(old.clone(), []).unwrap();
    let during = masters("new", [old]);
    let ring = |masters: &MasterKeys| KeyRing::new(world.store.clone(), masters.clone(), KeyPolicy::default());
    let wanted: Vec<_> = (0..KEYS).map(|number| (alias(number), KeyClass::Identity)).collect();
    let keys = ring(&before).obtain(&wanted, now()).await.unwrap();
    let first = tokio::spawn({
        let ring = ring(&during);
        async move { ring.rotate().await }
    });
    while ring(&during).keys_under("new").await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    let _aborted = first.await;
    // A batch may still be on its way in the server; two that rotate at once do not harm each other.
    let (one, two) = tokio::join!(async { ring(&during).rotate().await.unwrap() }, async {
        ring(&during).rotate().await.unwrap()
    });
    assert!(one + two < KEYS, "the keys that had been rotated were left alone");
    assert_eq!(ring(&during).keys_under("old").await.unwrap(), 0);
    let again = ring(&during).obtain(&wanted, now()).await.unwrap();
    assert!(keys.iter().zip(&again).all(|(before, after)| before.id() == after.id()));
}

async fn a_missing_master_key_is_named(world: World) {
    let ring = world.ring();
    let key = ring
        .obtain(&[(alias(1), KeyClass::Identity)], now())
        .await
        .unwrap()
        .remove(0);
    let sealed = key.seal(&7, "n").unwrap();
    let without = KeyRing::new(world.store.clone(), masters("2027-01", []), KeyPolicy::default());
    let errors = [
        without.open(&sealed, "n", now()).await.unwrap_err(),
        without
            .obtain(&[(alias(1), KeyClass::Identity)], now())
            .await
            .unwrap_err(),
        without.rotate().await.unwrap_err(),
    ];
    for error in errors {
        assert!(
            matches!(&error, KeyError::UnknownMaster { master } if master == "2026-11"),
            "{error}"
        );
        assert!(error.to_string().contains("2026-11") && !error.is_retryable());
    }
    let other_bytes = KeyRing::new(world.store.clone(), masters("2026-11", []), KeyPolicy::default());
    let error = other_bytes.open(&sealed, "n", now()).await.unwrap_err();
    assert!(
        matches!(&error, KeyError::WrongMaster { master, .. } if master == "2026-11"),
        "{error}"
    );
    assert_eq!(other_bytes.keys_under("2026-11").await.unwrap(), 1);
}

async fn after_a_restore_destructions_are_replayed_and_later_keys_stay(world: World) {
    let ring = world.ring();
    let start = now();
    let hour = Duration::from_hours(1);
    // The restored table: one who was erased, one who was erased and came back, one who never asked.
    ring.obtain(&[(alias(1), KeyClass::Identity), (alias(1), KeyClass::Content)], start)
        .await
        .unwrap();
    ring.obtain(&[(alias(2), KeyClass::Identity)], start + 5 * hour)
        .await
        .unwrap();
    ring.obtain(&[(alias(3), KeyClass::Identity)], start).await.unwrap();
    let destructions = [
        (alias(1), start + 2 * hour),
        (alias(2), start + 3 * hour),
        (alias(2), start + hour),
    ];
    let destructions = destructions.map(|(alias, at)| Destruction { alias, at });
    assert_eq!(ring.replay_destructions(destructions).await.unwrap(), 2);
    assert_eq!(ring.keys_under("2026-11").await.unwrap(), 2);
    assert_eq!(ring.replay_destructions(destructions).await.unwrap(), 0);
}

//! Appending: order, expectations, isolation between callers.

use std::sync::Arc;

use assent_event_store::{Append, AppendError, Expected, InvalidAppend, NewEvent, ShardId, StreamId, limits};
use assent_sealed::KeyId;
use uuid::Uuid;

use crate::stores::{SHARD, TestStore, event, events, new_stream, put};

crate::contract!(
    positions_and_versions_have_no_holes,
    a_new_stream_is_made_once,
    an_exact_version_is_checked,
    a_guard_is_checked_and_writes_nothing,
    several_streams_are_written_all_or_none,
    callers_of_one_flush_do_not_disturb_each_other,
    many_writers_to_one_stream_never_fail,
    racing_writers_of_one_version_have_one_winner,
    two_processes_keep_one_order,
    a_key_that_is_gone_is_named,
    what_can_never_be_written_is_refused_at_once,
    text_that_the_database_cannot_hold_fails_alone,
    a_closed_store_says_so_and_loses_nothing,
    an_append_that_nobody_waits_for_leaves_no_half,
    a_stream_that_was_wrongly_assumed_to_be_new_is_a_conflict_and_disturbs_nobody,
    streams_that_two_processes_write_in_turns_have_no_holes,
);

async fn positions_and_versions_have_no_holes(store: TestStore) {
    let (one, other) = (new_stream(), new_stream());
    let first = put(&store, &one, Expected::NoStream, 3).await;
    assert_eq!((first.first, first.last, &first.versions[..]), (1, 3, &[3][..]));
    let second = put(&store, &other, Expected::Any, 1).await;
    assert_eq!((second.first, second.last, &second.versions[..]), (4, 4, &[1][..]));
    let third = put(&store, &one, Expected::Exact(3), 2).await;
    assert_eq!((third.first, third.last, &third.versions[..]), (5, 6, &[5][..]));
    let all = store.read_shard(SHARD, 0, 100).await.unwrap();
    assert_eq!(
        all.iter().map(|event| event.position).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6]
    );
    assert_eq!(store.head(SHARD).await.unwrap(), 6);
    assert_eq!(*store.watch_head(SHARD).unwrap().borrow(), 6);
}

async fn a_new_stream_is_made_once(store: TestStore) {
    let stream = new_stream();
    put(&store, &stream, Expected::NoStream, 1).await;
    let again = store
        .append(
            SHARD,
            Append::new().write(stream.clone(), Expected::NoStream, events(1)),
        )
        .await;
    assert!(matches!(again, Err(AppendError::Conflict { actual: 1, stream: named }) if named == stream));
}

async fn an_exact_version_is_checked(store: TestStore) {
    let stream = new_stream();
    put(&store, &stream, Expected::Any, 2).await;
    for wrong in [1, 3, 9] {
        let refused = store
            .append(
                SHARD,
                Append::new().write(stream.clone(), Expected::Exact(wrong), events(1)),
            )
            .await;
        assert!(
            matches!(refused, Err(AppendError::Conflict { actual: 2, .. })),
            "{refused:?}"
        );
    }
    put(&store, &stream, Expected::Exact(2), 1).await;
}

async fn a_guard_is_checked_and_writes_nothing(store: TestStore) {
    let (contact, decision) = (new_stream(), new_stream());
    put(&store, &contact, Expected::NoStream, 1).await;
    let guarded = |version| {
        Append::new()
            .write(decision.clone(), Expected::Any, events(1))
            .guard(contact.clone(), Expected::Exact(version))
    };
    store.append(SHARD, guarded(1)).await.unwrap();
    put(&store, &contact, Expected::Exact(1), 1).await;
    let refused = store.append(SHARD, guarded(1)).await;
    assert!(matches!(refused, Err(AppendError::Conflict { actual: 2, stream }) if stream == contact));
    assert_eq!(store.read_stream(SHARD, &contact, 0, 10).await.unwrap().len(), 2);
    assert_eq!(store.read_stream(SHARD, &decision, 0, 10).await.unwrap().len(), 1);
}

async fn several_streams_are_written_all_or_none(store: TestStore) {
    let (one, other) = (new_stream(), new_stream());
    put(&store, &other, Expected::NoStream, 1).await;
    let refused = Append::new().write(one.clone(), Expected::NoStream, events(2)).write(
        other.clone(),
        Expected::NoStream,
        events(1),
    );
    assert!(matches!(
        store.append(SHARD, refused).await,
        Err(AppendError::Conflict { .. })
    ));
    assert!(store.read_stream(SHARD, &one, 0, 10).await.unwrap().is_empty());
    let both = Append::new().write(one.clone(), Expected::NoStream, events(2)).write(
        other.clone(),
        Expected::Exact(1),
        events(1),
    );
    let appended = store.append(SHARD, both).await.unwrap();
    assert_eq!((appended.first, appended.last, appended.versions), (2, 4, vec![2, 2]));
}

async fn callers_of_one_flush_do_not_disturb_each_other(store: TestStore) {
    let taken = new_stream();
    put(&store, &taken, Expected::NoStream, 1).await;
    let appends = (0..300).map(|number| {
        let (store, taken) = (store.store.clone(), taken.clone());
        tokio::spawn(async move {
            let stream = if number % 2 == 0 { new_stream() } else { taken };
            store
                .append(SHARD, Append::new().write(stream, Expected::NoStream, [event(number)]))
                .await
        })
    });
    let mut written = 0;
    for (number, append) in appends.collect::<Vec<_>>().into_iter().enumerate() {
        match append.await.unwrap() {
            Ok(_) => written += 1,
            Err(AppendError::Conflict { .. }) => assert_eq!(number % 2, 1),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(written, 150);
    assert_eq!(store.head(SHARD).await.unwrap(), 151);
    assert!(store.stats().flushes < 150, "appends share flushes");
}

async fn many_writers_to_one_stream_never_fail(store: TestStore) {
    let stream = new_stream();
    let other = Arc::new(store.again().await);
    let writers = (0..64).map(|number| {
        let store = if number % 2 == 0 {
            store.store.clone()
        } else {
            (*other).clone()
        };
        let stream = stream.clone();
        tokio::spawn(async move {
            for _ in 0..5 {
                put(&store, &stream, Expected::Any, 1).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let read = store.read_stream(SHARD, &stream, 0, 1_000).await.unwrap();
    assert_eq!(
        read.iter().map(|event| event.version).collect::<Vec<_>>(),
        (1..=320).collect::<Vec<_>>()
    );
}

async fn racing_writers_of_one_version_have_one_winner(store: TestStore) {
    let stream = new_stream();
    for version in 0..20 {
        let expected = if version == 0 {
            Expected::NoStream
        } else {
            Expected::Exact(version)
        };
        let racers: Vec<_> = (0..8)
            .map(|_| {
                let (store, stream) = (store.store.clone(), stream.clone());
                tokio::spawn(async move {
                    store
                        .append(SHARD, Append::new().write(stream, expected, events(1)))
                        .await
                })
            })
            .collect();
        let mut winners = 0;
        for racer in racers {
            winners += u32::from(racer.await.unwrap().is_ok());
        }
        assert_eq!(winners, 1);
    }
}

async fn two_processes_keep_one_order(store: TestStore) {
    let other = store.again().await;
    let writers: Vec<_> = (0..16)
        .map(|number| {
            let store = if number % 2 == 0 {
                store.store.clone()
            } else {
                other.clone()
            };
            tokio::spawn(async move {
                for _ in 0..20 {
                    put(&store, &new_stream(), Expected::NoStream, 1 + number % 3).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    // `read_shard` fails on a hole.
    let all = store.read_shard(SHARD, 0, 10_000).await.unwrap();
    assert_eq!(all.last().unwrap().position, all.len() as u64);
    assert_eq!(all.len(), (0..16).map(|number| 20 * (1 + number % 3)).sum::<usize>());
}

async fn a_key_that_is_gone_is_named(store: TestStore) {
    let gone = KeyId(Uuid::new_v4());
    let append = Append::new()
        .write(new_stream(), Expected::NoStream, events(1))
        .sealed_with([gone]);
    let (sealed, plain) = tokio::join!(
        store.append(SHARD, append),
        store.append(SHARD, Append::new().write(new_stream(), Expected::NoStream, events(1)))
    );
    assert!(matches!(sealed, Err(AppendError::KeysGone { keys }) if keys == [gone]));
    assert_eq!(plain.unwrap().first, 1);
}

async fn what_can_never_be_written_is_refused_at_once(store: TestStore) {
    let stream = new_stream();
    let invalid = |append| {
        let store = store.store.clone();
        async move {
            match store.append(SHARD, append).await {
                Err(AppendError::Invalid(invalid)) => invalid,
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(invalid(Append::new()).await, InvalidAppend::NoEvents);
    let guard_only = Append::new().guard(stream.clone(), Expected::Any);
    assert_eq!(invalid(guard_only).await, InvalidAppend::NoEvents);
    let twice = Append::new()
        .write(stream.clone(), Expected::Any, events(1))
        .guard(stream.clone(), Expected::NoStream);
    assert_eq!(
        invalid(twice).await,
        InvalidAppend::StreamTwice { stream: stream.clone() }
    );
    let mut large = event(1);
    large.data = vec![b'x'; limits::EVENT_BYTES_MAX + 1].into();
    let too_large = invalid(Append::new().write(stream.clone(), Expected::Any, [large])).await;
    assert!(matches!(
        too_large,
        InvalidAppend::EventTooLarge {
            max: limits::EVENT_BYTES_MAX,
            ..
        }
    ));
    let many = Append::new().write(stream.clone(), Expected::Any, events(limits::APPEND_EVENTS_MAX + 1));
    assert!(matches!(invalid(many).await, InvalidAppend::TooManyEvents { .. }));
    let elsewhere = store
        .append(ShardId(99), Append::new().write(stream, Expected::Any, events(1)))
        .await;
    assert!(matches!(
        elsewhere,
        Err(AppendError::Invalid(InvalidAppend::NoSuchShard { shard: 99, .. }))
    ));
    assert_eq!(store.head(SHARD).await.unwrap(), 0);
}

async fn text_that_the_database_cannot_hold_fails_alone(store: TestStore) {
    let bad: Vec<_> = (0..6)
        .map(|number| {
            let store = store.store.clone();
            tokio::spawn(async move {
                let mut event = event(number);
                if number == 3 {
                    // Postgres cannot hold a NUL in text.
                    event.kind = "test.\0".into();
                }
                store
                    .append(SHARD, Append::new().write(new_stream(), Expected::NoStream, [event]))
                    .await
            })
        })
        .collect();
    for (number, append) in bad.into_iter().enumerate() {
        match append.await.unwrap() {
            Ok(_) => {}
            Err(AppendError::Refused { .. }) => assert_eq!(number, 3),
            Err(other) => panic!("{other}"),
        }
    }
    put(&store, &new_stream(), Expected::NoStream, 1).await;
}

async fn a_closed_store_says_so_and_loses_nothing(store: TestStore) {
    let appends: Vec<_> = (0..50)
        .map(|number| {
            let store = store.store.clone();
            tokio::spawn(async move {
                store
                    .append(
                        SHARD,
                        Append::new().write(new_stream(), Expected::NoStream, [event(number)]),
                    )
                    .await
            })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    let mut written = 0;
    for append in appends {
        match append.await.unwrap() {
            Ok(_) => written += 1,
            Err(AppendError::Closed) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let late = store
        .append(SHARD, Append::new().write(new_stream(), Expected::Any, events(1)))
        .await;
    assert!(matches!(late, Err(AppendError::Closed)));
    assert_eq!(store.again().await.head(SHARD).await.unwrap(), written);
}

async fn an_append_that_nobody_waits_for_leaves_no_half(store: TestStore) {
    let streams: Vec<StreamId> = (0..40).map(|_| new_stream()).collect();
    for (number, stream) in streams.iter().enumerate() {
        let both: Vec<NewEvent> = events(2);
        let append = store.append(SHARD, Append::new().write(stream.clone(), Expected::NoStream, both));
        // Polled a different number of times before it is dropped.
        let mut append = Box::pin(append);
        for _ in 0..number % 8 {
            let _ = futures::poll!(&mut append);
            tokio::task::yield_now().await;
        }
    }
    put(&store, &new_stream(), Expected::NoStream, 1).await;
    let read = store.read_streams(SHARD, &streams).await.unwrap();
    assert!(
        read.values().all(|events| events.len() == 2),
        "written whole or not at all"
    );
    store.read_shard(SHARD, 0, 1_000).await.unwrap();
}

/// Enough new streams in one flush that the database is asked to assume that they are new.
async fn a_stream_that_was_wrongly_assumed_to_be_new_is_a_conflict_and_disturbs_nobody(store: TestStore) {
    let taken: Vec<StreamId> = (0..5).map(|_| new_stream()).collect();
    let other = store.again().await;
    for stream in &taken {
        // Written by another process: this one does not remember it.
        put(&other, stream, Expected::NoStream, 2).await;
    }
    for round in 0..3 {
        let appends: Vec<_> = (0..60)
            .map(|number| {
                let (store, taken) = (store.store.clone(), taken.clone());
                tokio::spawn(async move {
                    let stream = if number == 7 * round + 3 {
                        taken[round].clone()
                    } else {
                        new_stream()
                    };
                    let guard = if number == 20 { taken[4].clone() } else { new_stream() };
                    let append = Append::new().write(stream, Expected::NoStream, [event(number)]);
                    store.append(SHARD, append.guard(guard, Expected::NoStream)).await
                })
            })
            .collect();
        for (number, append) in appends.into_iter().enumerate() {
            let conflicting = number == 7 * round + 3 || number == 20;
            match append.await.unwrap() {
                Ok(_) => assert!(!conflicting, "{number}"),
                Err(AppendError::Conflict { actual: 2, .. }) => assert!(conflicting, "{number}"),
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(matches!(
        store.verify(SHARD).await.unwrap(),
        assent_event_store::Verified::Intact { .. }
    ));
}

/// Each process assumes that the streams are where it saw them last, and the other one has moved many of them on.
async fn streams_that_two_processes_write_in_turns_have_no_holes(store: TestStore) {
    const STREAMS: usize = 40;
    const ROUNDS: usize = 12;
    let other = store.again().await;
    let streams: Vec<StreamId> = (0..STREAMS).map(|_| new_stream()).collect();
    for round in 0..ROUNDS {
        let mut appends = Vec::new();
        for (number, stream) in streams.iter().enumerate() {
            // Some rounds are of one process alone, some of both at once.
            let writers = match round % 3 {
                0 => vec![store.store.clone()],
                1 => vec![other.clone()],
                _ => vec![store.store.clone(), other.clone()],
            };
            for writer in writers {
                let append = Append::new().write(stream.clone(), Expected::Any, [event(number)]);
                let guarded = append.guard(new_stream(), Expected::NoStream);
                appends.push(tokio::spawn(async move { writer.append(SHARD, guarded).await }));
            }
        }
        for append in appends {
            append.await.unwrap().unwrap();
        }
    }
    for stream in &streams {
        let events = store.read_stream(SHARD, stream, 0, 1_000).await.unwrap();
        let versions: Vec<u32> = events.iter().map(|event| event.version).collect();
        assert_eq!(versions, (1..=(ROUNDS + ROUNDS / 3) as u32).collect::<Vec<u32>>());
        // An expectation that only the other process could have disproved.
        let stale = Append::new().write(stream.clone(), Expected::Exact(1), [event(0)]);
        assert!(matches!(
            other.append(SHARD, stale).await,
            Err(AppendError::Conflict { actual: 2.., .. })
        ));
    }
    assert!(matches!(
        store.verify(SHARD).await.unwrap(),
        assent_event_store::Verified::Intact { .. }
    ));
}

/// A first try that a network held up must not write once a later try has said that it wrote nothing.
#[tokio::test]
async fn a_flush_that_was_voided_never_writes() {
    const VOIDED: &str = "00000000-0000-0000-0000-000000000001";
    const WRITTEN: &str = "00000000-0000-0000-0000-000000000002";
    let Some(store) = TestStore::postgres().await else {
        return;
    };
    let run = |flush: &'static str, expected: i32, again: bool| {
        let pool = store.postgres().unwrap().clone();
        async move {
            let sql = format!(
                "select done_before from assent_log.flush(0::smallint, '{flush}', now(), 0, {again},
                 array['{flush}'::uuid], array['test'], array[0], array[0::smallint], array[1], array[0], array[{expected}],
                 '{{}}'::uuid[], '{{}}'::int[], array['{flush}'::uuid], array['{flush}'::bytea], array['content'],
                 array['2026-11'], array[''::bytea], array['one'], array[now()], array[null::timestamptz],
                 array[0], array[1], array[1], array['{flush}'::uuid], array['test'],
                 array['{flush}'::uuid], array['test.happened'], array[1::smallint], array['{{}}'::bytea],
                 array['{{}}'::bytea], sha256(''), substr(sha256(''), 1, 8))"
            );
            sqlx::query_scalar::<_, Option<bool>>(sqlx::AssertSqlSafe(sql))
                .fetch_one(&pool)
                .await
                .unwrap()
        }
    };
    assert_eq!(
        run(VOIDED, 9, true).await,
        Some(false),
        "tried again; its expectation fails"
    );
    assert_eq!(run(VOIDED, 0, false).await, Some(true), "its first try arrives late");
    assert_eq!(store.head(SHARD).await.unwrap(), 0);
    assert_eq!(run(WRITTEN, 0, true).await, Some(false));
    // The key that came with it is destroyed, and the first try, which brings it too, must not bring it back.
    let pool = store.postgres().unwrap();
    let destroy = "delete from assent_keys.keys where alias = $1::text::bytea";
    let destroyed = sqlx::query(destroy).bind(WRITTEN).execute(pool).await.unwrap();
    assert_eq!(destroyed.rows_affected(), 1);
    assert_eq!(run(WRITTEN, 0, false).await, Some(true));
    assert_eq!(store.head(SHARD).await.unwrap(), 1);
    let keys: i64 = sqlx::query_scalar("select count(*) from assent_keys.keys where alias = $1::text::bytea")
        .bind(WRITTEN)
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(keys, 0);
}

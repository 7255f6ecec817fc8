//! Reading what was written.

use std::time::{Duration, Instant};

use assent_event_store::{Append, Database, EventMeta, Expected, NewEvent, ReadError, ShardId, StreamId};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::stores::{SHARD, TestStore, events, new_stream, put};

crate::contract!(
    an_event_reads_back_as_it_was_written,
    a_shard_is_read_in_pages,
    many_streams_are_read_at_once,
    the_streams_about_one_key_are_one_timeline,
    a_hole_is_an_alarm,
    the_log_refuses_change,
);

async fn an_event_reads_back_as_it_was_written(store: TestStore) {
    let stream = StreamId::new("request", Uuid::new_v4());
    let meta = EventMeta {
        actor: "key:ak_1".into(),
        causation: Some(Uuid::new_v4()),
        tenant: Some("acme".into()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
    };
    let event = NewEvent::new("request.submitted", 7, &b"{\"text\":\"\xc3\xa4\"}"[..], &meta);
    store
        .append(
            SHARD,
            Append::new().write(stream.clone(), Expected::NoStream, [event.clone()]),
        )
        .await
        .unwrap();
    let read = store.read_shard(SHARD, 0, 10).await.unwrap().remove(0);
    assert_eq!((read.shard, read.position, read.version), (SHARD, 1, 1));
    assert_eq!(
        (&read.stream, &read.kind, read.schema_version),
        (&stream, &event.kind, 7)
    );
    assert_eq!((read.id, &read.data, read.meta()), (event.id, &event.data, meta));
    let age = time::OffsetDateTime::now_utc() - read.recorded_at;
    assert!(age >= time::Duration::ZERO && age < time::Duration::minutes(1));
    assert_eq!(store.read_stream(SHARD, &stream, 0, 10).await.unwrap(), [read]);
}

async fn a_shard_is_read_in_pages(store: TestStore) {
    put(&store, &new_stream(), Expected::Any, 25).await;
    let mut after = 0;
    let mut pages = Vec::new();
    loop {
        let page = store.read_shard(SHARD, after, 10).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.position;
        pages.push(page.len());
    }
    assert_eq!(pages, [10, 10, 5]);
    assert!(matches!(
        store.read_shard(ShardId(99), 0, 1).await,
        Err(ReadError::NoSuchShard { .. })
    ));
}

async fn many_streams_are_read_at_once(store: TestStore) {
    let streams: Vec<StreamId> = (0..50).map(|_| new_stream()).collect();
    for (number, stream) in streams.iter().enumerate().skip(1) {
        put(&store, stream, Expected::NoStream, 1 + number % 4).await;
    }
    let read = store.read_streams(SHARD, &streams).await.unwrap();
    assert_eq!(read.len(), 49);
    assert!(!read.contains_key(&streams[0]));
    for (number, stream) in streams.iter().enumerate().skip(1) {
        let versions: Vec<u32> = read[stream].iter().map(|event| event.version).collect();
        assert_eq!(versions, (1..=1 + number as u32 % 4).collect::<Vec<_>>());
    }
    let tail = store.read_stream(SHARD, &streams[3], 2, 10).await.unwrap();
    assert_eq!(tail.iter().map(|event| event.version).collect::<Vec<_>>(), [3, 4]);
}

async fn the_streams_about_one_key_are_one_timeline(store: TestStore) {
    let (message, other) = (Uuid::new_v4(), Uuid::new_v4());
    for category in ["request", "decision", "attempt"] {
        for key in [message, other] {
            let append = Append::new().write(StreamId::new(category, key), Expected::NoStream, events(2));
            store.append(SHARD, append).await.unwrap();
        }
    }
    let read = store.read_keys(SHARD, &[message, other]).await.unwrap();
    let timeline: Vec<_> = read[&message]
        .iter()
        .map(|event| (event.stream.category.as_str(), event.position))
        .collect();
    assert_eq!(
        timeline,
        [
            ("request", 1),
            ("request", 2),
            ("decision", 5),
            ("decision", 6),
            ("attempt", 9),
            ("attempt", 10)
        ]
    );
}

async fn a_hole_is_an_alarm(store: TestStore) {
    put(&store, &new_stream(), Expected::Any, 9).await;
    store.tamper("delete from events where position = 5").await.unwrap();
    let read = store.read_shard(SHARD, 2, 100).await;
    assert!(
        matches!(read, Err(ReadError::Hole { after: 4, found: 6, .. })),
        "{read:?}"
    );
}

async fn the_log_refuses_change(store: TestStore) {
    put(&store, &new_stream(), Expected::Any, 2).await;
    for statement in [
        "update events set version = 9",
        "delete from events where position = 2",
        "update chain set last = 7",
        "delete from chain",
    ] {
        let refused = store.execute(statement).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{statement}: {refused}");
    }
    if store.postgres().is_some() {
        assert!(
            store
                .execute("truncate events")
                .await
                .unwrap_err()
                .to_string()
                .contains("append-only")
        );
    }
}

/// The planner must not take the shard for the stream, whatever it knows of the log: its plans are kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_streams_never_reads_the_shard_whatever_the_statistics_say() {
    const EVENTS: usize = 1_500;
    const KEYS: usize = 20;
    const PATIENCE: Duration = Duration::from_secs(30);
    let Some(store) = TestStore::postgres().await else {
        return;
    };
    // All events are of one stream, and the planner is told so.
    let body = format!("\"{}\"", "x".repeat(300));
    let events = (0..EVENTS).map(|_| NewEvent::new("test.happened", 1, body.clone(), &EventMeta::default()));
    let append = Append::new().write(new_stream(), Expected::NoStream, events);
    store.append(SHARD, append).await.unwrap();
    store.execute("vacuum analyze events").await.unwrap();
    let others: Vec<StreamId> = (0..KEYS).map(|_| new_stream()).collect();
    for other in &others {
        put(&store, other, Expected::NoStream, 1).await;
    }
    let keys: Vec<Uuid> = others.iter().map(|stream| stream.key).collect();
    assert_eq!(store.read_keys(SHARD, &keys).await.unwrap().len(), KEYS);
    assert_eq!(store.read_streams(SHARD, &others).await.unwrap().len(), KEYS);
    store.close().await;

    let Database::Postgres { url, .. } = &store.config.database else {
        unreachable!("the store is in Postgres")
    };
    let mut connection = PgConnection::connect(url).await.unwrap();
    // The server counts what a connection did when that ends.
    let others_left = "select count(*) from pg_stat_activity
         where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()";
    let started = Instant::now();
    while sqlx::query_scalar::<_, i64>(others_left)
        .fetch_one(&mut connection)
        .await
        .unwrap()
        > 0
    {
        assert!(
            started.elapsed() < PATIENCE,
            "the connections of the store were not closed"
        );
        tokio::task::yield_now().await;
    }
    let mut tuples = async |index: &'static str| -> i64 {
        let read = "select idx_tup_read from pg_stat_user_indexes where indexrelname = $1";
        sqlx::query_scalar(read)
            .bind(index)
            .fetch_one(&mut connection)
            .await
            .unwrap()
    };
    assert!(tuples("events_streams_key").await >= 2 * KEYS as i64);
    let read = tuples("events_pkey").await;
    assert!(
        read < EVENTS as i64,
        "{read} entries of the shard's index for {KEYS} streams"
    );
}

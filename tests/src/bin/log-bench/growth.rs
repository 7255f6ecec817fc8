//! Whether the log slows down as it grows, what an event takes on the disk, and how long `verify` takes.

use std::time::Instant;

use assent_event_store::{Append, EventStore, Expected, ShardId, StreamId, Verified};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use sqlx::{Connection as _, PgConnection};

use crate::{
    bench::{Bench, Run, migrate, open},
    job::{Target, Work},
    rows::{CATEGORY, Rows},
    yardsticks::ONE_SHARD,
};

const SHARD: ShardId = ShardId(0);
const MARKS: &[u64] = &[0, 1_000_000, 2_000_000, 5_000_000, 10_000_000];
/// The size of log whose verification is timed.
const VERIFIED_EVENTS: u64 = 1_000_000;
const APPEND_EVENTS: u64 = 500;
/// Two fill a flush; the others are ready for the next.
const APPENDS_IN_FLIGHT: usize = 4;

/// The log at a size.
#[derive(Debug, Serialize)]
pub(crate) struct Mark {
    /// Events in it before the run.
    pub(crate) events: u64,
    /// Rate of the appends of 500 events that brought it here from the mark before; none at the start.
    pub(crate) fill_events_per_second: Option<f64>,
    pub(crate) append_64: Run,
    /// Bytes on the disk beyond `data` and `meta`, tables and indexes, per event; none for an empty log.
    pub(crate) overhead_bytes_per_event: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Growth {
    pub(crate) marks: Vec<Mark>,
    pub(crate) verified_events: u64,
    pub(crate) verify_seconds: f64,
    pub(crate) verify_seconds_per_million: f64,
}

pub(crate) async fn measure(bench: &mut Bench, grow: u64) -> anyhow::Result<Growth> {
    let url = bench.postgres.create_database("growth").await?;
    let target = Target::Postgres { url: url.clone() };
    migrate(&target).await?;
    let store = open(&target).await?;
    let mut growth = Growth {
        marks: Vec::new(),
        verified_events: 0,
        verify_seconds: 0.0,
        verify_seconds_per_million: 0.0,
    };
    let mut sizes: Vec<u64> = MARKS.iter().copied().filter(|mark| *mark < grow).collect();
    sizes.push(grow);
    for size in sizes {
        let before = store.head(SHARD).await?;
        let rate = fill(bench, &store, size).await?;
        let events = store.head(SHARD).await?;
        if growth.verified_events == 0 && events >= VERIFIED_EVENTS.min(grow) {
            verify(&store, &mut growth).await?;
        }
        let shards = ONE_SHARD.to_vec();
        let append_64 = bench
            .measure_each(
                "append, 64, grown log",
                target.clone(),
                64,
                vec![Work::Append { shards }],
            )
            .await?;
        growth.marks.push(Mark {
            events,
            fill_events_per_second: (events > before).then_some(rate),
            append_64,
            overhead_bytes_per_event: overhead(&url).await?,
        });
    }
    store.close().await;
    Ok(growth)
}

/// Appends until the shard has so many events; answers the rate.
async fn fill(bench: &mut Bench, store: &EventStore, until: u64) -> anyhow::Result<f64> {
    let run = bench.next_run();
    let missing = until.saturating_sub(store.head(SHARD).await?);
    let started = Instant::now();
    let appends = (0..missing.div_ceil(APPEND_EVENTS)).map(|number| {
        let mut rows = Rows::new(bench.seed, run, 0, number);
        async move {
            let append = (0..APPEND_EVENTS).fold(Append::new(), |append, _| {
                let stream = StreamId::new(CATEGORY, rows.key());
                append.write(stream, Expected::NoStream, [rows.event()])
            });
            store.append(SHARD, append).await
        }
    });
    futures::stream::iter(appends)
        .buffer_unordered(APPENDS_IN_FLIGHT)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    Ok(missing as f64 / started.elapsed().as_secs_f64())
}

async fn verify(store: &EventStore, growth: &mut Growth) -> anyhow::Result<()> {
    let started = Instant::now();
    let Verified::Intact { events, .. } = store.verify(SHARD).await? else {
        anyhow::bail!("the grown log is not as it was written");
    };
    growth.verified_events = events;
    growth.verify_seconds = started.elapsed().as_secs_f64();
    growth.verify_seconds_per_million = growth.verify_seconds * 1e6 / events.max(1) as f64;
    Ok(())
}

async fn overhead(url: &str) -> anyhow::Result<Option<f64>> {
    let mut connection = PgConnection::connect(url).await?;
    let (bytes, events, content): (i64, i64, Option<f64>) = sqlx::query_as(
        "select pg_total_relation_size('assent_log.events') + pg_total_relation_size('assent_log.chain'),
                coalesce((select max(position) from assent_log.events where shard = 0), 0),
                (select avg(octet_length(data) + octet_length(meta))::float8 from assent_log.events
                  where shard = 0 and position <= 10000)",
    )
    .fetch_one(&mut connection)
    .await?;
    connection.close().await?;
    Ok(content.map(|content| bytes as f64 / events as f64 - content))
}

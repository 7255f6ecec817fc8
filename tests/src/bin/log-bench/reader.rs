//! A reading process: a durable feed whose handler notes when it got each event.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use assent_event_store::{Batch, Feeds, JetStream, JetStreamConfig, RecordedEvent, ShardId, Source, Start};
use serde::{Deserialize, Serialize};

use crate::{bench::open, job::Target, rows::sent_us, writer::now_us};

const SHARD: ShardId = ShardId(0);
/// How often the reader looks whether it may stop, and how long a reader lives whose parent died.
const STOP_POLL: Duration = Duration::from_millis(200);
const LIFE_MAX: Duration = Duration::from_mins(10);
/// The first part of the events belongs to the warm-up, as in the writers.
const WARM_UP: f64 = 1.0 / 6.0;

/// One reading process's order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReaderJob {
    pub(crate) target: Target,
    /// Where JetStream is; none for a direct feed.
    pub(crate) nats: Option<String>,
    pub(crate) feed: String,
    pub(crate) from_beginning: bool,
    /// Appears when writing is over; holds the position to read up to.
    pub(crate) stop: PathBuf,
    pub(crate) outcome: PathBuf,
}

/// What the handler saw.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Handled {
    pub(crate) events: u64,
    pub(crate) batches: u64,
    /// Positions that were missing or out of order.
    pub(crate) skipped: u64,
    /// From the first batch to the last, its commit included.
    pub(crate) seconds: f64,
    /// From just before the append to the handler, for events that carry their time, without those of the warm-up.
    pub(crate) latencies_us: Vec<u32>,
}

/// Connects to the bench's NATS server.
pub(crate) async fn jetstream(url: &str) -> anyhow::Result<JetStream> {
    let client = async_nats::connect(url).await.context("connect to NATS")?;
    Ok(JetStream::new(client, JetStreamConfig::default()))
}

/// The whole life of a reader.
pub(crate) async fn run(job: &ReaderJob) -> anyhow::Result<()> {
    let store = open(&job.target).await?;
    let source = match &job.nats {
        Some(url) => Source::JetStream(jetstream(url).await?),
        None => Source::Direct,
    };
    let feeds = Feeds::start(&store, &source).await?;
    let (start, mut position) = if job.from_beginning {
        (Start::Beginning, 0)
    } else {
        (Start::Head, store.head(SHARD).await?)
    };
    let mut feed = feeds.feed(job.feed.clone(), SHARD, start);
    println!("ready");
    let mut handled = Handled::default();
    let (mut first, mut last) = (None, Instant::now());
    let born = Instant::now();
    while born.elapsed() < LIFE_MAX && stop_at(&job.stop).is_none_or(|stop| position < stop) {
        let Ok(batch) = tokio::time::timeout(STOP_POLL, Box::pin(feed.next_batch())).await else {
            continue;
        };
        let Batch { events, checkpoint } = batch?;
        first.get_or_insert_with(Instant::now);
        handle(&events, &mut position, &mut handled);
        feed.commit(&checkpoint).await?;
        last = Instant::now();
    }
    handled.seconds = first.map_or(0.0, |first| last.duration_since(first).as_secs_f64());
    let warm_up = (handled.latencies_us.len() as f64 * WARM_UP) as usize;
    handled.latencies_us.drain(..warm_up);
    std::fs::write(&job.outcome, serde_json::to_vec(&handled)?)?;
    feed.release().await;
    store.close().await;
    Ok(())
}

fn handle(events: &[RecordedEvent], position: &mut u64, handled: &mut Handled) {
    let now = now_us();
    for event in events {
        handled.skipped += u64::from(event.position != *position + 1);
        *position = event.position;
        if let Some(sent) = sent_us(&event.data) {
            handled.latencies_us.push(now.saturating_sub(sent) as u32);
        }
    }
    handled.events += events.len() as u64;
    handled.batches += 1;
}

fn stop_at(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

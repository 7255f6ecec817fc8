//! Feeds and the relay: how long from an append to a handler in another process, and how fast each can be.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use assent_event_store::{Append, EventStore, Expected, Relay, RelayStats, ShardId, StreamId};
use assent_tests::{
    processes::ChildProcess,
    servers::{NatsConfig, NatsServer},
    stats::Samples,
};
use serde::Serialize;

use crate::{
    bench::{Bench, Run},
    job::Work,
    reader::{Handled, ReaderJob, jetstream},
    rows::{CATEGORY, Rows},
    yardsticks::ONE_SHARD,
};

const SHARD: ShardId = ShardId(0);
const PACED_PER_SECOND: u32 = 500;
const READY_TIMEOUT: Duration = Duration::from_mins(1);
const END_TIMEOUT: Duration = Duration::from_mins(5);
const POLL: Duration = Duration::from_millis(5);

#[derive(Debug, Serialize)]
pub(crate) struct FeedFigures {
    /// 500 appends a second by one process, a relay in a second, a handler in a third.
    pub(crate) paced: Run,
    /// From just before the append to the handler.
    pub(crate) to_handler_p50_ms: f64,
    pub(crate) to_handler_p99_ms: f64,
    /// The median less one fsync.
    pub(crate) to_handler_p50_beyond_fsync_ms: f64,
    /// A thousand appends in flight, relayed and handled at the same time.
    pub(crate) live: Run,
    pub(crate) live_handled_per_second: f64,
    /// A relay that finds so many events waiting.
    pub(crate) relay_backlog: u64,
    pub(crate) relay_events_per_second: f64,
    pub(crate) relay_events_per_slice: f64,
    /// A new name that reads the shard from its beginning, by a direct feed and by one that tails JetStream.
    pub(crate) catch_up_events: u64,
    pub(crate) catch_up_events_per_second: f64,
    pub(crate) catch_up_jetstream_events_per_second: f64,
    /// Positions that any of these readers missed.
    pub(crate) skipped: u64,
}

pub(crate) async fn measure(bench: &mut Bench, backlog: u64) -> anyhow::Result<FeedFigures> {
    let nats = NatsServer::start(NatsConfig::default()).await?;
    bench.nats = Some(nats.url());
    let store = bench.open().await?;
    let figures = measure_with(bench, &store, &nats.url(), backlog).await;
    store.close().await;
    bench.nats = None;
    figures
}

async fn measure_with(bench: &mut Bench, store: &EventStore, url: &str, backlog: u64) -> anyhow::Result<FeedFigures> {
    let jetstream = jetstream(url).await?;
    let relay = Relay::new(store, &jetstream, SHARD);
    let relaying = tokio::spawn(relay.run());
    let lanes = 64;
    let paced = Work::Paced {
        per_second: PACED_PER_SECOND,
    };
    let (paced, handled_paced) = follow(bench, store, Some(url), "append, paced, relayed", lanes, paced).await?;
    let shards = ONE_SHARD.to_vec();
    let (live, handled_live) = follow(
        bench,
        store,
        Some(url),
        "append, relayed live",
        1_000,
        Work::Append { shards },
    )
    .await?;
    relaying.abort();
    // Its end is what matters, not that it was aborted.
    let _aborted = relaying.await;
    fill(bench, store, backlog).await?;
    let (seconds, relayed) = relay_backlog(store, Relay::new(store, &jetstream, SHARD), backlog).await?;
    let direct = catch_up(bench, store, None).await?;
    let by_jetstream = catch_up(bench, store, Some(url)).await?;
    let latencies: Samples = handled_paced.latencies_us.iter().copied().map(f64::from).collect();
    let milliseconds = |percent| latencies.percentile(percent).unwrap_or_default() / 1e3;
    let rate = |handled: &Handled| handled.events as f64 / handled.seconds;
    Ok(FeedFigures {
        to_handler_p50_ms: milliseconds(50.0),
        to_handler_p99_ms: milliseconds(99.0),
        to_handler_p50_beyond_fsync_ms: milliseconds(50.0) - paced.fsync_us / 1e3,
        paced,
        live,
        live_handled_per_second: rate(&handled_live),
        relay_backlog: backlog,
        relay_events_per_second: relayed.events as f64 / seconds,
        relay_events_per_slice: relayed.events as f64 / relayed.slices.max(1) as f64,
        catch_up_events: direct.events,
        catch_up_events_per_second: rate(&direct),
        catch_up_jetstream_events_per_second: rate(&by_jetstream),
        skipped: [&handled_paced, &handled_live, &direct, &by_jetstream]
            .iter()
            .map(|handled| handled.skipped)
            .sum(),
    })
}

/// A reading process of its own.
struct Reader {
    process: ChildProcess,
    stop: PathBuf,
    outcome: PathBuf,
}

impl Reader {
    async fn start(bench: &mut Bench, nats: Option<&str>, from_beginning: bool) -> anyhow::Result<Self> {
        let run = bench.next_run();
        let file = |name: &str| bench.directory.path().join(format!("{name}-{run}"));
        let job = ReaderJob {
            target: bench.target(),
            nats: nats.map(str::to_owned),
            feed: format!("log-bench-{run}"),
            from_beginning,
            stop: file("stop"),
            outcome: file("handled"),
        };
        let arguments = ["reader", &serde_json::to_string(&job)?];
        let mut process = ChildProcess::spawn_self(&format!("reader-{run}"), &arguments, bench.directory.path())?;
        process.wait_ready("ready", READY_TIMEOUT).await?;
        Ok(Self {
            process,
            stop: job.stop,
            outcome: job.outcome,
        })
    }

    /// Lets it read up to a position and takes its figures.
    async fn finish(mut self, position: u64) -> anyhow::Result<Handled> {
        let draft = self.stop.with_extension("draft");
        std::fs::write(&draft, position.to_string())?;
        std::fs::rename(&draft, &self.stop)?;
        self.process.wait(END_TIMEOUT).await?;
        let text = std::fs::read(&self.outcome)
            .with_context(|| format!("the reader left nothing: {}", self.process.output().unwrap_or_default()))?;
        Ok(serde_json::from_slice(&text)?)
    }
}

/// Measures writers while a reader follows them.
async fn follow(
    bench: &mut Bench,
    store: &EventStore,
    nats: Option<&str>,
    name: &str,
    in_flight: usize,
    work: Work,
) -> anyhow::Result<(Run, Handled)> {
    let reader = Reader::start(bench, nats, false).await?;
    let run = bench.measure(name, 1, in_flight, work).await?;
    let handled = reader.finish(store.head(SHARD).await?).await?;
    Ok((run, handled))
}

async fn catch_up(bench: &mut Bench, store: &EventStore, nats: Option<&str>) -> anyhow::Result<Handled> {
    let reader = Reader::start(bench, nats, true).await?;
    reader.finish(store.head(SHARD).await?).await
}

async fn fill(bench: &mut Bench, store: &EventStore, events: u64) -> anyhow::Result<()> {
    const APPEND_EVENTS: u64 = 500;
    let mut rows = Rows::new(bench.seed, bench.next_run(), 0, 0);
    for first in (0..events).step_by(APPEND_EVENTS as usize) {
        let append = (first..events.min(first + APPEND_EVENTS)).fold(Append::new(), |append, _| {
            append.write(StreamId::new(CATEGORY, rows.key()), Expected::NoStream, [rows.event()])
        });
        store.append(SHARD, append).await?;
    }
    bench.acknowledged += events;
    Ok(())
}

/// Times a relay from its first slice to the last of so many events; waiting for the lease of the one before is not in it.
async fn relay_backlog(store: &EventStore, relay: Relay, events: u64) -> anyhow::Result<(f64, RelayStats)> {
    let head = store.head(SHARD).await?;
    let observer = relay.observer();
    let relaying = tokio::spawn(relay.run());
    let mut first: Option<(Instant, RelayStats)> = None;
    let deadline = Instant::now() + END_TIMEOUT;
    loop {
        let stats = observer.stats();
        let (started, at_first) = *match stats.slices {
            0 => first.insert((Instant::now(), stats)),
            _ => first.get_or_insert((Instant::now(), stats)),
        };
        if stats.events >= events {
            relaying.abort();
            let _aborted = relaying.await;
            return Ok((
                started.elapsed().as_secs_f64(),
                RelayStats {
                    events: stats.events - at_first.events,
                    slices: stats.slices - at_first.slices,
                    ..stats
                },
            ));
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "the relay published {} of {events} events up to {head}",
            stats.events
        );
        tokio::time::sleep(POLL).await;
    }
}

//! A writing process: drives its lanes in a closed loop and reports what happened within the window.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use assent_event_store::{EventStore, Poker};

use crate::{
    bench::open,
    job::{Job, Outcome, Window, Work},
    lanes::{Answer, Lane},
    reader::jetstream,
};

/// A parent that died never says go.
const GO_TIMEOUT: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(2);

/// Microseconds since the epoch.
pub(crate) fn now_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64)
}

/// Sleeps until a moment given in microseconds since the epoch.
pub(crate) async fn sleep_until_us(moment_us: u64) {
    tokio::time::sleep(Duration::from_micros(moment_us.saturating_sub(now_us()))).await;
}

/// The whole life of a writer.
pub(crate) async fn run(job: &Job) -> anyhow::Result<()> {
    let store = match job.work {
        Work::UnorderedInsert | Work::UnnestInsert { .. } => None,
        _ => Some(open(&job.target).await?),
    };
    let mut lanes = Vec::with_capacity(job.in_flight);
    for number in 0..job.in_flight {
        lanes.push(Lane::open(job, number, store.as_ref()).await?);
    }
    let _poker = match (&store, &job.nats) {
        (Some(store), Some(url)) => Some(Poker::start(store, &jetstream(url).await?)),
        _ => None,
    };
    println!("ready");
    let window = wait_for_go(&job.go).await?;
    let outcome = drive(lanes, window, store.as_ref()).await?;
    if let Some(store) = store {
        store.close().await;
    }
    fs::write(&job.outcome, serde_json::to_vec(&outcome)?).context("write the outcome")
}

async fn wait_for_go(go: &Path) -> anyhow::Result<Window> {
    let deadline = Instant::now() + GO_TIMEOUT;
    while Instant::now() < deadline {
        if let Ok(text) = fs::read(go) {
            return Ok(serde_json::from_slice(&text)?);
        }
        tokio::time::sleep(POLL).await;
    }
    anyhow::bail!("nobody said go");
}

async fn drive(lanes: Vec<Lane>, window: Window, store: Option<&EventStore>) -> anyhow::Result<Outcome> {
    let lanes: Vec<_> = lanes
        .into_iter()
        .map(|lane| tokio::spawn(drive_lane(lane, window)))
        .collect();
    let stats = || store.map(EventStore::stats).unwrap_or_default();
    sleep_until_us(window.opens_us).await;
    let (stats_before, cpu_before) = (stats(), own_cpu_us());
    sleep_until_us(window.closes_us).await;
    let (stats_after, cpu_after) = (stats(), own_cpu_us());
    let mut outcome = Outcome {
        flushes: stats_after.flushes - stats_before.flushes,
        flushed_events: stats_after.events - stats_before.events,
        cpu_us: cpu_after.saturating_sub(cpu_before),
        ..Outcome::default()
    };
    for lane in lanes {
        outcome.merge(lane.await?);
    }
    Ok(outcome)
}

async fn drive_lane(mut lane: Lane, window: Window) -> Outcome {
    let offset = Instant::now();
    let offset_us = now_us();
    let since = |moment_us: u64| offset + Duration::from_micros(moment_us.saturating_sub(offset_us));
    let (opens, closes) = (since(window.opens_us), since(window.closes_us));
    let mut outcome = Outcome::default();
    let mut started = Instant::now();
    while started < closes {
        let work = lane.prepare().await;
        started = Instant::now();
        let answer = lane.run(work).await;
        let ended = Instant::now();
        let counts = ended >= opens && ended < closes;
        match answer {
            Answer::Written(events) => {
                outcome.acknowledged += events;
                outcome.events += if counts { events } else { 0 };
            }
            Answer::Conflict => outcome.conflicts += u64::from(counts),
            Answer::Failed(reason) => {
                outcome.failures += 1;
                outcome.failure.get_or_insert(reason);
            }
        }
        if counts {
            outcome.answered += 1;
            outcome
                .latencies_us
                .push(ended.duration_since(started).as_micros() as u32);
        }
        started = ended;
    }
    outcome
}

/// CPU time of this process so far, user and system, from `/proc/self/stat` (see proc(5)).
fn own_cpu_us() -> u64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    ticks * 1_000_000 / rustix::param::clock_ticks_per_second()
}

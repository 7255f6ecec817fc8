//! What all parts share: the servers, the writers, and how one measurement is taken.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use assent_event_store::{EventStore, StoreConfig};
use assent_tests::{
    processes::ChildProcess,
    servers::PostgresServer,
    stats::{Samples, measure_fsync},
};
use serde::Serialize;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

use crate::{
    job::{Job, Outcome, Target, Window, Work},
    writer::{now_us, sleep_until_us},
};

/// Settings of the bench's Postgres beside the harness's. Durability is as shipped.
pub(crate) const POSTGRES_SETTINGS: &[(&str, &str)] = &[("shared_buffers", "1GB"), ("max_wal_size", "4GB")];

const READY_TIMEOUT: Duration = Duration::from_mins(1);
const END_TIMEOUT: Duration = Duration::from_mins(1);
/// From `go` until every lane runs.
const START: Duration = Duration::from_millis(50);

/// The servers and the knobs of a run.
pub(crate) struct Bench {
    pub(crate) postgres: PostgresServer,
    /// The database that most parts use, with a log and the yardsticks' tables.
    pub(crate) url: String,
    /// Writers poke the relays here.
    pub(crate) nats: Option<String>,
    pub(crate) directory: TempDir,
    pub(crate) seed: u64,
    pub(crate) window: Duration,
    fsyncs: Samples,
    fsync_us: f64,
    fsync_at: Option<Instant>,
    /// How long a measurement of the fsync holds.
    fsync_holds: Duration,
    runs: u64,
    /// Events that the log at `url` has acknowledged.
    pub(crate) acknowledged: u64,
}

/// One measurement.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) processes: usize,
    pub(crate) in_flight: usize,
    /// Events acknowledged a second.
    pub(crate) events_per_second: f64,
    /// Appends answered a second, with success or with a conflict.
    pub(crate) answers_per_second: f64,
    pub(crate) conflicts: u64,
    pub(crate) failures: u64,
    pub(crate) failure: Option<String>,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// The same in multiples of `fsync_us`.
    pub(crate) p50_fsyncs: f64,
    pub(crate) p99_fsyncs: f64,
    /// None where the store has no say.
    pub(crate) events_per_flush: Option<f64>,
    pub(crate) client_cpu_us_per_event: f64,
    /// Of all of Postgres' processes; none on SQLite.
    pub(crate) server_cpu_us_per_event: Option<f64>,
    /// An 8 KiB write and `fdatasync` on this disk, the mean of just before and just after.
    pub(crate) fsync_us: f64,
}

impl Bench {
    pub(crate) async fn start(seed: u64, window: Duration, quick: bool) -> anyhow::Result<Self> {
        let postgres = PostgresServer::start_with(POSTGRES_SETTINGS).await?;
        let url = postgres.create_database("log").await?;
        migrate(&Target::Postgres { url: url.clone() }).await?;
        Ok(Self {
            postgres,
            url,
            nats: None,
            directory: tempfile::tempdir()?,
            seed,
            window,
            fsyncs: Samples::new(),
            fsync_us: 0.0,
            fsync_at: None,
            fsync_holds: Duration::from_secs(if quick { 20 } else { 1 }),
            runs: 0,
            acknowledged: 0,
        })
    }

    pub(crate) fn target(&self) -> Target {
        Target::Postgres { url: self.url.clone() }
    }

    /// Names a run apart from all others.
    pub(crate) fn next_run(&mut self) -> u64 {
        self.runs += 1;
        self.runs
    }

    /// The cost of an fsync in microseconds, measured anew when the last time is a while ago: the disk is shared.
    pub(crate) fn fsync_us(&mut self) -> anyhow::Result<f64> {
        if self.fsync_at.is_none_or(|at| at.elapsed() > self.fsync_holds) {
            self.fsync_us = measure_fsync(self.directory.path())?;
            self.fsyncs.record(self.fsync_us);
            self.fsync_at = Some(Instant::now());
        }
        Ok(self.fsync_us)
    }

    /// The median of all measurements so far.
    pub(crate) fn fsync_median_us(&self) -> f64 {
        self.fsyncs.percentile(50.0).unwrap_or_default()
    }

    /// Measures one kind of work against the shared log.
    pub(crate) async fn measure(
        &mut self,
        name: &str,
        processes: usize,
        in_flight: usize,
        work: Work,
    ) -> anyhow::Result<Run> {
        let works = vec![work; processes];
        self.measure_each(name, self.target(), in_flight, works).await
    }

    /// Measures writers that each have their own work; what is in flight is split among them.
    pub(crate) async fn measure_each(
        &mut self,
        name: &str,
        target: Target,
        in_flight: usize,
        works: Vec<Work>,
    ) -> anyhow::Result<Run> {
        let fsync_before_us = self.fsync_us()?;
        let processes = works.len();
        let each = (in_flight / processes).max(1);
        let shared = matches!(&target, Target::Postgres { url } if *url == self.url);
        let appends = !matches!(
            works.first(),
            Some(Work::UnorderedInsert | Work::UnnestInsert { .. }) | None
        );
        let on_postgres = matches!(target, Target::Postgres { .. });
        let (outcome, server_cpu) = self.run_writers(&target, each, works).await?;
        let fsync_us = f64::midpoint(fsync_before_us, self.fsync_us()?);
        if shared && appends {
            self.acknowledged += outcome.acknowledged;
        }
        let seconds = self.window.as_secs_f64();
        let latencies: Samples = outcome.latencies_us.iter().copied().map(f64::from).collect();
        let percentile = |percent| latencies.percentile(percent).unwrap_or_default();
        let per_event = |us: f64| us / outcome.events.max(1) as f64;
        let run = Run {
            name: name.to_owned(),
            processes,
            in_flight: each * processes,
            events_per_second: outcome.events as f64 / seconds,
            answers_per_second: outcome.answered as f64 / seconds,
            conflicts: outcome.conflicts,
            failures: outcome.failures,
            failure: outcome.failure,
            p50_us: percentile(50.0),
            p99_us: percentile(99.0),
            p50_fsyncs: percentile(50.0) / fsync_us,
            p99_fsyncs: percentile(99.0) / fsync_us,
            events_per_flush: (outcome.flushes > 0).then(|| outcome.flushed_events as f64 / outcome.flushes as f64),
            client_cpu_us_per_event: per_event(outcome.cpu_us as f64),
            server_cpu_us_per_event: on_postgres.then(|| per_event(server_cpu.as_secs_f64() * 1e6)),
            fsync_us,
        };
        eprintln!(
            "  {name}: {:.0} events/s with {processes} x {each}",
            run.events_per_second
        );
        Ok(run)
    }

    async fn run_writers(
        &mut self,
        target: &Target,
        in_flight: usize,
        works: Vec<Work>,
    ) -> anyhow::Result<(Outcome, Duration)> {
        let run = self.next_run();
        let file = |name: &str| self.directory.path().join(format!("{name}-{run}"));
        let go = file("go");
        let mut writers = Vec::new();
        for (writer, work) in works.into_iter().enumerate() {
            let job = Job {
                target: target.clone(),
                work,
                nats: self.nats.clone(),
                in_flight,
                seed: self.seed,
                run,
                writer: writer as u64,
                go: go.clone(),
                outcome: file(&format!("outcome-{writer}")),
            };
            let arguments = ["writer", &serde_json::to_string(&job)?];
            let process =
                ChildProcess::spawn_self(&format!("writer-{run}-{writer}"), &arguments, self.directory.path())?;
            writers.push((process, job.outcome));
        }
        for (writer, _) in &mut writers {
            writer.wait_ready("ready", READY_TIMEOUT).await?;
        }
        let opens_us = now_us() + (START + self.window / 5).as_micros() as u64;
        let window = Window {
            opens_us,
            closes_us: opens_us + self.window.as_micros() as u64,
        };
        // Renamed into place: nobody reads half of it.
        let draft = file("draft");
        std::fs::write(&draft, serde_json::to_vec(&window)?)?;
        std::fs::rename(&draft, &go)?;
        sleep_until_us(window.opens_us).await;
        let cpu_before = self.server_cpu();
        sleep_until_us(window.closes_us).await;
        let server_cpu = self.server_cpu().saturating_sub(cpu_before);
        Ok((collect(writers).await?, server_cpu))
    }

    fn server_cpu(&self) -> Duration {
        self.postgres
            .process()
            .and_then(ChildProcess::tree_cpu_time)
            .unwrap_or_default()
    }

    /// The shared log, opened in this process.
    pub(crate) async fn open(&self) -> anyhow::Result<EventStore> {
        open(&self.target()).await
    }

    pub(crate) async fn connect(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(&self.url).await?)
    }

    /// What the server itself says of a setting.
    pub(crate) async fn setting(&self, name: &str) -> anyhow::Result<String> {
        let mut connection = self.connect().await?;
        Ok(sqlx::query_scalar("select current_setting($1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await?)
    }
}

/// Opens a store; boxed because connecting makes for a large future.
pub(crate) async fn open(target: &Target) -> anyhow::Result<EventStore> {
    Ok(Box::pin(EventStore::connect(&StoreConfig::new(target.database()))).await?)
}

/// Makes a store's schema.
pub(crate) async fn migrate(target: &Target) -> anyhow::Result<()> {
    Ok(Box::pin(EventStore::migrate(&StoreConfig::new(target.database()))).await?)
}

async fn collect(writers: Vec<(ChildProcess, PathBuf)>) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    for (mut writer, file) in writers {
        let status = writer.wait(END_TIMEOUT).await?;
        let text = std::fs::read(&file).with_context(|| {
            let said = writer.output().unwrap_or_default();
            format!("{} ended with {status} and no outcome: {said}", writer.name())
        })?;
        outcome.merge(serde_json::from_slice(&text)?);
        std::fs::remove_file(&file)?;
    }
    Ok(outcome)
}

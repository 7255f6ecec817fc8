//! Starts everything, lets the faults loose, ends the run and judges it.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use assent_event_store::{EventStore, Verified, limits};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

use super::{
    DatabaseAt, DirectReaderJob, DurableReaderJob, RelayJob, Report, Role, WriterJob,
    check::{Checker, Sighting},
    create_seen_table,
    history::read_histories,
    nemesis::Nemesis,
    read_seen,
    readers::{direct_position, read_sightings},
    role::{READY, SHARD},
    seen_position,
};
use crate::{
    processes::ChildProcess,
    servers::{NatsConfig, NatsServer, PostgresServer},
};

/// Processes that append.
const WRITING_PROCESSES: usize = 4;
/// Writers in each of them.
const WRITERS: u32 = 2;
/// Appends that each writer has under way.
const LANES: u32 = 8;
const DROPS_PERCENT: u32 = 10;
/// The durable reader's name.
const FEED: &str = "chaos-durable";

const READY_PATIENCE: Duration = Duration::from_mins(1);
const CATCH_UP_PATIENCE: Duration = Duration::from_mins(1);
const DRAIN_PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

/// What a run is.
#[derive(Debug, Clone)]
pub struct ChaosPlan {
    /// The `log-chaos` program, which plays the roles.
    pub program: PathBuf,
    /// Determines choices and moments.
    pub seed: u64,
    /// The run goes on until the log has this many events, and every fault came at least once.
    pub events: u64,
    /// How long a foreign transaction stays open.
    pub stranger: Duration,
    /// Shortest and longest time between two faults.
    pub pauses: (Duration, Duration),
}

/// Everything that runs.
pub(super) struct Arena {
    // Processes before servers before directories: dropped in this order.
    pub(super) writers: Vec<ChildProcess>,
    relay: ChildProcess,
    direct: ChildProcess,
    durable: ChildProcess,
    store: EventStore,
    pub(super) postgres: PostgresServer,
    pub(super) nats: NatsServer,
    pub(super) database_url: String,
    work: TempDir,
    plan: ChaosPlan,
    processes_started: u64,
}

/// Runs the plan and judges what came of it. An error means that something was wrong with the log, or that the run
/// itself failed; what was wrong is in the error, and the children's last words with it.
pub async fn run(plan: &ChaosPlan) -> anyhow::Result<Report> {
    let mut arena = Arena::start(plan).await?;
    let mut nemesis = Nemesis::new(plan.seed, plan.pauses, plan.stranger);
    let started = Instant::now();
    loop {
        nemesis.cycle(&mut arena).await?;
        if arena.head().await? >= plan.events {
            break;
        }
    }
    arena.stop_writers().await?;
    let seconds = started.elapsed().as_secs_f64();
    arena.readers_caught_up().await?;
    arena.judge(&nemesis, seconds).await
}

impl Arena {
    async fn start(plan: &ChaosPlan) -> anyhow::Result<Self> {
        let work = tempfile::Builder::new().prefix("assent-chaos-").tempdir()?;
        let (postgres, nats) = tokio::try_join!(PostgresServer::start(), NatsServer::start(NatsConfig::default()))?;
        let database_url = postgres.create_database("chaos").await?;
        let database = DatabaseAt::Postgres {
            url: database_url.clone(),
        };
        EventStore::migrate(&database.config()).await?;
        let store = database.open().await?;
        create_seen_table(&store).await?;
        let mut connection = PgConnection::connect(&database_url).await?;
        sqlx::query("create table strangers (visit bigserial primary key)")
            .execute(&mut connection)
            .await?;
        connection.close().await?;

        let direct = Role::DirectReader(DirectReaderJob {
            database: database.clone(),
            file: work.path().join("direct.seen"),
        });
        let durable = Role::DurableReader(DurableReaderJob {
            database: database.clone(),
            nats: Some(nats.url()),
            feed: FEED.to_owned(),
            label: "durable".to_owned(),
            batch_events_max: limits::BATCH_EVENTS_MAX,
            hold: None,
            die_before_commit: false,
        });
        let relay = Role::Relay(RelayJob {
            database,
            nats: nats.url(),
        });
        let mut arena = Self {
            writers: Vec::new(),
            relay: relay.spawn(&plan.program, "relay", work.path())?,
            direct: direct.spawn(&plan.program, "direct", work.path())?,
            durable: durable.spawn(&plan.program, "durable", work.path())?,
            store,
            postgres,
            nats,
            database_url,
            work,
            plan: plan.clone(),
            processes_started: 0,
        };
        for process in [&mut arena.relay, &mut arena.direct, &mut arena.durable] {
            process.wait_ready(READY, READY_PATIENCE).await?;
        }
        for _ in 0..WRITING_PROCESSES {
            let writer = arena.start_writer()?;
            arena.writers.push(writer);
        }
        for writer in &mut arena.writers {
            writer.wait_ready(READY, READY_PATIENCE).await?;
        }
        Ok(arena)
    }

    fn database(&self) -> DatabaseAt {
        DatabaseAt::Postgres {
            url: self.database_url.clone(),
        }
    }

    fn start_writer(&mut self) -> anyhow::Result<ChildProcess> {
        let number = self.processes_started;
        self.processes_started += 1;
        let name = format!("writer-{number}");
        let role = Role::Writer(WriterJob {
            database: self.database(),
            directory: self.work.path().to_owned(),
            name: name.clone(),
            seed: self.plan.seed.wrapping_add(number + 1),
            writers: WRITERS,
            lanes: LANES,
            drops_percent: DROPS_PERCENT,
        });
        Ok(role.spawn(&self.plan.program, &name, self.work.path())?)
    }

    /// Kills a writing process and starts another.
    pub(super) fn restart_writer(&mut self, index: usize) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.writers[index].is_running(),
            "a writer ended by itself: {}",
            self.writers[index].output()?
        );
        self.writers[index].kill_9();
        self.writers[index] = self.start_writer()?;
        Ok(())
    }

    /// Kills the process that runs the relay and starts another.
    pub(super) fn restart_relay(&mut self) -> anyhow::Result<()> {
        self.relay.kill_9();
        let role = Role::Relay(RelayJob {
            database: self.database(),
            nats: self.nats.url(),
        });
        self.relay = role.spawn(&self.plan.program, "relay", self.work.path())?;
        Ok(())
    }

    async fn stop_writers(&mut self) -> anyhow::Result<()> {
        for writer in &mut self.writers {
            // One that was started a moment ago may not listen for signals yet.
            writer.wait_ready(READY, READY_PATIENCE).await?;
            writer.terminate();
        }
        for writer in &mut self.writers {
            let status = writer.wait(DRAIN_PATIENCE).await?;
            anyhow::ensure!(status.success(), "{} failed: {}", writer.name(), writer.output()?);
        }
        Ok(())
    }

    /// The log's head. The database may be recovering.
    async fn head(&self) -> anyhow::Result<u64> {
        let deadline = Instant::now() + CATCH_UP_PATIENCE;
        loop {
            match self.store.head(SHARD).await {
                Ok(head) => return Ok(head),
                Err(error) if Instant::now() >= deadline => return Err(error.into()),
                Err(_recovering) => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Waits until both readers have seen what is in the log now.
    pub(super) async fn readers_caught_up(&mut self) -> anyhow::Result<()> {
        let head = self.head().await?;
        let deadline = Instant::now() + CATCH_UP_PATIENCE;
        loop {
            let direct = direct_position(&self.work.path().join("direct.seen"))?;
            // The database may be recovering.
            let durable = seen_position(&self.store).await.unwrap_or(0);
            if direct >= head && durable >= head {
                return Ok(());
            }
            if Instant::now() >= deadline {
                anyhow::bail!(
                    "the log has {head} events; the direct reader stands at {direct}, the durable one at {durable}\n\
                     direct: {}\ndurable: {}",
                    self.direct.output()?,
                    self.durable.output()?
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn judge(&mut self, nemesis: &Nemesis, seconds: f64) -> anyhow::Result<Report> {
        self.durable.terminate();
        self.durable.wait(DRAIN_PATIENCE).await?;
        let mut checker = Checker::new();
        let mut position = 0;
        loop {
            let events = self.store.read_shard(SHARD, position, limits::READ_EVENTS_MAX).await?;
            let Some(last) = events.last() else { break };
            position = last.position;
            for event in &events {
                checker.event(event);
            }
        }
        let tally = checker.compare_with_writers(&read_histories(self.work.path())?);
        let direct = read_sightings(&self.work.path().join("direct.seen"))?;
        checker.compare_with_reader("direct", &direct);
        let durable: Vec<Sighting> = read_seen(&self.store)
            .await?
            .into_iter()
            .map(|(seen, _)| seen)
            .collect();
        checker.compare_with_reader("durable", &durable);

        let started = Instant::now();
        let verified = self.store.verify(SHARD).await?;
        let verify_seconds = started.elapsed().as_secs_f64();
        let Verified::Intact { events, flushes, .. } = verified else {
            anyhow::bail!("seed {}: verify found {verified:?}", self.plan.seed);
        };
        anyhow::ensure!(
            events == checker.events(),
            "verify saw {events} events of {}",
            checker.events()
        );
        let report = Report {
            seed: self.plan.seed,
            events,
            flushes,
            seconds,
            events_per_second: events as f64 / seconds,
            verify_seconds,
            tally,
            faults: nemesis.counts.clone(),
            lag_direct: super::Lag::of(checker.lags_us(&direct), &nemesis.strangers_us),
            lag_durable: super::Lag::of(checker.lags_us(&durable), &nemesis.strangers_us),
            machine: crate::stats::Machine::describe(),
            fsync_us: crate::stats::measure_fsync(self.work.path()).context("measure an fsync")?,
        };
        let violations = checker.finish();
        anyhow::ensure!(violations.is_empty(), "seed {}: {violations}", self.plan.seed);
        Ok(report)
    }
}

//! What a message costs, from `SendMessage` to the read receipt, through the whole system as shipped.
//!
//! `cargo run --release -p assent-tests --bin load -- --messages 20000 --report FILE` starts Postgres (fsync on), NATS with
//! JetStream, the simulator and the four services as processes, records an opt-in for each of as many people as there are
//! messages, and then sends each of them a template message with two parameters. The clock runs from the first
//! `SendMessage` until a subscriber of `EventService` has been told of the last `read`; CPU time is that of all processes
//! in between. Half the calls wait for ACCEPTED, half for the decision, taking turns.
//!
//! Without `--rate` the driver keeps `--in-flight` calls under way (a closed loop); with it, calls start when they are due,
//! however long others take (an open loop), and latencies count from that instant.
//!
//! Afterwards everybody is judged by the simulator's own list: what was acknowledged and never arrived there is lost, what
//! arrived twice is duplicated, and what the API says about a message must be what the simulator knows.
#![expect(clippy::print_stdout, reason = "a command line program whose product is its output")]

mod cost;
mod driver;
mod follow;
mod judge;
mod report;
mod statements;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use assent_simulator::{Fault, FaultKind};
use assent_tests::{
    servers::{find_nats, find_postgres},
    stats::measure_fsync,
    system::{Build, System, SystemConfig, people},
};
use clap::{Parser, ValueEnum};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::{cost::Snapshot, driver::Driver, follow::Follower, report::Report};

/// Settings of Postgres beside the harness's; durability is as shipped.
const POSTGRES_SETTINGS: &[(&str, &str)] = &[("shared_buffers", "1GB"), ("max_wal_size", "4GB")];
/// How long the simulator may still deliver callbacks after the last message was read.
const IDLE_PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Parser, Serialize)]
#[command(
    name = "load",
    about = "Measures what a message costs, from SendMessage to the read receipt"
)]
struct Options {
    /// How many messages, each to a person of its own.
    #[arg(long, default_value_t = 20_000)]
    messages: usize,
    /// Messages a second, started when they are due; without it, as fast as answers come.
    #[arg(long)]
    rate: Option<f64>,
    /// Calls under way at most.
    #[arg(long, default_value_t = 512)]
    in_flight: usize,
    /// Businesses that send; they take turns on the shards.
    #[arg(long, default_value_t = 1)]
    tenants: usize,
    /// Callbacks that Meta has under way at a time, at most.
    #[arg(long, default_value_t = 256)]
    callbacks_in_flight: usize,
    /// Share of callbacks that are sent twice, and of messages whose callbacks come in another order.
    #[arg(long, default_value_t = 0.0)]
    duplicate_shuffle: f64,
    /// How the end is seen.
    #[arg(long, value_enum, default_value_t = Follow::Events)]
    follow: Follow,
    /// Seeds the simulator and the texts; drawn and printed if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Where the figures go, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Also says which statements Postgres spent its time on; counting them costs some.
    #[arg(long)]
    statements: bool,
    /// Where the services' logs are copied to at the end.
    #[arg(long)]
    #[serde(skip)]
    keep_logs: Option<PathBuf>,
    /// Waits this many seconds after the run, so that one can look at the processes.
    #[arg(long, default_value_t = 0)]
    #[serde(skip)]
    linger_seconds: u64,
}

/// How the end of a message is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Follow {
    /// By a subscription to the events of the public API: what is to be measured.
    Events,
    /// By the simulator, once its callbacks are acknowledged: less, for looking at the services without the tracker's API.
    Simulator,
}

/// One thread is enough for the driver, and leaves the cores to what is measured.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut terminate = signal(SignalKind::terminate())?;
    // A signal ends the run by dropping it: the servers and services go with it.
    tokio::select! {
        outcome = Box::pin(run(options)) => outcome,
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        _ = terminate.recv() => anyhow::bail!("terminated"),
    }
}

async fn run(mut options: Options) -> anyhow::Result<()> {
    anyhow::ensure!(
        (1..=people::PEOPLE_MAX).contains(&options.messages),
        "--messages: 1 to {}",
        people::PEOPLE_MAX
    );
    anyhow::ensure!(
        options.in_flight >= 1 && options.tenants >= 1,
        "--in-flight and --tenants: at least 1"
    );
    find_postgres()?;
    find_nats()?;
    let seed = *options.seed.get_or_insert_with(rand::random);
    eprintln!("load: seed {seed}; starting the system");
    let system = start(&options, seed).await?;
    let outcome = Box::pin(measure(&system, &options)).await;
    if let Some(directory) = &options.keep_logs {
        keep_logs(&system, directory)?;
    }
    let report = outcome?;
    println!("{report}");
    if let Some(file) = &options.report {
        let json = serde_json::to_string_pretty(&report)?;
        std::fs::write(file, json + "\n").with_context(|| format!("write {}", file.display()))?;
    }
    if options.linger_seconds > 0 {
        eprintln!("load: everything still runs, in {}", system.directory().display());
        tokio::time::sleep(Duration::from_secs(options.linger_seconds)).await;
    }
    anyhow::ensure!(report.is_right(), "something was lost, doubled or wrong; see above");
    Ok(())
}

async fn start(options: &Options, seed: u64) -> anyhow::Result<System> {
    let mut config = SystemConfig {
        tenants: options.tenants,
        build: Build::UpToDate,
        postgres_settings: POSTGRES_SETTINGS
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..SystemConfig::default()
    };
    if options.statements {
        let settings = statements::SETTINGS.iter();
        config
            .postgres_settings
            .extend(settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    }
    config.simulator.seed = seed;
    config.simulator.keep_bodies = false;
    config.simulator.callbacks.in_flight_max = options.callbacks_in_flight;
    if options.duplicate_shuffle > 0.0 {
        config.simulator.faults = vec![
            Fault::rate(FaultKind::DuplicateCallback, options.duplicate_shuffle),
            Fault::rate(FaultKind::ShuffleCallbacks, options.duplicate_shuffle),
        ];
    }
    System::start(config).await
}

async fn measure(system: &System, options: &Options) -> anyhow::Result<Report> {
    let fsync_us = measure_fsync(system.directory())?;
    eprintln!("load: recording {} opt-ins", options.messages);
    let opt_in_seconds = people::opt_in_all(system, options.messages).await?;
    for tenant in 0..options.tenants {
        system
            .wait_until_sendable(tenant, people::check_request(system, tenant))
            .await?;
    }
    let mut follower = match options.follow {
        Follow::Events => Some(Follower::start(system).await?),
        Follow::Simulator => None,
    };
    let driver = Driver::new(system, options)?;

    eprintln!("load: sending {} messages", options.messages);
    if options.statements {
        statements::count_from_here(system).await?;
    }
    let before = Snapshot::before(system).await?;
    let sent = driver.run().await;
    let told = if let Some(follower) = &mut follower {
        Some(follower.wait_for_all(&sent).await)
    } else {
        judge::wait_for_simulator(system, &sent).await?;
        None
    };
    let ended = Instant::now();
    let after = Snapshot::after(system).await?;
    let statements = if options.statements {
        statements::longest(system).await?
    } else {
        Vec::new()
    };

    let idle = system.simulator.wait_idle(IDLE_PATIENCE).await?;
    let verdict = judge::judge(system, &sent, told.as_ref(), idle).await?;
    let told = told.unwrap_or_default();
    Report::new(
        system,
        options,
        &sent,
        &told,
        ended,
        verdict,
        &before,
        &after,
        fsync_us,
        opt_in_seconds,
        statements,
    )
    .await
}

fn keep_logs(system: &System, directory: &std::path::Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)?;
    for entry in std::fs::read_dir(system.directory())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log")
            && let Some(name) = path.file_name()
        {
            std::fs::copy(&path, directory.join(name))?;
        }
    }
    Ok(())
}

//! Measures the log: appends, conflicts, hot streams, growth, feeds and the relay, through the public API.
//!
//! `cargo run --release -p assent-tests --bin log-bench -- --report FILE` starts its own Postgres and NATS, prints a
//! table and writes the figures as JSON. It makes writers of itself, so that a client is a process of its own whose CPU
//! time can be told from the server's. What is compared is run in turns (A B A B) on the same server: the machine may be
//! shared, and ratios then mean more than rates. Other work on the machine still flatters the unordered inserts, whose 64
//! backends get 64 shares of the processor where one shard's pipeline gets one or two: measure on an idle machine, or
//! under `nice -n -20`, which the servers and writers inherit. `--quick` is a smoke test of about twenty seconds.
#![expect(clippy::print_stdout, reason = "a command line program whose product is its output")]

mod appends;
mod bench;
mod conflicts;
mod feeds;
mod growth;
mod job;
mod lanes;
mod reader;
mod report;
mod rows;
mod tail;
mod writer;
mod yardsticks;

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use anyhow::Context as _;
use assent_tests::servers::find_nats;
use clap::{Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::{bench::Bench, report::Report};

/// Events that a relay is timed with.
const RELAY_BACKLOG_MAX: u64 = 200_000;

#[derive(Debug, Parser)]
#[command(name = "log-bench", about = "Measures the log through its public API")]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options,
}

/// What to measure and for how long.
#[derive(Debug, Clone, clap::Args)]
struct Options {
    /// Where the figures go, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Length of each measurement, after a warm-up of a fifth of it.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// How often what is compared takes turns.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Up to how many events the log is grown.
    #[arg(long, default_value_t = 1_000_000)]
    grow: u64,
    /// Seeds stream names and contents; drawn and printed if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// A smoke test: everything, but too short to mean much.
    #[arg(long)]
    quick: bool,
    /// Only these parts.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Part {
    Ratios,
    Appends,
    Conflicts,
    Hot,
    Tail,
    Feeds,
    Sqlite,
    Growth,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// One writing process; log-bench starts these itself.
    #[command(hide = true)]
    Writer {
        /// The job as JSON.
        job: String,
    },
    /// One reading process; log-bench starts these itself.
    #[command(hide = true)]
    Reader {
        /// The job as JSON.
        job: String,
    },
}

impl Options {
    /// The same with what `--quick` means put in.
    fn settled(mut self) -> Self {
        if self.quick {
            self.seconds = self.seconds.min(0.4);
            self.rounds = 1;
            self.grow = self.grow.min(20_000);
        }
        self
    }

    fn parts(&self) -> BTreeSet<Part> {
        if self.only.is_empty() {
            return Part::value_variants().iter().copied().collect();
        }
        self.only.iter().copied().collect()
    }
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.role {
            Some(Role::Writer { job }) => writer::run(&serde_json::from_str(&job)?).await,
            Some(Role::Reader { job }) => reader::run(&serde_json::from_str(&job)?).await,
            None => Box::pin(run_until_signal(cli.options.settled())).await,
        }
    })
}

/// A signal ends the run by dropping it: the servers and writers go with it.
async fn run_until_signal(options: Options) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = run(options) => outcome,
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        _ = terminate.recv() => anyhow::bail!("terminated"),
    }
}

async fn run(options: Options) -> anyhow::Result<()> {
    let parts = options.parts();
    if parts.contains(&Part::Feeds) {
        // Said before anything is measured in vain.
        find_nats()?;
    }
    let seed = options.seed.unwrap_or_else(rand::random);
    let mut bench = Bench::start(seed, Duration::from_secs_f64(options.seconds), options.quick).await?;
    let mut report = Report::new(&bench, &options).await?;
    println!("{}", report.heading());
    for part in parts {
        let started = std::time::Instant::now();
        match part {
            Part::Ratios => report.ratios = Some(yardsticks::measure(&mut bench, options.rounds).await?),
            Part::Appends => report.appends = appends::measure(&mut bench, options.quick).await?,
            Part::Conflicts => report.conflicts = Some(conflicts::measure(&mut bench, options.rounds).await?),
            Part::Hot => report.hot = appends::measure_hot(&mut bench).await?,
            Part::Tail => report.tail = Some(tail::measure(&mut bench).await?),
            Part::Feeds => {
                report.feeds = Some(feeds::measure(&mut bench, options.grow.min(RELAY_BACKLOG_MAX)).await?);
            }
            Part::Sqlite => report.sqlite = Some(appends::measure_sqlite(&mut bench).await?),
            Part::Growth => report.growth = Some(growth::measure(&mut bench, options.grow).await?),
        }
        println!("{}", report.part(part));
        eprintln!("({part:?} took {:.0} s)", started.elapsed().as_secs_f64());
    }
    report.finish(&bench).await?;
    println!("{}", report.verdicts());
    if let Some(file) = &options.report {
        let json = serde_json::to_string_pretty(&report)?;
        std::fs::write(file, json + "\n").with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

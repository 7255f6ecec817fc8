//! Chaos on the log, recorded: many processes append and read while everything is killed, then the history is checked.
//!
//! `cargo run --release -p assent-tests --bin log-chaos -- --events 1000000 --seed 7 --report FILE` starts its own
//! Postgres and NATS and makes the writing and reading processes of itself. It fails if anything acknowledged is lost,
//! doubled, out of order or half there, or if a reader waits for a foreign transaction.
#![expect(clippy::print_stdout, reason = "a command line program whose product is its output")]

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use assent_tests::chaos::{self, ChaosPlan, Role};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
#[command(
    name = "log-chaos",
    about = "Kills everything around the log and checks what is left"
)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    /// The run goes on until the log has this many events.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Determines choices and moments; drawn and printed if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Where the figures go, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
    /// How long a foreign transaction stays open.
    #[arg(long, default_value_t = 10.0)]
    stranger_seconds: f64,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// One of the processes of a run; log-chaos starts these itself.
    #[command(hide = true)]
    Role {
        /// The role as JSON.
        role: String,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if let Some(Part::Role { role }) = &cli.part {
        let role: Role = serde_json::from_str(role)?;
        return Box::pin(role.play()).await;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    // A signal ends the run by dropping it: servers and processes go with it.
    tokio::select! {
        outcome = conduct(&cli) => outcome,
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        _ = terminate.recv() => anyhow::bail!("terminated"),
    }
}

async fn conduct(cli: &Cli) -> anyhow::Result<()> {
    let plan = ChaosPlan {
        program: std::env::current_exe()?,
        seed: cli.seed.unwrap_or_else(rand::random),
        events: cli.events,
        stranger: Duration::from_secs_f64(cli.stranger_seconds),
        pauses: (Duration::from_millis(500), Duration::from_secs(4)),
    };
    println!("seed {}", plan.seed);
    let report = chaos::run(&plan).await?;
    println!("{report}");
    if let Some(file) = &cli.report {
        let json = serde_json::to_string_pretty(&report)?;
        std::fs::write(file, json + "\n").with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

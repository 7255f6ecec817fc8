//! The one binary: every role and the command line.

mod log;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

/// A WhatsApp messaging platform that can prove why each message was sent.
#[derive(Debug, Parser)]
#[command(name = "assent", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "made once, at start")]
enum Command {
    /// Meta's Cloud API on this machine: virtual people, signed callbacks, faults on demand
    Simulator(assent_simulator::Args),
    /// Make or update the schema of the log; safe to run again and beside running programs
    Migrate(log::Where),
    /// Recompute every hash of the log and say whether anything was changed behind its back
    Verify(log::Where),
    /// Draw a fresh secret for a master key or the look-up hash key: 32 random bytes in base64
    GenerateSecret,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        .init();
    match run(Cli::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("assent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Simulator(args) => {
            let config = args.into_config().context("the simulator's settings")?;
            let stop = CancellationToken::new();
            let stopping = stop.clone();
            tokio::spawn(async move {
                // Without signals to wait for, the simulator runs until it is killed.
                if tokio::signal::ctrl_c().await.is_ok() {
                    stopping.cancel();
                }
            });
            assent_simulator::run(config, stop).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Migrate(place) => log::migrate(&place).await,
        Command::Verify(place) => log::verify(&place).await,
        Command::GenerateSecret => {
            log::print(&assent_event_store::generate_secret());
            Ok(ExitCode::SUCCESS)
        }
    }
}

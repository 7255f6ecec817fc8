//! The one binary: every role and the command line.

mod client;
mod config;
mod demo;
mod doctor;
mod first_start;
mod health;
mod log;
mod output;
mod rebuild;
mod role;
mod tenants;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use assent_runtime::config::{Environment, Problems};
use clap::{Args, Parser, Subcommand};
use role::Role;
use tokio_util::sync::CancellationToken;

/// Messages are many small allocations that one thread makes and another frees: `docs/benchmarks.md` has what this one saves.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A WhatsApp messaging platform that can prove why each message was sent.
///
/// Everything that happens (an opt-in, a request, a decision, a call to Meta, a callback) is an event in one durable
/// log. Messages leave only with a recorded reason; `assent explain` tells it in sentences.
#[derive(Debug, Parser)]
#[command(name = "assent", version, propagate_version = true, after_help = FIRST_STEPS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const FIRST_STEPS: &str = "First steps:
  assent demo                    watch a campaign go out, with virtual people, in under a minute
  assent up --data-dir ./assent  start for real on this machine; it makes keys and an API key, and says what comes next
  assent COMMAND --help          every option of a command

Exit codes: 0 done; 1 refused or failed; 2 the command line is wrong; 64 the configuration is wrong.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch a campaign go out to virtual people, then see every count checked; needs nothing and leaves nothing behind
    Demo(demo::Demo),
    /// Everything in one process: the four services below over SQLite or Postgres
    Up(Up),
    /// Service: takes messages by gRPC and Meta's callbacks by HTTPS
    Ingress(Configured),
    /// Service: keeps who agreed to what, and decides which messages may go out
    Consent(Configured),
    /// Service: calls Meta within Meta's limits, never twice by accident
    Dispatcher(Configured),
    /// Service: watches numbers and templates, keeps what can be asked, streams events
    StatusTracker(Configured),
    /// Meta's Cloud API on this machine: virtual people, signed callbacks, faults on demand
    Simulator(assent_simulator::Args),

    /// Send a message, and see what every gate said
    Send(client::Send),
    /// Ask every gate about a message without sending it
    Check(client::Check),
    /// Record that a person agreed to be written to, with the proof
    OptIn(client::OptIn),
    /// Record that a person wants no more messages
    OptOut(client::OptOut),
    /// Tell in sentences why a message was sent or held back
    Explain(client::Explain),
    /// Follow what happens
    #[command(subcommand)]
    Events(client::EventsCommand),
    /// Read files that people sent
    #[command(subcommand)]
    Media(client::MediaCommand),

    /// Say everything that is wrong with a configuration file, or show what is in force (secrets hidden)
    CheckConfig(Configured),
    /// Make or update the schema of the log; safe to run again and beside running programs
    Migrate(log::Where),
    /// Recompute every hash of the log and say whether anything was changed behind its back
    Verify(log::Where),
    /// Throw read models away and rebuild them from the log; the old ones serve meanwhile
    Rebuild(rebuild::Rebuild),
    /// Look at everything an installation stands on, from the database to the callback endpoint, and say what to fix
    Doctor(doctor::Doctor),
    /// Ask a process whether it is well, as a container's health check: exit code 0 if it is
    Health(health::Health),
    /// Draw a fresh secret for a master key or the look-up hash key: 32 random bytes in base64
    GenerateSecret,
    /// Add and list tenants: the businesses that share an installation
    #[command(subcommand)]
    Tenant(tenants::TenantCommand),
    /// Make, revoke and list API keys
    #[command(subcommand)]
    Key(tenants::KeyCommand),
    /// Register and list sending numbers
    #[command(subcommand)]
    Number(tenants::NumberCommand),
}

/// A command that works by a configuration file.
#[derive(Debug, Args)]
struct Configured {
    /// The configuration file; assent.sample.toml explains every key, ASSENT__SECTION__KEY overrides one
    #[arg(long, value_name = "FILE", env = "ASSENT_CONFIG")]
    config: PathBuf,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Up {
    /// The configuration file; assent.sample.toml explains every key, ASSENT__SECTION__KEY overrides one
    #[arg(long, value_name = "FILE", env = "ASSENT_CONFIG")]
    config: Option<PathBuf>,
    /// Instead of a file: a directory to keep everything in. The first time, keys, a tenant and its API key are made there,
    /// set up to talk to `assent simulator`
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("assent: {error:#}");
            // A wrong configuration has its own exit code, wherever it was noticed.
            let wrong_config = error.downcast_ref::<Problems>().is_some();
            if wrong_config {
                role::exit_code_config()
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let environment = Environment::of_process();
    let role =
        |role: Role, file: Configured| async move { role::run(role, &file.config, &Environment::of_process()).await };
    match command {
        Command::Demo(demo) => demo::run(&demo).await,
        Command::Up(Up { config, data_dir }) => {
            let file = match (config, data_dir) {
                (Some(file), _) => file,
                (None, Some(dir)) => first_start::prepare(&dir)?,
                (None, None) => anyhow::bail!("give --config or --data-dir"),
            };
            role(Role::Up, Configured { config: file }).await
        }
        Command::Ingress(file) => role(Role::Ingress, file).await,
        Command::Consent(file) => role(Role::Consent, file).await,
        Command::Dispatcher(file) => role(Role::Dispatcher, file).await,
        Command::StatusTracker(file) => role(Role::StatusTracker, file).await,
        Command::Simulator(args) => simulator(args).await,
        Command::Send(command) => client::send(&command).await,
        Command::Check(command) => client::check(&command).await,
        Command::OptIn(command) => client::opt_in(&command).await,
        Command::OptOut(command) => client::opt_out(&command).await,
        Command::Explain(command) => client::explain(&command).await,
        Command::Events(command) => client::events(&command).await,
        Command::Media(command) => client::media(&command).await,
        Command::CheckConfig(file) => role::check_config(&file.config, &environment),
        Command::Migrate(place) => log::migrate(&place).await,
        Command::Verify(place) => log::verify(&place).await,
        Command::Rebuild(command) => rebuild::run(&command).await,
        Command::Doctor(command) => Box::pin(doctor::run(&command)).await,
        Command::Health(command) => health::health(&command).await,
        Command::GenerateSecret => {
            output::print(&assent_event_store::generate_secret());
            Ok(ExitCode::SUCCESS)
        }
        Command::Tenant(command) => tenants::tenant(&command),
        Command::Key(command) => tenants::key(&command),
        Command::Number(command) => tenants::number(&command),
    }
}

/// Runs the simulator until ctrl-c or SIGTERM.
async fn simulator(args: assent_simulator::Args) -> anyhow::Result<ExitCode> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let config = args.into_config().context("the simulator's settings")?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        stopping.cancel();
    });
    assent_simulator::run(config, stop).await?;
    Ok(ExitCode::SUCCESS)
}

//! `assent doctor`: looks at everything an installation stands on and says what to fix.
//!
//! Each check says what it saw and, unless all is well, what to do. Checks change nothing: the only thing they send to the callback
//! endpoint is an empty batch. Nothing secret and nothing personal is printed: tenants and Meta's ids of numbers and accounts are.

mod callbacks;
mod clock;
mod database;
mod meta;
mod nats;
mod report;
mod tls;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use assent_runtime::{config::Environment, tls::install_provider};
use clap::{Args, ValueEnum};

use crate::{config::Config, output::print, role::exit_code_config};
use report::{Finding, Report};

/// `assent doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The configuration file of the services
    #[arg(long, value_name = "FILE", env = "ASSENT_CONFIG")]
    config: PathBuf,
    /// What to look at; several separated by commas. Without it everything
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    only: Vec<Part>,
    /// Where Meta finds the callback endpoint: scheme and host, perhaps a path, without /callbacks/TENANT. Without it the address
    /// that Meta names, where it names one
    #[arg(long, value_name = "URL")]
    callback_url: Option<String>,
    /// PEM file with a certificate authority to trust at the callback endpoint beside the public ones. Meta will not
    #[arg(long, value_name = "FILE")]
    callback_ca_file: Option<PathBuf>,
    /// Longest time for each check, in milliseconds
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=120_000))]
    timeout_ms: u64,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The database: reachable, durable, schema, room for connections
    Database,
    /// The NATS server: version, limits, durability of its streams
    Nats,
    /// Our clock against the database's and Meta's
    Clock,
    /// Tokens, permissions, numbers and subscriptions at Meta
    Meta,
    /// The callback endpoint, as Meta sees it
    Callbacks,
}

impl Doctor {
    fn looks_at(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// Looks at everything; exit code 1 if something failed, 64 if there is no configuration to look by.
pub(crate) async fn run(command: &Doctor) -> anyhow::Result<ExitCode> {
    install_provider();
    let environment = Environment::of_process();
    let mut report = Report::default();
    let loaded = Config::load(&command.config, &environment)
        .and_then(|config| config.directory(&environment).map(|directory| (config, directory)));
    let (config, directory) = match loaded {
        Ok(loaded) => loaded,
        Err(problems) => {
            for problem in problems.iter() {
                report.add(Finding::failed(
                    "configuration",
                    problem.to_string(),
                    "correct it in the configuration",
                ));
            }
            print(&report.render(command.json));
            return Ok(exit_code_config());
        }
    };
    let tenants = directory.tenants();
    report.add(configuration(&config, tenants.iter().len()));
    let limit = command.timeout();
    if command.looks_at(Part::Database) {
        report.extend(database::check(&config, limit).await);
    }
    if command.looks_at(Part::Nats) {
        report.extend(nats::check(config.nats.as_ref(), config.database.postgres_url.is_some(), limit).await);
    }
    if command.looks_at(Part::Clock) {
        report.extend(clock::check(&config, &tenants, limit).await);
    }
    if command.looks_at(Part::Meta) {
        report.extend(meta::check(&config, &tenants, limit).await);
    }
    if command.looks_at(Part::Callbacks) {
        let ca = command.callback_ca_file.as_deref();
        let endpoint = callbacks::Look::try_new(command.callback_url.as_deref(), ca, limit)?;
        report.extend(endpoint.check(&config, &tenants).await);
    }
    print(&report.render(command.json));
    Ok(if report.has_failures() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn configuration(config: &Config, tenants: usize) -> Finding {
    let same = config.dispatcher.meta.base_url == config.status_tracker.meta.base_url;
    if !same {
        return Finding::warning(
            "configuration",
            "dispatcher.meta.base_url and status_tracker.meta.base_url differ",
            "let both name the same Meta, unless you test",
        );
    }
    if tenants == 0 {
        return Finding::warning("configuration", "no tenants", "add one with `assent tenant add`");
    }
    Finding::ok("configuration", format!("read, {tenants} tenants"))
}

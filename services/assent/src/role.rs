//! The roles: a process with one service in it, or with all of them.

use std::{net::SocketAddr, path::Path, process::ExitCode, sync::Arc, time::Duration};

use assent_runtime::{
    config::{EXIT_CODE_CONFIG, Environment},
    host::{Addresses, Host},
    platform::Platform,
    shutdown::{Shutdown, StopReason},
    supervise::Supervisor,
    telemetry::{Metrics, Telemetry},
    tenants::Directory,
};

use crate::{config::Config, output::print};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Takes requests and callbacks.
    Ingress,
    /// Decides which messages may go out.
    Consent,
    /// Calls Meta.
    Dispatcher,
    /// Keeps the read models, polls numbers and templates.
    StatusTracker,
    /// All of them.
    Up,
}

impl Role {
    /// Its name on the ready line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Consent => "consent",
            Self::Dispatcher => "dispatcher",
            Self::StatusTracker => "status-tracker",
            Self::Up => "up",
        }
    }

    /// Its name in traces.
    const fn service_name(self) -> &'static str {
        match self {
            Self::Ingress => "assent-ingress",
            Self::Consent => "assent-consent",
            Self::Dispatcher => "assent-dispatcher",
            Self::StatusTracker => "assent-status-tracker",
            Self::Up => "assent",
        }
    }

    fn has(self, service: Self) -> bool {
        self == Self::Up || self == service
    }
}

/// Runs a role until the process is asked to end.
pub(crate) async fn run(role: Role, file: &Path, environment: &Environment) -> anyhow::Result<ExitCode> {
    let config = &Config::load(file, environment)?;
    let directory = config.directory(environment)?;
    let telemetry = Telemetry::install(&config.telemetry, role.service_name())?;
    let outcome = Box::pin(serve(role, config, directory, telemetry.metrics())).await;
    telemetry.shutdown().await;
    outcome
}

async fn serve(role: Role, config: &Config, directory: Arc<Directory>, metrics: Metrics) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::new();
    shutdown.listen(Duration::from_millis(config.shutdown.grace_ms))?;
    let starting = Process::start(role, config, directory, metrics, shutdown.clone());
    let mut starting = std::pin::pin!(starting);
    let process = tokio::select! {
        process = &mut starting => process?,
        () = shutdown.soft().cancelled() => match shutdown.reason() {
            Some(StopReason::Signal(_)) => return Ok(ExitCode::SUCCESS),
            // A start that failed ends what it had begun before it says why.
            _ => starting.await?,
        },
    };
    print(&process.ready_line(role));
    match process.join().await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(reason) => Err(reason.into()),
    }
}

/// A process that serves.
pub(crate) struct Process {
    host: Host,
    /// Where callers and operators find it.
    pub(crate) addresses: Addresses,
    /// Where Meta's callbacks are taken, if this process takes them.
    pub(crate) callbacks: Option<SocketAddr>,
}

impl Process {
    /// Connects, mounts the role's services and serves them. When that fails, nothing is left running.
    pub(crate) async fn start(
        role: Role,
        config: &Config,
        directory: Arc<Directory>,
        metrics: Metrics,
        shutdown: Shutdown,
    ) -> anyhow::Result<Self> {
        let runtime = config.runtime();
        let platform = Platform::connect(&config.platform(), directory).await?;
        let mut host = Host::new(platform, Supervisor::new(shutdown.clone()), &runtime);
        let mounted = async {
            let callbacks = mount(role, config, &mut host).await?;
            let addresses = host.serve(&runtime, assent_proto::FILE_DESCRIPTOR_SET, metrics).await?;
            anyhow::Ok((callbacks, addresses))
        };
        match mounted.await {
            Ok((callbacks, addresses)) => Ok(Self {
                host,
                addresses,
                callbacks,
            }),
            Err(error) => {
                shutdown.begin(StopReason::Requested("the start failed".to_owned()));
                // The error of the start says more than that of any task it left behind.
                let _ = host.join().await;
                Err(error)
            }
        }
    }

    /// What its services stand on.
    pub(crate) fn platform(&self) -> &Platform {
        &self.host.platform
    }

    /// What is printed once it serves; programs read it.
    fn ready_line(&self, role: Role) -> String {
        let Addresses { grpc, admin } = self.addresses;
        let callbacks = self
            .callbacks
            .map_or_else(String::new, |address| format!(" callbacks={address}"));
        format!("ready role={} grpc={grpc} admin={admin}{callbacks}", role.name())
    }

    /// Waits for its end.
    pub(crate) async fn join(self) -> Result<(), StopReason> {
        self.host.join().await
    }
}

/// Mounts the role's services, those that only read first; answers where callbacks are taken.
async fn mount(role: Role, config: &Config, host: &mut Host) -> anyhow::Result<Option<SocketAddr>> {
    if role.has(Role::StatusTracker) {
        assent_status_tracker::mount(&config.status_tracker, host).await?;
    }
    if role.has(Role::Consent) {
        assent_consent::mount(&config.consent, host).await?;
    }
    if role.has(Role::Dispatcher) {
        assent_dispatcher::mount(&config.dispatcher, host).await?;
    }
    if role.has(Role::Ingress) {
        return Ok(Some(assent_ingress::mount(&config.ingress, host).await?.callbacks));
    }
    Ok(None)
}

/// Says what is wrong with a configuration, or shows what is in force.
pub(crate) fn check_config(file: &Path, environment: &Environment) -> anyhow::Result<ExitCode> {
    let config = Config::load(file, environment)?;
    let tenants = config.directory(environment)?.tenants();
    let numbers: usize = tenants.iter().map(|tenant| tenant.numbers.len()).sum();
    // TOML as a whole: what is not a key is a comment.
    print(&format!(
        "# the configuration is valid; {} tenants with {numbers} numbers\n\
         # what is in force, defaults and overrides included; secrets are not shown, and say so\n\n{}",
        tenants.iter().len(),
        toml::to_string(&config)?
    ));
    Ok(ExitCode::SUCCESS)
}

/// The exit code of a process whose configuration is wrong.
pub(crate) fn exit_code_config() -> ExitCode {
    ExitCode::from(EXIT_CODE_CONFIG)
}

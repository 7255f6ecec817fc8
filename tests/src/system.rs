//! The whole system as real processes: Postgres, NATS with JetStream, the simulator as Meta, and the four services by the
//! `assent` binary, configured as shipped.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use assent_tests::system::{Role, System, SystemConfig};
//!
//! let mut system = System::start(SystemConfig::default()).await?;
//! let client = system.client(0)?;
//! system.kill_9(Role::Dispatcher);
//! system.start_role(Role::Dispatcher).await?;
//! # Ok(()) }
//! ```

mod balancer;
mod binary;
mod client;
mod config;
mod instance;
mod metrics;
pub mod people;
mod role;
mod simulator;
mod tenant;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use assent_proto::v1;
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

pub use balancer::Balancer;
pub use binary::{BINARY_VARIABLE, Build};
pub use client::{ApiKeyHeader, Authorized, Client, connect_lazily};
pub use instance::Instance;
pub use metrics::MetricsPage;
pub use role::Role;
pub use simulator::{Accepted, Reached, SimulatorProcess};
pub use tenant::TestTenant;

use crate::{
    processes::ChildProcess,
    servers::{NatsConfig, NatsServer, PortLease, PostgresServer},
};
use config::Files;
use role::{Launch, RolePorts, loopback};

/// How long the services may take from their start until a message would be let through: they learn numbers and templates
/// from the simulator.
const LEARN_PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);
/// How long a probe may take.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);

/// How a system is started. The default is what is shipped, with one business and a crowd that reads everything.
#[derive(Debug, Clone)]
pub struct SystemConfig {
    /// How many businesses.
    pub tenants: usize,
    /// Whether the binary is built anew.
    pub build: Build,
    /// The simulator's crowd, pace, rules and seed. Its apps and accounts are those of the businesses.
    pub simulator: assent_simulator::Config,
    /// Postgres settings beside the harness's.
    pub postgres_settings: Vec<(String, String)>,
    /// Where traces go.
    pub otlp_endpoint: Option<String>,
    /// Which logs the services write.
    pub log_filter: String,
    /// Further environment of the services: overrides such as `ASSENT__ADMISSION__BACKLOG_MAX`.
    pub overrides: Vec<(&'static str, String)>,
    /// Statements run on the database after the migration and before the services start.
    pub database_prelude: Option<&'static str>,
    /// Each role logs in to the database under its own name, so that the database can tell who wrote what.
    pub database_user_per_role: bool,
    /// The binary of the services that are started first; absent: the one under test.
    pub first_binary: Option<PathBuf>,
    /// Callbacks go through a [`Balancer`], so that several processes may take them.
    pub balanced_callbacks: bool,
}

impl Default for SystemConfig {
    fn default() -> Self {
        Self {
            tenants: 1,
            build: Build::IfMissing,
            simulator: assent_simulator::Config {
                mix: assent_simulator::Mix::ideal(),
                latency: assent_simulator::Latency::fast(),
                ..assent_simulator::Config::default()
            },
            postgres_settings: Vec::new(),
            otlp_endpoint: None,
            log_filter: "info".to_owned(),
            overrides: Vec::new(),
            database_prelude: None,
            database_user_per_role: false,
            first_binary: None,
            balanced_callbacks: false,
        }
    }
}

/// A running system. Everything is killed and removed when it is dropped.
#[derive(Debug)]
pub struct System {
    roles: BTreeMap<Role, ChildProcess>,
    /// CPU time of processes of each role that have ended.
    ended_cpu: BTreeMap<Role, Duration>,
    /// The simulator and its control API.
    pub simulator: SimulatorProcess,
    /// The broker.
    pub nats: NatsServer,
    /// The database.
    pub postgres: PostgresServer,
    /// The businesses.
    pub tenants: Vec<TestTenant>,
    ports: BTreeMap<Role, RolePorts>,
    callbacks: PortLease,
    balancer: Option<Balancer>,
    /// Where the first ingress takes callbacks, if a balancer has the port that they go to.
    ingress_callbacks: Option<PortLease>,
    /// How many processes were started beside the first ones.
    instances: usize,
    _simulator_port: PortLease,
    binary: PathBuf,
    first_binary: Option<PathBuf>,
    files: Files,
    environment: Vec<(String, String)>,
    database_url: String,
    database_user_per_role: bool,
    http: reqwest::Client,
    directory: TempDir,
}

/// What a part of the system has used so far.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Usage {
    /// CPU time in seconds, user and system.
    pub cpu_seconds: f64,
    /// Memory in bytes: resident of a service, proportional of the database's processes.
    pub memory_bytes: u64,
}

impl System {
    /// Starts everything and waits until all roles say that they are ready.
    pub async fn start(config: SystemConfig) -> anyhow::Result<Self> {
        let binary = binary::find(config.build)?;
        let directory = tempfile::Builder::new().prefix("assent-system-").tempdir()?;
        let tenants: Vec<TestTenant> = (0..config.tenants)
            .map(TestTenant::generate)
            .collect::<Result<_, _>>()?;
        let settings: Vec<(&str, &str)> = config
            .postgres_settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let postgres = PostgresServer::start_with(&settings).await?;
        let database_url = postgres.create_database("assent").await?;
        let nats = NatsServer::start(NatsConfig::default()).await?;
        let callbacks = PortLease::acquire()?;
        let simulator_port = PortLease::acquire()?;
        let simulator_url = format!("http://{}", loopback(&simulator_port));
        let callbacks_url = format!("http://{}", loopback(&callbacks));

        let files = Files::write(
            directory.path(),
            &config,
            &tenants,
            loopback(&simulator_port),
            &callbacks_url,
        )?;
        let mut environment = config::environment(&tenants, &database_url, &nats.url());
        let (balancer, ingress_callbacks) = if config.balanced_callbacks {
            let behind = PortLease::acquire()?;
            let balancer = Balancer::bind(loopback(&callbacks)).await?;
            balancer.add(loopback(&behind));
            (Some(balancer), Some(behind))
        } else {
            (None, None)
        };
        let listen = loopback(ingress_callbacks.as_ref().unwrap_or(&callbacks));
        environment.extend(config::callbacks_environment(listen));
        environment.extend(config::meta_environment(&simulator_url));
        let overrides = config
            .overrides
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        environment.extend(overrides);

        migrate(&binary, &database_url, directory.path()).await?;
        if let Some(statements) = config.database_prelude {
            let mut connection = PgConnection::connect(&database_url).await?;
            sqlx::raw_sql(statements).execute(&mut connection).await?;
            connection.close().await?;
        }
        if config.database_user_per_role {
            create_database_users(&database_url).await?;
        }
        let simulator =
            SimulatorProcess::start(&binary, &files.simulator, loopback(&simulator_port), directory.path()).await?;
        let ports = Role::ALL.into_iter().map(|role| Ok((role, RolePorts::acquire()?)));
        let mut system = Self {
            roles: BTreeMap::new(),
            ended_cpu: BTreeMap::new(),
            simulator,
            nats,
            postgres,
            tenants,
            ports: ports.collect::<anyhow::Result<_>>()?,
            callbacks,
            balancer,
            ingress_callbacks,
            instances: 0,
            _simulator_port: simulator_port,
            binary,
            first_binary: config.first_binary,
            files,
            environment,
            database_url,
            database_user_per_role: config.database_user_per_role,
            http: reqwest::Client::new(),
            directory,
        };
        for role in Role::ALL {
            system.spawn_role(role)?;
        }
        for role in Role::ALL {
            system.wait_ready(role).await?;
        }
        Ok(system)
    }

    /// The URL of the log's database.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The directory with the configuration and everybody's output.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The binary under test.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The services' configuration file and environment, for a command of one's own.
    pub fn configured(&self, command: &mut Command) {
        command
            .arg("--config")
            .arg(&self.files.config)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
    }

    /// Where a role answers gRPC; the same after a restart.
    pub fn grpc_address(&self, role: Role) -> SocketAddr {
        self.ports[&role].grpc()
    }

    /// Where a role answers probes.
    pub fn admin_address(&self, role: Role) -> SocketAddr {
        self.ports[&role].admin()
    }

    /// Where Meta's callbacks of a business go.
    pub fn callback_url(&self, tenant: usize) -> String {
        format!("{}/callbacks/{}", self.callbacks_base_url(), self.tenants[tenant].id)
    }

    /// What the callback addresses of all businesses begin with.
    pub fn callbacks_base_url(&self) -> String {
        format!("http://{}", loopback(&self.callbacks))
    }

    /// The public API with the key of a business that may do everything.
    pub fn client(&self, tenant: usize) -> anyhow::Result<Client> {
        self.client_with(&self.tenants[tenant].key)
    }

    /// The public API with any key.
    pub fn client_with(&self, key: &str) -> anyhow::Result<Client> {
        Client::new(key, |role| self.grpc_address(role))
    }

    /// Starts a role that is down, without waiting for it.
    pub fn spawn_role(&mut self, role: Role) -> anyhow::Result<()> {
        anyhow::ensure!(!self.roles.contains_key(&role), "{role} runs already");
        let mut environment = self.environment.clone();
        if self.database_user_per_role {
            let url = self.database_url.replace("//postgres@", &format!("//{role}@"));
            environment.push((config::POSTGRES_URL_VARIABLE.to_owned(), url));
        }
        let launch = Launch {
            binary: self.first_binary.as_ref().unwrap_or(&self.binary),
            config: &self.files.config,
            environment: &environment,
            log_directory: self.directory.path(),
        };
        let process = launch.spawn(role, &self.ports[&role])?;
        self.roles.insert(role, process);
        Ok(())
    }

    /// Waits until a role that was started serves.
    pub async fn wait_ready(&mut self, role: Role) -> anyhow::Result<()> {
        let process = self.roles.get_mut(&role).with_context(|| format!("{role} is down"))?;
        role::wait_ready(process, role).await
    }

    /// Starts a role that is down and waits until it serves.
    pub async fn start_role(&mut self, role: Role) -> anyhow::Result<()> {
        self.spawn_role(role)?;
        self.wait_ready(role).await
    }

    /// SIGKILL. Does nothing if the role is down.
    ///
    /// # Panics
    /// If the role has ended by itself, with its last words: a service must never do that.
    pub fn kill_9(&mut self, role: Role) {
        if let Some(mut process) = self.take_running(role) {
            process.kill_9();
        }
    }

    /// SIGTERM, and waits until it has drained; how long that took.
    pub async fn terminate(&mut self, role: Role, patience: Duration) -> anyhow::Result<Duration> {
        let mut process = self.take_running(role).with_context(|| format!("{role} is down"))?;
        let started = Instant::now();
        process.terminate();
        let status = process.wait(patience).await?;
        anyhow::ensure!(status.success(), "{role} ended with {status}: {}", process.output()?);
        Ok(started.elapsed())
    }

    fn take_running(&mut self, role: Role) -> Option<ChildProcess> {
        let mut process = self.roles.remove(&role)?;
        assert!(
            process.is_running(),
            "{role} ended by itself: {}",
            process.output().unwrap_or_default()
        );
        *self.ended_cpu.entry(role).or_default() += process.cpu_time().unwrap_or_default();
        Some(process)
    }

    /// Whether a role runs; none of them may ever end by itself.
    pub fn is_running(&mut self, role: Role) -> bool {
        self.roles.get_mut(&role).is_some_and(ChildProcess::is_running)
    }

    /// The process of a role, if it is up.
    pub fn role(&self, role: Role) -> Option<&ChildProcess> {
        self.roles.get(&role)
    }

    /// What a role has used, its earlier processes included.
    pub fn usage(&self, role: Role) -> Usage {
        let process = self.roles.get(&role);
        let now = process.and_then(ChildProcess::cpu_time).unwrap_or_default();
        let ended = self.ended_cpu.get(&role).copied().unwrap_or_default();
        Usage {
            cpu_seconds: (now + ended).as_secs_f64(),
            memory_bytes: process.map_or(0, ChildProcess::rss_bytes),
        }
    }

    /// What the database has used, all its processes together.
    pub fn postgres_usage(&self) -> Usage {
        self.postgres.process().map_or_else(Usage::default, tree_usage)
    }

    /// What the broker has used.
    pub fn nats_usage(&self) -> Usage {
        self.nats.process().map_or_else(Usage::default, tree_usage)
    }

    /// What the simulator has used.
    pub fn simulator_usage(&self) -> Usage {
        tree_usage(self.simulator.process())
    }

    /// The metrics of a role now.
    pub async fn metrics(&self, role: Role) -> anyhow::Result<MetricsPage> {
        Ok(MetricsPage::parse(&self.metrics_text(role).await?))
    }

    /// The metrics page of a role as it stands.
    pub async fn metrics_text(&self, role: Role) -> anyhow::Result<String> {
        let url = format!("http://{}/metrics", self.admin_address(role));
        let answer = self.http.get(url).send().await?.error_for_status()?;
        Ok(answer.text().await?)
    }

    /// What keeps a role from being ready, by the names of the conditions; nothing if it is.
    pub async fn not_ready_because(&self, role: Role) -> anyhow::Result<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Page {
            ready: bool,
            conditions: Vec<Condition>,
        }
        #[derive(serde::Deserialize)]
        struct Condition {
            name: String,
            met: bool,
        }
        let url = format!("http://{}/readyz", self.admin_address(role));
        let answer = self.http.get(url).timeout(PROBE_PATIENCE).send().await?;
        let is_success = answer.status().is_success();
        let page: Page = serde_json::from_slice(&answer.bytes().await?)?;
        anyhow::ensure!(
            page.ready == is_success,
            "the status of {role} differs from what its page says"
        );
        let unmet = page.conditions.into_iter().filter(|condition| !condition.met);
        Ok(unmet.map(|condition| condition.name).collect())
    }

    /// Waits until a template message of a business would be let through to somebody: numbers and templates are known.
    pub async fn wait_until_sendable(&self, tenant: usize, request: v1::CheckMessageRequest) -> anyhow::Result<()> {
        let mut client = self.client(tenant)?;
        let deadline = Instant::now() + LEARN_PATIENCE;
        loop {
            let why = match client.consent.check_message(request.clone()).await {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    if answer.allowed {
                        return Ok(());
                    }
                    let decision = answer.decision.unwrap_or_default();
                    format!("{:?}", decision.refusals)
                }
                Err(status) => status.to_string(),
            };
            anyhow::ensure!(Instant::now() < deadline, "no message would be let through: {why}");
            tokio::time::sleep(POLL).await;
        }
    }
}

fn tree_usage(process: &ChildProcess) -> Usage {
    Usage {
        cpu_seconds: process.tree_cpu_time().unwrap_or_default().as_secs_f64(),
        memory_bytes: process.tree_memory_bytes(),
    }
}

async fn create_database_users(database_url: &str) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(database_url).await?;
    for role in Role::ALL {
        let statement = format!("create role \"{role}\" login superuser");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(())
}

/// `assent migrate`, as an operator runs it before the services.
async fn migrate(binary: &Path, database_url: &str, directory: &Path) -> anyhow::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let mut command = Command::new(binary);
    command.arg("migrate").env("ASSENT_POSTGRES_URL", database_url);
    let mut process = ChildProcess::spawn("migrate", command, directory)?;
    let status = process.wait(PATIENCE).await?;
    anyhow::ensure!(status.success(), "migrate failed: {}", process.output()?);
    Ok(())
}

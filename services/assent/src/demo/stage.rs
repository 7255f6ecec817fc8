//! What the demo plays on: the simulator, a process with every service in it, and a customer's connection to it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use assent_event_store::generate_secret;
use assent_proto::v1::{CheckMessageRequest, MessageCategory, consent_service_client::ConsentServiceClient};
use assent_runtime::{
    config::{Environment, Secret},
    grpc::GrpcConfig,
    http::ListenConfig,
    platform::{DATABASE_CONNECTIONS_MAX_DEFAULT, DatabaseConfig, KeysConfig, MasterConfig, Platform},
    settings::TenantsConfig,
    shutdown::{Shutdown, StopReason},
    telemetry::{Metrics, Telemetry, TelemetryConfig},
    tenants::{ApiKey, Directory, Tenants},
};
use assent_simulator::{
    Account, DEFAULT_ACCOUNT_ID, DEFAULT_APP_SECRET, DEFAULT_NUMBER_DIGITS, DEFAULT_NUMBER_ID, DEFAULT_TOKEN,
    DEFAULT_VERIFY_TOKEN, Handle, Latency, Mix, Number, Simulator, Span,
};
use tempfile::TempDir;
use tonic::{service::interceptor::InterceptedService, transport::Endpoint};

use super::{campaign, crowd::Crowd};
use crate::{
    client::{Authorized, Bearer, Failure, reason_name, recipient},
    config::{Config, any_port},
    role::{Process, Role},
};

const TENANT: &str = "corner-shop";
/// How long numbers and templates may take to be learned.
const LEARNING_MAX: Duration = Duration::from_secs(15);
/// How long work in hand may take at the end.
const GRACE: Duration = Duration::from_secs(5);
/// Only what is wrong is logged: the demo itself says what happens. `RUST_LOG` may ask for more.
const LOG_FILTER: &str = "error";

pub(super) struct Stage {
    pub(super) simulator: Handle,
    pub(super) channel: Authorized,
    pub(super) shutdown: Shutdown,
    process: Process,
    telemetry: Telemetry,
    /// Holds the database; deleted at the end.
    _directory: TempDir,
}

impl Stage {
    /// Starts everything.
    pub(super) async fn start(seed: u64) -> anyhow::Result<Self> {
        let log_filter = std::env::var("RUST_LOG").unwrap_or_else(|_| LOG_FILTER.to_owned());
        let telemetry = TelemetryConfig {
            log_filter,
            ..TelemetryConfig::default()
        };
        let telemetry = Telemetry::install(&telemetry, "assent-demo")?;
        let directory = tempfile::tempdir().context("a temporary directory")?;
        let simulator = Simulator::start(simulator_config(seed)).await?;
        let config = config(&directory, &simulator.url());
        let key = ApiKey::generate()?;
        let shutdown = Shutdown::new();
        shutdown.listen(GRACE)?;
        let process = start_process(&config, &key, telemetry.metrics(), shutdown.clone()).await?;
        let callbacks = process.callbacks.context("the process takes no callbacks")?;
        let url = format!("http://{callbacks}/callbacks/{TENANT}");
        simulator.control().set_callback_url(None, Some(&url))?;
        if !simulator.control().verify_callback(None).await? {
            bail!("the callback endpoint did not answer the challenge");
        }
        let endpoint = Endpoint::from_shared(format!("http://{}", process.addresses.grpc))?.tcp_nodelay(true);
        let channel = InterceptedService::new(endpoint.connect().await?, Bearer::try_new(key.key.expose())?);
        Ok(Self {
            simulator,
            channel,
            shutdown,
            process,
            telemetry,
            _directory: directory,
        })
    }

    /// What the services of the process stand on; for what no customer can do.
    pub(super) fn platform(&self) -> &Platform {
        self.process.platform()
    }

    /// Waits until the status-tracker has learned from WhatsApp that number and templates may be used, as a customer sees it:
    /// no gate speaks against them any more.
    pub(super) async fn wait_until_it_may_send(&self, crowd: &Crowd) -> anyhow::Result<()> {
        let mut client = ConsentServiceClient::new(self.channel.clone());
        let people = crowd.agreeing();
        let person = people.first().context("nobody agreed")?;
        let deadline = Instant::now() + LEARNING_MAX;
        for category in [MessageCategory::Utility, MessageCategory::Marketing] {
            loop {
                let request = CheckMessageRequest {
                    from: DEFAULT_NUMBER_ID.to_owned(),
                    to: Some(recipient(&person.phone)),
                    content: Some(campaign::content(category, person)),
                    category: category.into(),
                };
                let response = client.check_message(request).await.map_err(Failure::from)?.into_inner();
                let refusals = response.decision.unwrap_or_default().refusals;
                let reasons: Vec<String> = refusals.iter().map(|refusal| reason_name(refusal.reason)).collect();
                if !reasons.iter().any(|reason| {
                    ["NUMBER", "ACCOUNT", "TEMPLATE"]
                        .iter()
                        .any(|of| reason.starts_with(of))
                }) {
                    break;
                }
                if Instant::now() >= deadline {
                    bail!("number and templates were not learned in time: {}", reasons.join(", "));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// Ends everything in order.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        self.simulator.shutdown().await;
        self.shutdown
            .begin(StopReason::Requested("the demo is over".to_owned()));
        let ended = self.process.join().await;
        self.telemetry.shutdown().await;
        Ok(ended?)
    }
}

async fn start_process(config: &Config, key: &ApiKey, metrics: Metrics, shutdown: Shutdown) -> anyhow::Result<Process> {
    let directory = Arc::new(Directory::fixed(tenants(key)?));
    Process::start(Role::Up, config, directory, metrics, shutdown).await
}

/// A lively crowd in a hurry: what takes minutes among people takes a second or two here.
fn simulator_config(seed: u64) -> assent_simulator::Config {
    let number = Number {
        messages_per_second: 1_000,
        ..Number::default()
    };
    assent_simulator::Config {
        seed,
        accounts: vec![Account {
            numbers: vec![number],
            ..Account::default()
        }],
        mix: Mix::lively(),
        latency: Latency {
            sent: Span::new(5, 100),
            delivered: Span::new(20, 600),
            read: Span::new(50, 1_500),
            reaction: Span::new(50, 500),
            ..Latency::fast()
        },
        ..assent_simulator::Config::default()
    }
}

fn config(directory: &TempDir, meta: &str) -> Config {
    let secret = || Secret::new(generate_secret().as_str());
    let mut config = Config {
        admin: ListenConfig::plain(any_port()),
        grpc: GrpcConfig::plain(any_port()),
        // The tenants of the demo stand in memory.
        tenants: TenantsConfig {
            file: directory.path().join("tenants.toml"),
        },
        telemetry: TelemetryConfig::default(),
        shutdown: assent_runtime::shutdown::ShutdownConfig::default(),
        admission: assent_runtime::admission::AdmissionConfig::default(),
        database: DatabaseConfig {
            postgres_url: None,
            sqlite_dir: Some(directory.path().join("log")),
            connections_max: DATABASE_CONNECTIONS_MAX_DEFAULT,
            shards: None,
            migrate: true,
        },
        keys: KeysConfig {
            master: MasterConfig {
                id: "demo".to_owned(),
                key: secret(),
            },
            older_masters: Vec::new(),
            hash: secret(),
            policy: assent_event_store::KeyPolicy::default(),
        },
        nats: None,
        ingress: assent_ingress::Config::default(),
        consent: assent_consent::Config::default(),
        dispatcher: assent_dispatcher::Config::default(),
        status_tracker: assent_status_tracker::Config::default(),
    };
    config.ingress.callbacks.listen = any_port();
    meta.clone_into(&mut config.dispatcher.meta.base_url);
    meta.clone_into(&mut config.status_tracker.meta.base_url);
    config
}

fn tenants(key: &ApiKey) -> anyhow::Result<Tenants> {
    let text = format!(
        r#"
        [[tenants]]
        id = "{TENANT}"
        verify_token = {{ env = "VERIFY_TOKEN" }}
        app_secrets = [{{ env = "APP_SECRET" }}]
        access_token = {{ env = "TOKEN" }}
        [[tenants.keys]]
        id = "{}"
        sha256 = "{}"
        scopes = ["send", "consent", "read"]
        [[tenants.numbers]]
        phone_number_id = "{DEFAULT_NUMBER_ID}"
        waba_id = "{DEFAULT_ACCOUNT_ID}"
        display = "+{DEFAULT_NUMBER_DIGITS}"
        "#,
        key.id, key.sha256
    );
    let environment = Environment::from_iter([
        ("VERIFY_TOKEN", DEFAULT_VERIFY_TOKEN),
        ("APP_SECRET", DEFAULT_APP_SECRET),
        ("TOKEN", DEFAULT_TOKEN),
    ]);
    Ok(Tenants::parse(&text, &environment)?)
}

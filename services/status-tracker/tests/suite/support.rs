//! A tracker on a store of its own, beside a simulator.

use crate::database::new_database;
use assent_domain::{
    events::{DomainEvent, StreamCategory},
    values::{Actor, TenantId},
};
use assent_event_store::{Append, Expected, RecordedEvent, ShardId, generate_secret};
use assent_runtime::{
    config::{Environment, Secret},
    facts::of_category,
    grpc::GrpcConfig,
    host::{Addresses, Host},
    http::ListenConfig,
    log::{self, Origin},
    platform::{KeysConfig, MasterConfig, Platform, PlatformConfig},
    settings::{RuntimeConfig, TenantsConfig},
    shutdown::Shutdown,
    streams::Subject,
    supervise::Supervisor,
    telemetry::Metrics,
    tenants::{ApiKey, Directory, Tenants},
};
use assent_simulator::{Handle, Latency, Mix, Simulator};
use assent_status_tracker::Config;
use std::{sync::Arc, time::Duration};

/// The only shard.
pub(super) const SHARD: ShardId = ShardId(0);

/// Two tenants; `acme` has the simulator's first account, `globex` the second.
pub(super) const GLOBEX_WABA: &str = "100000000000002";
/// The number of `globex`.
pub(super) const GLOBEX_NUMBER: &str = "200000000000002";

/// What a stage is made of.
pub(super) struct Script {
    pub(super) config: Config,
    pub(super) simulator: assent_simulator::Config,
}

/// A running tracker.
pub(super) struct Stage {
    pub(super) simulator: Handle,
    pub(super) platform: Platform,
    pub(super) shutdown: Shutdown,
    pub(super) acme_key: Secret,
    pub(super) globex_key: Secret,
    pub(super) addresses: Addresses,
    keys: [ApiKey; 3],
    joined: Option<tokio::task::JoinHandle<Result<(), assent_runtime::shutdown::StopReason>>>,
    _dir: tempfile::TempDir,
}

pub(super) fn tenant(name: &str) -> TenantId {
    TenantId::try_new(name).unwrap()
}

/// The tenants file; `extra` goes into the numbers of `acme`.
fn tenants_text(keys: &[ApiKey; 3], extra: &str) -> String {
    let [acme, globex, reader] = keys;
    format!(
        r#"
[[tenants]]
id = "acme"
app_secrets = [{{ env = "SECRET" }}]
access_token = {{ env = "TOKEN" }}
keys = [
  {{ id = "{}", sha256 = "{}", scopes = ["read", "admin"] }},
  {{ id = "{}", sha256 = "{}", scopes = ["read"] }},
]
numbers = [{{ phone_number_id = "{}", waba_id = "{}", display = "+1 202-555-0100" }}{extra}]

[[tenants]]
id = "globex"
app_secrets = [{{ env = "SECRET" }}]
access_token = {{ env = "TOKEN" }}
keys = [{{ id = "{}", sha256 = "{}", scopes = ["read", "admin"] }}]
numbers = [{{ phone_number_id = "{GLOBEX_NUMBER}", waba_id = "{GLOBEX_WABA}", display = "+1 202-555-0101" }}]
"#,
        acme.id,
        acme.sha256,
        reader.id,
        reader.sha256,
        assent_simulator::DEFAULT_NUMBER_ID,
        assent_simulator::DEFAULT_ACCOUNT_ID,
        globex.id,
        globex.sha256,
    )
}

fn tenants(keys: &[ApiKey; 3], extra: &str) -> Tenants {
    let environment: Environment = [
        ("TOKEN", assent_simulator::DEFAULT_TOKEN),
        ("SECRET", assent_simulator::DEFAULT_APP_SECRET),
    ]
    .into_iter()
    .collect();
    Tenants::parse(&tenants_text(keys, extra), &environment).unwrap()
}

async fn platform_config(dir: &std::path::Path) -> PlatformConfig {
    PlatformConfig {
        database: new_database(dir).await,
        keys: KeysConfig {
            master: MasterConfig {
                id: "one".to_owned(),
                key: Secret::new(generate_secret().as_str()),
            },
            older_masters: Vec::new(),
            hash: Secret::new(generate_secret().as_str()),
            policy: assent_event_store::KeyPolicy::default(),
        },
        nats: None,
    }
}

impl Stage {
    pub(super) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(super) async fn start_with(change: impl FnOnce(&mut Script)) -> Self {
        let mut simulated = assent_simulator::Config {
            mix: Mix::ideal(),
            latency: Latency::fast(),
            ..assent_simulator::Config::default()
        };
        simulated.accounts.push(assent_simulator::Account {
            id: GLOBEX_WABA.to_owned(),
            numbers: vec![assent_simulator::Number {
                id: GLOBEX_NUMBER.to_owned(),
                digits: "15550010002".to_owned(),
                ..assent_simulator::Number::default()
            }],
            ..assent_simulator::Account::default()
        });
        let mut script = Script {
            config: Config {
                poll_ms: 60_000,
                poll_debounce_ms: 20,
                ..Config::default()
            },
            simulator: simulated,
        };
        change(&mut script);
        let simulator = Simulator::start(script.simulator).await.unwrap();
        script.config.meta.base_url = simulator.url();

        let dir = tempfile::tempdir().unwrap();
        let keys = [(); 3].map(|()| ApiKey::generate().unwrap());
        let directory = Arc::new(Directory::fixed(tenants(&keys, "")));
        let platform = Platform::connect(&platform_config(dir.path()).await, directory)
            .await
            .unwrap();
        let shutdown = Shutdown::new();
        let local = "127.0.0.1:0".parse().unwrap();
        let runtime = RuntimeConfig {
            admin: ListenConfig {
                listen: local,
                connections_max: 16,
                streams_max: 16,
                tls: None,
            },
            grpc: GrpcConfig::plain(local),
            tenants: TenantsConfig { file: "unused".into() },
            telemetry: assent_runtime::telemetry::TelemetryConfig::default(),
            shutdown: assent_runtime::shutdown::ShutdownConfig::default(),
            admission: assent_runtime::admission::AdmissionConfig::default(),
        };
        let mut host = Host::new(platform.clone(), Supervisor::new(shutdown.clone()), &runtime);
        assent_status_tracker::mount(&script.config, &mut host).await.unwrap();
        let addresses = host
            .serve(&runtime, assent_proto::FILE_DESCRIPTOR_SET, Metrics::detached())
            .await
            .unwrap();
        Self {
            simulator,
            platform,
            shutdown,
            acme_key: keys[0].key.clone(),
            globex_key: keys[1].key.clone(),
            keys,
            addresses,
            joined: Some(tokio::spawn(host.join())),
            _dir: dir,
        }
    }

    /// Adds numbers to `acme`, as a reload of the tenants file would.
    pub(super) fn add_numbers(&self, extra: &str) {
        self.platform.tenants.replace(tenants(&self.keys, extra));
    }

    /// The key of `acme` that may only read.
    pub(super) fn reader_key(&self) -> &Secret {
        &self.keys[2].key
    }

    /// Everything in the log.
    pub(super) async fn log(&self) -> Vec<RecordedEvent> {
        self.platform.store.read_shard(SHARD, 0, 10_000).await.unwrap()
    }

    /// The events of one category, in order.
    pub(super) async fn events<E: DomainEvent>(&self) -> Vec<E> {
        let log = self.log().await;
        of_category::<E>(&log).map(|(_, event)| event).collect()
    }

    /// The tenants of the events of one category.
    pub(super) async fn tenants_of(&self, category: StreamCategory) -> Vec<TenantId> {
        let log = self.log().await;
        let of_category = log.iter().filter(|event| log::is_of(event, category));
        of_category.filter_map(log::tenant_of).collect()
    }

    /// Records an event as its owner would.
    pub(super) async fn record<E: DomainEvent>(&self, name: &str, subject: Subject<'_>, event: &E) {
        let origin = Origin::of(tenant(name), Actor::Meta);
        let stream = self.platform.stream_of(E::CATEGORY, subject);
        let append = Append::new().write(stream, Expected::Any, [log::record(event, &origin)]);
        self.platform.store.append(SHARD, append).await.unwrap();
    }

    /// Ends the tracker softly.
    pub(super) async fn stop(mut self) {
        self.shutdown.begin(assent_runtime::shutdown::StopReason::Requested(
            "the test is over".to_owned(),
        ));
        self.joined.take().unwrap().await.unwrap().unwrap();
    }
}

/// Waits until `look` gives something.
pub(super) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Puts an API key on every call.
pub(super) fn bearer(
    key: Secret,
) -> impl FnMut(tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> + Clone {
    move |mut request| {
        let value = format!("Bearer {}", key.expose()).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

impl Stage {
    /// A connection to the port for callers.
    pub(super) fn channel(&self) -> tonic::transport::Channel {
        let url = format!("http://{}", self.addresses.grpc);
        tonic::transport::Channel::from_shared(url)
            .unwrap()
            // Small, so that a subscriber who reads nothing is felt at the other end.
            .initial_stream_window_size(65_535)
            .initial_connection_window_size(65_535)
            .connect_lazy()
    }
}

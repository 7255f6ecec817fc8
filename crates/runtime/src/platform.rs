//! What all services of a process stand on: the store, its feeds, the keys, and the names of things.

use crate::{
    config::{Check, Secret, Validate},
    erasures::ErasureError,
    log,
    shutdown::Shutdown,
    supervise::{Restart, Supervisor},
    telemetry,
    tenants::{Directory, Tenant},
};
use assent_domain::values::{Alias, AttemptId, ContactId, Correlation, FileId, IdempotencyKey, MessageId, WamidHash};
use assent_event_store::{
    AliasHasher, ConnectError, Database, EventStore, Feeds, JetStream, JetStreamConfig, KeyPolicy, KeyRing, MasterKey,
    MasterKeys, Poker, ReadError, Relay, ShardId, Source, StoreConfig,
};
use assent_sealed::AliasHash;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Connections for reading the log, and as many again for read models.
pub const DATABASE_CONNECTIONS_MAX_DEFAULT: u32 = 8;

/// How long the first connection to NATS may take. Later ones are tried for ever.
const NATS_CONNECT_MAX: Duration = Duration::from_secs(5);

/// Where the log and its keys are, and how processes hear of each other.
#[derive(Debug, Clone, Deserialize)]
pub struct PlatformConfig {
    /// The database.
    pub database: DatabaseConfig,
    /// The secrets that personal data is sealed with.
    pub keys: KeysConfig,
    /// NATS; absent: one process alone reads the log itself.
    pub nats: Option<NatsConfig>,
}

/// The database: exactly one of `postgres_url` and `sqlite_dir`.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host/database`; a secret, because of the password.
    pub postgres_url: Option<Secret>,
    /// A directory of this machine.
    pub sqlite_dir: Option<PathBuf>,
    /// Connections for reading, and as many again for read models.
    #[serde(default = "connections_max_default")]
    pub connections_max: u32,
    /// How many shards a new store gets; absent: 2 on Postgres, 1 on SQLite.
    pub shards: Option<u16>,
    /// Whether to bring the schema up to date at start. Off where a job does it before a roll-out.
    #[serde(default)]
    pub migrate: bool,
}

fn connections_max_default() -> u32 {
    DATABASE_CONNECTIONS_MAX_DEFAULT
}

/// The secrets that personal data is sealed with; each 32 random bytes in base64.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct KeysConfig {
    /// The master key that wraps new data keys.
    pub master: MasterConfig,
    /// Master keys before it that still wrap some.
    #[serde(default)]
    pub older_masters: Vec<MasterConfig>,
    /// The key of all look-up hashes. Never changes: with another one nobody would be recognised, opt-outs included.
    pub hash: Secret,
    /// How long data keys live.
    #[serde(default)]
    pub policy: KeyPolicy,
}

/// A master key.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct MasterConfig {
    /// Its name; stored beside each data key that it wraps.
    pub id: String,
    /// The key.
    pub key: Secret,
}

/// The NATS server that carries the log's live tail.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct NatsConfig {
    /// `nats://host:port`, several separated by commas; a secret, because it may hold a password.
    pub url: Secret,
    /// First part of every subject; tells installations on one server apart.
    #[serde(default = "prefix_default")]
    pub prefix: String,
    /// Servers that hold a copy of each stream.
    #[serde(default = "replicas_default")]
    pub replicas: usize,
}

fn prefix_default() -> String {
    JetStreamConfig::default().prefix
}

fn replicas_default() -> usize {
    JetStreamConfig::default().replicas
}

impl Validate for PlatformConfig {
    fn validate(&self, check: &mut Check) {
        check.section("database", &self.database);
        check.section("nats", &self.nats);
    }
}

impl Validate for DatabaseConfig {
    fn validate(&self, check: &mut Check) {
        let one = self.postgres_url.is_some() != self.sqlite_dir.is_some();
        check.ensure("postgres_url", one, "give either postgres_url or sqlite_dir");
        check.range("connections_max", self.connections_max, 1, 200);
        if let Some(shards) = self.shards {
            check.range("shards", shards, 1, assent_event_store::limits::SHARDS_MAX);
        }
    }
}

impl Validate for NatsConfig {
    fn validate(&self, check: &mut Check) {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let good = (1..=32).contains(&self.prefix.len()) && self.prefix.bytes().all(allowed);
        check.ensure("prefix", good, "1 to 32 characters out of a-z, 0-9 and -");
        check.range("replicas", self.replicas, 1, 5);
    }
}

/// Why a process cannot stand on its platform.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] ConnectError),
    /// A secret of the keys is malformed.
    #[error("keys: {0}")]
    Keys(String),
    /// NATS cannot be reached.
    #[error("NATS cannot be reached: {0}; check that it runs with JetStream and that its address is right")]
    Nats(String),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was erased is not known to be gone, so nothing may be served.
    #[error(transparent)]
    Erasures(#[from] ErasureError),
}

/// Whose message a status of Meta's is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Correlated {
    /// One of the tenant's.
    Ours(Correlation),
    /// One of ours, but not of this tenant: the callback must change nothing of it.
    Foreign,
    /// The text is not ours: somebody else sent the message with the same number.
    Nothing,
}

/// What all services of a process stand on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Platform {
    /// The log.
    pub store: EventStore,
    /// Its live tails.
    pub feeds: Feeds,
    /// The keys that personal data is sealed with.
    pub keys: KeyRing,
    /// Makes look-up hashes.
    pub hasher: AliasHasher,
    /// Who may do what, with which numbers.
    pub tenants: Arc<Directory>,
    jetstream: Option<JetStream>,
}

impl Platform {
    /// Connects to everything, or says what is wrong. When it returns, nobody whose erasure is in the log has a key, even if the
    /// key table came out of an older backup.
    pub async fn connect(config: &PlatformConfig, tenants: Arc<Directory>) -> Result<Self, PlatformError> {
        let keys_error = |error: &dyn std::fmt::Display| PlatformError::Keys(error.to_string());
        let master = |config: &MasterConfig| {
            MasterKey::try_new(&config.id, config.key.expose()).map_err(|error| keys_error(&error))
        };
        let older: Vec<MasterKey> = config.keys.older_masters.iter().map(master).collect::<Result<_, _>>()?;
        let masters = MasterKeys::try_new(master(&config.keys.master)?, older).map_err(|error| keys_error(&error))?;
        let hasher = AliasHasher::try_new(config.keys.hash.expose()).map_err(|error| keys_error(&error))?;

        let store_config = config.database.store();
        if config.database.migrate {
            EventStore::migrate(&store_config).await?;
        }
        let store = EventStore::connect(&store_config).await?;
        store.check_hasher(&hasher).await?;
        let jetstream = match &config.nats {
            Some(nats) => Some(nats.connect().await?),
            None => None,
        };
        let source = jetstream.clone().map_or(Source::Direct, Source::JetStream);
        let feeds = Feeds::start(&store, &source).await?.understanding(log::is_understood);
        let keys = KeyRing::new(store.clone(), masters, config.keys.policy);
        let platform = Self {
            store,
            feeds,
            keys,
            hasher,
            tenants,
            jetstream,
        };
        platform.catch_up_erasures().await?;
        Ok(platform)
    }

    /// Starts relaying to JetStream, if there is one: this process stands for election as a shard's relay until it is asked
    /// to end, and then hands the office on at once. It pokes the relays of all shards as long as the poker is held, so that
    /// what is written while it ends is relayed without delay too.
    pub fn spawn_relay(&self, supervisor: &Supervisor) -> Option<Poker> {
        let jetstream = self.jetstream.as_ref()?;
        for shard in self.store.shards() {
            let (store, jetstream) = (self.store.clone(), jetstream.clone());
            let shutdown = supervisor.shutdown().clone();
            supervisor.spawn("relay", Restart::Never, move || {
                let relay = Relay::new(&store, &jetstream, shard);
                let stop = shutdown.soft().clone().cancelled_owned();
                until_stopped(shutdown.clone(), relay.run_until(stop))
            });
        }
        Some(Poker::start(&self.store, jetstream))
    }

    /// The shard that holds a tenant's events: the configured one, else by hash of its name. Never changes.
    pub fn shard_of(&self, tenant: &Tenant) -> ShardId {
        let shards = self.store.shards().count() as u16;
        tenant
            .shard
            .map_or_else(|| ShardId(stable_hash(tenant.id.as_str()) % shards), ShardId)
    }

    /// The message that a tenant's idempotency key stands for.
    pub fn message_id(&self, tenant: &str, key: &IdempotencyKey) -> MessageId {
        MessageId::new(
            self.hasher
                .stream_key("message", &[tenant.as_bytes(), key.as_str().as_bytes()]),
        )
    }

    /// The look-up hash of somebody's alias within a tenant.
    pub fn alias_hash(&self, tenant: &str, alias: &Alias) -> AliasHash {
        self.hasher.alias(tenant, &alias.canonical())
    }

    /// The contact whose first alias this is. Two that meet somebody new at once make the same contact.
    pub fn contact_id(&self, tenant: &str, first_alias: AliasHash) -> ContactId {
        ContactId::new(self.hasher.stream_key("contact", &[tenant.as_bytes(), &first_alias.0]))
    }

    /// The look-up hash of one of Meta's message ids.
    pub fn wamid_hash(&self, wamid: &str) -> WamidHash {
        WamidHash(self.hasher.keyed_hash("wamid", &[wamid.as_bytes()]))
    }

    /// Our id of a file that was sent to a tenant. The same file reported twice has one id.
    pub fn file_id(&self, tenant: &str, provider_id: &str) -> FileId {
        let parts = [tenant.as_bytes(), provider_id.as_bytes()];
        FileId::new(self.hasher.stream_key("file", &parts))
    }

    /// What goes to Meta with an attempt and comes back in its statuses, within the present trace.
    pub fn correlation(&self, tenant: &str, message: MessageId, attempt: AttemptId) -> Correlation {
        Correlation {
            message,
            attempt,
            check: self.correlation_check(tenant, message, attempt),
            traceparent: telemetry::current_traceparent(),
        }
    }

    /// Whose message a status is about, by the text that came back with it.
    pub fn correlated(&self, tenant: &str, text: &str) -> Correlated {
        match text.parse::<Correlation>() {
            Err(_) => Correlated::Nothing,
            Ok(correlation) => {
                let check = self.correlation_check(tenant, correlation.message, correlation.attempt);
                if check == correlation.check {
                    Correlated::Ours(correlation)
                } else {
                    Correlated::Foreign
                }
            }
        }
    }

    fn correlation_check(&self, tenant: &str, message: MessageId, attempt: AttemptId) -> u64 {
        let (message, attempt) = (message.uuid(), attempt.uuid());
        let parts = [tenant.as_bytes(), message.as_bytes(), attempt.as_bytes()];
        let hash = self.hasher.keyed_hash("correlation", &parts);
        u64::from_be_bytes(hash[..8].try_into().expect("a hash has 32 bytes"))
    }

    /// Lets go of the database once everything that was accepted is written.
    pub async fn close(&self) {
        self.store.close().await;
    }
}

impl DatabaseConfig {
    /// How the event store is opened.
    pub fn store(&self) -> StoreConfig {
        let database = match (&self.postgres_url, &self.sqlite_dir) {
            (Some(url), _) => Database::Postgres {
                url: url.expose().to_owned(),
                connections_max: self.connections_max,
            },
            (None, dir) => Database::sqlite(dir.clone().unwrap_or_else(|| PathBuf::from("."))),
        };
        StoreConfig {
            database,
            shards: self.shards,
        }
    }
}

impl NatsConfig {
    fn servers(&self) -> Result<Vec<async_nats::ServerAddr>, PlatformError> {
        let servers = self.url.expose().split(',').map(|url| url.trim().parse());
        // The error would show the URL, and with it a password.
        let unreadable =
            |_| PlatformError::Nats("nats.url is not nats://host:port, or several separated by commas".to_owned());
        servers.collect::<Result<_, _>>().map_err(unreadable)
    }

    /// Who we are to the servers. Their client takes it from its options only, and gives it to each server, also to those
    /// that it learns of later: the addresses cannot name different users.
    fn options(servers: &[async_nats::ServerAddr]) -> Result<async_nats::ConnectOptions, PlatformError> {
        let options = async_nats::ConnectOptions::new().name("assent");
        let mut named = servers.iter().filter(|server| server.has_user_pass());
        let Some(first) = named.next() else {
            return Ok(options);
        };
        if named.any(|other| (other.username(), other.password()) != (first.username(), first.password())) {
            let text = "nats.url names different users or passwords; one has to do for all servers";
            return Err(PlatformError::Nats(text.to_owned()));
        }
        let decoded = |text: Option<&str>| {
            let text = percent_encoding::percent_decode_str(text.unwrap_or_default()).decode_utf8();
            let text =
                text.map_err(|_| PlatformError::Nats("user and password in nats.url are not UTF-8".to_owned()))?;
            Ok::<_, PlatformError>(text.into_owned())
        };
        let user = decoded(first.username())?;
        Ok(match first.password() {
            // As NATS' own clients read `nats://token@host`.
            None => options.token(user),
            password => options.user_and_password(user, decoded(password)?),
        })
    }

    /// A connection to the first server that answers.
    pub async fn client(&self) -> Result<async_nats::Client, PlatformError> {
        let servers = self.servers()?;
        let connecting = Self::options(&servers)?.connect(servers);
        let client = tokio::time::timeout(NATS_CONNECT_MAX, connecting).await;
        let client = client.map_err(|_elapsed| PlatformError::Nats("no answer in time".to_owned()))?;
        client.map_err(|error| PlatformError::Nats(error.to_string()))
    }

    /// How the log's streams are named and kept there.
    pub fn jetstream(&self) -> JetStreamConfig {
        JetStreamConfig {
            prefix: self.prefix.clone(),
            replicas: self.replicas,
            ..JetStreamConfig::default()
        }
    }

    async fn connect(&self) -> Result<JetStream, PlatformError> {
        Ok(JetStream::new(self.client().await?, self.jetstream()))
    }
}

async fn until_stopped(shutdown: Shutdown, task: impl Future<Output = ()>) -> crate::supervise::TaskResult {
    tokio::select! {
        () = task => {}
        () = shutdown.hard().cancelled() => {}
    }
    Ok(())
}

/// FNV-1a, folded to 16 bits: says the same for ever, on every machine.
fn stable_hash(text: &str) -> u16 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ((hash >> 48) ^ (hash >> 32) ^ (hash >> 16) ^ hash) as u16
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn a_tenants_shard_is_the_same_for_ever() {
        // From an independent implementation. Changing these numbers would lose every tenant's history.
        assert_eq!(stable_hash("acme"), 65_118);
        assert_eq!(stable_hash("globex"), 23_027);
    }

    fn config(url: &str) -> NatsConfig {
        NatsConfig {
            url: Secret::new(url),
            prefix: prefix_default(),
            replicas: replicas_default(),
        }
    }

    /// What a client says first, behind `CONNECT`, to a server that asks who it is.
    async fn introduction(user_info: &str) -> serde_json::Value {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("nats://{user_info}{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let info =
                br#"INFO {"server_id":"one","version":"2.11.0","proto":1,"max_payload":1024,"auth_required":true}"#;
            stream.write_all(info).await.unwrap();
            stream.write_all(b"\r\n").await.unwrap();
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            stream.write_all(b"PONG\r\n").await.unwrap();
            // Held until the client has gone.
            let _ = stream.read_line(&mut String::new()).await;
            serde_json::from_str(line.strip_prefix("CONNECT ").unwrap()).unwrap()
        });
        let client = config(&url).client().await.unwrap();
        drop(client);
        server.await.unwrap()
    }

    #[tokio::test]
    async fn nats_is_told_the_user_and_the_password_that_its_url_holds() {
        let told = introduction("assent:p%40ss@").await;
        assert_eq!((&told["user"], &told["pass"]), (&"assent".into(), &"p@ss".into()));
        let told = introduction("tok3n@").await;
        assert_eq!(told["auth_token"], "tok3n");
        let told = introduction("").await;
        assert_eq!(
            (&told["user"], &told["auth_token"]),
            (&serde_json::Value::Null, &serde_json::Value::Null)
        );
    }

    #[test]
    fn nats_servers_with_different_passwords_are_refused_without_showing_them() {
        let servers = config("nats://a:hunter2@one:4222,nats://a:hunter3@two:4222")
            .servers()
            .unwrap();
        let error = NatsConfig::options(&servers).err().unwrap();
        assert!(!error.to_string().contains("hunter"), "{error}");
        let servers = config("nats://a:hunter2@one:4222,nats://two:4222").servers().unwrap();
        assert!(NatsConfig::options(&servers).is_ok());
    }

    #[test]
    fn several_nats_servers_may_be_named_and_a_wrong_one_is_not_shown() {
        let servers = config("nats://one:4222, nats://two:4222").servers().unwrap();
        assert_eq!(servers.len(), 2);
        let wrong = config("nats://one:4222,nats://user:hunter2@:x").servers().unwrap_err();
        assert!(!wrong.to_string().contains("hunter2"), "{wrong}");
    }
}

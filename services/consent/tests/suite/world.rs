//! A process with the consent service on it, and hands that write what the other services would.

use crate::database::new_database;
use assent_consent::{Config, REQUESTS_FEED, WITHDRAWALS_FEED};
use assent_domain::{
    events::{
        Content, DecisionEvent, DomainEvent, MessageReceived, ObservedFrom, ProviderError, ProviderEvent,
        ProviderStatus, QualityRating, Recipient, RequestEvent, StatusReported, StreamCategory, Submitted,
        TemplateEvent, TemplateObserved, TemplateStatus,
    },
    values::{
        Actor, Alias, AliasKind, AliasRef, Category, Fingerprint, MessageId, PhoneNumber, PhoneNumberId, TemplateName,
        TemplateRef, TenantId, Term, TextBody, Timestamp, WaId, WabaId, WamidHash,
    },
};
use assent_event_store::{Append, DataKey, Expected, RecordedEvent, ShardId, generate_secret};
use assent_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{self, consent_service_client::ConsentServiceClient},
};
use assent_runtime::{
    admission::AdmissionConfig,
    config::{Environment, Secret},
    grpc::GrpcConfig,
    host::Host,
    http::ListenConfig,
    log::{self, Origin},
    platform::{KeysConfig, MasterConfig, Platform, PlatformConfig},
    settings::{RuntimeConfig, TenantsConfig},
    shutdown::{Shutdown, ShutdownConfig, StopReason},
    streams::{Subject, purpose},
    supervise::Supervisor,
    telemetry::{Metrics, TelemetryConfig},
    tenants::{ApiKey, Directory, Tenants},
};
use assent_sealed::{AliasHash, KeyClass, KeyId, Sealed};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use tonic::{Request, Status, metadata::MetadataValue, transport::Channel};
use uuid::Uuid;

pub(super) const NUMBER: &str = "106540352242922";
const ACCOUNT: &str = "102290129340398";
const FOREIGN_NUMBER: &str = "206540352242922";
pub(super) const SHARD: ShardId = ShardId(0);
pub(super) const ANA: &str = "+12025550142";
pub(super) const BEN: &str = "+12025550143";

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) type Client = ConsentServiceClient<tonic::service::interceptor::InterceptedService<Channel, Bearer>>;

#[derive(Clone)]
pub(super) struct Bearer(MetadataValue<tonic::metadata::Ascii>);

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// What outlives a process.
pub(super) struct Ground {
    dir: tempfile::TempDir,
    config: PlatformConfig,
    acme: ApiKey,
    globex: ApiKey,
    reader: ApiKey,
}

pub(super) struct World {
    pub(super) platform: Platform,
    shutdown: Shutdown,
    grpc: SocketAddr,
    host: Option<Host>,
    ground: Option<Ground>,
}

impl Ground {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = PlatformConfig {
            database: new_database(dir.path()).await,
            keys: KeysConfig {
                master: MasterConfig {
                    id: "m1".into(),
                    key: Secret::new(generate_secret().to_string()),
                },
                older_masters: Vec::new(),
                hash: Secret::new(generate_secret().to_string()),
                policy: assent_event_store::KeyPolicy::default(),
            },
            nats: None,
        };
        let key = || ApiKey::generate().unwrap();
        Self {
            dir,
            config,
            acme: key(),
            globex: key(),
            reader: key(),
        }
    }

    /// The log without the service.
    pub(super) async fn platform(&self) -> Platform {
        let key = |key: &ApiKey, scopes: &str| {
            format!(
                "{{ id = '{}', sha256 = '{}', scopes = [{scopes}] }}",
                key.id, key.sha256
            )
        };
        let all = "'send', 'consent', 'read', 'admin'";
        let text = format!(
            "[[tenants]]\nid = 'acme'\napp_secrets = [{{ env = 'A' }}]\naccess_token = {{ env = 'A' }}\n\
             keys = [{}, {}]\n\
             numbers = [{{ phone_number_id = '{NUMBER}', waba_id = '{ACCOUNT}', display = '+1 202-555-0100' }}]\n\
             [[tenants]]\nid = 'globex'\napp_secrets = [{{ env = 'A' }}]\naccess_token = {{ env = 'A' }}\nkeys = [{}]\n\
             numbers = [{{ phone_number_id = '{FOREIGN_NUMBER}', waba_id = '202290129340398', display = '+1 303-555-0100' }}]\n",
            key(&self.acme, all),
            key(&self.reader, "'read'"),
            key(&self.globex, all),
        );
        let environment: Environment = [("A", "secret")].into_iter().collect();
        let tenants = Tenants::parse(&text, &environment).unwrap();
        Platform::connect(&self.config, Arc::new(Directory::fixed(tenants)))
            .await
            .unwrap()
    }

    /// Starts the service over this log.
    pub(super) async fn start(self) -> World {
        let platform = self.platform().await;
        self.start_on(platform).await
    }

    pub(super) async fn start_on(self, platform: Platform) -> World {
        let nowhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let runtime = RuntimeConfig {
            admin: ListenConfig::plain(nowhere),
            grpc: GrpcConfig::plain(nowhere),
            tenants: TenantsConfig { file: "unused".into() },
            telemetry: TelemetryConfig::default(),
            shutdown: ShutdownConfig::default(),
            admission: AdmissionConfig::default(),
        };
        let shutdown = Shutdown::new();
        let mut host = Host::new(platform.clone(), Supervisor::new(shutdown.clone()), &runtime);
        assent_consent::mount(&Config::default(), &mut host).await.unwrap();
        let addresses = host
            .serve(&runtime, FILE_DESCRIPTOR_SET, Metrics::detached())
            .await
            .unwrap();
        World {
            platform,
            shutdown,
            grpc: addresses.grpc,
            host: Some(host),
            ground: Some(self),
        }
    }
}

pub(super) async fn world() -> World {
    let world = Ground::new().await.start().await;
    world
        .observe_template("order_ready", Category::Utility, TemplateStatus::Approved)
        .await;
    world
        .observe_template("offer", Category::Marketing, TemplateStatus::Approved)
        .await;
    world
}

pub(super) fn tenant() -> TenantId {
    TenantId::try_new("acme").unwrap()
}

pub(super) fn sender() -> PhoneNumberId {
    PhoneNumberId::try_new(NUMBER).unwrap()
}

pub(super) fn template(name: &str) -> TemplateRef {
    TemplateRef {
        name: TemplateName::try_new(name).unwrap(),
        language: "en_US".parse().unwrap(),
    }
}

pub(super) fn phone(text: &str) -> Alias {
    Alias::Phone(PhoneNumber::try_new(text).unwrap())
}

#[expect(clippy::unnecessary_wraps, reason = "a field of a request, which may be absent")]
pub(super) fn recipient(text: &str) -> Option<v1::Recipient> {
    Some(assent_api::recipient::render(&phone(text)))
}

pub(super) fn seconds_ago(seconds: u64) -> Timestamp {
    log::now() - Duration::from_secs(seconds)
}

pub(super) fn opt_in(to: &str, categories: &[v1::MessageCategory]) -> v1::RecordOptInRequest {
    v1::RecordOptInRequest {
        contact: recipient(to),
        categories: categories.iter().map(|category| (*category).into()).collect(),
        evidence: Some(v1::OptInEvidence {
            source: v1::OptInSource::WebForm.into(),
            wording: "Yes, write to me.".into(),
            ..v1::OptInEvidence::default()
        }),
        occurred_at: None,
    }
}

pub(super) fn opt_out(from: &str) -> v1::RecordOptOutRequest {
    v1::RecordOptOutRequest {
        contact: recipient(from),
        ..v1::RecordOptOutRequest::default()
    }
}

pub(super) fn get(of: &str) -> v1::GetContactRequest {
    v1::GetContactRequest {
        key: recipient(of).map(v1::get_contact_request::Key::Contact),
    }
}

/// A request that was not sealed with living keys: nobody opens it here.
pub(super) fn submitted(platform: &Platform, to: &str, template_name: Option<&str>) -> Submitted {
    let candidates = assent_api::recipient::candidates(&phone(to));
    let mut hashes = candidates.iter().map(|alias| platform.alias_hash("acme", alias));
    Submitted {
        tenant: tenant(),
        sender: sender(),
        recipient: Recipient {
            alias: hashes.next().unwrap(),
            other_spellings: hashes.collect(),
            address: nothing(),
        },
        content: match template_name {
            Some(name) => Content::Template {
                template: template(name),
                components: nothing(),
            },
            None => Content::Text {
                body: nothing(),
                preview_url: false,
            },
        },
        refers_to: None,
        purpose: None,
        fingerprint: Fingerprint::default(),
        expires_at: log::now() + Duration::from_hours(24),
        campaign: None,
        tags: BTreeMap::new(),
        fetch_credential: None,
        accepted_at: log::now(),
    }
}

fn nothing<T>() -> Sealed<T> {
    Sealed::from_parts(KeyId(Uuid::from_u128(1)), vec![0; 40])
}

pub(super) fn origin() -> Origin {
    Origin::of(tenant(), Actor::Service(Term::try_new("ingress").unwrap()))
}

/// Appends one event as its owner would.
pub(super) async fn record<E: DomainEvent>(platform: &Platform, subject: Subject<'_>, event: &E) {
    let stream = platform.stream_of(E::CATEGORY, subject);
    let append = Append::new().write(stream, Expected::Any, [log::record(event, &origin())]);
    platform.store.append(SHARD, append).await.unwrap();
}

/// Requests a message; does not wait.
pub(super) async fn submit(platform: &Platform, submitted: Submitted) -> MessageId {
    let message = MessageId::new(Uuid::now_v7());
    record(
        platform,
        Subject::Message(message),
        &RequestEvent::from(Box::new(submitted)),
    )
    .await;
    message
}

async fn key_of(platform: &Platform, alias: AliasHash, class: KeyClass) -> DataKey {
    let now = time::OffsetDateTime::now_utc();
    platform.keys.obtain(&[(alias, class)], now).await.unwrap().remove(0)
}

/// The names of a person in a callback: the `wa_id`, sealed as ingress does.
pub(super) async fn named(platform: &Platform, wa_id: &str) -> AliasRef {
    let alias = Alias::WaId(WaId::try_new(wa_id).unwrap());
    let hash = platform.alias_hash("acme", &alias);
    let key = key_of(platform, hash, KeyClass::Identity).await;
    AliasRef {
        hash,
        kind: AliasKind::WaId,
        sealed: Some(key.seal(&alias, purpose::ALIAS).unwrap()),
    }
}

/// A callback with a message of a person, written so long ago.
pub(super) async fn write(platform: &Platform, from: &str, text: &str, at: Timestamp) {
    let from = named(platform, from).await;
    let key = key_of(platform, from.hash, KeyClass::Content).await;
    let message = MessageReceived {
        number: sender(),
        wamid_hash: WamidHash([7; 32]),
        wamid: nothing(),
        from: vec![from.clone()],
        profile_name: None,
        kind: Term::try_new("text").unwrap(),
        text: Some(key.seal(&TextBody(text.to_owned()), purpose::INBOUND).unwrap()),
        payload: None,
        details: None,
        file: None,
        in_reply_to: None,
        opens_window: true,
        provider_at: at,
        received_at: log::now(),
    };
    record(
        platform,
        Subject::Person(from.hash),
        &ProviderEvent::from(Box::new(message)),
    )
    .await;
}

/// A callback with the state of a message of ours.
pub(super) async fn report(platform: &Platform, message: MessageId, to: &str, status: &str, code: Option<i64>) {
    let mut recipient = named(platform, to).await;
    recipient.sealed = None;
    let status = StatusReported {
        number: sender(),
        message: Some(message),
        attempt: None,
        wamid_hash: WamidHash([7; 32]),
        wamid: None,
        recipient: vec![recipient],
        status: ProviderStatus::from_provider(status),
        provider_at: log::now(),
        errors: code
            .map(|code| ProviderError { code, subcode: None })
            .into_iter()
            .collect(),
        pricing: None,
        received_at: log::now(),
    };
    record(
        platform,
        Subject::Message(message),
        &ProviderEvent::from(Box::new(status)),
    )
    .await;
}

impl World {
    pub(super) async fn client(&self) -> Client {
        self.client_with(&self.ground.as_ref().unwrap().acme).await
    }

    /// A client of the other tenant.
    pub(super) async fn stranger(&self) -> Client {
        self.client_with(&self.ground.as_ref().unwrap().globex).await
    }

    /// A client that may only read.
    pub(super) async fn reader(&self) -> Client {
        self.client_with(&self.ground.as_ref().unwrap().reader).await
    }

    async fn client_with(&self, key: &ApiKey) -> Client {
        let channel = Channel::from_shared(format!("http://{}", self.grpc))
            .unwrap()
            .connect()
            .await
            .unwrap();
        let bearer = format!("Bearer {}", key.key.expose()).parse().unwrap();
        ConsentServiceClient::with_interceptor(channel, Bearer(bearer))
    }

    pub(super) async fn observe_template(&self, name: &str, category: Category, status: TemplateStatus) {
        observe_template(&self.platform, name, category, status).await;
    }

    /// Requests a message and waits for the decision.
    pub(super) async fn ask(&self, to: &str, template_name: Option<&str>) -> DecisionEvent {
        self.decide(submitted(&self.platform, to, template_name)).await
    }

    pub(super) async fn decide(&self, submitted: Submitted) -> DecisionEvent {
        let message = submit(&self.platform, submitted).await;
        self.decision(message).await
    }

    pub(super) async fn decision(&self, message: MessageId) -> DecisionEvent {
        let stream = self
            .platform
            .stream_of(StreamCategory::Decision, Subject::Message(message));
        until("the decision", async || {
            let events = self.platform.store.read_stream(SHARD, &stream, 0, 10).await.unwrap();
            assert!(events.len() < 2, "a message has one decision");
            events.first().map(|event| log::read(event).unwrap())
        })
        .await
    }

    /// Everything in the log.
    pub(super) async fn log(&self) -> Vec<RecordedEvent> {
        let mut log = Vec::new();
        loop {
            let page = self
                .platform
                .store
                .read_shard(SHARD, log.len() as u64, 10_000)
                .await
                .unwrap();
            if page.is_empty() {
                return log;
            }
            log.extend(page);
        }
    }

    /// The events of one kind, once there are so many.
    pub(super) async fn wait_for<E: DomainEvent>(&self, kind: &str, count: usize) -> Vec<(RecordedEvent, E)> {
        until(kind, async || {
            let log = self.log().await.into_iter().filter(|event| event.kind == kind);
            let events: Vec<_> = log.map(|event| (event.clone(), log::read(&event).unwrap())).collect();
            (events.len() >= count).then_some(events)
        })
        .await
    }

    /// Waits until both readers have committed everything in the log.
    pub(super) async fn caught_up(&self) {
        until("the readers", async || {
            let head = self.platform.store.head(SHARD).await.unwrap();
            for feed in [REQUESTS_FEED, WITHDRAWALS_FEED] {
                if self.platform.store.checkpoint(feed, SHARD).await.unwrap() < head {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// Ends the process as SIGTERM does, and leaves the log.
    pub(super) async fn stop(mut self) -> Ground {
        self.shutdown.begin(StopReason::Requested("test".into()));
        self.host.take().unwrap().join().await.unwrap();
        self.ground.take().unwrap()
    }
}

impl Ground {
    /// Makes the readers read everything again, as after the loss of their tables.
    pub(super) async fn rewind(&self) {
        let platform = self.platform().await;
        let rewound = if let Some(pool) = platform.store.postgres() {
            let rewind = "update assent_feed.checkpoints set position = 0 where name like 'consent-%'";
            sqlx::query(rewind).execute(pool).await.unwrap().rows_affected()
        } else {
            let rewind = "update checkpoints set position = 0 where name like 'consent-%'";
            let pool = platform.store.sqlite().unwrap();
            sqlx::query(rewind).execute(pool).await.unwrap().rows_affected()
        };
        assert_eq!(rewound, 2);
        platform.close().await;
        assert!(self.dir.path().exists());
    }
}

pub(super) async fn observe_template(platform: &Platform, name: &str, category: Category, status: TemplateStatus) {
    let (waba, template) = (WabaId::try_new(ACCOUNT).unwrap(), template(name));
    let observed = TemplateObserved {
        tenant: tenant(),
        waba: waba.clone(),
        template: template.clone(),
        template_id: None,
        status,
        category,
        announced: None,
        quality: QualityRating::Unknown,
        reason: None,
        definition: None,
        observed_from: ObservedFrom::Poll,
        observed_at: log::now(),
    };
    record(
        platform,
        Subject::Template(&waba, &template),
        &TemplateEvent::from(observed),
    )
    .await;
}

/// Waits until there is something.
pub(super) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("no sign of {what}"))
}

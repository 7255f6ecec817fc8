//! A store, a simulator, and what the other services would have recorded.

use crate::database::new_database;
use assent_dispatcher::{Config, MetaConfig};
use assent_domain::{
    Decider as _,
    attempt::{AttemptDecider, Attempts, Outcome},
    contact::{ContactCommand, ContactDecider},
    events::{
        AttemptEvent, Authorized, CancelRequested, Content, DecisionEvent, DomainEvent, FreeForm, ObservedFrom,
        OptInSource, OptOutSource, ProviderError, ProviderEvent, ProviderStatus, QualityRating, Recipient,
        RequestEvent, StatusReported, StreamCategory, Submitted, TemplateChange, TemplateChanged, TemplateEvent,
        TemplateObserved, TemplateStatus,
    },
    gates::{GateInput, Judgement, WindowFacts, judge},
    values::{
        Actor, Alias, Category, CategorySet, ContactId, FieldHash, Fingerprint, FreeFormBody, IdempotencyKey,
        MessageId, PhoneNumber, PhoneNumberId, TemplateComponents, TemplateRef, TenantId, Term, TextBody, Timestamp,
        WabaId,
    },
};
use assent_event_store::{Append, DataKey, Expected, ShardId, generate_secret};
use assent_runtime::{
    config::{Environment, Secret},
    grpc::GrpcConfig,
    host::Host,
    http::ListenConfig,
    log::{self, Origin},
    platform::{Correlated, KeysConfig, MasterConfig, Platform, PlatformConfig},
    settings::{RuntimeConfig, TenantsConfig},
    shutdown::{Shutdown, StopReason},
    streams::{Subject, purpose},
    supervise::Supervisor,
    telemetry::{Metrics, TelemetryConfig},
    tenants::{ApiKey, Directory, Tenants},
};
use assent_sealed::{AliasHash, KeyClass};
use assent_simulator::{
    AcceptedMessage, DEFAULT_ACCOUNT_ID, DEFAULT_NUMBER_ID, DEFAULT_TOKEN, Fault, Filter, Handle, Latency, Mix,
    Simulator,
};
use serde_json::json;
use sqlx::Executor as _;
use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU32, atomic::Ordering},
    time::Duration,
};
use tempfile::TempDir;
use time::OffsetDateTime;

pub(crate) const SHARD: ShardId = ShardId(0);
const TENANT: &str = "marlow";
/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(40);

/// A store and a simulator.
pub(crate) struct Stage {
    pub(crate) platform: Platform,
    pub(crate) simulator: Handle,
    pub(crate) config: Config,
    /// May read and send, for the tenant and for another one.
    pub(crate) keys: [ApiKey; 2],
    next: AtomicU32,
    _dir: TempDir,
}

/// A dispatcher at work.
pub(crate) struct Running {
    shutdown: Shutdown,
    host: Host,
    runtime: RuntimeConfig,
}

impl Running {
    /// Ends it as a crash would: everything is dropped where it stands.
    pub(crate) async fn kill(self) {
        self.shutdown.force();
        self.host.supervisor.clone().join().await.unwrap();
    }

    /// Serves its gRPC services and gives their address.
    pub(crate) async fn serve(&mut self) -> SocketAddr {
        let descriptors = assent_proto::FILE_DESCRIPTOR_SET;
        let addresses = self.host.serve(&self.runtime, descriptors, Metrics::detached()).await;
        addresses.unwrap().grpc
    }

    /// Ends it as an operator would.
    pub(crate) async fn stop(self) {
        self.shutdown.begin(StopReason::Requested("asked by a test".into()));
        self.host.supervisor.clone().join().await.unwrap();
    }
}

pub(crate) fn tenant() -> TenantId {
    TenantId::try_new(TENANT).unwrap()
}

pub(crate) fn number() -> PhoneNumberId {
    PhoneNumberId::try_new(DEFAULT_NUMBER_ID).unwrap()
}

pub(crate) fn account() -> WabaId {
    WabaId::try_new(DEFAULT_ACCOUNT_ID).unwrap()
}

pub(crate) fn template() -> TemplateRef {
    TemplateRef {
        name: "order_update".parse().unwrap(),
        language: "en_US".parse().unwrap(),
    }
}

/// A template with a picture in its header.
pub(crate) fn photo_template() -> TemplateRef {
    TemplateRef {
        name: "order_photo".parse().unwrap(),
        language: "en_US".parse().unwrap(),
    }
}

fn origin() -> Origin {
    Origin::of(tenant(), Actor::Service(Term::try_new("test").unwrap()))
}

/// Credentials by which the tenant's links are fetched.
const CREDENTIALS: &str = r#"
[tenants.fetch_credentials.vault]
kind = "bearer"
hosts = ["127.0.0.1"]
secret = { env = "V" }
"#;

async fn platform(dir: &TempDir, keys: &[ApiKey; 2]) -> Platform {
    let reader = |key: &ApiKey| {
        let (id, sha256) = (&key.id, &key.sha256);
        format!("[[tenants.keys]]\nid = \"{id}\"\nsha256 = \"{sha256}\"\nscopes = [\"read\", \"send\"]\n")
    };
    let tenants = format!(
        "[[tenants]]\nid = \"{TENANT}\"\nshard = 0\napp_secrets = [{{ env = \"S\" }}]\naccess_token = {{ env = \"T\" }}\n\
         [[tenants.numbers]]\nphone_number_id = \"{DEFAULT_NUMBER_ID}\"\nwaba_id = \"{DEFAULT_ACCOUNT_ID}\"\ndisplay = \"+1 555\"\n\
         {}{CREDENTIALS}\n[[tenants]]\nid = \"other\"\nshard = 0\n{}",
        reader(&keys[0]),
        reader(&keys[1]),
    );
    let environment: Environment = [("S", "app-secret"), ("T", DEFAULT_TOKEN), ("V", "vault-token")]
        .into_iter()
        .collect();
    let tenants = Directory::fixed(Tenants::parse(&tenants, &environment).unwrap());
    let config = PlatformConfig {
        database: new_database(&dir.path().join("data")).await,
        keys: KeysConfig {
            master: MasterConfig {
                id: "m1".into(),
                key: Secret::new(generate_secret().as_str()),
            },
            older_masters: Vec::new(),
            hash: Secret::new(generate_secret().as_str()),
            policy: assent_event_store::KeyPolicy::default(),
        },
        nats: None,
    };
    Platform::connect(&config, Arc::new(tenants)).await.unwrap()
}

impl Stage {
    /// An ideal crowd, a template and a number in good standing, and short waits.
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = [(); 2].map(|()| ApiKey::generate().unwrap());
        let platform = platform(&dir, &keys).await;
        let simulator = Simulator::start(assent_simulator::Config {
            mix: Mix::ideal(),
            latency: Latency::fast(),
            ..assent_simulator::Config::default()
        });
        let simulator = simulator.await.unwrap();
        let config = Config {
            meta: MetaConfig {
                base_url: simulator.url(),
                total_timeout_ms: 400,
                connect_timeout_ms: 200,
                ..MetaConfig::default()
            },
            calls_max: 16,
            silence_ms: 100,
            retry_first_ms: 20,
            retry_longest_ms: 100,
            checkpoint_ms: 20,
            ..Config::default()
        };
        let stage = Self {
            platform,
            simulator,
            config,
            keys,
            next: AtomicU32::new(0),
            _dir: dir,
        };
        stage.observe_template(template(), Category::Utility).await;
        stage.observe_template(photo_template(), Category::Utility).await;
        stage
    }

    /// Starts a dispatcher, as its own process would be.
    pub(crate) async fn dispatcher(&self) -> Running {
        self.dispatcher_with(&self.config).await
    }

    pub(crate) async fn dispatcher_with(&self, config: &Config) -> Running {
        // The lease of one that was killed runs out after some seconds. Time passes quickly here.
        if let Some(pool) = self.platform.store.sqlite() {
            pool.execute("update leases set lease_until = 0").await.unwrap();
        }
        if let Some(pool) = self.platform.store.postgres() {
            pool.execute("update assent_feed.leases set lease_until = '-infinity'")
                .await
                .unwrap();
        }
        let shutdown = Shutdown::new();
        let supervisor = Supervisor::new(shutdown.clone());
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let runtime = RuntimeConfig {
            admin: ListenConfig::plain(any),
            grpc: GrpcConfig::plain(any),
            tenants: TenantsConfig { file: "none".into() },
            telemetry: TelemetryConfig::default(),
            shutdown: assent_runtime::shutdown::ShutdownConfig::default(),
            admission: assent_runtime::admission::AdmissionConfig::default(),
        };
        let mut host = Host::new(self.platform.clone(), supervisor, &runtime);
        assent_dispatcher::mount(config, &mut host).await.unwrap();
        assert!(host.readiness.is_ready());
        Running {
            shutdown,
            host,
            runtime,
        }
    }

    pub(crate) async fn append<E: DomainEvent>(&self, subject: Subject<'_>, events: &[E]) -> u64 {
        let stream = self.platform.stream_of(E::CATEGORY, subject);
        let events = events.iter().map(|event| log::record(event, &origin()));
        let append = Append::new().write(stream, Expected::Any, events);
        self.platform.store.append(SHARD, append).await.unwrap().last
    }

    async fn observe_template(&self, template: TemplateRef, category: Category) {
        let observed = TemplateObserved {
            tenant: tenant(),
            waba: account(),
            template: template.clone(),
            template_id: None,
            status: TemplateStatus::Approved,
            category,
            announced: None,
            quality: QualityRating::Unknown,
            reason: None,
            definition: None,
            observed_from: ObservedFrom::Poll,
            observed_at: log::now(),
        };
        self.append(
            Subject::Template(&account(), &template),
            &[TemplateEvent::from(observed)],
        )
        .await;
    }

    /// A callback that says that the template changed.
    pub(crate) async fn change_template(&self, change: TemplateChange) {
        let changed = TemplateChanged {
            waba: account(),
            template: template(),
            template_id: None,
            change,
            provider_at: log::now(),
            received_at: log::now(),
        };
        self.append(
            Subject::Template(&account(), &template()),
            &[ProviderEvent::from(Box::new(changed))],
        )
        .await;
    }

    /// A phone number nobody else in this test has.
    pub(crate) fn somebody(&self) -> PhoneNumber {
        let next = self.next.fetch_add(1, Ordering::SeqCst);
        PhoneNumber::try_new(&format!("+1202555{next:04}")).unwrap()
    }

    pub(crate) fn alias(&self, phone: &PhoneNumber) -> AliasHash {
        self.platform.alias_hash(TENANT, &Alias::Phone(phone.clone()))
    }

    pub(crate) fn contact(&self, phone: &PhoneNumber) -> ContactId {
        self.platform.contact_id(TENANT, self.alias(phone))
    }

    /// Obeys a command on a contact, as the consent service would.
    pub(crate) async fn command(&self, phone: &PhoneNumber, command: ContactCommand) -> u64 {
        let id = self.contact(phone);
        let facts = self.platform.facts(SHARD, |want| want.contact(id)).await.unwrap();
        let events = ContactDecider::decide(&facts.contact(id), command).unwrap();
        self.append(Subject::Contact(id), &events).await
    }

    pub(crate) async fn opt_in(&self, phone: &PhoneNumber) {
        let now = log::now();
        let command = ContactCommand::RecordOptIn {
            categories: CategorySet::all(),
            source: OptInSource::WebForm,
            proof: None,
            given_at: now,
            at: now,
        };
        self.command(phone, command).await;
    }

    /// Gives the position of the withdrawal.
    pub(crate) async fn opt_out(&self, phone: &PhoneNumber) -> u64 {
        let now = log::now();
        let command = ContactCommand::RecordOptOut {
            categories: CategorySet::all(),
            source: OptOutSource::Keyword,
            proof: None,
            given_at: now,
            at: now,
        };
        self.command(phone, command).await
    }

    /// A request for a template message, sealed and recorded as the ingress would.
    async fn request(&self, phone: &PhoneNumber, text: Option<&str>, expires_at: Timestamp) -> (MessageId, Submitted) {
        let key = self.content_key(self.alias(phone)).await;
        let components = json!([{"type": "body", "parameters": [
            {"type": "text", "text": "Ana"}, {"type": "text", "text": "A-17"}]}]);
        let content = match text {
            Some(text) => Content::Text {
                body: key.seal(&TextBody(text.to_owned()), purpose::CONTENT).unwrap(),
                preview_url: false,
            },
            None => Content::Template {
                template: template(),
                components: key.seal(&TemplateComponents(components), purpose::CONTENT).unwrap(),
            },
        };
        self.submit(phone, &key, content, expires_at, None).await
    }

    /// The key that what is said to and by somebody is sealed with.
    pub(crate) async fn content_key(&self, alias: AliasHash) -> DataKey {
        let wanted = [(alias, KeyClass::Content)];
        let keys = self.platform.keys.obtain(&wanted, OffsetDateTime::now_utc()).await;
        keys.unwrap().remove(0)
    }

    async fn submit(
        &self,
        phone: &PhoneNumber,
        key: &DataKey,
        content: Content,
        expires_at: Timestamp,
        fetch_credential: Option<&str>,
    ) -> (MessageId, Submitted) {
        let alias = self.alias(phone);
        let submitted = Submitted {
            tenant: tenant(),
            sender: number(),
            recipient: Recipient {
                alias,
                other_spellings: Vec::new(),
                address: key.seal(&Alias::Phone(phone.clone()), purpose::RECIPIENT).unwrap(),
            },
            content,
            refers_to: None,
            purpose: None,
            fingerprint: Fingerprint::new(vec![FieldHash {
                field: Term::try_new("to").unwrap(),
                hash: [1; 32],
            }]),
            expires_at,
            campaign: None,
            tags: std::collections::BTreeMap::new(),
            fetch_credential: fetch_credential.map(|name| Term::try_new(name).unwrap()),
            accepted_at: log::now(),
        };
        let next = self.next.fetch_add(1, Ordering::SeqCst);
        let message = self
            .platform
            .message_id(TENANT, &IdempotencyKey::try_new(&format!("message-{next}")).unwrap());
        let event = RequestEvent::from(Box::new(submitted.clone()));
        self.append(Subject::Message(message), &[event]).await;
        (message, submitted)
    }

    /// A message that was asked for and authorized, as ingress and consent would record it.
    pub(crate) async fn authorized(&self, phone: &PhoneNumber) -> MessageId {
        let expires_at = log::now() + Duration::from_hours(1);
        let (message, submitted) = self.request(phone, None, expires_at).await;
        self.authorize(phone, message, &submitted, &WindowFacts::default())
            .await;
        message
    }

    /// A template message with a linked picture, to somebody who agreed.
    pub(crate) async fn authorized_photo(
        &self,
        phone: &PhoneNumber,
        link: &str,
        fetch_credential: Option<&str>,
    ) -> MessageId {
        let key = self.content_key(self.alias(phone)).await;
        let components = json!([
            {"type": "header", "parameters": [{"type": "image", "image": {"link": link}}]},
            {"type": "body", "parameters": [{"type": "text", "text": "Ana"}]},
            {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "A-17"}]}
        ]);
        let content = Content::Template {
            template: photo_template(),
            components: key.seal(&TemplateComponents(components), purpose::CONTENT).unwrap(),
        };
        let expires_at = log::now() + Duration::from_hours(1);
        let (message, submitted) = self.submit(phone, &key, content, expires_at, fetch_credential).await;
        self.authorize(phone, message, &submitted, &WindowFacts::default())
            .await;
        message
    }

    /// A linked picture by itself, to somebody who has just written.
    pub(crate) async fn authorized_image(&self, phone: &PhoneNumber, link: &str, credential: &str) -> MessageId {
        let image = json!({"link": link, "caption": "As promised"});
        self.authorized_form(phone, image, Some(credential)).await
    }

    /// A picture that Meta has, to somebody who has just written.
    pub(crate) async fn authorized_upload(&self, phone: &PhoneNumber, id: &str) -> MessageId {
        self.authorized_form(phone, json!({"id": id}), None).await
    }

    async fn authorized_form(
        &self,
        phone: &PhoneNumber,
        image: serde_json::Value,
        credential: Option<&str>,
    ) -> MessageId {
        let key = self.content_key(self.alias(phone)).await;
        let body = FreeFormBody(image);
        let content = Content::FreeForm {
            form: FreeForm::Image,
            body: key.seal(&body, purpose::CONTENT).unwrap(),
        };
        let expires_at = log::now() + Duration::from_hours(1);
        let (message, submitted) = self.submit(phone, &key, content, expires_at, credential).await;
        let mut window = WindowFacts::default();
        window.wrote(log::now());
        self.authorize(phone, message, &submitted, &window).await;
        message
    }

    /// A free-form text to somebody who has just written.
    pub(crate) async fn authorized_text(&self, phone: &PhoneNumber, text: &str) -> MessageId {
        let expires_at = log::now() + Duration::from_hours(1);
        let (message, submitted) = self.request(phone, Some(text), expires_at).await;
        let mut window = WindowFacts::default();
        window.wrote(log::now());
        self.authorize(phone, message, &submitted, &window).await;
        message
    }

    /// A message that becomes too old after a while.
    pub(crate) async fn authorized_for(&self, phone: &PhoneNumber, lifetime: Duration) -> MessageId {
        let (message, submitted) = self.request(phone, None, log::now() + lifetime).await;
        self.authorize(phone, message, &submitted, &WindowFacts::default())
            .await;
        message
    }

    async fn authorize(&self, phone: &PhoneNumber, message: MessageId, submitted: &Submitted, window: &WindowFacts) {
        let contact_id = self.contact(phone);
        let template = submitted.content.template().cloned().unwrap_or_else(template);
        let facts = self.platform.facts(SHARD, |want| {
            want.contact(contact_id);
            want.number(&number(), &account());
            want.template(&account(), &template);
        });
        let facts = facts.await.unwrap();
        let contact = facts.contact(contact_id);
        let now = log::now();
        let judgement = judge(&GateInput {
            now,
            sender: &submitted.sender,
            number: Some(&facts.number(&number(), &account())),
            template: submitted.content.template(),
            template_facts: facts.template(&account(), &template).as_ref(),
            asked_language: None,
            purpose: submitted.purpose,
            contact: &contact,
            suppression: &facts.suppression(contact_id),
            window,
        });
        let Judgement::Authorized { category, evidence } = judgement else {
            panic!("{judgement:?}")
        };
        let authorized = Authorized {
            contact: contact_id,
            contact_version: contact.version(),
            category,
            evidence,
            checked_at: now,
            expires_at: submitted.expires_at,
        };
        let event = DecisionEvent::from(Box::new(authorized));
        self.append(Subject::Message(message), &[event]).await;
    }

    /// Somebody who agreed, and a message for them.
    pub(crate) async fn message(&self) -> MessageId {
        let phone = self.somebody();
        self.opt_in(&phone).await;
        self.authorized(&phone).await
    }

    pub(crate) async fn messages(&self, count: usize) -> Vec<MessageId> {
        let mut messages = Vec::new();
        for _ in 0..count {
            messages.push(self.message().await);
        }
        messages
    }

    pub(crate) async fn request_cancel(&self, message: MessageId) {
        let requested_at = log::now();
        self.append(
            Subject::Message(message),
            &[RequestEvent::from(CancelRequested { requested_at })],
        )
        .await;
    }

    /// The attempt events of a message with their positions.
    pub(crate) async fn attempts(&self, message: MessageId) -> Vec<(u64, AttemptEvent)> {
        let stream = self
            .platform
            .stream_of(StreamCategory::Attempt, Subject::Message(message));
        let events = self.platform.store.read_stream(SHARD, &stream, 0, 1_000).await.unwrap();
        events
            .iter()
            .map(|event| (event.position, log::read(event).unwrap()))
            .collect()
    }

    /// The wire names of the attempt events of a message.
    pub(crate) async fn story(&self, message: MessageId) -> Vec<&'static str> {
        let name = |(_, event): (u64, AttemptEvent)| event.wire_name().strip_prefix("attempt.").unwrap();
        self.attempts(message).await.into_iter().map(name).collect()
    }

    pub(crate) async fn state(&self, message: MessageId) -> Attempts {
        let events: Vec<AttemptEvent> = self
            .attempts(message)
            .await
            .into_iter()
            .map(|(_, event)| event)
            .collect();
        AttemptDecider::fold(&events)
    }

    /// What is known of the newest attempt, if one was started.
    pub(crate) async fn outcome(&self, message: MessageId) -> Option<Outcome> {
        match self.state(message).await {
            Attempts::Underway(underway) => Some(underway.outcome()),
            _ => None,
        }
    }

    /// Waits until the story of a message ends with this event, and gives that event.
    pub(crate) async fn until_last(&self, message: MessageId, last: &str) -> AttemptEvent {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let story = self.story(message).await;
            if story.last() == Some(&last) {
                return self.attempts(message).await.pop().unwrap().1;
            }
            assert!(tokio::time::Instant::now() < deadline, "waiting for {last}: {story:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.simulator.control().set_fault(fault).unwrap();
    }

    /// Everything Meta took.
    pub(crate) fn accepted(&self) -> Vec<AcceptedMessage> {
        let filter = Filter {
            limit: Some(10_000),
            ..Filter::default()
        };
        self.simulator.control().accepted(&filter).unwrap()
    }

    /// The messages of ours that Meta took, one entry for each time.
    pub(crate) fn taken(&self) -> Vec<MessageId> {
        self.accepted()
            .iter()
            .map(|accepted| self.correlated(accepted).0)
            .collect()
    }

    fn correlated(&self, accepted: &AcceptedMessage) -> (MessageId, assent_domain::values::AttemptId) {
        let text = accepted.biz_opaque_callback_data.as_deref().unwrap();
        match self.platform.correlated(TENANT, text) {
            Correlated::Ours(correlation) => (correlation.message, correlation.attempt),
            other => panic!("{other:?}"),
        }
    }

    /// A callback about a message that Meta took, as the ingress would record it.
    pub(crate) async fn callback(&self, accepted: &AcceptedMessage, status: ProviderStatus) -> u64 {
        let code = (status == ProviderStatus::Failed).then_some(131_026);
        self.callback_with(accepted, status, code).await
    }

    /// A callback that says that a message which Meta took failed after all.
    pub(crate) async fn failure(&self, accepted: &AcceptedMessage, code: i64) -> u64 {
        self.callback_with(accepted, ProviderStatus::Failed, Some(code)).await
    }

    /// Gives the position of the callback.
    async fn callback_with(&self, accepted: &AcceptedMessage, status: ProviderStatus, code: Option<i64>) -> u64 {
        let (message, attempt) = self.correlated(accepted);
        let error = |code| ProviderError { code, subcode: None };
        let errors = code.map(error).into_iter().collect();
        let reported = StatusReported {
            number: number(),
            message: Some(message),
            attempt: Some(attempt),
            wamid_hash: self.platform.wamid_hash(&accepted.wamid),
            wamid: None,
            recipient: Vec::new(),
            status,
            provider_at: log::now(),
            errors,
            pricing: None,
            received_at: log::now(),
        };
        self.append(Subject::Message(message), &[ProviderEvent::from(Box::new(reported))])
            .await
    }

    /// Waits until the reader of callbacks has written down that it was here.
    pub(crate) async fn until_watched(&self, position: u64) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let store = &self.platform.store;
        while store.checkpoint("dispatcher-callbacks", SHARD).await.unwrap() < position {
            assert!(tokio::time::Instant::now() < deadline, "callbacks are not read");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

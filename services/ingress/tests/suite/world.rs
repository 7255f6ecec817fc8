//! A process with ingress on it, two tenants, and somebody who decides.

use crate::database::new_database;
use assent_domain::{
    events::{Authorized, DecisionEvent, DomainEvent, Refused, RequestEvent, StreamCategory},
    gates::{Evidence, Refusal, RefusalReason},
    values::{Actor, Category, ContactId, MessageId, Term, Timestamp},
};
use assent_event_store::{Append, AppendError, Expected, RecordedEvent, ShardId, generate_secret};
use assent_ingress::Config;
use assent_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{self, message_service_client::MessageServiceClient},
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
    shutdown::{Shutdown, ShutdownConfig},
    streams::Subject,
    supervise::Supervisor,
    telemetry::{Metrics, TelemetryConfig},
    tenants::{ApiKey, Directory, Tenants},
};
use assent_whatsapp::{Secret as AppSecret, signature};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tonic::{Code, Request, Status, metadata::MetadataValue, transport::Channel};
use tonic_types::StatusExt as _;
use uuid::Uuid;

pub(super) const NUMBER: &str = "106540352242922";
pub(super) const ACCOUNT: &str = "102290129340398";
pub(super) const FOREIGN_NUMBER: &str = "206540352242922";
pub(super) const FOREIGN_ACCOUNT: &str = "202290129340398";
pub(super) const ANA: &str = "+12025550142";
pub(super) const SHARD: ShardId = ShardId(0);
const APP_SECRET: &str = "acme_app_secret";
const FOREIGN_SECRET: &str = "globex_app_secret";
pub(super) const VERIFY_TOKEN: &str = "acme_verify";

/// The template that the stand-in refuses; every other one is authorized.
pub(super) const REFUSED: &str = "refused";
/// The template that the stand-in never decides on.
pub(super) const UNDECIDED: &str = "undecided";

pub(super) struct World {
    pub(super) platform: Platform,
    pub(super) shutdown: Shutdown,
    pub(super) callbacks: SocketAddr,
    pub(super) http: reqwest::Client,
    pub(super) grpc: SocketAddr,
    acme: ApiKey,
    globex: ApiKey,
    host: Option<Host>,
    _dir: tempfile::TempDir,
}

pub(super) type Client = MessageServiceClient<tonic::service::interceptor::InterceptedService<Channel, Bearer>>;

#[derive(Clone)]
pub(super) struct Bearer(MetadataValue<tonic::metadata::Ascii>);

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

pub(super) async fn world() -> World {
    world_with(AdmissionConfig::default()).await
}

/// What was counted in this process so far. Whoever compares holds no world yet that was made without it.
fn page() -> &'static PrometheusHandle {
    static PAGE: OnceLock<PrometheusHandle> = OnceLock::new();
    PAGE.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap())
}

/// The value of the first counter of this name whose labels contain `label`.
pub(super) fn counted(name: &str, label: &str) -> u64 {
    let shown = page().render();
    let line = shown
        .lines()
        .find(|line| line.starts_with(name) && line.contains(label));
    line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).unwrap_or(0)
}

pub(super) async fn world_with(admission: AdmissionConfig) -> World {
    // Before anything is counted: what is made before the page is there counts nowhere.
    page();
    let dir = tempfile::tempdir().unwrap();
    let (acme, globex) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
    let platform = platform(dir.path(), &acme, &globex).await;
    let nowhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let runtime = RuntimeConfig {
        admin: ListenConfig::plain(nowhere),
        grpc: GrpcConfig::plain(nowhere),
        tenants: TenantsConfig { file: "unused".into() },
        telemetry: TelemetryConfig::default(),
        shutdown: ShutdownConfig::default(),
        admission,
    };
    let shutdown = Shutdown::new();
    let mut host = Host::new(platform.clone(), Supervisor::new(shutdown.clone()), &runtime);
    let config = Config {
        callbacks: ListenConfig::plain(nowhere),
        ..Config::default()
    };
    let mounted = assent_ingress::mount(&config, &mut host).await.unwrap();
    let addresses = host
        .serve(&runtime, FILE_DESCRIPTOR_SET, Metrics::detached())
        .await
        .unwrap();
    tokio::spawn(decide(platform.clone()));
    World {
        platform,
        shutdown,
        callbacks: mounted.callbacks,
        http: reqwest::Client::new(),
        grpc: addresses.grpc,
        acme,
        globex,
        host: Some(host),
        _dir: dir,
    }
}

async fn platform(dir: &std::path::Path, acme: &ApiKey, globex: &ApiKey) -> Platform {
    let text = format!(
        "[[tenants]]\nid = 'acme'\nverify_token = {{ env = 'V' }}\napp_secrets = [{{ env = 'A' }}]\n\
         access_token = {{ env = 'T' }}\n\
         keys = [{{ id = '{}', sha256 = '{}', scopes = ['send', 'read'] }}]\n\
         numbers = [{{ phone_number_id = '{NUMBER}', waba_id = '{ACCOUNT}', display = '+1 202-555-0100' }}]\n\
         [tenants.fetch_credentials.vault]\nkind = 'bearer'\nhosts = ['files.example']\nsecret = {{ env = 'T' }}\n\
         [[tenants]]\nid = 'globex'\napp_secrets = [{{ env = 'B' }}]\naccess_token = {{ env = 'T' }}\n\
         keys = [{{ id = '{}', sha256 = '{}', scopes = ['send', 'read'] }}]\n\
         numbers = [{{ phone_number_id = '{FOREIGN_NUMBER}', waba_id = '{FOREIGN_ACCOUNT}', display = '+1 303-555-0100' }}]\n",
        acme.id, acme.sha256, globex.id, globex.sha256
    );
    let environment: Environment = [
        ("V", VERIFY_TOKEN),
        ("A", APP_SECRET),
        ("B", FOREIGN_SECRET),
        ("T", "token"),
    ]
    .into_iter()
    .collect();
    let tenants = Tenants::parse(&text, &environment).unwrap();
    let config = PlatformConfig {
        database: new_database(dir).await,
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
    Platform::connect(&config, Arc::new(Directory::fixed(tenants)))
        .await
        .unwrap()
}

impl World {
    pub(super) async fn client(&self) -> Client {
        self.client_of(&self.acme).await
    }

    /// A client of the other tenant.
    pub(super) async fn stranger(&self) -> Client {
        self.client_of(&self.globex).await
    }

    async fn client_of(&self, key: &ApiKey) -> Client {
        let channel = Channel::from_shared(format!("http://{}", self.grpc))
            .unwrap()
            .connect()
            .await
            .unwrap();
        let bearer = format!("Bearer {}", key.key.expose()).parse().unwrap();
        MessageServiceClient::with_interceptor(channel, Bearer(bearer))
    }

    /// Everything in the log.
    pub(super) async fn log(&self) -> Vec<RecordedEvent> {
        self.platform.store.read_shard(SHARD, 0, 10_000).await.unwrap()
    }

    /// The events of one kind.
    pub(super) async fn events<E: DomainEvent>(&self, kind: &str) -> Vec<(RecordedEvent, E)> {
        let log = self.log().await;
        let of_kind = log.into_iter().filter(|event| event.kind == kind);
        of_kind
            .map(|event| (event.clone(), log::read(&event).unwrap()))
            .collect()
    }

    /// Posts a callback, signed as Meta would for `acme`.
    pub(super) async fn post(&self, body: &Value) -> u16 {
        let body = serde_json::to_vec(body).unwrap();
        let signature = signature::sign(&AppSecret::new(APP_SECRET), &body);
        self.post_signed("acme", body, Some(&signature)).await
    }

    /// Posts a body signed for a tenant.
    pub(super) async fn post_bytes(&self, body: Vec<u8>) -> u16 {
        let signature = signature::sign(&AppSecret::new(APP_SECRET), &body);
        self.post_signed("acme", body, Some(&signature)).await
    }

    pub(super) async fn post_signed(&self, tenant: &str, body: Vec<u8>, signature: Option<&str>) -> u16 {
        let mut request = self
            .http
            .post(format!("http://{}/callbacks/{tenant}", self.callbacks))
            .body(body);
        if let Some(signature) = signature {
            request = request.header("X-Hub-Signature-256", signature);
        }
        request.send().await.unwrap().status().as_u16()
    }

    /// Ends the process as SIGTERM does.
    pub(super) async fn stop(&mut self) {
        self.shutdown
            .begin(assent_runtime::shutdown::StopReason::Signal("SIGTERM"));
        let joined = self.host.take().unwrap().join();
        tokio::time::timeout(Duration::from_secs(20), joined)
            .await
            .unwrap()
            .unwrap();
    }
}

pub(super) fn parameter(text: &str) -> v1::TemplateParameter {
    v1::TemplateParameter {
        name: String::new(),
        value: Some(v1::template_parameter::Value::Text(text.into())),
    }
}

/// A good request.
pub(super) fn request(key: &str, template: &str) -> v1::SendMessageRequest {
    let template = v1::TemplateContent {
        name: template.into(),
        language: "en_US".into(),
        body_parameters: vec![parameter("Ana"), parameter("tomorrow")],
        ..v1::TemplateContent::default()
    };
    v1::SendMessageRequest {
        idempotency_key: key.into(),
        from: NUMBER.into(),
        to: Some(phone(ANA)),
        content: Some(v1::Content {
            kind: Some(v1::content::Kind::Template(template)),
            reply_to: None,
        }),
        tags: [("shop".to_owned(), "berlin".to_owned())].into(),
        ..v1::SendMessageRequest::default()
    }
}

pub(super) fn phone(number: &str) -> v1::Recipient {
    v1::Recipient {
        alias: Some(v1::recipient::Alias::PhoneNumber(number.into())),
    }
}

/// With a deadline, as callers' libraries set it.
pub(super) fn within<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

/// Code and reason of an error.
pub(super) fn reason(status: &Status) -> (Code, String) {
    let details = status.get_error_details();
    (status.code(), details.error_info().unwrap().reason.clone())
}

/// The fields an error names.
pub(super) fn bad_fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = &details.bad_request().unwrap().field_violations;
    violations.iter().map(|violation| violation.field.clone()).collect()
}

/// A callback of one change.
pub(super) fn change(account: &str, field: &str, value: &Value) -> Value {
    json!({"object": "whatsapp_business_account", "entry": [
        {"id": account, "time": 1_795_363_199, "changes": [{"field": field, "value": value}]}
    ]})
}

/// The value of a change of field `messages`.
pub(super) fn messages(number: &str, key: &str, items: &Value) -> Value {
    json!({"messaging_product": "whatsapp", "metadata": {"display_phone_number": "12025550100", "phone_number_id": number},
        key: items})
}

pub(super) fn status(status: &str, callback_data: Option<&str>) -> Value {
    json!({"id": "wamid.HBgLMTIwMjU1NTAxNDI=", "status": status, "timestamp": "1795363199", "recipient_id": "12025550142",
        "biz_opaque_callback_data": callback_data})
}

/// Waits until something holds; the deadline is far off, so that a slow machine is not a failure.
pub(super) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Decides as the consent service would, by the template's name alone.
async fn decide(platform: Platform) {
    let mut tail = platform.feeds.tail(SHARD, 0);
    loop {
        for event in tail.next(100).await.unwrap() {
            if event.kind != "request.submitted" {
                continue;
            }
            let Ok(RequestEvent::Submitted(submitted)) = log::read::<RequestEvent>(&event) else {
                continue;
            };
            let name = submitted.content.template().map(|template| template.name.to_string());
            let checked_at = Timestamp::from_micros(submitted.accepted_at.as_micros() + 1);
            let contact = ContactId::new(Uuid::from_u128(1));
            let decision: DecisionEvent = match name.as_deref() {
                Some(UNDECIDED) => continue,
                Some(REFUSED) => Refused {
                    contact,
                    contact_version: 0,
                    refusals: vec![
                        Refusal::new(RefusalReason::TemplatePaused, "Template refused is paused."),
                        Refusal::new(
                            RefusalReason::ConsentMissing,
                            "The person never agreed to marketing messages.",
                        ),
                    ],
                    checked_at,
                }
                .into(),
                _ => Box::new(Authorized {
                    contact,
                    contact_version: 3,
                    category: Category::Utility,
                    evidence: vec![Evidence::FreeForm, Evidence::NotSuppressed],
                    checked_at,
                    expires_at: submitted.expires_at,
                })
                .into(),
            };
            let actor = Actor::Service(Term::try_new("consent").unwrap());
            let origin = Origin::following(submitted.tenant.clone(), actor, &event);
            let message = MessageId::new(event.stream.key);
            let stream = platform.stream_of(StreamCategory::Decision, Subject::Message(message));
            let append = Append::new().write(stream, Expected::NoStream, [log::record(&decision, &origin)]);
            match platform.store.append(SHARD, append).await {
                Ok(_) | Err(AppendError::Conflict { .. } | AppendError::Closed) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

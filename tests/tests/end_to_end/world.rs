//! The four services on one host, the simulator, and a business with an API key.

use assent_event_store::generate_secret;
use assent_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{
        self, consent_service_client::ConsentServiceClient, event_service_client::EventServiceClient,
        message_service_client::MessageServiceClient, number_service_client::NumberServiceClient,
        template_service_client::TemplateServiceClient,
    },
};
use assent_runtime::{
    admission::AdmissionConfig,
    config::{Environment, Secret},
    grpc::GrpcConfig,
    host::Host,
    http::ListenConfig,
    platform::{DatabaseConfig, KeysConfig, MasterConfig, Platform, PlatformConfig},
    settings::{RuntimeConfig, TenantsConfig},
    shutdown::{Shutdown, ShutdownConfig},
    supervise::Supervisor,
    telemetry::{Metrics, TelemetryConfig},
    tenants::{ApiKey, Directory, Tenants},
};
use assent_simulator::{
    AcceptedMessage, Control, DEFAULT_ACCOUNT_ID, DEFAULT_APP_SECRET, DEFAULT_NUMBER_DIGITS, DEFAULT_NUMBER_ID,
    DEFAULT_TOKEN, DEFAULT_VERIFY_TOKEN, Filter, Handle, Latency, Mix, Simulator,
};
use serde_json::Value;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

const TENANT: &str = "acme";
/// The person that messages go to.
pub(crate) const ANA: &str = "+12025550142";
/// How long anything may take before it counts as never: far off, so that a slow machine is no failure.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

type Authorized = InterceptedService<Channel, Bearer>;

#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

pub(crate) struct World {
    simulator: Handle,
    channel: Authorized,
    // Everything ends with these.
    _host: Host,
    _directory: tempfile::TempDir,
}

pub(crate) async fn world() -> World {
    world_with_template(None).await
}

/// With one more template of this definition, approved at once.
pub(crate) async fn world_with_template(definition: Option<&Value>) -> World {
    let simulator = Simulator::start(assent_simulator::Config {
        mix: Mix::ideal(),
        latency: Latency::fast(),
        keep_bodies: true,
        ..assent_simulator::Config::default()
    });
    let simulator = simulator.await.unwrap();
    if let Some(definition) = definition {
        simulator.control().add_template(None, definition, None).unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let key = ApiKey::generate().unwrap();
    let (host, grpc, callbacks) = start(&simulator.url(), directory.path(), &key).await;
    let url = format!("http://{callbacks}/callbacks/{TENANT}");
    simulator.control().set_callback_url(None, Some(&url)).unwrap();
    let channel = Channel::from_shared(format!("http://{grpc}")).unwrap();
    let channel = channel.connect().await.unwrap();
    let bearer = format!("Bearer {}", key.key.expose()).parse().unwrap();
    let world = World {
        simulator,
        channel: InterceptedService::new(channel, Bearer(bearer)),
        _host: host,
        _directory: directory,
    };
    world.until_number_and_templates_are_known().await;
    world
}

async fn start(meta: &str, directory: &std::path::Path, key: &ApiKey) -> (Host, SocketAddr, SocketAddr) {
    let nowhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let runtime = RuntimeConfig {
        admin: ListenConfig::plain(nowhere),
        grpc: GrpcConfig::plain(nowhere),
        tenants: TenantsConfig { file: "unused".into() },
        telemetry: TelemetryConfig::default(),
        shutdown: ShutdownConfig::default(),
        admission: AdmissionConfig::default(),
    };
    let secret = || Secret::new(generate_secret().to_string());
    let platform = PlatformConfig {
        database: DatabaseConfig {
            postgres_url: None,
            sqlite_dir: Some(directory.to_owned()),
            connections_max: 4,
            shards: None,
            migrate: true,
        },
        keys: KeysConfig {
            master: MasterConfig {
                id: "m1".into(),
                key: secret(),
            },
            older_masters: Vec::new(),
            hash: secret(),
            policy: assent_event_store::KeyPolicy::default(),
        },
        nats: None,
    };
    let tenants = Arc::new(Directory::fixed(tenants(key)));
    let platform = Platform::connect(&platform, tenants).await.unwrap();
    let mut host = Host::new(platform, Supervisor::new(Shutdown::new()), &runtime);
    let mut tracker = assent_status_tracker::Config::default();
    meta.clone_into(&mut tracker.meta.base_url);
    assent_status_tracker::mount(&tracker, &mut host).await.unwrap();
    assent_consent::mount(&assent_consent::Config::default(), &mut host)
        .await
        .unwrap();
    let mut dispatcher = assent_dispatcher::Config::default();
    meta.clone_into(&mut dispatcher.meta.base_url);
    assent_dispatcher::mount(&dispatcher, &mut host).await.unwrap();
    let ingress = assent_ingress::Config {
        callbacks: ListenConfig::plain(nowhere),
        ..assent_ingress::Config::default()
    };
    let mounted = assent_ingress::mount(&ingress, &mut host).await.unwrap();
    let addresses = host.serve(&runtime, FILE_DESCRIPTOR_SET, Metrics::detached()).await;
    (host, addresses.unwrap().grpc, mounted.callbacks)
}

fn tenants(key: &ApiKey) -> Tenants {
    let text = format!(
        "[[tenants]]\nid = '{TENANT}'\nverify_token = {{ env = 'V' }}\napp_secrets = [{{ env = 'A' }}]\n\
         access_token = {{ env = 'T' }}\n\
         keys = [{{ id = '{}', sha256 = '{}', scopes = ['send', 'consent', 'read'] }}]\n\
         numbers = [{{ phone_number_id = '{DEFAULT_NUMBER_ID}', waba_id = '{DEFAULT_ACCOUNT_ID}', \
         display = '+{DEFAULT_NUMBER_DIGITS}' }}]\n\
         language_fallbacks = {{ pt = ['pt_PT', 'en_US'] }}\n",
        key.id, key.sha256
    );
    let environment: Environment = [
        ("V", DEFAULT_VERIFY_TOKEN),
        ("A", DEFAULT_APP_SECRET),
        ("T", DEFAULT_TOKEN),
    ]
    .into_iter()
    .collect();
    Tenants::parse(&text, &environment).unwrap()
}

pub(crate) fn phone(number: &str) -> v1::Recipient {
    v1::Recipient {
        alias: Some(v1::recipient::Alias::PhoneNumber(number.into())),
    }
}

/// A request to send this to Ana.
pub(crate) fn request(key: &str, content: v1::Content) -> v1::SendMessageRequest {
    v1::SendMessageRequest {
        idempotency_key: key.into(),
        from: DEFAULT_NUMBER_ID.into(),
        to: Some(phone(ANA)),
        content: Some(content),
        ..v1::SendMessageRequest::default()
    }
}

impl World {
    pub(crate) fn control(&self) -> &Control {
        self.simulator.control()
    }

    pub(crate) fn messages(&self) -> MessageServiceClient<Authorized> {
        MessageServiceClient::new(self.channel.clone())
    }

    pub(crate) fn consent(&self) -> ConsentServiceClient<Authorized> {
        ConsentServiceClient::new(self.channel.clone())
    }

    pub(crate) fn events(&self) -> EventServiceClient<Authorized> {
        EventServiceClient::new(self.channel.clone())
    }

    pub(crate) fn numbers(&self) -> NumberServiceClient<Authorized> {
        NumberServiceClient::new(self.channel.clone())
    }

    pub(crate) fn templates(&self) -> TemplateServiceClient<Authorized> {
        TemplateServiceClient::new(self.channel.clone())
    }

    pub(crate) async fn check(&self, content: v1::Content) -> v1::CheckMessageResponse {
        self.try_to_check(content).await.unwrap()
    }

    pub(crate) async fn try_to_check(&self, content: v1::Content) -> Result<v1::CheckMessageResponse, Status> {
        let request = v1::CheckMessageRequest {
            from: DEFAULT_NUMBER_ID.into(),
            to: Some(phone(ANA)),
            content: Some(content),
            ..v1::CheckMessageRequest::default()
        };
        let checked = self.consent().check_message(request).await?;
        Ok(checked.into_inner())
    }

    async fn until_number_and_templates_are_known(&self) {
        let template = crate::content::template("hello_world");
        eventually("number and templates are not learned", async || {
            let decision = self.check(template.clone()).await.decision.unwrap();
            let refusals = decision.refusals.iter();
            let gates: Vec<v1::Gate> = refusals.map(v1::Refusal::gate).collect();
            (!gates.contains(&v1::Gate::Number) && !gates.contains(&v1::Gate::Template)).then_some(())
        })
        .await;
    }

    /// Ana agrees to everything that templates may be.
    pub(crate) async fn opt_in(&self) {
        let categories = [
            v1::MessageCategory::Utility,
            v1::MessageCategory::Marketing,
            v1::MessageCategory::Authentication,
        ];
        let request = v1::RecordOptInRequest {
            contact: Some(phone(ANA)),
            categories: categories.map(Into::into).to_vec(),
            evidence: Some(v1::OptInEvidence {
                source: v1::OptInSource::WebForm.into(),
                ..v1::OptInEvidence::default()
            }),
            occurred_at: None,
        };
        self.consent().record_opt_in(request).await.unwrap();
    }

    /// Ana writes, so that she may be answered with anything. Gives Meta's id of what she wrote.
    pub(crate) async fn open_window(&self) -> String {
        let wamid = self.control().write_text(ANA, None, "Hello").unwrap();
        let text = crate::content::text("Hi");
        eventually("the window does not open", async || {
            self.check(text.clone()).await.allowed.then_some(())
        })
        .await;
        wamid
    }

    pub(crate) async fn send(&self, request: v1::SendMessageRequest) -> Result<v1::SendMessageResponse, Status> {
        self.messages()
            .send_message(request)
            .await
            .map(tonic::Response::into_inner)
    }

    /// A message as it stands, with its timeline.
    pub(crate) async fn get(&self, message_id: &str) -> v1::Message {
        let request = v1::GetMessageRequest {
            key: Some(v1::get_message_request::Key::MessageId(message_id.to_owned())),
            include_timeline: true,
        };
        let response = self.messages().get_message(request).await.unwrap();
        response.into_inner().message.unwrap()
    }

    /// The message once it has come that far; states are in the order of what they say.
    pub(crate) async fn until(&self, message_id: &str, state: v1::MessageState) -> v1::Message {
        eventually(&format!("the message does not become {state:?}"), async || {
            let message = self.get(message_id).await;
            (message.state() >= state).then_some(message)
        })
        .await
    }

    /// What the simulator accepted so far, with the bodies.
    pub(crate) fn accepted(&self) -> Vec<(AcceptedMessage, Value)> {
        let filter = Filter {
            bodies: true,
            ..Filter::default()
        };
        let accepted = self.control().accepted(&filter).unwrap();
        let with_body = |message: AcceptedMessage| {
            let body = message.body.as_ref().unwrap();
            let body = serde_json::from_str(body.get()).unwrap();
            (message, body)
        };
        accepted.into_iter().map(with_body).collect()
    }
}

/// Waits until something is there.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(POLL).await;
    }
}

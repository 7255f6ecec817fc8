//! The gRPC and admin ports over real sockets on free ports: keys, scopes, health, reflection, TLS, the end.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use assent_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{
        self, GetNumberHistoryRequest, GetNumberHistoryResponse, GetNumberRequest, GetNumberResponse,
        ListNumbersRequest, ListNumbersResponse,
        number_service_client::NumberServiceClient,
        number_service_server::{NumberService, NumberServiceServer},
    },
};
use assent_runtime::{
    admin::{self, Readiness},
    api_error::{ApiError, ErrorCode},
    config::Environment,
    grpc::{self, GrpcConfig, GrpcServer},
    http::{HttpServer, ListenConfig, Protocol},
    shutdown::{Shutdown, StopReason},
    telemetry::Metrics,
    tenants::{ApiKey, Directory, Scope, Tenants},
    tls::TlsConfig,
};
use std::{net::SocketAddr, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{Notify, Semaphore},
    task::JoinHandle,
};
use tonic::{
    Code, Request, Response, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tonic_types::StatusExt as _;

const NOWHERE: &str = "127.0.0.1:0";
const MESSAGE_BYTES_MAX: usize = 2_048;

/// A service that answers who asked, and waits when told to.
struct Numbers {
    entered: Arc<Notify>,
    gate: Arc<Semaphore>,
}

/// Calls that no test here makes. Written out as `async_trait` would, which does not look into macros.
macro_rules! not_called {
    ($($method:ident($request:ident) -> $response:ident;)*) => {$(
        fn $method<'a, 'b>(
            &'a self,
            _: Request<v1::$request>,
        ) -> Pin<Box<dyn Future<Output = Result<Response<v1::$response>, Status>> + Send + 'b>>
        where
            'a: 'b,
            Self: 'b,
        {
            Box::pin(async { Err(Status::unimplemented(stringify!($method))) })
        }
    )*};
}

#[tonic::async_trait]
impl NumberService for Numbers {
    async fn get_number(&self, request: Request<GetNumberRequest>) -> Result<Response<GetNumberResponse>, Status> {
        let principal = grpc::require(&request, Scope::Read)?;
        if request.get_ref().phone_number_id.is_empty() {
            let error = ApiError::new(ErrorCode::InvalidRequest).field("phone_number_id", "is required");
            return Err(error.into());
        }
        self.entered.notify_one();
        let _open = self.gate.acquire().await.map_err(ApiError::internal)?;
        let number = v1::Number {
            phone_number_id: request.into_inner().phone_number_id,
            display_phone_number: principal.tenant.to_string(),
            ..v1::Number::default()
        };
        Ok(Response::new(GetNumberResponse { number: Some(number) }))
    }

    async fn list_numbers(
        &self,
        request: Request<ListNumbersRequest>,
    ) -> Result<Response<ListNumbersResponse>, Status> {
        grpc::require(&request, Scope::Admin)?;
        Ok(Response::new(ListNumbersResponse::default()))
    }

    async fn get_number_history(
        &self,
        _: Request<GetNumberHistoryRequest>,
    ) -> Result<Response<GetNumberHistoryResponse>, Status> {
        Err(ApiError::new(ErrorCode::NumberUnknown).into())
    }

    not_called! {
        get_business_profile(GetBusinessProfileRequest) -> GetBusinessProfileResponse;
        update_business_profile(UpdateBusinessProfileRequest) -> UpdateBusinessProfileResponse;
        list_blocked_users(ListBlockedUsersRequest) -> ListBlockedUsersResponse;
        block_users(BlockUsersRequest) -> BlockUsersResponse;
        unblock_users(UnblockUsersRequest) -> UnblockUsersResponse;
        get_callback_subscription(GetCallbackSubscriptionRequest) -> GetCallbackSubscriptionResponse;
        mark_read(MarkReadRequest) -> MarkReadResponse;
    }
}

struct Running {
    address: SocketAddr,
    key: ApiKey,
    revoked: ApiKey,
    readiness: Readiness,
    shutdown: Shutdown,
    entered: Arc<Notify>,
    gate: Arc<Semaphore>,
    server: JoinHandle<()>,
}

async fn start(tls: Option<TlsConfig>) -> Running {
    let (key, revoked) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
    let text = format!(
        "[[tenants]]\nid = 'acme'\nkeys = [\n\
         {{ id = '{}', sha256 = '{}', scopes = ['read'] }},\n\
         {{ id = '{}', sha256 = '{}', scopes = ['read'], revoked = true }},\n]\n",
        key.id, key.sha256, revoked.id, revoked.sha256
    );
    let directory = Arc::new(Directory::fixed(
        Tenants::parse(&text, &Environment::default()).unwrap(),
    ));
    let (readiness, shutdown) = (Readiness::new(), Shutdown::new());
    let (entered, gate) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(1_000)));
    let numbers = Numbers {
        entered: Arc::clone(&entered),
        gate: Arc::clone(&gate),
    };
    let config = GrpcConfig {
        tls,
        ..GrpcConfig::plain(NOWHERE.parse().unwrap())
    };
    let server = GrpcServer::bind(&config).await.unwrap();
    let address = server.local_addr();
    let numbers = NumberServiceServer::new(numbers).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let services = tonic::service::Routes::new(numbers);
    let (ready, stop) = (readiness.clone(), shutdown.clone());
    let server = tokio::spawn(async move {
        server
            .serve(services, &[FILE_DESCRIPTOR_SET], directory, ready, stop)
            .await
            .unwrap();
    });
    Running {
        address,
        key,
        revoked,
        readiness,
        shutdown,
        entered,
        gate,
        server,
    }
}

impl Running {
    async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }
}

fn ask(phone_number_id: &str, authorization: impl Into<Option<String>>) -> Request<GetNumberRequest> {
    let mut request = Request::new(GetNumberRequest {
        phone_number_id: phone_number_id.to_owned(),
    });
    if let Some(authorization) = authorization.into() {
        request
            .metadata_mut()
            .insert("authorization", authorization.parse().unwrap());
    }
    request
}

fn bearer(key: &ApiKey) -> String {
    format!("Bearer {}", key.key.expose())
}

fn reason_of(status: &Status) -> String {
    status
        .get_error_details()
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default()
}

#[tokio::test]
async fn a_call_with_a_key_reaches_the_service_as_its_tenant() {
    let running = start(None).await;
    let mut client = NumberServiceClient::new(running.channel().await);
    let answer = client
        .get_number(ask("42", bearer(&running.key)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.number.unwrap().display_phone_number, "acme");
}

#[tokio::test]
async fn missing_wrong_and_revoked_keys_each_have_their_answer() {
    let running = start(None).await;
    let mut client = NumberServiceClient::new(running.channel().await);
    let stranger = ApiKey::generate().unwrap();
    for (authorization, reason) in [
        (None, "API_KEY_MISSING"),
        (Some("Basic abc".to_owned()), "API_KEY_MISSING"),
        (Some("Bearer nonsense".to_owned()), "API_KEY_INVALID"),
        (Some(bearer(&stranger)), "API_KEY_INVALID"),
        (Some(bearer(&running.revoked)), "API_KEY_REVOKED"),
    ] {
        let status = client.get_number(ask("42", authorization)).await.unwrap_err();
        assert_eq!(
            (status.code(), reason_of(&status).as_str()),
            (Code::Unauthenticated, reason)
        );
    }
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let running = start(None).await;
    let mut client = NumberServiceClient::new(running.channel().await);
    let mut request = Request::new(ListNumbersRequest::default());
    request
        .metadata_mut()
        .insert("authorization", bearer(&running.key).parse().unwrap());
    let status = client.list_numbers(request).await.unwrap_err();
    assert_eq!(
        (status.code(), reason_of(&status).as_str()),
        (Code::PermissionDenied, "SCOPE_MISSING")
    );
    assert_eq!(
        status.get_error_details().error_info().unwrap().metadata["scope"],
        "admin"
    );
}

#[tokio::test]
async fn rich_errors_and_size_limits_arrive_at_the_caller() {
    let running = start(None).await;
    let mut client = NumberServiceClient::new(running.channel().await);
    let status = client.get_number(ask("", bearer(&running.key))).await.unwrap_err();
    let details = status.get_error_details();
    assert_eq!(
        details.bad_request().unwrap().field_violations[0].field,
        "phone_number_id"
    );

    let status = client
        .get_number(ask(&"4".repeat(10_000), bearer(&running.key)))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), reason_of(&status).as_str()),
        (Code::InvalidArgument, "BODY_TOO_LARGE")
    );
}

#[tokio::test]
async fn health_follows_readiness_and_needs_no_key() {
    let running = start(None).await;
    let mut client = HealthClient::new(running.channel().await);
    let request = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    for service in ["", "assent.v1.NumberService"] {
        let mut watch = client.watch(request(service)).await.unwrap().into_inner();
        let mut next = async || watch.message().await.unwrap().unwrap().status();
        // The first answer may be older than the first report.
        let mut status = next().await;
        while status != ServingStatus::Serving {
            status = next().await;
        }
        running.readiness.condition("database").unmet("not reachable");
        assert_eq!(next().await, ServingStatus::NotServing);
        running.readiness.condition("database").met();
        assert_eq!(next().await, ServingStatus::Serving);
    }
}

#[tokio::test]
async fn reflection_lists_the_services_and_needs_no_key() {
    let running = start(None).await;
    let mut client = ServerReflectionClient::new(running.channel().await);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}")
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(
        names.contains(&"assent.v1.MessageService") && names.contains(&"grpc.health.v1.Health"),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_call_in_hand_is_finished_before_the_server_ends() {
    let running = start(None).await;
    let permits = running.gate.acquire_many(1_000).await.unwrap();
    let mut client = NumberServiceClient::new(running.channel().await);
    let request = ask("42", bearer(&running.key));
    let call = tokio::spawn(async move { client.get_number(request).await });
    running.entered.notified().await;
    running.shutdown.begin(StopReason::Requested("test".into()));
    running.shutdown.soft().cancelled().await;
    assert!(!running.server.is_finished());
    drop(permits);
    assert!(call.await.unwrap().is_ok());
    running.server.await.unwrap();
    assert!(
        tokio::net::TcpStream::connect(running.address).await.is_err(),
        "the port is closed"
    );
}

#[tokio::test]
async fn the_hard_shutdown_drops_calls_in_hand() {
    let running = start(None).await;
    let _permits = running.gate.acquire_many(1_000).await.unwrap();
    let mut client = NumberServiceClient::new(running.channel().await);
    let request = ask("42", bearer(&running.key));
    let call = tokio::spawn(async move { client.get_number(request).await });
    running.entered.notified().await;
    running.shutdown.force();
    running.server.await.unwrap();
    assert!(call.await.unwrap().is_err());
}

/// A certificate for `localhost` in files, and the same as PEM.
fn certificate(folder: &std::path::Path) -> (TlsConfig, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let config = TlsConfig {
        certificate_file: folder.join("tls.crt"),
        key_file: folder.join("tls.key"),
    };
    std::fs::write(&config.certificate_file, made.cert.pem()).unwrap();
    std::fs::write(&config.key_file, made.signing_key.serialize_pem()).unwrap();
    (config, made.cert.pem())
}

#[tokio::test]
async fn the_same_works_over_tls_and_plain_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, authority) = certificate(folder.path());
    let running = start(Some(tls)).await;
    let channel = Endpoint::from_shared(format!("https://localhost:{}", running.address.port()))
        .unwrap()
        .tls_config(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let answer = NumberServiceClient::new(channel)
        .get_number(ask("42", bearer(&running.key)))
        .await
        .unwrap();
    assert_eq!(answer.into_inner().number.unwrap().display_phone_number, "acme");

    let plain = Endpoint::from_shared(format!("http://{}", running.address))
        .unwrap()
        .connect()
        .await;
    if let Ok(channel) = plain {
        assert!(
            NumberServiceClient::new(channel)
                .get_number(ask("42", bearer(&running.key)))
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn a_wrong_certificate_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, _) = certificate(folder.path());
    std::fs::write(&tls.certificate_file, "not a certificate").unwrap();
    let config = GrpcConfig {
        tls: Some(tls),
        ..GrpcConfig::plain(NOWHERE.parse().unwrap())
    };
    let error = GrpcServer::bind(&config).await.unwrap_err().to_string();
    assert!(error.contains("tls.crt"), "{error}");
}

/// Status line and body of a GET over a bare socket.
async fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn the_admin_port_says_whether_and_why_not() {
    let (readiness, shutdown) = (Readiness::new(), Shutdown::new());
    let config = ListenConfig::plain(NOWHERE.parse().unwrap());
    let server = HttpServer::bind(&config, Protocol::Http).await.unwrap();
    let address = server.local_addr();
    let router = admin::router(readiness.clone(), Metrics::detached());
    let serving = tokio::spawn(server.serve(router, shutdown.clone()));

    assert_eq!(get(address, "/livez").await.0, "HTTP/1.1 200 OK");
    assert_eq!(get(address, "/readyz").await.0, "HTTP/1.1 200 OK");
    readiness.condition("database").unmet("not reachable");
    let (status, body) = get(address, "/readyz").await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["conditions"][0]["name"], "database");
    assert_eq!(body["conditions"][0]["reason"], "not reachable");
    assert_eq!(get(address, "/metrics").await.0, "HTTP/1.1 200 OK");
    assert_eq!(get(address, "/nothing").await.0, "HTTP/1.1 404 Not Found");

    shutdown.force();
    tokio::time::timeout(Duration::from_secs(10), serving)
        .await
        .unwrap()
        .unwrap();
}

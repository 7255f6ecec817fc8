//! The public API of a running system, as a business backend calls it.

use std::net::SocketAddr;

use assent_proto::v1::{
    consent_service_client::ConsentServiceClient, event_service_client::EventServiceClient,
    message_service_client::MessageServiceClient, number_service_client::NumberServiceClient,
    suppression_service_client::SuppressionServiceClient, tracking_service_client::TrackingServiceClient,
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use super::role::Role;

/// A connection whose calls carry an API key.
pub type Authorized = InterceptedService<Channel, ApiKeyHeader>;

/// Adds an API key to each call.
#[derive(Debug, Clone)]
pub struct ApiKeyHeader(MetadataValue<Ascii>);

impl ApiKeyHeader {
    /// The header of a key.
    ///
    /// # Panics
    /// If the key has characters that no header may have.
    pub fn new(key: &str) -> Self {
        let value = format!("Bearer {key}");
        Self(value.parse().expect("API keys are letters, digits and _"))
    }
}

impl Interceptor for ApiKeyHeader {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// All services, called with one API key. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    /// Sending, at the ingress.
    pub messages: MessageServiceClient<Authorized>,
    /// Consent, at the consent service.
    pub consent: ConsentServiceClient<Authorized>,
    /// Counts, at the status-tracker.
    pub tracking: TrackingServiceClient<Authorized>,
    /// Numbers, at the status-tracker.
    pub numbers: NumberServiceClient<Authorized>,
    /// Suppressions, at the status-tracker.
    pub suppressions: SuppressionServiceClient<Authorized>,
    /// Events, at the status-tracker.
    pub events: EventServiceClient<Authorized>,
}

impl Client {
    /// A client that connects, and connects again, when it is first used. `address` says where each role listens.
    pub fn new(key: &str, address: impl Fn(Role) -> SocketAddr) -> anyhow::Result<Self> {
        let header = ApiKeyHeader::new(key);
        let channel = |role| -> anyhow::Result<Authorized> {
            Ok(InterceptedService::new(connect_lazily(address(role))?, header.clone()))
        };
        let tracker = channel(Role::StatusTracker)?;
        Ok(Self {
            messages: MessageServiceClient::new(channel(Role::Ingress)?),
            consent: ConsentServiceClient::new(channel(Role::Consent)?),
            tracking: TrackingServiceClient::new(tracker.clone()),
            numbers: NumberServiceClient::new(tracker.clone()),
            suppressions: SuppressionServiceClient::new(tracker.clone()),
            events: EventServiceClient::new(tracker),
        })
    }
}

/// A connection that is made when it is first used, and again when it breaks.
pub fn connect_lazily(address: SocketAddr) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    Ok(endpoint.connect_lazy())
}

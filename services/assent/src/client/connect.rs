//! The way to a server.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Args;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

const CONNECT_MAX: Duration = Duration::from_secs(5);

const ENDPOINT_DEFAULT: &str = "http://127.0.0.1:50051";
const ENDPOINT_VARIABLE: &str = "ASSENT_ENDPOINT";

/// The service that a command calls. One address reaches all of them in `assent up` and behind a gateway; where each is a
/// process with a port of its own, as in `docker-compose.yml`, a variable names the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Messages,
    Consent,
    Events,
    Media,
}

impl Service {
    /// The address: what was given with the command, the service's own variable, that of all services, the default.
    fn address(self, given: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> String {
        let own = match self {
            Self::Messages => None,
            Self::Consent => variable("ASSENT_CONSENT_ENDPOINT"),
            Self::Events => variable("ASSENT_EVENTS_ENDPOINT"),
            Self::Media => variable("ASSENT_MEDIA_ENDPOINT"),
        };
        let given = given.map(ToOwned::to_owned);
        given
            .or(own)
            .or_else(|| variable(ENDPOINT_VARIABLE))
            .unwrap_or_else(|| ENDPOINT_DEFAULT.to_owned())
    }
}

/// Which server, and by which key.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Where Assent answers callers [env: ASSENT_CONSENT_ENDPOINT, ASSENT_EVENTS_ENDPOINT or ASSENT_MEDIA_ENDPOINT for a
    /// service with an address of its own, else ASSENT_ENDPOINT] [default: http://127.0.0.1:50051]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// API key; better given by the environment
    #[arg(long, value_name = "KEY", env = "ASSENT_API_KEY", hide_env_values = true)]
    api_key: String,
    /// PEM file with the certificate authority of an https endpoint
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// How long an answer may take, in seconds
    #[arg(long, default_value_t = 30)]
    timeout_seconds: u64,
    /// Answer in JSON, as the contract assent.v1 maps it
    #[arg(long)]
    pub(super) json: bool,
}

/// A channel on which every call carries the API key.
pub(crate) type Authorized = InterceptedService<Channel, Bearer>;

/// Puts the API key on each call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    /// The key as callers present it.
    pub(crate) fn try_new(key: &str) -> anyhow::Result<Self> {
        let header = format!("Bearer {key}").parse();
        let mut header: MetadataValue<Ascii> = header.context("the API key has characters that no key has")?;
        header.set_sensitive(true);
        Ok(Self(header))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl Target {
    /// Connects; each call then gets the time given.
    pub(super) async fn connect(&self, service: Service) -> anyhow::Result<Authorized> {
        let address = self.address(service);
        let endpoint = self.endpoint(&address)?;
        self.connected(endpoint.timeout(Duration::from_secs(self.timeout_seconds)), &address)
            .await
    }

    /// Connects for a stream, which may last.
    pub(super) async fn connect_for_stream(&self, service: Service) -> anyhow::Result<Authorized> {
        let address = self.address(service);
        self.connected(self.endpoint(&address)?, &address).await
    }

    fn address(&self, service: Service) -> String {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        service.address(self.endpoint.as_deref(), variable)
    }

    fn endpoint(&self, address: &str) -> anyhow::Result<Endpoint> {
        let endpoint = Endpoint::from_shared(address.to_owned());
        let endpoint = endpoint.with_context(|| format!("{address} is not a URL"))?;
        let endpoint = endpoint.connect_timeout(CONNECT_MAX).tcp_nodelay(true);
        let Some(file) = &self.ca_file else {
            return Ok(endpoint);
        };
        let pem = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
        Ok(endpoint.tls_config(tls)?)
    }

    async fn connected(&self, endpoint: Endpoint, address: &str) -> anyhow::Result<Authorized> {
        let bearer = Bearer::try_new(&self.api_key)?;
        let channel = endpoint.connect().await;
        let channel = channel.with_context(|| {
            format!("nothing answers at {address}; is `assent up` running there, and is the address right?")
        })?;
        Ok(InterceptedService::new(channel, bearer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_about_an_address_wins() {
        let variable = |name: &str| match name {
            "ASSENT_CONSENT_ENDPOINT" => Some("http://consent:1".to_owned()),
            "ASSENT_ENDPOINT" => Some("http://all:1".to_owned()),
            _ => None,
        };
        assert_eq!(
            Service::Consent.address(Some("http://here:1"), variable),
            "http://here:1"
        );
        assert_eq!(Service::Consent.address(None, variable), "http://consent:1");
        assert_eq!(Service::Events.address(None, variable), "http://all:1");
        assert_eq!(Service::Messages.address(None, variable), "http://all:1");
        assert_eq!(Service::Consent.address(None, |_| None), ENDPOINT_DEFAULT);
    }
}

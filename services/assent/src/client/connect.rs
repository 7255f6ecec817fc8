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

/// Which server, and by which key.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Where Assent answers callers
    #[arg(
        long,
        value_name = "URL",
        env = "ASSENT_ENDPOINT",
        default_value = "http://127.0.0.1:50051"
    )]
    endpoint: String,
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
    pub(super) async fn connect(&self) -> anyhow::Result<Authorized> {
        let endpoint = self.endpoint()?.timeout(Duration::from_secs(self.timeout_seconds));
        self.connected(endpoint).await
    }

    /// Connects for a stream, which may last.
    pub(super) async fn connect_for_stream(&self) -> anyhow::Result<Authorized> {
        self.connected(self.endpoint()?).await
    }

    fn endpoint(&self) -> anyhow::Result<Endpoint> {
        let endpoint = Endpoint::from_shared(self.endpoint.clone());
        let endpoint = endpoint.with_context(|| format!("{} is not a URL", self.endpoint))?;
        let endpoint = endpoint.connect_timeout(CONNECT_MAX).tcp_nodelay(true);
        let Some(file) = &self.ca_file else {
            return Ok(endpoint);
        };
        let pem = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
        Ok(endpoint.tls_config(tls)?)
    }

    async fn connected(&self, endpoint: Endpoint) -> anyhow::Result<Authorized> {
        let bearer = Bearer::try_new(&self.api_key)?;
        let channel = endpoint.connect().await;
        let channel = channel.with_context(|| {
            format!(
                "nothing answers at {}; is `assent up` running there, and is the address right?",
                self.endpoint
            )
        })?;
        Ok(InterceptedService::new(channel, bearer))
    }
}

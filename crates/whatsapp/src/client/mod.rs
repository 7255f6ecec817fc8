//! The HTTP calls to Meta's Graph API.
//!
//! HTTP/1.1 on purpose: a lost connection then leaves the outcome of at most one send unknown, and the number of open
//! connections is the number of calls in flight. Redirects are not followed and nothing is retried here, for a silent second
//! POST would be a second message.

mod block;
mod config;
mod inspect;
mod media;
mod number;
mod profile;
mod read;
mod send;
mod subscription;
mod template;
mod template_change;
mod transport;

pub use block::{BlockFailure, BlockOutcome, BlockedPage, BlockedUser};
pub use config::{ClientConfig, ClientError};
pub use inspect::TokenInfo;
pub use media::{DownloadError, MediaFile, MediaInfo};
pub use number::{
    CodeVerification, NameStatus, NumberInfo, NumberStatus, PlatformType, QualityRating, ThroughputLevel,
};
pub use profile::{BusinessProfile, BusinessProfileUpdate};
pub use send::{AcceptedStatus, MessageRoute, SendAccepted, SendError, UnknownOutcome};
pub use subscription::{CallbackOverride, CallbackUrls, SubscribedApp};
pub use template::{TemplateCategory, TemplateComponent, TemplateInfo, TemplatePage, TemplateQuery, TemplateStatus};
pub use template_change::{TemplateCreated, TemplateEdit, TemplateSelection};
pub use transport::{CallError, ChangeError, NotSentReason};

use reqwest::Url;

/// A client with one connection pool. Cloning is cheap and shares the pool; one per process is enough for all numbers and tokens.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Client")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Builds the pool. Fails for a base URL that is none, time-outs that contradict each other, or when the machine has no certificates to trust.
    pub fn try_new(config: &ClientConfig) -> Result<Self, ClientError> {
        config.check()?;
        let base = config.versioned_base()?;
        let mut builder = reqwest::Client::builder()
            .http1_only()
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(std::time::Duration::from_millis(config.connect_timeout_ms))
            .timeout(std::time::Duration::from_millis(config.total_timeout_ms))
            .pool_idle_timeout(std::time::Duration::from_millis(config.pool_idle_timeout_ms))
            .pool_max_idle_per_host(config.pool_idle_connections_max)
            .tcp_nodelay(true)
            .user_agent(concat!("assent-whatsapp/", env!("CARGO_PKG_VERSION")));
        if !config.use_system_proxy {
            builder = builder.no_proxy();
        }
        if let Some(pem) = &config.extra_root_certificates_pem {
            let roots = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(ClientError::Certificates)?;
            builder = builder.tls_certs_merge(roots);
        }
        Ok(Self {
            http: builder.build().map_err(ClientError::Tls)?,
            base,
        })
    }

    /// `{base}/{version}/{segments…}`; each segment is percent-encoded, so an id can never leave its place.
    fn url<const N: usize>(&self, segments: [&str; N]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

#[cfg(test)]
mod management_tests;
#[cfg(test)]
mod tests;

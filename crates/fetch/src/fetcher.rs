//! One fetch, from the link to the bytes.

use crate::{
    address::{self, NotPublic},
    credential::Credential,
    limits,
    resolver::{Forbidden, Guard, Resolve, SystemResolver},
};
use bytes::{Bytes, BytesMut};
use ipnet::IpNet;
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, LOCATION},
    redirect,
};
use std::{error::Error as StdError, io, net::IpAddr, sync::Arc, time::Duration};

/// What a fetcher may do.
#[derive(Debug, Clone)]
pub struct FetchConfig {
    /// How long a fetch may take in all: look-up, redirects and every byte.
    pub timeout: Duration,
    /// Whether `http` links are taken too. Without TLS whoever stands in between chooses the bytes.
    pub allow_http: bool,
    /// Networks that may be called although they are not public.
    pub allow_networks: Vec<IpNet>,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            allow_http: false,
            allow_networks: Vec::new(),
        }
    }
}

/// No fetcher could be made: TLS could not be set up, most often because the machine has no root certificates.
#[derive(Debug, thiserror::Error)]
#[error("TLS could not be set up for fetching")]
pub struct Unbuildable(#[source] reqwest::Error);

/// Why a link was not fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Not an absolute https link without a login in it, or too long.
    #[error("the link is not an absolute https address without a login in it")]
    Link,
    /// The host has an address that strangers may not make us call.
    #[error("the link leads to an address that is not public ({})", .0.as_str())]
    Address(NotPublic),
    /// The credential was not made for the host of the link.
    #[error("the credential is not for the host of the link")]
    CredentialForOthers,
    /// The host has no address.
    #[error("the host of the link cannot be found")]
    HostUnknown,
    /// No connection, or none that can be trusted.
    #[error("no connection to the host of the link")]
    Unreachable,
    /// The connection broke before the file was complete.
    #[error("the connection broke before the file was complete")]
    ConnectionLost,
    /// It took too long.
    #[error("fetching took longer than {} seconds", .after.as_secs())]
    Timeout {
        /// The time it had.
        after: Duration,
    },
    /// The answer is not a file.
    #[error("the host answered with HTTP status {http_status}")]
    Status {
        /// Its status.
        http_status: u16,
    },
    /// A redirect to nowhere.
    #[error("the host redirects to something that is not a link")]
    Redirect,
    /// More redirects than are followed.
    #[error("more than {} redirects", limits::REDIRECTS_MAX)]
    TooManyRedirects,
    /// More bytes than were asked for.
    #[error("the file has more than {bytes_max} bytes")]
    TooLarge {
        /// What was asked for.
        bytes_max: usize,
    },
    /// The file comes compressed although that was not asked for.
    #[error("the host sends the file compressed")]
    Encoded,
}

impl FetchError {
    /// A short word for logs, metrics and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link_unfit",
            Self::Address(_) => "address_not_public",
            Self::CredentialForOthers => "credential_for_other_hosts",
            Self::HostUnknown => "host_unknown",
            Self::Unreachable => "host_unreachable",
            Self::ConnectionLost => "connection_lost",
            Self::Timeout { .. } => "timeout",
            Self::Status { .. } => "http_status",
            Self::Redirect => "redirect_unfit",
            Self::TooManyRedirects => "too_many_redirects",
            Self::TooLarge { .. } => "too_large",
            Self::Encoded => "compressed",
        }
    }

    /// Whether the same fetch may work in a while without anybody changing anything.
    pub const fn is_passing(self) -> bool {
        match self {
            Self::HostUnknown | Self::Unreachable | Self::ConnectionLost | Self::Timeout { .. } => true,
            Self::Status { http_status } => http_status >= 500 || matches!(http_status, 408 | 425 | 429),
            Self::Link
            | Self::Address(_)
            | Self::CredentialForOthers
            | Self::Redirect
            | Self::TooManyRedirects
            | Self::TooLarge { .. }
            | Self::Encoded => false,
        }
    }
}

/// A file as a host gave it.
#[derive(Clone)]
pub struct Fetched {
    /// Its bytes.
    pub bytes: Bytes,
    /// The media type that the host claims; not to be believed.
    pub media_type: Option<String>,
}

impl std::fmt::Debug for Fetched {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Fetched")
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// Fetches links. Cloning is cheap; one a process is enough.
#[derive(Debug, Clone)]
pub struct Fetcher {
    http: Client,
    timeout: Duration,
    allow_http: bool,
    allowed: Arc<[IpNet]>,
}

impl Fetcher {
    /// A fetcher that looks hosts up as the machine does.
    pub fn try_new(config: &FetchConfig) -> Result<Self, Unbuildable> {
        Self::with_resolver(config, Arc::new(SystemResolver))
    }

    /// A fetcher that looks hosts up otherwise.
    pub fn with_resolver(config: &FetchConfig, resolver: Arc<dyn Resolve>) -> Result<Self, Unbuildable> {
        let allowed: Arc<[IpNet]> = config.allow_networks.clone().into();
        let guard = Guard {
            resolver,
            allowed: Arc::clone(&allowed),
        };
        let http = Client::builder()
            .no_proxy()
            .http1_only()
            .retry(reqwest::retry::never())
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(config.timeout)
            // Each fetch looks its host up anew, and no connection that one tenant logged in on serves another.
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(guard))
            .user_agent(concat!("assent-fetch/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Unbuildable)?;
        Ok(Self {
            http,
            timeout: config.timeout,
            allow_http: config.allow_http,
            allowed,
        })
    }

    /// Fetches a file of at most `bytes_max` bytes.
    pub async fn fetch(
        &self,
        link: &str,
        credential: Option<&Credential>,
        bytes_max: usize,
    ) -> Result<Fetched, FetchError> {
        let after = self.timeout;
        tokio::time::timeout(after, self.follow(link, credential, bytes_max))
            .await
            .unwrap_or(Err(FetchError::Timeout { after }))
    }

    async fn follow(
        &self,
        link: &str,
        credential: Option<&Credential>,
        bytes_max: usize,
    ) -> Result<Fetched, FetchError> {
        let mut url = self.link(link)?;
        let first = url.origin();
        if credential.is_some_and(|credential| !credential.is_for(url.host_str().unwrap_or_default())) {
            return Err(FetchError::CredentialForOthers);
        }
        for _ in 0..=limits::REDIRECTS_MAX {
            let mut request = self.http.get(url.clone()).header(ACCEPT_ENCODING, "identity");
            if let Some(credential) = credential.filter(|_| url.origin() == first) {
                let (name, value) = credential.parts();
                request = request.header(name, value);
            }
            let response = request.send().await.map_err(|error| failure(&error))?;
            if !is_redirect(response.status()) {
                return read(response, bytes_max).await;
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            url = match next {
                Some(next) => self.link(next.as_str()).map_err(|error| match error {
                    FetchError::Link => FetchError::Redirect,
                    other => other,
                })?,
                None => return Err(FetchError::Redirect),
            };
        }
        Err(FetchError::TooManyRedirects)
    }

    /// Reads a link and judges an address that stands in it: an address is never looked up, so nobody else would.
    fn link(&self, link: &str) -> Result<Url, FetchError> {
        let url = Url::parse(link).map_err(|_| FetchError::Link)?;
        let scheme_fits = url.scheme() == "https" || (self.allow_http && url.scheme() == "http");
        let has_login = !url.username().is_empty() || url.password().is_some();
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(FetchError::Link)?;
        if !scheme_fits || has_login || link.len() > limits::LINK_BYTES_MAX {
            return Err(FetchError::Link);
        }
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if let Ok(address) = literal {
            address::judge(address, &self.allowed).map_err(FetchError::Address)?;
        }
        Ok(url)
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

async fn read(mut response: Response, bytes_max: usize) -> Result<Fetched, FetchError> {
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status {
            http_status: response.status().as_u16(),
        });
    }
    let header = |name| {
        let value = response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    if header(CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(FetchError::Encoded);
    }
    let media_type = header(CONTENT_TYPE);
    let too_large = FetchError::TooLarge { bytes_max };
    if response
        .content_length()
        .is_some_and(|length| length > bytes_max as u64)
    {
        return Err(too_large);
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| FetchError::ConnectionLost)? {
        if bytes.len() + chunk.len() > bytes_max {
            return Err(too_large);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Fetched {
        bytes: bytes.freeze(),
        media_type,
    })
}

fn failure(error: &reqwest::Error) -> FetchError {
    if let Some(Forbidden(kind)) = forbidden(error) {
        return FetchError::Address(*kind);
    }
    if error.is_builder() {
        FetchError::Link
    } else if error.is_dns() {
        FetchError::HostUnknown
    } else if error.is_connect() || error.is_timeout() {
        FetchError::Unreachable
    } else {
        FetchError::ConnectionLost
    }
}

/// The verdict of the guard, from wherever in the chain of errors it was put.
fn forbidden(error: &reqwest::Error) -> Option<&Forbidden> {
    let mut next: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<Forbidden>() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped
            .map(|inner| inner as &(dyn StdError + 'static))
            .or_else(|| error.source());
    }
    None
}

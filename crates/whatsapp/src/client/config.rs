//! What can be configured about the calls.

use reqwest::Url;
use serde::{Deserialize, Serialize};

/// Configuration of a [`super::Client`]. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientConfig {
    /// Scheme, host and perhaps a path prefix; `https://graph.facebook.com` is Meta.
    pub base_url: String,
    /// Graph version as it stands in the path, for example `v24.0`. A version lives at least two years after the next one.
    pub graph_version: String,
    /// Name look-up, TCP and TLS together. When it runs out nothing has been sent.
    pub connect_timeout_ms: u64,
    /// The whole call including the answer. When it runs out after connecting, the outcome of a send is unknown,
    /// so it is generous: a slow answer is better than none.
    pub total_timeout_ms: u64,
    /// How long an idle connection is kept. Shorter than the other side keeps it, or a send may run into a closing connection.
    pub pool_idle_timeout_ms: u64,
    /// Idle connections kept per host.
    pub pool_idle_connections_max: usize,
    /// Whether `HTTPS_PROXY` and its relatives are honoured.
    pub use_system_proxy: bool,
    /// Certificates in PEM trusted beside the system's, for a simulator or a gateway.
    pub extra_root_certificates_pem: Option<String>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            base_url: "https://graph.facebook.com".into(),
            graph_version: "v24.0".into(),
            connect_timeout_ms: 5_000,
            total_timeout_ms: 30_000,
            pool_idle_timeout_ms: 20_000,
            pool_idle_connections_max: 256,
            use_system_proxy: false,
            extra_root_certificates_pem: None,
        }
    }
}

/// Why no client could be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// `base_url` is not an absolute http or https URL without query and fragment.
    #[error("base_url is not an absolute http or https URL")]
    BaseUrl,
    /// `graph_version` is not of the form `v24.0`.
    #[error("graph_version is not of the form v24.0")]
    GraphVersion,
    /// A time-out is zero, or connecting may take as long as the whole call.
    #[error("connect_timeout_ms must be above zero and below total_timeout_ms")]
    Timeouts,
    /// The extra certificates cannot be read.
    #[error("extra_root_certificates_pem cannot be read")]
    Certificates(#[source] reqwest::Error),
    /// The TLS stack could not be set up; most often the machine has no root certificates.
    #[error("TLS could not be set up")]
    Tls(#[source] reqwest::Error),
}

impl ClientConfig {
    pub(super) fn check(&self) -> Result<(), ClientError> {
        if self.connect_timeout_ms == 0 || self.connect_timeout_ms >= self.total_timeout_ms {
            return Err(ClientError::Timeouts);
        }
        Ok(())
    }

    pub(super) fn versioned_base(&self) -> Result<Url, ClientError> {
        if !is_graph_version(&self.graph_version) {
            return Err(ClientError::GraphVersion);
        }
        let mut base = Url::parse(&self.base_url).map_err(|_| ClientError::BaseUrl)?;
        let usable = matches!(base.scheme(), "http" | "https")
            && base.query().is_none()
            && base.fragment().is_none()
            && base.username().is_empty()
            && base.password().is_none();
        if !usable {
            return Err(ClientError::BaseUrl);
        }
        base.path_segments_mut()
            .map_err(|()| ClientError::BaseUrl)?
            .pop_if_empty()
            .push(&self.graph_version);
        Ok(base)
    }
}

fn is_graph_version(version: &str) -> bool {
    let Some((major, minor)) = version.strip_prefix('v').and_then(|number| number.split_once('.')) else {
        return false;
    };
    [major, minor]
        .iter()
        .all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|digit| digit.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_part_of_every_path() {
        let config = ClientConfig {
            base_url: "http://127.0.0.1:8080/graph/".into(),
            ..ClientConfig::default()
        };
        assert_eq!(
            config.versioned_base().unwrap().as_str(),
            "http://127.0.0.1:8080/graph/v24.0"
        );
        assert_eq!(
            ClientConfig::default().versioned_base().unwrap().as_str(),
            "https://graph.facebook.com/v24.0"
        );
    }

    #[test]
    fn what_cannot_work_is_refused_at_the_start() {
        let with = |change: fn(&mut ClientConfig)| {
            let mut config = ClientConfig::default();
            change(&mut config);
            config.check().and_then(|()| config.versioned_base().map(|_| ()))
        };
        assert!(with(|_| ()).is_ok());
        assert!(matches!(
            with(|c| c.base_url = "graph.facebook.com".into()),
            Err(ClientError::BaseUrl)
        ));
        assert!(matches!(
            with(|c| c.base_url = "ftp://graph.facebook.com".into()),
            Err(ClientError::BaseUrl)
        ));
        assert!(matches!(
            with(|c| c.base_url = "https://me:secret@graph.example".into()),
            Err(ClientError::BaseUrl)
        ));
        assert!(matches!(
            with(|c| c.graph_version = "24.0".into()),
            Err(ClientError::GraphVersion)
        ));
        assert!(matches!(
            with(|c| c.graph_version = "v24.0/../v1.0".into()),
            Err(ClientError::GraphVersion)
        ));
        assert!(matches!(
            with(|c| c.connect_timeout_ms = 30_000),
            Err(ClientError::Timeouts)
        ));
        assert!(matches!(with(|c| c.connect_timeout_ms = 0), Err(ClientError::Timeouts)));
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<ClientConfig>(r#"{"graph_version":"v23.0"}"#).is_ok());
        assert!(serde_json::from_str::<ClientConfig>(r#"{"grap_version":"v23.0"}"#).is_err());
    }
}

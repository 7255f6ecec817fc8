//! TLS by rustls with aws-lc-rs, the one provider in the process.

use crate::config::{Check, Validate};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where the server's certificate is.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct TlsConfig {
    /// PEM file with the certificate and the intermediate ones after it; Meta does not fetch what is missing.
    pub certificate_file: PathBuf,
    /// PEM file with the private key.
    pub key_file: PathBuf,
}

impl Validate for TlsConfig {
    fn validate(&self, check: &mut Check) {
        for (key, file) in [
            ("certificate_file", &self.certificate_file),
            ("key_file", &self.key_file),
        ] {
            check.ensure(key, file.is_file(), format!("{} is not a file", file.display()));
        }
    }
}

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be read or holds nothing of use.
    #[error("{file} is not a PEM file with the expected content")]
    Pem {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// The certificate file has no certificate.
    #[error("{file} has no certificate")]
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// Certificate and key do not fit, or are of a kind not supported.
    #[error("certificate and key cannot be used")]
    Unusable(#[from] rustls::Error),
}

/// Makes aws-lc-rs the provider for everything in this process that asks for a default; call it first in `main`.
/// Calling it again changes nothing.
pub fn install_provider() {
    // An error means that one is installed already.
    let _ = aws_lc_rs::default_provider().install_default();
}

impl TlsConfig {
    /// The rustls configuration of a server that speaks the given protocols (ALPN names).
    pub fn server_config(&self, protocols: &[&[u8]]) -> Result<Arc<ServerConfig>, TlsError> {
        let pem_error = |file: &Path| {
            let file = file.to_owned();
            move |source| TlsError::Pem { file, source }
        };
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&self.certificate_file)
            .map_err(pem_error(&self.certificate_file))?
            .collect::<Result<_, _>>()
            .map_err(pem_error(&self.certificate_file))?;
        if certificates.is_empty() {
            return Err(TlsError::NoCertificate {
                file: self.certificate_file.clone(),
            });
        }
        let key = PrivateKeyDer::from_pem_file(&self.key_file).map_err(pem_error(&self.key_file))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certificates, key)?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

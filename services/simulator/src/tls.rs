//! An https listener for SDKs that know no other: a certificate authority made on the spot, and a certificate of it.
//!
//! With a directory the authority is kept there and used again, so that a client has to be told to trust it only once.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;

const AUTHORITY_FILE: &str = "ca.pem";
const AUTHORITY_KEY_FILE: &str = "ca-key.pem";
/// Clocks may differ a little.
const VALID_BEFORE: Duration = Duration::from_hours(24);
/// No client in use accepts a longer life.
const VALID_FOR: Duration = Duration::from_hours(24 * 365);
const AUTHORITY_VALID_FOR: Duration = Duration::from_hours(24 * 3_650);
/// Names the certificate is always good for: this machine, and Meta's hosts for those who map them here.
const NAMES: [&str; 5] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "graph.facebook.com",
    "lookaside.fbsbx.com",
];

/// Why no https listener could be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read or written.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A key or certificate could not be made; a name may not be one, or a kept key is damaged.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The certificate cannot be served.
    #[error("cannot serve the certificate")]
    Server(#[from] rustls::Error),
}

/// What an https listener needs.
pub(crate) struct TlsListener {
    /// Does the handshakes.
    pub(crate) acceptor: TlsAcceptor,
    /// The authority to trust, in PEM.
    pub(crate) authority_path: PathBuf,
    /// Holds the file while the simulator runs, if no directory was given.
    _temporary: Option<tempfile::TempDir>,
}

impl TlsListener {
    /// Makes, or takes up again, an authority and gives the simulator a certificate of it.
    pub(crate) fn new(tls: &Tls) -> Result<Self, TlsError> {
        let temporary = if tls.directory.is_none() {
            let made = tempfile::Builder::new().prefix("assent-simulator-").tempdir();
            Some(made.map_err(|source| TlsError::File {
                path: std::env::temp_dir(),
                source,
            })?)
        } else {
            None
        };
        let made = temporary.as_ref().map(|made| made.path().to_owned());
        let directory = tls.directory.clone().or(made).unwrap_or_default();
        let issuer = authority(&directory, temporary.is_none())?;
        let names = NAMES.map(str::to_owned).into_iter().chain(tls.names.iter().cloned());
        let mut params = CertificateParams::new(names.collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, "localhost");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Python's strict mode asks for it.
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, VALID_FOR);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            authority_path: directory.join(AUTHORITY_FILE),
            _temporary: temporary,
        })
    }
}

/// The authority kept in a directory, or a new one, whose certificate is written there.
fn authority(directory: &Path, keep_key: bool) -> Result<Issuer<'static, KeyPair>, TlsError> {
    let path = directory.join(AUTHORITY_FILE);
    let key_path = directory.join(AUTHORITY_KEY_FILE);
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Assent simulator authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, AUTHORITY_VALID_FOR);
    if keep_key && path.exists() && key_path.exists() {
        let pem = std::fs::read_to_string(&key_path).map_err(|source| TlsError::File { path: key_path, source })?;
        // Name and key are all that a certificate takes from its authority; the rest of it is in the kept file.
        return Ok(Issuer::new(params, KeyPair::from_pem(&pem)?));
    }
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    std::fs::create_dir_all(directory).map_err(|source| TlsError::File {
        path: directory.to_owned(),
        source,
    })?;
    if keep_key {
        write_private(&key_path, &key.serialize_pem())?;
    }
    std::fs::write(&path, certificate.pem()).map_err(|source| TlsError::File { path, source })?;
    Ok(Issuer::new(params, key))
}

fn set_validity(params: &mut CertificateParams, lasts: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - VALID_BEFORE).into();
    params.not_after = (now + lasts).into();
}

fn write_private(path: &Path, text: &str) -> Result<(), TlsError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| TlsError::File {
        path: path.to_owned(),
        source,
    })
}

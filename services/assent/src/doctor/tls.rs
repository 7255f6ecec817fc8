//! TLS as Meta speaks it: a certificate of a public authority with its whole chain and the right name, and TLS 1.3.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
    version::{TLS12, TLS13},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::report::Finding;

const CERTIFICATE: &str = "callbacks.certificate";
const VERSION: &str = "callbacks.tls_version";

/// What a handshake came to.
enum Handshake {
    Done,
    Certificate(CertificateError),
    /// The other side would not.
    Refused(String),
}

/// Public authorities, as Mozilla's programme lists them, and whatever else is trusted for this once.
pub(super) fn roots(extra: impl IntoIterator<Item = CertificateDer<'static>>) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    for certificate in extra {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// Looks at the certificate and the versions of TLS. True if Meta could connect.
pub(super) async fn check(host: &str, port: u16, roots: &Arc<RootCertStore>) -> (Vec<Finding>, bool) {
    let presented = Arc::new(AtomicUsize::new(0));
    let newest = shake_hands(host, port, &TLS13, roots, &presented).await;
    let (outcome, version) = match newest {
        Handshake::Refused(words) => match shake_hands(host, port, &TLS12, roots, &presented).await {
            Handshake::Refused(_) => {
                let fix = "let TLS be spoken on this port, with a certificate for this name";
                return (
                    vec![Finding::failed(CERTIFICATE, format!("no TLS handshake: {words}"), fix)],
                    false,
                );
            }
            outcome => {
                let fix = "enable TLS 1.3 where TLS ends";
                (outcome, Finding::failed(VERSION, "TLS 1.2 only", fix))
            }
        },
        outcome => (outcome, Finding::ok(VERSION, "TLS 1.3")),
    };
    match outcome {
        Handshake::Certificate(error) => {
            let certificates = presented.load(Ordering::Relaxed);
            (vec![judge(&error, certificates), version], false)
        }
        Handshake::Done | Handshake::Refused(_) => {
            let certificates = presented.load(Ordering::Relaxed);
            let seen = format!("valid for this name, {certificates} certificates up to a public authority");
            (vec![Finding::ok(CERTIFICATE, seen), version], true)
        }
    }
}

fn judge(error: &CertificateError, certificates: usize) -> Finding {
    let (seen, fix) = match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => ("has expired".to_owned(), "renew it"),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("is not valid yet".to_owned(), "check the clocks, or wait")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            "is for another name".to_owned(),
            "get a certificate for the name in the callback URL",
        ),
        CertificateError::UnknownIssuer => (
            format!("comes from nobody whom Meta trusts; {certificates} certificates were presented"),
            "serve the certificate and every intermediate one after it, from a public authority: Meta fetches none and takes no \
             self-signed one",
        ),
        CertificateError::Revoked => ("was revoked".to_owned(), "get a new one"),
        other => (format!("is not accepted: {other}"), "get one from a public authority"),
    };
    Finding::failed(CERTIFICATE, seen, fix)
}

async fn shake_hands(
    host: &str,
    port: u16,
    version: &'static SupportedProtocolVersion,
    roots: &Arc<RootCertStore>,
    presented: &Arc<AtomicUsize>,
) -> Handshake {
    match try_shake_hands(host, port, version, roots, presented).await {
        Ok(()) => Handshake::Done,
        Err(error) => {
            let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            match of_tls {
                Some(rustls::Error::InvalidCertificate(error)) => Handshake::Certificate(error.clone()),
                _ => Handshake::Refused(error.to_string()),
            }
        }
    }
}

async fn try_shake_hands(
    host: &str,
    port: u16,
    version: &'static SupportedProtocolVersion,
    roots: &Arc<RootCertStore>,
    presented: &Arc<AtomicUsize>,
) -> io::Result<()> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&provider))
        .build()
        .map_err(io::Error::other)?;
    let counting = Counting {
        verifier,
        presented: Arc::clone(presented),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(counting))
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream = TcpStream::connect((host, port)).await?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(())
}

/// Verifies as usual and remembers how many certificates were presented.
struct Counting {
    verifier: Arc<WebPkiServerVerifier>,
    presented: Arc<AtomicUsize>,
}

impl fmt::Debug for Counting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Counting")
    }
}

impl ServerCertVerifier for Counting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.presented.store(1 + intermediates.len(), Ordering::Relaxed);
        self.verifier
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;

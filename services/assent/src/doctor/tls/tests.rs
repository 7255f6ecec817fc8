//! Against servers whose certificates are wrong in one way each.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::doctor::report::Verdict;

const HOST: &str = "localhost";

type Issuer = CertifiedIssuer<'static, KeyPair>;

struct Authorities {
    root: Issuer,
    intermediate: Issuer,
}

impl Authorities {
    fn new() -> Self {
        let ca = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let root = CertifiedIssuer::self_signed(ca("root"), KeyPair::generate().unwrap()).unwrap();
        let intermediate = CertifiedIssuer::signed_by(ca("intermediate"), KeyPair::generate().unwrap(), &root).unwrap();
        Self { root, intermediate }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        Arc::new(roots([self.root.der().clone()]).unwrap())
    }

    /// A certificate for the name, by the intermediate authority.
    fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([HOST.to_owned()]).unwrap();
        change(&mut params);
        (params.signed_by(&key, &self.intermediate).unwrap().der().clone(), key)
    }

    fn chain(&self, leaf: CertificateDer<'static>) -> Vec<CertificateDer<'static>> {
        vec![leaf, self.intermediate.der().clone()]
    }
}

/// Serves handshakes; the port.
async fn serve(
    chain: Vec<CertificateDer<'static>>,
    key: &KeyPair,
    versions: &[&'static SupportedProtocolVersion],
) -> u16 {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((HOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // What becomes of it is judged at the other end.
            let _ = acceptor.accept(stream).await;
        }
    });
    port
}

async fn look(authorities: &Authorities, chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> (Finding, bool) {
    let port = serve(chain, key, rustls::ALL_VERSIONS).await;
    let (mut findings, usable) = check(HOST, port, &authorities.roots()).await;
    (findings.remove(0), usable)
}

#[tokio::test]
async fn a_whole_chain_and_tls_1_3_are_well() {
    let authorities = Authorities::new();
    let (leaf, key) = authorities.leaf(|_| ());
    let (certificate, usable) = look(&authorities, authorities.chain(leaf), &key).await;
    assert_eq!(certificate.verdict, Verdict::Ok, "{certificate:?}");
    assert!(usable);
}

#[tokio::test]
async fn a_chain_without_its_intermediate_certificate_has_failed() {
    let authorities = Authorities::new();
    let (leaf, key) = authorities.leaf(|_| ());
    let (certificate, usable) = look(&authorities, vec![leaf], &key).await;
    assert_eq!(certificate.verdict, Verdict::Failed);
    assert!(
        certificate.seen.contains("1 certificates were presented"),
        "{certificate:?}"
    );
    assert!(certificate.fix.unwrap().contains("every intermediate one"));
    assert!(!usable);
}

#[tokio::test]
async fn a_self_signed_certificate_has_failed() {
    let authorities = Authorities::new();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([HOST.to_owned()]).unwrap();
    let leaf = params.self_signed(&key).unwrap().der().clone();
    let (certificate, _) = look(&authorities, vec![leaf], &key).await;
    assert_eq!(certificate.verdict, Verdict::Failed, "{certificate:?}");
}

#[tokio::test]
async fn an_expired_certificate_and_one_for_another_name_have_failed() {
    let authorities = Authorities::new();
    let (leaf, key) = authorities.leaf(|params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let (expired, _) = look(&authorities, authorities.chain(leaf), &key).await;
    assert_eq!(
        (expired.verdict, expired.seen.as_str()),
        (Verdict::Failed, "has expired")
    );

    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["elsewhere.example".to_owned()]).unwrap();
    let leaf = params.signed_by(&key, &authorities.intermediate).unwrap().der().clone();
    let (other, _) = look(&authorities, authorities.chain(leaf), &key).await;
    assert_eq!(
        (other.verdict, other.seen.as_str()),
        (Verdict::Failed, "is for another name")
    );
}

#[tokio::test]
async fn a_server_without_tls_1_3_has_failed_though_its_certificate_is_well() {
    let authorities = Authorities::new();
    let (leaf, key) = authorities.leaf(|_| ());
    let port = serve(authorities.chain(leaf), &key, &[&TLS12]).await;
    let (findings, usable) = check(HOST, port, &authorities.roots()).await;
    let verdicts: Vec<Verdict> = findings.iter().map(|finding| finding.verdict).collect();
    assert_eq!(verdicts, [Verdict::Ok, Verdict::Failed], "{findings:?}");
    assert!(usable);
}

#[tokio::test]
async fn a_port_that_speaks_no_tls_has_failed() {
    let listener = TcpListener::bind((HOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let (findings, usable) = check(HOST, port, &Authorities::new().roots()).await;
    assert_eq!(findings[0].verdict, Verdict::Failed);
    assert!(!usable);
}

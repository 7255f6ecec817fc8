//! The callback endpoint from outside, as Meta sees it: name, certificate, challenge, signature, and how long it takes.
//!
//! Meta's requirements: "Webhooks endpoint" of the Cloud API (HTTPS by a public authority with the whole chain, no redirect, the
//! challenge, `X-Hub-Signature-256` over the raw body).

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use assent_runtime::tenants::{Tenant, Tenants};
use assent_whatsapp::{
    secret::Secret,
    signature::{SIGNATURE_HEADER, sign},
};
use reqwest::{StatusCode, Url};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use uuid::Uuid;

use super::{
    meta,
    report::{Finding, chain, within},
    tls,
};
use crate::config::Config;

const ADDRESS: &str = "callbacks.address";
const NAME: &str = "callbacks.name";
const CHALLENGE: &str = "callbacks.challenge";
const SIGNATURE: &str = "callbacks.signature";
const REACH_FIX: &str = "let the callback endpoint of the ingress be reached from outside under this address";
/// What a signed batch without anything in it looks like.
const EMPTY_BATCH: &[u8] = br#"{"object":"whatsapp_business_account","entry":[]}"#;
/// Answers that take longer are worth a look: Meta wants them fast and calls again otherwise.
const SLOW: Duration = Duration::from_secs(1);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How the endpoint is looked at.
pub(super) struct Look {
    base: Option<Url>,
    roots: Arc<RootCertStore>,
    http: reqwest::Client,
    limit: Duration,
}

impl Look {
    /// `base` is where Meta finds the endpoint; `ca_file` is trusted too.
    pub(super) fn try_new(base: Option<&str>, ca_file: Option<&Path>, limit: Duration) -> anyhow::Result<Self> {
        let base = base
            .map(|base| Url::parse(base).context("--callback-url is not a URL"))
            .transpose()?;
        let mut builder = reqwest::Client::builder()
            .timeout(limit)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent("assent-doctor");
        let mut trusted = Vec::new();
        if let Some(file) = ca_file {
            let pem = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
            trusted = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>()?;
            builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(&pem)?);
        }
        Ok(Self {
            base,
            roots: Arc::new(tls::roots(trusted)?),
            http: builder.build()?,
            limit,
        })
    }

    /// Looks at every tenant's endpoint; at each host's certificate once.
    pub(super) async fn check(&self, config: &Config, tenants: &Tenants) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut hosts: Vec<(String, bool)> = Vec::new();
        for tenant in tenants.iter().filter(|tenant| !tenant.numbers.is_empty()) {
            let about = |finding: Finding| finding.about(tenant.id.as_str());
            let Some(url) = self.url_of(config, tenant).await else {
                let fix = "say --callback-url, so that it can be looked at";
                findings.push(about(Finding::warning(
                    ADDRESS,
                    "it is not known where Meta finds the endpoint",
                    fix,
                )));
                continue;
            };
            let host = format!(
                "{}:{}",
                url.host_str().unwrap_or_default(),
                url.port_or_known_default().unwrap_or(0)
            );
            let known = hosts
                .iter()
                .find(|(other, _)| *other == host)
                .map(|(_, usable)| *usable);
            let usable = if let Some(usable) = known {
                usable
            } else {
                let (seen, usable) = self.host(&url).await;
                findings.extend(seen.into_iter().map(|finding| finding.about(&host)));
                hosts.push((host, usable));
                usable
            };
            if usable {
                let checked = within(self.limit, CHALLENGE, REACH_FIX, self.challenge(&url, tenant)).await;
                findings.extend(checked.into_iter().map(about));
                let checked = within(self.limit, SIGNATURE, REACH_FIX, self.signature(&url, tenant)).await;
                findings.extend(checked.into_iter().map(about));
            }
        }
        findings
    }

    /// As given, or as Meta says.
    async fn url_of(&self, config: &Config, tenant: &Tenant) -> Option<Url> {
        if let Some(base) = &self.base {
            let mut url = base.clone();
            let mut path = url.path_segments_mut().ok()?;
            path.pop_if_empty().extend(["callbacks", tenant.id.as_str()]);
            drop(path);
            return Some(url);
        }
        let client = meta::client(config).ok()?;
        let number = tenant.numbers.first()?;
        let token = meta::token_for(tenant, &number.phone_number_id)?;
        let asked = client.callback_urls(&number.phone_number_id, &token);
        let urls = tokio::time::timeout(self.limit, asked).await.ok()?.ok()?;
        Url::parse(urls.effective()?).ok()
    }

    /// Name and TLS. True if requests can be made.
    async fn host(&self, url: &Url) -> (Vec<Finding>, bool) {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return (
                vec![Finding::failed(
                    ADDRESS,
                    "the URL has no host",
                    "correct the callback URL",
                )],
                false,
            );
        };
        let looked_up = tokio::time::timeout(self.limit, tokio::net::lookup_host((host, port))).await;
        let addresses: Vec<IpAddr> = match looked_up {
            Ok(Ok(addresses)) => addresses.map(|address: SocketAddr| address.ip()).collect(),
            _ => Vec::new(),
        };
        let mut findings = vec![judge_name(&addresses)];
        if addresses.is_empty() {
            return (findings, false);
        }
        if url.scheme() != "https" {
            let fix = "let TLS end before or in the ingress and give Meta an https URL: it takes no other";
            let finding = if addresses.iter().all(IpAddr::is_loopback) {
                Finding::warning("callbacks.certificate", "plain HTTP, on this machine", fix)
            } else {
                Finding::failed("callbacks.certificate", "plain HTTP", fix)
            };
            findings.push(finding);
            return (findings, true);
        }
        match tokio::time::timeout(self.limit, tls::check(host, port, &self.roots)).await {
            Ok((seen, usable)) => {
                findings.extend(seen);
                (findings, usable)
            }
            Err(_elapsed) => {
                findings.push(Finding::failed("callbacks.certificate", "no answer in time", REACH_FIX));
                (findings, false)
            }
        }
    }

    /// Our own token brings the challenge back, another one does not.
    async fn challenge(&self, url: &Url, tenant: &Tenant) -> Vec<Finding> {
        const FIX: &str = "let verify_token in the tenants file and the one entered at Meta be the same, and the ingress have read it";
        let Some(token) = &tenant.verify_token else {
            let fix = "set verify_token: Meta asks for it when the endpoint is entered";
            return vec![Finding::warning(CHALLENGE, "no verify_token is configured", fix)];
        };
        let challenge = Uuid::new_v4().simple().to_string();
        let right = self.ask(url, token.expose(), &challenge).await;
        let wrong = self.ask(url, &Uuid::new_v4().simple().to_string(), &challenge).await;
        vec![match (right, wrong) {
            (Err(error), _) | (_, Err(error)) => Finding::failed(CHALLENGE, error, REACH_FIX),
            (Ok((status, _)), _) if status != StatusCode::OK => {
                Finding::failed(CHALLENGE, format!("answered {status} to our verify token"), FIX)
            }
            (Ok((_, body)), _) if body != challenge.as_bytes() => {
                let fix = "let nothing on the way answer in our stead or change the answer";
                Finding::failed(CHALLENGE, "answered 200, and not the challenge", fix)
            }
            (_, Ok((status, _))) if status.is_success() => {
                let fix = "let no other program answer there: anybody could claim the endpoint";
                Finding::failed(CHALLENGE, format!("answered {status} to a wrong verify token"), fix)
            }
            (Ok(_), Ok((status, _))) => Finding::ok(CHALLENGE, format!("answered; {status} to a wrong verify token")),
        }]
    }

    async fn ask(&self, url: &Url, token: &str, challenge: &str) -> Result<(StatusCode, Vec<u8>), String> {
        let query = [
            ("hub.mode", "subscribe"),
            ("hub.verify_token", token),
            ("hub.challenge", challenge),
        ];
        let answer = self.http.get(url.clone()).query(&query).send().await;
        read(answer.map_err(in_words)?).await
    }

    /// A batch signed with each app secret is taken, one that is signed with another is not.
    async fn signature(&self, url: &Url, tenant: &Tenant) -> Vec<Finding> {
        const FIX: &str =
            "let app_secrets in the tenants file hold the app's secret, and nothing on the way change the body";
        let mut findings = Vec::new();
        for secret in &tenant.app_secrets {
            let (status, took) = match self.post(url, &Secret::new(secret.expose())).await {
                Ok(answer) => answer,
                Err(error) => return vec![Finding::failed(SIGNATURE, error, REACH_FIX)],
            };
            let seen = format!("a signed batch was answered {status} in {} ms", took.as_millis());
            findings.push(if status != StatusCode::OK {
                Finding::failed(SIGNATURE, seen, FIX)
            } else if took > SLOW {
                Finding::warning(
                    SIGNATURE,
                    seen,
                    "look at the ingress and at what stands before it: Meta gives up on slow answers",
                )
            } else {
                Finding::ok(SIGNATURE, seen)
            });
        }
        match self.post(url, &Secret::new(Uuid::new_v4().to_string())).await {
            Ok((StatusCode::UNAUTHORIZED, _)) => {}
            Ok((status, _)) => {
                let seen = format!("a batch with a wrong signature was answered {status} instead of 401");
                findings.push(Finding::failed(
                    SIGNATURE,
                    seen,
                    "let callbacks go to the ingress and to nothing else",
                ));
            }
            Err(error) => findings.push(Finding::failed(SIGNATURE, error, REACH_FIX)),
        }
        findings
    }

    async fn post(&self, url: &Url, secret: &Secret) -> Result<(StatusCode, Duration), String> {
        let request = self
            .http
            .post(url.clone())
            .header("content-type", "application/json")
            .header(SIGNATURE_HEADER, sign(secret, EMPTY_BATCH))
            .body(EMPTY_BATCH);
        let began = Instant::now();
        let answer = request.send().await.map_err(in_words)?;
        Ok((answer.status(), began.elapsed()))
    }
}

fn judge_name(addresses: &[IpAddr]) -> Finding {
    const FIX: &str = "let public DNS (ask 8.8.8.8) name an address that can be reached from the internet";
    if addresses.is_empty() {
        return Finding::failed(NAME, "this machine's resolver finds no address", FIX);
    }
    let seen = format!("{} addresses by this machine's resolver", addresses.len());
    if addresses.iter().all(|address| is_public(*address)) {
        Finding::ok(NAME, seen)
    } else {
        Finding::warning(NAME, format!("{seen}, not all of them public"), FIX)
    }
}

/// Whether the internet could reach it. Inside a network a name may stand for another address than outside.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()),
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local())
        }
    }
}

async fn read(mut answer: reqwest::Response) -> Result<(StatusCode, Vec<u8>), String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(in_words)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err("the answer is longer than any of ours".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok((answer.status(), body))
}

/// Without the URL, whose query holds the verify token.
fn in_words(error: reqwest::Error) -> String {
    chain(&error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Verdict;

    #[test]
    fn addresses_that_meta_cannot_reach_are_told() {
        let name = |addresses: &[&str]| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
            judge_name(&addresses).verdict
        };
        assert_eq!(name(&["203.0.113.7", "2001:db8::7"]), Verdict::Ok);
        assert_eq!(name(&["203.0.113.7", "10.0.0.7"]), Verdict::Warning);
        assert_eq!(name(&["::1"]), Verdict::Warning);
        assert_eq!(name(&[]), Verdict::Failed);
    }
}

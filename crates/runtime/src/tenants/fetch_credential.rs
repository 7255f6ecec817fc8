//! How we log in where a tenant keeps files that are sent by link.

use crate::config::{Check, Secret, Validate};
use assent_fetch::{Credential, HostPattern, InvalidCredential, limits};
use serde::Deserialize;

/// Credentials of one tenant.
pub(super) const CREDENTIALS_MAX: usize = 100;

/// A login by which links on certain hosts are fetched. Senders name it and never see it.
#[derive(Debug, Clone, Deserialize)]
pub struct FetchCredential {
    /// How the secret is presented.
    pub kind: FetchCredentialKind,
    /// The hosts it may be shown to: `files.example.com`, or `*.example.com` for all below it.
    pub hosts: Vec<String>,
    /// The user name; for `basic` only.
    pub username: Option<String>,
    /// The name of the header; for `header` only.
    pub header: Option<String>,
    /// The password, the token or the header's value.
    pub secret: Secret,
}

/// How a secret is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchCredentialKind {
    /// User name and password.
    Basic,
    /// A bearer token.
    Bearer,
    /// A header of the host's own.
    Header,
}

impl FetchCredential {
    /// The credential as the fetcher takes it. Fails only for what [`Validate`] reports.
    pub fn credential(&self) -> Result<Credential, InvalidCredential> {
        let hosts: Vec<HostPattern> = self.hosts.iter().filter_map(|host| host.parse().ok()).collect();
        let secret = self.secret.expose();
        match self.kind {
            FetchCredentialKind::Basic => {
                Credential::basic(self.username.as_deref().unwrap_or_default(), secret, hosts)
            }
            FetchCredentialKind::Bearer => Credential::bearer(secret, hosts),
            FetchCredentialKind::Header => {
                Credential::header(self.header.as_deref().unwrap_or_default(), secret, hosts)
            }
        }
    }
}

impl Validate for FetchCredential {
    fn validate(&self, check: &mut Check) {
        let hosts = (1..=limits::CREDENTIAL_HOSTS_MAX).contains(&self.hosts.len());
        check.ensure(
            "hosts",
            hosts,
            format!("must name 1 to {} hosts", limits::CREDENTIAL_HOSTS_MAX),
        );
        for (index, host) in self.hosts.iter().enumerate() {
            if let Err(error) = host.parse::<HostPattern>() {
                check.problem(&format!("hosts[{index}]"), error.to_string());
            }
        }
        let belongs = |check: &mut Check, key: &str, value: Option<&String>, kind: FetchCredentialKind, name: &str| {
            let wanted = self.kind == kind;
            let filled = value.is_some_and(|value| !value.is_empty());
            check.ensure(
                key,
                !wanted || filled,
                format!("a credential of kind `{name}` needs one"),
            );
            check.ensure(
                key,
                wanted || value.is_none(),
                format!("only a credential of kind `{name}` has one"),
            );
        };
        belongs(
            check,
            "username",
            self.username.as_ref(),
            FetchCredentialKind::Basic,
            "basic",
        );
        belongs(
            check,
            "header",
            self.header.as_ref(),
            FetchCredentialKind::Header,
            "header",
        );
        if let Err(error) = self.credential() {
            let key = match error {
                InvalidCredential::Username => "username",
                InvalidCredential::HeaderName | InvalidCredential::HeaderTaken => "header",
                InvalidCredential::Secret => "secret",
            };
            // What is missing was said already.
            check.ensure(key, key == "header" && self.header.is_none(), error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{config::Environment, tenants::Tenants};

    fn parse(credentials: &str) -> Result<Tenants, String> {
        let environment: Environment = [("SECRET", "sesame"), ("BROKEN", "two\nlines")].into_iter().collect();
        let text = format!("[[tenants]]\nid = \"acme\"\n{credentials}");
        Tenants::parse(&text, &environment).map_err(|problems| problems.to_string())
    }

    #[test]
    fn credentials_of_all_kinds_are_read_and_their_secrets_are_not_shown() {
        let tenants = parse(
            r#"
            [tenants.fetch_credentials.vault]
            kind = "basic"
            hosts = ["files.example.com"]
            username = "me"
            secret = { env = "SECRET" }
            [tenants.fetch_credentials.cdn]
            kind = "bearer"
            hosts = ["*.cdn.example.com"]
            secret = { env = "SECRET" }
            [tenants.fetch_credentials.api]
            kind = "header"
            header = "x-api-key"
            hosts = ["api.example.com"]
            secret = { env = "SECRET" }
            "#,
        )
        .unwrap();
        let tenant = tenants.iter().next().unwrap();
        let credential = |name: &str| tenant.fetch_credentials[name].credential().unwrap();
        assert!(credential("vault").is_for("files.example.com"));
        assert!(credential("cdn").is_for("a.cdn.example.com"));
        assert!(!credential("api").is_for("files.example.com"));
        let shown = format!("{tenants:?} {:?}", credential("api"));
        assert!(!shown.contains("sesame"), "{shown}");
    }

    #[test]
    fn every_problem_of_a_credential_is_reported_at_once() {
        let problems = parse(
            r#"
            [tenants.fetch_credentials."two words"]
            kind = "basic"
            hosts = []
            secret = { env = "SECRET" }
            [tenants.fetch_credentials.cdn]
            kind = "bearer"
            hosts = ["https://example.com", "*.com"]
            username = "me"
            secret = { env = "BROKEN" }
            [tenants.fetch_credentials.api]
            kind = "header"
            header = "host"
            hosts = ["example.com"]
            secret = { env = "SECRET" }
            "#,
        )
        .unwrap_err();
        for expected in [
            "tenants[0].fetch_credentials.two words (line",
            "fetch_credentials.two words.hosts (line",
            "fetch_credentials.two words.username",
            "fetch_credentials.cdn.hosts[0]",
            "fetch_credentials.cdn.hosts[1]",
            "fetch_credentials.cdn.username (line",
            "fetch_credentials.cdn.secret (line",
            "fetch_credentials.api.header (line",
        ] {
            assert!(problems.contains(expected), "{expected} is not in {problems}");
        }
        assert!(
            !problems.contains("sesame") && !problems.contains("lines)"),
            "{problems}"
        );
    }
}

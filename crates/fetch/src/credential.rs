//! How we log in at a host that keeps files for us.

use crate::limits;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{
    Url,
    header::{self, HeaderName, HeaderValue},
};
use std::{fmt, str::FromStr};

/// Headers that carry the request itself.
const NOT_FOR_CREDENTIALS: [HeaderName; 11] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    header::RANGE,
    header::ACCEPT_ENCODING,
    header::USER_AGENT,
];

/// A host, or with `*.` in front all hosts below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    name: String,
    below: bool,
}

/// Text that names no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the name of a host, such as files.example.com or *.example.com, without scheme, port and path")]
pub struct InvalidHost;

impl FromStr for HostPattern {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let fits = !name.is_empty() && name.len() <= limits::HOST_BYTES_MAX;
        let allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']');
        // The same reading as that of a link, so that both are written alike: lower case, punycode, addresses in one form.
        let read = Url::parse(&format!("https://{name}/")).map_err(|_| InvalidHost)?;
        let host = read.host_str().ok_or(InvalidHost)?;
        let whole = read.port().is_none() && read.username().is_empty() && read.path() == "/";
        // `*.com` would be half the world.
        let narrow = !below || host.trim_end_matches('.').contains('.');
        if fits && whole && narrow && name.bytes().all(allowed) {
            Ok(Self {
                name: host.to_owned(),
                below,
            })
        } else {
            Err(InvalidHost)
        }
    }
}

impl HostPattern {
    /// Whether a host is meant.
    pub fn matches(&self, host: &str) -> bool {
        if !self.below {
            return host == self.name;
        }
        let above = host.strip_suffix(&self.name);
        above.is_some_and(|above| above.len() > 1 && above.ends_with('.'))
    }
}

/// A header by which we are let in, and the hosts it may be shown to.
#[derive(Clone)]
pub struct Credential {
    name: HeaderName,
    value: HeaderValue,
    hosts: Vec<HostPattern>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credential")
            .field("header", &self.name)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

/// Why something cannot be a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredential {
    /// No name of a header.
    #[error("the header must be named by letters, digits and hyphens")]
    HeaderName,
    /// A header that belongs to the request itself.
    #[error("the header belongs to the request itself; name another")]
    HeaderTaken,
    /// A user name with a colon, which ends it.
    #[error("the user name must not contain a colon")]
    Username,
    /// A secret that no header can hold.
    #[error("the secret has line breaks or other characters that no header can hold, or is empty")]
    Secret,
}

impl Credential {
    /// A user name and a password (RFC 7617).
    pub fn basic(username: &str, password: &str, hosts: Vec<HostPattern>) -> Result<Self, InvalidCredential> {
        if username.contains(':') {
            return Err(InvalidCredential::Username);
        }
        if password.chars().any(char::is_control) || username.chars().any(char::is_control) {
            return Err(InvalidCredential::Secret);
        }
        let value = STANDARD.encode(format!("{username}:{password}"));
        Self::with(header::AUTHORIZATION, &format!("Basic {value}"), hosts)
    }

    /// A token (RFC 6750).
    pub fn bearer(token: &str, hosts: Vec<HostPattern>) -> Result<Self, InvalidCredential> {
        if token.is_empty() {
            return Err(InvalidCredential::Secret);
        }
        Self::with(header::AUTHORIZATION, &format!("Bearer {token}"), hosts)
    }

    /// A header of the host's own, such as `x-api-key`.
    pub fn header(name: &str, value: &str, hosts: Vec<HostPattern>) -> Result<Self, InvalidCredential> {
        let name = HeaderName::try_from(name).map_err(|_| InvalidCredential::HeaderName)?;
        if NOT_FOR_CREDENTIALS.contains(&name) {
            return Err(InvalidCredential::HeaderTaken);
        }
        if value.is_empty() {
            return Err(InvalidCredential::Secret);
        }
        Self::with(name, value, hosts)
    }

    fn with(name: HeaderName, value: &str, hosts: Vec<HostPattern>) -> Result<Self, InvalidCredential> {
        let mut value = HeaderValue::from_str(value).map_err(|_| InvalidCredential::Secret)?;
        value.set_sensitive(true);
        Ok(Self { name, value, hosts })
    }

    /// Whether it may be shown to a host.
    pub fn is_for(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| pattern.matches(host))
    }

    pub(crate) fn parts(&self) -> (HeaderName, HeaderValue) {
        (self.name.clone(), self.value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_pattern_means_a_host_or_those_below_it() {
        assert!(pattern("Files.Example.com").matches("files.example.com"));
        assert!(!pattern("example.com").matches("files.example.com"));
        assert!(!pattern("example.com").matches("badexample.com"));
        let below = pattern("*.example.com");
        assert!(below.matches("files.example.com") && below.matches("a.b.example.com"));
        for host in ["example.com", ".example.com", "badexample.com", "example.com.evil.net"] {
            assert!(!below.matches(host), "{host}");
        }
        assert!(pattern("127.0.0.1").matches("127.0.0.1"));
    }

    #[test]
    fn what_names_no_host_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "*.com",
            "a*.example.com",
            "https://example.com",
            "example.com/path",
            "example.com:8443",
            "user@example.com",
            "two words",
            &"x".repeat(254),
        ] {
            assert_eq!(text.parse::<HostPattern>(), Err(InvalidHost), "{text}");
        }
    }

    #[test]
    fn a_credential_is_a_header_that_is_not_shown() {
        let basic = Credential::basic("me", "pass word", vec![pattern("example.com")]).unwrap();
        let (name, value) = basic.parts();
        assert_eq!(
            (name, value.to_str().unwrap()),
            (header::AUTHORIZATION, "Basic bWU6cGFzcyB3b3Jk")
        );
        let token = Credential::bearer("tok-123", vec![]).unwrap();
        assert_eq!(token.parts().1, "Bearer tok-123");
        let header = Credential::header("X-Api-Key", "key-123", vec![]).unwrap();
        assert_eq!(header.parts().0, "x-api-key");
        let printed = format!("{basic:?} {token:?} {header:?} {:?}", token.parts());
        for secret in ["bWU6", "tok-123", "key-123"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }

    #[test]
    fn what_no_header_can_hold_is_refused() {
        let none = Vec::new;
        assert_eq!(
            Credential::basic("a:b", "c", none()).unwrap_err(),
            InvalidCredential::Username
        );
        assert_eq!(
            Credential::basic("a", "c\n", none()).unwrap_err(),
            InvalidCredential::Secret
        );
        assert_eq!(
            Credential::bearer("c\r\nx: y", none()).unwrap_err(),
            InvalidCredential::Secret
        );
        assert_eq!(Credential::bearer("", none()).unwrap_err(), InvalidCredential::Secret);
        assert_eq!(
            Credential::header("a b", "c", none()).unwrap_err(),
            InvalidCredential::HeaderName
        );
        assert_eq!(
            Credential::header("Host", "c", none()).unwrap_err(),
            InvalidCredential::HeaderTaken
        );
    }
}

//! Who may call, and on whose behalf: tenants, their API keys, numbers and Meta credentials.
//!
//! They stand in a TOML file of their own, which is read again when it, or a file a secret stands in, changes; see
//! `tenants.sample.toml`. API keys stand there as hashes, Meta's tokens and secrets as references.

mod api_key;
mod directory;
mod file;

pub use api_key::{ApiKey, KeyId};
pub use directory::{AuthenticationError, Directory, Reload};
pub use file::{Number, Tenant, Tenants};

use crate::api_error::{ApiError, ErrorCode};
use serde::{Deserialize, Deserializer, de};
use std::{fmt, sync::Arc};

/// Name of a tenant: 1 to 63 characters out of `a-z`, `0-9` and `-`, beginning with a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Arc<str>);

/// A text that is no tenant id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 63 characters out of a-z, 0-9 and `-`, beginning with a letter")]
pub struct TenantIdError;

impl TenantId {
    /// Checks the name.
    pub fn try_new(name: &str) -> Result<Self, TenantIdError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if !begins || name.len() > 63 || !name.bytes().all(allowed) {
            return Err(TenantIdError);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TenantId({})", self.0)
    }
}

impl<'de> Deserialize<'de> for TenantId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::try_new(&name).map_err(de::Error::custom)
    }
}

/// What an API key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Send and cancel messages.
    Send,
    /// Record opt-ins and opt-outs.
    Consent,
    /// Read messages, contacts, numbers, suppressions, counts and events.
    Read,
    /// Change suppressions and whatever else is for operators.
    Admin,
}

impl Scope {
    /// The name as it stands in the tenants file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Consent => "consent",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

/// Who is calling: every event caused by a call names the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The tenant.
    pub tenant: TenantId,
    /// The API key's id.
    pub key: KeyId,
    /// What the key may do.
    pub scopes: Arc<[Scope]>,
}

impl Principal {
    /// Checks a scope; the error names the missing one.
    pub fn require(&self, scope: Scope) -> Result<(), ApiError> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        let name = scope.name();
        Err(ApiError::new(ErrorCode::ScopeMissing)
            .message(format!("the API key lacks the scope `{name}`"))
            .metadata("scope", name))
    }
}

//! Who may call, and on whose behalf: tenants, their API keys, numbers and Meta credentials.
//!
//! They stand in a TOML file of their own, which is read again when it, or a file a secret stands in, changes; see
//! `tenants.sample.toml`. API keys stand there as hashes, Meta's tokens and secrets as references.

mod api_key;
mod directory;
mod fetch_credential;
mod file;
mod language_fallbacks;

pub use api_key::{ApiKey, KeyId};
pub use assent_domain::values::TenantId;
pub use directory::{AuthenticationError, Directory, Reload};
pub use fetch_credential::{FetchCredential, FetchCredentialKind};
pub use file::{Number, Tenant, Tenants};
pub use language_fallbacks::LanguageFallbacks;

use crate::api_error::{ApiError, ErrorCode};
use serde::Deserialize;
use std::sync::Arc;

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

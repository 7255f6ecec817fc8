//! Tenants.

use std::{fmt, sync::Arc};

use super::text_value;

/// Longest tenant id, in bytes: it fits a DNS label.
pub const TENANT_ID_BYTES_MAX: usize = 63;

/// A tenant: a slug chosen by the operator. Not personal data; it may appear in logs and labels. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

/// Text that is not a tenant id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tenant id has 1 to {TENANT_ID_BYTES_MAX} characters out of a-z, 0-9 and -, beginning with a letter")]
pub struct InvalidTenantId;

impl TenantId {
    /// Accepts 1 to 63 characters out of `a-z`, `0-9` and `-`, beginning with a letter.
    pub fn try_new(text: &str) -> Result<Self, InvalidTenantId> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if begins && text.len() <= TENANT_ID_BYTES_MAX && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidTenantId)
        }
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(TenantId, InvalidTenantId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_id_is_a_slug() {
        for good in ["a", "marlow-optics", "x0", &"x".repeat(63)] {
            assert_eq!(TenantId::try_new(good).unwrap().as_str(), good);
        }
        for bad in ["", "0", "-a", "Marlow", "a_b", "a b", "ä", &"x".repeat(64)] {
            assert_eq!(TenantId::try_new(bad), Err(InvalidTenantId), "{bad}");
        }
    }
}

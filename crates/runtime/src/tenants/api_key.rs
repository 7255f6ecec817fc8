//! API keys: `ak_<id>_<secret>`. The id is public and names the key in events; of the whole only a hash is kept.
//!
//! The secret has 256 random bits, so a plain SHA-256 is enough: there is nothing to guess that a slow hash would protect.

use crate::{config::Secret, hex};
use aws_lc_rs::{constant_time, digest, rand};
use serde::{Deserialize, Deserializer, de};
use std::{fmt, sync::Arc};

const PREFIX: &str = "ak_";
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
/// Longest text looked at as a key.
pub(super) const KEY_BYTES_MAX: usize = 128;

/// Public name of an API key: `ak_` and 16 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// Checks the name.
    pub fn try_new(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        let lower_case = digits.bytes().all(|byte| !byte.is_ascii_uppercase());
        hex::decode::<ID_BYTES>(digits)
            .filter(|_| lower_case)
            .map(|_| Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyId({})", self.0)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::try_new(&text).ok_or_else(|| de::Error::custom("expected `ak_` and 16 lower-case hexadecimal digits"))
    }
}

/// A new API key. Shown once, then only its hash is known.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Its public name.
    pub id: KeyId,
    /// The whole key, as the caller sends it.
    pub key: Secret,
    /// SHA-256 of the whole key in hexadecimal, as it stands in the tenants file.
    pub sha256: String,
}

/// The operating system gave no randomness.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct NoRandomness;

impl ApiKey {
    /// Draws a new key.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut id = [0; ID_BYTES];
        let mut secret = [0; SECRET_BYTES];
        rand::fill(&mut id).map_err(|_| NoRandomness)?;
        rand::fill(&mut secret).map_err(|_| NoRandomness)?;
        let id = format!("{PREFIX}{}", hex::encode(&id));
        let key = format!("{id}_{}", hex::encode(&secret));
        let sha256 = hex::encode(digest::digest(&digest::SHA256, key.as_bytes()).as_ref());
        Ok(Self {
            id: KeyId(id.into()),
            key: Secret::new(key),
            sha256,
        })
    }
}

/// SHA-256 of a key.
#[derive(Clone)]
pub(super) struct KeyHash([u8; 32]);

impl KeyHash {
    /// Whether `key` is the one hashed; takes the same time whatever differs.
    pub(super) fn matches(&self, key: &str) -> bool {
        let hash = digest::digest(&digest::SHA256, key.as_bytes());
        constant_time::verify_slices_are_equal(hash.as_ref(), &self.0).is_ok()
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyHash(…)")
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text)
            .map(Self)
            .ok_or_else(|| de::Error::custom("expected the SHA-256 of the key, 64 hexadecimal digits"))
    }
}

/// The id part of a presented key.
pub(super) fn id_of(key: &str) -> Option<&str> {
    let (id, _) = key.rsplit_once('_')?;
    (key.len() <= KEY_BYTES_MAX && id.starts_with(PREFIX)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_matches_its_own_hash_only() {
        let (one, other) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        assert_ne!(one.id, other.id);
        let hash = KeyHash(hex::decode(&one.sha256).unwrap());
        assert!(hash.matches(one.key.expose()));
        assert!(!hash.matches(other.key.expose()));
        assert!(!hash.matches(&format!("{}0", one.key.expose())));
        assert_eq!(id_of(one.key.expose()), Some(one.id.as_str()));
    }

    #[test]
    fn a_key_is_long_and_shows_nothing_of_itself() {
        let key = ApiKey::generate().unwrap();
        assert_eq!(key.key.expose().len(), 3 + 16 + 1 + 64);
        assert!(!format!("{key:?}").contains(key.key.expose()));
    }

    #[test]
    fn texts_that_are_no_keys_have_no_id() {
        for text in ["", "ak", "hello_world", &"ak_".repeat(100)] {
            assert_eq!(id_of(text), None, "{text}");
        }
        assert!(KeyId::try_new("ak_0123456789abcdef").is_some());
        for text in [
            "ak_0123456789ABCDEF",
            "ak_0123",
            "0123456789abcdef",
            "ak_+123456789abcdef",
        ] {
            assert!(KeyId::try_new(text).is_none(), "{text}");
        }
    }
}

//! A secret: read from the environment or a file, shown to nobody.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, sync::Arc};

/// Name by which the loader recognises a field of this type.
pub(crate) const SECRET_MARKER: &str = "$assent_runtime::config::Secret";

/// Longest secret read, in bytes.
pub(crate) const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// A secret value.
///
/// In a configuration file it stands as `{ env = "NAME" }` or `{ file = "path" }`, and [`Loader`](super::Loader)
/// fetches it. Neither its `Serialize` nor its `Debug` shows anything of it. Only the loader can deserialize it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// A secret that came from elsewhere, e.g. just made.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self(value.into())
    }

    /// The secret itself; for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(<redacted>)")
    }
}

/// Shows that there is one, and nothing of it.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("<redacted>")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SECRET_MARKER, SecretVisitor)
    }
}

struct SecretVisitor;

impl<'de> de::Visitor<'de> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{ env = \"NAME\" } or { file = \"path\" }")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Secret, E> {
        Ok(Secret::new(value))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Secret, E> {
        Ok(Secret::new(value))
    }

    /// How every other deserializer answers: with the plain value, which must not stand there.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, _: D) -> Result<Secret, D::Error> {
        Err(de::Error::custom(
            "a secret is loaded from the environment or a file only",
        ))
    }
}

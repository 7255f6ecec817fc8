//! The shape of personal data inside events.
//!
//! An event never holds a phone number, a name or a text in the clear: it holds a [`Sealed`] value that names the key it
//! was sealed with. Destroying the key erases the value everywhere the event was ever copied to: replicas, backups,
//! JetStream. This crate has only the shapes, so that the pure `domain` crate can put them into its events; the keys and
//! the cipher live in `assent-event-store`.
//!
//! Look-ups go by [`AliasHash`], a keyed hash of the alias, never by the alias itself.

use std::{fmt, marker::PhantomData, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// The name of a data key. Random; says nothing about whom the key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub Uuid);

/// A keyed hash (HMAC-SHA-256) of an alias of a person: a phone number, a `wa_id`, a business-scoped user id.
///
/// Equal aliases of one tenant have equal hashes; without the hash key nothing can be learned from it. It is still
/// about one person, so it stays out of logs and labels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AliasHash(pub [u8; 32]);

/// What a data key protects. Keys of different classes live for different times and are destroyed apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyClass {
    /// Who somebody is: phone number, `wa_id`, names. Lives as long as the contact.
    Identity,
    /// Proof of an opt-in or opt-out. Lives as long as the law asks for the proof.
    Proof,
    /// What was said, a key for each calendar month.
    Content,
    /// One-time codes and other secrets that are worthless within the hour.
    OneTimeCode,
}

impl KeyClass {
    /// All classes, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::Identity, Self::Proof, Self::Content, Self::OneTimeCode];

    /// The stable name used in the key table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Proof => "proof",
            Self::Content => "content",
            Self::OneTimeCode => "one_time_code",
        }
    }
}

/// A name that is not one of [`KeyClass`]'s.
#[derive(Debug, thiserror::Error)]
#[error("there is no key class of that name; the classes are identity, proof, content, one_time_code")]
pub struct UnknownKeyClass;

impl FromStr for KeyClass {
    type Err = UnknownKeyClass;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|class| class.as_str() == name)
            .ok_or(UnknownKeyClass)
    }
}

/// A value of type `T`, encrypted. Opening it takes its key; when the key is gone the value reads as [`Opened::Erased`].
pub struct Sealed<T> {
    /// The key it was sealed with.
    pub key: KeyId,
    /// Nonce, ciphertext and tag, as the cipher laid them out.
    pub ciphertext: Vec<u8>,
    value: PhantomData<fn() -> T>,
}

impl<T> Sealed<T> {
    /// A sealed value from its parts; called by whoever holds the cipher.
    pub fn from_parts(key: KeyId, ciphertext: Vec<u8>) -> Self {
        Self {
            key,
            ciphertext,
            value: PhantomData,
        }
    }
}

/// What opening a [`Sealed`] value gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened<T> {
    /// The value.
    Value(T),
    /// The key was destroyed or has expired: the value is gone for good. Not an error: history goes on without it.
    Erased,
}

impl<T> Opened<T> {
    /// The value, if it is still there.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Erased => None,
        }
    }
}

// Written by hand: `T` is never held, so it need not be `Clone`, `PartialEq` or `Debug`.
impl<T> Clone for Sealed<T> {
    fn clone(&self) -> Self {
        Self::from_parts(self.key, self.ciphertext.clone())
    }
}

impl<T> PartialEq for Sealed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.ciphertext == other.ciphertext
    }
}

impl<T> Eq for Sealed<T> {}

impl<T> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.ciphertext.len())
    }
}

impl fmt::Debug for AliasHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AliasHash(..)")
    }
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    #[serde(rename = "k")]
    key: KeyId,
    #[serde(rename = "c", borrow)]
    ciphertext: std::borrow::Cow<'a, str>,
}

impl<T> Serialize for Sealed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire {
            key: self.key,
            ciphertext: BASE64.encode(&self.ciphertext).into(),
        }
        .serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Sealed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        let ciphertext = BASE64.decode(wire.ciphertext.as_bytes()).map_err(de::Error::custom)?;
        Ok(Self::from_parts(wire.key, ciphertext))
    }
}

impl Serialize for AliasHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for AliasHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes()).map_err(de::Error::custom)?;
        let bytes = bytes
            .try_into()
            .map_err(|_| de::Error::custom("an alias hash has 32 bytes"))?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_survives_json_and_shows_nothing_in_debug() {
        let sealed = Sealed::<String>::from_parts(KeyId(Uuid::from_u128(7)), vec![1, 2, 3]);
        let json = serde_json::to_string(&sealed).unwrap();
        assert_eq!(serde_json::from_str::<Sealed<String>>(&json).unwrap(), sealed);
        assert_eq!(format!("{sealed:?}"), "Sealed(3 bytes)");
    }

    #[test]
    fn an_alias_hash_survives_json_and_shows_nothing_in_debug() {
        let hash = AliasHash([9; 32]);
        let json = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<AliasHash>(&json).unwrap(), hash);
        assert_eq!(format!("{hash:?}"), "AliasHash(..)");
    }

    #[test]
    fn every_key_class_is_found_by_its_name() {
        for class in KeyClass::ALL {
            assert_eq!(class.as_str().parse::<KeyClass>().unwrap(), class);
        }
        assert!("identities".parse::<KeyClass>().is_err());
    }
}

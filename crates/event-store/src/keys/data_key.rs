//! A data key and what it does: sealing and opening values.

use std::{fmt, sync::Arc};

use assent_sealed::{KeyId, Sealed};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use serde::{Serialize, de::DeserializeOwned};
use time::OffsetDateTime;

use super::{KeyError, secret::Secret};

/// Tells values of this format from whatever comes after it.
const FORMAT: &[u8] = b"assent sealed 1";

/// An unwrapped data key. Cheap to clone; the key is overwritten when the last clone is dropped.
#[derive(Clone)]
pub struct DataKey {
    id: KeyId,
    expires_at: Option<OffsetDateTime>,
    secret: Arc<Secret>,
}

impl DataKey {
    pub(crate) fn new(id: KeyId, expires_at: Option<OffsetDateTime>, secret: Secret) -> Self {
        Self {
            id,
            expires_at,
            secret: Arc::new(secret),
        }
    }

    /// Its name, to be given to [`Append::sealed_with`](crate::Append::sealed_with).
    pub fn id(&self) -> KeyId {
        self.id
    }

    pub(crate) fn is_alive(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_none_or(|expires_at| expires_at > now)
    }

    /// Encrypts `value`, as JSON. `context` says what it is, such as `contact.alias`: it opens only as that, so a
    /// sealed value cannot be put in the place of another.
    pub fn seal<T: Serialize>(&self, value: &T, context: &str) -> Result<Sealed<T>, KeyError> {
        let text = serde_json::to_vec(value).map_err(|_| KeyError::NotJson {
            context: context.to_owned(),
        })?;
        let ciphertext = seal_bytes(&self.secret, &self.bound_to(context), text);
        Ok(Sealed::from_parts(self.id, ciphertext))
    }

    /// Encrypts bytes that are too many for an event, such as a part of a file; see [`DataKey::seal`] for `context`.
    pub fn seal_bytes(&self, bytes: &[u8], context: &str) -> Vec<u8> {
        seal_bytes(&self.secret, &self.bound_to(context), bytes.to_vec())
    }

    /// Decrypts what [`DataKey::seal_bytes`] made.
    pub fn open_bytes(&self, sealed: &[u8], context: &str) -> Result<Vec<u8>, KeyError> {
        let bytes = open_bytes(&self.secret, &self.bound_to(context), sealed);
        bytes.map(|bytes| bytes.to_vec()).ok_or_else(|| KeyError::Tampered {
            key: self.id,
            context: context.to_owned(),
        })
    }

    pub(crate) fn open<T: DeserializeOwned>(&self, sealed: &Sealed<T>, context: &str) -> Result<T, KeyError> {
        let text = open_bytes(&self.secret, &self.bound_to(context), &sealed.ciphertext).ok_or_else(|| {
            KeyError::Tampered {
                key: self.id,
                context: context.to_owned(),
            }
        })?;
        // The parser's error is left out: it quotes what it read.
        serde_json::from_slice(&text).map_err(|_| KeyError::WrongShape {
            key: self.id,
            context: context.to_owned(),
        })
    }

    fn bound_to(&self, context: &str) -> Vec<u8> {
        // Only the last part varies in length, so no two contexts are the same bytes.
        [FORMAT, self.id.0.as_bytes(), context.as_bytes()].concat()
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({})", self.id.0)
    }
}

/// AES-256-GCM with a nonce that the cipher draws at random: nonce, ciphertext, tag. The plaintext is overwritten.
pub(crate) fn seal_bytes(secret: &Secret, bound_to: &[u8], mut text: Vec<u8>) -> Vec<u8> {
    let (nonce, tag) = cipher(secret)
        .seal_in_place_separate_tag(Aad::from(bound_to), &mut text)
        .expect("AES-GCM fails only above 64 GiB");
    [&nonce.as_ref()[..], &text, tag.as_ref()].concat()
}

/// The plaintext, if `sealed` is what [`seal_bytes`] made under this key and bound to the same.
pub(crate) fn open_bytes(secret: &Secret, bound_to: &[u8], sealed: &[u8]) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = zeroize::Zeroizing::new(text.to_vec());
    let opened = cipher(secret)
        .open_in_place(nonce, Aad::from(bound_to), &mut text)
        .ok()?
        .len();
    text.truncate(opened);
    Some(text)
}

fn cipher(secret: &Secret) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, &secret[..]).expect("the key has the length that AES-256 takes")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::keys::secret;

    fn key(id: u128) -> DataKey {
        DataKey::new(KeyId(Uuid::from_u128(id)), None, secret::random())
    }

    #[test]
    fn bytes_open_with_their_key_as_what_they_were_sealed() {
        let (key, other) = (key(1), key(2));
        let sealed = key.seal_bytes(b"half a picture", "file.1:0/2");
        assert_eq!(key.open_bytes(&sealed, "file.1:0/2").unwrap(), b"half a picture");
        let refused = [
            key.open_bytes(&sealed, "file.1:1/2"),
            key.open_bytes(&sealed[1..], "file.1:0/2"),
            other.open_bytes(&sealed, "file.1:0/2"),
        ];
        for refused in refused {
            assert!(matches!(refused, Err(KeyError::Tampered { .. })));
        }
    }

    #[test]
    fn a_value_opens_with_its_key_as_what_it_was_sealed() {
        let key = key(1);
        let sealed = key.seal(&"Grüße".to_owned(), "message.text").unwrap();
        assert_eq!(key.open(&sealed, "message.text").unwrap(), "Grüße");
        assert!(matches!(
            key.open(&sealed, "message.name"),
            Err(KeyError::Tampered { .. })
        ));
        let number: Sealed<u32> = Sealed::from_parts(sealed.key, sealed.ciphertext);
        assert!(matches!(
            key.open(&number, "message.text"),
            Err(KeyError::WrongShape { .. })
        ));
    }

    #[test]
    fn a_value_sealed_twice_looks_different() {
        let key = key(1);
        assert_ne!(key.seal(&7, "n").unwrap(), key.seal(&7, "n").unwrap());
    }

    #[test]
    fn any_changed_byte_and_any_shortening_is_noticed() {
        let key = key(1);
        let sealed = key.seal(&"secret".to_owned(), "t").unwrap();
        let opens = |ciphertext: Vec<u8>| {
            key.open::<String>(&Sealed::from_parts(sealed.key, ciphertext), "t")
                .is_ok()
        };
        for index in 0..sealed.ciphertext.len() {
            let mut changed = sealed.ciphertext.clone();
            changed[index] ^= 1;
            assert!(!opens(changed));
            assert!(!opens(sealed.ciphertext[..index].to_vec()));
        }
        assert!(opens(sealed.ciphertext.clone()));
    }

    #[test]
    fn a_value_does_not_open_under_another_id_of_the_same_key() {
        let one = key(1);
        let other = DataKey {
            id: KeyId(Uuid::from_u128(2)),
            ..one.clone()
        };
        let sealed = one.seal(&7, "n").unwrap();
        assert!(matches!(other.open(&sealed, "n"), Err(KeyError::Tampered { .. })));
    }

    #[test]
    fn errors_and_debug_show_nothing_of_the_value_or_the_key() {
        let key = key(1);
        let sealed = key.seal(&"+12025550142".to_owned(), "alias").unwrap();
        let number: Sealed<u32> = Sealed::from_parts(sealed.key, sealed.ciphertext);
        let error = key.open(&number, "alias").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("2025550142"));
        assert_eq!(format!("{key:?}"), "DataKey(00000000-0000-0000-0000-000000000001)");
    }
}

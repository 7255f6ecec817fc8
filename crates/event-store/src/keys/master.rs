//! Master keys, which wrap data keys.

use std::{fmt, sync::Arc};

use assent_sealed::KeyId;
use zeroize::Zeroizing;

use super::{
    KeyError,
    data_key::{open_bytes, seal_bytes},
    secret::{self, InvalidSecret, Secret},
};

/// Tells wrapped keys from sealed values.
const FORMAT: &[u8] = b"assent wrapped key 1";

/// Longest id of a master key.
const ID_BYTES_MAX: usize = 64;

/// A master key and the id it is known by in the key table.
#[derive(Clone)]
pub struct MasterKey {
    id: Arc<str>,
    secret: Arc<Secret>,
}

/// Why configured master keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMasters {
    /// An id that is empty, too long, or more than a plain name.
    #[error("the id of a master key has 1 to {ID_BYTES_MAX} letters, digits, '.', '_' or '-', such as 2026-11")]
    Id,
    /// A secret that is none.
    #[error("master key {id:?}")]
    Secret {
        /// The id of the master key.
        id: String,
        /// What is wrong.
        source: InvalidSecret,
    },
    /// Two master keys with one id.
    #[error("two master keys are called {id:?}")]
    Twice {
        /// The id.
        id: String,
    },
}

impl MasterKey {
    /// The master key `id` with the 32 bytes that `base64` holds. An id names the same bytes for ever.
    pub fn try_new(id: &str, base64: &str) -> Result<Self, InvalidMasters> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(plain) {
            return Err(InvalidMasters::Id);
        }
        let secret = secret::parse(base64).map_err(|source| InvalidMasters::Secret {
            id: id.to_owned(),
            source,
        })?;
        Ok(Self {
            id: id.into(),
            secret: Arc::new(secret),
        })
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The master key that wraps new data keys, and older ones that still unwrap.
#[derive(Clone)]
pub struct MasterKeys {
    /// The current one first.
    keys: Arc<[MasterKey]>,
}

impl MasterKeys {
    /// `current` wraps; it and the `older` ones unwrap.
    pub fn try_new(current: MasterKey, older: impl IntoIterator<Item = MasterKey>) -> Result<Self, InvalidMasters> {
        let keys: Arc<[MasterKey]> = std::iter::once(current).chain(older).collect();
        for (index, key) in keys.iter().enumerate() {
            if keys[..index].iter().any(|earlier| earlier.id == key.id) {
                return Err(InvalidMasters::Twice { id: key.id.to_string() });
            }
        }
        Ok(Self { keys })
    }

    /// The id of the current master key.
    pub fn current_id(&self) -> &str {
        &self.keys[0].id
    }

    /// Encrypts a data key under the current master key.
    pub(crate) fn wrap(&self, key: KeyId, secret: &Secret) -> Vec<u8> {
        let current = &self.keys[0];
        seal_bytes(&current.secret, &bound_to(key), secret.to_vec())
    }

    /// Decrypts a data key that master key `master` wrapped.
    pub(crate) fn unwrap(&self, key: KeyId, master: &str, wrapped: &[u8]) -> Result<Secret, KeyError> {
        let Some(found) = self.keys.iter().find(|found| &*found.id == master) else {
            return Err(KeyError::UnknownMaster {
                master: master.to_owned(),
            });
        };
        open_bytes(&found.secret, &bound_to(key), wrapped)
            .and_then(|secret| secret.as_slice().try_into().ok())
            .map(Zeroizing::new)
            .ok_or_else(|| KeyError::WrongMaster {
                master: master.to_owned(),
                key,
            })
    }
}

fn bound_to(key: KeyId) -> Vec<u8> {
    [FORMAT, key.0.as_bytes()].concat()
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::keys::generate_secret;

    fn master(id: &str) -> MasterKey {
        MasterKey::try_new(id, &generate_secret()).unwrap()
    }

    #[test]
    fn an_older_master_key_still_unwraps() {
        let (old, new) = (master("old"), master("new"));
        let (key, secret) = (KeyId(Uuid::from_u128(1)), secret::random());
        let wrapped = MasterKeys::try_new(old.clone(), []).unwrap().wrap(key, &secret);
        let rotated = MasterKeys::try_new(new, [old]).unwrap();
        assert_eq!(rotated.unwrap(key, "old", &wrapped).unwrap(), secret);
        assert_eq!(rotated.current_id(), "new");
    }

    #[test]
    fn an_unknown_master_key_and_one_of_other_bytes_are_told_apart_by_name() {
        let (key, secret) = (KeyId(Uuid::from_u128(1)), secret::random());
        let masters = MasterKeys::try_new(master("2026-11"), []).unwrap();
        let wrapped = masters.wrap(key, &secret);
        let unknown = masters.unwrap(key, "2025-01", &wrapped).unwrap_err();
        assert!(unknown.to_string().contains("2025-01"), "{unknown}");
        let wrong = MasterKeys::try_new(master("2026-11"), [])
            .unwrap()
            .unwrap(key, "2026-11", &wrapped)
            .unwrap_err();
        assert!(
            matches!(wrong, KeyError::WrongMaster { .. }) && wrong.to_string().contains("2026-11"),
            "{wrong}"
        );
        let moved = masters.unwrap(KeyId(Uuid::from_u128(2)), "2026-11", &wrapped);
        assert!(matches!(moved, Err(KeyError::WrongMaster { .. })));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let secret = generate_secret();
        let too_long = "x".repeat(65);
        for id in ["", "a b", "ä", &too_long] {
            assert_eq!(MasterKey::try_new(id, &secret).unwrap_err(), InvalidMasters::Id);
        }
        assert!(matches!(
            MasterKey::try_new("a", "c2hvcnQ="),
            Err(InvalidMasters::Secret { .. })
        ));
        let twice = MasterKeys::try_new(master("a"), [master("b"), master("a")]).unwrap_err();
        assert_eq!(twice, InvalidMasters::Twice { id: "a".to_owned() });
    }

    #[test]
    fn debug_shows_nothing_at_all() {
        let masters = MasterKeys::try_new(master("2026-11"), []).unwrap();
        assert_eq!(
            format!("{masters:?} {:?}", masters.keys[0]),
            "MasterKeys(..) MasterKey(..)"
        );
    }
}

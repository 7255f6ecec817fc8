//! Keyed hashes: how people are found without being named.

use std::fmt;

use assent_sealed::AliasHash;
use aws_lc_rs::hmac;
use uuid::{Builder, Uuid};

use super::secret::{self, InvalidSecret};
use crate::{EventStore, adapter::Adapter, read::ReadError};

/// What a hash is for. Hashes for different uses are unrelated even when everything else is the same.
#[derive(Clone, Copy)]
enum Use {
    Alias = 1,
    KeyedHash = 2,
    StreamKey = 3,
    Check = 4,
}

/// Bytes of the hash by which a store knows the key again: enough to tell keys apart, and no help in finding one.
const CHECK_BYTES: usize = 8;

/// Makes keyed hashes (HMAC-SHA-256). Its key is a secret of its own: with it, and only with it, somebody can try all
/// phone numbers. The key must never change, or nobody known so far would be recognised, their opt-outs included.
#[derive(Clone)]
pub struct AliasHasher {
    key: hmac::Key,
}

impl AliasHasher {
    /// A hasher with the key of 32 bytes that `base64` holds.
    pub fn try_new(base64: &str) -> Result<Self, InvalidSecret> {
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &*secret::parse(base64)?),
        })
    }

    /// The hash that stands for one of a person's aliases within `tenant`. `canonical` is the alias in the one form that
    /// all spellings of it share and that tells kinds of alias apart, such as `tel:12025550142`.
    pub fn alias(&self, tenant: &str, canonical: &str) -> AliasHash {
        AliasHash(self.hash(Use::Alias, tenant, &[canonical.as_bytes()]))
    }

    /// A hash of `parts` for the purpose that `label` names, such as the fingerprint of a request's body. Different
    /// labels or parts give unrelated hashes: `["ab", "c"]` is not `["a", "bc"]`.
    pub fn keyed_hash(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.hash(Use::KeyedHash, label, parts)
    }

    /// The key of a stream that is found by what it is about: a request by tenant and idempotency key, a contact by its
    /// first alias. A version 8 UUID (RFC 9562, 5.8) with 122 bits of the hash.
    pub fn stream_key(&self, label: &str, parts: &[&[u8]]) -> Uuid {
        let hash = self.hash(Use::StreamKey, label, parts);
        Builder::from_custom_bytes(hash[..16].try_into().expect("a hash has 32 bytes")).into_uuid()
    }

    /// The same for the same key, for ever.
    pub(crate) fn check_value(&self) -> [u8; CHECK_BYTES] {
        *self
            .hash(Use::Check, "store", &[])
            .first_chunk()
            .expect("a hash has 32 bytes")
    }

    fn hash(&self, purpose: Use, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        let parts = || std::iter::once(label.as_bytes()).chain(parts.iter().copied());
        let length = 1 + parts().map(|part| size_of::<u64>() + part.len()).sum::<usize>();
        let mut text = Vec::with_capacity(length);
        text.push(purpose as u8);
        for part in parts() {
            text.extend_from_slice(&(part.len() as u64).to_be_bytes());
            text.extend_from_slice(part);
        }
        let hash = hmac::sign(&self.key, &text);
        hash.as_ref().try_into().expect("SHA-256 gives 32 bytes")
    }
}

impl fmt::Debug for AliasHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AliasHasher(..)")
    }
}

impl EventStore {
    /// Whether the store's look-up hashes were made with the key of `hasher`; `None` if the store is new. Changes nothing,
    /// unlike [`check_hasher`](EventStore::check_hasher).
    pub async fn is_hasher(&self, hasher: &AliasHasher) -> Result<Option<bool>, ReadError> {
        let kept: Option<Vec<u8>> = match self.adapter() {
            Adapter::Postgres(postgres) => {
                sqlx::query_scalar("select hasher_check from assent_log.store")
                    .fetch_one(&postgres.pool)
                    .await?
            }
            Adapter::Sqlite(sqlite) => {
                sqlx::query_scalar("select hasher_check from store")
                    .fetch_one(&sqlite.log)
                    .await?
            }
        };
        Ok(kept.map(|kept| kept[..] == hasher.check_value()[..]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn hasher() -> AliasHasher {
        AliasHasher::try_new("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap()
    }

    #[test]
    fn the_same_input_has_the_same_hash_for_ever() {
        // HMAC-SHA-256 under the key above of: 01, then for each part its length in 8 bytes and itself.
        let hash = hasher().alias("acme", "tel:12025550142");
        let expected = [
            0x42, 0x8e, 0x0e, 0x1c, 0xbe, 0x43, 0xae, 0x0f, 0x6a, 0x7f, 0x19, 0x50, 0x36, 0x5f, 0x8b, 0x29, 0xf3, 0xe9,
            0x32, 0xab, 0xd2, 0x42, 0x59, 0x62, 0x84, 0x8e, 0xb3, 0x75, 0xa1, 0xff, 0xda, 0x43,
        ];
        assert_eq!(hash.0, expected);
        assert_eq!(
            hasher().stream_key("request", &[b"acme", b"order-1"]).get_version_num(),
            8
        );
    }

    #[test]
    fn no_two_inputs_share_a_hash() {
        let hasher = hasher();
        let distinct = HashSet::from([
            hasher.keyed_hash("a", &[]),
            hasher.keyed_hash("a", &[b""]),
            hasher.keyed_hash("", &[b"a"]),
            hasher.keyed_hash("a", &[b"ab", b"c"]),
            hasher.keyed_hash("a", &[b"a", b"bc"]),
            hasher.keyed_hash("a", &[b"abc"]),
            hasher.keyed_hash("aa", &[b"bc"]),
            hasher.alias("a", "abc").0,
            hasher.alias("b", "abc").0,
        ]);
        assert_eq!(distinct.len(), 9);
        let other = AliasHasher::try_new(&super::super::generate_secret()).unwrap();
        assert_ne!(other.alias("a", "abc"), hasher.alias("a", "abc"));
    }

    proptest! {
        #[test]
        fn cutting_the_same_bytes_elsewhere_gives_another_hash(bytes: Vec<u8>, one: usize, other: usize) {
            let (one, other) = (one % (bytes.len() + 1), other % (bytes.len() + 1));
            let cut = |at: usize| hasher().keyed_hash("cut", &[&bytes[..at], &bytes[at..]]);
            prop_assert_eq!(cut(one) == cut(other), one == other);
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", hasher()), "AliasHasher(..)");
    }
}

//! The hash by which a file is known.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BYTES: usize = digest::SHA256_OUTPUT_LEN;

/// SHA-256 of a file's bytes. Two files with one hash are one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash([u8; BYTES]);

impl ContentHash {
    /// The hash of a file.
    pub fn of(file: &[u8]) -> Self {
        Self::from_digest(&digest::digest(&digest::SHA256, file))
    }

    /// From its bytes; `None` unless there are 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Reads it as Meta writes it: 64 hexadecimal digits in an answer (Cloud API, "Media"), base64 in a callback.
    pub fn from_provider(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() == 2 * BYTES {
            return from_hex(text).map(Self);
        }
        Self::from_bytes(&STANDARD.decode(text).ok()?)
    }

    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    fn from_digest(digest: &digest::Digest) -> Self {
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// Lower-case hexadecimal digits.
impl std::fmt::Display for ContentHash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

fn from_hex(text: &str) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |ascii: u8| char::from(ascii).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of FIPS 180-2.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_hash_is_read_in_both_of_metas_spellings() {
        let hash = ContentHash::of(b"abc");
        assert_eq!(hash.to_string(), ABC);
        assert_eq!(ContentHash::from_provider(ABC), Some(hash));
        assert_eq!(ContentHash::from_provider(&ABC.to_uppercase()), Some(hash));
        let base64 = STANDARD.encode(hash.as_bytes());
        assert_eq!(ContentHash::from_provider(&base64), Some(hash));
        assert_eq!(ContentHash::from_bytes(hash.as_bytes()), Some(hash));
    }

    #[test]
    fn what_is_no_hash_is_none() {
        for text in ["", "abc", &"g".repeat(64), &ABC[1..], "SGVsbG8="] {
            assert_eq!(ContentHash::from_provider(text), None, "{text}");
        }
    }
}

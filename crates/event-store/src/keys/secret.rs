//! Secrets of 32 bytes, as configuration holds them.

use aws_lc_rs::rand;
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

/// Bytes of every secret here: an AES-256 key, an HMAC-SHA-256 key.
pub(crate) const SECRET_BYTES: usize = 32;

/// Overwritten when it is dropped.
pub(crate) type Secret = Zeroizing<[u8; SECRET_BYTES]>;

/// With or without padding: people copy both.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Text that is not a secret of 32 bytes in base64. Says nothing about what the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Not base64.
    #[error("the secret is not base64; make one with `openssl rand -base64 32`")]
    NotBase64,
    /// Another length.
    #[error("the secret has {bytes} bytes and needs {SECRET_BYTES}; make one with `openssl rand -base64 32`")]
    WrongLength {
        /// How many bytes it has.
        bytes: usize,
    },
    /// The same byte over and over: a placeholder that was never filled in.
    #[error("the secret is one byte repeated; make one with `openssl rand -base64 32`")]
    Placeholder,
}

/// A fresh secret in base64, fit for a master key or the key of the hashes.
pub fn generate_secret() -> Zeroizing<String> {
    Zeroizing::new(BASE64.encode(*random()))
}

pub(crate) fn random() -> Secret {
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    rand::fill(&mut *secret).expect("the operating system has random numbers, or nothing here can work");
    secret
}

/// Reads a secret; white space around it, such as the end of a file's line, does not count.
pub(crate) fn parse(text: &str) -> Result<Secret, InvalidSecret> {
    let bytes = Zeroizing::new(BASE64.decode(text.trim()).map_err(|_| InvalidSecret::NotBase64)?);
    let secret: [u8; SECRET_BYTES] = bytes
        .as_slice()
        .try_into()
        .map_err(|_| InvalidSecret::WrongLength { bytes: bytes.len() })?;
    let secret = Zeroizing::new(secret);
    if secret.iter().all(|byte| *byte == secret[0]) {
        return Err(InvalidSecret::Placeholder);
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_secret_is_read_back_with_and_without_padding_and_line_end() {
        let text = generate_secret();
        let secret = parse(&text).unwrap();
        assert_eq!(parse(&format!(" {}\n", text.trim_end_matches('='))).unwrap(), secret);
        assert_ne!(parse(&generate_secret()).unwrap(), secret);
    }

    #[test]
    fn what_is_no_secret_is_refused_with_its_reason() {
        assert_eq!(parse("not base64!"), Err(InvalidSecret::NotBase64));
        assert_eq!(parse("c2hvcnQ="), Err(InvalidSecret::WrongLength { bytes: 5 }));
        assert_eq!(parse(&"A".repeat(43)), Err(InvalidSecret::Placeholder));
    }
}

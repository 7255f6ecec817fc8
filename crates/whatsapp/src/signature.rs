//! `X-Hub-Signature-256`: proof that a callback body is Meta's.
//!
//! HMAC-SHA256 over the **raw** body with the app secret as key (Cloud API webhook reference, "Validate payloads"). Meta
//! escapes non-ASCII characters on the wire, so a body that was parsed and written again no longer matches.
//! There is no time stamp and no nonce: a captured callback stays valid for ever, freshness is for the caller to judge.

use aws_lc_rs::hmac;

use crate::secret::Secret;

/// Name of the header.
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";

const PREFIX: &[u8] = b"sha256=";
const DIGEST_BYTES: usize = 32;

/// Why a callback body is not accepted as Meta's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The request has no signature header.
    #[error("the signature header is missing")]
    Missing,
    /// The header is not `sha256=` and 64 hexadecimal digits.
    #[error("the signature header is malformed")]
    Malformed,
    /// No app secret gives this signature for this body.
    #[error("the signature does not match")]
    Mismatch,
}

/// Checks signatures against one app secret, or against several while a secret is being rotated.
#[derive(Clone)]
pub struct SignatureVerifier {
    keys: Vec<hmac::Key>,
}

impl SignatureVerifier {
    /// Takes the app secrets that may have signed; with none, nothing verifies.
    pub fn new<'a>(app_secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        Self {
            keys: app_secrets.into_iter().map(key_of).collect(),
        }
    }

    /// Checks the header value against the raw body in constant time. Gives the index of the secret that matched, so
    /// that an operator can see when the old one has gone quiet.
    pub fn verify(&self, header: Option<&[u8]>, raw_body: &[u8]) -> Result<usize, SignatureError> {
        let header = header.ok_or(SignatureError::Missing)?;
        let digest = digest_of(header).ok_or(SignatureError::Malformed)?;
        self.keys
            .iter()
            .position(|key| hmac::verify(key, raw_body, &digest).is_ok())
            .ok_or(SignatureError::Mismatch)
    }
}

impl std::fmt::Debug for SignatureVerifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SignatureVerifier")
            .field("keys", &self.keys.len())
            .finish()
    }
}

/// The header value Meta would send for this body: for a simulator and for tests.
pub fn sign(app_secret: &Secret, raw_body: &[u8]) -> String {
    use std::fmt::Write as _;

    let tag = hmac::sign(&key_of(app_secret), raw_body);
    let mut value = String::with_capacity(PREFIX.len() + 2 * DIGEST_BYTES);
    value.push_str("sha256=");
    for byte in tag.as_ref() {
        write!(value, "{byte:02x}").expect("writing to a String cannot fail");
    }
    value
}

fn key_of(app_secret: &Secret) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, app_secret.expose().as_bytes())
}

fn digest_of(header: &[u8]) -> Option<[u8; DIGEST_BYTES]> {
    let digits = header.strip_prefix(PREFIX)?;
    if digits.len() != 2 * DIGEST_BYTES {
        return None;
    }
    let mut digest = [0_u8; DIGEST_BYTES];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(digest)
}

fn nibble(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVELOPE: &[u8] = br#"{"object":"whatsapp_business_account","entry":[]}"#;
    const ENVELOPE_SIGNATURE: &[u8] = b"sha256=dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756";

    fn verifier(secrets: &[&str]) -> SignatureVerifier {
        let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
        SignatureVerifier::new(&secrets)
    }

    #[test]
    fn known_signatures_verify_over_the_bytes_as_they_came() {
        let verifier = verifier(&["test_app_secret"]);
        assert_eq!(verifier.verify(Some(ENVELOPE_SIGNATURE), ENVELOPE), Ok(0));

        let escaped = br#"{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"t":"h\u00e9"}}]}]}"#;
        let escaped_signature = b"sha256=978fab76aee8de115bf5fd5cef6063a8c8682a0a15dff3b02442676786ff429b";
        assert_eq!(verifier.verify(Some(escaped_signature), escaped), Ok(0));

        let rewritten = r#"{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"t":"hé"}}]}]}"#;
        assert_eq!(
            verifier.verify(Some(escaped_signature), rewritten.as_bytes()),
            Err(SignatureError::Mismatch)
        );
        assert_eq!(
            sign(&Secret::new("test_app_secret"), rewritten.as_bytes()),
            "sha256=fbfa3732f301b71b4adf16bdfb4900e1a1f76a006556d906d21649c39353b17c"
        );
    }

    #[test]
    fn both_secrets_of_a_rotation_verify_and_a_third_does_not() {
        let verifier = verifier(&["new", "old"]);
        let by_old = sign(&Secret::new("old"), ENVELOPE);
        let by_other = sign(&Secret::new("other"), ENVELOPE);
        assert_eq!(verifier.verify(Some(by_old.as_bytes()), ENVELOPE), Ok(1));
        assert_eq!(
            verifier.verify(Some(by_other.as_bytes()), ENVELOPE),
            Err(SignatureError::Mismatch)
        );
    }

    #[test]
    fn a_changed_or_truncated_body_does_not_verify() {
        let verifier = verifier(&["test_app_secret"]);
        let truncated = &ENVELOPE[..ENVELOPE.len() - 1];
        assert_eq!(
            verifier.verify(Some(ENVELOPE_SIGNATURE), truncated),
            Err(SignatureError::Mismatch)
        );
        assert_eq!(
            verifier.verify(Some(ENVELOPE_SIGNATURE), b""),
            Err(SignatureError::Mismatch)
        );
    }

    #[test]
    fn a_missing_or_malformed_header_is_told_apart_from_a_wrong_one() {
        let verifier = verifier(&["test_app_secret"]);
        assert_eq!(verifier.verify(None, ENVELOPE), Err(SignatureError::Missing));
        let no_hex = [b"sha256=".as_slice(), &[b'g'; 64]].concat();
        let sha1 = b"sha1=dec6a680679a968e7e0319355b23599cbfc54502".as_slice();
        let shorter = &ENVELOPE_SIGNATURE[..ENVELOPE_SIGNATURE.len() - 1];
        for header in [
            b"".as_slice(),
            b"sha256=",
            sha1,
            shorter,
            &no_hex,
            &ENVELOPE_SIGNATURE[7..],
        ] {
            assert_eq!(verifier.verify(Some(header), ENVELOPE), Err(SignatureError::Malformed));
        }
    }

    #[test]
    fn without_a_secret_nothing_verifies() {
        assert_eq!(
            verifier(&[]).verify(Some(ENVELOPE_SIGNATURE), ENVELOPE),
            Err(SignatureError::Mismatch)
        );
    }
}

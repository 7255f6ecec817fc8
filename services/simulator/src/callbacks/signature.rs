//! The signature of a callback: HMAC-SHA256 with the app secret over exactly the bytes sent.

use aws_lc_rs::hmac;

use crate::config::Secret;

/// A key ready to sign with.
#[derive(Debug)]
pub(super) struct Signer {
    key: hmac::Key,
}

impl Signer {
    pub(super) fn new(secret: &Secret) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()),
        }
    }

    /// The value of `X-Hub-Signature-256`. With `spoil`, one that does not fit.
    pub(super) fn header(&self, body: &[u8], spoil: bool) -> String {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let tag = hmac::sign(&self.key, body);
        let mut header = String::with_capacity(7 + 64);
        header.push_str("sha256=");
        for (at, byte) in tag.as_ref().iter().enumerate() {
            let byte = if spoil && at == 0 { !byte } else { *byte };
            header.push(char::from(HEX[usize::from(byte >> 4)]));
            header.push(char::from(HEX[usize::from(byte & 15)]));
        }
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The vectors are of RFC 4231 (test case 2), and of our own making for a body as Meta sends it.
    #[test]
    fn the_signature_matches_known_vectors() {
        let signer = Signer::new(&Secret::new("Jefe"));
        let header = signer.header(b"what do ya want for nothing?", false);
        assert_eq!(
            header,
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let signer = Signer::new(&Secret::new("test_app_secret"));
        let header = signer.header(br#"{"object":"whatsapp_business_account","entry":[]}"#, false);
        assert_eq!(
            header,
            "sha256=dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756"
        );
    }

    #[test]
    fn a_spoilt_signature_differs() {
        let signer = Signer::new(&Secret::new("s"));
        assert_ne!(signer.header(b"x", true), signer.header(b"x", false));
    }
}

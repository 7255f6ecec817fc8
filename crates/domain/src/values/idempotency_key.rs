//! The caller's name for a request.

use std::fmt;

use super::text_value;

/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;

/// The caller's own name for a request; the same key always gets the same answer.
///
/// Callers put what they like into it, phone numbers too, so it is not shown in Debug output and not stored: message ids
/// derive from a keyed hash of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// Text that is not an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters without spaces")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// Accepts 1 to 128 visible ASCII characters (`!` to `~`).
    pub fn try_new(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let good = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidIdempotencyKey)
        }
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(..)")
    }
}

text_value!(IdempotencyKey, InvalidIdempotencyKey);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_is_visible_ascii_and_stays_out_of_debug_output() {
        let key = IdempotencyKey::try_new("order-55:+12025550142").unwrap();
        assert_eq!(key.as_str(), "order-55:+12025550142");
        assert_eq!(format!("{key:?}"), "IdempotencyKey(..)");
        for bad in ["", "a b", "ä", "a\n", &"k".repeat(129)] {
            assert_eq!(IdempotencyKey::try_new(bad), Err(InvalidIdempotencyKey));
        }
    }
}

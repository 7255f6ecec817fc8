//! Meta's message ids, hashed.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A keyed hash is written as 64 hexadecimal digits.
fn to_hex(bytes: &[u8; 32]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let value = |digit: u8| char::from(digit).to_digit(16);
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (value(digits[0])? << 4 | value(digits[1])?) as u8;
    }
    Some(bytes)
}

pub(super) fn serialize_hash<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_hex(bytes))
}

pub(super) fn deserialize_hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    from_hex(&text).ok_or_else(|| de::Error::custom("a keyed hash has 64 hexadecimal digits"))
}

/// A keyed hash of a `wamid`, Meta's id of a message. A `wamid` contains the person's phone number in the clear, so the
/// log and every look-up go by this instead. Like an alias hash it is about one person and stays out of logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WamidHash(pub [u8; 32]);

impl fmt::Debug for WamidHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WamidHash(..)")
    }
}

impl Serialize for WamidHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_hash(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for WamidHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_hash(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wamid_hash_survives_json_and_shows_nothing_in_debug() {
        let hash = WamidHash(std::array::from_fn(|at| at as u8 * 7));
        let json = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<WamidHash>(&json).unwrap(), hash);
        assert_eq!(format!("{hash:?}"), "WamidHash(..)");
        for bad in [
            "\"00\"".to_owned(),
            format!("\"{}\"", "é".repeat(32)),
            format!("\"{}\"", "+1".repeat(32)),
        ] {
            let _: serde_json::Error = serde_json::from_str::<WamidHash>(&bad).unwrap_err();
        }
    }
}

//! JSON as it comes from Meta: ASCII only, everything else as `\uXXXX`, and `/` as `\/`.
//!
//! Receivers that re-serialise a body before checking its signature break on exactly this.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Formatter;

struct AsciiFormatter;

impl Formatter for AsciiFormatter {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if fragment.bytes().all(|byte| byte.is_ascii() && byte != b'/') {
            return writer.write_all(fragment.as_bytes());
        }
        let mut units = [0_u16; 2];
        for character in fragment.chars() {
            match character {
                '/' => writer.write_all(b"\\/")?,
                plain if plain.is_ascii() => writer.write_all(&[plain as u8])?,
                other => {
                    for unit in other.encode_utf16(&mut units) {
                        writer.write_all(&escape(*unit))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// `\uXXXX`, in lower case as Meta writes it.
fn escape(unit: u16) -> [u8; 6] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digit = |shift: u16| HEX[usize::from(unit >> shift & 15)];
    [b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]
}

/// Serialises to ASCII-only JSON.
pub(crate) fn to_vec<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1_024);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, AsciiFormatter);
    value
        .serialize(&mut serializer)
        .expect("our own types serialise to a byte vector without failing");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_ascii_and_slashes_are_escaped_and_read_back_the_same() {
        let text = "Zoë / 👍 \"q\" \n";
        let bytes = to_vec(text);
        assert_eq!(bytes, br#""Zo\u00eb \/ \ud83d\udc4d \"q\" \n""#);
        assert_eq!(serde_json::from_slice::<String>(&bytes).unwrap(), text);
    }
}

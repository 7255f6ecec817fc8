//! Names and ids of people, messages and numbers, shaped like the platform's own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::draw::{self, Draw};

/// Who a business number is, as callbacks name it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NumberIdentity {
    /// WABA id.
    pub(crate) account_id: String,
    /// Phone-number id.
    pub(crate) id: String,
    /// E.164 digits.
    pub(crate) digits: String,
}

/// Profile names; some outside ASCII, so that receivers meet `\u` escapes.
const NAMES: [&str; 16] = [
    "Ana",
    "Zoë",
    "José",
    "Łukasz",
    "Maya",
    "Noah",
    "Åsa",
    "Chloé",
    "Omar",
    "Priya",
    "Søren",
    "Tom",
    "美咲",
    "Ines 🌻",
    "Ravi",
    "Lea",
];

/// Calling codes and the country code of user ids; longer codes come later, so the search runs backwards.
const COUNTRIES: [(&str, &str); 16] = [
    ("1", "US"),
    ("7", "KZ"),
    ("20", "EG"),
    ("27", "ZA"),
    ("31", "NL"),
    ("33", "FR"),
    ("34", "ES"),
    ("39", "IT"),
    ("44", "GB"),
    ("49", "DE"),
    ("52", "MX"),
    ("54", "AR"),
    ("55", "BR"),
    ("62", "ID"),
    ("81", "JP"),
    ("91", "IN"),
];

/// The `wa_id` a dialled number resolves to; not always the same digits.
///
/// Mexican mobiles are known with a `1` after 52, Argentine ones with a `9` after 54, and Brazilian ones of area codes
/// from 31 up without the ninth digit.
pub(crate) fn wa_id(dialled: u64) -> u64 {
    let digits = dialled.to_string();
    let moved = match digits.as_bytes() {
        [b'5', b'2', rest @ ..] if rest.len() == 10 => format!("521{}", &digits[2..]),
        [b'5', b'4', first, rest @ ..] if rest.len() == 9 && *first != b'9' => format!("549{}", &digits[2..]),
        [b'5', b'5', area, _, b'9', rest @ ..] if rest.len() == 8 && *area >= b'3' => {
            format!("{}{}", &digits[..4], &digits[5..])
        }
        _ => return dialled,
    };
    moved.parse().unwrap_or(dialled)
}

/// The business-scoped user id (BSUID) of a person for one portfolio, after so many changes of it.
pub(crate) fn user_id(seed: u64, portfolio: &str, phone: u64, change: u64) -> String {
    let digits = phone.to_string();
    let country = COUNTRIES.iter().rev().find(|(prefix, _)| digits.starts_with(prefix));
    let subject = draw::subject(portfolio) ^ change.rotate_right(8);
    let number = draw::bits(seed, Draw::UserId, subject, phone) % 90_000_000_000_000_000;
    format!(
        "{}.{}",
        country.map_or("US", |(_, code)| code),
        number + 10_000_000_000_000_000
    )
}

/// The profile name of a person.
pub(crate) fn profile_name(seed: u64, phone: u64) -> &'static str {
    NAMES[(draw::bits(seed, Draw::Name, phone, 0) % NAMES.len() as u64) as usize]
}

/// Which way a message goes; it shows in the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Business to person.
    Outgoing,
    /// Person to business.
    Incoming,
}

/// A message id. Like Meta's, it holds the person's number in clear: base64 of
/// `1C 18 len digits 15 02 00 {11|12} 18 len hex 00`.
pub(crate) fn wamid(seed: u64, direction: Direction, number: &str, phone: u64, nth: u64) -> String {
    let who = draw::subject(number) ^ phone ^ if direction == Direction::Incoming { u64::MAX } else { 0 };
    let high = draw::bits(seed, Draw::WamidHigh, who, nth);
    let low = draw::bits(seed, Draw::WamidLow, who, nth);
    let (kind, random) = match direction {
        Direction::Outgoing => (0x11, format!("{high:016X}{:02X}", low & 0xff)),
        Direction::Incoming => (0x12, format!("{high:016X}{:04X}", low & 0xffff)),
    };
    let digits = phone.to_string();
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(&[0x1c, 0x18, digits.len() as u8]);
    bytes.extend_from_slice(digits.as_bytes());
    bytes.extend_from_slice(&[0x15, 0x02, 0x00, kind, 0x18, random.len() as u8]);
    bytes.extend_from_slice(random.as_bytes());
    bytes.push(0);
    let mut id = String::with_capacity(96);
    id.push_str("wamid.");
    STANDARD.encode_string(&bytes, &mut id);
    id
}

/// A number as `display_phone_number` of the number node shows it; callbacks carry bare digits instead.
pub(crate) fn displayed(digits: &str) -> String {
    if digits.len() == 11 && digits.starts_with('1') {
        return format!("+1 {}-{}-{}", &digits[1..4], &digits[4..7], &digits[7..]);
    }
    format!("+{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mexico_argentina_and_brazil_are_known_under_other_digits() {
        assert_eq!(wa_id(525_512_345_678), 5_215_512_345_678);
        assert_eq!(wa_id(5_215_512_345_678), 5_215_512_345_678);
        assert_eq!(wa_id(541_112_345_678), 5_491_112_345_678);
        assert_eq!(wa_id(5_491_112_345_678), 5_491_112_345_678);
        assert_eq!(wa_id(5_531_987_654_321), 553_187_654_321);
        assert_eq!(wa_id(5_511_987_654_321), 5_511_987_654_321);
        assert_eq!(wa_id(12_025_550_142), 12_025_550_142);
    }

    #[test]
    fn a_wamid_holds_the_persons_number_and_is_unique_per_message() {
        let first = wamid(1, Direction::Outgoing, "2", 12_025_550_142, 0);
        assert_ne!(first, wamid(1, Direction::Outgoing, "2", 12_025_550_142, 1));
        assert_ne!(first, wamid(1, Direction::Incoming, "2", 12_025_550_142, 0));
        let bytes = STANDARD.decode(first.strip_prefix("wamid.").unwrap()).unwrap();
        assert_eq!(&bytes[..3], &[0x1c, 0x18, 11]);
        assert_eq!(&bytes[3..14], b"12025550142");
        assert_eq!(bytes.len(), 14 + 6 + 18 + 1);
    }

    #[test]
    fn user_ids_carry_the_country_and_differ_between_portfolios() {
        assert!(user_id(1, "p", 5_215_512_345_678, 0).starts_with("MX."));
        assert!(user_id(1, "p", 12_025_550_142, 0).starts_with("US."));
        assert_ne!(user_id(1, "p", 12_025_550_142, 0), user_id(1, "q", 12_025_550_142, 0));
        assert_ne!(user_id(1, "p", 12_025_550_142, 0), user_id(1, "p", 12_025_550_142, 1));
    }
}

//! Phone numbers.

use std::fmt;

use super::numbering_plan;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A phone number in E.164, possible in its country by libphonenumber's rules. Valid does not mean on WhatsApp: that is
/// only learned by sending.
///
/// **Several spellings, one account.** Mexican mobiles lost a `1` after `52`, Argentine mobiles have a `9` after `54`
/// when dialled from abroad, Brazilian mobiles gained a `9` in front of eight digits. WhatsApp accounts keep whichever spelling
/// they were opened with. This type never guesses which is right: it keeps the one it was given, and
/// [`alias_candidates`](Self::alias_candidates) gives all of them for look-ups.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhoneNumber {
    /// Country code and national number, without the plus sign.
    digits: String,
}

/// Text that is not a phone number. Never contains the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhoneNumber {
    /// It does not start with `+`. Without it the country would have to be guessed.
    #[error("a phone number starts with + and the country code, such as +12025550142")]
    NoPlusSign,
    /// It holds something other than digits, spaces and `- . ( ) /`.
    #[error("a phone number has only digits, spaces and - . ( ) / after the plus sign")]
    ForbiddenCharacter,
    /// No country has such a number: unknown country code, wrong length or unassigned range.
    #[error("no country has such a phone number")]
    Impossible,
}

/// E.164 allows 15 digits.
const DIGITS_MAX: usize = 15;

impl PhoneNumber {
    /// Accepts a number with `+`, its country code and the usual punctuation. A trunk zero in brackets is dropped.
    pub fn try_new(text: &str) -> Result<Self, InvalidPhoneNumber> {
        let rest = text.trim().strip_prefix('+').ok_or(InvalidPhoneNumber::NoPlusSign)?;
        if !rest.chars().all(|c| c.is_ascii_digit() || " -.()/".contains(c)) {
            return Err(InvalidPhoneNumber::ForbiddenCharacter);
        }
        let given: String = rest.chars().filter(char::is_ascii_digit).collect();
        if !(5..=DIGITS_MAX + 2).contains(&given.len()) {
            return Err(InvalidPhoneNumber::Impossible);
        }
        let spellings = spellings(&given);
        if spellings.len() > 1 {
            // One of the countries with several spellings, and the given one is among them: keep it.
            return if spellings.iter().any(|spelling| is_valid(spelling)) {
                Ok(Self { digits: given })
            } else {
                Err(InvalidPhoneNumber::Impossible)
            };
        }
        if given.len() <= DIGITS_MAX && numbering_plan::is_assignable(&given) {
            return Ok(Self { digits: given });
        }
        // `+44 (0)20 …`: the library knows whose zeros to drop.
        let parsed = phonenumber::parse(None, text.trim()).map_err(|_| InvalidPhoneNumber::Impossible)?;
        let normalised = parsed.format().mode(phonenumber::Mode::E164).to_string();
        let digits = normalised.trim_start_matches('+').to_owned();
        if digits.len() > DIGITS_MAX || !parsed.is_valid() {
            return Err(InvalidPhoneNumber::Impossible);
        }
        Ok(Self { digits })
    }

    /// The number in E.164 with its plus sign, as Meta wants it in `to`.
    pub fn e164(&self) -> String {
        format!("+{}", self.digits)
    }

    /// The number in E.164 without its plus sign, as Meta writes a `wa_id`.
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// Every spelling that may belong to the same account, this one first and the others in a fixed order. Whichever
    /// spelling one starts from, the set is the same.
    pub fn alias_candidates(&self) -> Vec<Self> {
        let others = spellings(&self.digits)
            .into_iter()
            .filter(|digits| *digits != self.digits);
        std::iter::once(self.clone())
            .chain(others.map(|digits| Self { digits }))
            .collect()
    }
}

fn is_valid(digits: &str) -> bool {
    numbering_plan::is_assignable(digits)
        || phonenumber::parse(None, format!("+{digits}")).is_ok_and(|number| number.is_valid())
}

/// All spellings of a number, in a fixed order; just the number itself where there is only one.
///
/// Source: `whatsapp-platform-facts` §10.2 (field reports, and the 2024 renumbering of Mexico).
fn spellings(digits: &str) -> Vec<String> {
    if let Some(national) = digits.strip_prefix("52") {
        let ten = if national.len() == 11 {
            national.strip_prefix('1')
        } else {
            Some(national)
        };
        if let Some(ten) = ten.filter(|ten| ten.len() == 10) {
            return vec![format!("52{ten}"), format!("521{ten}")];
        }
    }
    if let Some(national) = digits.strip_prefix("54") {
        let ten = if national.len() == 11 {
            national.strip_prefix('9')
        } else {
            Some(national)
        };
        if let Some(ten) = ten.filter(|ten| ten.len() == 10) {
            return vec![format!("549{ten}"), format!("54{ten}")];
        }
    }
    if let Some(spellings) = digits.strip_prefix("55").and_then(brazilian_spellings) {
        return spellings;
    }
    vec![digits.to_owned()]
}

/// Area code and eight digits, with and without the ninth. Only eight digits beginning with 6 to 9 were ever a mobile of the
/// old plan; without the 9 the others would name somebody else's landline.
fn brazilian_spellings(national: &str) -> Option<Vec<String>> {
    let area = national.get(..2)?;
    let local = national.get(2..)?;
    let eight = if local.len() == 9 {
        local.strip_prefix('9')?
    } else {
        local
    };
    let was_mobile = eight.len() == 8 && matches!(eight.as_bytes()[0], b'6'..=b'9');
    was_mobile.then(|| vec![format!("55{area}9{eight}"), format!("55{area}{eight}")])
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(..)")
    }
}

impl std::str::FromStr for PhoneNumber {
    type Err = InvalidPhoneNumber;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_new(text)
    }
}

impl Serialize for PhoneNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.e164())
    }
}

/// What was accepted once is read back for ever, even when a later numbering plan would refuse it: only the shape counts.
impl<'de> Deserialize<'de> for PhoneNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let digits = text
            .strip_prefix('+')
            .filter(|digits| (5..=DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()));
        let digits = digits.ok_or_else(|| de::Error::custom("a stored phone number is + and 5 to 15 digits"))?;
        Ok(Self {
            digits: digits.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber::try_new(text).unwrap()
    }

    fn candidates(text: &str) -> Vec<String> {
        number(text).alias_candidates().iter().map(PhoneNumber::e164).collect()
    }

    #[test]
    fn punctuation_and_trunk_zeros_are_dropped() {
        assert_eq!(number("+1 (202) 555-0142").e164(), "+12025550142");
        assert_eq!(number("+44 (0)20 7946 0958").e164(), "+442079460958");
        assert_eq!(number(" +49 151 1234 5678 ").digits(), "4915112345678");
        // Italian landlines keep their zero.
        assert_eq!(number("+39 06 1234567").e164(), "+39061234567");
    }

    #[test]
    fn what_no_country_has_is_refused_without_repeating_it() {
        let cases = [
            ("12025550142", InvalidPhoneNumber::NoPlusSign),
            ("", InvalidPhoneNumber::NoPlusSign),
            ("+1 202 KL5 0142", InvalidPhoneNumber::ForbiddenCharacter),
            ("+12025550142;ext=5", InvalidPhoneNumber::ForbiddenCharacter),
            ("+999123456789", InvalidPhoneNumber::Impossible),
            ("+120255501", InvalidPhoneNumber::Impossible),
            ("+", InvalidPhoneNumber::Impossible),
            ("+4915112345678901234", InvalidPhoneNumber::Impossible),
        ];
        for (text, error) in cases {
            assert_eq!(PhoneNumber::try_new(text).unwrap_err(), error);
            assert!(!error.to_string().contains("0142") || error == InvalidPhoneNumber::NoPlusSign);
        }
    }

    #[test]
    fn a_mexican_number_may_have_a_one_after_the_country_code() {
        assert_eq!(candidates("+52 55 1234 5678"), ["+525512345678", "+5215512345678"]);
        assert_eq!(candidates("+52 1 55 1234 5678"), ["+5215512345678", "+525512345678"]);
    }

    #[test]
    fn an_argentine_number_may_have_a_nine_after_the_country_code() {
        assert_eq!(candidates("+54 9 11 2345 6789"), ["+5491123456789", "+541123456789"]);
        assert_eq!(candidates("+54 11 2345 6789"), ["+541123456789", "+5491123456789"]);
        // 15 is how a mobile is dialled within the country; the library knows.
        assert_eq!(number("+54 11 15 2345 6789").e164(), "+5491123456789");
    }

    #[test]
    fn a_brazilian_mobile_may_lack_its_ninth_digit() {
        assert_eq!(candidates("+55 31 98765-4321"), ["+5531987654321", "+553187654321"]);
        assert_eq!(candidates("+55 31 8765-4321"), ["+553187654321", "+5531987654321"]);
        assert_eq!(
            candidates("+55 11 3456-7890"),
            ["+551134567890"],
            "a landline has one spelling"
        );
    }

    #[test]
    fn every_spelling_leads_to_the_same_set() {
        for text in ["+525512345678", "+5491123456789", "+5531987654321", "+12025550142"] {
            let mut expected = candidates(text);
            expected.sort();
            for spelling in candidates(text) {
                let mut found = candidates(&spelling);
                found.sort();
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn a_number_is_hidden_in_debug_output_and_read_back_from_json() {
        let phone = number("+12025550142");
        assert_eq!(format!("{phone:?}"), "PhoneNumber(..)");
        let json = serde_json::to_string(&phone).unwrap();
        assert_eq!(serde_json::from_str::<PhoneNumber>(&json).unwrap(), phone);
        assert!(serde_json::from_str::<PhoneNumber>("\"12025550142\"").is_err());
    }
}

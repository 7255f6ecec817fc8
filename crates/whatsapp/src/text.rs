//! Formatting marks and links, as WhatsApp's apps read them (WhatsApp help centre, "How to format your messages" and
//! "How to use click to chat"). Nothing of it is declared to Meta: it is all in the text.

use std::fmt::Write as _;

/// Bold. The text must not begin or end with white space, or the marks stay visible.
pub fn bold(text: &str) -> String {
    format!("*{text}*")
}

/// Italic.
pub fn italic(text: &str) -> String {
    format!("_{text}_")
}

/// Struck through.
pub fn strike(text: &str) -> String {
    format!("~{text}~")
}

/// In a type of one width.
pub fn mono(text: &str) -> String {
    format!("```{text}```")
}

/// A mark that opens and never closes, so that the user sees the mark itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnbalancedMark {
    /// `*`, `_`, `~` or three back-ticks.
    pub mark: &'static str,
    /// Line of the text, from 1.
    pub line: usize,
}

/// Finds marks that open at the beginning of a word and do not close on the same line. Stars and underscores inside words
/// (`snake_case`, `2*3`) and a star that starts a list are none.
pub fn unbalanced_marks(text: &str) -> Vec<UnbalancedMark> {
    let mut found = Vec::new();
    let mut mono_opened = None;
    for (index, line) in text.lines().enumerate() {
        let mut outside = String::new();
        for (at, part) in line.split("```").enumerate() {
            if at > 0 {
                mono_opened = match mono_opened {
                    None => Some(index + 1),
                    Some(_) => None,
                };
            }
            if mono_opened.is_none() {
                outside.push_str(part);
                outside.push(' ');
            }
        }
        for (mark, sign) in [("*", '*'), ("_", '_'), ("~", '~')] {
            if has_open_mark(&outside, sign) {
                found.push(UnbalancedMark { mark, line: index + 1 });
            }
        }
    }
    if let Some(line) = mono_opened {
        found.push(UnbalancedMark { mark: "```", line });
    }
    found
}

fn has_open_mark(line: &str, mark: char) -> bool {
    let mut open = false;
    let mut before = None;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        if character == mark {
            let word_before = before.is_some_and(char::is_alphanumeric);
            let space_before = before.is_none_or(char::is_whitespace);
            let after = characters.peek().copied();
            let space_after = after.is_none_or(char::is_whitespace);
            let word_after = after.is_some_and(char::is_alphanumeric);
            if open && !space_before && !word_after {
                open = false;
            } else if !open && !word_before && !space_after {
                open = true;
            }
        }
        before = Some(character);
    }
    open
}

/// Why no link could be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The number has other characters than digits and the usual punctuation, starts with zero, or is too short or long.
    #[error("not an international phone number with its country code")]
    Number,
}

/// A `wa.me` link that opens a chat with a number: digits only, no plus and no leading zeros, the text percent-encoded.
/// Without a number the user chooses whom to write to. Opening it is no consent, and Meta refuses it as a template's button.
pub fn wa_me(number: Option<&str>, text: Option<&str>) -> Result<String, LinkError> {
    let mut link = String::from("https://wa.me/");
    if let Some(number) = number {
        link.push_str(&digits(number)?);
    }
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        link.push_str("?text=");
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                link.push(byte as char);
            } else {
                write!(link, "%{byte:02X}").expect("writing to a String cannot fail");
            }
        }
    }
    Ok(link)
}

fn digits(number: &str) -> Result<String, LinkError> {
    use crate::limits::{PHONE_DIGITS_MAX, PHONE_DIGITS_MIN};

    if !number.chars().all(|c| c.is_ascii_digit() || "+-() .".contains(c)) {
        return Err(LinkError::Number);
    }
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    if digits.starts_with('0') || !(PHONE_DIGITS_MIN..=PHONE_DIGITS_MAX).contains(&digits.len()) {
        return Err(LinkError::Number);
    }
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(text: &str) -> Vec<(&'static str, usize)> {
        unbalanced_marks(text)
            .into_iter()
            .map(|found| (found.mark, found.line))
            .collect()
    }

    #[test]
    fn built_marks_are_balanced() {
        let text = format!("{} {} {}\n{}", bold("a b"), italic("c"), strike("d"), mono("e\n*f"));
        assert_eq!(text, "*a b* _c_ ~d~\n```e\n*f```");
        assert_eq!(marks(&text), []);
    }

    #[test]
    fn an_open_mark_is_found_with_its_line() {
        assert_eq!(marks("fine\n*bold without end"), [("*", 2)]);
        assert_eq!(marks("_a ~b"), [("_", 1), ("~", 1)]);
        assert_eq!(marks("```code\nmore"), [("```", 1)]);
        assert_eq!(marks("*opened\nclosed*"), [("*", 1)]);
    }

    #[test]
    fn marks_inside_words_and_list_stars_are_no_marks() {
        assert_eq!(marks("snake_case 2*3 a~b"), []);
        assert_eq!(marks("* first\n* second"), []);
        assert_eq!(marks("(*bold*), _it_!"), []);
    }

    #[test]
    fn a_link_has_digits_and_an_encoded_text() {
        assert_eq!(
            wa_me(Some("+1 (202) 555-0100"), None).unwrap(),
            "https://wa.me/12025550100"
        );
        assert_eq!(
            wa_me(Some("12025550100"), Some("Hi & é")).unwrap(),
            "https://wa.me/12025550100?text=Hi%20%26%20%C3%A9"
        );
        assert_eq!(wa_me(None, Some("Hi")).unwrap(), "https://wa.me/?text=Hi");
    }

    #[test]
    fn a_number_that_cannot_be_international_gets_no_link() {
        for bad in ["0202 555 0100", "+1 202 CALL", "", "12", "+1234567890123456"] {
            assert_eq!(wa_me(Some(bad), None), Err(LinkError::Number), "{bad}");
        }
    }
}

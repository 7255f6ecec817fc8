//! Formatting marks and links, as WhatsApp's apps read them (WhatsApp help centre, "How to format your messages" and
//! "How to use click to chat"). Nothing of it is declared to Meta: it is all in the text.

use std::fmt::Write as _;

/// Bold. White space at the edges of a line stays outside the marks, for marks beside it are shown as they are; each line is
/// marked on its own, for marks do not reach over line breaks.
pub fn bold(text: &str) -> String {
    marked(text, "*")
}

/// Italic; see [`bold`].
pub fn italic(text: &str) -> String {
    marked(text, "_")
}

/// Struck through; see [`bold`].
pub fn strike(text: &str) -> String {
    marked(text, "~")
}

/// In a type of one width; reaches over line breaks.
pub fn mono(text: &str) -> String {
    if text.trim().is_empty() {
        return text.to_owned();
    }
    format!("```{text}```")
}

fn marked(text: &str, mark: &str) -> String {
    let line = |line: &str| {
        let core = line.trim();
        if core.is_empty() {
            return line.to_owned();
        }
        let (before, after) = line.split_once(core).unwrap_or(("", ""));
        format!("{before}{mark}{core}{mark}{after}")
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
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

/// A link that opens an app and does nothing where the app is not installed.
#[derive(Clone, PartialEq, Eq)]
pub struct AppLink {
    /// `whatsapp` or `upi`.
    pub scheme: &'static str,
    /// Line of the text, from 1.
    pub line: usize,
    /// A link that does the same and falls back to a web page; `None` where there is none. It may hold a phone number and a text.
    pub universal: Option<String>,
}

impl std::fmt::Debug for AppLink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AppLink")
            .field("scheme", &self.scheme)
            .field("line", &self.line)
            .field("has_universal", &self.universal.is_some())
            .finish_non_exhaustive()
    }
}

/// Finds `whatsapp://` and `upi://` links, whatever their case.
pub fn app_links(text: &str) -> Vec<AppLink> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        // Only ASCII changes its case here, so places in the one line are places in the other.
        let lower = line.to_ascii_lowercase();
        let mut places: Vec<(usize, &'static str)> = ["whatsapp", "upi"]
            .into_iter()
            .flat_map(|scheme| {
                let start = format!("{scheme}://");
                let places: Vec<usize> = lower.match_indices(&start).map(|(at, _)| at).collect();
                places.into_iter().map(move |at| (at, scheme))
            })
            .filter(|(at, _)| !lower[..*at].ends_with(|before: char| before.is_alphanumeric()))
            .collect();
        places.sort_unstable();
        for (at, scheme) in places {
            let rest = &line[at + scheme.len() + "://".len()..];
            let link = rest.split(char::is_whitespace).next().unwrap_or_default();
            // A comma or full stop after a link belongs to the sentence.
            let link = link.trim_end_matches([',', '.', ';', ':', '!', '?', ')', '*', '_', '~']);
            found.push(AppLink {
                scheme,
                line: index + 1,
                universal: if scheme == "whatsapp" {
                    universal_link(link)
                } else {
                    None
                },
            });
        }
    }
    found
}

/// The universal link that does what a `whatsapp://` link does, given what follows the scheme.
fn universal_link(link: &str) -> Option<String> {
    let (path, query) = link.split_once('?').unwrap_or((link, ""));
    match path.trim_end_matches('/').to_ascii_lowercase().as_str() {
        "send" => {
            let value = |key: &str| {
                let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                let mut values = pairs.filter(|(name, value)| *name == key && !value.is_empty());
                values.next().map(|(_, value)| value)
            };
            let number: Option<String> = value("phone").and_then(|phone| digits(&phone.replace("%2B", "+")).ok());
            let mut universal = format!("https://wa.me/{}", number.unwrap_or_default());
            // Encoded there as it has to be here.
            if let Some(text) = value("text") {
                universal.push_str("?text=");
                universal.push_str(text);
            }
            Some(universal)
        }
        "r" => Some("https://v.whatsapp.com".to_owned()),
        _ => None,
    }
}

/// Why no link could be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The number has other characters than digits and the usual punctuation, starts with zero, or is too short or long.
    #[error("not an international phone number with its country code")]
    Number,
    /// The link does not fit a QR code; shorten the text.
    #[error("too long for a QR code")]
    TooLong,
}

/// A `wa.me` link as a QR code, an SVG image of `side_pixels_min` pixels or somewhat more, quiet zone included.
pub fn wa_me_qr_svg(number: Option<&str>, text: Option<&str>, side_pixels_min: u32) -> Result<String, LinkError> {
    let link = wa_me(number, text)?;
    let code = qrcode::QrCode::new(link.as_bytes()).map_err(|_| LinkError::TooLong)?;
    let mut image = code.render::<qrcode::render::svg::Color<'_>>();
    Ok(image.min_dimensions(side_pixels_min, side_pixels_min).build())
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
    fn marks_stand_beside_words_on_every_line() {
        assert_eq!(bold(" Sale \n\nnow"), " *Sale* \n\n*now*");
        assert_eq!(italic("  "), "  ");
        assert_eq!(mono(""), "");
        assert_eq!(marks(&strike(" a\n b ")), []);
    }

    #[test]
    fn links_that_need_an_app_are_found_with_what_to_write_instead() {
        let links = |text: &str| -> Vec<(&'static str, usize, Option<String>)> {
            let found = app_links(text).into_iter();
            found.map(|link| (link.scheme, link.line, link.universal)).collect()
        };
        let some = |link: &str| Some(link.to_owned());
        assert_eq!(
            links("Write to us:\nWhatsApp://send?phone=+12025550100&text=Hi%20there, or pay: upi://pay?pa=x"),
            [
                ("whatsapp", 2, some("https://wa.me/12025550100?text=Hi%20there")),
                ("upi", 2, None)
            ]
        );
        assert_eq!(
            links("whatsapp://send?text=Hi"),
            [("whatsapp", 1, some("https://wa.me/?text=Hi"))]
        );
        assert_eq!(links("whatsapp://r"), [("whatsapp", 1, some("https://v.whatsapp.com"))]);
        assert_eq!(links("whatsapp://chat/"), [("whatsapp", 1, None)]);
        assert_eq!(links("https://wa.me/12025550100 xupi://pay whatsapp: //send"), []);
        assert!(!format!("{:?}", app_links("whatsapp://send?phone=12025550100")).contains("2025550100"));
    }

    #[test]
    fn a_qr_code_is_an_image_of_its_link_alone() {
        let svg = wa_me_qr_svg(Some("+1 202 555 0100"), Some("Hi"), 200).unwrap();
        assert!(svg.contains("<svg") && svg.contains("</svg>"), "{svg}");
        assert!(!svg.contains("2025550100"));
        assert_ne!(svg, wa_me_qr_svg(Some("12025550101"), Some("Hi"), 200).unwrap());
        assert_eq!(wa_me_qr_svg(Some("0100"), None, 200), Err(LinkError::Number));
        assert_eq!(
            wa_me_qr_svg(None, Some(&"x".repeat(5_000)), 200),
            Err(LinkError::TooLong)
        );
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

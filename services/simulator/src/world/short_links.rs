//! Short links and QR codes of a number (`wa.me/message/CODE`): who opens one finds a text ready to send.

use serde_json::{Value, json};

use super::draw::{self, Draw};
use crate::error::GraphError;
use crate::request::{check_chars, invalid, missing};

const TEXT_CHARS_MAX: usize = 140;
const LINKS_MAX: usize = 2_000;
const CODE_CHARS: usize = 14;
/// Base 32, as the platform's own codes.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A short link.
#[derive(Clone, Debug)]
struct ShortLink {
    code: String,
    text: String,
}

/// The short links of a number, newest first.
#[derive(Debug, Default)]
pub(crate) struct ShortLinks {
    links: Vec<ShortLink>,
    made: u64,
}

impl ShortLinks {
    /// Makes a link, or with a code changes the text of one. `image` asks for a QR image, `PNG` or `SVG`.
    pub(crate) fn put(
        &mut self,
        seed: u64,
        number_id: &str,
        code: Option<&str>,
        text: Option<&str>,
        image: Option<&str>,
    ) -> Result<Value, GraphError> {
        let text = text
            .filter(|text| !text.is_empty())
            .ok_or_else(|| missing("prefilled_message"))?;
        check_chars("prefilled_message", text, TEXT_CHARS_MAX)?;
        if image.is_some_and(|format| !is_image_format(format)) {
            return Err(invalid("Param generate_qr_image must be PNG or SVG."));
        }
        let link = if let Some(code) = code {
            let link = self.links.iter_mut().find(|link| link.code == code);
            let link = link.ok_or_else(|| GraphError::no_such_object(code))?;
            text.clone_into(&mut link.text);
            link.clone()
        } else {
            if self.links.len() >= LINKS_MAX {
                return Err(invalid("The number has as many short links as it may have."));
            }
            let code = code_of(seed, draw::subject(number_id), self.made);
            self.made += 1;
            let link = ShortLink {
                code,
                text: text.to_owned(),
            };
            self.links.insert(0, link.clone());
            link
        };
        Ok(node(&link, image))
    }

    /// All links, or the one with this code. `image` asks for a QR image.
    pub(crate) fn list(&self, code: Option<&str>, image: Option<&str>) -> Vec<Value> {
        let wanted = self
            .links
            .iter()
            .filter(|link| code.is_none_or(|code| link.code == code));
        wanted.map(|link| node(link, image)).collect()
    }

    /// Removes a link.
    pub(crate) fn remove(&mut self, code: &str) -> Result<(), GraphError> {
        let at = self.links.iter().position(|link| link.code == code);
        let at = at.ok_or_else(|| GraphError::no_such_object(code))?;
        self.links.remove(at);
        Ok(())
    }
}

fn is_image_format(format: &str) -> bool {
    format.eq_ignore_ascii_case("PNG") || format.eq_ignore_ascii_case("SVG")
}

fn code_of(seed: u64, number: u64, nth: u64) -> String {
    // 14 characters of 5 bits take 70: two draws.
    let draws = [0, 1].map(|half| draw::bits(seed, Draw::ShortLink, number, 2 * nth + half));
    let symbol = |at: usize| ALPHABET[(draws[at / 7] >> (5 * (at % 7))) as usize % ALPHABET.len()] as char;
    (0..CODE_CHARS).map(symbol).collect()
}

fn node(link: &ShortLink, image: Option<&str>) -> Value {
    let mut node = json!({
        "code": link.code,
        "prefilled_message": link.text,
        "deep_link_url": format!("https://wa.me/message/{}", link.code),
    });
    if let Some(format) = image {
        let file = format!("{}.{}", link.code, format.to_ascii_lowercase());
        node["qr_image_url"] = json!(format!("https://scontent.xx.fbcdn.net/m1/v/t6/{file}"));
    }
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_made_listed_changed_and_removed() {
        let mut links = ShortLinks::default();
        let first = links.put(1, "200", None, Some("Hello"), Some("png")).unwrap();
        let code = first["code"].as_str().unwrap();
        assert_eq!(code.len(), CODE_CHARS);
        assert_eq!(first["deep_link_url"], format!("https://wa.me/message/{code}"));
        assert!(first["qr_image_url"].as_str().unwrap().contains(".png"));
        let second = links.put(1, "200", None, Some("Good day"), None).unwrap();
        assert_ne!(first["code"], second["code"]);
        assert_eq!(links.list(None, None)[0], second);
        links.put(1, "200", Some(code), Some("Hello again"), None).unwrap();
        assert_eq!(links.list(Some(code), None)[0]["prefilled_message"], "Hello again");
        links.remove(code).unwrap();
        assert_eq!(links.list(Some(code), None), Vec::<Value>::new());
        assert_eq!(links.remove(code).unwrap_err().subcode, Some(33));
    }

    #[test]
    fn a_link_needs_a_text_of_at_most_140_characters() {
        let mut links = ShortLinks::default();
        assert_eq!(links.put(1, "200", None, None, None).unwrap_err().code, 131_008);
        let long = "x".repeat(141);
        assert_eq!(links.put(1, "200", None, Some(&long), None).unwrap_err().code, 100);
        assert_eq!(
            links.put(1, "200", None, Some("Hi"), Some("gif")).unwrap_err().code,
            100
        );
    }
}

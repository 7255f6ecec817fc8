//! Templates by name and language, and what they consist of.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::text_value;

/// Longest template name, in characters (Meta's limit).
pub const TEMPLATE_NAME_CHARS_MAX: usize = 512;

/// The name of a message template: Meta allows `a-z`, `0-9` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TemplateName(String);

/// Text that is not a template name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a template name has 1 to {TEMPLATE_NAME_CHARS_MAX} characters out of a-z, 0-9 and _")]
pub struct InvalidTemplateName;

impl TemplateName {
    /// Accepts 1 to 512 characters out of `a-z`, `0-9` and `_`.
    pub fn try_new(text: &str) -> Result<Self, InvalidTemplateName> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let good = (1..=TEMPLATE_NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(allowed);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTemplateName)
        }
    }
}

impl fmt::Display for TemplateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(TemplateName, InvalidTemplateName);

/// The language a template is written in, as Meta writes it: `en`, `en_US`, `pt_BR`, `zh_HK`, `fil`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LanguageCode(String);

/// Text that is not a language code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a language code is 2 or 3 small letters, or those, _ and 2 to 4 letters or digits, such as en or pt_BR")]
pub struct InvalidLanguageCode;

impl LanguageCode {
    /// Accepts `ll`, `lll`, and either with `_` and two to four letters or digits. Meta looks for exactly this code, so nothing is
    /// normalised: `en-us` is an error, not `en_US`.
    pub fn try_new(text: &str) -> Result<Self, InvalidLanguageCode> {
        let (language, region) = text
            .split_once('_')
            .map_or((text, None), |(language, region)| (language, Some(region)));
        let good_language = (2..=3).contains(&language.len()) && language.bytes().all(|b| b.is_ascii_lowercase());
        let good_region = region
            .is_none_or(|region| (2..=4).contains(&region.len()) && region.bytes().all(|b| b.is_ascii_alphanumeric()));
        if good_language && good_region {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidLanguageCode)
        }
    }
}

impl fmt::Display for LanguageCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(LanguageCode, InvalidLanguageCode);

/// What a message names to say which template it uses. Meta looks for exactly this pair.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TemplateRef {
    /// The template's name.
    pub name: TemplateName,
    /// The language wanted.
    pub language: LanguageCode,
}

impl fmt::Display for TemplateRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.language)
    }
}

/// What a template consists of, as Meta lists it: `parameter_format` and `components`, without the examples that were written
/// for the review. Holds nothing of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TemplateDefinition(pub serde_json::Value);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_name_follows_metas_alphabet() {
        for good in ["order_ready_v3", "a", &"x".repeat(512)] {
            assert_eq!(TemplateName::try_new(good).unwrap().as_str(), good);
        }
        for bad in ["", "Order", "order-ready", "order ready", &"x".repeat(513)] {
            assert_eq!(TemplateName::try_new(bad), Err(InvalidTemplateName), "{bad}");
        }
    }

    #[test]
    fn a_language_code_is_taken_as_meta_writes_it_or_not_at_all() {
        for good in ["en", "en_US", "pt_BR", "fil", "zh_HK", "es_419"] {
            assert_eq!(LanguageCode::try_new(good).unwrap().as_str(), good);
        }
        for bad in ["", "e", "EN", "en-US", "en_", "en_UNITED", "english"] {
            assert_eq!(LanguageCode::try_new(bad), Err(InvalidLanguageCode), "{bad}");
        }
    }
}

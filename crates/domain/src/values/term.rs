//! Short words from open vocabularies.

use std::fmt;

use super::text_value;

/// Longest term or label, in bytes.
pub const TERM_BYTES_MAX: usize = 64;

/// A short machine word from a vocabulary that is not ours to close: a pricing category, a template status, a reason
/// of Meta's, the id of an API key. No spaces, so no sentences and no names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Term(String);

/// A name a caller gives to a group of messages, such as a campaign. Same alphabet as [`Term`].
pub type Label = Term;

/// Text that is not a term.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a term or label has 1 to {TERM_BYTES_MAX} characters out of A-Z, a-z, 0-9 and _ - . : /")]
pub struct InvalidTerm;

fn allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte)
}

impl Term {
    /// Accepts 1 to 64 characters out of letters, digits and `_ - . : /`.
    pub fn try_new(text: &str) -> Result<Self, InvalidTerm> {
        let good = (1..=TERM_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTerm)
        }
    }

    /// The nearest term to a word Meta sent. Never fails, because a new word must not make a callback unreadable:
    /// forbidden characters become `_`, the rest is cut off, nothing becomes `unknown`.
    pub fn from_provider(text: &str) -> Self {
        let word: String = text
            .trim()
            .bytes()
            .take(TERM_BYTES_MAX)
            .map(|b| if allowed(b) { char::from(b) } else { '_' })
            .collect();
        Self(if word.is_empty() { "unknown".to_owned() } else { word })
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(Term, InvalidTerm);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_one_short_word() {
        assert_eq!(
            Term::try_new("RESTRICTED_BIZ-1:a/b.c").unwrap().as_str(),
            "RESTRICTED_BIZ-1:a/b.c"
        );
        for bad in ["", "two words", "é", &"x".repeat(65)] {
            assert_eq!(Term::try_new(bad), Err(InvalidTerm), "{bad}");
        }
    }

    #[test]
    fn any_word_of_the_provider_becomes_a_term() {
        for (word, term) in [
            ("TIER_2K", "TIER_2K"),
            ("two words", "two_words"),
            (" ", "unknown"),
            ("é", "__"),
        ] {
            assert_eq!(Term::from_provider(word).as_str(), term);
            Term::try_new(Term::from_provider(word).as_str()).unwrap();
        }
        assert_eq!(Term::from_provider(&"x".repeat(900)).as_str().len(), 64);
    }
}

//! Which translation of a template may stand in for another one. Meta has no such thing: it sends the language named, or nothing.

use crate::config::{Check, Validate};
use assent_domain::values::{InvalidLanguageCode, LanguageCode};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Most languages for which there are fallbacks.
const LANGUAGES_MAX: usize = 200;
/// Most fallbacks of a language.
const FALLBACKS_MAX: usize = 8;
/// The entry for languages without one of their own.
const DEFAULT: &str = "default";

/// The languages that stand in for one another, by the language asked for, in the order of preference: `pt_BR = ["pt_PT", "en"]`.
/// An entry for `pt` holds for all of its regions, one for `default` for everything; they follow the more exact ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct LanguageFallbacks(BTreeMap<String, Vec<String>>);

impl LanguageFallbacks {
    /// What may stand in for a language, best first, each once; mostly nothing.
    pub fn of(&self, language: &LanguageCode) -> Vec<LanguageCode> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let exact = language.as_str();
        let general = exact.split_once('_').map(|(general, _)| general);
        let entries = [Some(exact), general, Some(DEFAULT)];
        let listed = entries
            .into_iter()
            .flatten()
            .filter_map(|name| self.0.get(name))
            .flatten();
        let mut found: Vec<LanguageCode> = Vec::new();
        for code in listed.filter_map(|code| LanguageCode::try_new(code).ok()) {
            if code != *language && !found.contains(&code) {
                found.push(code);
            }
        }
        found
    }
}

impl Validate for LanguageFallbacks {
    fn validate(&self, check: &mut Check) {
        let count = self.0.len();
        check.ensure(
            "",
            count <= LANGUAGES_MAX,
            format!("has more than {LANGUAGES_MAX} languages"),
        );
        for (language, fallbacks) in &self.0 {
            let is_language = language == DEFAULT || LanguageCode::try_new(language).is_ok();
            check.ensure(
                language,
                is_language,
                format!("is not {DEFAULT}, and {InvalidLanguageCode}"),
            );
            let count = fallbacks.len();
            check.ensure(
                language,
                count <= FALLBACKS_MAX,
                format!("has more than {FALLBACKS_MAX} languages"),
            );
            for (place, code) in fallbacks.iter().enumerate() {
                let is_language = LanguageCode::try_new(code).is_ok();
                check.ensure(
                    &format!("{language}[{place}]"),
                    is_language,
                    InvalidLanguageCode.to_string(),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Environment, tenants::Tenants};

    fn chain(fallbacks: &str, language: &str) -> Vec<String> {
        let fallbacks: LanguageFallbacks = toml::from_str(fallbacks).unwrap();
        let found = fallbacks.of(&language.parse().unwrap());
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_more_exact_entry_comes_first_and_no_language_comes_twice() {
        let all = r#"
            pt_BR = ["pt_PT", "en"]
            pt = ["pt_BR", "es"]
            default = ["en", "en_US"]
        "#;
        assert_eq!(chain(all, "pt_BR"), ["pt_PT", "en", "es", "en_US"]);
        assert_eq!(chain(all, "pt_PT"), ["pt_BR", "es", "en", "en_US"]);
        assert_eq!(chain(all, "pt"), ["pt_BR", "es", "en", "en_US"]);
        assert_eq!(chain(all, "en"), ["en_US"]);
        assert_eq!(chain("", "en"), [""; 0]);
    }

    #[test]
    fn every_bad_language_of_a_tenants_file_is_named() {
        let file = "[[tenants]]\nid = 'acme'\n[tenants.language_fallbacks]\npt-br = ['en']\npt = ['en', 'english']\n";
        let problems = Tenants::parse(file, &Environment::default()).unwrap_err();
        let problems = problems.to_string();
        for place in ["language_fallbacks.pt-br", "language_fallbacks.pt[1]"] {
            assert!(problems.contains(place), "{problems}");
        }
        assert!(!problems.contains("pt[0]"), "{problems}");
    }
}

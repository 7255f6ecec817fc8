//! Rules on texts and their variables (errors 2388293 and 2388299).

use super::super::definition::{Example, ParameterFormat};
use super::super::variables::{self, Variable};
use super::{Advice, Level};
use crate::message::check::Checker;
use crate::message::is_name_byte;
use crate::text;

/// Words that make Meta's review take a text for promotion. A hint for people, not a judgement: English only.
const PROMOTIONAL_WORDS: &[&str] = &[
    "offer",
    "offers",
    "discount",
    "discounts",
    "sale",
    "promo",
    "promotion",
    "coupon",
    "voucher",
    "deal",
    "deals",
    "bargain",
    "% off",
    "buy now",
    "shop now",
    "limited time",
    "special price",
];

impl Level<'_> {
    /// Names, numbering and examples of the variables of a text; gives how many there are.
    pub(super) fn variables(&self, text: &str, examples: &[Example], checker: &mut Checker) -> usize {
        if variables::has_stray_braces(text) {
            checker.problem_at(
                "text",
                "double braces that are no variable",
                "{{1}} or {{name}}, opened and closed",
            );
        }
        let found = variables::all(text);
        if are_adjacent(text, &found) {
            checker.problem_at(
                "text",
                "variables with nothing between them",
                "a word between two variables",
            );
        }
        let names = variables::distinct(text);
        match self.definition.parameter_format {
            ParameterFormat::Positional => positional(&names, checker),
            ParameterFormat::Named => named(&names, checker),
        }
        check_examples(&names, examples, self.definition.parameter_format, checker);
        names.len()
    }
}

fn positional(names: &[&str], checker: &mut Checker) {
    let mut numbers: Vec<usize> = names.iter().filter_map(|name| name.parse().ok()).collect();
    if numbers.len() != names.len() {
        checker.problem_at(
            "text",
            "variables that are no numbers",
            "{{1}}, {{2}}, …, or parameter_format NAMED",
        );
        return;
    }
    numbers.sort_unstable();
    if numbers.iter().enumerate().any(|(index, number)| *number != index + 1) {
        checker.problem_at("text", "numbers that leave some out", "{{1}}, {{2}}, … without a gap");
    }
}

fn named(names: &[&str], checker: &mut Checker) {
    let is_name = |name: &&&str| {
        name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_') && name.bytes().all(is_name_byte)
    };
    if names.iter().filter(is_name).count() != names.len() {
        checker.problem_at(
            "text",
            "variables that are no names",
            "lower-case letters, digits and underscores, with a letter first",
        );
    }
}

fn check_examples(names: &[&str], examples: &[Example], format: ParameterFormat, checker: &mut Checker) {
    let fits = match format {
        ParameterFormat::Positional => {
            examples.len() == names.len() && examples.iter().all(|example| example.name.is_none())
        }
        ParameterFormat::Named => {
            examples.len() == names.len()
                && names
                    .iter()
                    .all(|name| examples.iter().any(|example| example.name.as_deref() == Some(name)))
        }
    };
    if !fits {
        checker.problem_at(
            "example",
            format!("{} examples for {} variables", examples.len(), names.len()),
            match format {
                ParameterFormat::Positional => "one example for each variable, in order",
                ParameterFormat::Named => "one example for each variable, by its name",
            },
        );
    }
    if examples.iter().any(|example| example.value.trim().is_empty()) {
        checker.problem_at("example", "an empty example", "what a real message would say");
    }
}

/// A text does not begin or end with a variable (error 2388299).
pub(super) fn edges(text: &str, checker: &mut Checker) {
    let trimmed = text.trim();
    let found = variables::all(trimmed);
    let (Some(first), Some(last)) = (found.first(), found.last()) else {
        return;
    };
    if first.start == 0 {
        checker.problem_at("text", "a variable at the beginning", "words before the first variable");
    }
    if last.end == trimmed.len() {
        checker.problem_at(
            "text",
            "a variable at the end",
            "words or a full stop after the last variable",
        );
    }
}

/// The text holds no variable.
pub(super) fn no_variables(field: &str, text: &str, checker: &mut Checker) {
    if text.contains("{{") {
        checker.problem_at(field, "a variable", "a fixed text");
    }
}

/// What works but reads badly.
pub(super) fn advise(text: &str, variables: usize, checker: &Checker, advice: &mut Advice) {
    let words = words_outside(text);
    // Meta does not publish its threshold (error 2388293); providers report twice as many words as variables, plus one.
    if variables > 0 && words < 2 * variables + 1 {
        advice.warn(
            checker,
            "text",
            format!("{variables} variables among {words} words"),
            format!(
                "at least {} words: Meta refuses too many variables for the length",
                2 * variables + 1
            ),
        );
    }
    // The names of variables have underscores.
    let text = &variables::fill(text, |_| Some("x"));
    for mark in text::unbalanced_marks(text) {
        advice.warn(
            checker,
            "text",
            format!("{} on line {} opens and does not close", mark.mark, mark.line),
            "marks in pairs on one line, else users see the mark itself",
        );
    }
    for link in text::app_links(text) {
        let universal = link.universal.unwrap_or_else(|| "a web link".to_owned());
        advice.warn(
            checker,
            "text",
            format!("a {}:// link on line {}, which needs the app", link.scheme, link.line),
            universal,
        );
    }
}

pub(super) fn sounds_promotional(text: &str) -> bool {
    let text = text.to_lowercase();
    PROMOTIONAL_WORDS.iter().any(|word| {
        text.match_indices(word).any(|(at, found)| {
            let before = text[..at].chars().next_back();
            let after = text[at + found.len()..].chars().next();
            let is_letter = |near: Option<char>| near.is_some_and(char::is_alphabetic);
            !is_letter(after) && (!is_letter(before) || word.starts_with('%'))
        })
    })
}

fn are_adjacent(text: &str, found: &[Variable<'_>]) -> bool {
    found
        .windows(2)
        .any(|pair| text[pair[0].end..pair[1].start].trim().is_empty())
}

/// Words that are no variables.
fn words_outside(text: &str) -> usize {
    let mut outside = String::new();
    let mut at = 0;
    for variable in variables::all(text) {
        outside.push_str(&text[at..variable.start]);
        outside.push(' ');
        at = variable.end;
    }
    outside.push_str(&text[at..]);
    let is_word = |word: &&str| word.chars().any(char::is_alphanumeric);
    outside.split_whitespace().filter(is_word).count()
}

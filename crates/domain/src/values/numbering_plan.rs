//! The numbering plans of all countries, compiled once.
//!
//! The patterns are libphonenumber's. The library that brings them keeps a few compiled ones in a shared cache and
//! compiles the others again whenever they are asked for; a business that writes to people in many countries would pay for that
//! with every message.

use std::{
    collections::HashMap,
    sync::{LazyLock, OnceLock},
};

use phonenumber::metadata::{DATABASE, Descriptor, Descriptors, Metadata};
use regex::{Regex, RegexBuilder};

/// Country codes have one to three digits.
const COUNTRY_CODE_DIGITS_MAX: usize = 3;

/// The plans that share each country code, compiled when the first number of it is met.
static PLANS: LazyLock<HashMap<u16, OnceLock<Vec<Plan>>>> = LazyLock::new(|| {
    DATABASE
        .iter()
        .map(|plan| (plan.country_code(), OnceLock::new()))
        .collect()
});

/// Whether these digits, country code first and no trunk zeros anywhere, are a number that some country may assign.
pub(super) fn is_assignable(digits: &str) -> bool {
    let longest = COUNTRY_CODE_DIGITS_MAX.min(digits.len());
    (1..=longest).any(|length| {
        let (code, national) = digits.split_at(length);
        let code = code.parse().ok().filter(|_| !code.starts_with('0'));
        let plans = code.and_then(|code| Some((code, PLANS.get(&code)?)));
        plans.is_some_and(|(code, plans)| {
            let plans = plans.get_or_init(|| compile(code));
            plans.iter().any(|plan| plan.has(national))
        })
    })
}

fn compile(code: u16) -> Vec<Plan> {
    let plans = DATABASE.by_code(&code).unwrap_or_default();
    plans.into_iter().map(Plan::new).collect()
}

/// The numbers of one country or territory.
#[derive(Debug)]
struct Plan {
    any: Numbers,
    /// By what they are used for: a number belongs to one of these.
    uses: Vec<Numbers>,
}

impl Plan {
    fn new(plan: &Metadata) -> Self {
        let of: &Descriptors = plan.descriptors();
        let uses = [
            of.mobile(),
            of.fixed_line(),
            of.toll_free(),
            of.premium_rate(),
            of.shared_cost(),
            of.personal_number(),
            of.voip(),
            of.pager(),
            of.uan(),
            of.voicemail(),
        ];
        Self {
            any: Numbers::new(of.general()),
            uses: uses.into_iter().flatten().map(Numbers::new).collect(),
        }
    }

    fn has(&self, national: &str) -> bool {
        self.any.has(national) && self.uses.iter().any(|numbers| numbers.has(national))
    }
}

/// A set of national numbers.
#[derive(Debug)]
struct Numbers {
    /// Empty: any.
    lengths: Vec<u16>,
    /// Nothing matches a pattern that cannot be read.
    pattern: Option<Regex>,
}

impl Numbers {
    fn new(descriptor: &Descriptor) -> Self {
        let pattern = format!("^(?:{})$", descriptor.national_number().as_str());
        Self {
            lengths: descriptor.possible_length().to_vec(),
            pattern: RegexBuilder::new(&pattern).ignore_whitespace(true).build().ok(),
        }
    }

    fn has(&self, national: &str) -> bool {
        let length_fits = self.lengths.is_empty() || self.lengths.contains(&(national.len() as u16));
        length_fits && self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(national))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Valid, and to be dialled just like this.
    fn is_valid_by_the_library(digits: &str) -> bool {
        phonenumber::parse(None, format!("+{digits}")).is_ok_and(|number| {
            let same = number.format().mode(phonenumber::Mode::E164).to_string() == format!("+{digits}");
            same && number.is_valid()
        })
    }

    /// The example that every plan brings, for each use.
    fn examples() -> Vec<String> {
        let of_plan = |plan: &'static Metadata| {
            let of = plan.descriptors();
            let uses = [
                of.general(),
                of.mobile().unwrap_or(of.general()),
                of.fixed_line().unwrap_or(of.general()),
            ];
            uses.into_iter()
                .filter_map(move |descriptor| Some(format!("{}{}", plan.country_code(), descriptor.example()?)))
        };
        DATABASE.iter().flat_map(of_plan).collect()
    }

    #[test]
    fn the_examples_of_every_country_are_assignable() {
        let examples = examples();
        assert!(examples.len() > 400, "{} examples", examples.len());
        for digits in examples {
            assert!(
                is_assignable(&digits) || !is_valid_by_the_library(&digits),
                "an example of the plans is refused: {digits}"
            );
        }
    }

    #[test]
    fn every_pattern_can_be_read() {
        for plan in DATABASE.iter().map(Plan::new) {
            assert!(plan.any.pattern.is_some() && plan.uses.iter().all(|numbers| numbers.pattern.is_some()));
        }
    }

    proptest::proptest! {
        /// Examples with changed digits: near the edge between what is and what is not.
        #[test]
        fn what_is_assignable_is_valid_to_the_library_too(
            which in 0..10_000_usize,
            changes in proptest::collection::vec((3..15_usize, 0..10_u8), 0..4),
            cut in 0..2_usize,
        ) {
            let examples = examples();
            let mut digits = examples[which % examples.len()].clone().into_bytes();
            for (at, digit) in changes {
                if let Some(place) = digits.get_mut(at) {
                    *place = b'0' + digit;
                }
            }
            digits.truncate(digits.len() - cut);
            let digits = String::from_utf8(digits).unwrap();
            if is_assignable(&digits) {
                proptest::prop_assert!(is_valid_by_the_library(&digits), "{}", digits);
            }
        }
    }
}

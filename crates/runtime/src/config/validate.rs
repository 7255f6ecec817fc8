//! Checks of meaning, made once the types fit.

use super::{deserializer::Heal, document::Node, is_within, join, problem::Problem};
use std::{collections::BTreeMap, fmt};

/// A configuration that can be judged by more than its types.
pub trait Validate {
    /// Reports every problem to `check`; never stops at the first.
    fn validate(&self, check: &mut Check);
}

impl<T: Validate> Validate for Option<T> {
    fn validate(&self, check: &mut Check) {
        if let Some(value) = self {
            value.validate(check);
        }
    }
}

/// Collects the problems found by [`Validate`].
#[derive(Debug, Default)]
pub struct Check {
    path: String,
    problems: Vec<(String, String)>,
}

impl Check {
    /// Checks a section under its key.
    pub fn section(&mut self, key: &str, section: &impl Validate) {
        self.nested(&join(&self.path, key), section);
    }

    /// Checks every item of a list under its key.
    pub fn items<T: Validate>(&mut self, key: &str, items: &[T]) {
        for (index, item) in items.iter().enumerate() {
            self.nested(&join(&self.path, &format!("{key}[{index}]")), item);
        }
    }

    fn nested(&mut self, path: &str, section: &impl Validate) {
        let parent = std::mem::replace(&mut self.path, path.to_owned());
        section.validate(self);
        self.path = parent;
    }

    /// Reports a problem with a key of the present section; `key` may be a path such as `numbers[1].waba_id`.
    pub fn problem(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push((join(&self.path, key), message.into()));
    }

    /// Reports a problem unless `holds`.
    pub fn ensure(&mut self, key: &str, holds: bool, message: impl Into<String>) {
        if !holds {
            self.problem(key, message);
        }
    }

    /// Reports a problem unless `value` lies between `least` and `most`, both included.
    pub fn range<T: PartialOrd + fmt::Display + Copy>(&mut self, key: &str, value: T, least: T, most: T) {
        let within = value >= least && value <= most;
        self.ensure(key, within, format!("must be between {least} and {most}, is {value}"));
    }

    /// The problems with their places; sections that hold a stand-in are left out, for it was never configured.
    pub(super) fn into_problems(self, root: &Node, heals: &BTreeMap<String, Heal>) -> Vec<Problem> {
        let substituted = |path: &str| {
            let section = path.rsplit_once('.').map_or("", |(section, _)| section);
            heals
                .keys()
                .any(|healed| is_within(path, healed) || (is_within(healed, section) && !section.is_empty()))
        };
        self.problems
            .into_iter()
            .filter(|(path, _)| !substituted(path))
            .map(|(path, message)| root.problem_at(path, message))
            .collect()
    }
}

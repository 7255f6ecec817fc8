//! Collecting problems with the path of each field.

use std::fmt::{self, Write as _};

/// One reason why Meta would refuse a message. Neither text quotes what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where in the JSON body, for example `template.components[1].parameters[0].text`.
    pub path: String,
    /// What is there: a count or a kind, never the value.
    pub found: String,
    /// What would be accepted.
    pub allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}; allowed: {}", self.path, self.found, self.allowed)
    }
}

/// Everything wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// At least one problem, in the order of the body.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            problem.fmt(formatter)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// Walks a message and remembers where it is.
#[derive(Default)]
pub(crate) struct Checker {
    path: String,
    problems: Vec<Problem>,
}

impl Checker {
    /// Runs `check` one field deeper.
    pub(crate) fn field(&mut self, name: &str, check: impl FnOnce(&mut Self)) {
        let outer = self.path.len();
        if outer > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        check(self);
        self.path.truncate(outer);
    }

    /// Runs `check` for every member of a list.
    pub(crate) fn each<T>(&mut self, name: &str, items: &[T], mut check: impl FnMut(&mut Self, &T)) {
        for (index, item) in items.iter().enumerate() {
            self.field(&format!("{name}[{index}]"), |checker| check(checker, item));
        }
    }

    /// Runs `check` for one member of the list the walk is at.
    pub(crate) fn element(&mut self, index: usize, check: impl FnOnce(&mut Self)) {
        let outer = self.path.len();
        write!(self.path, "[{index}]").expect("writing to a String cannot fail");
        check(self);
        self.path.truncate(outer);
    }

    /// Reports a problem with the field the walk is at.
    pub(crate) fn problem(&mut self, found: impl Into<String>, allowed: impl Into<String>) {
        self.problems.push(Problem {
            path: self.path.clone(),
            found: found.into(),
            allowed: allowed.into(),
        });
    }

    /// Reports a problem with a field below the current one.
    pub(crate) fn problem_at(&mut self, name: &str, found: impl Into<String>, allowed: impl Into<String>) {
        self.field(name, |checker| checker.problem(found, allowed));
    }

    /// The text has between `min` and `max` Unicode scalar values and is not blank when `min` asks for any.
    pub(crate) fn length(&mut self, name: &str, text: &str, min: usize, max: usize) {
        self.measured(name, text, text.chars().count(), min, max);
    }

    /// A button or row title: counted in UTF-16 units, without spaces at the edges (Meta refuses those).
    pub(crate) fn title(&mut self, name: &str, text: &str, max: usize) {
        self.measured(name, text, text.encode_utf16().count(), 1, max);
        self.trimmed(name, text);
    }

    /// An id we choose: bounded and without spaces at the edges.
    pub(crate) fn id(&mut self, name: &str, text: &str, max: usize) {
        self.measured(name, text, text.chars().count(), 1, max);
        self.trimmed(name, text);
    }

    /// The text says something.
    pub(crate) fn filled(&mut self, name: &str, text: &str) {
        if text.trim().is_empty() {
            self.problem_at(name, "nothing", "a text that is not blank");
        }
    }

    /// The list has between `min` and `max` members.
    pub(crate) fn count(&mut self, name: &str, count: usize, min: usize, max: usize) {
        if count < min || count > max {
            self.problem_at(name, format!("{count} entries"), format!("{min} to {max} entries"));
        }
    }

    /// No two members have the same key.
    pub(crate) fn distinct<'a>(&mut self, name: &str, keys: impl Iterator<Item = &'a str>) {
        let mut seen = std::collections::HashSet::new();
        let mut repeated = 0_usize;
        for key in keys {
            repeated += usize::from(!seen.insert(key));
        }
        if repeated > 0 {
            self.problem_at(name, format!("{repeated} repeated"), "each one only once");
        }
    }

    /// An absolute http or https URL, as far as that can be told without asking anybody.
    pub(crate) fn web_url(&mut self, name: &str, url: &str) {
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let plausible = host.is_some_and(|host| {
            !host.is_empty()
                && !host.starts_with(['/', '?', '#'])
                && !url.contains(|c: char| c.is_whitespace() || c.is_control())
        });
        if !plausible {
            self.problem_at(
                name,
                "not a web address",
                "an absolute http:// or https:// URL without spaces",
            );
        }
    }

    /// Where the walk is.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// All problems, or none.
    pub(crate) fn finish(self) -> Result<(), Invalid> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(Invalid {
                problems: self.problems,
            })
        }
    }

    fn measured(&mut self, name: &str, text: &str, length: usize, min: usize, max: usize) {
        if length > max || length < min {
            self.problem_at(
                name,
                format!("{length} characters"),
                format!("{min} to {max} characters"),
            );
        } else if min > 0 && text.trim().is_empty() {
            self.problem_at(
                name,
                "only white space",
                format!("{min} to {max} characters, not all white space"),
            );
        }
    }

    fn trimmed(&mut self, name: &str, text: &str) {
        if !text.is_empty() && !text.trim().is_empty() && text.trim() != text {
            self.problem_at(name, "white space at an edge", "no leading or trailing white space");
        }
    }
}

//! What is wrong with a configuration.

use std::{fmt, io};

/// Exit code of a process whose configuration is wrong: `EX_USAGE` of sysexits.h.
pub const EXIT_CODE_CONFIG: u8 = 64;

/// Most problems reported of one file.
pub(crate) const PROBLEMS_MAX: usize = 200;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the key, e.g. `grpc.listen`; empty for the file as a whole.
    pub path: String,
    /// Line in the file, counted from 1, where it is known.
    pub line: Option<usize>,
    /// The environment variable the value came from.
    pub variable: Option<String>,
    /// What is wrong, in a few words. Never repeats a string value: it might be a secret.
    pub message: String,
}

impl Problem {
    /// A problem of the file as a whole.
    pub(crate) fn whole(message: String) -> Self {
        Self {
            path: String::new(),
            line: None,
            variable: None,
            message,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(formatter, "{}", self.path)?;
        }
        match (&self.variable, self.line) {
            (Some(variable), _) => write!(formatter, " (environment {variable})")?,
            (None, Some(line)) if self.path.is_empty() => write!(formatter, "line {line}")?,
            (None, Some(line)) => write!(formatter, " (line {line})")?,
            (None, None) => {}
        }
        if !self.path.is_empty() || self.line.is_some() {
            formatter.write_str(": ")?;
        }
        formatter.write_str(&self.message)
    }
}

/// Everything that is wrong with one configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    /// Name of the file.
    source_name: String,
    problems: Vec<Problem>,
}

impl Problems {
    pub(crate) fn new(source_name: &str, mut problems: Vec<Problem>) -> Self {
        // In the order of the file; what is missing or came from elsewhere follows.
        problems.sort_by(|a, b| (a.line.is_none(), a.line, &a.path).cmp(&(b.line.is_none(), b.line, &b.path)));
        problems.dedup();
        Self {
            source_name: source_name.to_owned(),
            problems,
        }
    }

    /// The problems, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }

    /// Writes the problems for people, one a line, and answers the exit code: `main` prints to stderr and exits with it.
    pub fn report(&self, mut output: impl io::Write) -> u8 {
        // Nobody is left to be told when stderr is gone.
        let _ = writeln!(output, "{self}");
        EXIT_CODE_CONFIG
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(formatter, "{}: {count} {noun}", self.source_name)?;
        for problem in &self.problems {
            write!(formatter, "\n  {problem}")?;
        }
        Ok(())
    }
}

/// The known name nearest to `name`, when it is near enough to have been meant.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = 1 + name.len() / 4;
    known
        .iter()
        .map(|candidate| (edit_distance(name, candidate), *candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance; names are short.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for (row, letter_a) in a.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, letter_b) in b.iter().enumerate() {
            let replaced = previous[column] + usize::from(letter_a != *letter_b);
            current.push(replaced.min(previous[column + 1] + 1).min(current[column] + 1));
        }
        previous = current;
    }
    previous[b.len()]
}

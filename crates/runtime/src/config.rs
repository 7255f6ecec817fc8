//! Typed configuration from TOML, environment and secret files, with every problem reported at once.
//!
//! A role has one struct deriving `serde::Deserialize` and implementing [`Validate`]; [`Loader`] fills it. Keys the
//! struct does not know are refused and the nearest known key is named. Any key can be overridden by an environment
//! variable: `ASSENT__GRPC__LISTEN` stands for `grpc.listen`. Secrets are of type [`Secret`] and never stand in the
//! file themselves: `{ env = "NAME" }` or `{ file = "path" }` says where they are.

mod deserializer;
mod document;
mod environment;
mod problem;
mod secret;
mod validate;

pub use environment::Environment;
pub use problem::{EXIT_CODE_CONFIG, Problem, Problems};
pub use secret::Secret;
pub use validate::{Check, Validate};

use deserializer::{Heal, NodeDeserializer, Pass, STAND_INS};
use document::Node;
use serde::de::DeserializeOwned;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Longest configuration file read, in bytes.
pub const CONFIG_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What was loaded, and what it was loaded from.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The configuration.
    pub value: T,
    /// The files secrets were read from; a change in one of them is a change of the configuration.
    pub secret_files: BTreeSet<PathBuf>,
}

/// Loads configuration of any type.
#[derive(Debug, Clone)]
pub struct Loader<'a> {
    environment: &'a Environment,
    overrides: bool,
}

impl<'a> Loader<'a> {
    /// A loader that takes overrides and secrets from `environment`.
    pub fn new(environment: &'a Environment) -> Self {
        Self {
            environment,
            overrides: true,
        }
    }

    /// Ignores `ASSENT__…` variables; for files that are not the process's own configuration.
    #[must_use]
    pub fn without_overrides(mut self) -> Self {
        self.overrides = false;
        self
    }

    /// Loads a file. Relative secret files are looked up beside it.
    pub fn load_file<T: DeserializeOwned + Validate>(&self, path: &Path) -> Result<Loaded<T>, Problems> {
        let source = path.display().to_string();
        let unreadable = |message: String| Problems::new(&source, vec![Problem::whole(message)]);
        let length = fs::metadata(path)
            .map_err(|error| unreadable(format!("cannot be read: {error}")))?
            .len();
        if length > CONFIG_BYTES_MAX {
            return Err(unreadable(format!(
                "has {length} bytes; at most {CONFIG_BYTES_MAX} are read"
            )));
        }
        let text = fs::read_to_string(path).map_err(|error| unreadable(format!("cannot be read: {error}")))?;
        self.load(&source, &text, path.parent().unwrap_or(Path::new("")))
    }

    /// Loads text; `source` names it in problems.
    pub fn load_text<T: DeserializeOwned + Validate>(&self, source: &str, text: &str) -> Result<Loaded<T>, Problems> {
        self.load(source, text, Path::new(""))
    }

    fn load<T: DeserializeOwned + Validate>(
        &self,
        source: &str,
        text: &str,
        directory: &Path,
    ) -> Result<Loaded<T>, Problems> {
        let mut problems = Vec::new();
        let mut root = document::parse(text, &mut problems);
        if !problems.is_empty() {
            // What follows a syntax error would be reported as missing; that helps nobody.
            return Err(Problems::new(source, problems));
        }
        if self.overrides {
            document::apply_overrides(&mut root, self.environment, &mut problems);
        }
        let loaded = self.fill(&root, directory, &mut problems);
        match loaded {
            Some(loaded) if problems.is_empty() => Ok(loaded),
            _ => Err(Problems::new(source, problems)),
        }
    }

    /// Deserializes again and again, each time with the problem found last healed by a stand-in, so that serde, which
    /// stops at the first error, reports them all.
    fn fill<T: DeserializeOwned + Validate>(
        &self,
        root: &Node,
        directory: &Path,
        problems: &mut Vec<Problem>,
    ) -> Option<Loaded<T>> {
        let mut heals: BTreeMap<String, Heal> = BTreeMap::new();
        loop {
            let pass = Pass::new(self.environment, directory, &heals);
            let result = T::deserialize(NodeDeserializer::new(root, String::new(), &pass));
            let (unknown, secret_files) = pass.into_findings();
            let error = match result {
                Ok(value) => {
                    problems.extend(unknown);
                    let mut check = Check::default();
                    value.validate(&mut check);
                    problems.extend(check.into_problems(root, &heals));
                    return Some(Loaded { value, secret_files });
                }
                Err(error) => error,
            };
            let path = error.path();
            let next = match heals.get(&path) {
                None if error.is_missing() => Heal::Inject(0),
                None => Heal::Substitute(0),
                Some(Heal::Inject(index)) if index + 1 < STAND_INS.len() => Heal::Inject(index + 1),
                Some(Heal::Substitute(index)) if index + 1 < STAND_INS.len() => Heal::Substitute(index + 1),
                Some(Heal::Inject(_) | Heal::Substitute(_)) if !path.is_empty() => Heal::Drop,
                Some(Heal::Drop) => Heal::VisitLast,
                Some(_) => {
                    problems.extend(unknown);
                    return None;
                }
            };
            let inside_healed = heals.keys().any(|healed| is_within(&path, healed));
            if !inside_healed {
                problems.push(error.into_problem(root));
            }
            heals.insert(path, next);
            if problems.len() >= problem::PROBLEMS_MAX || heals.len() >= 2 * problem::PROBLEMS_MAX {
                return None;
            }
        }
    }
}

/// Whether `path` is `ancestor` or lies beneath it.
fn is_within(path: &str, ancestor: &str) -> bool {
    ancestor.is_empty()
        || path
            .strip_prefix(ancestor)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The path of `key` inside `parent`.
fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() {
        key.to_owned()
    } else {
        format!("{parent}.{key}")
    }
}

#[cfg(test)]
mod tests;

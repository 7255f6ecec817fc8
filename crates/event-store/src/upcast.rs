//! Reading events that were written in an older shape.
//!
//! An event's bytes never change. When the shape of a type changes, its schema version is raised and an *upcaster* is
//! registered that turns the old JSON into the next version's; readers see the newest shape only. Golden files, one for
//! each shape that was ever written, prove that they all still read.

use std::{borrow::Cow, collections::HashMap};

use serde_json::Value;

use crate::event::RecordedEvent;

/// Turns the JSON of one schema version into that of the next.
pub type Upcast = fn(Value) -> Result<Value, UpcastError>;

/// Why an event cannot be read in its newest shape.
#[derive(Debug, thiserror::Error)]
pub enum UpcastError {
    /// The event's data is not JSON.
    #[error("the data of {kind} v{version} is not JSON")]
    NotJson {
        /// Its type.
        kind: String,
        /// Its schema version.
        version: u16,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The event is of a newer version than this program knows.
    #[error("{kind} v{version} is newer than v{known}, the newest this program knows; run a newer Assent")]
    Newer {
        /// Its type.
        kind: String,
        /// Its schema version.
        version: u16,
        /// The newest known.
        known: u16,
    },
    /// The old shape lacks what the upcaster needs.
    #[error("{kind} cannot be brought from v{version} to v{}: {reason}", version + 1)]
    Shape {
        /// Its type.
        kind: String,
        /// The version it could not leave.
        version: u16,
        /// What is missing.
        reason: String,
    },
}

/// The upcasters of all types.
#[derive(Debug, Default, Clone)]
pub struct Upcasters {
    steps: HashMap<(&'static str, u16), Upcast>,
    newest: HashMap<&'static str, u16>,
}

impl Upcasters {
    /// No upcasters: every event is read as it was written.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers the step that leads `kind` from `version` to the next one.
    #[must_use]
    pub fn step(mut self, kind: &'static str, version: u16, upcast: Upcast) -> Self {
        self.steps.insert((kind, version), upcast);
        let newest = self.newest.entry(kind).or_insert(version + 1);
        *newest = (*newest).max(version + 1);
        self
    }

    /// The event's data in the newest shape, and that shape's version. Without a step it is the bytes as written.
    pub fn upcast<'a>(&self, event: &'a RecordedEvent) -> Result<(u16, Cow<'a, [u8]>), UpcastError> {
        let Some((&kind, &newest)) = self.newest.get_key_value(event.kind.as_str()) else {
            return Ok((event.schema_version, Cow::Borrowed(&event.data)));
        };
        let mut version = event.schema_version;
        if version == newest {
            return Ok((version, Cow::Borrowed(&event.data)));
        }
        if version > newest {
            return Err(UpcastError::Newer {
                kind: kind.to_owned(),
                version,
                known: newest,
            });
        }
        let mut value = serde_json::from_slice(&event.data).map_err(|source| UpcastError::NotJson {
            kind: kind.to_owned(),
            version,
            source,
        })?;
        while version < newest {
            let step = self.steps.get(&(kind, version)).ok_or_else(|| UpcastError::Shape {
                kind: kind.to_owned(),
                version,
                reason: "no upcaster is registered for this version".to_owned(),
            })?;
            value = step(value)?;
            version += 1;
        }
        Ok((
            version,
            Cow::Owned(serde_json::to_vec(&value).expect("a JSON value serializes")),
        ))
    }
}

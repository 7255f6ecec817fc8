//! Compares a log with what writers were told and what readers saw. Pure: no database, no clock.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use assent_event_store::{RecordedEvent, StreamId};
use serde::Serialize;
use uuid::Uuid;

use super::{
    history::{Line, Outcome, Refusal},
    mark::{AppendName, Mark},
};

/// Violations that are described; more are only counted.
const DESCRIBED_MAX: usize = 20;

/// Something that must not be. Empty for a good run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    described: Vec<String>,
    count: usize,
}

impl Violations {
    fn add(&mut self, what: String) {
        self.count += 1;
        if self.described.len() < DESCRIBED_MAX {
            self.described.push(what);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} violations", self.count)?;
        self.described
            .iter()
            .try_for_each(|what| write!(formatter, "\n  {what}"))
    }
}

/// An event as a reader saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The position it was given.
    pub position: u64,
    /// The event.
    pub id: Uuid,
    /// Its version in its stream.
    pub version: u32,
    /// When, in microseconds since the epoch.
    pub seen_at_us: i64,
}

/// How the appends of a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Appends that were acknowledged.
    pub acknowledged_appends: u64,
    /// Events in them.
    pub acknowledged_events: u64,
    /// Appends told that a stream was not as expected.
    pub conflicts: u64,
    /// Appends told that a key was gone.
    pub keys_gone: u64,
    /// Appends told that they are malformed.
    pub invalid: u64,
    /// Appends whose future was dropped and that are in the log as a whole.
    pub dropped_and_written: u64,
    /// Appends whose future was dropped and of which nothing is in the log.
    pub dropped_and_absent: u64,
    /// Appends told that their outcome is unknown.
    pub unknown: u64,
    /// Appends in the log of which their writer was killed before it could know.
    pub never_told: u64,
}

/// Walks the log in order, then compares.
#[derive(Debug, Default)]
pub struct Checker {
    violations: Violations,
    events: Vec<Logged>,
    ids: HashSet<Uuid>,
    versions: HashMap<StreamId, u32>,
    appends: HashMap<AppendName, Written>,
    /// The append that is not complete yet, and the index its next event must have.
    open: Option<(AppendName, u32, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Logged {
    id: Uuid,
    version: u32,
    recorded_at_us: i64,
}

/// An append as the log shows it.
#[derive(Debug, Default)]
struct Written {
    first: u64,
    last: u64,
    ids: Vec<Uuid>,
    versions: Vec<(StreamId, u32)>,
}

impl Checker {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the log's next event.
    pub fn event(&mut self, event: &RecordedEvent) {
        let position = event.position;
        if position != self.events.len() as u64 + 1 {
            self.violations.add(format!(
                "position {position} follows on {} in the log",
                self.events.len()
            ));
        }
        self.events.push(Logged {
            id: event.id,
            version: event.version,
            recorded_at_us: (event.recorded_at.unix_timestamp_nanos() / 1_000) as i64,
        });
        if !self.ids.insert(event.id) {
            self.violations
                .add(format!("event {} is in the log twice, again at {position}", event.id));
        }
        match Mark::of(event) {
            Ok(mark) => self.marked(event, mark),
            Err(error) => self
                .violations
                .add(format!("the event at {position} is not what was appended: {error}")),
        }
        let version = self.versions.entry(event.stream.clone()).or_default();
        if event.version != *version + 1 {
            let what = format!("{} has version {} after {version}", event.stream, event.version);
            self.violations.add(what);
        }
        *version = event.version;
    }

    fn marked(&mut self, event: &RecordedEvent, mark: Mark) {
        let open = self.open.take();
        let continues = open.as_ref().is_some_and(|(append, index, count)| {
            *append == mark.append && *index == mark.index && *count == mark.count
        });
        let cut = open.filter(|_| !continues);
        if let Some((append, index, count)) = cut {
            self.violations
                .add(format!("the log has {index} of the {count} events of append {append}"));
        }
        if !continues {
            self.begins(event, &mark);
        }
        if let Some(expected) = mark.expected {
            let before = self.versions.get(&event.stream).copied().unwrap_or(0);
            if before != expected {
                self.violations.add(format!(
                    "append {} expected {} at {expected} and was written at {before}",
                    mark.append, event.stream
                ));
            }
        }
        let written = self.appends.entry(mark.append.clone()).or_default();
        written.last = event.position;
        written.ids.push(event.id);
        match written.versions.last_mut() {
            Some((stream, version)) if *stream == event.stream => *version = event.version,
            _ => written.versions.push((event.stream.clone(), event.version)),
        }
        if mark.index + 1 < mark.count {
            self.open = Some((mark.append, mark.index + 1, mark.count));
        }
    }

    /// The event does not continue the append before it.
    fn begins(&mut self, event: &RecordedEvent, mark: &Mark) {
        if mark.index != 0 {
            self.violations.add(format!(
                "the log has event {} of append {} at {} without those before it",
                mark.index, mark.append, event.position
            ));
        }
        let written = Written {
            first: event.position,
            ..Written::default()
        };
        if let Some(earlier) = self.appends.insert(mark.append.clone(), written) {
            self.violations.add(format!(
                "append {} is in the log twice: at {} and at {}",
                mark.append, earlier.first, event.position
            ));
        }
        for (stream, expected) in &mark.guards {
            let actual = stream
                .parse()
                .ok()
                .and_then(|stream: StreamId| self.versions.get(&stream));
            let actual = actual.copied().unwrap_or(0);
            if actual != *expected {
                self.violations.add(format!(
                    "append {} was guarded by {stream} at {expected} and was written at {actual}",
                    mark.append
                ));
            }
        }
    }

    /// How many events the log has.
    pub fn events(&self) -> u64 {
        self.events.len() as u64
    }

    /// Compares with what writers were told. Call once, after the last event.
    pub fn compare_with_writers(&mut self, lines: &[Line]) -> Tally {
        let mut tally = Tally::default();
        let mut told: HashSet<&AppendName> = HashSet::new();
        for line in lines {
            if !told.insert(&line.append) {
                self.violations
                    .add(format!("append {} was answered twice", line.append));
            }
            self.told(line, &mut tally);
        }
        tally.never_told = self.appends.keys().filter(|append| !told.contains(append)).count() as u64;
        tally
    }

    fn told(&mut self, line: &Line, tally: &mut Tally) {
        let written = self.appends.get(&line.append);
        match &line.outcome {
            Outcome::Acknowledged {
                first,
                last,
                versions,
                ids,
            } => {
                tally.acknowledged_appends += 1;
                tally.acknowledged_events += ids.len() as u64;
                let as_told = written.is_some_and(|written| {
                    let streams = written
                        .versions
                        .iter()
                        .map(|(stream, version)| (stream.to_string(), *version));
                    (written.first, written.last) == (*first, *last)
                        && written.ids == *ids
                        && streams.eq(versions.iter().cloned())
                });
                if !as_told {
                    self.violations.add(format!(
                        "append {} was acknowledged at {first} to {last}, versions {versions:?}; the log has {written:?}",
                        line.append
                    ));
                }
            }
            Outcome::Refused { answer } => {
                *match answer {
                    Refusal::Conflict => &mut tally.conflicts,
                    Refusal::KeysGone => &mut tally.keys_gone,
                    Refusal::Invalid => &mut tally.invalid,
                } += 1;
                if let Some(written) = written {
                    self.violations.add(format!(
                        "append {} was told {answer:?} and is in the log at {}",
                        line.append, written.first
                    ));
                }
            }
            Outcome::WronglyRefused { answer } => self
                .violations
                .add(format!("append {} was told, for no reason: {answer}", line.append)),
            Outcome::Dropped if written.is_some() => tally.dropped_and_written += 1,
            Outcome::Dropped => tally.dropped_and_absent += 1,
            Outcome::Unknown => tally.unknown += 1,
        }
    }

    /// Compares with what a reader saw: every event once, in order.
    pub fn compare_with_reader(&mut self, reader: &str, sightings: &[Sighting]) {
        for (sighting, position) in sightings.iter().zip(1..) {
            let logged = self.events.get(position as usize - 1);
            let same = logged.is_some_and(|logged| (logged.id, logged.version) == (sighting.id, sighting.version));
            if sighting.position != position || !same {
                self.violations.add(format!(
                    "the {reader} reader saw {sighting:?} where the log has {logged:?} at {position}"
                ));
                // All that follows would be shifted as well.
                break;
            }
        }
        if sightings.len() != self.events.len() {
            self.violations.add(format!(
                "the {reader} reader saw {} events and the log has {}",
                sightings.len(),
                self.events.len()
            ));
        }
    }

    /// For each sighting, when the event was recorded and how long after that it was seen, both in microseconds.
    pub fn lags_us<'a>(&'a self, sightings: &'a [Sighting]) -> impl Iterator<Item = (i64, i64)> + 'a {
        self.events
            .iter()
            .zip(sightings)
            .map(|(logged, sighting)| (logged.recorded_at_us, sighting.seen_at_us - logged.recorded_at_us))
    }

    /// What was found.
    pub fn finish(mut self) -> Violations {
        if let Some((append, index, count)) = self.open.take() {
            self.violations
                .add(format!("the log has {index} of the {count} events of append {append}"));
        }
        self.violations
    }
}

#[cfg(test)]
mod tests;

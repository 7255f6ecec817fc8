//! From what the database found to an answer for each append of a flush.

use std::collections::HashMap;

use assent_sealed::KeyId;
use uuid::Uuid;

use super::{Belief, Findings, Flush, FlushEvent, Plan, Waiting};
use crate::{
    append::{AppendError, Appended},
    event::StreamId,
};

/// How a flush ended for its appends.
#[derive(Debug)]
pub(crate) struct Settled<R> {
    pub(crate) answers: Vec<(R, Result<Appended, AppendError>)>,
    /// Appends to try again, first in line.
    pub(crate) again: Vec<Waiting<R>>,
    /// Versions of the flush's streams after it, for the cache.
    pub(crate) heads: Vec<(StreamId, u32)>,
    /// The shard's head after the flush.
    pub(crate) head: u64,
    /// Events that it wrote.
    pub(crate) written: u64,
    /// Whether a stream that was assumed to be new was not.
    pub(crate) was_not_new: bool,
    /// Whether a stream that was assumed to be where it was seen was not.
    pub(crate) was_beyond_seen: bool,
}

impl<R> Plan<R> {
    /// How many appends the flush carries.
    pub(crate) fn appends(&self) -> usize {
        self.members.len()
    }

    /// Answers every append of a flush that ran.
    pub(crate) fn settle(self, findings: &Findings) -> Settled<R> {
        let passing = self.flush.passing(findings);
        let Flush {
            streams,
            checks,
            keys,
            events,
            ..
        } = self.flush;
        let mut events = events.into_iter();
        let mut versions = findings.heads.clone();
        let mut settled = Settled::new(findings.base, self.members.len());
        for member in self.members {
            let events = events.by_ref().take(member.events);
            if passing[member.group] {
                let first = settled.head + 1;
                let mut written: Vec<u32> = Vec::with_capacity(member.waiting.append.writes.len());
                let mut stream = None;
                for event in events {
                    settled.head += 1;
                    versions[event.stream] += 1;
                    if stream.replace(event.stream) != Some(event.stream) {
                        written.push(0);
                    }
                    *written.last_mut().expect("pushed with the first event") = versions[event.stream];
                }
                let appended = Appended {
                    first,
                    last: settled.head,
                    versions: written,
                };
                settled.answers.push((member.waiting.reply, Ok(appended)));
                continue;
            }
            let wrong = checks[member.checks.clone()]
                .iter()
                .find(|check| findings.heads[check.stream] != check.version);
            let gone: Vec<KeyId> = findings
                .gone
                .iter()
                .filter(|&gone| member.keys.contains(gone))
                .map(|&gone| keys[gone].key)
                .collect();
            if let Some(check) = wrong {
                let conflict = AppendError::Conflict {
                    stream: streams[check.stream].id.clone(),
                    actual: findings.heads[check.stream],
                };
                settled.answers.push((member.waiting.reply, Err(conflict)));
                events.for_each(drop);
            } else if !gone.is_empty() {
                settled
                    .answers
                    .push((member.waiting.reply, Err(AppendError::KeysGone { keys: gone })));
                events.for_each(drop);
            } else {
                settled.again.push(member.waiting.with_events(events));
            }
        }
        settled.written = settled.head - findings.base;
        for (stream, head) in streams.iter().zip(&findings.heads) {
            settled.was_not_new |= stream.belief == Belief::New && *head > 0;
            settled.was_beyond_seen |= matches!(stream.belief, Belief::Seen(version) if version != *head);
        }
        settled.heads = streams
            .into_iter()
            .zip(versions)
            // Assumed and then not written: nobody has looked.
            .filter(|(stream, version)| !stream.belief.is_assumed() || stream.belief.version() != *version)
            .map(|(stream, version)| (stream.id, version))
            .collect();
        settled
    }

    /// Answers the appends of a flush that had already run when it was tried again: those whose events are in the log
    /// succeeded, the others are decided anew.
    pub(crate) fn settle_found(self, head: u64, found: &HashMap<Uuid, Found>) -> Settled<R> {
        let mut events = self.flush.events.into_iter();
        let mut settled = Settled::new(head, self.members.len());
        settled.written = found.len() as u64;
        for member in self.members {
            let events: Vec<FlushEvent> = events.by_ref().take(member.events).collect();
            let places: Option<Vec<(usize, Found)>> = events
                .iter()
                .map(|event| found.get(&event.event.id).map(|found| (event.stream, *found)))
                .collect();
            let Some(places) = places else {
                settled.again.push(member.waiting.with_events(events));
                continue;
            };
            let versions = places
                .chunk_by(|one, other| one.0 == other.0)
                .filter_map(|events| events.last());
            let appended = Appended {
                first: places.first().map_or(0, |(_, found)| found.position),
                last: places.last().map_or(0, |(_, found)| found.position),
                versions: versions.map(|(_, found)| found.version).collect(),
            };
            settled.answers.push((member.waiting.reply, Ok(appended)));
        }
        settled
    }

    /// The appends as they were before they became a flush.
    pub(crate) fn take_apart(self) -> Vec<Waiting<R>> {
        let mut events = self.flush.events.into_iter();
        self.members
            .into_iter()
            .map(|member| member.waiting.with_events(events.by_ref().take(member.events)))
            .collect()
    }

    /// Gives every append up with one error.
    pub(crate) fn fail(self, error: &AppendError) -> impl Iterator<Item = (R, AppendError)> {
        self.members
            .into_iter()
            .map(move |member| (member.waiting.reply, error.clone()))
    }
}

/// Where an event was found in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) position: u64,
    pub(crate) version: u32,
}

impl<R> Settled<R> {
    fn new(head: u64, appends: usize) -> Self {
        Self {
            answers: Vec::with_capacity(appends),
            again: Vec::new(),
            heads: Vec::new(),
            head,
            written: 0,
            was_not_new: false,
            was_beyond_seen: false,
        }
    }
}

impl<R> Waiting<R> {
    /// The append as it was before its events went into a flush.
    fn with_events(mut self, events: impl IntoIterator<Item = FlushEvent>) -> Self {
        let mut writes = self.append.writes.iter_mut();
        let (mut write, mut stream) = (None, None);
        for event in events {
            // The writes of an append name different streams, so a change of stream is the next write.
            if stream.replace(event.stream) != Some(event.stream) {
                write = writes.next();
            }
            let write = write.as_mut().expect("each stream of its events has a write");
            write.events.push(event.event);
            self.digests.push(event.digest);
        }
        self
    }
}

impl Plan<crate::committer::Reply> {
    /// Whether nobody waits for any of its appends any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.members.iter().all(|member| member.waiting.reply.is_closed())
    }
}

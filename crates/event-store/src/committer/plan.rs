//! Turns waiting appends into one flush, and the flush's outcome into an answer for each of them.
//!
//! Pure: no database, no clock. The rules:
//!
//! * Appends are taken in the order they came. Expectations are checked by the database against the versions it holds
//!   when the flush runs; the database numbers the events of those that pass.
//! * An append that expects the version another append *of the same flush* will produce is **chained** to it: both pass
//!   or neither does. Chained appends form a *group*, and a group is the unit of success.
//! * An append whose fate cannot be told before the flush (it expects a fixed version of a stream that the flush moves in
//!   some other way) is **deferred** to the next flush, with all later appends to the same streams, so that it is not
//!   overtaken for ever.
//! * When a group fails, members that were wrong themselves get their answer; the others go into the next flush. Each
//!   failure answers at least one append, so this ends.

mod assume;
mod settle;

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use assent_sealed::KeyId;
use uuid::Uuid;

pub(crate) use self::{
    assume::Assume,
    settle::{Found, Settled},
};
use crate::{
    append::{Append, Expected},
    chain::Digest,
    committer::Hashing,
    event::{NewEvent, ShardId, StreamId},
    keys::NewKey,
    limits,
};

/// Everything the database needs to write many appends in one round trip.
#[derive(Debug)]
pub(crate) struct Flush {
    /// Names the flush, so that running it twice writes it once.
    pub(crate) id: Uuid,
    pub(crate) shard: ShardId,
    /// Microseconds since the epoch, for every event of the flush.
    pub(crate) recorded_at_us: i64,
    /// The shard's head when this process last wrote it, if the cached versions are to be trusted at that head.
    pub(crate) known_head: Option<u64>,
    /// Distinct streams that are written or checked.
    pub(crate) streams: Vec<FlushStream>,
    pub(crate) checks: Vec<Check>,
    pub(crate) keys: Vec<KeyCheck>,
    /// Made with the events; sorted by slot.
    pub(crate) new_keys: Vec<Arc<NewKey>>,
    pub(crate) events: Vec<FlushEvent>,
    pub(crate) groups: usize,
}

#[derive(Debug)]
pub(crate) struct FlushStream {
    pub(crate) id: StreamId,
    pub(crate) belief: Belief,
}

/// What the committer believes about a stream's version before the flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Belief {
    /// Nothing: look it up.
    None,
    /// It was this when the shard's head was the flush's `known_head`.
    AtKnownHead(u32),
    /// Whoever writes it expects a new stream, and such callers are nearly always right: leave the check to the unique
    /// index, and look it up only if that objects.
    New,
    /// Nobody who writes it expects another version, and this is what this process last saw it at: leave that to the index as
    /// well. Streams only grow, so it is there or beyond.
    Seen(u32),
}

impl Belief {
    pub(crate) fn version(self) -> u32 {
        match self {
            Self::AtKnownHead(version) | Self::Seen(version) => version,
            Self::None | Self::New => 0,
        }
    }

    /// As the SQL function wants it.
    pub(crate) fn trust(self) -> i16 {
        match self {
            Self::None => 0,
            Self::AtKnownHead(_) => 1,
            Self::New | Self::Seen(_) => 2,
        }
    }

    /// Whether it is left to the unique index.
    pub(crate) fn is_assumed(self) -> bool {
        self.trust() == 2
    }
}

/// `group` passes only if `stream` is at `version` before the flush.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) stream: usize,
    pub(crate) group: usize,
    pub(crate) version: u32,
    /// Whether it comes from a write, so that the group's own events are in the stream if it passes.
    pub(crate) is_write: bool,
}

/// `group` passes only if `key` is alive.
#[derive(Debug)]
pub(crate) struct KeyCheck {
    pub(crate) key: KeyId,
    pub(crate) group: usize,
}

#[derive(Debug)]
pub(crate) struct FlushEvent {
    pub(crate) group: usize,
    pub(crate) stream: usize,
    /// 1, 2, 3 … among the events of the flush for its stream; its version if every group passes is head plus this.
    pub(crate) rank: u32,
    pub(crate) event: NewEvent,
    pub(crate) digest: Digest,
}

/// What the database found.
#[derive(Debug)]
pub(crate) struct Findings {
    /// The shard's head before the flush.
    pub(crate) base: u64,
    /// The version of each of the flush's streams before the flush.
    pub(crate) heads: Vec<u32>,
    /// Indices into the flush's keys of those that are gone.
    pub(crate) gone: Vec<usize>,
}

impl Flush {
    /// Which groups pass, given what the database found. The SQL function applies the same rule.
    pub(crate) fn passing(&self, findings: &Findings) -> Vec<bool> {
        let mut passing = vec![true; self.groups];
        for check in &self.checks {
            if findings.heads[check.stream] != check.version {
                passing[check.group] = false;
            }
        }
        for &gone in &findings.gone {
            passing[self.keys[gone].group] = false;
        }
        passing
    }
}

/// An append that waits, with whatever its caller waits on.
#[derive(Debug)]
pub(crate) struct Waiting<R> {
    pub(crate) append: Append,
    /// One for each event, in order.
    digests: Vec<Digest>,
    pub(crate) reply: R,
}

impl<R> Waiting<R> {
    /// Hashes the events; called by the caller's own task.
    pub(crate) fn new(append: Append, reply: R) -> Self {
        let events = append
            .writes
            .iter()
            .flat_map(|write| write.events.iter().map(|event| (&write.stream, event)));
        let digests = events.map(|(stream, event)| Digest::of(stream, event)).collect();
        Self { append, digests, reply }
    }
}

/// The appends of a flush and where their events went in it.
#[derive(Debug)]
pub(crate) struct Plan<R> {
    pub(crate) flush: Flush,
    members: Vec<Member<R>>,
}

#[derive(Debug)]
struct Member<R> {
    waiting: Waiting<R>,
    group: usize,
    /// Its own checks and keys, as ranges of the flush's.
    checks: Range<usize>,
    keys: Range<usize>,
    /// How many of the flush's events are its own; they lie in the order of the members.
    events: usize,
}

/// Collects appends for the next flush.
pub(crate) struct Planner<R> {
    members: Vec<Member<R>>,
    streams: Vec<FlushStream>,
    index: HashMap<StreamId, usize, Hashing>,
    planned: Vec<Planned>,
    checks: Vec<Check>,
    keys: Vec<KeyCheck>,
    new_keys: Vec<Arc<NewKey>>,
    events: Vec<FlushEvent>,
    groups: Groups,
    blocked: HashSet<StreamId, Hashing>,
    bytes: usize,
    is_patient: bool,
}

/// What the flush so far makes of a stream.
#[derive(Debug, Clone, Copy, Default)]
struct Planned {
    /// Events the flush adds to it if every group passes.
    added: u32,
    /// The version it then has and the group that this hangs on. Unknown once an `Any` append wrote it.
    after: Option<(u32, usize)>,
}

/// Union-find over group numbers.
#[derive(Debug, Default)]
struct Groups(Vec<usize>);

impl Groups {
    fn add(&mut self) -> usize {
        self.0.push(self.0.len());
        self.0.len() - 1
    }

    fn root(&self, mut group: usize) -> usize {
        while self.0[group] != group {
            group = self.0[group];
        }
        group
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.0[one.max(other)] = one.min(other);
    }
}

/// What the committer knows when the flush goes out.
pub(crate) struct Beliefs<'a> {
    /// The shard's head after this process' last flush.
    pub(crate) known_head: Option<u64>,
    /// A stream's version at that head.
    pub(crate) cached: &'a dyn Fn(&StreamId) -> Option<u32>,
    /// What a stream's version is at least.
    pub(crate) seen: &'a dyn Fn(&StreamId) -> Option<u32>,
    pub(crate) assume: Assume,
}

/// What became of an append that was offered to a [`Planner`].
#[derive(Debug)]
pub(crate) enum Offer<R> {
    Taken,
    /// Its fate depends on this flush: offer it to the next one.
    Deferred(Waiting<R>),
}

impl<R> Planner<R> {
    pub(crate) fn new() -> Self {
        Self {
            members: Vec::new(),
            streams: Vec::new(),
            index: HashMap::default(),
            planned: Vec::new(),
            checks: Vec::new(),
            keys: Vec::new(),
            new_keys: Vec::new(),
            events: Vec::new(),
            groups: Groups::default(),
            blocked: HashSet::default(),
            bytes: 0,
            is_patient: true,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// How many appends it holds.
    pub(crate) fn appends(&self) -> usize {
        self.members.len()
    }

    /// How many events it holds.
    pub(crate) fn events(&self) -> usize {
        self.events.len()
    }

    /// Whether nobody waits for any of its appends.
    pub(crate) fn is_patient(&self) -> bool {
        self.is_patient
    }

    /// Whether another append of this size still fits. The first always does.
    pub(crate) fn has_room_for(&self, append: &Append) -> bool {
        self.members.is_empty()
            || (self.events.len() + append.events() <= limits::FLUSH_EVENTS_MAX
                && self.bytes + append.bytes() <= limits::FLUSH_BYTES_MAX)
    }

    /// Takes the append into the flush, or says that it must wait for the next.
    pub(crate) fn offer(&mut self, waiting: Waiting<R>) -> Offer<R> {
        if !self.can_tell(&waiting.append) {
            let append = &waiting.append;
            self.blocked
                .extend(append.writes.iter().map(|write| write.stream.clone()));
            self.blocked
                .extend(append.guards.iter().map(|(stream, _)| stream.clone()));
            return Offer::Deferred(waiting);
        }
        self.take(waiting);
        Offer::Taken
    }

    /// Whether each expectation is either the database's to check or follows from appends already taken.
    fn can_tell(&self, append: &Append) -> bool {
        let writes = append.writes.iter().map(|write| (&write.stream, write.expected));
        let guards = append.guards.iter().map(|(stream, expected)| (stream, *expected));
        writes.chain(guards).all(|(stream, expected)| {
            if self.blocked.contains(stream) {
                return false;
            }
            let (Some(&index), Some(version)) = (self.index.get(stream), expected.version()) else {
                return true;
            };
            let planned = self.planned[index];
            planned.added == 0 || planned.after.is_some_and(|(after, _)| after == version)
        })
    }

    fn take(&mut self, mut waiting: Waiting<R>) {
        let group = self.groups.add();
        let (checks, keys, events) = (self.checks.len(), self.keys.len(), self.events.len());
        self.bytes += waiting.append.bytes();
        self.is_patient &= waiting.append.is_patient;
        for (stream, expected) in &waiting.append.guards {
            let stream = self.stream(stream);
            self.expect(stream, *expected, group, false);
        }
        let mut digests = std::mem::take(&mut waiting.digests).into_iter();
        for write in &mut waiting.append.writes {
            let stream = self.stream(&write.stream);
            self.expect(stream, write.expected, group, true);
            let count = write.events.len() as u32;
            let planned = &mut self.planned[stream];
            let before = if planned.added == 0 {
                write.expected.version()
            } else {
                planned.after.map(|(after, _)| after)
            };
            planned.after = match (before, write.expected) {
                (_, Expected::Any) | (None, _) => None,
                (Some(before), _) => Some((before + count, group)),
            };
            let added = planned.added;
            planned.added += count;
            let events = write.events.drain(..).zip(&mut digests).zip(added + 1..);
            self.events.extend(events.map(|((event, digest), rank)| FlushEvent {
                group,
                stream,
                rank,
                event,
                digest,
            }));
        }
        self.keys
            .extend(waiting.append.keys.iter().map(|&key| KeyCheck { key, group }));
        self.new_keys.extend(waiting.append.new_keys.iter().cloned());
        self.members.push(Member {
            waiting,
            group,
            checks: checks..self.checks.len(),
            keys: keys..self.keys.len(),
            events: self.events.len() - events,
        });
    }

    fn stream(&mut self, stream: &StreamId) -> usize {
        if let Some(&index) = self.index.get(stream) {
            return index;
        }
        let index = self.streams.len();
        self.streams.push(FlushStream {
            id: stream.clone(),
            belief: Belief::None,
        });
        self.planned.push(Planned::default());
        self.index.insert(stream.clone(), index);
        index
    }

    /// Records what `group` expects of the stream. `can_tell` has said that it can be recorded.
    fn expect(&mut self, stream: usize, expected: Expected, group: usize, is_write: bool) {
        let Some(version) = expected.version() else { return };
        match self.planned[stream] {
            // Moved by this flush to just that version: pass or fail together.
            Planned {
                added: 1..,
                after: Some((_, before)),
            } => self.groups.join(before, group),
            Planned { .. } => self.checks.push(Check {
                stream,
                group,
                version,
                is_write,
            }),
        }
    }

    /// The flush with all that was taken.
    pub(crate) fn finish(mut self, id: Uuid, shard: ShardId, recorded_at_us: i64, beliefs: &Beliefs<'_>) -> Plan<R> {
        for stream in &mut self.streams {
            stream.belief = (beliefs.cached)(&stream.id).map_or(Belief::None, Belief::AtKnownHead);
        }
        self.assume(beliefs);
        self.new_keys.sort_unstable_by(|one, other| one.slot.cmp(&other.slot));
        let groups = &self.groups;
        self.checks
            .iter_mut()
            .for_each(|check| check.group = groups.root(check.group));
        self.keys.iter_mut().for_each(|key| key.group = groups.root(key.group));
        self.members
            .iter_mut()
            .for_each(|member| member.group = groups.root(member.group));
        for event in &mut self.events {
            event.group = groups.root(event.group);
        }
        let flush = Flush {
            id,
            shard,
            recorded_at_us,
            known_head: beliefs.known_head,
            streams: self.streams,
            checks: self.checks,
            keys: self.keys,
            new_keys: self.new_keys,
            events: self.events,
            groups: self.groups.0.len(),
        };
        Plan {
            flush,
            members: self.members,
        }
    }
}

#[cfg(test)]
mod tests;

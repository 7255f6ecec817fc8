//! What a flush takes for granted of streams, and leaves to the unique index to object to.

use super::{Belief, Beliefs, Check, Planner};
use crate::event::StreamId;

/// What may be left to the unique index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Assume {
    /// That streams are new whose writers expect it.
    pub(crate) new: bool,
    /// That streams are where they were seen.
    pub(crate) seen: bool,
    /// With fewer streams to assume something of, all are looked up.
    pub(crate) min: usize,
}

impl<R> Planner<R> {
    /// Leaves to the unique index where streams are, if that is to be assumed of many. The index checks what is inserted, so
    /// it must be that whoever relies on a stream's version inserts into it as well: a guard does not, and the events of
    /// others may be left out, because their group fails for a reason of its own.
    ///
    /// The index objects to a version that is there, and not to one that is too high. So only versions that the stream has for
    /// certain reached are assumed: none, or those that it was seen at. What a caller claims is not.
    pub(super) fn assume(&mut self, beliefs: &Beliefs<'_>) {
        let mut claims = vec![Claim::None; self.streams.len()];
        for check in &self.checks {
            claims[check.stream].add(check);
        }
        let streams = self.streams.iter().zip(&self.planned).zip(claims);
        let assumed: Vec<Option<Belief>> = streams
            .map(|((stream, planned), claim)| {
                let is_open = stream.belief == Belief::None && planned.added > 0;
                is_open.then(|| assumption(&stream.id, claim, beliefs)).flatten()
            })
            .collect();
        if assumed.iter().flatten().count() < beliefs.assume.min {
            return;
        }
        for (stream, assumed) in self.streams.iter_mut().zip(assumed) {
            stream.belief = assumed.unwrap_or(stream.belief);
        }
    }
}

/// What those say of a stream's version before the flush who depend on it.
#[derive(Debug, Clone, Copy)]
enum Claim {
    None,
    /// All of them write it.
    Version(u32),
    /// Nothing that writing the stream would prove.
    Other,
}

impl Claim {
    fn add(&mut self, check: &Check) {
        *self = match *self {
            Self::None if check.is_write => Self::Version(check.version),
            Self::Version(version) if check.is_write && check.version == version => *self,
            _ => Self::Other,
        };
    }
}

/// What may be assumed of a stream that is written.
fn assumption(stream: &StreamId, claim: Claim, beliefs: &Beliefs<'_>) -> Option<Belief> {
    let Assume { new, seen: as_seen, .. } = beliefs.assume;
    let seen = (beliefs.seen)(stream).unwrap_or(0);
    match claim {
        Claim::Version(0) if seen == 0 => new.then_some(Belief::New),
        Claim::Version(version) if version != seen => None,
        Claim::None | Claim::Version(_) => as_seen.then_some(Belief::Seen(seen)),
        Claim::Other => None,
    }
}

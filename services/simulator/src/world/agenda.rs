//! What is going to happen, ordered by when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::templates::TemplateKey;
use super::update::Callback;

/// Index of an accepted message.
pub(crate) type MessageIndex = u32;

/// Something that happens by itself, later.
pub(crate) enum Happening {
    /// The message leaves the platform's servers.
    Sent(MessageIndex),
    /// The message fails with this code.
    Failed(MessageIndex, u32),
    /// The message reaches a device.
    Delivered(MessageIndex),
    /// The person reads it.
    Read(MessageIndex),
    /// The person does something about it.
    Reacts(MessageIndex, Reaction),
    /// A late callback leaves.
    CallbackLeaves(Box<Callback>),
    /// The person plays a voice note.
    Played(MessageIndex),
    /// A template's review ends.
    TemplateReviewed(TemplateKey),
    /// The first messages of a paced template are judged.
    TemplateAssessed(TemplateKey),
    /// A pause for low quality ends: the how-manieth.
    TemplateResumes(TemplateKey, u32),
    /// The messaging limit of a number's portfolio is raised.
    TierRaised(u32),
}

/// What people do about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// Block the number, and tell nobody.
    Blocks,
    /// Use WhatsApp's own control to stop marketing.
    StopsOnPlatform,
    /// Write STOP.
    WritesStop,
    /// Write an answer.
    Replies,
}

struct Entry {
    due_ms: i64,
    // Keeps entries of the same instant in the order they were planned in, so that runs repeat exactly.
    order: u64,
    what: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.due_ms, self.order) == (other.due_ms, other.order)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due_ms, self.order).cmp(&(other.due_ms, other.order))
    }
}

/// A queue of happenings, earliest first.
#[derive(Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Reverse<Entry>>,
    planned: u64,
}

impl Agenda {
    /// Plans something for an instant, Unix ms.
    pub(crate) fn plan(&mut self, due_ms: i64, what: Happening) {
        self.planned += 1;
        self.heap.push(Reverse(Entry {
            due_ms,
            order: self.planned,
            what,
        }));
    }

    /// When the next thing happens, Unix ms.
    pub(crate) fn next_due_ms(&self) -> Option<i64> {
        self.heap.peek().map(|Reverse(entry)| entry.due_ms)
    }

    /// Takes the next thing that is due, with the instant it was due at.
    pub(crate) fn pop_due(&mut self, now_ms: i64) -> Option<(i64, Happening)> {
        if self.next_due_ms()? > now_ms {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| (entry.due_ms, entry.what))
    }

    /// Things still to happen.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_happen_in_order_and_not_before_they_are_due() {
        let mut agenda = Agenda::default();
        agenda.plan(20, Happening::Read(1));
        agenda.plan(10, Happening::Sent(1));
        agenda.plan(10, Happening::Sent(2));
        assert!(agenda.pop_due(9).is_none());
        assert!(matches!(agenda.pop_due(15), Some((10, Happening::Sent(1)))));
        assert!(matches!(agenda.pop_due(15), Some((10, Happening::Sent(2)))));
        assert!(agenda.pop_due(15).is_none());
        assert_eq!(agenda.next_due_ms(), Some(20));
    }
}

//! Keys that are made by the flush that writes what they seal.
//!
//! Most messages of a campaign go to people who have no key yet for the month, and making it takes a statement before anything
//! can be sealed. So where a key is probably new it is drawn and used, and travels with the append. If its slot turns out to
//! have a key, the append is told that the one it brought is gone, and the key table is asked after all. [`Novelty`] keeps such
//! wrong guesses rare.
//!
//! Not in SQLite, whose files do not commit as one when the power fails: there a key has to be on the disk before its events.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use assent_sealed::KeyId;
use time::OffsetDateTime;

use super::{DataKey, cache::Slot};
use crate::limits;

/// A key that does not exist yet, as it will be stored.
#[derive(Debug)]
pub(crate) struct NewKey {
    pub(crate) slot: Slot,
    pub(crate) key: KeyId,
    /// The key, encrypted by the master key.
    pub(crate) wrapped: Vec<u8>,
    pub(crate) master: String,
    pub(crate) created_at: OffsetDateTime,
}

/// Keys that were drawn for an append: as they are used, and as they travel.
#[derive(Debug, Default)]
pub(crate) struct Drawn {
    pub(crate) keys: Vec<DataKey>,
    pub(crate) new: Vec<Arc<NewKey>>,
}

/// Whether slots that nobody remembered had no key, for the last 64 of them: a bit each.
#[derive(Debug, Default)]
pub(crate) struct Novelty(AtomicU64);

impl Novelty {
    pub(crate) fn saw(&self, was_new: bool) {
        let shift = |seen| Some(seen << 1 | u64::from(was_new));
        let _always_some = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, shift);
    }

    /// Whether the next such slot probably has no key.
    pub(crate) fn is_likely(&self) -> bool {
        self.0.load(Ordering::Relaxed).count_ones() >= limits::NEW_KEYS_LIKELY_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_keys_are_expected_after_many_and_no_more_after_some_that_were_there() {
        let novelty = Novelty::default();
        for _ in 0..limits::NEW_KEYS_LIKELY_MIN {
            assert!(!novelty.is_likely());
            novelty.saw(true);
        }
        assert!(novelty.is_likely());
        for _ in 0..64 {
            novelty.saw(true);
        }
        let known_max = 64 - limits::NEW_KEYS_LIKELY_MIN;
        for _ in 0..known_max {
            novelty.saw(false);
        }
        assert!(novelty.is_likely());
        novelty.saw(false);
        assert!(!novelty.is_likely());
    }
}

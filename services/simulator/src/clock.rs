//! The simulator's time: the real one, moved forward at will, or one that only moves when told to.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::ClockSettings;

/// Where a clock that stands still begins.
const MANUAL_START_MS: i64 = 1_800_000_000_000;

/// A clock that can be moved forward, never back.
#[derive(Debug)]
pub(crate) struct Clock {
    stands: bool,
    /// How far it is ahead of the real time or, if it stands, where it stands.
    offset_ms: AtomicI64,
}

impl Clock {
    /// A clock as configured.
    pub(crate) fn new(settings: ClockSettings) -> Self {
        let offset_ms = match (settings.manual, settings.start_ms) {
            (true, start_ms) => start_ms.unwrap_or(MANUAL_START_MS),
            (false, Some(start_ms)) => start_ms - real_ms(),
            (false, None) => 0,
        };
        Self {
            stands: settings.manual,
            offset_ms: AtomicI64::new(offset_ms),
        }
    }

    /// Now, Unix ms.
    pub(crate) fn now_ms(&self) -> i64 {
        let base_ms = if self.stands { 0 } else { real_ms() };
        base_ms + self.offset_ms.load(Ordering::SeqCst)
    }

    /// Whether it only moves when told to.
    pub(crate) fn stands(&self) -> bool {
        self.stands
    }

    /// Moves forward.
    pub(crate) fn advance(&self, by_ms: u64) {
        self.offset_ms
            .fetch_add(by_ms.min(i64::MAX as u64 / 4) as i64, Ordering::SeqCst);
    }
}

fn real_ms() -> i64 {
    let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(real.as_millis()).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_clock_moves_only_when_told_to() {
        let clock = Clock::new(ClockSettings {
            start_ms: Some(5),
            manual: true,
        });
        assert_eq!(clock.now_ms(), 5);
        clock.advance(7);
        assert_eq!(clock.now_ms(), 12);
    }
}

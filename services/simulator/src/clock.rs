//! The simulator's time: the real one, moved forward at will.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A clock that can be moved forward, never back.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead_ms: AtomicI64,
}

impl Clock {
    /// Now, Unix ms.
    pub(crate) fn now_ms(&self) -> i64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(real.as_millis()).unwrap_or(i64::MAX / 2) + self.ahead_ms.load(Ordering::SeqCst)
    }

    /// Moves forward.
    pub(crate) fn advance(&self, by_ms: u64) {
        self.ahead_ms
            .fetch_add(by_ms.min(i64::MAX as u64 / 4) as i64, Ordering::SeqCst);
    }
}

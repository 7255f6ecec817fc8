//! How long a busy committer waits for company.

use tokio::time::Instant;

use crate::limits;

/// Spaces the flushes of a busy shard.
///
/// The number of appends that were in the last flush or came while it ran is how many are under way at a time. Callers
/// that work in a closed loop come back that many; once they are all there, nothing is gained by waiting on. Callers
/// that come at their own rate fill the time to the deadline. With few under way there is no wait at all.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    started: Option<Instant>,
    under_way: usize,
}

impl Pace {
    pub(crate) fn flush_started(&mut self, now: Instant) {
        self.started = Some(now);
    }

    /// `appends` were in the flush and `queued` came while it ran.
    pub(crate) fn flush_ended(&mut self, appends: usize, queued: usize) {
        self.under_way = appends + queued;
    }

    /// Until when the next flush may wait, if it should wait at all.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let busy = self.under_way as f64 >= limits::FLUSH_SPACING_APPENDS_MIN;
        self.started
            .filter(|_| busy)
            .map(|started| started + limits::FLUSH_SPACING_MAX)
    }

    /// Whether what waits is worth a flush now.
    pub(crate) fn is_enough(&self, appends: usize, events: usize) -> bool {
        appends >= self.under_way || events >= limits::FLUSH_EVENTS_WORTHWHILE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_shard_never_waits() {
        let mut pace = Pace::default();
        assert_eq!(pace.deadline(), None);
        pace.flush_started(Instant::now());
        pace.flush_ended(1, 1);
        assert_eq!(pace.deadline(), None);
    }

    #[test]
    fn a_busy_shard_waits_until_all_came_back_but_never_past_the_deadline() {
        let mut pace = Pace::default();
        let now = Instant::now();
        pace.flush_started(now);
        pace.flush_ended(40, 24);
        assert_eq!(pace.deadline(), Some(now + limits::FLUSH_SPACING_MAX));
        assert!(!pace.is_enough(63, 63));
        assert!(pace.is_enough(64, 64));
        assert!(pace.is_enough(3, limits::FLUSH_EVENTS_WORTHWHILE));
    }
}

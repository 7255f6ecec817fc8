//! How long a busy committer waits for company.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits;

/// Spaces the flushes of a busy shard.
///
/// The number of appends that were in the last flush or came while it ran is how many are under way at a time. Callers
/// that work in a closed loop come back that many; once they are all there, nothing is gained by waiting on. Callers
/// that come at their own rate fill the time to the deadline. With few under way there is no wait at all.
///
/// The deadline follows how long flushes take. Most of a small flush is the same for one event and for fifty, so where the
/// database is slow, because others keep it busy too, fewer and fuller ones are the remedy; where it is fast, nobody has
/// to wait for long.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    started: Option<Instant>,
    under_way: usize,
    /// How long a flush takes, smoothed.
    takes: Duration,
}

impl Pace {
    pub(crate) fn flush_started(&mut self, now: Instant) {
        self.started = Some(now);
    }

    /// `appends` were in the flush and `queued` came while it ran.
    pub(crate) fn flush_ended(&mut self, now: Instant, appends: usize, queued: usize) {
        self.under_way = appends + queued;
        if let Some(started) = self.started {
            self.takes = (self.takes * 7 + now.duration_since(started)) / 8;
        }
    }

    /// Until when the next flush may wait, if it should wait at all; longer if nobody waits for it.
    pub(crate) fn deadline(&self, is_patient: bool) -> Option<Instant> {
        let busy = self.under_way as f64 >= limits::FLUSH_SPACING_APPENDS_MIN;
        self.started
            .filter(|_| busy)
            .map(|started| started + self.spacing(is_patient))
    }

    fn spacing(&self, is_patient: bool) -> Duration {
        let (flushes, shortest, longest) = if is_patient {
            (
                limits::FLUSH_SPACING_PATIENT_FLUSHES,
                limits::FLUSH_SPACING_PATIENT_MIN,
                limits::FLUSH_SPACING_PATIENT_MAX,
            )
        } else {
            (
                limits::FLUSH_SPACING_FLUSHES,
                limits::FLUSH_SPACING_MIN,
                limits::FLUSH_SPACING_MAX,
            )
        };
        (self.takes * flushes).clamp(shortest, longest)
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
        assert_eq!(pace.deadline(false), None);
        pace.flush_started(Instant::now());
        pace.flush_ended(Instant::now(), 1, 1);
        assert_eq!(pace.deadline(false), None);
    }

    #[test]
    fn a_busy_shard_waits_until_all_came_back_but_never_past_the_deadline() {
        let mut pace = Pace::default();
        let now = Instant::now();
        pace.flush_started(now);
        pace.flush_ended(now, 40, 24);
        assert_eq!(pace.deadline(false), Some(now + limits::FLUSH_SPACING_MIN));
        assert!(!pace.is_enough(63, 63));
        assert!(pace.is_enough(64, 64));
        assert!(pace.is_enough(3, limits::FLUSH_EVENTS_WORTHWHILE));
    }

    #[test]
    fn the_slower_the_database_the_rarer_the_flushes_up_to_a_bound() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        let mut spacing_at = |takes: Duration| {
            for _ in 0..100 {
                pace.flush_started(now);
                now += takes;
                pace.flush_ended(now, 40, 24);
            }
            (pace.spacing(false), pace.spacing(true))
        };
        let shortest = (limits::FLUSH_SPACING_MIN, limits::FLUSH_SPACING_PATIENT_MIN);
        assert_eq!(spacing_at(Duration::from_micros(100)), shortest);
        let (spacing, patient) = spacing_at(Duration::from_micros(2_500));
        assert!(shortest.0 < spacing && shortest.1 < patient && patient < limits::FLUSH_SPACING_PATIENT_MAX);
        let longest = (limits::FLUSH_SPACING_MAX, limits::FLUSH_SPACING_PATIENT_MAX);
        assert_eq!(spacing_at(Duration::from_secs(1)), longest);
    }
}

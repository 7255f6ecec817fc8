//! Moments.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

use serde::{Deserialize, Serialize};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A moment: microseconds since 1970-01-01T00:00:00Z. Arithmetic saturates, so that a wrong stamp from outside never
/// stops a process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// From seconds since the epoch, which is how Meta stamps messages and statuses.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds since the epoch.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// The last instant that a moment of Meta's may mean. Its clock shows whole seconds, cut off: whoever wrote STOP at 12:00:00.9
    /// is said to have done so at 12:00:00, which must not come before an opt-in of 12:00:00.5.
    #[must_use]
    pub const fn end_of_second(self) -> Self {
        if self.0.rem_euclid(MICROS_PER_SECOND) == 0 {
            Self(self.0.saturating_add(MICROS_PER_SECOND - 1))
        } else {
            self
        }
    }

    /// How long ago `earlier` was; zero if it was not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0).max(0);
        Duration::from_micros(micros.unsigned_abs())
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }
}

/// RFC 3339 in UTC, with milliseconds.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.as_seconds();
        let (year, month, day) = civil_date(seconds.div_euclid(SECONDS_PER_DAY));
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        let millis = self.as_millis().rem_euclid(1_000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Year, month and day of a day counted from the epoch, in the proleptic Gregorian calendar.
///
/// Years are counted from 1 March, so that the leap day is the last day of the year; 400 years are 146,097 days.
fn civil_date(days: i64) -> (i64, i64, i64) {
    const DAYS_FROM_YEAR_ZERO: i64 = 719_468;
    const DAYS_PER_ERA: i64 = 146_097;
    let days = days + DAYS_FROM_YEAR_ZERO;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_second_of_metas_may_mean_any_instant_of_it() {
        assert_eq!(Timestamp::from_seconds(7).end_of_second().as_micros(), 7_999_999);
        assert_eq!(
            Timestamp::from_millis(7_250).end_of_second(),
            Timestamp::from_millis(7_250)
        );
    }

    #[test]
    fn a_moment_is_shown_as_rfc_3339() {
        assert_eq!(Timestamp::from_seconds(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            Timestamp::from_millis(1_709_208_000_250).to_string(),
            "2024-02-29T12:00:00.250Z"
        );
        assert_eq!(
            Timestamp::from_seconds(1_795_363_199).to_string(),
            "2026-11-22T15:59:59.000Z"
        );
        assert_eq!(Timestamp::from_micros(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn arithmetic_saturates_instead_of_overflowing() {
        let end = Timestamp::from_micros(i64::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(Timestamp::from_seconds(i64::MAX), end);
        assert_eq!(
            Timestamp::from_seconds(1).since(Timestamp::from_seconds(5)),
            Duration::ZERO
        );
        assert_eq!(
            Timestamp::from_seconds(5).since(Timestamp::from_seconds(1)),
            Duration::from_secs(4)
        );
        // The extremes still print.
        assert!(!end.to_string().is_empty() && !Timestamp::from_micros(i64::MIN).to_string().is_empty());
    }
}

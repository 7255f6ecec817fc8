//! The instants Meta reports.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// From here on a bare number is milliseconds: as seconds it would lie beyond the year 5000, as milliseconds in 1973.
const SMALLEST_MILLISECONDS: i64 = 100_000_000_000;
/// From here on a bare number is microseconds, by the same reasoning.
const SMALLEST_MICROSECONDS: i64 = 100_000_000_000_000;

/// An instant as milliseconds since the Unix epoch. Meta writes seconds, as a string in messages and statuses and as an
/// integer elsewhere (Cloud API webhook reference); some deliveries carry milliseconds. All of them are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Takes milliseconds since the epoch.
    pub fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Takes a number whose unit is judged by its size: seconds, milliseconds or microseconds since the epoch.
    /// `None` for a negative number, which no event of this platform can have.
    pub fn from_unix_guessed(number: i64) -> Option<Self> {
        match number {
            i64::MIN..0 => None,
            0..SMALLEST_MILLISECONDS => Some(Self(number * 1000)),
            SMALLEST_MILLISECONDS..SMALLEST_MICROSECONDS => Some(Self(number)),
            SMALLEST_MICROSECONDS.. => Some(Self(number / 1000)),
        }
    }

    /// Milliseconds since the epoch.
    pub fn unix_millis(self) -> i64 {
        self.0
    }

    /// The instant as the standard library writes it.
    pub fn to_system_time(self) -> SystemTime {
        let distance = Duration::from_millis(self.0.unsigned_abs());
        let instant = if self.0 < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        };
        instant.unwrap_or(UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_milliseconds_and_microseconds_name_the_same_instant() {
        let expected = Some(Timestamp::from_unix_millis(1_777_800_123_000));
        assert_eq!(Timestamp::from_unix_guessed(1_777_800_123), expected);
        assert_eq!(Timestamp::from_unix_guessed(1_777_800_123_000), expected);
        assert_eq!(Timestamp::from_unix_guessed(1_777_800_123_000_000), expected);
    }

    #[test]
    fn a_negative_stamp_is_no_instant_and_the_largest_number_does_not_overflow() {
        assert_eq!(Timestamp::from_unix_guessed(-1), None);
        assert!(Timestamp::from_unix_guessed(i64::MAX).is_some());
        let _ = Timestamp::from_unix_millis(i64::MIN).to_system_time();
    }
}

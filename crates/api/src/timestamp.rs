//! Moments.

use crate::problems::Problems;
use assent_domain::values::Timestamp;

/// 9999-12-31T23:59:59Z, where protobuf's timestamps end.
const SECONDS_MAX: i64 = 253_402_300_799;

/// The moment given; `None` where none is. Whether one is needed is the caller's to say.
pub fn parse(timestamp: Option<&prost_types::Timestamp>, field: &str, problems: &mut Problems) -> Option<Timestamp> {
    let timestamp = timestamp?;
    let good = (0..=SECONDS_MAX).contains(&timestamp.seconds) && (0..1_000_000_000).contains(&timestamp.nanos);
    if !good {
        problems.add(field, "is not a moment between 1970 and 9999");
        return None;
    }
    let micros = timestamp.seconds * 1_000_000 + i64::from(timestamp.nanos) / 1_000;
    Some(Timestamp::from_micros(micros))
}

/// The moment as the contract has it.
pub fn render(timestamp: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: timestamp.as_seconds(),
        nanos: (timestamp.as_micros().rem_euclid(1_000_000) * 1_000) as i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_back_to_the_microsecond() {
        let mut problems = Problems::new();
        for micros in [0, 1, 1_795_363_199_123_456] {
            let moment = Timestamp::from_micros(micros);
            assert_eq!(parse(Some(&render(moment)), "at", &mut problems), Some(moment));
        }
        assert_eq!(parse(None, "at", &mut problems), None);
        assert!(problems.is_empty());
    }

    #[test]
    fn what_is_no_moment_is_a_problem() {
        for (seconds, nanos) in [
            (-1, 0),
            (0, -1),
            (0, 1_000_000_000),
            (SECONDS_MAX + 1, 0),
            (i64::MAX, 0),
        ] {
            let mut problems = Problems::new();
            assert_eq!(
                parse(Some(&prost_types::Timestamp { seconds, nanos }), "at", &mut problems),
                None
            );
            assert!(!problems.is_empty());
        }
    }
}

//! How long keys live.

use assent_sealed::KeyClass;
use serde::{Deserialize, Serialize};
use time::{Date, Duration, Month, OffsetDateTime, UtcOffset};

/// How long what was sealed can be read, for each class that expires. Applies to keys made from now on.
///
/// A key seals during one period and expires this long after the period's end, so everything is kept at least that
/// long and at most a period longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyPolicy {
    /// Proofs of opt-ins and opt-outs, in days after the end of their calendar year.
    pub proof_days: u32,
    /// What was said, in days after the end of its calendar month.
    pub content_days: u32,
    /// One-time codes, in minutes after the end of their hour.
    pub one_time_code_minutes: u32,
}

impl KeyPolicy {
    /// Five years: what German law asks of proofs of consent (UWG § 7a), the longest we know of.
    pub const PROOF_DAYS_DEFAULT: u32 = 5 * 365 + 2;

    /// Three months to settle a complaint about a message.
    pub const CONTENT_DAYS_DEFAULT: u32 = 90;

    /// Long enough to be sent and tracked; a code is worthless by then.
    pub const ONE_TIME_CODE_MINUTES_DEFAULT: u32 = 60;

    /// The period that `now` is in, and when its key expires. Periods are of UTC. Identities have one period and no
    /// end: they live until the contact is erased.
    pub(crate) fn period(&self, class: KeyClass, now: OffsetDateTime) -> Period {
        let now = now.to_offset(UtcOffset::UTC);
        let (year, month) = (now.year(), u8::from(now.month()));
        match class {
            KeyClass::Identity => Period {
                name: String::new(),
                expires_at: None,
            },
            KeyClass::Proof => {
                let end = first_of(year.saturating_add(1), Month::January);
                Period::new(format!("{year:04}"), end, Duration::days(i64::from(self.proof_days)))
            }
            KeyClass::Content => {
                let next = now.month().next();
                let end = first_of(
                    if next == Month::January {
                        year.saturating_add(1)
                    } else {
                        year
                    },
                    next,
                );
                Period::new(
                    format!("{year:04}-{month:02}"),
                    end,
                    Duration::days(i64::from(self.content_days)),
                )
            }
            KeyClass::OneTimeCode => {
                let hour = now.hour();
                let start = now.truncate_to_hour();
                let name = format!("{year:04}-{month:02}-{:02}T{hour:02}", now.day());
                let end = start.saturating_add(Duration::HOUR);
                Period::new(name, end, Duration::minutes(i64::from(self.one_time_code_minutes)))
            }
        }
    }
}

impl Default for KeyPolicy {
    fn default() -> Self {
        Self {
            proof_days: Self::PROOF_DAYS_DEFAULT,
            content_days: Self::CONTENT_DAYS_DEFAULT,
            one_time_code_minutes: Self::ONE_TIME_CODE_MINUTES_DEFAULT,
        }
    }
}

/// When a key seals and how long it opens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Period {
    pub(crate) name: String,
    pub(crate) expires_at: Option<OffsetDateTime>,
}

impl Period {
    fn new(name: String, end: OffsetDateTime, kept: Duration) -> Self {
        Self {
            name,
            expires_at: Some(end.saturating_add(kept)),
        }
    }
}

fn first_of(year: i32, month: Month) -> OffsetDateTime {
    Date::from_calendar_date(year, month, 1)
        .unwrap_or(Date::MAX)
        .midnight()
        .assume_utc()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn period(class: KeyClass, now: OffsetDateTime) -> (String, Option<OffsetDateTime>) {
        let policy = KeyPolicy {
            proof_days: 10,
            content_days: 3,
            one_time_code_minutes: 5,
        };
        let period = policy.period(class, now);
        (period.name, period.expires_at)
    }

    #[test]
    fn content_has_a_key_for_each_calendar_month_of_utc() {
        let until = |at| Some(at);
        let december = ("2026-12".to_owned(), until(datetime!(2027-01-04 00:00 UTC)));
        assert_eq!(period(KeyClass::Content, datetime!(2026-12-31 23:59:59 UTC)), december);
        assert_eq!(period(KeyClass::Content, datetime!(2027-01-01 00:30 +1)), december);
        let february = ("2028-02".to_owned(), until(datetime!(2028-03-04 00:00 UTC)));
        assert_eq!(period(KeyClass::Content, datetime!(2028-02-29 12:00 UTC)), february);
    }

    #[test]
    fn each_class_has_its_own_period_and_end() {
        let now = datetime!(2026-11-22 16:50:12 UTC);
        assert_eq!(period(KeyClass::Identity, now), (String::new(), None));
        assert_eq!(
            period(KeyClass::Proof, now),
            ("2026".to_owned(), Some(datetime!(2027-01-11 00:00 UTC)))
        );
        let code = ("2026-11-22T16".to_owned(), Some(datetime!(2026-11-22 17:05 UTC)));
        assert_eq!(period(KeyClass::OneTimeCode, now), code);
    }

    #[test]
    fn a_key_in_use_has_not_expired_even_when_nothing_is_to_be_kept() {
        let policy = KeyPolicy {
            proof_days: 0,
            content_days: 0,
            one_time_code_minutes: 0,
        };
        for now in [
            datetime!(2026-12-31 23:59:59.999999 UTC),
            datetime!(2026-03-01 00:00 UTC),
        ] {
            for class in KeyClass::ALL {
                assert!(
                    policy
                        .period(class, now)
                        .expires_at
                        .is_none_or(|expires_at| expires_at > now)
                );
            }
        }
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        let policy = KeyPolicy {
            proof_days: u32::MAX,
            content_days: u32::MAX,
            one_time_code_minutes: u32::MAX,
        };
        for class in KeyClass::ALL {
            policy.period(class, datetime!(9999-12-31 23:59:59 UTC));
        }
    }
}

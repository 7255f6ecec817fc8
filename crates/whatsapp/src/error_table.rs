//! What is known of each error code, as data.
//!
//! Source: Meta's "WhatsApp Cloud API error codes" and "Graph API error handling" pages; rows on groups, flows, payments and
//! templates from the pages of those features. Meta publishes no mapping of on-premises codes; [`todays_code`] gives the closest.

mod codes;

pub use codes::{CODES, ON_PREMISES, RANGES};

use std::ops::RangeInclusive;

/// Whose doing an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Ours: the request, its content or our set-up.
    Ours,
    /// The recipient's: their number, their device, their choice.
    Recipient,
    /// The account's: its quality, its payments, its standing with Meta.
    Account,
    /// Meta's.
    Platform,
}

/// What an error is about, and so what has to slow down or stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This message.
    Message,
    /// Messages from this number to this user.
    Pair,
    /// Messages by this template.
    Template,
    /// Everything from this number.
    Number,
    /// Everything from this WhatsApp Business account.
    Account,
    /// Everything with this access token.
    Token,
    /// The whole app, or Meta itself.
    Platform,
}

/// Whether and when a send that met this error may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryClass {
    /// Refused before anything was done: back off and try again.
    Safe,
    /// It may have been sent: only after a status, or its absence, has settled the first attempt.
    UnsafeMayHaveBeenSent,
    /// Once, after a long delay, by policy.
    Later,
    /// Not this message to this user.
    Never,
    /// Not before the request, the template or the configuration was changed.
    FixFirst,
    /// Stop everything within the scope and tell a person.
    Stop,
    /// Nothing to do.
    Ignore,
}

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct ErrorEntry {
    /// First code of the row.
    pub first: i64,
    /// Last code of the row; the same as `first` unless it is a range.
    pub last: i64,
    /// What it means, in a few words.
    pub meaning: &'static str,
    /// Whose doing.
    pub fault: Fault,
    /// What it is about.
    pub scope: Scope,
    /// Whether to try again.
    pub retry: RetryClass,
    /// What helps.
    pub remedy: &'static str,
}

/// The row for a code nobody has documented: it may have been sent, so nothing is repeated.
pub static UNKNOWN: ErrorEntry = ErrorEntry {
    first: i64::MIN,
    last: i64::MAX,
    meaning: "undocumented error",
    fault: Fault::Platform,
    scope: Scope::Message,
    retry: RetryClass::UnsafeMayHaveBeenSent,
    remedy: "read the details of the error; do not repeat the message",
};

/// The row for a code; on-premises codes give the row of today's equivalent, unknown ones [`UNKNOWN`].
pub fn look_up(code: i64) -> &'static ErrorEntry {
    let code = todays_code(code);
    find(code).unwrap_or(&UNKNOWN)
}

/// Whether the table has a row for a code.
pub fn is_known(code: i64) -> bool {
    find(todays_code(code)).is_some()
}

/// The codes of every row, single ones before ranges, for whoever needs a bounded set of them.
pub fn documented() -> impl Iterator<Item = RangeInclusive<i64>> {
    CODES.iter().chain(RANGES).map(|entry| entry.first..=entry.last)
}

/// Today's code for one of the ended on-premises API (470 is 131047); any other code is its own.
pub fn todays_code(code: i64) -> i64 {
    match ON_PREMISES.binary_search_by_key(&code, |(old, _)| *old) {
        Ok(at) => ON_PREMISES[at].1,
        Err(_) => code,
    }
}

fn find(code: i64) -> Option<&'static ErrorEntry> {
    match CODES.binary_search_by_key(&code, |entry| entry.first) {
        Ok(at) => Some(&CODES[at]),
        Err(_) => RANGES.iter().find(|entry| (entry.first..=entry.last).contains(&code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every single code Meta documents for sending, callbacks and management.
    const DOCUMENTED: &[i64] = &[
        0, 1, 2, 3, 4, 10, 33, 100, 104, 190, 200, 368, 613, 803, 2_200, 80_007, 130_403, 130_429, 130_472, 130_497,
        131_000, 131_005, 131_008, 131_009, 131_016, 131_020, 131_021, 131_026, 131_030, 131_031, 131_037, 131_041,
        131_042, 131_044, 131_045, 131_047, 131_048, 131_049, 131_050, 131_051, 131_052, 131_053, 131_055, 131_056,
        131_057, 131_059, 131_061, 131_062, 131_063, 131_064, 131_201, 131_202, 131_204, 131_207, 131_208, 131_209,
        131_210, 131_211, 131_212, 131_213, 131_214, 131_215, 132_000, 132_001, 132_005, 132_007, 132_008, 132_012,
        132_015, 132_016, 132_018, 132_068, 132_069, 133_000, 133_004, 133_005, 133_006, 133_008, 133_009, 133_010,
        133_015, 133_016, 134_011, 134_100, 134_101, 134_102, 135_000, 136_024, 137_000, 138_000, 138_001, 138_002,
        138_003, 138_004, 138_005, 138_006, 138_007, 138_008, 138_009, 138_010, 138_011, 138_012, 138_013, 138_014,
        138_015, 138_016, 138_017, 138_018, 138_019, 138_020, 138_021, 138_022, 138_023, 138_024, 138_025, 139_000,
        139_001, 139_002, 139_003, 139_004, 139_100, 139_101, 139_102, 139_103, 139_200, 141_002, 147_001, 147_002,
        147_003, 147_004, 147_005, 200_005, 200_006, 200_007, 1_752_041, 2_388_012, 2_388_019, 2_388_024, 2_388_039,
        2_388_040, 2_388_047, 2_388_072, 2_388_073, 2_388_091, 2_388_093, 2_388_103, 2_388_293, 2_388_299, 2_494_100,
        2_593_107, 2_593_108,
    ];

    /// Every code of the on-premises API that was ever explained.
    const ON_PREMISES_DOCUMENTED: &[i64] = &[
        402, 408, 410, 429, 470, 471, 472, 480, 500, 1000, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1013, 1014,
        1015, 1016, 1021, 1026, 2000, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008, 2061, 2062,
    ];

    #[test]
    fn every_documented_code_has_a_row() {
        for code in DOCUMENTED {
            assert!(is_known(*code), "{code}");
        }
        for code in 200..=299 {
            assert_eq!(look_up(code).retry, RetryClass::Stop, "{code}");
        }
    }

    #[test]
    fn every_row_is_there_once_and_in_order() {
        for pair in CODES.windows(2) {
            assert!(
                pair[0].first < pair[1].first,
                "{} before {}",
                pair[0].first,
                pair[1].first
            );
        }
        assert!(CODES.iter().all(|entry| entry.first == entry.last));
        for pair in RANGES.windows(2) {
            assert!(
                pair[0].last < pair[1].first,
                "{} before {}",
                pair[0].last,
                pair[1].first
            );
        }
        assert!(RANGES.iter().all(|entry| entry.first < entry.last));
        for pair in ON_PREMISES.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} before {}", pair[0].0, pair[1].0);
        }
    }

    #[test]
    fn every_row_says_what_it_means_and_what_helps() {
        for entry in CODES.iter().chain(RANGES) {
            assert!(!entry.meaning.is_empty() && !entry.remedy.is_empty(), "{}", entry.first);
        }
    }

    #[test]
    fn on_premises_codes_are_todays() {
        assert_eq!(todays_code(470), 131_047);
        assert_eq!(todays_code(1013), 131_026);
        assert_eq!(look_up(470).first, 131_047);
        for old in ON_PREMISES_DOCUMENTED {
            assert!(is_known(*old), "{old}");
        }
        for (old, today) in ON_PREMISES {
            assert!(
                !CODES.iter().any(|entry| entry.first == *old),
                "{old} is a code of today as well"
            );
            assert!(
                !ON_PREMISES.iter().any(|(code, _)| code == today),
                "{today} is itself an old code"
            );
        }
    }

    #[test]
    fn only_refusals_before_processing_are_safe_to_repeat() {
        let safe: Vec<i64> = CODES
            .iter()
            .filter(|entry| entry.retry == RetryClass::Safe)
            .map(|entry| entry.first)
            .collect();
        assert_eq!(safe, [4, 613, 80_007, 130_429, 131_056, 131_208, 139_102]);
        assert!(RANGES.iter().all(|entry| entry.retry != RetryClass::Safe));
    }

    #[test]
    fn an_unknown_code_is_never_repeated() {
        for code in [-1, 5, 987_654, i64::MAX, i64::MIN] {
            assert_eq!(look_up(code), &UNKNOWN);
        }
        assert_eq!(UNKNOWN.retry, RetryClass::UnsafeMayHaveBeenSent);
    }
}

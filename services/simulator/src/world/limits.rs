//! Rates and limits of the platform: pair, number, portfolio tier, marketing per person.

use std::collections::{HashMap, VecDeque};

/// One message in this many ms to one person, in the long run.
const PAIR_INTERVAL_MS: i64 = 6_000;
/// Messages to one person that may go at once, borrowed from the future.
const PAIR_BURST: i64 = 45;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Takes one message from a pair bucket, or says it is empty.
pub(crate) fn take_from_pair(used_until_ms: &mut i64, now_ms: i64) -> bool {
    let next = (*used_until_ms).max(now_ms) + PAIR_INTERVAL_MS;
    if next > now_ms + PAIR_INTERVAL_MS * PAIR_BURST {
        return false;
    }
    *used_until_ms = next;
    true
}

/// Takes one message from a number's bucket of one second's worth, or says it is empty.
pub(crate) fn take_from_number(used_until_us: &mut i64, per_second: u32, now_ms: i64) -> bool {
    let interval_us = 1_000_000 / i64::from(per_second.max(1));
    let instant_us = now_ms * 1_000;
    let next = (*used_until_us).max(instant_us) + interval_us;
    if next > instant_us + 1_000_000 {
        return false;
    }
    *used_until_us = next;
    true
}

/// Distinct people reached in the moving 24 hours.
#[derive(Default)]
pub(crate) struct Reached {
    last_at_ms: HashMap<u64, i64>,
    order: VecDeque<(i64, u64)>,
}

impl Reached {
    /// Notes that a person is reached; false if the limit does not allow one more.
    pub(crate) fn reach(&mut self, phone: u64, limit: usize, now_ms: i64) -> bool {
        self.forget_old(now_ms);
        if !self.last_at_ms.contains_key(&phone) && self.last_at_ms.len() >= limit {
            return false;
        }
        self.last_at_ms.insert(phone, now_ms);
        self.order.push_back((now_ms, phone));
        true
    }

    /// How many were reached in the 24 hours before the last was.
    pub(crate) fn people(&self) -> usize {
        self.last_at_ms.len()
    }

    /// How many were reached.
    #[cfg(test)]
    pub(crate) fn count(&mut self, now_ms: i64) -> usize {
        self.forget_old(now_ms);
        self.last_at_ms.len()
    }

    fn forget_old(&mut self, now_ms: i64) {
        while let Some((at_ms, phone)) = self.order.front().copied() {
            if at_ms > now_ms - DAY_MS {
                break;
            }
            self.order.pop_front();
            // Reached again later: the later entry keeps the person counted.
            if self.last_at_ms.get(&phone) == Some(&at_ms) {
                self.last_at_ms.remove(&phone);
            }
        }
    }
}

/// How many people a tier allows in 24 hours.
pub(crate) fn tier_limit(tier: &str) -> usize {
    match tier {
        "TIER_50" => 50,
        "TIER_250" => 250,
        "TIER_1K" => 1_000,
        "TIER_2K" => 2_000,
        "TIER_10K" => 10_000,
        "TIER_100K" => 100_000,
        _ => usize::MAX,
    }
}

/// The next tier, for tiers that are raised by themselves. The first ones are raised by verifying the business.
pub(crate) fn next_tier(tier: &str) -> Option<&'static str> {
    match tier {
        "TIER_2K" => Some("TIER_10K"),
        "TIER_10K" => Some("TIER_100K"),
        "TIER_100K" => Some("TIER_UNLIMITED"),
        _ => None,
    }
}

/// Notes one marketing message; false if the person has had `cap` within 24 hours.
pub(crate) fn take_marketing(times_ms: &mut VecDeque<i64>, cap: u32, now_ms: i64) -> bool {
    while times_ms.front().is_some_and(|at_ms| *at_ms <= now_ms - DAY_MS) {
        times_ms.pop_front();
    }
    if times_ms.len() >= cap as usize {
        return false;
    }
    times_ms.push_back(now_ms);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_allows_a_burst_of_45_and_then_one_in_six_seconds() {
        let mut used = 0;
        let burst = (0..50).filter(|_| take_from_pair(&mut used, 1_000_000)).count();
        assert_eq!(burst, 45);
        assert!(!take_from_pair(&mut used, 1_005_999));
        assert!(take_from_pair(&mut used, 1_006_000));
    }

    #[test]
    fn a_number_allows_its_rate_and_no_more() {
        let mut used = 0;
        assert_eq!((0..200).filter(|_| take_from_number(&mut used, 80, 1_000)).count(), 80);
        assert_eq!((0..200).filter(|_| take_from_number(&mut used, 80, 1_500)).count(), 40);
    }

    #[test]
    fn the_tier_counts_distinct_people_in_a_moving_day() {
        let mut reached = Reached::default();
        assert!(reached.reach(1, 2, 0) && reached.reach(2, 2, 1_000) && reached.reach(1, 2, 2_000));
        assert!(!reached.reach(3, 2, 3_000));
        // Person 2 falls out after a day; person 1 was reached again later and stays.
        assert!(reached.reach(3, 2, DAY_MS + 1_000));
        assert_eq!(reached.count(DAY_MS + 1_000), 2);
    }
}

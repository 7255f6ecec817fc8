//! What people make of a number's or a template's messages, and the quality rating that follows. Meta's formula is
//! secret; here it is the share of blocks and reports among deliveries of seven days, where recent ones weigh more.

use std::collections::VecDeque;

use super::number::Rating;

/// How long feedback counts.
const WINDOW_MS: i64 = 7 * 24 * HOUR_MS;
const HOUR_MS: i64 = 60 * 60 * 1_000;
/// Deliveries needed before anything is said.
const DELIVERIES_MIN: u64 = 20;
/// Share of blocks and reports that gives yellow.
const YELLOW_FROM: f64 = 0.02;
/// Share of blocks and reports that gives red.
const RED_FROM: f64 = 0.05;
/// Share of messages read below which a template is yellow.
const READ_MIN: f64 = 0.1;

/// One hour's worth.
#[derive(Debug)]
struct Hour {
    /// Hours since 1970.
    number: i64,
    delivered: u64,
    read: u64,
}

/// Feedback of seven days. A million messages take 168 entries.
#[derive(Debug, Default)]
pub(super) struct Feedback {
    hours: VecDeque<Hour>,
    negative_at_ms: VecDeque<i64>,
}

impl Feedback {
    /// Notes a delivery.
    pub(super) fn has_delivered(&mut self, at_ms: i64) {
        self.hour(at_ms).delivered += 1;
    }

    /// Notes that a message was read.
    pub(super) fn was_read(&mut self, at_ms: i64) {
        self.hour(at_ms).read += 1;
    }

    /// Notes a block or a report.
    pub(super) fn was_negative(&mut self, at_ms: i64) {
        self.forget_old(at_ms);
        self.negative_at_ms.push_back(at_ms);
    }

    fn hour(&mut self, at_ms: i64) -> &mut Hour {
        let hour = at_ms.div_euclid(HOUR_MS);
        let is_new = self.hours.back().is_none_or(|last| last.number < hour);
        if is_new {
            self.hours.push_back(Hour {
                number: hour,
                delivered: 0,
                read: 0,
            });
        }
        self.hours.back_mut().expect("an entry was there or has been added")
    }

    /// Deliveries that count at this instant.
    pub(super) fn delivered(&self, now_ms: i64) -> u64 {
        let since_hour = (now_ms - WINDOW_MS).div_euclid(HOUR_MS);
        let counting = self.hours.iter().filter(|entry| entry.number > since_hour);
        counting.map(|entry| entry.delivered).sum()
    }

    /// The rating at this instant; `None` if too little was delivered. Reads are looked at for templates only.
    pub(super) fn rating(&self, now_ms: i64, reads_matter: bool) -> Option<Rating> {
        if self.delivered(now_ms) < DELIVERIES_MIN {
            return None;
        }
        let (mut delivered, mut read) = (0.0, 0.0);
        for entry in &self.hours {
            let weight = weight(now_ms, entry.number * HOUR_MS + HOUR_MS);
            delivered += weight * entry.delivered as f64;
            read += weight * entry.read as f64;
        }
        let negative: f64 = self.negative_at_ms.iter().map(|at_ms| weight(now_ms, *at_ms)).sum();
        Some(match negative / delivered {
            share if share >= RED_FROM => Rating::Red,
            share if share >= YELLOW_FROM => Rating::Yellow,
            _ if reads_matter && read / delivered < READ_MIN => Rating::Yellow,
            _ => Rating::Green,
        })
    }

    /// Forgets everything, as when a template begins again.
    pub(super) fn clear(&mut self) {
        self.hours.clear();
        self.negative_at_ms.clear();
    }

    fn forget_old(&mut self, now_ms: i64) {
        let since_ms = now_ms - WINDOW_MS;
        while self.negative_at_ms.front().is_some_and(|at_ms| *at_ms <= since_ms) {
            self.negative_at_ms.pop_front();
        }
        let since_hour = since_ms.div_euclid(HOUR_MS);
        while self.hours.front().is_some_and(|entry| entry.number <= since_hour) {
            self.hours.pop_front();
        }
    }
}

/// From one for what is new down to zero after seven days.
fn weight(now_ms: i64, at_ms: i64) -> f64 {
    let age_ms = (now_ms - at_ms).clamp(0, WINDOW_MS);
    1.0 - age_ms as f64 / WINDOW_MS as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;

    fn after(delivered: u32, negative: u32) -> Feedback {
        let mut feedback = Feedback::default();
        (0..delivered).for_each(|_| feedback.has_delivered(NOW_MS));
        (0..negative).for_each(|_| feedback.was_negative(NOW_MS));
        feedback
    }

    #[test]
    fn blocks_lower_the_rating_and_a_week_heals_it() {
        assert_eq!(after(100, 0).rating(NOW_MS, false), Some(Rating::Green));
        assert_eq!(after(100, 2).rating(NOW_MS, false), Some(Rating::Yellow));
        let mut red = after(100, 5);
        assert_eq!(red.rating(NOW_MS, false), Some(Rating::Red));
        let next_week_ms = NOW_MS + WINDOW_MS + HOUR_MS;
        (0..100).for_each(|_| red.has_delivered(next_week_ms));
        assert_eq!(red.rating(next_week_ms, false), Some(Rating::Green));
        red.was_negative(next_week_ms);
        assert_eq!((red.hours.len(), red.negative_at_ms.len()), (1, 1));
    }

    #[test]
    fn recent_feedback_weighs_more() {
        let mut feedback = after(100, 6);
        assert_eq!(feedback.rating(NOW_MS, false), Some(Rating::Red));
        let later_ms = NOW_MS + 5 * 24 * HOUR_MS;
        (0..100).for_each(|_| feedback.has_delivered(later_ms));
        // Six among two hundred would be yellow, were they as recent as what was delivered since.
        assert_eq!(feedback.rating(later_ms, false), Some(Rating::Green));
    }

    #[test]
    fn a_handful_of_messages_gives_no_rating() {
        assert_eq!(after(19, 10).rating(NOW_MS, false), None);
    }

    #[test]
    fn a_template_hardly_anybody_reads_is_yellow() {
        let mut feedback = after(100, 0);
        assert_eq!(feedback.rating(NOW_MS, true), Some(Rating::Yellow));
        (0..50).for_each(|_| feedback.was_read(NOW_MS));
        assert_eq!(feedback.rating(NOW_MS, true), Some(Rating::Green));
    }
}

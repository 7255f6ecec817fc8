//! Business numbers and accounts as the world keeps them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::identity::NumberIdentity;
use super::profile::Profile;
use super::short_links::ShortLinks;
use super::update::Endpoint;

/// Days of feedback the quality rating looks at.
const QUALITY_WINDOW_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
/// Deliveries needed before blocks lower the rating; the real formula is secret.
const DELIVERIES_FOR_A_RATING: u64 = 20;
/// Share of blocks among deliveries that makes a number yellow.
const YELLOW_FROM: f64 = 0.02;
/// Share of blocks among deliveries that makes a number red.
const RED_FROM: f64 = 0.05;
const HOUR_MS: i64 = 60 * 60 * 1_000;

/// Quality rating of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Rating {
    /// High.
    Green,
    /// Medium.
    Yellow,
    /// Low.
    Red,
}

impl Rating {
    /// Wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Green => "GREEN",
            Self::Yellow => "YELLOW",
            Self::Red => "RED",
        }
    }
}

/// An account with its templates' owner, tokens and subscribers.
#[derive(Debug)]
pub(crate) struct AccountState {
    pub(crate) id: Arc<str>,
    pub(crate) name: String,
    pub(crate) portfolio: String,
    /// Indexes of the apps subscribed to it.
    pub(crate) apps: Vec<usize>,
    /// Callback URL set for this account instead of the apps' own.
    pub(crate) callback_override: Option<String>,
    /// Code every send is refused with, while set (368, 131031, 131042, …).
    pub(crate) locked_with: Option<u32>,
}

/// A number with what its people make of it.
#[derive(Debug)]
pub(crate) struct NumberState {
    pub(crate) identity: Arc<NumberIdentity>,
    /// Index of its account.
    pub(crate) account: u32,
    pub(crate) verified_name: String,
    pub(crate) registered: bool,
    pub(crate) status: String,
    pub(crate) messages_per_second: u32,
    pub(crate) tier: String,
    /// Callback URL set for this number.
    pub(crate) callback_override: Option<String>,
    /// What people see beside the chat.
    pub(crate) profile: Profile,
    /// Its short links and QR codes.
    pub(crate) short_links: ShortLinks,
    /// Rating set by hand; overrides what follows from blocks.
    pub(crate) rating_override: Option<Rating>,
    /// Throughput bucket: instant up to which it is used up, in µs.
    pub(crate) rate_used_until_us: i64,
    blocks_at_ms: VecDeque<i64>,
    /// Deliveries by hour, so that a million of them take 168 entries.
    delivered_by_hour: VecDeque<(i64, u64)>,
}

impl NumberState {
    pub(crate) fn new(identity: Arc<NumberIdentity>, account: u32, number: &crate::config::Number) -> Self {
        Self {
            identity,
            account,
            verified_name: number.verified_name.clone(),
            registered: number.registered,
            status: "CONNECTED".to_owned(),
            messages_per_second: number.messages_per_second,
            tier: number.tier.clone(),
            callback_override: None,
            profile: Profile::default(),
            short_links: ShortLinks::default(),
            rating_override: None,
            rate_used_until_us: 0,
            blocks_at_ms: VecDeque::new(),
            delivered_by_hour: VecDeque::new(),
        }
    }

    /// Notes a block.
    pub(crate) fn was_blocked(&mut self, at_ms: i64) {
        self.blocks_at_ms.push_back(at_ms);
    }

    /// Notes a delivery.
    pub(crate) fn has_delivered(&mut self, at_ms: i64) {
        let hour = at_ms.div_euclid(HOUR_MS);
        match self.delivered_by_hour.back_mut() {
            Some((last, count)) if *last == hour => *count += 1,
            _ => self.delivered_by_hour.push_back((hour, 1)),
        }
    }

    /// The rating at this instant, from blocks among deliveries of the last seven days.
    pub(crate) fn rating(&self, now_ms: i64) -> Rating {
        if let Some(rating) = self.rating_override {
            return rating;
        }
        let since_ms = now_ms - QUALITY_WINDOW_MS;
        let blocks = self.blocks_at_ms.iter().filter(|at_ms| **at_ms > since_ms).count();
        let since_hour = since_ms.div_euclid(HOUR_MS);
        let delivered: u64 = self
            .delivered_by_hour
            .iter()
            .filter(|(hour, _)| *hour > since_hour)
            .map(|(_, count)| count)
            .sum();
        if delivered < DELIVERIES_FOR_A_RATING {
            return Rating::Green;
        }
        match blocks as f64 / delivered as f64 {
            share if share >= RED_FROM => Rating::Red,
            share if share >= YELLOW_FROM => Rating::Yellow,
            _ => Rating::Green,
        }
    }

    /// Forgets feedback that no longer counts.
    pub(crate) fn forget_old(&mut self, now_ms: i64) {
        let since_ms = now_ms - QUALITY_WINDOW_MS;
        while self.blocks_at_ms.front().is_some_and(|at_ms| *at_ms <= since_ms) {
            self.blocks_at_ms.pop_front();
        }
        let since_hour = since_ms.div_euclid(HOUR_MS);
        while self
            .delivered_by_hour
            .front()
            .is_some_and(|(hour, _)| *hour <= since_hour)
        {
            self.delivered_by_hour.pop_front();
        }
    }
}

/// An app as the world keeps it.
#[derive(Debug)]
pub(crate) struct AppState {
    pub(crate) id: String,
    pub(crate) secret: crate::config::Secret,
    pub(crate) verify_token: crate::config::Secret,
    pub(crate) endpoint: Option<Arc<Endpoint>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number() -> NumberState {
        let identity = NumberIdentity {
            account_id: "1".into(),
            id: "2".into(),
            digits: "15550010001".into(),
        };
        NumberState::new(Arc::new(identity), 0, &crate::config::Number::default())
    }

    #[test]
    fn blocks_lower_the_rating_and_a_week_heals_it() {
        let mut number = number();
        let now_ms = 1_800_000_000_000;
        (0..100).for_each(|_| number.has_delivered(now_ms));
        assert_eq!(number.rating(now_ms), Rating::Green);
        (0..2).for_each(|_| number.was_blocked(now_ms));
        assert_eq!(number.rating(now_ms), Rating::Yellow);
        (0..3).for_each(|_| number.was_blocked(now_ms));
        assert_eq!(number.rating(now_ms), Rating::Red);
        let next_week_ms = now_ms + QUALITY_WINDOW_MS + HOUR_MS;
        assert_eq!(number.rating(next_week_ms), Rating::Green);
        number.forget_old(next_week_ms);
        assert!(number.blocks_at_ms.is_empty() && number.delivered_by_hour.is_empty());
    }

    #[test]
    fn a_handful_of_messages_gives_no_bad_rating() {
        let mut number = number();
        number.has_delivered(0);
        number.was_blocked(0);
        assert_eq!(number.rating(1), Rating::Green);
    }
}

//! Virtual people: a hidden truth that follows from the seed, and what has passed between them and a number.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::draw::{self, Draw};
use super::templates::TemplateKey;
use crate::config::Mix;

/// What is really so about a person. The platform never tells; only the control API does.
#[allow(clippy::struct_excessive_bools, reason = "independent facts about a person")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// Whether the number is on WhatsApp at all.
    pub on_whatsapp: bool,
    /// Share of messages read, with receipts on; 0 never reads or has receipts off.
    pub read_chance: f64,
    /// Share of messages read at the instant of delivery, so that `delivered` never comes.
    pub read_at_once_chance: f64,
    /// Share of read messages answered with a text.
    pub reply_chance: f64,
    /// Blocks the business number after this many delivered marketing messages.
    pub blocks_after: Option<u32>,
    /// Writes STOP after this many delivered marketing messages.
    pub writes_stop_after: Option<u32>,
    /// Uses WhatsApp's own stop control after this many delivered marketing messages.
    pub platform_stops_after: Option<u32>,
    /// Marketing fails with 131049.
    pub capped: bool,
    /// Marketing fails with 130472.
    pub holdout: bool,
    /// Phone is off until this instant, Unix ms.
    pub offline_until_ms: Option<i64>,
    /// Has a username and hides the phone number: inbound messages carry only the business-scoped user id.
    pub hides_number: bool,
}

impl Truth {
    /// The truth about a phone number under this seed and mix.
    pub(crate) fn of(seed: u64, mix: &Mix, phone: u64) -> Self {
        let is = |draw, share| draw::chance(seed, draw, phone, 0, share);
        let one_to_three = |draw| 1 + (draw::bits(seed, draw, phone, 0) % 3) as u32;
        Self {
            on_whatsapp: !is(Draw::OnWhatsApp, mix.not_on_whatsapp),
            read_chance: if is(Draw::Reads, mix.reads) { 1.0 } else { 0.0 },
            read_at_once_chance: if is(Draw::ReadsAtOnce, mix.reads_at_once) {
                1.0
            } else {
                0.0
            },
            reply_chance: if is(Draw::Replies, mix.replies) { 1.0 } else { 0.0 },
            blocks_after: is(Draw::Blocks, mix.blocks).then(|| one_to_three(Draw::BlocksAfter)),
            writes_stop_after: is(Draw::WritesStop, mix.writes_stop).then(|| one_to_three(Draw::StopsAfter)),
            platform_stops_after: is(Draw::PlatformStops, mix.platform_stops).then(|| one_to_three(Draw::StopsAfter)),
            capped: is(Draw::Capped, mix.capped),
            holdout: is(Draw::Holdout, mix.holdout),
            offline_until_ms: None,
            hides_number: false,
        }
    }
}

/// Changes to a person's hidden truth; members left out stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TruthChange {
    /// See [`Truth::on_whatsapp`].
    pub on_whatsapp: Option<bool>,
    /// See [`Truth::read_chance`].
    pub read_chance: Option<f64>,
    /// See [`Truth::read_at_once_chance`].
    pub read_at_once_chance: Option<f64>,
    /// See [`Truth::reply_chance`].
    pub reply_chance: Option<f64>,
    /// See [`Truth::blocks_after`]; 0 means never.
    pub blocks_after: Option<u32>,
    /// See [`Truth::writes_stop_after`]; 0 means never.
    pub writes_stop_after: Option<u32>,
    /// See [`Truth::platform_stops_after`]; 0 means never.
    pub platform_stops_after: Option<u32>,
    /// See [`Truth::capped`].
    pub capped: Option<bool>,
    /// See [`Truth::holdout`].
    pub holdout: Option<bool>,
    /// See [`Truth::offline_until_ms`]; 0 means online.
    pub offline_until_ms: Option<i64>,
    /// See [`Truth::hides_number`].
    pub hides_number: Option<bool>,
}

impl TruthChange {
    pub(crate) fn apply(&self, truth: &mut Truth) {
        let never_if_zero = |count: u32| (count > 0).then_some(count);
        truth.on_whatsapp = self.on_whatsapp.unwrap_or(truth.on_whatsapp);
        truth.read_chance = self.read_chance.unwrap_or(truth.read_chance);
        truth.read_at_once_chance = self.read_at_once_chance.unwrap_or(truth.read_at_once_chance);
        truth.reply_chance = self.reply_chance.unwrap_or(truth.reply_chance);
        truth.blocks_after = self.blocks_after.map_or(truth.blocks_after, never_if_zero);
        truth.writes_stop_after = self.writes_stop_after.map_or(truth.writes_stop_after, never_if_zero);
        truth.platform_stops_after = self
            .platform_stops_after
            .map_or(truth.platform_stops_after, never_if_zero);
        truth.capped = self.capped.unwrap_or(truth.capped);
        truth.holdout = self.holdout.unwrap_or(truth.holdout);
        truth.offline_until_ms = self
            .offline_until_ms
            .map_or(truth.offline_until_ms, |instant| (instant > 0).then_some(instant));
        truth.hides_number = self.hides_number.unwrap_or(truth.hides_number);
    }
}

/// A person as the world remembers them.
#[derive(Debug)]
pub(crate) struct Person {
    /// The hidden truth.
    pub(crate) truth: Truth,
    /// Sends tried to this person so far, counting refused ones; numbers draws.
    pub(crate) attempts: u64,
    /// Messages accepted for this person so far; numbers draws.
    pub(crate) accepted: u64,
    /// Messages this person has written; numbers draws.
    pub(crate) written: u64,
    /// When marketing messages were accepted for this person, ms; for the platform's own cap.
    pub(crate) marketing_at_ms: VecDeque<i64>,
}

impl Person {
    pub(crate) fn new(truth: Truth) -> Self {
        Self {
            truth,
            attempts: 0,
            accepted: 0,
            written: 0,
            marketing_at_ms: VecDeque::new(),
        }
    }
}

/// What has passed between one person and one business number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Relation {
    /// When the person blocked the number, Unix ms.
    pub blocked_at_ms: Option<i64>,
    /// When the person last wrote, Unix ms; opens the customer service window for 24 h.
    pub last_wrote_at_ms: Option<i64>,
    /// Whether the business has blocked the person.
    pub blocked_by_business: bool,
    /// When the person reported the number as spam, Unix ms.
    pub reported_at_ms: Option<i64>,
    /// Marketing messages delivered so far.
    pub marketing_delivered: u32,
    /// Whether the person has already had enough of this number's marketing and decided what to do about it.
    #[serde(skip)]
    pub(crate) has_had_enough: bool,
    /// The template that was delivered last; a block or report counts against it.
    #[serde(skip)]
    pub(crate) last_template: Option<TemplateKey>,
    /// Pair bucket: instant up to which it is used up, ms.
    #[serde(skip)]
    pub(crate) pair_used_until_ms: i64,
}

/// Length of the customer service window, ms.
pub(crate) const WINDOW_MS: i64 = 24 * 60 * 60 * 1_000;

impl Relation {
    /// Whether free-form messages may be sent at this instant.
    pub(crate) fn window_is_open(&self, now_ms: i64) -> bool {
        self.last_wrote_at_ms.is_some_and(|wrote| now_ms < wrote + WINDOW_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_about_a_person_follows_from_seed_and_phone() {
        let mix = Mix::lively();
        let crowd = |seed| {
            (0..500)
                .map(|n| Truth::of(seed, &mix, 12_025_550_000 + n))
                .collect::<Vec<_>>()
        };
        assert_eq!(crowd(1), crowd(1));
        assert_ne!(crowd(1), crowd(2));
        assert!(crowd(1).iter().any(|truth| !truth.on_whatsapp));
    }

    #[test]
    fn an_ideal_crowd_reads_everything() {
        let everybody = (0..500).map(|n| Truth::of(3, &Mix::ideal(), n));
        assert!(
            everybody
                .into_iter()
                .all(|truth| truth.on_whatsapp && truth.read_chance >= 1.0 && !truth.capped)
        );
    }

    #[test]
    fn the_window_closes_24_hours_after_the_last_message() {
        let relation = Relation {
            last_wrote_at_ms: Some(1_000),
            ..Relation::default()
        };
        assert!(relation.window_is_open(1_000 + WINDOW_MS - 1));
        assert!(!relation.window_is_open(1_000 + WINDOW_MS));
        assert!(!Relation::default().window_is_open(0));
    }
}

//! What the status-tracker measures. Labels are closed sets, on the page with 0 from the start, or our own numbers' ids.

use assent_domain::{
    events::{
        AccountEvent, DomainEvent as _, NumberEvent, NumberObserved, NumberStatus, QualityRating, SuppressionEvent,
        TemplateEvent,
    },
    values::PhoneNumberId,
};
use assent_event_store::ShardId;
use assent_runtime::counters::Counters;
use metrics::{Counter, Gauge};
use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

const POLLS: [&str; 2] = ["number", "templates"];
const POLL_OUTCOMES: [&str; 10] = [
    "ok",
    "no_token",
    "not_connected",
    "timeout",
    "connection_lost",
    "token",
    "refused",
    "unreadable",
    "overtaken",
    "log",
];
const SKIPPED: [&str; 5] = ["undecodable", "no_tenant", "no_contact", "refused", "template_name"];

struct Meters {
    polls: Counters<2>,
    conclusions: Counters,
    skipped: Counters,
    subscribers_too_slow: Counter,
    numbers: Mutex<HashMap<(ShardId, PhoneNumberId), NumberGauges>>,
}

static METERS: LazyLock<Meters> = LazyLock::new(|| {
    let kinds = [
        NumberEvent::TABLE,
        TemplateEvent::TABLE,
        AccountEvent::TABLE,
        SuppressionEvent::TABLE,
    ];
    Meters {
        polls: Counters::new(
            "assent_status_tracker_polls_total",
            ["what", "outcome"],
            POLLS
                .into_iter()
                .flat_map(|what| POLL_OUTCOMES.map(|outcome| [what, outcome])),
        ),
        conclusions: Counters::new(
            "assent_status_tracker_conclusions_total",
            ["kind"],
            kinds.into_iter().flatten().map(|(name, _)| [*name]),
        ),
        skipped: Counters::new(
            "assent_status_tracker_skipped_total",
            ["reason"],
            SKIPPED.map(|reason| [reason]),
        ),
        subscribers_too_slow: metrics::counter!("assent_status_tracker_subscribers_too_slow_total"),
        numbers: Mutex::default(),
    }
});

/// Puts everything on the page. To be called once the process's metrics are set up.
pub(crate) fn prepare() {
    LazyLock::force(&METERS);
}

/// A poll ended; `outcome` is `ok` or what was wrong.
pub(crate) fn polled(what: &'static str, outcome: &'static str) {
    METERS.polls.one([what, outcome]);
}

/// A conclusion was recorded.
pub(crate) fn concluded(kind: &'static str) {
    METERS.conclusions.one([kind]);
}

/// Something could not be understood and was passed over.
pub(crate) fn skipped(reason: &'static str) {
    METERS.skipped.one([reason]);
}

/// A subscriber took nothing for too long and was ended.
pub(crate) fn subscriber_too_slow() {
    METERS.subscribers_too_slow.increment(1);
}

/// What is shown of one of our numbers. What is not known is shown as NaN, which no rule compares with.
struct NumberGauges {
    quality: Gauge,
    sends: Gauge,
    limit: Gauge,
    throughput: Gauge,
}

impl NumberGauges {
    fn of(number: &PhoneNumberId) -> Self {
        let id = || number.as_str().to_owned();
        Self {
            quality: metrics::gauge!("assent_status_tracker_number_quality", "phone_number_id" => id()),
            sends: metrics::gauge!("assent_status_tracker_number_sends", "phone_number_id" => id()),
            limit: metrics::gauge!("assent_status_tracker_number_limit_recipients", "phone_number_id" => id()),
            throughput: metrics::gauge!("assent_status_tracker_number_throughput_per_second", "phone_number_id" => id()),
        }
    }

    fn show(&self, seen: &NumberObserved) {
        self.quality.set(match seen.quality {
            QualityRating::Unknown => 0.0,
            QualityRating::Red => 1.0,
            QualityRating::Yellow => 2.0,
            QualityRating::Green => 3.0,
        });
        let sends = matches!(seen.status, NumberStatus::Connected | NumberStatus::Flagged);
        self.sends.set(f64::from(u8::from(sends)));
        let limit = seen.messaging_limit.as_ref().and_then(|tier| recipients(tier.as_str()));
        self.limit.set(limit.unwrap_or(f64::NAN));
        let throughput = seen.throughput.as_ref().and_then(|level| per_second(level.as_str()));
        self.throughput.set(throughput.unwrap_or(f64::NAN));
    }

    fn forget(&self) {
        for gauge in [&self.quality, &self.sends, &self.limit, &self.throughput] {
            gauge.set(f64::NAN);
        }
    }
}

/// People whom a portfolio may write to first within 24 hours, by its messaging limit (`TIER_250`, `TIER_2K`, …,
/// `TIER_UNLIMITED`; Cloud API, "Messaging limits").
fn recipients(tier: &str) -> Option<f64> {
    let tier = tier.strip_prefix("TIER_")?;
    if tier == "UNLIMITED" {
        return Some(f64::INFINITY);
    }
    let (digits, factor) = tier.strip_suffix('K').map_or((tier, 1.0), |digits| (digits, 1_000.0));
    Some(f64::from(digits.parse::<u32>().ok()?) * factor)
}

/// Messages a second that a number may send, by its throughput level (Cloud API, "Throughput").
fn per_second(level: &str) -> Option<f64> {
    match level {
        "STANDARD" => Some(80.0),
        "HIGH" => Some(1_000.0),
        _ => None,
    }
}

/// What was seen of a number by the poller of a shard.
pub(crate) fn number_seen(shard: ShardId, seen: &NumberObserved) {
    let mut numbers = METERS.numbers.lock().unwrap_or_else(PoisonError::into_inner);
    numbers
        .entry((shard, seen.number.clone()))
        .or_insert_with(|| NumberGauges::of(&seen.number))
        .show(seen);
}

/// Takes off the page what the poller of a shard saw of numbers that it does not ask about any more: another process does,
/// or nobody.
pub(crate) fn forget_numbers(shard: ShardId, is_gone: impl Fn(&PhoneNumberId) -> bool) {
    let mut numbers = METERS.numbers.lock().unwrap_or_else(PoisonError::into_inner);
    let gone = numbers.extract_if(|(of, number), _| *of == shard && is_gone(number));
    gone.for_each(|(_, gauges)| gauges.forget());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "whole numbers, read and not calculated")]
    fn limits_are_read_from_metas_words_and_a_new_word_says_nothing() {
        let tiers = ["TIER_50", "TIER_250", "TIER_2K", "TIER_100K", "TIER_UNLIMITED"];
        let known = tiers.map(|tier| recipients(tier).unwrap());
        assert_eq!(known, [50.0, 250.0, 2_000.0, 100_000.0, f64::INFINITY]);
        for tier in ["TIER_NOT_SET", "TIER_", "TIER_K", "2000", "TIER_-1"] {
            assert_eq!(recipients(tier), None, "{tier}");
        }
        assert_eq!(per_second("HIGH"), Some(1_000.0));
        assert_eq!(per_second("NOT_APPLICABLE"), None);
    }
}

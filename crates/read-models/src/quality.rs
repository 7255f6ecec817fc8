//! How good our numbers are: Meta's colour, which comes only by polling, with its history, and our own rates beside it.
//!
//! The rates are over messages that Meta took, by the day it did: of those, how many were sent, delivered, read, failed.
//! Opt-outs are counted **per tenant**, not per number: which message made somebody leave is not known.

use std::collections::{BTreeMap, HashMap};

use assent_domain::{
    delivery::{Delivery, DeliveryState},
    events::NumberObserved,
    values::{PhoneNumberId, TenantId, Timestamp},
};
use assent_event_store::{EventStore, ShardId};
use uuid::Uuid;

use crate::{
    batch::day,
    db::{Db, Row, Value},
    error::QueryError,
    funnel::was_taken,
    page::{self, Page, Paged, Place},
    row::MessageRow,
    schema::{NUMBER_CHANGES, QUALITY_DAYS, qualified},
};

/// Which list a page token belongs to.
const LIST: u8 = b'q';

/// What a count stands under; an empty number means the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) tenant: String,
    pub(crate) number: String,
    pub(crate) day: i64,
}

/// The day Meta took the message, as far as is known: the earliest sign of it.
fn day_taken(facts: &Delivery) -> Option<i64> {
    let signs = [
        facts.accepted_at,
        facts.held_at,
        facts.sent_at,
        facts.delivered_at,
        facts.read_at,
        facts.played_at,
        facts.failed.map(|(at, _)| at),
    ];
    signs.into_iter().flatten().min().map(day)
}

fn steps_of(row: &MessageRow) -> Vec<&'static str> {
    let facts = &row.progress.delivery;
    let state = row.state();
    let steps = [
        ("taken", was_taken(facts)),
        ("sent", facts.sent_at.is_some() || state.is_delivered()),
        ("delivered", state.is_delivered()),
        ("read", facts.read_at.is_some() || facts.played_at.is_some()),
        ("failed", state == DeliveryState::Failed),
    ];
    steps
        .into_iter()
        .filter_map(|(step, is_reached)| is_reached.then_some(step))
        .collect()
}

/// Differences to the counts.
#[derive(Debug, Default)]
pub(crate) struct Counts(HashMap<Key, HashMap<&'static str, i64>>);

impl Counts {
    /// A message was `before` and is `after`.
    pub(crate) fn add_change(&mut self, before: Option<&MessageRow>, after: &MessageRow) {
        if let Some(before) = before {
            self.add(before, -1);
        }
        self.add(after, 1);
    }

    fn add(&mut self, row: &MessageRow, by: i64) {
        let Some(day) = day_taken(&row.progress.delivery) else {
            return;
        };
        let key = Key {
            tenant: row.request.tenant.clone(),
            number: row.request.sender.clone(),
            day,
        };
        let counts = self.0.entry(key).or_default();
        for step in steps_of(row) {
            *counts.entry(step).or_default() += by;
        }
    }

    /// Somebody withdrew on that day.
    pub(crate) fn add_opt_out(&mut self, tenant: String, day: i64) {
        let number = String::new();
        let counts = self.0.entry(Key { tenant, number, day }).or_default();
        *counts.entry("opted_out").or_default() += 1;
    }

    /// Those that are not zero, in a stable order.
    pub(crate) fn into_rows(self) -> Vec<(Key, &'static str, i64)> {
        let mut rows: Vec<(Key, &'static str, i64)> = Vec::new();
        for (key, steps) in self.0 {
            let changed = steps.into_iter().filter(|(_, count)| *count != 0);
            rows.extend(changed.map(|(step, count)| (key.clone(), step, count)));
        }
        rows.sort_unstable();
        rows
    }
}

/// A look at a number that found something changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberChange {
    /// What was found: the whole picture.
    pub observed: NumberObserved,
    /// Which look it was, from 1: the version of the event in the number's stream.
    pub version: u32,
    /// The event's position.
    pub position: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

/// What became of the messages that Meta took in some days. Shares are the reader's to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnCounts {
    /// Taken by Meta.
    pub taken: u64,
    /// Of those, left Meta's servers.
    pub sent: u64,
    /// Of those, reached a device.
    pub delivered: u64,
    /// Of those, displayed.
    pub read: u64,
    /// Of those, reported as failed.
    pub failed: u64,
    /// People of the tenant who withdrew in these days, however they said so. The same for all numbers of the tenant.
    pub tenant_opt_outs: u64,
}

impl OwnCounts {
    /// A share of the messages that Meta took, from 0 to 1; 0 when it took none.
    pub fn share(&self, count: u64) -> f64 {
        if self.taken == 0 {
            0.0
        } else {
            count as f64 / self.taken as f64
        }
    }
}

/// The days of a window that ends with the day of `now`, counted from 1970-01-01 by UTC.
pub fn window(now: Timestamp, days: u32) -> std::ops::RangeInclusive<i64> {
    let last = day(now);
    last - i64::from(days.max(1)) + 1..=last
}

fn read_change(row: &Row) -> Result<NumberChange, QueryError> {
    let observed = serde_json::from_str(row.text(0)?).map_err(|_| QueryError::Unreadable {
        table: NUMBER_CHANGES.name,
    })?;
    Ok(NumberChange {
        observed,
        version: row.int(1)? as u32,
        position: row.int(2)? as u64,
        recorded_at: Timestamp::from_micros(row.int(3)?),
    })
}

const CHANGE: &str = "observed, version, position, recorded_at";

/// What is known of each of a tenant's numbers now, in the order of their ids.
pub async fn numbers(store: &EventStore, shard: ShardId, tenant: &TenantId) -> Result<Vec<NumberChange>, QueryError> {
    let db = Db::of(store);
    let table = qualified(db.dialect(), NUMBER_CHANGES.name);
    let sql = format!(
        "select {CHANGE} from {table} t where shard = $1 and tenant = $2 and version =
             (select max(version) from {table} n where n.shard = t.shard and n.tenant = t.tenant and n.number = t.number)
         order by number"
    );
    let values = [Value::Int(i64::from(shard.0)), Value::Text(tenant.as_str().to_owned())];
    db.fetch(&sql.into(), &values).await?.iter().map(read_change).collect()
}

/// How a number went, the newest look first, within `from..until`.
pub async fn history(
    store: &EventStore,
    shard: ShardId,
    tenant: &TenantId,
    number: &PhoneNumberId,
    range: (Option<Timestamp>, Option<Timestamp>),
    page: &Page,
) -> Result<Paged<NumberChange>, QueryError> {
    let db = Db::of(store);
    let before = page.after(LIST)?.map_or(i64::MAX, |place| place.at);
    let (from, until) = range;
    let sql = format!(
        "select {CHANGE} from {} where shard = $1 and tenant = $2 and number = $3 and version < $4
             and recorded_at >= $5 and recorded_at < $6
         order by version desc limit {}",
        qualified(db.dialect(), NUMBER_CHANGES.name),
        i64::from(page.rows()) + 1
    );
    let values = [
        Value::Int(i64::from(shard.0)),
        Value::Text(tenant.as_str().to_owned()),
        Value::Text(number.as_str().to_owned()),
        Value::Int(before),
        Value::Int(from.map_or(i64::MIN, Timestamp::as_micros)),
        Value::Int(until.map_or(i64::MAX, Timestamp::as_micros)),
    ];
    let rows = db.fetch(&sql.into(), &values).await?;
    let changes: Vec<NumberChange> = rows.iter().map(read_change).collect::<Result<_, _>>()?;
    Ok(page::cut(changes, page.rows(), LIST, |change| Place {
        at: i64::from(change.version),
        id: Uuid::nil(),
        word: String::new(),
    }))
}

/// What became of the messages that Meta took from each of a tenant's numbers on the given days (see [`window`]). Numbers
/// that nothing was sent from are not in the answer.
pub async fn own_counts(
    store: &EventStore,
    shard: ShardId,
    tenant: &TenantId,
    days: std::ops::RangeInclusive<i64>,
) -> Result<BTreeMap<PhoneNumberId, OwnCounts>, QueryError> {
    let db = Db::of(store);
    let sql = format!(
        "select number, step, cast(sum(messages) as bigint) from {}
         where shard = $1 and tenant = $2 and day >= $3 and day <= $4 group by number, step having sum(messages) <> 0",
        qualified(db.dialect(), QUALITY_DAYS.name)
    );
    let values = [
        Value::Int(i64::from(shard.0)),
        Value::Text(tenant.as_str().to_owned()),
        Value::Int(*days.start()),
        Value::Int(*days.end()),
    ];
    let mut counts: BTreeMap<PhoneNumberId, OwnCounts> = BTreeMap::new();
    let mut tenant_opt_outs = 0;
    for row in db.fetch(&sql.into(), &values).await? {
        let (number, step, count) = (row.text(0)?, row.text(1)?, row.int(2)? as u64);
        let Ok(number) = PhoneNumberId::try_new(number) else {
            tenant_opt_outs += count;
            continue;
        };
        let own = counts.entry(number).or_default();
        match step {
            "taken" => own.taken = count,
            "sent" => own.sent = count,
            "delivered" => own.delivered = count,
            "read" => own.read = count,
            "failed" => own.failed = count,
            _ => {} // a step of a newer program
        }
    }
    for own in counts.values_mut() {
        own.tenant_opt_outs = tenant_opt_outs;
    }
    Ok(counts)
}

//! How many messages got how far.
//!
//! Each message is counted once at each step that it has reached, under what it was: its hour, number, template, campaign and
//! category. The counts are sums over messages of a function of the message, so neither the order of callbacks nor their
//! number changes them.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use assent_domain::{
    delivery::{Delivery, DeliveryState},
    values::{Category, PhoneNumberId, TemplateName, TenantId, Term, Timestamp},
};
use assent_event_store::{EventStore, ShardId};

use crate::{
    db::{Db, Value},
    error::QueryError,
    row::MessageRow,
    schema::{FUNNEL, qualified},
};

const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// What a count stands under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) tenant: String,
    pub(crate) hour: i64,
    pub(crate) sender: String,
    pub(crate) template: String,
    pub(crate) campaign: String,
    pub(crate) category: &'static str,
}

impl Key {
    fn of(row: &MessageRow) -> Self {
        let request = &row.request;
        Self {
            tenant: request.tenant.clone(),
            hour: request.accepted_at.as_micros().div_euclid(MICROS_PER_HOUR),
            sender: request.sender.clone(),
            template: request.template.clone().unwrap_or_default(),
            campaign: request.campaign.clone().unwrap_or_default(),
            category: row.category().map_or("", Category::as_str),
        }
    }
}

/// The steps that a message has reached. Whoever read it also received it, whatever was reported.
fn steps_of(row: &MessageRow) -> Vec<String> {
    let facts = &row.progress.delivery;
    let state = row.state();
    let mut steps = Vec::with_capacity(10);
    let mut reached = |step: &str, is_reached: bool| {
        if is_reached {
            steps.push(step.to_owned());
        }
    };
    reached("requested", true);
    reached("authorized", facts.authorized_at.is_some());
    reached("refused", facts.refused_at.is_some());
    reached("expired", facts.expired_at.is_some());
    reached("cancelled", facts.cancelled_at.is_some());
    reached("started", facts.started_at.is_some());
    reached("accepted", was_taken(facts));
    reached("sent", facts.sent_at.is_some() || state.is_delivered());
    reached("delivered", state.is_delivered());
    reached("read", facts.read_at.is_some() || facts.played_at.is_some());
    reached("rejected", state == DeliveryState::Rejected);
    reached("failed", state == DeliveryState::Failed);
    reached("outcome_unknown", state == DeliveryState::OutcomeUnknown);
    reached("given_up", state == DeliveryState::GivenUp);
    steps.extend(row.progress.refusals().map(|reason| format!("refused:{reason}")));
    steps.extend(
        row.progress
            .cancelled
            .map(|(_, reason)| format!("cancelled:{}", reason.as_str())),
    );
    if matches!(state, DeliveryState::Rejected | DeliveryState::Failed)
        && let Some(code) = row.progress.error_code()
    {
        steps.push(format!("{}:{code}", state.as_str()));
    }
    steps
}

/// Whether anything shows that Meta took the message.
pub(crate) fn was_taken(facts: &Delivery) -> bool {
    let moments = [
        facts.accepted_at,
        facts.held_at,
        facts.sent_at,
        facts.delivered_at,
        facts.read_at,
        facts.played_at,
    ];
    moments.iter().any(Option::is_some) || facts.failed.is_some()
}

/// Differences to the counts.
#[derive(Debug, Default)]
pub(crate) struct Counts(HashMap<Key, HashMap<String, i64>>);

impl Counts {
    /// A message was `before` and is `after`.
    pub(crate) fn add_change(&mut self, before: Option<&MessageRow>, after: &MessageRow) {
        if let Some(before) = before {
            self.add(before, -1);
        }
        self.add(after, 1);
    }

    fn add(&mut self, row: &MessageRow, by: i64) {
        let counts = self.0.entry(Key::of(row)).or_default();
        for step in steps_of(row) {
            *counts.entry(step).or_default() += by;
        }
    }

    /// Those that are not zero, in a stable order.
    pub(crate) fn into_rows(self) -> Vec<(Key, String, i64)> {
        let mut rows: Vec<(Key, String, i64)> = Vec::new();
        for (key, steps) in self.0 {
            let changed = steps.into_iter().filter(|(_, count)| *count != 0);
            rows.extend(changed.map(|(step, count)| (key.clone(), step, count)));
        }
        rows.sort_unstable();
        rows
    }
}

/// Which messages to count; everything that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Asked for at or after this moment, rounded down to the hour.
    pub accepted_from: Option<Timestamp>,
    /// Asked for before this moment, rounded up to the hour.
    pub accepted_until: Option<Timestamp>,
    /// From this number.
    pub sender: Option<PhoneNumberId>,
    /// With this template.
    pub template: Option<TemplateName>,
    /// Of this campaign.
    pub campaign: Option<Term>,
    /// Judged by, or declared as, this category.
    pub category: Option<Category>,
}

/// By what to tell counts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Template name; empty for free-form text.
    Template,
    /// Campaign; empty for none.
    Campaign,
    /// Category by name; empty while it is not known.
    Category,
    /// Number.
    Sender,
    /// Day of the request by UTC, as days since 1970-01-01.
    Day,
}

/// How many messages got how far. Whoever reached a step is counted at those before it that it must have passed, too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Funnel {
    /// Asked for.
    pub requested: u64,
    /// Let out.
    pub authorized: u64,
    /// Held back.
    pub refused: u64,
    /// Held back for each reason, by its stable name; one message may have several.
    pub refused_by_reason: BTreeMap<String, u64>,
    /// Too old before anybody decided.
    pub expired: u64,
    /// Stopped before they left.
    pub cancelled: u64,
    /// The same for each reason, by its stable name.
    pub cancelled_by_reason: BTreeMap<String, u64>,
    /// Tried at least once.
    pub started: u64,
    /// Taken by Meta.
    pub accepted: u64,
    /// Refused by Meta for good.
    pub rejected: u64,
    /// The same by Meta's code.
    pub rejected_by_code: BTreeMap<i64, u64>,
    /// Nobody knows now whether Meta has them.
    pub outcome_unknown: u64,
    /// Not tried any more.
    pub given_up: u64,
    /// Left Meta's servers.
    pub sent: u64,
    /// Reached a device.
    pub delivered: u64,
    /// Displayed.
    pub read: u64,
    /// Will not arrive, says Meta.
    pub failed: u64,
    /// The same by Meta's code.
    pub failed_by_code: BTreeMap<i64, u64>,
}

impl Funnel {
    fn add(&mut self, step: &str, count: u64) {
        let (step, detail) = step.split_once(':').unwrap_or((step, ""));
        let code = || detail.parse().unwrap_or_default();
        let count_of = match (step, detail.is_empty()) {
            ("requested", _) => &mut self.requested,
            ("authorized", _) => &mut self.authorized,
            ("refused", true) => &mut self.refused,
            ("refused", false) => self.refused_by_reason.entry(detail.to_owned()).or_default(),
            ("expired", _) => &mut self.expired,
            ("cancelled", true) => &mut self.cancelled,
            ("cancelled", false) => self.cancelled_by_reason.entry(detail.to_owned()).or_default(),
            ("started", _) => &mut self.started,
            ("accepted", _) => &mut self.accepted,
            ("rejected", true) => &mut self.rejected,
            ("rejected", false) => self.rejected_by_code.entry(code()).or_default(),
            ("outcome_unknown", _) => &mut self.outcome_unknown,
            ("given_up", _) => &mut self.given_up,
            ("sent", _) => &mut self.sent,
            ("delivered", _) => &mut self.delivered,
            ("read", _) => &mut self.read,
            ("failed", true) => &mut self.failed,
            ("failed", false) => self.failed_by_code.entry(code()).or_default(),
            _ => return, // a step of a newer program
        };
        *count_of += count;
    }
}

/// How many of a tenant's messages got how far.
pub async fn of(store: &EventStore, shard: ShardId, tenant: &TenantId, filter: &Filter) -> Result<Funnel, QueryError> {
    let groups = count(store, shard, tenant, filter, "''").await?;
    Ok(groups.into_values().next().unwrap_or_default())
}

/// The same, told apart.
pub async fn by(
    store: &EventStore,
    shard: ShardId,
    tenant: &TenantId,
    filter: &Filter,
    group: Group,
) -> Result<BTreeMap<String, Funnel>, QueryError> {
    let column = match group {
        Group::Template => "template",
        Group::Campaign => "campaign",
        Group::Category => "category",
        Group::Sender => "sender",
        Group::Day => "cast(hour / 24 as text)", // no hour lies before the epoch
    };
    count(store, shard, tenant, filter, column).await
}

async fn count(
    store: &EventStore,
    shard: ShardId,
    tenant: &TenantId,
    filter: &Filter,
    group: &str,
) -> Result<BTreeMap<String, Funnel>, QueryError> {
    let db = Db::of(store);
    let from = filter
        .accepted_from
        .map_or(i64::MIN, |at| at.as_micros().div_euclid(MICROS_PER_HOUR));
    let until = filter.accepted_until.map_or(i64::MAX, |at| {
        at.as_micros()
            .saturating_add(MICROS_PER_HOUR - 1)
            .div_euclid(MICROS_PER_HOUR)
    });
    let mut values = vec![
        Value::Int(i64::from(shard.0)),
        Value::Text(tenant.as_str().to_owned()),
        Value::Int(from),
        Value::Int(until),
    ];
    let mut sql = format!(
        "select {group}, step, cast(sum(messages) as bigint) from {} where shard = $1 and tenant = $2 and hour >= $3 and hour < $4",
        qualified(db.dialect(), FUNNEL.name)
    );
    let conditions = [
        ("sender", filter.sender.as_ref().map(PhoneNumberId::as_str)),
        ("template", filter.template.as_ref().map(TemplateName::as_str)),
        ("campaign", filter.campaign.as_ref().map(Term::as_str)),
        ("category", filter.category.map(Category::as_str)),
    ];
    for (column, wanted) in conditions {
        if let Some(wanted) = wanted {
            values.push(Value::Text(wanted.to_owned()));
            write!(sql, " and {column} = ${}", values.len()).expect("memory");
        }
    }
    sql.push_str(" group by 1, 2 having sum(messages) <> 0");
    let mut groups: BTreeMap<String, Funnel> = BTreeMap::new();
    for row in db.fetch(&sql.into(), &values).await? {
        let funnel = groups.entry(row.text(0)?.to_owned()).or_default();
        funnel.add(row.text(1)?, row.int(2)? as u64);
    }
    Ok(groups)
}

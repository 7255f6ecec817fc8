//! People not written to, each with why and with what speaks for it.
//!
//! A contact's rows are made anew from all that the log says of the contact whenever something about it changes: that is
//! rare, and the rules of consent and suppression stay where they are, in the domain. Look-ups by address go through the
//! contact id, as everywhere; a contact that was merged into another has no rows, the other one has them.

use std::{fmt, fmt::Write as _, str::FromStr};

use assent_domain::{
    Decider as _,
    contact::{ContactDecider, Standing},
    events::{ContactEvent, LiftReason, SuppressionEvent},
    values::{Category, CategorySet, ContactId, MessageId, TenantId, Timestamp},
};
use assent_event_store::{EventStore, RecordedEvent, ShardId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    batch::micros,
    db::{Db, Dialect, Row, Value},
    decode::{contact_event, suppression_event},
    error::QueryError,
    limits,
    page::{self, Page, Paged, Place},
    schema::{BLOCKED, qualified},
};

/// Which list a page token belongs to.
const LIST: u8 = b'b';

/// Why somebody is not written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Meta says that they cannot be reached.
    Undeliverable,
    /// Silence suggests that they blocked us. An inference.
    SuspectedBlocked,
    /// They withdrew from this category.
    OptedOut(Category),
    /// They stopped our marketing within WhatsApp.
    PlatformStopped,
}

const OPTED_OUT: &str = "opted_out:";

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undeliverable => f.write_str("undeliverable"),
            Self::SuspectedBlocked => f.write_str("suspected_blocked"),
            Self::OptedOut(category) => write!(f, "{OPTED_OUT}{category}"),
            Self::PlatformStopped => f.write_str("platform_stopped"),
        }
    }
}

/// Text that is not a reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the reasons are undeliverable, suspected_blocked, platform_stopped and opted_out: with a category")]
pub struct UnknownReason;

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.strip_prefix(OPTED_OUT)) {
            ("undeliverable", _) => Ok(Self::Undeliverable),
            ("suspected_blocked", _) => Ok(Self::SuspectedBlocked),
            ("platform_stopped", _) => Ok(Self::PlatformStopped),
            (_, Some(category)) => category.parse().map(Self::OptedOut).map_err(|_| UnknownReason),
            (_, None) => Err(UnknownReason),
        }
    }
}

/// Something that speaks for a reason, or against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What it says.
    pub said: Said,
    /// The event's position in the shard.
    pub position: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

/// What a piece of evidence says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The event's wire name, such as `suppression.undeliverable`.
    pub event: String,
    /// Its version in its stream.
    pub version: u32,
    /// When it happened.
    pub at: Timestamp,
    /// The message it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// Meta's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// Where a withdrawal or an opt-in came from, or why a suppression was lifted, as a stable word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How many messages in a row were sent and not delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_without_delivery: Option<u32>,
    /// When the first of those was sent, the last, and when a message was last delivered before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moments: Vec<Timestamp>,
}

/// Where in the log a piece of evidence stands.
#[derive(Serialize, Deserialize)]
struct InLog(u64, Timestamp);

/// Why one person is not, or was not, written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The person.
    pub contact: ContactId,
    /// Whose contact it is.
    pub tenant: TenantId,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: Timestamp,
    /// When it ended; `None` while it holds.
    pub ended_at: Option<Timestamp>,
    /// Meta's newest code, for those who cannot be reached.
    pub code: Option<i64>,
    /// What speaks for it and against it, the newest first; at most [`limits::EVIDENCE_MAX`].
    pub evidence: Vec<Evidence>,
}

/// A row to be written.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) contact: Uuid,
    pub(crate) tenant: String,
    pub(crate) reason: Reason,
    pub(crate) since: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) code: Option<i64>,
    evidence: Vec<Evidence>,
}

impl Finding {
    /// What the evidence says, and apart from it where it stands: positions are not part of what is said.
    pub(crate) fn evidence_as_json(&self) -> (String, String) {
        let said: Vec<&Said> = self.evidence.iter().map(|evidence| &evidence.said).collect();
        let places: Vec<InLog> = self
            .evidence
            .iter()
            .map(|evidence| InLog(evidence.position, evidence.recorded_at))
            .collect();
        let json = "text and numbers always serialize";
        (
            serde_json::to_string(&said).expect(json),
            serde_json::to_string(&places).expect(json),
        )
    }
}

/// Everything known of one contact, in the order of the log.
struct History<'a> {
    contact: Uuid,
    tenant: String,
    consent: Vec<(&'a RecordedEvent, ContactEvent)>,
    suppression: Vec<(&'a RecordedEvent, SuppressionEvent)>,
}

fn evidence(recorded: &RecordedEvent, at: Timestamp) -> Evidence {
    Evidence {
        said: Said {
            event: recorded.kind.as_str().to_owned(),
            version: recorded.version,
            at,
            message: None,
            code: None,
            source: None,
            sent_without_delivery: None,
            moments: Vec::new(),
        },
        position: recorded.position,
        recorded_at: Timestamp::from_micros(micros(recorded.recorded_at)),
    }
}

/// What is to be said of a contact, given all events about it.
pub(crate) fn findings(contact: Uuid, events: &[RecordedEvent]) -> Vec<Finding> {
    let tenant = events.iter().find_map(|event| event.meta().tenant);
    let history = History {
        contact,
        tenant: tenant.unwrap_or_default(),
        consent: events
            .iter()
            .filter_map(|event| Some((event, contact_event(event)?)))
            .collect(),
        suppression: events
            .iter()
            .filter_map(|event| Some((event, suppression_event(event)?)))
            .collect(),
    };
    history.findings()
}

impl History<'_> {
    fn findings(&self) -> Vec<Finding> {
        let events: Vec<ContactEvent> = self.consent.iter().map(|(_, event)| event.clone()).collect();
        let contact = ContactDecider::fold(&events);
        if contact.merged_into().is_some() {
            return Vec::new();
        }
        let mut findings: Vec<Finding> = Category::ALL
            .into_iter()
            .filter_map(|category| self.opted_out(category, contact.standing(category)))
            .collect();
        findings.extend(self.platform_stopped(contact.platform_stopped()));
        findings.extend(self.undeliverable());
        findings.extend(self.suspected_blocked());
        findings
    }

    fn finding(
        &self,
        reason: Reason,
        since: Timestamp,
        ended_at: Option<Timestamp>,
        evidence: Vec<Evidence>,
    ) -> Finding {
        let mut evidence = evidence;
        evidence.reverse();
        evidence.truncate(limits::EVIDENCE_MAX);
        Finding {
            contact: self.contact,
            tenant: self.tenant.clone(),
            reason,
            since,
            ended_at,
            code: None,
            evidence,
        }
    }

    fn opted_out(&self, category: Category, standing: Standing) -> Option<Finding> {
        let mut evidence_found = Vec::new();
        let mut first_withdrawal = None;
        for (recorded, event) in &self.consent {
            let concerns = |categories: &CategorySet| categories.contains(category);
            let (at, source, is_withdrawal) = match event {
                ContactEvent::OptedOut(event) if concerns(&event.categories) => {
                    (event.given_at, Some(event.source.as_str()), true)
                }
                ContactEvent::OptedIn(event) if concerns(&event.categories) => {
                    (event.given_at, Some(event.source.as_str()), false)
                }
                ContactEvent::Merged(event) => {
                    let brought = event
                        .snapshot
                        .consent
                        .get(&category)
                        .and_then(|ledger| ledger.withdrawn);
                    let Some(withdrawal) = brought else { continue };
                    (withdrawal.given_at, Some(withdrawal.source.as_str()), true)
                }
                ContactEvent::Erased(event) => (event.recorded_at, None, true),
                ContactEvent::OptedOut(_)
                | ContactEvent::OptedIn(_)
                | ContactEvent::PlatformStopped(_)
                | ContactEvent::PlatformResumed(_)
                | ContactEvent::AliasBound(_)
                | ContactEvent::MergedInto(_) => continue,
            };
            if is_withdrawal {
                first_withdrawal.get_or_insert(at);
            } else if first_withdrawal.is_none() {
                continue; // what was agreed to before anything was withdrawn is no evidence
            }
            let mut found = evidence(recorded, at);
            found.said.source = source.map(str::to_owned);
            evidence_found.push(found);
        }
        let (since, ended_at) = match standing {
            Standing::Withdrawn(withdrawal) => (withdrawal.given_at, None),
            Standing::Granted(grant) => (first_withdrawal?, Some(grant.given_at)),
            Standing::Never => return None,
        };
        Some(self.finding(Reason::OptedOut(category), since, ended_at, evidence_found))
    }

    fn platform_stopped(&self, stopped: Option<Timestamp>) -> Option<Finding> {
        let mut found = Vec::new();
        let (mut first_stop, mut resumed_at) = (None, None);
        for (recorded, event) in &self.consent {
            match event {
                ContactEvent::PlatformStopped(event) => {
                    first_stop = first_stop.or(Some(event.given_at));
                    found.push(evidence(recorded, event.given_at));
                }
                ContactEvent::PlatformResumed(event) if first_stop.is_some() => {
                    resumed_at = resumed_at.max(Some(event.given_at));
                    found.push(evidence(recorded, event.given_at));
                }
                ContactEvent::Merged(event) => {
                    if let Some(at) = event.snapshot.platform.stopped() {
                        first_stop = first_stop.or(Some(at));
                        found.push(evidence(recorded, at));
                    }
                }
                ContactEvent::PlatformResumed(_)
                | ContactEvent::OptedOut(_)
                | ContactEvent::OptedIn(_)
                | ContactEvent::Erased(_)
                | ContactEvent::AliasBound(_)
                | ContactEvent::MergedInto(_) => {}
            }
        }
        let (since, ended_at) = match (stopped, first_stop) {
            (Some(since), _) => (since, None),
            (None, Some(first)) => (first, Some(resumed_at.unwrap_or(first))),
            (None, None) => return None,
        };
        Some(self.finding(Reason::PlatformStopped, since, ended_at, found))
    }

    /// The latest sign that the person can be reached, and whether something said at `since` still holds.
    fn lifted_at(&self) -> Option<Timestamp> {
        let lifted = self.suppression.iter().filter_map(|(_, event)| match event {
            SuppressionEvent::Lifted(event) => Some(event.lifted_at),
            SuppressionEvent::Undeliverable(_) | SuppressionEvent::SuspectedBlocked(_) => None,
        });
        lifted.max()
    }

    /// Since when and until when something holds that was said at these moments.
    fn span(&self, said: &[Timestamp]) -> Option<(Timestamp, Option<Timestamp>)> {
        let lifted = self.lifted_at();
        let after = said.iter().filter(|at| lifted.is_none_or(|lifted| lifted < **at)).min();
        match after {
            Some(since) => Some((*since, None)),
            None => said.iter().min().map(|since| (*since, lifted)),
        }
    }

    fn undeliverable(&self) -> Option<Finding> {
        let (mut found, mut said, mut newest) = (Vec::new(), Vec::new(), None);
        for (recorded, event) in &self.suppression {
            match event {
                SuppressionEvent::Undeliverable(event) => {
                    newest = newest.max(Some((event.failed_at, event.code)));
                    said.push(event.failed_at);
                    let mut piece = evidence(recorded, event.failed_at);
                    piece.said.message = event.message;
                    piece.said.code = Some(event.code);
                    found.push(piece);
                }
                SuppressionEvent::Lifted(event) if !said.is_empty() => {
                    found.push(lifted(recorded, event.lifted_at, event.reason));
                }
                SuppressionEvent::Lifted(_) | SuppressionEvent::SuspectedBlocked(_) => {}
            }
        }
        let (since, ended_at) = self.span(&said)?;
        let mut finding = self.finding(Reason::Undeliverable, since, ended_at, found);
        finding.code = newest.map(|(_, code)| code);
        Some(finding)
    }

    fn suspected_blocked(&self) -> Option<Finding> {
        let (mut found, mut said) = (Vec::new(), Vec::new());
        for (recorded, event) in &self.suppression {
            match event {
                SuppressionEvent::SuspectedBlocked(event) => {
                    said.push(event.concluded_at);
                    let mut piece = evidence(recorded, event.concluded_at);
                    piece.said.sent_without_delivery = Some(event.sent_without_delivery);
                    let moments = [
                        Some(event.first_sent_at),
                        Some(event.last_sent_at),
                        event.last_delivered_at,
                    ];
                    piece.said.moments = moments.into_iter().flatten().collect();
                    found.push(piece);
                }
                SuppressionEvent::Lifted(event) if !said.is_empty() => {
                    found.push(lifted(recorded, event.lifted_at, event.reason));
                }
                SuppressionEvent::Lifted(_) | SuppressionEvent::Undeliverable(_) => {}
            }
        }
        let (since, ended_at) = self.span(&said)?;
        Some(self.finding(Reason::SuspectedBlocked, since, ended_at, found))
    }
}

fn lifted(recorded: &RecordedEvent, at: Timestamp, reason: LiftReason) -> Evidence {
    let mut piece = evidence(recorded, at);
    let word = serde_json::to_value(reason).ok();
    piece.said.source = word.and_then(|word| word.as_str().map(str::to_owned));
    piece
}

const COLUMNS: &str = "contact, tenant, reason, since, ended_at, code, evidence, places";

fn read(row: &Row) -> Result<Blocked, QueryError> {
    let unreadable = || QueryError::Unreadable { table: BLOCKED.name };
    let said: Vec<Said> = serde_json::from_str(row.text(6)?).map_err(|_| unreadable())?;
    let places: Vec<InLog> = serde_json::from_str(row.text(7)?).map_err(|_| unreadable())?;
    let evidence = said
        .into_iter()
        .zip(places)
        .map(|(said, InLog(position, recorded_at))| Evidence {
            said,
            position,
            recorded_at,
        });
    Ok(Blocked {
        contact: ContactId::new(row.uuid(0)?),
        tenant: TenantId::try_new(row.text(1)?).map_err(|_| unreadable())?,
        reason: row.text(2)?.parse().map_err(|_| unreadable())?,
        since: Timestamp::from_micros(row.int(3)?),
        ended_at: row.maybe_int(4)?.map(Timestamp::from_micros),
        code: row.maybe_int(5)?,
        evidence: evidence.collect(),
    })
}

/// Which rows are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only for these reasons; empty means any.
    pub reasons: Vec<Reason>,
    /// Whether to show also what has ended.
    pub include_ended: bool,
}

/// A tenant's people who are not written to, the newest reason first.
pub async fn list(
    store: &EventStore,
    shard: ShardId,
    tenant: &TenantId,
    filter: &Filter,
    page: &Page,
) -> Result<Paged<Blocked>, QueryError> {
    let db = Db::of(store);
    let mut values = vec![Value::Int(i64::from(shard.0)), Value::Text(tenant.as_str().to_owned())];
    let table = qualified(db.dialect(), BLOCKED.name);
    let mut sql = format!("select {COLUMNS} from {table} where shard = $1 and tenant = $2");
    if !filter.include_ended {
        sql.push_str(" and active = 1");
    }
    if !filter.reasons.is_empty() {
        values.push(Value::Texts(filter.reasons.iter().map(Reason::to_string).collect()));
        sql.push_str(match db.dialect() {
            Dialect::Postgres => " and reason = any($3)",
            Dialect::Sqlite => " and reason in (select value from json_each($3))",
        });
    }
    if let Some(Place { at, id, word }) = page.after(LIST)? {
        let first = values.len() + 1;
        values.extend([Value::Int(at), Value::Uuid(id), Value::Text(word)]);
        let (second, third) = (first + 1, first + 2);
        write!(sql, " and (since, contact, reason) < (${first}, ${second}, ${third})").expect("memory");
    }
    let limit = i64::from(page.rows()) + 1;
    write!(sql, " order by since desc, contact desc, reason desc limit {limit}").expect("memory");
    let rows = db.fetch(&sql.into(), &values).await?;
    let rows: Vec<Blocked> = rows.iter().map(read).collect::<Result<_, _>>()?;
    Ok(page::cut(rows, page.rows(), LIST, |row| Place {
        at: row.since.as_micros(),
        id: row.contact.uuid(),
        word: row.reason.to_string(),
    }))
}

/// Everything that speaks, or spoke, against writing to one person; what holds comes first.
pub async fn of(store: &EventStore, shard: ShardId, contact: ContactId) -> Result<Vec<Blocked>, QueryError> {
    let db = Db::of(store);
    let table = qualified(db.dialect(), BLOCKED.name);
    let sql = format!(
        "select {COLUMNS} from {table} where shard = $1 and contact = $2 order by active desc, since desc, reason"
    );
    let values = [Value::Int(i64::from(shard.0)), Value::Uuid(contact.uuid())];
    db.fetch(&sql.into(), &values).await?.iter().map(read).collect()
}

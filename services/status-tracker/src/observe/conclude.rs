//! From what was seen to what is recorded: read what is known, compare, append with the version that was compared with.

use super::{account, number, targets::Remembered, template};
use crate::{actor, metrics};
use assent_domain::{
    events::{
        AccountChanged, AccountEvent, DomainEvent, NumberEvent, NumberObserved, TemplateChanged, TemplateEvent,
        TemplateObserved, TemplateStatus,
    },
    values::{PhoneNumberId, TemplateRef, TenantId, Timestamp, WabaId},
};
use assent_event_store::{Append, AppendError, Expected, ReadError, RecordedEvent, ShardId};
use assent_runtime::{
    facts::{Facts, of_category},
    log::{self, Origin},
    platform::Platform,
    streams::Subject,
};
use assent_whatsapp::client::{NumberInfo, TemplateInfo};
use std::time::Duration;

/// Templates compared at a time, by one query and one flush.
const TEMPLATES_AT_A_TIME: usize = 200;

/// How often a conclusion is drawn again when somebody else recorded one first.
const CONFLICTS_MAX: usize = 5;

/// A conclusion this much younger than a poll's question may know more than the answer. Older differences are clocks.
const OVERTAKEN_MAX: Duration = Duration::from_mins(1);

/// Why a conclusion was not recorded. It is drawn again later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConcludeError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log cannot be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Others keep recording about the same thing.
    #[error("the stream changed {CONFLICTS_MAX} times while a conclusion was drawn")]
    Contended,
    /// A callback was concluded from after Meta was asked: the answer may be older than that.
    #[error("a callback came between question and answer")]
    Overtaken,
}

/// Records conclusions of one shard.
#[derive(Debug, Clone)]
pub(crate) struct Conclusions {
    pub(crate) platform: Platform,
    pub(crate) shard: ShardId,
}

/// The last conclusion of a category and the version of its stream.
fn last_of<E: DomainEvent>(events: &[RecordedEvent]) -> (Option<E>, u32) {
    let version = events.iter().rfind(|event| log::is_of(event, E::CATEGORY));
    let version = version.map_or(0, |event| event.version);
    (of_category::<E>(events).last().map(|(_, event)| event), version)
}

/// The moment of an observation: later than every one before it, or the gates would not take it.
fn observed_at(asked_at: Timestamp, known_at: Timestamp) -> Result<Timestamp, ConcludeError> {
    if asked_at > known_at {
        return Ok(asked_at);
    }
    if known_at.since(asked_at) < OVERTAKEN_MAX {
        return Err(ConcludeError::Overtaken);
    }
    Ok(known_at + Duration::from_micros(1))
}

fn by_ourselves(tenant: &TenantId) -> Origin {
    Origin {
        tenant: tenant.clone(),
        actor: actor(),
        causation: None,
        traceparent: None,
    }
}

impl Conclusions {
    /// Concludes about a number from what Meta answered to a question asked at `asked_at`.
    pub(crate) async fn number(
        &self,
        (tenant, number, waba): (&TenantId, &PhoneNumberId, &WabaId),
        info: &NumberInfo,
        asked_at: Timestamp,
    ) -> Result<NumberObserved, ConcludeError> {
        let subject = Subject::Number(number);
        for _ in 0..CONFLICTS_MAX {
            let facts = self.platform.facts(self.shard, |wanted| wanted.events(subject)).await?;
            let (known, version) = last_of::<NumberEvent>(facts.events(subject));
            let known = known.map(|NumberEvent::Observed(known)| known);
            let seen = number::seen(tenant, number, waba, info, asked_at);
            let seen = match &known {
                Some(known) if !number::is_news(&seen, known) => return Ok(seen),
                Some(known) => NumberObserved {
                    observed_at: observed_at(asked_at, known.observed_at)?,
                    ..seen
                },
                None => seen,
            };
            let event = NumberEvent::from(seen.clone());
            if self.append(subject, version, &event, &by_ourselves(tenant)).await? {
                return Ok(seen);
            }
        }
        Err(ConcludeError::Contended)
    }

    /// Concludes about all templates of an account from a complete listing asked for at `asked_at`. Gives what is now known
    /// to stand in the log.
    pub(crate) async fn templates(
        &self,
        (tenant, waba): (&TenantId, &WabaId),
        listed: &[TemplateInfo],
        mut remembered: Remembered,
        asked_at: Timestamp,
    ) -> Result<Remembered, ConcludeError> {
        let mut now_known = Remembered::with_capacity(listed.len());
        let mut to_compare = Vec::new();
        for info in listed {
            let Some(name) = template::name_of(info) else {
                metrics::skipped("template_name");
                continue;
            };
            let known = remembered.remove(&name);
            let seen = template::seen(tenant, waba, name.clone(), info, known.as_ref(), asked_at);
            let unchanged = known.filter(|known| {
                let as_known = TemplateObserved {
                    observed_from: known.observed_from,
                    observed_at: known.observed_at,
                    ..seen.clone()
                };
                as_known == *known
            });
            match unchanged {
                Some(known) => drop(now_known.insert(name, known)),
                None => to_compare.push((name, Some(info))),
            }
        }
        // What was listed before and is not any more was deleted.
        to_compare.extend(remembered.into_keys().map(|name| (name, None)));
        for some in to_compare.chunks(TEMPLATES_AT_A_TIME) {
            now_known.extend(self.compare((tenant, waba), some.to_vec(), asked_at).await?);
        }
        Ok(now_known)
    }

    /// Compares some templates, `None` for one that is gone, with what is known and records what is new.
    async fn compare(
        &self,
        (tenant, waba): (&TenantId, &WabaId),
        mut templates: Vec<(TemplateRef, Option<&TemplateInfo>)>,
        asked_at: Timestamp,
    ) -> Result<Remembered, ConcludeError> {
        let mut now_known = Remembered::new();
        for _ in 0..CONFLICTS_MAX {
            let facts = self.platform.facts(self.shard, |wanted| {
                for (name, _) in &templates {
                    wanted.template(waba, name);
                }
            });
            let facts = facts.await?;
            let mut appends = Vec::new();
            for (name, info) in &templates {
                let subject = Subject::Template(waba, name);
                let (known, version) = last_of::<TemplateEvent>(facts.events(subject));
                let known = known.map(|TemplateEvent::Observed(known)| known);
                let Some(next) = next_of((tenant, waba, name), *info, known.as_ref(), &facts, asked_at)? else {
                    now_known.extend(known.map(|known| (name.clone(), known)));
                    continue;
                };
                appends.push(async move {
                    let event = TemplateEvent::from(next.clone());
                    let written = self.append(subject, version, &event, &by_ourselves(tenant)).await?;
                    Ok::<_, AppendError>((name, *info, next, written))
                });
            }
            let mut conflicts = Vec::new();
            for outcome in futures::future::join_all(appends).await {
                let (name, info, next, written) = outcome?;
                if written {
                    now_known.insert(name.clone(), next);
                } else {
                    conflicts.push((name.clone(), info));
                }
            }
            if conflicts.is_empty() {
                // Deleted ones are not looked for again.
                now_known.retain(|_, known| known.status != TemplateStatus::Deleted);
                return Ok(now_known);
            }
            templates = conflicts;
        }
        Err(ConcludeError::Contended)
    }

    /// Concludes about a template at once from a callback about its state or category.
    pub(crate) async fn template_changed(
        &self,
        tenant: &TenantId,
        event: &TemplateChanged,
        recorded: &RecordedEvent,
    ) -> Result<(), ConcludeError> {
        let subject = Subject::Template(&event.waba, &event.template);
        for _ in 0..CONFLICTS_MAX {
            let facts = self.platform.facts(self.shard, |wanted| wanted.events(subject)).await?;
            let (known, version) = last_of::<TemplateEvent>(facts.events(subject));
            // A template that was never listed has no category we could conclude about; the next listing has it.
            let Some(TemplateEvent::Observed(known)) = known else {
                return Ok(());
            };
            let Some(next) = template::changed(&known, event) else {
                return Ok(());
            };
            let origin = Origin::following(tenant.clone(), actor(), recorded);
            if self
                .append(subject, version, &TemplateEvent::from(next), &origin)
                .await?
            {
                return Ok(());
            }
        }
        Err(ConcludeError::Contended)
    }

    /// Concludes about an account from a callback.
    pub(crate) async fn account_changed(
        &self,
        tenant: &TenantId,
        event: &AccountChanged,
        recorded: &RecordedEvent,
    ) -> Result<(), ConcludeError> {
        let subject = Subject::Account(&event.waba);
        for _ in 0..CONFLICTS_MAX {
            let facts = self.platform.facts(self.shard, |wanted| wanted.events(subject)).await?;
            let events = facts.events(subject);
            let Some(next) = account::changed(tenant, &event.waba, events, event) else {
                return Ok(());
            };
            let (_, version) = last_of::<AccountEvent>(events);
            let origin = Origin::following(tenant.clone(), actor(), recorded);
            if self
                .append(subject, version, &AccountEvent::from(next), &origin)
                .await?
            {
                return Ok(());
            }
        }
        Err(ConcludeError::Contended)
    }

    /// Appends to the stream of the event's category if it is still at `version`; false if it is not.
    async fn append<E: DomainEvent>(
        &self,
        subject: Subject<'_>,
        version: u32,
        event: &E,
        origin: &Origin,
    ) -> Result<bool, AppendError> {
        let stream = self.platform.stream_of(E::CATEGORY, subject);
        let append = Append::new().write(stream, Expected::Exact(version), [log::record(event, origin)]);
        match self.platform.store.append(self.shard, append).await {
            Ok(_) => {
                metrics::concluded(event.wire_name());
                Ok(true)
            }
            Err(AppendError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The conclusion to record about a listed template, or one that is gone; `None` if nothing is new.
fn next_of(
    (tenant, waba, name): (&TenantId, &WabaId, &TemplateRef),
    info: Option<&TemplateInfo>,
    known: Option<&TemplateObserved>,
    facts: &Facts<'_>,
    asked_at: Timestamp,
) -> Result<Option<TemplateObserved>, ConcludeError> {
    let next = match (info, known) {
        (Some(info), _) => template::seen(tenant, waba, name.clone(), info, known, asked_at),
        (None, Some(known)) => template::gone(known, asked_at),
        (None, None) => return Ok(None),
    };
    let Some((known, judged)) = known.zip(facts.template(waba, name)) else {
        return Ok(Some(next));
    };
    if !template::is_news(&next, known, &judged) {
        return Ok(None);
    }
    Ok(Some(TemplateObserved {
        observed_at: observed_at(asked_at, known.observed_at)?,
        ..next
    }))
}

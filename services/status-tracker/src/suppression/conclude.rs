//! From facts about people to the suppression streams: one query for a slice, all appends at once.

use crate::{actor, metrics};
use assent_domain::{
    Decider as _,
    events::{DomainEvent as _, StreamCategory, SuppressionEvent},
    suppression::{Suppression, SuppressionCommand, SuppressionDecider},
    values::{Actor, ContactId, TenantId},
};
use assent_event_store::{Append, AppendError, Expected, ReadError, RecordedEvent, ShardId};
use assent_runtime::{
    facts::Facts,
    log::{self, Origin},
    platform::Platform,
    streams::Subject,
};
use std::collections::HashMap;

/// How often a decision is made again when somebody else appended first.
const CONFLICTS_MAX: usize = 5;

/// Why a conclusion was not recorded. It is drawn again later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SuppressError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log cannot be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Others keep deciding about the same contact.
    #[error("the stream changed {CONFLICTS_MAX} times while a decision was made")]
    Contended,
}

/// A command about a contact, with what it follows from.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) contact: ContactId,
    pub(crate) tenant: TenantId,
    pub(crate) command: SuppressionCommand,
    pub(crate) cause: Option<RecordedEvent>,
    pub(crate) actor: Actor,
}

impl Wish {
    /// What the status-tracker concludes by itself.
    pub(crate) fn ours(
        contact: ContactId,
        tenant: TenantId,
        command: SuppressionCommand,
        cause: Option<RecordedEvent>,
    ) -> Self {
        Self {
            contact,
            tenant,
            command,
            cause,
            actor: actor(),
        }
    }
}

/// A contact as it stands after its wishes were obeyed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settled {
    /// The contact that goes on for the one named.
    pub(crate) survivor: ContactId,
    pub(crate) state: Suppression,
    pub(crate) changed: bool,
}

/// What the suppression stream of a contact says, and its version.
pub(crate) fn fold(facts: &Facts<'_>, contact: ContactId) -> (Suppression, u32) {
    let subject = Subject::Contact(contact);
    let events: Vec<SuppressionEvent> = facts.of(subject).map(|(_, event)| event).collect();
    let of_category = |event: &&RecordedEvent| log::is_of(event, StreamCategory::Suppression);
    let version = facts
        .events(subject)
        .iter()
        .rfind(of_category)
        .map_or(0, |event| event.version);
    (SuppressionDecider::fold(&events), version)
}

/// Obeys all wishes, in their order for each contact. Doing it again changes nothing.
pub(crate) async fn settle(
    platform: &Platform,
    shard: ShardId,
    mut wishes: Vec<Wish>,
) -> Result<HashMap<ContactId, Settled>, SuppressError> {
    let mut settled = HashMap::new();
    for _ in 0..CONFLICTS_MAX {
        if wishes.is_empty() {
            return Ok(settled);
        }
        let facts = platform.facts(shard, |wanted| {
            for wish in &wishes {
                wanted.contact(wish.contact);
            }
        });
        let facts = facts.await?;
        let mut of_contact: HashMap<ContactId, Vec<Wish>> = HashMap::new();
        for wish in wishes.drain(..) {
            let (survivor, _) = facts.survivor(wish.contact);
            of_contact.entry(survivor).or_default().push(wish);
        }
        let mut appends = Vec::new();
        for (survivor, wishes) in of_contact {
            let (mut state, version) = fold(&facts, survivor);
            let mut events = Vec::new();
            for wish in &wishes {
                let Ok(decided) = SuppressionDecider::decide(&state, wish.command.clone());
                state = decided.iter().fold(state, SuppressionDecider::evolve);
                events.extend(decided.into_iter().map(|event| (event, origin(wish))));
            }
            let answer = Settled {
                survivor,
                state,
                changed: !events.is_empty(),
            };
            appends.push(async move {
                let written = append(platform, shard, survivor, version, &events).await?;
                Ok::<_, AppendError>((answer, wishes, written))
            });
        }
        for outcome in futures::future::join_all(appends).await {
            let (answer, of_contact, written) = outcome?;
            if written {
                settled.extend(of_contact.iter().map(|wish| (wish.contact, answer)));
            } else {
                wishes.extend(of_contact);
            }
        }
    }
    if wishes.is_empty() {
        return Ok(settled);
    }
    Err(SuppressError::Contended)
}

fn origin(wish: &Wish) -> Origin {
    match &wish.cause {
        Some(cause) => Origin::following(wish.tenant.clone(), wish.actor.clone(), cause),
        None => Origin::of(wish.tenant.clone(), wish.actor.clone()),
    }
}

/// Appends if the stream is still at `version`; false if it is not.
async fn append(
    platform: &Platform,
    shard: ShardId,
    contact: ContactId,
    version: u32,
    events: &[(SuppressionEvent, Origin)],
) -> Result<bool, AppendError> {
    if events.is_empty() {
        return Ok(true);
    }
    let stream = platform.stream_of(StreamCategory::Suppression, Subject::Contact(contact));
    let new = events.iter().map(|(event, origin)| log::record(event, origin));
    let append = Append::new().write(stream, Expected::Exact(version), new);
    match platform.store.append(shard, append).await {
        Ok(_) => {
            for (event, _) in events {
                metrics::concluded(event.wire_name());
            }
            Ok(true)
        }
        Err(AppendError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

//! Sealing and appending what was planned.

use super::plan::{Event, Keys, Planned, Wanted};
use crate::{
    accept::{append_error, key_error},
    limits,
    parties::Party,
};
use assent_domain::values::Actor;
use assent_event_store::{Append, DataKey, Expected, KeyError, NewEvent, SealAndAppendError, StreamId};
use assent_runtime::{
    api_error::ApiError,
    log::{self, Origin},
    platform::Platform,
};
use std::collections::{HashMap, HashSet};

/// Appends everything, as few appends as it takes; returns once all of it is durable. If it fails in the middle, Meta calls
/// again, and what was written twice folds to the same.
pub(super) async fn record(platform: &Platform, party: &Party, planned: Vec<Planned>) -> Result<(), ApiError> {
    let mut rest = planned.as_slice();
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(chunk_length(rest));
        append(platform, party, chunk).await?;
        rest = after;
    }
    Ok(())
}

/// How many of the next events fit into one append; at least one.
fn chunk_length(planned: &[Planned]) -> usize {
    let mut bytes = 0;
    let fits = planned.iter().take(limits::APPEND_EVENTS_MAX).take_while(|planned| {
        bytes += planned.size;
        bytes <= limits::APPEND_BYTES_MAX
    });
    fits.count().max(1)
}

async fn append(platform: &Platform, party: &Party, planned: &[Planned]) -> Result<(), ApiError> {
    let wanted: HashSet<Wanted> = planned
        .iter()
        .flat_map(|planned| planned.wanted.iter().copied())
        .collect();
    if wanted.is_empty() {
        let append = build(party, planned, &Keys::new()).map_err(|error| key_error(&error))?;
        let appended = platform.store.append(party.shard, append).await;
        return appended.map(drop).map_err(|error| append_error(&error));
    }
    let wanted: Vec<Wanted> = wanted.into_iter().collect();
    let now = time::OffsetDateTime::now_utc();
    let appended = platform
        .keys
        .append_sealed(party.shard, &wanted, now, |keys: &[DataKey]| {
            let keys: Keys = wanted.iter().copied().zip(keys.iter().cloned()).collect();
            build(party, planned, &keys)
        });
    match appended.await {
        Ok(_) => Ok(()),
        Err(SealAndAppendError::Append(error)) => Err(append_error(&error)),
        Err(SealAndAppendError::Keys(error) | SealAndAppendError::Build(error)) => Err(key_error(&error)),
    }
}

/// One write for each stream, its events in the order of the callback.
fn build(party: &Party, planned: &[Planned], keys: &Keys) -> Result<Append, KeyError> {
    let mut writes: Vec<(StreamId, Vec<NewEvent>)> = Vec::new();
    let mut places: HashMap<&StreamId, usize> = HashMap::new();
    for planned in planned {
        let origin = Origin {
            tenant: party.id.clone(),
            actor: Actor::Meta,
            causation: None,
            traceparent: planned.traceparent.clone(),
        };
        let event = match &planned.event {
            Event::Ready(event) => log::record(&**event, &origin),
            Event::Sealed(seal) => log::record(&seal(keys)?, &origin),
        };
        let place = *places.entry(&planned.stream).or_insert_with(|| {
            writes.push((planned.stream.clone(), Vec::new()));
            writes.len() - 1
        });
        writes[place].1.push(event);
    }
    let append = writes
        .into_iter()
        .fold(Append::new().patient(), |append, (stream, events)| {
            append.write(stream, Expected::Any, events)
        });
    Ok(append)
}

//! A batch of events, folded in memory: one entry for each message, however many events it has.

use std::collections::{BTreeSet, HashMap, hash_map::Entry};

use assent_domain::{events::NumberObserved, values::Timestamp};
use assent_event_store::RecordedEvent;
use uuid::Uuid;

use crate::{
    decode::{Fact, fact_of},
    progress::Progress,
    row::Request,
};

/// What a batch says about one message.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// What was asked for, if that stands in this batch: then the message is new.
    pub(crate) request: Option<Box<Request>>,
    pub(crate) progress: Progress,
}

/// A look at a number.
#[derive(Debug)]
pub(crate) struct Observation {
    pub(crate) version: u32,
    pub(crate) position: u64,
    pub(crate) recorded_at: i64,
    pub(crate) observed: Box<NumberObserved>,
}

/// What a batch of events says, by what it is about.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) messages: HashMap<Uuid, Change>,
    /// Contacts whose standing may have changed.
    pub(crate) contacts: BTreeSet<Uuid>,
    /// Contacts for whom something may have ended: of interest only where there was something.
    pub(crate) relieved_contacts: BTreeSet<Uuid>,
    /// Tenant and day of each withdrawal.
    pub(crate) opt_outs: Vec<(String, i64)>,
    pub(crate) observations: Vec<Observation>,
}

/// Days since the epoch, by UTC.
pub(crate) fn day(at: Timestamp) -> i64 {
    at.as_seconds().div_euclid(86_400)
}

pub(crate) fn micros(at: time::OffsetDateTime) -> i64 {
    (at.unix_timestamp_nanos() / 1_000) as i64
}

impl Batch {
    pub(crate) fn of(events: &[RecordedEvent]) -> Self {
        let mut batch = Self::default();
        for event in events {
            match fact_of(event) {
                Ok(fact) => batch.take(event, fact),
                // One bad event must not stop the others; whoever wrote it is newer than this program, or mistaken.
                Err(error) => {
                    metrics::counter!("assent_read_models_skipped_total", "reason" => "undecodable").increment(1);
                    tracing::warn!(shard = event.shard.0, position = event.position, %error, "an event was not understood");
                }
            }
        }
        batch
    }

    fn take(&mut self, event: &RecordedEvent, fact: Fact) {
        let key = event.stream.key;
        match fact {
            Fact::Nothing => {}
            Fact::Submitted(request) => match self.messages.entry(key) {
                // A message is asked for once, before anything else happens to it. What came earlier was about no message of
                // ours, in whichever batch it came.
                Entry::Occupied(mut entry) if entry.get().request.is_none() => {
                    entry.insert(Change::of(request));
                }
                Entry::Occupied(_) => {}
                Entry::Vacant(entry) => {
                    entry.insert(Change::of(request));
                }
            },
            Fact::Progress(progress) => {
                let change = self.messages.entry(key).or_default();
                change.progress = std::mem::take(&mut change.progress).join(*progress);
            }
            Fact::ContactChanged { opt_out, only_ends } => {
                if only_ends {
                    self.relieved_contacts.insert(key);
                } else {
                    self.contacts.insert(key);
                }
                if let (Some(at), Some(tenant)) = (opt_out, event.meta().tenant) {
                    self.opt_outs.push((tenant, day(at)));
                }
            }
            Fact::NumberObserved(observed) => self.observations.push(Observation {
                version: event.version,
                position: event.position,
                recorded_at: micros(event.recorded_at),
                observed,
            }),
        }
    }
}

impl Change {
    fn of(request: Box<Request>) -> Self {
        let mut progress = Progress::default();
        progress.delivery.requested_at = Some(request.accepted_at);
        Self {
            request: Some(request),
            progress,
        }
    }
}

//! Contacts as callers read them.

use crate::change::Plan;
use assent_api::{category, timestamp};
use assent_domain::{
    contact::{Contact, Standing},
    events::ContactEvent,
    values::{Category, ContactId, Timestamp},
};
use assent_event_store::NewEvent;
use assent_proto::v1;
use assent_runtime::{facts::Facts, streams::Subject};
use uuid::Uuid;

/// What was recorded of one contact, with the ids of the events.
#[derive(Debug, Clone, Default)]
pub(super) struct History(Vec<Entry>);

#[derive(Debug, Clone)]
struct Entry {
    version: u32,
    id: Uuid,
    recorded_at: Timestamp,
    event: ContactEvent,
}

impl History {
    pub(super) fn of(facts: &Facts<'_>, contact: ContactId) -> Self {
        let entries = facts.of::<ContactEvent>(Subject::Contact(contact));
        let entry = |(recorded, event): (&assent_event_store::RecordedEvent, ContactEvent)| Entry {
            version: recorded.version,
            id: recorded.id,
            recorded_at: Timestamp::from_micros((recorded.recorded_at.unix_timestamp_nanos() / 1_000) as i64),
            event,
        };
        Self(entries.map(entry).collect())
    }

    /// Adds what a plan wrote.
    pub(super) fn extend(&mut self, plan: &mut Plan, written: &[NewEvent]) {
        let now = assent_runtime::log::now();
        let before = self.0.last().map_or(0, |entry| entry.version);
        let events = plan
            .own_events_mut()
            .into_iter()
            .flatten()
            .zip(written)
            .zip(before + 1..);
        let entry = |((event, new), version): ((&mut ContactEvent, &NewEvent), u32)| Entry {
            version,
            id: new.id,
            recorded_at: now,
            event: event.clone(),
        };
        self.0.extend(events.map(entry));
    }

    /// When the first and the last thing were recorded.
    pub(super) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.0.first()?.recorded_at, self.0.last()?.recorded_at))
    }

    fn id_of(&self, is_it: impl Fn(&Entry) -> bool) -> String {
        let entry = self.0.iter().rfind(|entry| is_it(entry));
        entry.map_or_else(String::new, |entry| entry.id.to_string())
    }
}

/// The consent of a contact, category by category; those never spoken of are left out.
pub(super) fn consents(contact: &Contact, history: &History) -> Vec<v1::CategoryConsent> {
    let consent = |category: Category| {
        let (state, since, source, event_id) = match contact.standing(category) {
            Standing::Never => return None,
            Standing::Granted(grant) => (
                v1::ConsentState::OptedIn,
                grant.given_at,
                grant.source.as_str(),
                match grant.contact {
                    // In the stream of a contact that was merged into this one.
                    Some(_) => String::new(),
                    None => history.id_of(|entry| entry.version == grant.version),
                },
            ),
            Standing::Withdrawn(withdrawal) => (
                v1::ConsentState::OptedOut,
                withdrawal.given_at,
                withdrawal.source.as_str(),
                history.id_of(|entry| withdraws(&entry.event, category, withdrawal.given_at)),
            ),
        };
        Some(v1::CategoryConsent {
            category: category::render(category).into(),
            state: state.into(),
            since: Some(timestamp::render(since)),
            source: source.to_owned(),
            event_id,
        })
    };
    Category::ALL.into_iter().filter_map(consent).collect()
}

fn withdraws(event: &ContactEvent, category: Category, at: Timestamp) -> bool {
    match event {
        ContactEvent::OptedOut(out) => out.given_at == at && out.categories.contains(category),
        ContactEvent::Erased(erased) => erased.recorded_at == at,
        ContactEvent::AliasBound(_)
        | ContactEvent::OptedIn(_)
        | ContactEvent::PlatformStopped(_)
        | ContactEvent::PlatformResumed(_)
        | ContactEvent::Merged(_)
        | ContactEvent::MergedInto(_) => false,
    }
}

//! Showing a contact, and forgetting one.

use super::{
    Caller, ConsentGrpc, Key, moment_or_now,
    render::{self, History},
    store_error,
};
use crate::{
    change::{Change, Plan},
    gatherer::unavailable,
    metrics,
    person::Person,
};
use assent_api::{Problems, ids, recipient, timestamp};
use assent_domain::{
    contact::{Contact, ContactCommand},
    values::{Alias, ContactId, TenantId},
};
use assent_event_store::AppendError;
use assent_proto::v1;
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    erasures::hashes,
    facts::Facts,
    log,
    streams::{Subject, purpose},
};
use assent_sealed::{AliasHash, KeyClass, Opened, Sealed};
use std::time::Duration;

/// Most aliases that are shown of one contact.
const ALIASES_SHOWN_MAX: usize = 32;

/// How often a contact that changes at the same time is read and decided again.
const TRIES_MAX: u32 = 8;

/// When it is worth asking again after that.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// A contact as the log has it.
struct Shown {
    id: ContactId,
    contact: Contact,
    history: History,
}

impl ConsentGrpc {
    /// The contact as it stands.
    pub(super) async fn contact(
        &self,
        caller: &Caller,
        request: v1::GetContactRequest,
    ) -> Result<v1::Contact, ApiError> {
        let mut problems = Problems::new();
        let key = match &request.key {
            Some(v1::get_contact_request::Key::Contact(contact)) => self.by_alias(caller, Some(contact), &mut problems),
            Some(v1::get_contact_request::Key::ContactId(id)) => by_id(id, &mut problems),
            None => self.by_alias(caller, None, &mut problems),
        };
        problems.into_result()?;
        let key = key.ok_or_else(|| ApiError::internal("a field was neither parsed nor refused"))?;
        let (ids, is_by_id) = self.contacts_of(caller, &key);
        let (wanted, tenant) = (ids.clone(), caller.tenant.clone());
        let shown = self
            .gatherer
            .ask(
                caller.shard,
                move |want| wanted.iter().for_each(|id| want.contact(*id)),
                move |facts| {
                    let is_own = !is_by_id || ids.iter().all(|id| is_of(facts, *id, &tenant));
                    let person = Person::find(facts, ids);
                    let id = person.id();
                    let contact = person.as_one().into_owned();
                    (is_own && contact != Contact::Unknown).then(|| Shown {
                        id,
                        contact,
                        history: History::of(facts, id),
                    })
                },
            )
            .await?;
        let shown = shown.ok_or_else(|| ApiError::new(ErrorCode::ContactUnknown))?;
        self.render(&shown).await
    }

    async fn render(&self, shown: &Shown) -> Result<v1::Contact, ApiError> {
        let Shown { id, contact, history } = shown;
        let sealed: Vec<&Sealed<Alias>> = contact
            .aliases()
            .filter_map(|alias| alias.sealed.as_ref())
            .take(ALIASES_SHOWN_MAX)
            .collect();
        let now = time::OffsetDateTime::now_utc();
        let opened = self.platform.keys.open_many(&sealed, purpose::ALIAS, now).await;
        let opened = opened.map_err(|error| {
            if error.is_retryable() {
                unavailable()
            } else {
                ApiError::internal(error)
            }
        })?;
        let hashes = hashes(contact);
        let seen = self.views.seen(&hashes).await.map_err(|error| store_error(&error))?;
        let span = history.span();
        Ok(v1::Contact {
            contact_id: id.to_string(),
            aliases: opened
                .into_iter()
                .filter_map(Opened::value)
                .map(|alias| recipient::render(&alias))
                .collect(),
            consents: render::consents(contact, history),
            platform_stop: contact.platform_stopped().is_some(),
            window_closes_at: seen.open_until(&hashes, log::now()).map(timestamp::render),
            erased: contact.is_erased(),
            created_at: span.map(|(first, _)| timestamp::render(first)),
            updated_at: span.map(|(_, last)| timestamp::render(last)),
        })
    }

    /// Records the erasure and destroys the keys. Answers when both are done.
    pub(super) async fn erase(
        &self,
        caller: &Caller,
        request: v1::EraseContactRequest,
    ) -> Result<v1::EraseContactResponse, ApiError> {
        let mut problems = Problems::new();
        let key = match &request.key {
            Some(v1::erase_contact_request::Key::Contact(contact)) => {
                self.by_alias(caller, Some(contact), &mut problems)
            }
            Some(v1::erase_contact_request::Key::ContactId(id)) => by_id(id, &mut problems),
            None => self.by_alias(caller, None, &mut problems),
        };
        let requested_at = moment_or_now(request.requested_at.as_ref(), "requested_at", &mut problems);
        problems.into_result()?;
        let key = key.ok_or_else(|| ApiError::internal("a field was neither parsed nor refused"))?;
        for _ in 0..TRIES_MAX {
            let at = log::now();
            let mut change = match &key {
                Key::Named(named) => {
                    let spellings = named.spellings.iter().copied();
                    Change::of(&self.platform, &caller.tenant, vec![named.alias_ref()], spellings, at)
                }
                Key::Id(id) => Change {
                    contacts: vec![*id],
                    ..Change::of(&self.platform, &caller.tenant, Vec::new(), [], at)
                },
            };
            change.commands.push(ContactCommand::Erase { requested_at, at });
            let Some((plan, mut aliases)) = self.plan_erasure(caller, change, &key).await? else {
                return Err(ApiError::new(ErrorCode::ContactUnknown));
            };
            if let Key::Named(named) = &key {
                aliases.extend(named.candidates());
            }
            let changed = !plan.is_empty();
            if changed {
                let (append, _) = plan.append(&self.platform, &caller.origin());
                match self.platform.store.append(caller.shard, append).await {
                    Ok(_) => metrics::changed("call", true),
                    Err(AppendError::Conflict { .. } | AppendError::OutcomeUnknown { .. }) => {
                        metrics::conflict("call");
                        continue;
                    }
                    Err(AppendError::Closed) => return Err(ApiError::new(ErrorCode::ShuttingDown)),
                    Err(error) => return Err(ApiError::internal(error)),
                }
            }
            // Also when it was recorded before: whoever recorded it may have ended before this.
            let destroyed = self.platform.keys.destroy(&aliases, &KeyClass::ALL).await;
            destroyed.map_err(|error| {
                tracing::warn!(%error, "keys of an erased contact were not destroyed yet");
                unavailable()
            })?;
            return Ok(v1::EraseContactResponse {
                contact_id: plan.contact.to_string(),
                changed,
            });
        }
        Err(ApiError::new(ErrorCode::Conflict).retry_after(RETRY_AFTER))
    }

    /// What an erasure writes and the aliases whose keys go; nothing if there is no such contact of this tenant.
    async fn plan_erasure(
        &self,
        caller: &Caller,
        mut change: Change,
        key: &Key,
    ) -> Result<Option<(Plan, Vec<AliasHash>)>, ApiError> {
        let (wanted, tenant) = (change.contacts.clone(), caller.tenant.clone());
        let is_by_id = matches!(key, Key::Id(_));
        let read = move |facts: &Facts<'_>| {
            if is_by_id && !change.contacts.iter().all(|id| is_of(facts, *id, &tenant)) {
                return Ok(None);
            }
            let person = Person::find(facts, change.contacts.iter().copied());
            let one = person.as_one();
            if one.is_erased() {
                // Bound again it would be news.
                change.aliases.clear();
            }
            let aliases = hashes(&one);
            Ok(Some((change.plan(facts)?, aliases)))
        };
        let planned = self
            .gatherer
            .ask(
                caller.shard,
                move |want| wanted.iter().for_each(|id| want.contact(*id)),
                read,
            )
            .await?;
        planned.map_err(|error: assent_domain::contact::ContactRejection| ApiError::internal(error))
    }

    fn by_alias(&self, caller: &Caller, contact: Option<&v1::Recipient>, problems: &mut Problems) -> Option<Key> {
        let alias = recipient::parse(contact, "contact", problems)?;
        Some(Key::Named(self.named(&caller.tenant, alias)))
    }

    /// The contacts to look at, and whether the caller named one by our id.
    fn contacts_of(&self, caller: &Caller, key: &Key) -> (Vec<ContactId>, bool) {
        match key {
            Key::Id(id) => (vec![*id], true),
            Key::Named(named) => {
                let tenant = caller.tenant.as_str();
                let ids = named.candidates().map(|alias| self.platform.contact_id(tenant, alias));
                (ids.collect(), false)
            }
        }
    }
}

fn by_id(id: &str, problems: &mut Problems) -> Option<Key> {
    ids::contact(id, "contact_id", problems).map(Key::Id)
}

/// Whether anything was recorded of a contact, by this tenant. Another tenant's id is no contact at all.
fn is_of(facts: &Facts<'_>, contact: ContactId, tenant: &TenantId) -> bool {
    let first = facts.events(Subject::Contact(contact)).first();
    first.is_some_and(|event| log::tenant_of(event).as_ref() == Some(tenant))
}

//! What the templates consist of that callers send, so that what does not fit is told at once and not by Meta's refusal.
//!
//! Looked up once and kept until the process's own tails show that something was said of the template.

use crate::{draft::Draft, limits};
use assent_api::{Problems, template};
use assent_domain::{
    events::{StreamCategory, TemplateStatus},
    gates,
    values::{TemplateRef, WabaId},
};
use assent_event_store::{ReadError, RecordedEvent};
use assent_runtime::{api_error::ApiError, log, platform::Platform, streams::Subject};
use assent_whatsapp::template::Definition;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
};
use uuid::Uuid;

/// One translation of a template as the log has it.
#[derive(Debug, Default)]
struct Known {
    /// Absent: nobody has seen it.
    status: Option<TemplateStatus>,
    /// Absent: not known now, or not wholly understood. Then nothing is checked.
    definition: Option<Definition>,
}

/// Translations by the key of their streams.
#[derive(Debug, Default)]
pub(crate) struct Templates(RwLock<Cache>);

#[derive(Debug, Default)]
struct Cache {
    known: HashMap<Uuid, Arc<Known>>,
    /// Rises whenever something was forgotten: what was read before that may be out of date.
    generation: u64,
}

impl Templates {
    /// Forgets the templates of which these events say something new.
    pub(crate) fn forget(&self, events: &[RecordedEvent]) {
        let changed: Vec<Uuid> = events
            .iter()
            .filter(|event| {
                log::is_of(event, StreamCategory::Template) || event.kind.as_str() == "provider.template_changed"
            })
            .map(|event| event.stream.key)
            .collect();
        if !changed.is_empty() {
            let mut cache = self.write();
            cache.generation += 1;
            for key in changed {
                cache.known.remove(&key);
            }
        }
    }

    /// What in a draft does not fit the translation that would be sent.
    pub(crate) async fn check(&self, platform: &Platform, draft: &Draft) -> Result<Result<(), ApiError>, ReadError> {
        let (Some(asked), Some(number)) = (draft.content.template(), draft.party.number(draft.sender.as_str())) else {
            return Ok(Ok(()));
        };
        let own = self.known(platform, draft, &number.account, asked).await?;
        let mut fallbacks = Vec::new();
        for language in draft.party.language_fallbacks.of(&asked.language) {
            let name = asked.name.clone();
            let fallback = TemplateRef { name, language };
            fallbacks.push(self.known(platform, draft, &number.account, &fallback).await?);
        }
        let chosen = gates::fallback_for(own.status, fallbacks.iter().map(|known| known.status));
        let chosen = chosen.map_or(&own, |place| &fallbacks[place]);
        let mut problems = Problems::new();
        if let Some(definition) = &chosen.definition {
            template::check_fit(definition, &draft.content, &draft.to, &mut problems);
        }
        Ok(problems.into_result())
    }

    async fn known(
        &self,
        platform: &Platform,
        draft: &Draft,
        account: &WabaId,
        template: &TemplateRef,
    ) -> Result<Arc<Known>, ReadError> {
        let key = platform.key_of(Subject::Template(account, template));
        let generation = {
            let cache = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = cache.known.get(&key) {
                return Ok(Arc::clone(known));
            }
            cache.generation
        };
        let facts = platform.facts(draft.party.shard, |wanted| wanted.template(account, template));
        let facts = facts.await?.template(account, template);
        let known = Arc::new(facts.map_or_else(Known::default, |facts| Known {
            status: Some(facts.status),
            definition: template::definition(template, &facts),
        }));
        let mut cache = self.write();
        if cache.generation == generation {
            if cache.known.len() >= limits::TEMPLATES_KNOWN_MAX {
                cache.known.clear();
            }
            cache.known.insert(key, Arc::clone(&known));
        }
        Ok(known)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Cache> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

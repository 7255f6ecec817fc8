//! Asking the gates about messages, recorded or imagined: the same code for decisions and for dry runs.

use crate::{person::Person, views::Seen};
use assent_api::{Problems, content::ParsedContent, template};
use assent_domain::{
    contact::Contact,
    events::SuppressionEvent,
    gates::{self, GateInput, Judgement, NumberFacts, SuppressionFacts, TemplateFacts},
    values::{Alias, Category, ContactId, LanguageCode, PhoneNumberId, TemplateRef, TenantId, Timestamp, WabaId},
};
use assent_event_store::Expected;
use assent_runtime::{
    facts::{Facts, Wanted},
    platform::Platform,
    streams::Subject,
    tenants::Tenants,
};
use assent_sealed::AliasHash;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// A message to ask the gates about.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    sender: PhoneNumberId,
    /// The account of the sender; absent: the sender is not one of the tenant's numbers.
    account: Option<WabaId>,
    /// Every hash the recipient may be known by, the address as given first, and the contact each would make.
    candidates: Vec<(AliasHash, ContactId)>,
    /// The template in the language asked for.
    template: Option<TemplateRef>,
    /// The same template in the languages that may stand in for that one, best first.
    fallbacks: Vec<TemplateRef>,
    purpose: Option<Category>,
}

impl Question {
    pub(crate) fn new(
        platform: &Platform,
        tenants: &Tenants,
        tenant: &TenantId,
        sender: PhoneNumberId,
        candidates: impl IntoIterator<Item = AliasHash>,
        template: Option<TemplateRef>,
        purpose: Option<Category>,
    ) -> Self {
        let number = tenants
            .by_phone_number_id(sender.as_str())
            .filter(|(owner, _)| owner.id == *tenant);
        let candidates = candidates
            .into_iter()
            .map(|alias| (alias, platform.contact_id(tenant.as_str(), alias)));
        let fallbacks = number.zip(template.as_ref()).map(|((owner, _), template)| {
            let languages = owner.language_fallbacks.of(&template.language).into_iter();
            let in_language = |language| TemplateRef {
                name: template.name.clone(),
                language,
            };
            languages.map(in_language).collect()
        });
        Self {
            fallbacks: fallbacks.unwrap_or_default(),
            account: number.and_then(|(_, number)| WabaId::try_new(&number.waba_id).ok()),
            candidates: candidates.collect(),
            sender,
            template,
            purpose,
        }
    }

    /// The facts that are needed to answer it.
    pub(crate) fn want(&self, wanted: &mut Wanted<'_>) {
        for (_, contact) in &self.candidates {
            wanted.contact(*contact);
        }
        if let Some(account) = &self.account {
            wanted.number(&self.sender, account);
            for template in self.template.iter().chain(&self.fallbacks) {
                wanted.template(account, template);
            }
        }
    }
}

/// Numbers and templates of one batch, each folded once.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    numbers: HashMap<PhoneNumberId, Arc<NumberFacts>>,
    templates: HashMap<(WabaId, TemplateRef), Option<Arc<TemplateFacts>>>,
}

/// What the log says to a question.
#[derive(Debug)]
pub(crate) struct Known {
    person: Person,
    /// Every alias the person goes by.
    aliases: Vec<AliasHash>,
    number: Option<Arc<NumberFacts>>,
    template: Option<Translation>,
    suppression: SuppressionFacts,
}

/// The translation that is to be sent.
#[derive(Debug)]
struct Translation {
    template: TemplateRef,
    facts: Option<Arc<TemplateFacts>>,
    /// The language asked for, if this one stands in for it.
    asked: Option<LanguageCode>,
}

impl Translation {
    fn choose(question: &Question, facts: &Facts<'_>, folded: &mut Folded) -> Option<Self> {
        let asked = question.template.as_ref()?;
        let mut known = |template: &TemplateRef| {
            let account = question.account.as_ref()?;
            let key = (account.clone(), template.clone());
            let fold = || facts.template(account, template).map(Arc::new);
            folded.templates.entry(key).or_insert_with(fold).clone()
        };
        let status = |facts: &Option<Arc<TemplateFacts>>| facts.as_ref().map(|facts| facts.status);
        let own = known(asked);
        let others: Vec<_> = question.fallbacks.iter().map(known).collect();
        Some(match gates::fallback_for(status(&own), others.iter().map(status)) {
            None => Self {
                template: asked.clone(),
                facts: own,
                asked: None,
            },
            Some(place) => Self {
                template: question.fallbacks[place].clone(),
                facts: others[place].clone(),
                asked: Some(asked.language.clone()),
            },
        })
    }
}

impl Known {
    pub(crate) fn of(question: &Question, facts: &Facts<'_>, folded: &mut Folded) -> Self {
        let ids = question.candidates.iter().map(|(_, contact)| *contact);
        let person = Person::find(facts, ids);
        let mut suppression = SuppressionFacts::default();
        let mut aliases: Vec<AliasHash> = question.candidates.iter().map(|(alias, _)| *alias).collect();
        // The status-tracker may know the person by a contact that was merged since: it names the one that it found.
        let own = question.candidates.iter().map(|(_, contact)| *contact);
        let looked_at: HashSet<ContactId> = own.chain(person.known().map(|(id, _)| *id)).collect();
        for id in looked_at {
            for (_, event) in facts.of::<SuppressionEvent>(Subject::Contact(id)) {
                suppression.apply(&event);
            }
        }
        for (_, contact) in person.known() {
            aliases.extend(contact.aliases().map(|alias| alias.hash));
        }
        aliases.sort_unstable();
        aliases.dedup();
        let account = question.account.as_ref();
        let number = account.map(|account| {
            let numbers = &mut folded.numbers;
            let known = numbers.get(&question.sender).cloned();
            known.unwrap_or_else(|| {
                let number = Arc::new(facts.number(&question.sender, account));
                numbers.insert(question.sender.clone(), number.clone());
                number
            })
        });
        Self {
            person,
            aliases,
            number,
            template: Translation::choose(question, facts, folded),
            suppression,
        }
    }

    /// The aliases by which the read model may know more.
    pub(crate) fn aliases(&self) -> &[AliasHash] {
        &self.aliases
    }

    /// Adds what does not fit the template that is to be sent, if the log knows what that consists of.
    pub(crate) fn check_fit(&self, content: &ParsedContent, to: &Alias, problems: &mut Problems) {
        let chosen = self.template.as_ref();
        let chosen = chosen.and_then(|chosen| Some((&chosen.template, chosen.facts.as_deref()?)));
        if let Some(definition) = chosen.and_then(|(template, facts)| template::definition(template, facts)) {
            template::check_fit(&definition, content, to, problems);
        }
    }

    /// Asks every gate.
    pub(crate) fn judge(&self, question: &Question, seen: &Seen, now: Timestamp) -> Verdict<'_> {
        let contact = self.person.as_one();
        let mut suppression = self.suppression;
        seen.suppress(&self.aliases, &mut suppression);
        let window = seen.window(&self.aliases, &question.sender);
        let judgement = gates::judge(&GateInput {
            now,
            sender: &question.sender,
            number: self.number.as_deref(),
            template: self.template.as_ref().map(|chosen| &chosen.template),
            template_facts: self.template.as_ref().and_then(|chosen| chosen.facts.as_deref()),
            asked_language: self.template.as_ref().and_then(|chosen| chosen.asked.as_ref()),
            purpose: question.purpose,
            contact: &contact,
            suppression: &suppression,
            window: &window,
        });
        Verdict {
            judgement,
            contact: self.person.id(),
            version: self.person.version(),
            is_known: *contact != Contact::Unknown,
            person: &self.person,
        }
    }
}

/// What the gates said, and of whom.
#[derive(Debug)]
pub(crate) struct Verdict<'a> {
    pub(crate) judgement: Judgement,
    pub(crate) contact: ContactId,
    pub(crate) version: u32,
    pub(crate) is_known: bool,
    person: &'a Person,
}

impl Verdict<'_> {
    /// The contacts that must not have changed for the verdict to stand.
    pub(crate) fn guards(&self) -> impl Iterator<Item = (ContactId, Expected)> {
        self.person.guards()
    }
}

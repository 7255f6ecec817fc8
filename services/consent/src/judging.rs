//! Asking the gates about messages, recorded or imagined: the same code for decisions and for dry runs.

use crate::{person::Person, views::Seen};
use assent_domain::{
    contact::Contact,
    events::SuppressionEvent,
    gates::{self, GateInput, Judgement, NumberFacts, SuppressionFacts, TemplateFacts},
    values::{Category, ContactId, PhoneNumberId, TemplateRef, TenantId, Timestamp, WabaId},
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
    template: Option<TemplateRef>,
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
        Self {
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
            if let Some(template) = &self.template {
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
    template: Option<Arc<TemplateFacts>>,
    suppression: SuppressionFacts,
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
        let template = account.zip(question.template.as_ref()).and_then(|(account, template)| {
            let key = (account.clone(), template.clone());
            let fold = || facts.template(account, template).map(Arc::new);
            folded.templates.entry(key).or_insert_with(fold).clone()
        });
        Self {
            person,
            aliases,
            number,
            template,
            suppression,
        }
    }

    /// The aliases by which the read model may know more.
    pub(crate) fn aliases(&self) -> &[AliasHash] {
        &self.aliases
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
            template: question.template.as_ref(),
            template_facts: self.template.as_deref(),
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

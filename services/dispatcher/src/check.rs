//! Judges messages as of now: may each still be sent?
//!
//! The decision was made for good reasons some time ago. What can have changed since is looked at again: withdrawals,
//! suppression, the state of number and template, the window, expiry, the caller's own wish.

use crate::dispatcher::Dispatcher;
use assent_domain::{
    Decider as _,
    attempt::{AttemptDecider, Attempts, Outcome},
    contact::Contact,
    events::{
        AttemptEvent, Authorized, CancelReason, ContactEvent, DecisionEvent, DecodeError, DomainEvent, GaveUpBecause,
        RequestEvent, RetryClass, StreamCategory, Submitted,
    },
    gates::{
        self, Evidence, GateInput, Judgement, NumberFacts, Refusal, RefusalReason, SuppressionFacts, TemplateFacts,
        WINDOW, WINDOW_MARGIN, WindowFacts,
    },
    values::{
        Actor, AttemptId, Category, ContactId, MessageId, PhoneNumberId, TemplateRef, TenantId, Term, Timestamp, WabaId,
    },
};
use assent_event_store::{Expected, ReadError, RecordedEvent, ShardId, StreamId};
use assent_runtime::{
    facts::{Facts, of_category},
    log::{self, Origin},
    platform::Platform,
    streams::Subject,
    tenants::Tenants,
};
use std::collections::HashMap;

/// A message that was authorized.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) message: MessageId,
    pub(crate) authorized: Box<Authorized>,
    /// What is done follows from the event that says so.
    pub(crate) origin: Origin,
}

/// Why an event is not a candidate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoCandidate {
    /// It cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It names no tenant.
    #[error("the event names no tenant")]
    NoTenant,
    /// It is another event.
    #[error("the event is not an authorization")]
    Other,
}

impl NoCandidate {
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Decode(_) => "decode",
            Self::NoTenant => "no_tenant",
            Self::Other => "other",
        }
    }
}

impl Candidate {
    /// The candidate that a `decision.authorized` names.
    pub(crate) fn read(event: &RecordedEvent, actor: &Actor) -> Result<Self, NoCandidate> {
        let DecisionEvent::Authorized(authorized) = log::read::<DecisionEvent>(event)? else {
            return Err(NoCandidate::Other);
        };
        let meta = event.meta();
        let tenant = meta.tenant.and_then(|tenant| TenantId::try_new(&tenant).ok());
        Ok(Self {
            message: MessageId::new(event.stream.key),
            authorized,
            origin: Origin {
                tenant: tenant.ok_or(NoCandidate::NoTenant)?,
                actor: actor.clone(),
                causation: Some(event.id),
                traceparent: meta.traceparent,
            },
        })
    }

    fn sender(&self) -> Option<&PhoneNumberId> {
        self.authorized.evidence.iter().find_map(|evidence| match evidence {
            Evidence::Number { number, .. } => Some(number),
            _ => None,
        })
    }

    /// The template it is sent as; its language may stand in for the one asked for.
    fn template(&self) -> Option<&TemplateRef> {
        self.authorized.evidence.iter().find_map(|evidence| match evidence {
            Evidence::Template { template, .. } => Some(template),
            _ => None,
        })
    }

    /// The window as it was found. Nothing but the passing of time closes it.
    fn window(&self) -> WindowFacts {
        let mut window = WindowFacts::default();
        for evidence in &self.authorized.evidence {
            match evidence {
                Evidence::Window {
                    open_until: Some(until),
                } => window.wrote(*until + WINDOW_MARGIN - WINDOW),
                Evidence::WroteFirst { wrote_at } => window.wrote(*wrote_at),
                _ => {}
            }
        }
        window
    }
}

/// What is known of a message's attempts.
#[derive(Debug, Clone)]
pub(crate) struct AttemptsFacts {
    pub(crate) attempts: Attempts,
    /// The version of their stream.
    pub(crate) version: u32,
}

impl AttemptsFacts {
    /// Folds the attempts among the events about a message. `None` if one of them is not understood: then nothing may
    /// be concluded from the others.
    pub(crate) fn fold(events: &[RecordedEvent]) -> Option<Self> {
        let mut facts = Self {
            attempts: Attempts::default(),
            version: 0,
        };
        for event in events.iter().filter(|event| log::is_of(event, StreamCategory::Attempt)) {
            let known = log::read::<AttemptEvent>(event).ok()?;
            facts.attempts = AttemptDecider::evolve(facts.attempts, &known);
            facts.version = event.version;
        }
        Some(facts)
    }

    pub(crate) fn expected(&self) -> Expected {
        expected(self.version)
    }
}

/// What is expected of a stream that has this version.
pub(crate) fn expected(version: u32) -> Expected {
    if version == 0 {
        Expected::NoStream
    } else {
        Expected::Exact(version)
    }
}

/// What is to be done with a message.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Send it, if its address and content can still be read.
    Send(Box<Submitted>),
    /// Stop it.
    Cancel(CancelReason),
    /// Try no more.
    GiveUp(GaveUpBecause),
    /// An attempt of ours was made durable after all although its append had no answer. It was not called and never will be.
    NeverCalled(AttemptId),
    /// Nothing: it is somebody else's, waits, or its fate is sealed.
    Nothing,
    /// Nothing can be done with it.
    Skip(&'static str),
}

/// A message with what was found.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) candidate: Candidate,
    pub(crate) facts: AttemptsFacts,
    /// The contact's stream and the version that was judged.
    pub(crate) guard: (StreamId, Expected),
    pub(crate) verdict: Verdict,
}

/// What the log says about a slice, at one moment.
pub(crate) struct Bench<'a> {
    facts: Facts<'a>,
    tenants: &'a Tenants,
    numbers: HashMap<PhoneNumberId, (WabaId, NumberFacts)>,
    templates: HashMap<(WabaId, TemplateRef), Option<TemplateFacts>>,
    attempts_max: u32,
    now: Timestamp,
}

impl Dispatcher {
    /// Reads what is needed to judge these messages, with one query.
    pub(crate) async fn bench<'a>(
        &'a self,
        shard: ShardId,
        candidates: &[Candidate],
        tenants: &'a Tenants,
        now: Timestamp,
    ) -> Result<Bench<'a>, ReadError> {
        let mut accounts: HashMap<&PhoneNumberId, Option<WabaId>> = HashMap::new();
        let mut templates: HashMap<(WabaId, TemplateRef), Option<TemplateFacts>> = HashMap::new();
        for candidate in candidates {
            let Some(sender) = candidate.sender() else { continue };
            let account = accounts.entry(sender).or_insert_with(|| account_of(tenants, sender));
            if let (Some(account), Some(template)) = (account, candidate.template())
                && !templates.contains_key(&(account.clone(), template.clone()))
            {
                templates.insert((account.clone(), template.clone()), None);
            }
        }
        let facts = self.platform.facts(shard, |want| {
            for candidate in candidates {
                want.events(Subject::Message(candidate.message));
                want.contact(candidate.authorized.contact);
            }
            for (sender, account) in &accounts {
                if let Some(account) = account {
                    want.number(sender, account);
                }
            }
            for (account, template) in templates.keys() {
                want.template(account, template);
            }
        });
        let facts = facts.await?;
        let number = |(sender, account): (&PhoneNumberId, Option<WabaId>)| {
            let account = account?;
            let number = facts.number(sender, &account);
            Some((sender.clone(), (account, number)))
        };
        let numbers = accounts.into_iter().filter_map(number).collect();
        for ((account, template), found) in &mut templates {
            *found = facts.template(account, template);
        }
        Ok(Bench {
            facts,
            tenants,
            numbers,
            templates,
            attempts_max: self.config.attempts_max,
            now,
        })
    }
}

fn account_of(tenants: &Tenants, sender: &PhoneNumberId) -> Option<WabaId> {
    let (_, number) = tenants.by_phone_number_id(sender.as_str())?;
    WabaId::try_new(&number.waba_id).ok()
}

impl Bench<'_> {
    /// Judges one message. `never_called` names attempts of ours whose append had no answer.
    pub(crate) fn judge(&self, platform: &Platform, candidate: Candidate, never_called: &[AttemptId]) -> Checked {
        let events = self.facts.events(Subject::Message(candidate.message));
        let Some(facts) = AttemptsFacts::fold(events) else {
            return Checked {
                guard: (
                    log::stream(StreamCategory::Contact, candidate.authorized.contact.uuid()),
                    Expected::Any,
                ),
                candidate,
                facts: AttemptsFacts {
                    attempts: Attempts::default(),
                    version: 0,
                },
                verdict: Verdict::Skip("attempts_not_understood"),
            };
        };
        let (contact_id, contact) = self.facts.survivor(candidate.authorized.contact);
        let contact_version = last_version(self.facts.events(Subject::Contact(contact_id)));
        let guard = platform.stream_of(StreamCategory::Contact, Subject::Contact(contact_id));
        let verdict = match stage(&facts.attempts, self.now, never_called) {
            Stage::Free => self.verdict(&candidate, &facts.attempts, contact_id, &contact),
            Stage::Waits if is_cancel_requested(events) => Verdict::Cancel(CancelReason::Requested),
            Stage::Waits | Stage::Bound => Verdict::Nothing,
            Stage::NeverCalled(attempt) => Verdict::NeverCalled(attempt),
        };
        Checked {
            candidate,
            facts,
            guard: (guard, expected(contact_version)),
            verdict,
        }
    }

    fn verdict(&self, candidate: &Candidate, attempts: &Attempts, contact_id: ContactId, contact: &Contact) -> Verdict {
        let Some(mut submitted) = submitted(self.facts.events(Subject::Message(candidate.message))) else {
            return Verdict::Skip("no_request");
        };
        submitted.translate_to(candidate.template());
        if is_cancel_requested(self.facts.events(Subject::Message(candidate.message))) {
            return Verdict::Cancel(CancelReason::Requested);
        }
        let tried = match attempts {
            Attempts::Underway(underway) => underway.count(),
            Attempts::NotStarted | Attempts::Deferred { .. } | Attempts::Cancelled { .. } | Attempts::Abandoned => 0,
        };
        if self.now >= candidate.authorized.expires_at {
            return if tried == 0 {
                Verdict::Cancel(CancelReason::Expired)
            } else {
                Verdict::GiveUp(GaveUpBecause::Expired)
            };
        }
        if tried >= self.attempts_max {
            return Verdict::GiveUp(GaveUpBecause::RetriesExhausted { attempts: tried });
        }
        if !understood::<ContactEvent>(&self.facts, contact_id) {
            // A withdrawal may be among what is not understood.
            return Verdict::GiveUp(unsendable("contact_not_understood"));
        }
        if contact.is_erased() {
            return Verdict::Cancel(CancelReason::Erased);
        }
        match self.refusal(candidate, &submitted, contact_id, contact) {
            Some(reason) => Verdict::Cancel(reason),
            None => Verdict::Send(submitted),
        }
    }

    /// Why the gates hold the message back now, if they do.
    fn refusal(
        &self,
        candidate: &Candidate,
        submitted: &Submitted,
        contact_id: ContactId,
        contact: &Contact,
    ) -> Option<CancelReason> {
        let owner = self.tenants.by_phone_number_id(submitted.sender.as_str());
        let is_theirs = owner.is_some_and(|(tenant, _)| tenant.id == candidate.origin.tenant);
        let number = self.numbers.get(&submitted.sender).filter(|_| is_theirs);
        let template = submitted.content.template();
        let template_facts = match (number, template) {
            (Some((account, _)), Some(template)) => self
                .templates
                .get(&(account.clone(), template.clone()))
                .and_then(Option::as_ref),
            _ => None,
        };
        let suppression: SuppressionFacts = self.facts.suppression(contact_id);
        let input = GateInput {
            now: self.now,
            sender: &submitted.sender,
            number: number.map(|(_, facts)| facts),
            template,
            template_facts,
            asked_language: None,
            purpose: submitted.purpose,
            contact,
            suppression: &suppression,
            window: &candidate.window(),
        };
        match gates::judge(&input) {
            Judgement::Authorized { .. } => None,
            Judgement::Refused { refusals } => refusals
                .first()
                .map(|refusal| cancel_reason(refusal, input.category(), candidate.authorized.category)),
        }
    }
}

/// Nobody withdrew if the consent is missing only because the template has become stricter than what was authorized.
fn cancel_reason(refusal: &Refusal, now: Category, authorized: Category) -> CancelReason {
    if refusal.reason == RefusalReason::ConsentMissing && now.is_stricter_than(authorized) {
        return CancelReason::TemplateUnavailable;
    }
    refusal.reason.cancel_reason()
}

/// Where a message stands as far as its attempts are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It may be started.
    Free,
    /// It may be started later.
    Waits,
    /// It was written by us, and we never called.
    NeverCalled(AttemptId),
    /// It is in flight, unknown, or its fate is sealed.
    Bound,
}

/// Where a message stands at `now`.
pub(crate) fn stage(attempts: &Attempts, now: Timestamp, never_called: &[AttemptId]) -> Stage {
    let after = |until: Timestamp| if until <= now { Stage::Free } else { Stage::Waits };
    match attempts {
        Attempts::NotStarted => Stage::Free,
        Attempts::Deferred { until, .. } => after(*until),
        Attempts::Cancelled { .. } | Attempts::Abandoned => Stage::Bound,
        Attempts::Underway(underway) => match underway.outcome() {
            Outcome::Rejected(RetryClass::Safe) if !underway.is_accepted() => {
                underway.deferred().map_or(Stage::Free, |(_, until)| after(until))
            }
            Outcome::InFlight if never_called.contains(&underway.current()) => Stage::NeverCalled(underway.current()),
            Outcome::InFlight | Outcome::Accepted | Outcome::Rejected(_) | Outcome::Unknown | Outcome::GivenUp => {
                Stage::Bound
            }
        },
    }
}

/// What was asked for, among the events about a message.
pub(crate) fn submitted(events: &[RecordedEvent]) -> Option<Box<Submitted>> {
    of_category::<RequestEvent>(events).find_map(|(_, event)| match event {
        RequestEvent::Submitted(submitted) => Some(submitted),
        RequestEvent::CancelRequested(_) => None,
    })
}

/// Whether the caller no longer wants a message sent.
pub(crate) fn is_cancel_requested(events: &[RecordedEvent]) -> bool {
    events
        .iter()
        .any(|event| event.kind.as_str() == "request.cancel_requested")
}

/// A reason of our own why a message cannot be sent.
pub(crate) fn unsendable(reason: &str) -> GaveUpBecause {
    GaveUpBecause::Unsendable {
        reason: Term::from_provider(reason),
        problems: Vec::new(),
    }
}

fn last_version(events: &[RecordedEvent]) -> u32 {
    let last = events.iter().rfind(|event| log::is_of(event, StreamCategory::Contact));
    last.map_or(0, |event| event.version)
}

/// Whether every event of a category about a contact is known to this program.
fn understood<E: DomainEvent>(facts: &Facts<'_>, contact: ContactId) -> bool {
    let mut events = facts.events(Subject::Contact(contact)).iter();
    events.all(|event| !log::is_of(event, E::CATEGORY) || log::is_understood(event))
}

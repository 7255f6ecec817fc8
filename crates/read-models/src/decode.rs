//! Reading from an event what the views need, and nothing else.
//!
//! Seven events come for each message, and most of their bytes are sealed values and evidence that no view shows. So the
//! shapes here name only the fields that are wanted and skip the rest; a test holds them against the domain's own.

use std::collections::BTreeMap;

use assent_domain::{
    delivery::Delivery,
    events::{
        AcceptedAs, CancelReason, ContactEvent, DecodeError, DomainEvent, NumberEvent, NumberObserved, OptOutSource,
        Pricing, ProviderError, ProviderStatus, RetryClass, SuppressionEvent,
    },
    gates::RefusalReason,
    values::{Category, ContactId, Label, MessageId, PhoneNumberId, TemplateRef, TenantId, Timestamp},
};
use assent_event_store::RecordedEvent;
use assent_sealed::AliasHash;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{progress::Progress, row::Request};

/// What an event says to the views.
#[derive(Debug)]
pub(crate) enum Fact {
    /// A message was asked for.
    Submitted(Box<Request>),
    /// A message came further.
    Progress(Box<Progress>),
    /// Something about whether a contact may be written to changed.
    ContactChanged {
        /// A withdrawal by the person, and when.
        opt_out: Option<Timestamp>,
        /// Whether it can only end what is known to be against writing to them.
        only_ends: bool,
    },
    /// A number was looked at.
    NumberObserved(Box<NumberObserved>),
    /// Nothing that any view shows.
    Nothing,
}

#[derive(Deserialize)]
struct Submitted {
    tenant: TenantId,
    sender: PhoneNumberId,
    recipient: Recipient,
    content: Content,
    #[serde(default)]
    purpose: Option<Category>,
    expires_at: Timestamp,
    #[serde(default)]
    campaign: Option<Label>,
    #[serde(default)]
    tags: BTreeMap<Label, Label>,
    accepted_at: Timestamp,
}

#[derive(Deserialize)]
struct Recipient {
    alias: AliasHash,
    #[serde(default)]
    other_spellings: Vec<AliasHash>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    template: Option<TemplateRef>,
}

#[derive(Deserialize)]
struct Authorized {
    contact: ContactId,
    category: Category,
    checked_at: Timestamp,
}

#[derive(Deserialize)]
struct Refused {
    contact: ContactId,
    refusals: Vec<Refusal>,
    checked_at: Timestamp,
}

#[derive(Deserialize)]
struct Refusal {
    reason: RefusalReason,
}

#[derive(Deserialize)]
struct Expired {
    expired_at: Timestamp,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct Started {
    number: u32,
    #[serde(default)]
    possible_duplicate_of: Option<uuid::Uuid>,
    started_at: Timestamp,
}

#[derive(Deserialize)]
struct Accepted {
    accepted_as: AcceptedAs,
    accepted_at: Timestamp,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct Rejected {
    error: ProviderError,
    retry: RetryClass,
    rejected_at: Timestamp,
}

#[derive(Deserialize)]
struct Deferred {
    deferred_at: Timestamp,
}

#[derive(Deserialize)]
struct OutcomeUnknown {
    noticed_at: Timestamp,
}

#[derive(Deserialize)]
struct GivenUp {
    given_up_at: Timestamp,
}

#[derive(Deserialize)]
struct Cancelled {
    reason: CancelReason,
    cancelled_at: Timestamp,
}

#[derive(Deserialize)]
struct StatusReported {
    #[serde(default)]
    message: Option<MessageId>,
    status: ProviderStatus,
    provider_at: Timestamp,
    #[serde(default)]
    errors: Vec<ProviderError>,
    #[serde(default)]
    pricing: Option<Pricing>,
}

#[derive(Deserialize)]
struct OptedOut {
    source: OptOutSource,
    given_at: Timestamp,
}

#[derive(Deserialize)]
struct GivenAt {
    given_at: Timestamp,
}

/// The shapes above are of version 1, like everything so far.
fn shape<T: DeserializeOwned>(event: &RecordedEvent, name: &'static str) -> Result<T, DecodeError> {
    const VERSION: u16 = 1;
    if event.schema_version != VERSION {
        return Err(DecodeError::UnknownVersion {
            name,
            version: event.schema_version,
            known: VERSION,
        });
    }
    // serde_json's own message may quote the data.
    serde_json::from_slice(&event.data).map_err(|error| DecodeError::Shape {
        name,
        line: error.line(),
        column: error.column(),
    })
}

fn whole<E: DomainEvent>(event: &RecordedEvent) -> Result<E, DecodeError> {
    E::from_json(event.kind.as_str(), event.schema_version, &event.data)
}

fn delivery(delivery: Delivery) -> Fact {
    Fact::Progress(Box::new(Progress::of(delivery)))
}

/// What an event says.
pub(crate) fn fact_of(event: &RecordedEvent) -> Result<Fact, DecodeError> {
    match event.kind.as_str() {
        "request.submitted" => shape(event, "request.submitted").map(submitted),
        "decision.authorized" => shape(event, "decision.authorized").map(|event| authorized(&event)),
        "decision.refused" => shape(event, "decision.refused").map(refused),
        "decision.expired" => shape(event, "decision.expired").map(|event: Expired| {
            delivery(Delivery {
                expired_at: Some(event.expired_at),
                ..Delivery::default()
            })
        }),
        "attempt.started" => shape(event, "attempt.started").map(|event| started(&event)),
        "attempt.accepted" => shape(event, "attempt.accepted").map(|event| accepted(&event)),
        "attempt.rejected" => shape(event, "attempt.rejected").map(|event| rejected(&event)),
        "attempt.deferred" => shape(event, "attempt.deferred").map(|event: Deferred| {
            delivery(Delivery {
                deferred_at: Some(event.deferred_at),
                ..Delivery::default()
            })
        }),
        "attempt.outcome_unknown" => shape(event, "attempt.outcome_unknown").map(|event: OutcomeUnknown| {
            delivery(Delivery {
                outcome_unknown_at: Some(event.noticed_at),
                ..Delivery::default()
            })
        }),
        "attempt.given_up" => shape(event, "attempt.given_up").map(|event: GivenUp| {
            delivery(Delivery {
                given_up_at: Some(event.given_up_at),
                ..Delivery::default()
            })
        }),
        "attempt.cancelled" => shape(event, "attempt.cancelled").map(|event| cancelled(&event)),
        "provider.status_reported" => shape(event, "provider.status_reported").map(|status| reported(event, status)),
        "contact.opted_out" => shape(event, "contact.opted_out").map(|event: OptedOut| Fact::ContactChanged {
            opt_out: Some(event.given_at).filter(|_| is_by_the_person(event.source)),
            only_ends: false,
        }),
        "contact.platform_stopped" => {
            shape(event, "contact.platform_stopped").map(|event: GivenAt| Fact::ContactChanged {
                opt_out: Some(event.given_at),
                only_ends: false,
            })
        }
        "contact.merged"
        | "contact.merged_into"
        | "contact.erased"
        | "suppression.suspected_blocked"
        | "suppression.undeliverable" => Ok(Fact::ContactChanged {
            opt_out: None,
            only_ends: false,
        }),
        "contact.opted_in" | "contact.platform_resumed" | "suppression.lifted" => Ok(Fact::ContactChanged {
            opt_out: None,
            only_ends: true,
        }),
        "number.observed" => {
            let NumberEvent::Observed(event) = whole(event)?;
            Ok(Fact::NumberObserved(Box::new(event)))
        }
        _ => Ok(Fact::Nothing),
    }
}

/// Whether somebody decided against our messages, rather than a list being taken over or data being erased. A stop within
/// WhatsApp has an event of its own.
fn is_by_the_person(source: OptOutSource) -> bool {
    match source {
        OptOutSource::Keyword
        | OptOutSource::Button
        | OptOutSource::WebForm
        | OptOutSource::Agent
        | OptOutSource::Api => true,
        OptOutSource::PlatformPreference | OptOutSource::Import | OptOutSource::Erasure => false,
    }
}

fn submitted(event: Submitted) -> Fact {
    let other = &event.recipient.other_spellings;
    let tags = (!event.tags.is_empty())
        .then(|| serde_json::to_string(&event.tags).expect("a map of text to text always serializes"));
    let campaign = event.campaign.as_ref().or_else(|| {
        let by_tag = event.tags.iter().find(|(label, _)| label.as_str() == "campaign");
        by_tag.map(|(_, value)| value)
    });
    let campaign = campaign.map(|label| label.as_str().to_owned());
    let (template, language) = event
        .content
        .template
        .map_or((None, None), |TemplateRef { name, language }| {
            (Some(name.as_str().to_owned()), Some(language.as_str().to_owned()))
        });
    Fact::Submitted(Box::new(Request {
        tenant: event.tenant.as_str().to_owned(),
        sender: event.sender.as_str().to_owned(),
        alias: event.recipient.alias.0.to_vec(),
        other_aliases: (!other.is_empty()).then(|| other.iter().flat_map(|alias| alias.0).collect()),
        template,
        language,
        purpose: event.purpose,
        campaign,
        tags,
        accepted_at: event.accepted_at,
        expires_at: event.expires_at,
    }))
}

fn authorized(event: &Authorized) -> Fact {
    Fact::Progress(Box::new(Progress {
        decided: Some((event.checked_at, event.contact, Some(event.category))),
        ..Progress::of(Delivery {
            authorized_at: Some(event.checked_at),
            ..Delivery::default()
        })
    }))
}

fn refused(event: Refused) -> Fact {
    let mut progress = Progress {
        decided: Some((event.checked_at, event.contact, None)),
        ..Progress::of(Delivery {
            refused_at: Some(event.checked_at),
            ..Delivery::default()
        })
    };
    for refusal in event.refusals {
        progress.refuse(refusal.reason);
    }
    Fact::Progress(Box::new(progress))
}

fn started(event: &Started) -> Fact {
    Fact::Progress(Box::new(Progress {
        attempts: event.number,
        possible_duplicate: event.possible_duplicate_of.is_some(),
        ..Progress::of(Delivery {
            started_at: Some(event.started_at),
            ..Delivery::default()
        })
    }))
}

fn accepted(event: &Accepted) -> Fact {
    let at = Some(event.accepted_at);
    delivery(match event.accepted_as {
        AcceptedAs::Accepted => Delivery {
            accepted_at: at,
            ..Delivery::default()
        },
        AcceptedAs::HeldForQualityAssessment | AcceptedAs::Paused => Delivery {
            held_at: at,
            ..Delivery::default()
        },
    })
}

fn rejected(event: &Rejected) -> Fact {
    match event.retry {
        RetryClass::Never => delivery(Delivery {
            rejected: Some((event.rejected_at, event.error.code)),
            ..Delivery::default()
        }),
        RetryClass::Safe | RetryClass::MayHaveBeenSent => Fact::Nothing,
    }
}

fn cancelled(event: &Cancelled) -> Fact {
    Fact::Progress(Box::new(Progress {
        cancelled: Some((event.cancelled_at, event.reason)),
        ..Progress::of(Delivery {
            cancelled_at: Some(event.cancelled_at),
            ..Delivery::default()
        })
    }))
}

fn reported(recorded: &RecordedEvent, event: StatusReported) -> Fact {
    // Only what stands in the message's own stream is about it.
    if event
        .message
        .is_none_or(|message| message.uuid() != recorded.stream.key)
    {
        return Fact::Nothing;
    }
    let at = Some(event.provider_at);
    let mut facts = Delivery {
        pricing: event.pricing.map(|pricing| (event.provider_at, pricing)),
        ..Delivery::default()
    };
    match event.status {
        ProviderStatus::Sent => facts.sent_at = at,
        ProviderStatus::Delivered => facts.delivered_at = at,
        ProviderStatus::Read => facts.read_at = at,
        ProviderStatus::Played => facts.played_at = at,
        ProviderStatus::Failed => {
            let code = event.errors.iter().map(|error| error.code).min().unwrap_or_default();
            facts.failed = Some((event.provider_at, code));
        }
        ProviderStatus::Other(_) => {}
    }
    delivery(facts)
}

/// The events of a contact's own streams, whole: they are few.
pub(crate) fn contact_event(event: &RecordedEvent) -> Option<ContactEvent> {
    event
        .kind
        .as_str()
        .starts_with("contact.")
        .then(|| whole(event).ok())
        .flatten()
}

/// The same for what was concluded about the contact.
pub(crate) fn suppression_event(event: &RecordedEvent) -> Option<SuppressionEvent> {
    event
        .kind
        .as_str()
        .starts_with("suppression.")
        .then(|| whole(event).ok())
        .flatten()
}

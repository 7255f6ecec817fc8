//! The story of one message, in sentences a person can read. No personal data.

use crate::{
    events::{
        Accepted, AcceptedAs, AttemptEvent, AttemptRejected, Authorized, CancelReason, Content, DecisionEvent,
        DecodeError, DeferReason, DomainEvent, GaveUpBecause, GivenUp, LearnedFrom, ProviderError, ProviderEvent,
        ProviderStatus, Refused, RequestEvent, RetryClass, Started, StatusReported, StreamCategory, Submitted,
        UnknownCause,
    },
    gates::Evidence,
    values::Timestamp,
};

/// An event that belongs to the story of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageEvent {
    /// Of its request.
    Request(RequestEvent),
    /// Of its decision.
    Decision(DecisionEvent),
    /// Of its attempts.
    Attempt(AttemptEvent),
    /// What Meta reported about it.
    Status(Box<StatusReported>),
}

impl MessageEvent {
    /// Reads an event from the log; `None` if it is of a kind that does not belong to a message's story.
    pub fn from_json(wire_name: &str, version: u16, data: &[u8]) -> Result<Option<Self>, DecodeError> {
        let Ok(category) = StreamCategory::of_event(wire_name) else {
            return Ok(None);
        };
        Ok(match category {
            StreamCategory::Request => Some(Self::Request(RequestEvent::from_json(wire_name, version, data)?)),
            StreamCategory::Decision => Some(Self::Decision(DecisionEvent::from_json(wire_name, version, data)?)),
            StreamCategory::Attempt => Some(Self::Attempt(AttemptEvent::from_json(wire_name, version, data)?)),
            StreamCategory::Provider => match ProviderEvent::from_json(wire_name, version, data)? {
                ProviderEvent::StatusReported(status) => Some(Self::Status(status)),
                ProviderEvent::MessageReceived(_)
                | ProviderEvent::PreferenceChanged(_)
                | ProviderEvent::TemplateChanged(_)
                | ProviderEvent::NumberChanged(_)
                | ProviderEvent::AccountChanged(_)
                | ProviderEvent::CallbackUnrecognised(_) => None,
            },
            StreamCategory::Contact
            | StreamCategory::Conversation
            | StreamCategory::Policy
            | StreamCategory::Pacing
            | StreamCategory::Campaign
            | StreamCategory::Media
            | StreamCategory::Number
            | StreamCategory::Template
            | StreamCategory::Account
            | StreamCategory::Suppression => None,
        })
    }
}

/// One line of a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// When it happened: by Meta's clock for what Meta reported, else by ours.
    pub at: Timestamp,
    /// What happened.
    pub text: String,
}

/// Tells the story of a message from its events, in the order given: the order of the log.
pub fn explain<'a>(events: impl IntoIterator<Item = &'a MessageEvent>) -> Vec<Sentence> {
    events.into_iter().map(sentence).collect()
}

fn sentence(event: &MessageEvent) -> Sentence {
    let (at, text) = match event {
        MessageEvent::Request(RequestEvent::Submitted(event)) => (event.accepted_at, requested(event)),
        MessageEvent::Request(RequestEvent::CancelRequested(event)) => (
            event.requested_at,
            "The caller asked not to send it after all.".to_owned(),
        ),
        MessageEvent::Decision(DecisionEvent::Authorized(event)) => (event.checked_at, authorized(event)),
        MessageEvent::Decision(DecisionEvent::Refused(event)) => (event.checked_at, refused(event)),
        MessageEvent::Decision(DecisionEvent::Expired(event)) => (
            event.noticed_at,
            format!("It was too old to be sent: it expired at {}.", event.expired_at),
        ),
        MessageEvent::Attempt(event) => attempt(event),
        MessageEvent::Status(event) => (event.provider_at, status(event)),
    };
    Sentence { at, text }
}

fn requested(event: &Submitted) -> String {
    let what = match &event.content {
        Content::Template { template, .. } => format!("Template {template}"),
        Content::Text { .. } => "Free-form text".to_owned(),
        Content::FreeForm { form, .. } => format!("Free-form content ({})", form.as_str()),
    };
    let purpose = event
        .purpose
        .map_or_else(String::new, |purpose| format!(" as a {purpose} message"));
    let campaign = event
        .campaign
        .as_ref()
        .map_or_else(String::new, |campaign| format!(", campaign {campaign}"));
    format!(
        "{what} was requested{purpose} for tenant {} from number {}{campaign}, to be sent before {}.",
        event.tenant, event.sender, event.expires_at
    )
}

fn authorized(event: &Authorized) -> String {
    let findings: Vec<_> = event.evidence.iter().map(evidence).collect();
    let because = if findings.is_empty() {
        String::new()
    } else {
        format!(": {}", findings.join("; "))
    };
    format!("It was authorized as a {} message{because}.", event.category)
}

/// What a gate found, as a clause in small letters.
pub fn evidence(evidence: &Evidence) -> String {
    match evidence {
        Evidence::Number {
            number,
            status,
            quality,
            messaging_limit,
            ..
        } => {
            let limit = messaging_limit
                .as_ref()
                .map_or_else(String::new, |limit| format!(", limit {limit}"));
            format!(
                "number {number} is {} with quality {}{limit}",
                status.as_str(),
                quality.as_str()
            )
        }
        Evidence::Template {
            template,
            status,
            category,
            version,
            asked_language,
        } => {
            let stands_in = asked_language
                .as_ref()
                .map_or_else(String::new, |asked| format!(", which stands in for {asked},"));
            format!(
                "template {template}{stands_in} is {}, category {category}, by version {version} of its record",
                status.as_str()
            )
        }
        Evidence::FreeForm => "no template is needed".to_owned(),
        Evidence::Purpose { judged_as, .. } => format!("its purpose fits {judged_as}"),
        Evidence::OptIn {
            category,
            source,
            given_at,
            version,
            ..
        } => format!(
            "the person agreed to {category} messages at {given_at} by {}, entry {version} of their record",
            source.as_str()
        ),
        Evidence::WroteFirst { wrote_at } => format!("the person wrote first, at {wrote_at}"),
        Evidence::NoPlatformStop { applies: true } => "marketing is not stopped within WhatsApp".to_owned(),
        Evidence::NoPlatformStop { applies: false } => "a stop of marketing does not concern it".to_owned(),
        Evidence::NotSuppressed => "nothing suggests that it would be in vain".to_owned(),
        Evidence::Window {
            open_until: Some(until),
        } => format!("the customer service window is open until {until}"),
        Evidence::Window { open_until: None } => "the customer service window is closed and not needed".to_owned(),
    }
}

fn refused(event: &Refused) -> String {
    let reasons: Vec<_> = event
        .refusals
        .iter()
        .map(|refusal| format!("{} {}", refusal.text, refusal.remedy))
        .collect();
    format!("It was refused. {}", reasons.join(" "))
}

fn attempt(event: &AttemptEvent) -> (Timestamp, String) {
    match event {
        AttemptEvent::Started(event) => (event.started_at, started(event)),
        AttemptEvent::Accepted(event) => (event.accepted_at, accepted(event)),
        AttemptEvent::Rejected(event) => (event.rejected_at, rejected(event)),
        AttemptEvent::Deferred(event) => (
            event.deferred_at,
            format!("It waits until {}: {}.", event.until, deferred_because(event.reason)),
        ),
        AttemptEvent::OutcomeUnknown(event) => {
            let cause = match event.cause {
                UnknownCause::TimedOut => "Meta did not answer in time",
                UnknownCause::ConnectionLost => "the connection to Meta broke",
                UnknownCause::UnclearAnswer => "Meta's answer does not say whether it has the message",
                UnknownCause::ProcessDied => "the process that made the call died",
            };
            (
                event.noticed_at,
                format!("The outcome is unknown: {cause}. It is not sent again blindly."),
            )
        }
        AttemptEvent::GivenUp(event) => (event.given_up_at, given_up(event)),
        AttemptEvent::Cancelled(event) => (
            event.cancelled_at,
            format!("It was cancelled before it left: {}.", cancelled_because(event.reason)),
        ),
    }
}

fn started(event: &Started) -> String {
    let duplicate = event.possible_duplicate_of.map_or(
        "",
        |_| " An earlier attempt may have sent it already; a policy of the tenant's took that risk.",
    );
    format!(
        "Attempt {} was started, with withdrawals checked up to {}.{duplicate}",
        event.number, event.checked_until
    )
}

fn accepted(event: &Accepted) -> String {
    let what = match event.accepted_as {
        AcceptedAs::Accepted => "Meta accepted it",
        AcceptedAs::HeldForQualityAssessment => "Meta accepted it and holds it until the template's quality is judged",
        AcceptedAs::Paused => "Meta accepted it and holds it because the template is being paused",
    };
    match event.learned_from {
        LearnedFrom::Answer => format!("{what}."),
        LearnedFrom::Callback => format!("{what}, as a callback that carried our id shows."),
    }
}

fn rejected(event: &AttemptRejected) -> String {
    let next = match event.retry {
        RetryClass::Safe => "It was not processed and may be tried again.",
        RetryClass::MayHaveBeenSent => "It may have been sent nevertheless.",
        RetryClass::Never => "It is not tried again.",
    };
    if event.error == ProviderError::NOT_SENT {
        return format!("It did not leave: there was no connection to Meta. {next}");
    }
    format!("Meta rejected it with error {}. {next}", event.error.code)
}

fn deferred_because(reason: DeferReason) -> &'static str {
    match reason {
        DeferReason::PairLimit => "the person got many messages within a short time",
        DeferReason::NumberLimit => "the number is at its throughput",
        DeferReason::PortfolioLimit => "the limit of people within 24 hours is reached",
        DeferReason::ProviderThrottled => "Meta asked to slow down",
        DeferReason::Paused => "sending is paused",
        DeferReason::Backoff => "a rejected attempt is repeated after a wait",
        DeferReason::Media => "a file of it is being fetched and uploaded",
    }
}

fn given_up(event: &GivenUp) -> String {
    match &event.because {
        GaveUpBecause::Silence {
            from,
            until,
            last_callback_at,
            caught_up_to,
        } => format!(
            "It was given up: no callback carried our id between {from} and {until}, although the number's callbacks \
             arrived (the last at {last_callback_at}) and all were read up to position {caught_up_to}."
        ),
        GaveUpBecause::RetriesExhausted { attempts } => format!("It was given up after {attempts} rejected attempts."),
        GaveUpBecause::Expired => "It was given up: it became too old.".to_owned(),
        GaveUpBecause::Unsendable { reason, problems } if problems.is_empty() => {
            format!("It was given up: it cannot be sent ({reason}).")
        }
        GaveUpBecause::Unsendable { reason, problems } => {
            let problems = problems.join("; ");
            format!("It was given up: it cannot be sent ({reason}: {problems}).")
        }
    }
}

fn cancelled_because(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::Requested => "the caller asked",
        CancelReason::ConsentWithdrawn => "the person withdrew after it was authorized",
        CancelReason::Suppressed => "the person became unreachable after it was authorized",
        CancelReason::WindowClosed => "the customer service window closed",
        CancelReason::TemplateUnavailable => "the template is no longer available for it",
        CancelReason::NumberUnavailable => "the number may no longer send it",
        CancelReason::Expired => "it became too old",
        CancelReason::Erased => "the person's data was erased",
    }
}

fn status(event: &StatusReported) -> String {
    let price = event.pricing.as_ref().map_or_else(String::new, |pricing| {
        let kind = pricing
            .kind
            .as_ref()
            .map_or_else(String::new, |kind| format!(", {kind}"));
        format!(" Price category: {}{kind}.", pricing.category)
    });
    let what = match &event.status {
        ProviderStatus::Sent => "It left Meta's servers.".to_owned(),
        ProviderStatus::Delivered => "It reached a device of the person's.".to_owned(),
        ProviderStatus::Read => "It was displayed to the person.".to_owned(),
        ProviderStatus::Played => "The voice note was played.".to_owned(),
        ProviderStatus::Failed => match event.errors.first() {
            Some(error) => format!("Meta reported that it failed, with error {}.", error.code),
            None => "Meta reported that it failed.".to_owned(),
        },
        ProviderStatus::Other(word) => format!("Meta reported the status {word}."),
    };
    what + &price
}

#[cfg(test)]
mod tests;

//! `events tail`.

use std::process::ExitCode;

use anyhow::bail;
use assent_proto::v1::{
    Event, EventKind, SubscribeRequest, event::Payload, event_service_client::EventServiceClient, recipient::Alias,
    subscribe_request::Start, subscribe_response::Item,
};
use clap::{Args, Subcommand, ValueEnum};

use super::{
    Failure, Service, Target, json,
    words::{category_name, consent_name, moment, reason_name, state_name},
};
use crate::output::print;

/// Commands on events.
#[derive(Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// Print what happens as it happens: messages, inbound messages, consents, numbers, templates; until ctrl-c
    Tail(Tail),
}

/// `assent events tail`.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// Begin after this position; 0 is the beginning [default: now]
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// Only these kinds
    #[arg(long = "kind", value_enum, value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// End after so many events
    #[arg(long)]
    count: Option<u64>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// A message's state changed
    Message,
    /// A person wrote
    Inbound,
    /// A person's consent changed
    Consent,
    /// A person was suppressed or released
    Suppression,
    /// A number changed
    Number,
    /// A template changed
    Template,
}

impl From<Kind> for EventKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Message => Self::MessageState,
            Kind::Inbound => Self::InboundMessage,
            Kind::Consent => Self::Consent,
            Kind::Suppression => Self::Suppression,
            Kind::Number => Self::Number,
            Kind::Template => Self::Template,
        }
    }
}

/// Runs a command on events.
pub(crate) async fn events(command: &EventsCommand) -> anyhow::Result<ExitCode> {
    let EventsCommand::Tail(tail) = command;
    let mut client = EventServiceClient::new(tail.target.connect_for_stream(Service::Events).await?);
    let request = SubscribeRequest {
        start: Some(tail.after.map_or(Start::Tail(true), Start::AfterPosition)),
        kinds: tail.kinds.iter().map(|kind| EventKind::from(*kind).into()).collect(),
    };
    let mut stream = client.subscribe(request).await.map_err(Failure::from)?.into_inner();
    let mut left = tail.count.unwrap_or(u64::MAX);
    while left > 0 {
        let next = tokio::select! {
            next = stream.message() => next.map_err(Failure::from)?,
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
        };
        let Some(response) = next else {
            bail!("the server ended the stream; subscribe again after the last position shown");
        };
        let Some(Item::Event(event)) = response.item else {
            continue;
        };
        let line = if tail.target.json {
            json::line("Event", &event)?
        } else {
            sentence(&event)
        };
        print(&line);
        left -= 1;
    }
    Ok(ExitCode::SUCCESS)
}

fn sentence(event: &Event) -> String {
    let what = match &event.payload {
        Some(Payload::MessageState(change)) => {
            let mut text = format!("message {} is {}", change.message_id, state_name(change.state));
            for refusal in &change.refusals {
                text = format!("{text}, {}", reason_name(refusal.reason));
            }
            if let Some(error) = &change.provider_error {
                text = format!("{text}, {}: {}", error.code, error.meaning);
            }
            text
        }
        Some(Payload::InboundMessage(inbound)) => {
            let from = inbound.from.as_ref().and_then(|from| from.alias.as_ref());
            let from = match from {
                Some(Alias::PhoneNumber(alias) | Alias::UserId(alias)) => alias,
                None => &inbound.contact_id,
            };
            let text = match &inbound.content {
                Some(assent_proto::v1::inbound_message::Content::Text(text)) => text,
                None => &inbound.r#type,
            };
            match &inbound.file {
                Some(file) => format!("{from} wrote: {text} (file {})", file.file_id),
                None => format!("{from} wrote: {text}"),
            }
        }
        Some(Payload::Consent(change)) => {
            let consent = |consent: &assent_proto::v1::CategoryConsent| {
                format!("{} {}", category_name(consent.category), consent_name(consent.state))
            };
            let consents: Vec<String> = change.consents.iter().map(consent).collect();
            format!("contact {}: {}", change.contact_id, consents.join(", "))
        }
        Some(Payload::Suppression(change)) => {
            let contact = change.suppression.as_ref();
            let active = contact.is_some_and(|suppression| suppression.active);
            let what = if active { "is suppressed" } else { "is released" };
            format!(
                "contact {} {what}",
                contact.map_or("", |suppression| &suppression.contact_id)
            )
        }
        Some(Payload::Number(change)) => {
            let summary = change.change.as_ref().map_or("changed", |change| &change.summary);
            format!("number {}: {summary}", change.phone_number_id)
        }
        Some(Payload::Template(change)) => {
            format!(
                "template {} ({}) is {}",
                change.name, change.language, change.provider_status
            )
        }
        None => "something this program does not know".to_owned(),
    };
    format!("{:>8}  {}  {what}", event.position, moment(event.recorded_at.as_ref()))
}

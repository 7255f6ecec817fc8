//! `send`, `check` and `explain`.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use assent_proto::v1::{
    CheckMessageRequest, Decision, ExplainMessageRequest, GetMessageRequest, SendMessageRequest, WaitFor,
    consent_service_client::ConsentServiceClient, get_message_request, message_service_client::MessageServiceClient,
    send_message_request,
};
use clap::{Args, ValueEnum};
use tonic::Status;
use tonic_types::StatusExt as _;

use super::{
    Authorized, Failure, Service, Target,
    content::MessageArgs,
    json, reason_of,
    words::{category_name, gate_name, reason_name, state_name},
};
use crate::output::print;

/// `assent send`.
#[derive(Debug, Args)]
pub(crate) struct Send {
    #[command(flatten)]
    message: MessageArgs,
    /// Idempotency key: sending again with it gives the first answer and no second message [default: a fresh one]
    #[arg(long)]
    key: Option<String>,
    /// What to wait for
    #[arg(long, value_enum, default_value = "decision")]
    wait: Wait,
    /// Seconds after which it is no longer worth sending [default: 24 hours]
    #[arg(long)]
    ttl_seconds: Option<i64>,
    /// Label for filters and counts; never personal data
    #[arg(long = "tag", value_name = "NAME=TEXT")]
    tags: Vec<String>,
    /// Campaign it is part of
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// Name in the tenants file of the credential by which linked files are fetched
    #[arg(long, value_name = "NAME")]
    fetch_credential: Option<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Wait {
    /// Until it is durable
    Accepted,
    /// Until it is authorized or refused
    Decision,
}

/// `assent check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    target: Target,
}

/// `assent explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Our id of the message, as `send` printed it
    message_id: Option<String>,
    /// The idempotency key it was sent with
    #[arg(long)]
    key: Option<String>,
}

/// Sends a message; exit code 1 when it is refused.
pub(crate) async fn send(command: &Send) -> anyhow::Result<ExitCode> {
    let key = command.key.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let tag = |tag: &String| {
        let (name, text) = tag.split_once('=').context("write --tag NAME=TEXT")?;
        anyhow::Ok((name.to_owned(), text.to_owned()))
    };
    let ttl = command
        .ttl_seconds
        .map(|seconds| prost_types::Duration { seconds, nanos: 0 });
    let wait_for = match command.wait {
        Wait::Accepted => WaitFor::Accepted,
        Wait::Decision => WaitFor::Decision,
    };
    let request = SendMessageRequest {
        idempotency_key: key,
        from: command.message.from.clone(),
        to: Some(command.message.recipient()),
        content: Some(command.message.content()?),
        category: command.message.category(),
        wait_for: wait_for.into(),
        expiry: ttl.map(send_message_request::Expiry::Ttl),
        tags: command.tags.iter().map(tag).collect::<Result<_, _>>()?,
        campaign: command.campaign.clone().unwrap_or_default(),
        fetch_credential: command.fetch_credential.clone().unwrap_or_default(),
    };
    let mut client = MessageServiceClient::new(command.target.connect(Service::Messages).await?);
    let response = match client.send_message(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => bail!(refusal(&mut client, &status).await),
    };
    if command.target.json {
        print(&json::line("SendMessageResponse", &response)?);
        return Ok(ExitCode::SUCCESS);
    }
    print(&format!(
        "message {}: {}",
        response.message_id,
        state_name(response.state)
    ));
    if let Some(decision) = &response.decision {
        show(decision);
    }
    Ok(ExitCode::SUCCESS)
}

/// A refusal in full, with the remedies; every other error as it came.
async fn refusal(client: &mut MessageServiceClient<Authorized>, status: &Status) -> Failure {
    if reason_of(status).as_deref() != Some("MESSAGE_REFUSED") {
        return status.into();
    }
    let details = status.get_error_details();
    let Some(id) = details.error_info().and_then(|info| info.metadata.get("message_id")) else {
        return status.into();
    };
    let request = GetMessageRequest {
        key: Some(get_message_request::Key::MessageId(id.clone())),
        include_timeline: false,
    };
    // The key may lack the scope to read; the error itself then has to do.
    let message = client
        .get_message(request)
        .await
        .ok()
        .and_then(|response| response.into_inner().message);
    let decision = message.and_then(|message| message.decision);
    decision.map_or_else(|| status.into(), |decision| Failure::refused(id, &decision.refusals))
}

/// What each gate said.
fn show(decision: &Decision) {
    print(&format!("judged as {}", category_name(decision.category)));
    for pass in &decision.passes {
        print(&format!("  passed  {}: {}", gate_name(pass.gate), pass.evidence));
    }
    for refusal in &decision.refusals {
        let (gate, reason) = (gate_name(refusal.gate), reason_name(refusal.reason));
        print(&format!("  REFUSED {gate}: {reason}: {}", refusal.explanation));
        print(&format!("          {}", refusal.remedy));
    }
}

/// Asks every gate about a message without sending it; exit code 1 when it would be refused.
pub(crate) async fn check(command: &Check) -> anyhow::Result<ExitCode> {
    let mut client = ConsentServiceClient::new(command.target.connect(Service::Consent).await?);
    let request = CheckMessageRequest {
        from: command.message.from.clone(),
        to: Some(command.message.recipient()),
        content: Some(command.message.content()?),
        category: command.message.category(),
    };
    let response = client.check_message(request).await.map_err(Failure::from)?.into_inner();
    if command.target.json {
        print(&json::line("CheckMessageResponse", &response)?);
    } else {
        print(if response.allowed {
            "it would be sent"
        } else {
            "it would be refused"
        });
        response.decision.as_ref().map(show);
        for warning in &response.warnings {
            print(&format!("  warning {}: {}", warning.field, warning.description));
            if !warning.suggestion.is_empty() {
                print(&format!("          write {}", warning.suggestion));
            }
        }
    }
    Ok(if response.allowed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Tells the story of a message.
pub(crate) async fn explain(command: &Explain) -> anyhow::Result<ExitCode> {
    let mut client = MessageServiceClient::new(command.target.connect(Service::Messages).await?);
    let message_id = match (&command.which.message_id, &command.which.key) {
        (Some(id), _) => id.clone(),
        (None, Some(key)) => id_of(&mut client, key).await?,
        (None, None) => bail!("give a message id or --key"),
    };
    let request = ExplainMessageRequest { message_id };
    let response = client
        .explain_message(request)
        .await
        .map_err(Failure::from)?
        .into_inner();
    if command.target.json {
        print(&json::line("ExplainMessageResponse", &response)?);
        return Ok(ExitCode::SUCCESS);
    }
    print(&format!(
        "message {}: {}",
        response.message_id,
        state_name(response.state)
    ));
    for sentence in &response.sentences {
        print(&format!("  {sentence}"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn id_of(client: &mut MessageServiceClient<Authorized>, key: &str) -> anyhow::Result<String> {
    let request = GetMessageRequest {
        key: Some(get_message_request::Key::IdempotencyKey(key.to_owned())),
        include_timeline: false,
    };
    let response = client.get_message(request).await.map_err(Failure::from)?;
    let message = response
        .into_inner()
        .message
        .context("the server answered without a message")?;
    Ok(message.message_id)
}

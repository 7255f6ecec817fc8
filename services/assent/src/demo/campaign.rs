//! The acts of the customer, through the public API, and the people's, in WhatsApp.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use assent_proto::v1::{
    ConsentState, Content, GetContactRequest, MessageCategory, OptInEvidence, OptInSource, RecordOptInRequest,
    SendMessageRequest, TemplateContent, TemplateParameter, WaitFor, consent_service_client::ConsentServiceClient,
    content, get_contact_request, message_service_client::MessageServiceClient, template_parameter,
};
use assent_simulator::DEFAULT_NUMBER_ID;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tonic::Status;
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::{
    accounts::{Answer, Ledger},
    crowd::{Consent, Person},
    screen::Screen,
    stage::Stage,
};
use crate::client::{Failure, reason_of, recipient};

/// Calls at a time.
const IN_FLIGHT: usize = 32;
/// How long opt-outs may take to be in force.
const STOPS_MAX: Duration = Duration::from_secs(15);

/// One message for each of some people.
pub(super) struct Campaign<'a> {
    name: &'static str,
    category: MessageCategory,
    people: Vec<&'a Person>,
}

impl<'a> Campaign<'a> {
    pub(super) fn new(name: &'static str, category: MessageCategory, people: &[&'a Person]) -> Self {
        Self {
            name,
            category,
            people: people.to_vec(),
        }
    }
}

/// The template of a category with its parameters.
pub(super) fn content(category: MessageCategory, person: &Person) -> Content {
    let order = format!("A-{}", &person.phone[person.phone.len() - 4..]);
    let (name, parameters) = match category {
        MessageCategory::Marketing => ("spring_offer", vec![person.name.to_owned()]),
        _ => ("order_update", vec![person.name.to_owned(), order]),
    };
    let parameter = |text| TemplateParameter {
        value: Some(template_parameter::Value::Text(text)),
        ..TemplateParameter::default()
    };
    Content {
        kind: Some(content::Kind::Template(TemplateContent {
            name: name.to_owned(),
            language: "en_US".to_owned(),
            body_parameters: parameters.into_iter().map(parameter).collect(),
            ..TemplateContent::default()
        })),
        reply_to: None,
    }
}

/// Records the opt-in of everybody who gave one.
pub(super) async fn record_opt_ins(stage: &Stage, screen: &Screen, crowd: &super::Crowd) -> anyhow::Result<()> {
    let people = crowd.agreeing();
    let bar = screen.bar("opt-ins", people.len() as u64);
    let record = |person: &Person| {
        let mut client = ConsentServiceClient::new(stage.channel.clone());
        let mut categories = vec![MessageCategory::Utility.into()];
        if person.consent == Consent::All {
            categories.push(MessageCategory::Marketing.into());
        }
        let request = RecordOptInRequest {
            contact: Some(recipient(&person.phone)),
            categories,
            evidence: Some(OptInEvidence {
                source: OptInSource::WebForm.into(),
                place: "checkout".to_owned(),
                wording: "Yes, write to me on WhatsApp. I can stop it at any time.".to_owned(),
                language: "en_US".to_owned(),
                ..OptInEvidence::default()
            }),
            ..RecordOptInRequest::default()
        };
        async move { client.record_opt_in(request).await.map_err(Failure::from) }
    };
    let recorded = stream::iter(people.iter().map(|person| record(person))).buffer_unordered(IN_FLIGHT);
    recorded
        .inspect_ok(|_| bar.advance())
        .try_for_each(|_| async { Ok(()) })
        .await?;
    let silent = crowd.everybody().len() - people.len();
    bar.done(&format!(
        "{} opt-ins recorded; {silent} people never gave one",
        people.len()
    ));
    Ok(())
}

/// Requests a campaign's messages and waits for the decision on each.
pub(super) async fn send(
    stage: &Stage,
    screen: &Screen,
    campaign: &Campaign<'_>,
    ledger: &mut Ledger,
) -> anyhow::Result<()> {
    let bar = screen.bar("requests", campaign.people.len() as u64);
    let begun = Instant::now();
    let requests = campaign.people.iter().map(|person| request(stage, campaign, person));
    let mut answers = stream::iter(requests).buffer_unordered(IN_FLIGHT);
    let (mut authorized, mut reasons) = (0, BTreeMap::<String, u64>::new());
    while let Some((id, answer)) = answers.try_next().await? {
        bar.advance();
        match &answer {
            Answer::Authorized => authorized += 1,
            Answer::Refused(refusals) => {
                for reason in refusals {
                    *reasons.entry(reason.clone()).or_default() += 1;
                }
            }
        }
        if ledger.answers.insert(id, answer).is_some() {
            bail!("two requests were answered with the same message id");
        }
    }
    let refused = match refusals(&reasons).as_str() {
        "" => "none refused".to_owned(),
        reasons => format!("refused: {reasons}"),
    };
    bar.done(&format!(
        "{} requested in {:.1} s: {authorized} authorized, {refused}",
        campaign.people.len(),
        begun.elapsed().as_secs_f64(),
    ));
    Ok(())
}

/// Counts of reasons in words.
fn refusals(reasons: &BTreeMap<String, u64>) -> String {
    let words = |(reason, count): (&String, &u64)| format!("{count} {}", reason.to_lowercase().replace('_', " "));
    reasons.iter().map(words).collect::<Vec<_>>().join(", ")
}

async fn request(stage: &Stage, campaign: &Campaign<'_>, person: &Person) -> anyhow::Result<(Uuid, Answer)> {
    let request = SendMessageRequest {
        idempotency_key: format!("{}-{}", campaign.name, Uuid::new_v4()),
        from: DEFAULT_NUMBER_ID.to_owned(),
        to: Some(recipient(&person.phone)),
        content: Some(content(campaign.category, person)),
        category: campaign.category.into(),
        wait_for: WaitFor::Decision.into(),
        ..SendMessageRequest::default()
    };
    let mut client = MessageServiceClient::new(stage.channel.clone());
    match client.send_message(request).await {
        Ok(response) => {
            let response = response.into_inner();
            if response.decision.is_none() {
                bail!("a decision took longer than the server waits");
            }
            Ok((response.message_id.parse()?, Answer::Authorized))
        }
        Err(status) if reason_of(&status).as_deref() == Some("MESSAGE_REFUSED") => refusal(&status),
        Err(status) => bail!(Failure::from(status)),
    }
}

/// The message id and the reasons in the answer to a refused request.
fn refusal(status: &Status) -> anyhow::Result<(Uuid, Answer)> {
    let details = status.get_error_details();
    let id = details.error_info().and_then(|info| info.metadata.get("message_id"));
    let id = id.context("a refusal names no message")?.parse()?;
    let violations = details
        .precondition_failure()
        .map(|failure| failure.violations.as_slice())
        .unwrap_or_default();
    let reason = |kind: &str| kind.strip_prefix("REFUSAL_REASON_").unwrap_or(kind).to_owned();
    Ok((
        id,
        Answer::Refused(violations.iter().map(|violation| reason(&violation.r#type)).collect()),
    ))
}

/// People write STOP in WhatsApp; waits until each one's marketing consent is withdrawn.
pub(super) async fn people_write_stop(stage: &Stage, screen: &Screen, people: &[&Person]) -> anyhow::Result<()> {
    let bar = screen.bar("opt-outs", people.len() as u64);
    let begun = Instant::now();
    for person in people {
        stage
            .simulator
            .control()
            .write_text(&person.phone, Some(DEFAULT_NUMBER_ID), "STOP")?;
    }
    let mut client = ConsentServiceClient::new(stage.channel.clone());
    for person in people {
        while !has_withdrawn(&mut client, person).await? {
            if begun.elapsed() > STOPS_MAX {
                bail!("a STOP was not in force after {} s", STOPS_MAX.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bar.advance();
    }
    let (elapsed, count) = (begun.elapsed().as_millis(), people.len());
    let who = if count == 1 {
        "one person".to_owned()
    } else {
        format!("{count} people")
    };
    bar.done(&format!("{who} wrote STOP; {elapsed} ms later all of it was in force"));
    Ok(())
}

async fn has_withdrawn(
    client: &mut ConsentServiceClient<crate::client::Authorized>,
    person: &Person,
) -> anyhow::Result<bool> {
    let request = GetContactRequest {
        key: Some(get_contact_request::Key::Contact(recipient(&person.phone))),
    };
    let contact = client
        .get_contact(request)
        .await
        .map_err(Failure::from)?
        .into_inner()
        .contact;
    let consents = contact.unwrap_or_default().consents;
    let marketing = i32::from(MessageCategory::Marketing);
    let withdrawn = i32::from(ConsentState::OptedOut);
    Ok(consents
        .iter()
        .any(|consent| consent.category == marketing && consent.state == withdrawn))
}

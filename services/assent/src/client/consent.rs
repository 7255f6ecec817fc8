//! `opt-in` and `opt-out`.

use std::process::ExitCode;

use assent_proto::v1::{
    CategoryConsent, MessageCategory, OptInEvidence, OptInSource, OptOutSource, RecordOptInRequest,
    RecordOptOutRequest, consent_service_client::ConsentServiceClient,
};
use clap::{Args, ValueEnum};

use super::{
    Failure, Service, Target,
    content::{CategoryName, recipient},
    json,
    words::{category_name, consent_name, moment},
};
use crate::output::print;

/// `assent opt-in`.
#[derive(Debug, Args)]
pub(crate) struct OptIn {
    /// Who agreed: a phone number such as +4915112345678, or a business-scoped user id
    person: String,
    /// To what; several separated by commas
    #[arg(long = "category", value_enum, value_delimiter = ',', required = true)]
    categories: Vec<CategoryName>,
    /// Where it came from
    #[arg(long, value_enum)]
    source: InSource,
    /// Your own name of the place, e.g. checkout
    #[arg(long, default_value = "")]
    place: String,
    /// The words the person saw and agreed to
    #[arg(long, default_value = "")]
    wording: String,
    /// Language of the wording
    #[arg(long, default_value = "")]
    language: String,
    /// Web address of the page or form
    #[arg(long, default_value = "")]
    url: String,
    /// IP address of the person's device
    #[arg(long, default_value = "")]
    ip_address: String,
    /// Your own reference to the proof
    #[arg(long, default_value = "")]
    reference: String,
    #[command(flatten)]
    target: Target,
}

/// `assent opt-out`.
#[derive(Debug, Args)]
pub(crate) struct OptOut {
    /// Who wants no more: a phone number such as +4915112345678, or a business-scoped user id
    person: String,
    /// From what; several separated by commas [default: from everything]
    #[arg(long = "category", value_enum, value_delimiter = ',')]
    categories: Vec<CategoryName>,
    /// Where the wish was expressed
    #[arg(long, value_enum, default_value = "api")]
    source: OutSource,
    /// Your own reference to the proof
    #[arg(long, default_value = "")]
    reference: String,
    #[command(flatten)]
    target: Target,
}

/// Where an opt-in came from, as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum InSource {
    /// A form on the web
    WebForm,
    /// The person wrote so in a chat
    Chat,
    /// A text message
    Sms,
    /// A call
    Phone,
    /// In person or on paper
    InPerson,
    /// WhatsApp's own sign-up link
    InAppSignup,
    /// An agent entered what the person asked for
    Agent,
    /// A list taken over from another system; never brings back somebody who withdrew
    Import,
}

impl From<InSource> for OptInSource {
    fn from(source: InSource) -> Self {
        match source {
            InSource::WebForm => Self::WebForm,
            InSource::Chat => Self::Chat,
            InSource::Sms => Self::Sms,
            InSource::Phone => Self::Phone,
            InSource::InPerson => Self::InPerson,
            InSource::InAppSignup => Self::InAppSignup,
            InSource::Agent => Self::Agent,
            InSource::Import => Self::Import,
        }
    }
}

/// Where an opt-out came from, as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum OutSource {
    /// Your own system
    Api,
    /// A form on the web
    WebForm,
    /// An agent entered it
    Agent,
    /// A list taken over from another system
    Import,
}

impl From<OutSource> for OptOutSource {
    fn from(source: OutSource) -> Self {
        match source {
            OutSource::Api => Self::Api,
            OutSource::WebForm => Self::WebForm,
            OutSource::Agent => Self::Agent,
            OutSource::Import => Self::Import,
        }
    }
}

fn categories(names: &[CategoryName]) -> Vec<i32> {
    names.iter().map(|name| MessageCategory::from(*name).into()).collect()
}

/// Records that a person agreed.
pub(crate) async fn opt_in(command: &OptIn) -> anyhow::Result<ExitCode> {
    let mut client = ConsentServiceClient::new(command.target.connect(Service::Consent).await?);
    let request = RecordOptInRequest {
        contact: Some(recipient(&command.person)),
        categories: categories(&command.categories),
        evidence: Some(OptInEvidence {
            source: OptInSource::from(command.source).into(),
            place: command.place.clone(),
            wording: command.wording.clone(),
            language: command.language.clone(),
            url: command.url.clone(),
            ip_address: command.ip_address.clone(),
            reference: command.reference.clone(),
        }),
        ..RecordOptInRequest::default()
    };
    let response = client.record_opt_in(request).await.map_err(Failure::from)?.into_inner();
    if command.target.json {
        print(&json::line("RecordOptInResponse", &response)?);
    } else {
        show(&response.contact_id, response.changed, &response.consents);
    }
    Ok(ExitCode::SUCCESS)
}

/// Records that a person withdraws.
pub(crate) async fn opt_out(command: &OptOut) -> anyhow::Result<ExitCode> {
    let mut client = ConsentServiceClient::new(command.target.connect(Service::Consent).await?);
    let request = RecordOptOutRequest {
        contact: Some(recipient(&command.person)),
        categories: categories(&command.categories),
        source: OptOutSource::from(command.source).into(),
        reference: command.reference.clone(),
        ..RecordOptOutRequest::default()
    };
    let response = client
        .record_opt_out(request)
        .await
        .map_err(Failure::from)?
        .into_inner();
    if command.target.json {
        print(&json::line("RecordOptOutResponse", &response)?);
    } else {
        show(&response.contact_id, response.changed, &response.consents);
    }
    Ok(ExitCode::SUCCESS)
}

fn show(contact: &str, changed: bool, consents: &[CategoryConsent]) {
    let what = if changed { "recorded" } else { "was so already" };
    print(&format!("contact {contact}: {what}"));
    for consent in consents {
        print(&format!(
            "  {}: {} since {}",
            category_name(consent.category),
            consent_name(consent.state),
            moment(consent.since.as_ref())
        ));
    }
}

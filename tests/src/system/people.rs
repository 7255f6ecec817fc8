//! Whom messages go to, what they carry, and how consent comes to be recorded.

use std::time::Instant;

use anyhow::Context as _;
use assent_proto::v1;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::System;

/// How many distinct people there are: six digits behind a German mobile prefix.
pub const PEOPLE_MAX: usize = 1_000_000;
/// Opt-ins recorded at a time.
const OPT_INS_IN_FLIGHT: usize = 256;

/// Of the simulator's built-in templates: utility, two body parameters.
pub const TEMPLATE: &str = "order_update";
/// Its language.
pub const LANGUAGE: &str = "en_US";

/// The phone number of a person. All are real mobile numbers to libphonenumber.
pub fn phone_number(person: usize) -> String {
    format!("+4915112{person:06}")
}

/// A person as the API names them.
pub fn recipient(person: usize) -> v1::Recipient {
    v1::Recipient {
        alias: Some(v1::recipient::Alias::PhoneNumber(phone_number(person))),
    }
}

/// The template message for a person.
pub fn content(person: usize) -> v1::Content {
    let parameter = |text: String| v1::TemplateParameter {
        name: String::new(),
        value: Some(v1::template_parameter::Value::Text(text)),
    };
    v1::Content {
        kind: Some(v1::content::Kind::Template(v1::TemplateContent {
            name: TEMPLATE.to_owned(),
            language: LANGUAGE.to_owned(),
            header_parameters: Vec::new(),
            body_parameters: vec![
                parameter(format!("Customer {person}")),
                parameter(format!("A-{person:06}")),
            ],
            ..v1::TemplateContent::default()
        })),
        reply_to: None,
    }
}

/// Whether a message would be let through to the first person of a business.
pub fn check_request(system: &System, tenant: usize) -> v1::CheckMessageRequest {
    v1::CheckMessageRequest {
        from: system.tenants[tenant].phone_number_id.clone(),
        to: Some(recipient(tenant)),
        content: Some(content(tenant)),
        category: v1::MessageCategory::Utility.into(),
    }
}

/// A template message to a person, by the business whose number this is.
pub fn send_request(key: &str, from: &str, person: usize, wait_for: v1::WaitFor) -> v1::SendMessageRequest {
    v1::SendMessageRequest {
        idempotency_key: key.to_owned(),
        from: from.to_owned(),
        to: Some(recipient(person)),
        content: Some(content(person)),
        category: v1::MessageCategory::Utility.into(),
        wait_for: wait_for.into(),
        ..v1::SendMessageRequest::default()
    }
}

/// A person's agreement to hear about orders.
pub fn opt_in_request(person: usize) -> v1::RecordOptInRequest {
    v1::RecordOptInRequest {
        contact: Some(recipient(person)),
        categories: vec![v1::MessageCategory::Utility.into()],
        evidence: Some(v1::OptInEvidence {
            source: v1::OptInSource::WebForm.into(),
            wording: "Send me updates about my orders by WhatsApp.".to_owned(),
            language: "en_US".to_owned(),
            place: "checkout".to_owned(),
            ..v1::OptInEvidence::default()
        }),
        ..v1::RecordOptInRequest::default()
    }
}

/// Records the opt-ins of the first people with the businesses, who take turns, by the public API; how long it took, in
/// seconds.
pub async fn opt_in_all(system: &System, people: usize) -> anyhow::Result<f64> {
    let tenants = system.tenants.len();
    let clients = (0..tenants).map(|tenant| Ok(system.client(tenant)?.consent));
    let clients = clients.collect::<anyhow::Result<Vec<_>>>()?;
    let started = Instant::now();
    stream::iter(0..people.max(tenants))
        .map(|person| {
            let mut client = clients[person % tenants].clone();
            async move {
                let answer = client.record_opt_in(opt_in_request(person)).await;
                answer.context("record an opt-in")
            }
        })
        .buffer_unordered(OPT_INS_IN_FLIGHT)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    Ok(started.elapsed().as_secs_f64())
}

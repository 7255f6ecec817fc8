//! Templates, findings and previews as the contract has them.

use super::{paths, severity};
use assent_api::Problems;
use assent_proto::v1;
use assent_whatsapp::{
    client::{QualityRating, TemplateCategory, TemplateInfo, TemplateStatus},
    template::{
        Button, ButtonAction, Card, Definition, Example, Header, HeaderFormat, ParameterFormat, Part, Preview,
        PreviewHeader,
    },
};
use serde_json::Value;

/// A listed template.
pub(super) fn template(account: &str, info: &TemplateInfo) -> v1::Template {
    let status = info.status.as_ref();
    let reason = info.rejected_reason.as_deref();
    v1::Template {
        template_id: info.id.clone().unwrap_or_default(),
        waba_id: account.to_owned(),
        definition: Definition::from_info(info).as_ref().map(definition),
        state: status.map_or(v1::TemplateState::Unspecified, state).into(),
        provider_status: status.map_or_else(String::new, |status| status.as_str().to_owned()),
        quality_rating: quality(info.quality.as_ref()).into(),
        rejected_reason: reason.filter(|reason| *reason != "NONE").unwrap_or_default().to_owned(),
        previous_category: category(info.previous_category.as_ref()).into(),
        correct_category: category(info.correct_category.as_ref()).into(),
    }
}

fn quality(rating: Option<&QualityRating>) -> v1::QualityRating {
    match rating {
        Some(QualityRating::Green) => v1::QualityRating::Green,
        Some(QualityRating::Yellow) => v1::QualityRating::Yellow,
        Some(QualityRating::Red) => v1::QualityRating::Red,
        _ => v1::QualityRating::Unknown,
    }
}

/// Meta's word for a state in a filter.
pub(super) fn provider_state(given: i32, problems: &mut Problems) -> Option<TemplateStatus> {
    match v1::TemplateState::try_from(given) {
        Ok(v1::TemplateState::Unspecified) => None,
        Ok(v1::TemplateState::Approved) => Some(TemplateStatus::Approved),
        Ok(v1::TemplateState::Pending) => Some(TemplateStatus::Pending),
        Ok(v1::TemplateState::Rejected) => Some(TemplateStatus::Rejected),
        Ok(v1::TemplateState::Paused) => Some(TemplateStatus::Paused),
        Ok(v1::TemplateState::Disabled) => Some(TemplateStatus::Disabled),
        Ok(v1::TemplateState::Gone) => Some(TemplateStatus::Deleted),
        Err(_) => {
            problems.add("state", "is not one of the states");
            None
        }
    }
}

pub(super) fn state(status: &TemplateStatus) -> v1::TemplateState {
    match status {
        TemplateStatus::Approved | TemplateStatus::Reinstated | TemplateStatus::Flagged => v1::TemplateState::Approved,
        TemplateStatus::Pending | TemplateStatus::InAppeal => v1::TemplateState::Pending,
        TemplateStatus::Rejected | TemplateStatus::LimitExceeded => v1::TemplateState::Rejected,
        TemplateStatus::Paused => v1::TemplateState::Paused,
        TemplateStatus::Disabled | TemplateStatus::Locked => v1::TemplateState::Disabled,
        TemplateStatus::Deleted | TemplateStatus::PendingDeletion | TemplateStatus::Archived => v1::TemplateState::Gone,
        TemplateStatus::Unarchived | TemplateStatus::Other(_) => v1::TemplateState::Unspecified,
    }
}

pub(super) fn category(category: Option<&TemplateCategory>) -> v1::TemplateCategory {
    match category {
        Some(TemplateCategory::Marketing) => v1::TemplateCategory::Marketing,
        Some(TemplateCategory::Utility) => v1::TemplateCategory::Utility,
        Some(TemplateCategory::Authentication) => v1::TemplateCategory::Authentication,
        Some(TemplateCategory::Other(_)) | None => v1::TemplateCategory::Unspecified,
    }
}

fn definition(definition: &Definition) -> v1::TemplateDefinition {
    v1::TemplateDefinition {
        name: definition.name.clone(),
        language: definition.language.clone(),
        category: category(Some(&definition.category)).into(),
        has_named_variables: definition.parameter_format == ParameterFormat::Named,
        parts: Some(parts(&definition.components)),
        message_ttl_seconds: definition.message_send_ttl_seconds,
    }
}

fn parts(components: &[Part]) -> v1::TemplateParts {
    let mut parts = v1::TemplateParts::default();
    for component in components {
        match component {
            Part::Header(given) => parts.header = Some(header(given)),
            Part::Body(body) => {
                parts.body = Some(v1::TemplateBodyDefinition {
                    text: body.text.clone().unwrap_or_default(),
                    examples: examples(&body.examples),
                    add_security_recommendation: body.add_security_recommendation,
                });
            }
            Part::Footer(footer) => {
                parts.footer = Some(v1::TemplateFooterDefinition {
                    text: footer.text.clone().unwrap_or_default(),
                    code_expiration_minutes: footer.code_expiration_minutes,
                });
            }
            Part::Buttons(given) => parts.buttons = given.iter().map(button).collect(),
            Part::LimitedTimeOffer(offer) => {
                parts.offer = Some(v1::TemplateOfferDefinition {
                    text: offer.text.clone(),
                    has_expiration: offer.has_expiration,
                });
            }
            Part::Carousel(cards) => parts.cards = cards.iter().map(card).collect(),
            Part::Other(value) => parts.other_json.push(value.to_string()),
        }
    }
    parts
}

fn card(card: &Card) -> v1::TemplateCardDefinition {
    let parts = parts(&card.components);
    v1::TemplateCardDefinition {
        header: parts.header,
        body: parts.body,
        buttons: parts.buttons,
    }
}

fn header(header: &Header) -> v1::TemplateHeaderDefinition {
    v1::TemplateHeaderDefinition {
        format: format(&header.format).into(),
        text: header.text.clone().unwrap_or_default(),
        examples: examples(&header.examples),
        sample_handle: header.sample.clone().unwrap_or_default(),
    }
}

fn format(format: &HeaderFormat) -> v1::TemplateHeaderFormat {
    match format {
        HeaderFormat::Text => v1::TemplateHeaderFormat::Text,
        HeaderFormat::Image => v1::TemplateHeaderFormat::Image,
        HeaderFormat::Video => v1::TemplateHeaderFormat::Video,
        HeaderFormat::Document => v1::TemplateHeaderFormat::Document,
        HeaderFormat::Location => v1::TemplateHeaderFormat::Location,
        HeaderFormat::Gif => v1::TemplateHeaderFormat::Gif,
        HeaderFormat::Product => v1::TemplateHeaderFormat::Product,
        HeaderFormat::Other(_) => v1::TemplateHeaderFormat::Unspecified,
    }
}

fn examples(examples: &[Example]) -> Vec<v1::TemplateExample> {
    let examples = examples.iter().map(|example| v1::TemplateExample {
        name: example.name.clone().unwrap_or_default(),
        value: example.value.clone(),
    });
    examples.collect()
}

fn button(button: &Button) -> v1::TemplateButtonDefinition {
    let mut rendered = v1::TemplateButtonDefinition {
        label: button.label.clone().unwrap_or_default(),
        kind: button.action.kind().to_owned(),
        ..v1::TemplateButtonDefinition::default()
    };
    match &button.action {
        ButtonAction::Url { url, example } => {
            rendered.url.clone_from(url);
            rendered.example = example.clone().unwrap_or_default();
        }
        ButtonAction::PhoneNumber { number } => rendered.business_phone.clone_from(number),
        ButtonAction::CopyCode { example } => rendered.example = example.clone().unwrap_or_default(),
        ButtonAction::OneTimePassword { kind } => rendered.otp_type = kind.clone().unwrap_or_default(),
        _ => {}
    }
    if !button.other.is_empty() {
        rendered.other_json = Value::Object(button.other.clone()).to_string();
    }
    rendered
}

/// What is to be known of a definition; `within` is where its fields are in the request.
pub(super) fn findings(definition: &Definition, within: &str) -> Vec<v1::TemplateFinding> {
    let findings = definition.lint().into_iter().map(|finding| v1::TemplateFinding {
        severity: severity(finding.severity).into(),
        field: paths::of_definition(within, &definition.components, &finding.problem.path),
        found: finding.problem.found,
        allowed: finding.problem.allowed,
    });
    findings.collect()
}

/// A filled template.
pub(super) fn preview(shown: &Preview) -> v1::TemplatePreview {
    let (header_text, header_media) = match &shown.header {
        Some(PreviewHeader::Text(text)) => (text.clone(), v1::TemplateHeaderFormat::Unspecified),
        Some(PreviewHeader::Media { format: media, .. }) => (String::new(), format(media)),
        None => (String::new(), v1::TemplateHeaderFormat::Unspecified),
    };
    let buttons = shown.buttons.iter().map(|button| v1::TemplateButtonPreview {
        kind: button.kind.clone(),
        label: button.label.clone().unwrap_or_default(),
        value: button.value.clone().unwrap_or_default(),
    });
    v1::TemplatePreview {
        header_text,
        header_media: header_media.into(),
        body: shown.body.clone(),
        footer: shown.footer.clone().unwrap_or_default(),
        offer: shown.offer.clone().unwrap_or_default(),
        buttons: buttons.collect(),
        cards: shown.cards.iter().map(preview).collect(),
    }
}

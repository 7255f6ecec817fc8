//! Definitions of requests as the platform's crate has them.

use assent_api::{Problems, problems::path};
use assent_proto::v1;
use assent_runtime::api_error::{ApiError, ErrorCode};
use assent_whatsapp::{
    client::TemplateCategory,
    template::{
        Body, Button, ButtonAction, Card, Definition, Example, Footer, Header, HeaderFormat, Offer, ParameterFormat,
        Part,
    },
};
use serde_json::{Map, Value};

/// Most parts of one list that are read at all; the lint names Meta's own, lower bounds.
const LIST_MAX: usize = 100;

/// The definition given; `field` is its path in the request.
pub(super) fn definition(given: Option<&v1::TemplateDefinition>, field: &str) -> Result<Definition, ApiError> {
    let given = given.ok_or_else(|| ApiError::new(ErrorCode::InvalidRequest).field(field, "is missing"))?;
    let mut problems = Problems::new();
    let category = category(given.category, &path(field, "category"), &mut problems);
    let components = given
        .parts
        .as_ref()
        .map(|parts| components(parts, &path(field, "parts"), &mut problems));
    problems.into_result()?;
    let (Some(category), components) = (category, components.unwrap_or_default()) else {
        return Err(ApiError::new(ErrorCode::InvalidRequest));
    };
    Ok(Definition {
        name: given.name.clone(),
        language: given.language.clone(),
        category,
        parameter_format: if given.has_named_variables {
            ParameterFormat::Named
        } else {
            ParameterFormat::Positional
        },
        components,
        message_send_ttl_seconds: given.message_ttl_seconds,
    })
}

fn category(given: i32, field: &str, problems: &mut Problems) -> Option<TemplateCategory> {
    let category = category_if_given(given, field, problems);
    if category.is_none() && given == 0 {
        problems.add(field, "must be MARKETING, UTILITY or AUTHENTICATION");
    }
    category
}

/// The category, or nothing for UNSPECIFIED.
pub(super) fn category_if_given(given: i32, field: &str, problems: &mut Problems) -> Option<TemplateCategory> {
    match v1::TemplateCategory::try_from(given) {
        Ok(v1::TemplateCategory::Unspecified) => None,
        Ok(v1::TemplateCategory::Marketing) => Some(TemplateCategory::Marketing),
        Ok(v1::TemplateCategory::Utility) => Some(TemplateCategory::Utility),
        Ok(v1::TemplateCategory::Authentication) => Some(TemplateCategory::Authentication),
        Err(_) => {
            problems.add(field, "is not one of the categories");
            None
        }
    }
}

/// The parts given, in the order in which Meta shows them.
pub(super) fn components(given: &v1::TemplateParts, field: &str, problems: &mut Problems) -> Vec<Part> {
    let mut parts = Vec::new();
    if let Some(given) = &given.header {
        parts.extend(header(given, &path(field, "header"), problems));
    }
    if let Some(offer) = &given.offer {
        parts.push(Part::LimitedTimeOffer(Offer {
            text: offer.text.clone(),
            has_expiration: offer.has_expiration,
        }));
    }
    parts.extend(given.body.as_ref().map(body));
    if let Some(footer) = &given.footer {
        parts.push(Part::Footer(Footer {
            text: text(&footer.text),
            code_expiration_minutes: footer.code_expiration_minutes,
            other: Map::new(),
        }));
    }
    parts.extend(buttons(&given.buttons, field, problems));
    if !given.cards.is_empty() && fits(given.cards.len(), &path(field, "cards"), problems) {
        let cards = given.cards.iter().enumerate().map(|(index, card)| {
            let field = path(field, &format!("cards[{index}]"));
            let mut components = Vec::new();
            if let Some(given) = &card.header {
                components.extend(header(given, &path(&field, "header"), problems));
            }
            components.extend(card.body.as_ref().map(body));
            components.extend(buttons(&card.buttons, &field, problems));
            Card { components }
        });
        parts.push(Part::Carousel(cards.collect()));
    }
    if fits(given.other_json.len(), &path(field, "other_json"), problems) {
        for (index, json) in given.other_json.iter().enumerate() {
            if let Some(object) = object(json, &path(field, &format!("other_json[{index}]")), problems) {
                parts.push(Part::Other(Value::Object(object)));
            }
        }
    }
    parts
}

fn fits(count: usize, field: &str, problems: &mut Problems) -> bool {
    if count > LIST_MAX {
        problems.add(field, format!("has {count} entries; at most {LIST_MAX} are read"));
    }
    count <= LIST_MAX
}

fn header(given: &v1::TemplateHeaderDefinition, field: &str, problems: &mut Problems) -> Option<Part> {
    let format = match v1::TemplateHeaderFormat::try_from(given.format) {
        Ok(v1::TemplateHeaderFormat::Text) => HeaderFormat::Text,
        Ok(v1::TemplateHeaderFormat::Image) => HeaderFormat::Image,
        Ok(v1::TemplateHeaderFormat::Video) => HeaderFormat::Video,
        Ok(v1::TemplateHeaderFormat::Document) => HeaderFormat::Document,
        Ok(v1::TemplateHeaderFormat::Location) => HeaderFormat::Location,
        Ok(v1::TemplateHeaderFormat::Gif) => HeaderFormat::Gif,
        Ok(v1::TemplateHeaderFormat::Product) => HeaderFormat::Product,
        Ok(v1::TemplateHeaderFormat::Unspecified) | Err(_) => {
            problems.add(path(field, "format"), "is not one of the formats");
            return None;
        }
    };
    Some(Part::Header(Header {
        format,
        text: text(&given.text),
        examples: examples(&given.examples),
        sample: text(&given.sample_handle),
        other: Map::new(),
    }))
}

fn body(given: &v1::TemplateBodyDefinition) -> Part {
    Part::Body(Body {
        text: text(&given.text),
        examples: examples(&given.examples),
        add_security_recommendation: given.add_security_recommendation,
        other: Map::new(),
    })
}

fn examples(given: &[v1::TemplateExample]) -> Vec<Example> {
    let examples = given.iter().map(|example| Example {
        name: text(&example.name),
        value: example.value.clone(),
    });
    examples.collect()
}

fn buttons(given: &[v1::TemplateButtonDefinition], field: &str, problems: &mut Problems) -> Option<Part> {
    if given.is_empty() || !fits(given.len(), &path(field, "buttons"), problems) {
        return None;
    }
    let buttons = given
        .iter()
        .enumerate()
        .filter_map(|(index, given)| button(given, &path(field, &format!("buttons[{index}]")), problems));
    Some(Part::Buttons(buttons.collect()))
}

fn button(given: &v1::TemplateButtonDefinition, field: &str, problems: &mut Problems) -> Option<Button> {
    let action = match given.kind.as_str() {
        "QUICK_REPLY" => ButtonAction::QuickReply,
        "URL" => ButtonAction::Url {
            url: given.url.clone(),
            example: text(&given.example),
        },
        "PHONE_NUMBER" => ButtonAction::PhoneNumber {
            number: given.business_phone.clone(),
        },
        "COPY_CODE" => ButtonAction::CopyCode {
            example: text(&given.example),
        },
        "OTP" => ButtonAction::OneTimePassword {
            kind: text(&given.otp_type),
        },
        "FLOW" => ButtonAction::Flow,
        "CATALOG" => ButtonAction::Catalog,
        "MPM" => ButtonAction::MultiProduct,
        "ORDER_DETAILS" => ButtonAction::OrderDetails,
        "VOICE_CALL" => ButtonAction::VoiceCall,
        kind if !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') => {
            ButtonAction::Other { kind: kind.to_owned() }
        }
        _ => {
            problems.add(path(field, "kind"), "must be Meta's word for the kind, in capitals");
            return None;
        }
    };
    let other = if given.other_json.is_empty() {
        Map::new()
    } else {
        object(&given.other_json, &path(field, "other_json"), problems)?
    };
    Some(Button {
        label: text(&given.label),
        action,
        other,
    })
}

fn object(json: &str, field: &str, problems: &mut Problems) -> Option<Map<String, Value>> {
    let parsed: Option<Map<String, Value>> = serde_json::from_str(json).ok();
    if parsed.is_none() {
        problems.add(field, "is not a JSON object");
    }
    parsed
}

fn text(given: &str) -> Option<String> {
    (!given.is_empty()).then(|| given.to_owned())
}

//! Reading a definition as Meta lists it. Total: a part of an unexpected shape is kept as it is.

use serde_json::Value;

use super::definition::{
    Body, Button, ButtonAction, Card, Definition, Example, Footer, Header, HeaderFormat, Offer, ParameterFormat, Part,
};
use crate::client::{TemplateCategory, TemplateInfo};
use crate::json::Fields;

impl Definition {
    /// The definition of a listed template; `None` if the listing names neither name nor language. An absent category counts as
    /// marketing, the strictest one.
    pub fn from_info(info: &TemplateInfo) -> Option<Self> {
        let components = info.components.iter();
        Some(Self {
            name: info.name.clone()?,
            language: info.language.clone()?,
            category: info.category.clone().unwrap_or(TemplateCategory::Marketing),
            parameter_format: ParameterFormat::from_word(info.parameter_format.as_deref()),
            components: components
                .map(|component| Part::from_value(component.to_value()))
                .collect(),
            message_send_ttl_seconds: info.message_send_ttl_seconds,
        })
    }

    /// Reads a definition from the JSON with which it is created or listed; `None` without name and language.
    pub fn from_value(value: Value) -> Option<Self> {
        Self::from_info(&TemplateInfo::from_value(value)?)
    }
}

impl ParameterFormat {
    fn from_word(word: Option<&str>) -> Self {
        match word {
            Some(word) if word.eq_ignore_ascii_case("NAMED") => Self::Named,
            _ => Self::Positional,
        }
    }
}

impl Part {
    /// Reads one member of `components`.
    pub fn from_value(value: Value) -> Self {
        Self::read(&value).unwrap_or(Self::Other(value))
    }

    /// `None` for what is not modelled, so that nothing of it is lost.
    fn read(value: &Value) -> Option<Self> {
        let mut fields = Fields::from_value(value.clone())?;
        let kind = fields.filled_text("type")?.to_ascii_uppercase();
        let part = match kind.as_str() {
            "HEADER" => return Some(Self::Header(Header::read(fields))),
            "BODY" => return Some(Self::Body(Body::read(fields))),
            "FOOTER" => {
                return Some(Self::Footer(Footer {
                    text: fields.filled_text("text"),
                    code_expiration_minutes: fields.integer("code_expiration_minutes"),
                    other: fields.into_rest(),
                }));
            }
            "BUTTONS" => Self::Buttons(
                fields
                    .list("buttons")
                    .into_iter()
                    .map(Button::read)
                    .collect::<Option<_>>()?,
            ),
            "LIMITED_TIME_OFFER" => {
                let mut offer = fields.object("limited_time_offer")?;
                Self::LimitedTimeOffer(Offer {
                    text: offer.filled_text("text")?,
                    has_expiration: offer.boolean("has_expiration").unwrap_or(false),
                })
            }
            "CAROUSEL" => Self::Carousel(
                fields
                    .list("cards")
                    .into_iter()
                    .map(Card::read)
                    .collect::<Option<_>>()?,
            ),
            _ => return None,
        };
        fields.into_rest().is_empty().then_some(part)
    }
}

impl Header {
    fn read(mut fields: Fields) -> Self {
        let format = fields.filled_text("format").unwrap_or_else(|| "TEXT".to_owned());
        let mut example = fields.object("example").unwrap_or_default();
        let mut examples = named_examples(&mut example, "header_text_named_params");
        examples.extend(example.list("header_text").into_iter().filter_map(positional_example));
        let mut samples = example.list("header_handle").into_iter().filter_map(text_of);
        Self {
            format: HeaderFormat::from(format.to_ascii_uppercase()),
            text: fields.filled_text("text"),
            examples,
            sample: samples.next(),
            other: fields.into_rest(),
        }
    }
}

impl Body {
    fn read(mut fields: Fields) -> Self {
        let mut example = fields.object("example").unwrap_or_default();
        let mut examples = named_examples(&mut example, "body_text_named_params");
        // One row for each set of examples; one is enough.
        let row = example.list("body_text").into_iter().next();
        if let Some(Value::Array(row)) = row {
            examples.extend(row.into_iter().filter_map(positional_example));
        } else {
            examples.extend(row.and_then(positional_example));
        }
        Self {
            text: fields.filled_text("text"),
            examples,
            add_security_recommendation: fields.boolean("add_security_recommendation"),
            other: fields.into_rest(),
        }
    }
}

impl Button {
    /// `None` if it is no object with a kind.
    fn read(value: Value) -> Option<Self> {
        let mut fields = Fields::from_value(value)?;
        let kind = fields.filled_text("type")?.to_ascii_uppercase();
        let action = match kind.as_str() {
            "QUICK_REPLY" => ButtonAction::QuickReply,
            "URL" => ButtonAction::Url {
                url: fields.filled_text("url").unwrap_or_default(),
                example: first_example(&mut fields),
            },
            "PHONE_NUMBER" => ButtonAction::PhoneNumber {
                number: fields.filled_text("phone_number").unwrap_or_default(),
            },
            "COPY_CODE" => ButtonAction::CopyCode {
                example: first_example(&mut fields),
            },
            "OTP" => ButtonAction::OneTimePassword {
                kind: fields.filled_text("otp_type"),
            },
            "FLOW" => ButtonAction::Flow,
            "CATALOG" => ButtonAction::Catalog,
            "MPM" => ButtonAction::MultiProduct,
            "ORDER_DETAILS" => ButtonAction::OrderDetails,
            "VOICE_CALL" => ButtonAction::VoiceCall,
            _ => ButtonAction::Other { kind },
        };
        Some(Self {
            label: fields.filled_text("text"),
            action,
            other: fields.into_rest(),
        })
    }
}

impl Card {
    fn read(value: Value) -> Option<Self> {
        let mut fields = Fields::from_value(value)?;
        let components = fields
            .list("components")
            .into_iter()
            .map(|part| match part.get("type") {
                // Cards hold no cards: refusing them here bounds how deep this goes.
                Some(Value::String(kind)) if kind.eq_ignore_ascii_case("CAROUSEL") => Part::Other(part),
                _ => Part::from_value(part),
            });
        Some(Self {
            components: components.collect(),
        })
    }
}

fn named_examples(example: &mut Fields, key: &str) -> Vec<Example> {
    let named = example.objects(key).into_iter().filter_map(|mut fields| {
        Some(Example {
            name: fields.filled_text("param_name"),
            value: fields.text("example")?,
        })
    });
    named.collect()
}

fn positional_example(value: Value) -> Option<Example> {
    let value = text_of(value)?;
    Some(Example { name: None, value })
}

/// `example` of a button: a list with one member, or the member alone.
fn first_example(fields: &mut Fields) -> Option<String> {
    let listed = fields.list("example").into_iter().find_map(text_of);
    listed.or_else(|| fields.filled_text("example"))
}

fn text_of(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

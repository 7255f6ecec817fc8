//! Reading back the components of a template as they were written. Needed where they lie in a log as JSON.

use serde_json::Value;

use super::Invalid;
use super::check::Checker;
use super::content::Location;
use super::media::{Document, Media, MediaSource};
use super::parameter::{Currency, DateTime, FlowAction, Parameter, ParameterValue, Product};
use super::template::{ButtonKind, CarouselCard, Component, Template, WrittenTemplate};
use crate::json::Fields;

/// Kinds of parameters that are carried without a model of their own.
const OTHER_KINDS: &[&str] = &["gif", "order_details", "order_status"];

impl Template {
    /// Reads what [`Template`] writes. What cannot be read is told with its path, all at once.
    pub fn from_written(written: &WrittenTemplate) -> Result<Self, Invalid> {
        let mut checker = Checker::default();
        let mut components = Vec::new();
        checker.field("template", |checker| {
            let empty = Vec::new();
            let listed = match &written.components {
                Value::Array(listed) => listed,
                Value::Null => &empty,
                _ => {
                    checker.problem_at("components", "no list", "a list of components");
                    &empty
                }
            };
            components = read_each("components", listed, checker, |component| {
                read_component(component, true)
            });
        });
        checker.finish()?;
        Ok(Self {
            name: written.name.clone(),
            language: written.language.clone(),
            components,
        })
    }
}

fn read_each<T>(name: &str, listed: &[Value], checker: &mut Checker, read: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    let mut found = Vec::with_capacity(listed.len());
    checker.each(name, listed, |checker, value| match read(value) {
        Some(one) => found.push(one),
        None => checker.problem("not readable", "a component as the Cloud API describes it"),
    });
    found
}

/// `None` for anything that is not a component. Cards hold no carousel, which bounds how deep this goes.
fn read_component(value: &Value, may_hold_cards: bool) -> Option<Component> {
    let mut fields = Fields::from_value(value.clone())?;
    let parameters = |fields: &mut Fields| -> Option<Vec<Parameter>> {
        fields.list("parameters").into_iter().map(read_parameter).collect()
    };
    match fields.text("type")?.to_ascii_lowercase().as_str() {
        "header" => Some(Component::Header(parameters(&mut fields)?)),
        "body" => Some(Component::Body(parameters(&mut fields)?)),
        "button" => Some(Component::Button {
            kind: ButtonKind::from_word(&fields.text("sub_type")?)?,
            index: u8::try_from(fields.integer("index")?).ok()?,
            parameters: parameters(&mut fields)?,
        }),
        "limited_time_offer" => {
            let mut parameter = fields.objects("parameters").into_iter().next()?;
            let expiration_time_ms = parameter.object("limited_time_offer")?.integer("expiration_time_ms")?;
            Some(Component::LimitedTimeOffer { expiration_time_ms })
        }
        "carousel" if may_hold_cards => {
            let cards = fields.list("cards").into_iter().map(read_card);
            Some(Component::Carousel(cards.collect::<Option<_>>()?))
        }
        _ => None,
    }
}

fn read_card(value: Value) -> Option<CarouselCard> {
    let mut fields = Fields::from_value(value)?;
    let card_index = u8::try_from(fields.integer("card_index")?).ok()?;
    let components = fields.list("components").into_iter();
    Some(CarouselCard {
        card_index,
        components: components
            .map(|component| read_component(&component, false))
            .collect::<Option<_>>()?,
    })
}

fn read_parameter(value: Value) -> Option<Parameter> {
    let mut fields = Fields::from_value(value)?;
    let kind = fields.text("type")?.to_ascii_lowercase();
    let value = match kind.as_str() {
        "text" => ParameterValue::Text(fields.text("text")?),
        "payload" => ParameterValue::Payload(fields.text("payload")?),
        "coupon_code" => ParameterValue::CouponCode(fields.text("coupon_code")?),
        "currency" => {
            let mut currency = fields.object("currency")?;
            ParameterValue::Currency(Currency {
                fallback_value: currency.text("fallback_value")?,
                code: currency.text("code")?,
                amount_1000: currency.integer("amount_1000")?,
            })
        }
        "date_time" => ParameterValue::DateTime(DateTime {
            fallback_value: fields.object("date_time")?.text("fallback_value")?,
        }),
        "image" => ParameterValue::Image(read_media(fields.object("image")?)?),
        "video" => ParameterValue::Video(read_media(fields.object("video")?)?),
        "document" => {
            let mut document = fields.object("document")?;
            ParameterValue::Document(Document {
                caption: document.text("caption"),
                filename: document.text("filename"),
                source: read_media(document)?.source,
            })
        }
        "location" => {
            let mut location = fields.object("location")?;
            ParameterValue::Location(Location {
                latitude: location.number("latitude")?,
                longitude: location.number("longitude")?,
                name: location.text("name"),
                address: location.text("address"),
            })
        }
        "product" => {
            let mut product = fields.object("product")?;
            ParameterValue::Product(Product {
                product_retailer_id: product.text("product_retailer_id")?,
                catalog_id: product.text("catalog_id")?,
            })
        }
        "action" => ParameterValue::Action(read_action(fields.object("action")?)),
        other => ParameterValue::Other {
            kind: OTHER_KINDS.iter().find(|known| **known == other)?,
            value: fields.take(other)?,
        },
    };
    Some(Parameter {
        name: fields.text("parameter_name"),
        value,
    })
}

fn read_media(mut fields: Fields) -> Option<Media> {
    let id = fields.filled_text("id").map(MediaSource::Id);
    let source = id.or_else(|| fields.filled_text("link").map(MediaSource::Link))?;
    Some(Media { source })
}

fn read_action(mut fields: Fields) -> FlowAction {
    FlowAction {
        flow_token: fields.text("flow_token"),
        flow_action_data: fields.take("flow_action_data"),
        thumbnail_product_retailer_id: fields.text("thumbnail_product_retailer_id"),
        sections: fields.take("sections"),
    }
}

impl ButtonKind {
    fn from_word(word: &str) -> Option<Self> {
        const ALL: [ButtonKind; 8] = [
            ButtonKind::QuickReply,
            ButtonKind::Url,
            ButtonKind::CopyCode,
            ButtonKind::Flow,
            ButtonKind::Catalog,
            ButtonKind::MultiProduct,
            ButtonKind::OrderDetails,
            ButtonKind::VoiceCall,
        ];
        ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(components: Value) -> WrittenTemplate {
        WrittenTemplate {
            name: "order_ready".into(),
            language: "en_US".into(),
            components,
        }
    }

    #[test]
    fn what_was_written_is_read_back() {
        let action = FlowAction {
            flow_token: Some("ft".into()),
            flow_action_data: Some(json!({"store": 1})),
            ..FlowAction::default()
        };
        let document = Document {
            source: MediaSource::Link("https://a.example/x.pdf".into()),
            caption: None,
            filename: Some("x.pdf".into()),
        };
        let location = Location {
            latitude: 1.5,
            longitude: -2.0,
            name: Some("Harbor".into()),
            address: None,
        };
        let money = Currency {
            fallback_value: "$1".into(),
            code: "USD".into(),
            amount_1000: 1_000,
        };
        let body = vec![
            Parameter::named("name", ParameterValue::Text("Ana".into())),
            Parameter::positional(ParameterValue::Currency(money)),
            Parameter::positional(ParameterValue::DateTime(DateTime {
                fallback_value: "May 3".into(),
            })),
        ];
        let button = |kind, index, value| Component::Button {
            kind,
            index,
            parameters: vec![Parameter::positional(value)],
        };
        let card = CarouselCard {
            card_index: 0,
            components: vec![Component::Header(vec![Parameter::positional(
                ParameterValue::Location(location),
            )])],
        };
        let template = Template {
            name: "order_ready".into(),
            language: "en_US".into(),
            components: vec![
                Component::Header(vec![Parameter::positional(ParameterValue::Document(document))]),
                Component::Body(body),
                button(ButtonKind::QuickReply, 0, ParameterValue::Payload("STOP".into())),
                button(ButtonKind::CopyCode, 1, ParameterValue::CouponCode("MAY15".into())),
                button(ButtonKind::Flow, 2, ParameterValue::Action(action)),
                Component::LimitedTimeOffer { expiration_time_ms: 5 },
                Component::Carousel(vec![card]),
            ],
        };
        let components = serde_json::to_value(&template.components).unwrap();
        assert_eq!(Template::from_written(&written(components)), Ok(template));
        assert!(
            Template::from_written(&written(Value::Null))
                .unwrap()
                .components
                .is_empty()
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let odd = json!([
            {"type": "body", "parameters": [{"type": "text", "text": "Ana"}]},
            {"type": "body", "parameters": [{"type": "novel"}]},
            {"type": "button", "sub_type": "url", "index": 300},
            {"type": "carousel", "cards": [{"card_index": 0, "components": [{"type": "carousel", "cards": []}]}]},
            1
        ]);
        let invalid = Template::from_written(&written(odd)).unwrap_err();
        let paths: Vec<&str> = invalid.problems.iter().map(|problem| problem.path.as_str()).collect();
        let expected = [1, 2, 3, 4].map(|at| format!("template.components[{at}]"));
        assert_eq!(paths, expected);
        let invalid = Template::from_written(&written(json!("x"))).unwrap_err();
        assert_eq!(invalid.problems[0].path, "template.components");
    }
}

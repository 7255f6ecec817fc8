//! What fills the variables and buttons of a template.

use super::{given, interactive, json, json::text_of, media};
use crate::problems::{Problems, path};
use assent_proto::v1::{self, template_button::Value as ButtonValue, template_parameter::Value as Given};
use assent_whatsapp::{
    limits,
    message::{ButtonKind, Component, Currency, DateTime, FlowAction, Media, Parameter, ParameterValue, Product},
};
use serde_json::{Value, json};

/// Where values go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// Into the header.
    Header,
    /// Into the body.
    Body,
}

impl Place {
    const fn list(self) -> &'static str {
        match self {
            Self::Header => "header_parameters",
            Self::Body => "body_parameters",
        }
    }

    const fn missing(self) -> &'static str {
        match self {
            Self::Header => "must have a text, an image, a video, a document, a location or a product",
            Self::Body => "must have a text, a currency or a date_time",
        }
    }
}

/// Meta's parameters out of ours; `None` if one has no value. `field` is the path of the template or card.
pub(super) fn parse(
    parameters: &[v1::TemplateParameter],
    place: Place,
    field: &str,
    problems: &mut Problems,
) -> Option<Vec<Parameter>> {
    let mut parsed = Vec::with_capacity(parameters.len());
    for (at, parameter) in parameters.iter().enumerate() {
        let Some(value) = &parameter.value else {
            problems.add(path(field, &format!("{}[{at}]", place.list())), place.missing());
            continue;
        };
        let value = match value {
            Given::Text(text) => ParameterValue::Text(text.clone()),
            other => rich(other, &path(field, &format!("{}[{at}]", place.list())), problems),
        };
        parsed.push(Parameter {
            name: given(&parameter.name),
            value,
        });
    }
    (parsed.len() == parameters.len()).then_some(parsed)
}

/// Everything but text; `field` is the path of the parameter.
fn rich(value: &Given, field: &str, problems: &mut Problems) -> ParameterValue {
    let mut file = |file, kind| Media {
        source: media::source(Some(file), &path(field, kind), problems),
    };
    match value {
        Given::Text(text) => ParameterValue::Text(text.clone()),
        Given::Currency(amount) => ParameterValue::Currency(Currency {
            fallback_value: amount.fallback_value.clone(),
            code: amount.code.clone(),
            amount_1000: amount.amount_1000,
        }),
        Given::DateTime(moment) => ParameterValue::DateTime(DateTime {
            fallback_value: moment.fallback_value.clone(),
        }),
        Given::Image(image) => ParameterValue::Image(file(image, "image")),
        Given::Video(video) => ParameterValue::Video(file(video, "video")),
        Given::Document(document) => {
            let field = path(field, "document");
            ParameterValue::Document(media::header_document(document, &field, problems))
        }
        Given::Location(place) => ParameterValue::Location(media::place(place, &path(field, "location"), problems)),
        Given::Product(product) => ParameterValue::Product(Product {
            product_retailer_id: product.product_retailer_id.clone(),
            catalog_id: product.catalog_id.clone(),
        }),
    }
}

/// A button's component; `None` if it has no value. `within` is its path in `field`, that of the template or card.
pub(super) fn button(
    button: &v1::TemplateButton,
    within: &str,
    field: &str,
    problems: &mut Problems,
) -> Option<Component> {
    let Some(value) = &button.value else {
        problems.add(
            path(field, within),
            "must have a url_suffix, a quick_reply_payload, a copy_code, a flow, a catalog or products",
        );
        return None;
    };
    let (kind, value) = match value {
        ButtonValue::UrlSuffix(suffix) => (ButtonKind::Url, ParameterValue::Text(suffix.clone())),
        ButtonValue::QuickReplyPayload(payload) => (ButtonKind::QuickReply, ParameterValue::Payload(payload.clone())),
        ButtonValue::CopyCode(code) => (ButtonKind::CopyCode, ParameterValue::CouponCode(code.clone())),
        ButtonValue::Flow(flow) => {
            let field = path(&path(field, within), "flow.data");
            (
                ButtonKind::Flow,
                ParameterValue::Action(flow_action(flow, &field, problems)),
            )
        }
        ButtonValue::Catalog(catalog) => {
            let action = FlowAction {
                thumbnail_product_retailer_id: given(&catalog.thumbnail_product_retailer_id),
                ..FlowAction::default()
            };
            (ButtonKind::Catalog, ParameterValue::Action(action))
        }
        ButtonValue::Products(products) => {
            let field = path(&path(field, within), "products");
            let action = products_action(products, &field, problems);
            (ButtonKind::MultiProduct, ParameterValue::Action(action))
        }
    };
    // A button without anything to say, such as a catalog without a picture, has no parameter at all.
    let is_empty = matches!(&value, ParameterValue::Action(action) if *action == FlowAction::default());
    Some(Component::Button {
        kind,
        // Too large an index stays too large.
        index: u8::try_from(button.index).unwrap_or(u8::MAX),
        parameters: if is_empty {
            Vec::new()
        } else {
            vec![Parameter::positional(value)]
        },
    })
}

fn flow_action(flow: &v1::TemplateFlow, field: &str, problems: &mut Problems) -> FlowAction {
    let data = flow.data.as_ref().and_then(|data| {
        let data = json::object(data);
        if data.is_none() {
            problems.add(field, "holds a number that is not finite");
        }
        data
    });
    FlowAction {
        flow_token: given(&flow.token),
        flow_action_data: data.map(Value::Object),
        ..FlowAction::default()
    }
}

fn products_action(products: &v1::TemplateProducts, field: &str, problems: &mut Problems) -> FlowAction {
    if products.thumbnail_product_retailer_id.is_empty() {
        problems.add(path(field, "thumbnail_product_retailer_id"), "is missing");
    }
    let sections = &products.sections;
    if !(1..=limits::LIST_SECTIONS_MAX).contains(&sections.len()) {
        let allowed = format!("must have 1 to {} entries", limits::LIST_SECTIONS_MAX);
        problems.add(path(field, "sections"), allowed);
    }
    let count: usize = sections.iter().map(|section| section.product_retailer_ids.len()).sum();
    let is_blank = |section: &v1::ProductSection| {
        let ids = &section.product_retailer_ids;
        ids.is_empty() || ids.iter().any(|id| id.trim().is_empty())
    };
    if count > limits::PRODUCTS_MAX || sections.iter().any(is_blank) {
        let allowed = format!(
            "must have 1 to {} products in all, none without an id",
            limits::PRODUCTS_MAX
        );
        problems.add(path(field, "sections"), allowed);
    }
    if sections.len() > 1 && sections.iter().any(|section| section.title.trim().is_empty()) {
        problems.add(
            path(field, "sections"),
            "must each have a title where there are several",
        );
    }
    let section = |section: &v1::ProductSection| {
        let items = section.product_retailer_ids.iter();
        let items: Vec<Value> = items.map(|id| json!({ "product_retailer_id": id })).collect();
        match given(&section.title) {
            Some(title) => json!({ "title": title, "product_items": items }),
            None => json!({ "product_items": items }),
        }
    };
    FlowAction {
        thumbnail_product_retailer_id: given(&products.thumbnail_product_retailer_id),
        sections: Some(sections.iter().take(limits::LIST_SECTIONS_MAX).map(section).collect()),
        ..FlowAction::default()
    }
}

/// A path within Meta's parameters as ours has it: `[0].image.id` is `[0].image.media_id`.
pub(super) fn translate(within: &str) -> String {
    let Some((at, rest)) = within.split_once("].") else {
        return within.to_owned();
    };
    let ours = match rest.split_once('.') {
        Some(("document", part @ ("id" | "link"))) => {
            format!("document.media.{}", media::translate_source(part))
        }
        Some((kind, part)) => format!("{kind}.{}", media::translate_source(part)),
        None if rest == "type" => return format!("{at}]"),
        None if rest == "parameter_name" => "name".to_owned(),
        None => rest.to_owned(),
    };
    format!("{at}].{ours}")
}

/// A parameter as the contract has it; without a value if the contract cannot say it.
pub(super) fn render(parameter: &Value) -> v1::TemplateParameter {
    let kind = text_of(parameter, "type");
    let value = parameter.get(&kind);
    v1::TemplateParameter {
        name: text_of(parameter, "parameter_name"),
        value: value.and_then(|value| render_value(&kind, value)),
    }
}

fn render_value(kind: &str, value: &Value) -> Option<Given> {
    Some(match kind {
        "text" => Given::Text(value.as_str()?.to_owned()),
        "currency" => Given::Currency(v1::CurrencyValue {
            fallback_value: text_of(value, "fallback_value"),
            code: text_of(value, "code"),
            amount_1000: value.get("amount_1000").and_then(Value::as_i64).unwrap_or_default(),
        }),
        "date_time" => Given::DateTime(v1::DateTimeValue {
            fallback_value: text_of(value, "fallback_value"),
        }),
        "image" => Given::Image(media::render_source(value)),
        "video" => Given::Video(media::render_source(value)),
        "document" => Given::Document(media::render_header_document(value)),
        "location" => Given::Location(media::render_location(value)),
        "product" => Given::Product(interactive::render_product(value)),
        _ => return None,
    })
}

/// A button as the contract has it, if it can say it.
pub(super) fn render_button(component: &Value, parameters: &[Value]) -> Option<v1::TemplateButton> {
    let parameter = parameters.first().unwrap_or(&Value::Null);
    let action = parameter.get("action").unwrap_or(&Value::Null);
    let thumbnail = || text_of(action, "thumbnail_product_retailer_id");
    let value = match text_of(component, "sub_type").as_str() {
        "url" => ButtonValue::UrlSuffix(text_of(parameter, "text")),
        "quick_reply" => ButtonValue::QuickReplyPayload(text_of(parameter, "payload")),
        "copy_code" => ButtonValue::CopyCode(text_of(parameter, "coupon_code")),
        "flow" => ButtonValue::Flow(v1::TemplateFlow {
            token: text_of(action, "flow_token"),
            data: action
                .get("flow_action_data")
                .and_then(Value::as_object)
                .map(json::structure),
        }),
        "catalog" => ButtonValue::Catalog(v1::CatalogButton {
            thumbnail_product_retailer_id: thumbnail(),
        }),
        "mpm" => ButtonValue::Products(v1::TemplateProducts {
            thumbnail_product_retailer_id: thumbnail(),
            sections: json::list_of(action, "sections")
                .iter()
                .map(interactive::render_products)
                .collect(),
        }),
        _ => return None,
    };
    Some(v1::TemplateButton {
        index: text_of(component, "index").parse().unwrap_or_default(),
        value: Some(value),
    })
}

//! Messages that are answered by tapping.

use super::{
    ParsedContent, free_form, given, json,
    json::{list_of, text_of},
    media,
};
use crate::problems::{Problems, path};
use assent_domain::events::FreeForm;
use assent_proto::v1::{self, interactive_content::Action as Given, interactive_header::Kind};
use assent_whatsapp::message::{
    self as whatsapp, Action, Flow, FlowScreen, Header, ListRow, ListSection, Media, ReplyButton,
};
use serde_json::Value;

pub(super) fn parse(
    interactive: &v1::InteractiveContent,
    field: &str,
    problems: &mut Problems,
) -> Option<ParsedContent> {
    let own = path(field, "interactive");
    let header = interactive.header.as_ref();
    let header = header.and_then(|given| parse_header(given, &path(&own, "header"), problems));
    let Some(action) = &interactive.action else {
        problems.add(own, "must have an action: what can be tapped");
        return None;
    };
    let content = whatsapp::Content::Interactive(whatsapp::Interactive {
        header,
        body: given(&interactive.body),
        footer: given(&interactive.footer),
        action: parse_action(action, &own, problems),
    });
    let translate = |meta: &str| translate(meta, action);
    free_form(FreeForm::Interactive, &content, translate, field, problems)
}

fn parse_header(header: &v1::InteractiveHeader, field: &str, problems: &mut Problems) -> Option<Header> {
    let mut file = |media, kind| Media {
        source: media::source(Some(media), &path(field, kind), problems),
    };
    Some(match &header.kind {
        Some(Kind::Text(text)) => Header::Text(text.clone()),
        Some(Kind::Image(media)) => Header::Image(file(media, "image")),
        Some(Kind::Video(media)) => Header::Video(file(media, "video")),
        Some(Kind::Document(document)) => {
            Header::Document(media::header_document(document, &path(field, "document"), problems))
        }
        None => {
            problems.add(field, "must have a text, an image, a video or a document");
            return None;
        }
    })
}

fn parse_action(action: &Given, field: &str, problems: &mut Problems) -> Action {
    match action {
        Given::ReplyButtons(buttons) => Action::ReplyButtons(buttons.buttons.iter().map(reply_button).collect()),
        Given::List(list) => Action::List {
            button: list.button.clone(),
            sections: list.sections.iter().map(choices).collect(),
        },
        Given::LinkButton(link) => Action::CtaUrl {
            display_text: link.label.clone(),
            url: link.url.clone(),
        },
        Given::LocationRequest(_) => Action::LocationRequest,
        Given::Flow(flow) => Action::Flow(parse_flow(flow, &path(field, "flow"), problems)),
        Given::Product(product) => Action::Product {
            catalog_id: product.catalog_id.clone(),
            product_retailer_id: product.product_retailer_id.clone(),
        },
        Given::ProductList(list) => Action::ProductList {
            catalog_id: list.catalog_id.clone(),
            sections: list.sections.iter().map(products).collect(),
        },
        Given::Catalog(catalog) => Action::Catalog {
            thumbnail_product_retailer_id: given(&catalog.thumbnail_product_retailer_id),
        },
    }
}

fn reply_button(button: &v1::ReplyButton) -> ReplyButton {
    ReplyButton {
        id: button.id.clone(),
        title: button.title.clone(),
    }
}

fn choices(section: &v1::ChoiceSection) -> ListSection {
    let row = |row: &v1::Choice| ListRow {
        id: row.id.clone(),
        title: row.title.clone(),
        description: given(&row.description),
    };
    ListSection {
        title: given(&section.title),
        rows: section.rows.iter().map(row).collect(),
    }
}

pub(super) fn products(section: &v1::ProductSection) -> whatsapp::ProductSection {
    whatsapp::ProductSection {
        title: given(&section.title),
        product_retailer_ids: section.product_retailer_ids.clone(),
    }
}

fn parse_flow(flow: &v1::FlowButton, field: &str, problems: &mut Problems) -> Flow {
    let mut screen = |screen: &v1::FlowScreen| {
        let data = screen.data.as_ref().and_then(|data| {
            let data = json::object(data);
            if data.is_none() {
                let field = path(field, "first_screen.data");
                problems.add(field, "holds a number that is not finite");
            }
            data
        });
        FlowScreen {
            screen: screen.screen.clone(),
            data,
        }
    };
    Flow {
        flow_id: flow.flow_id.clone(),
        cta: flow.label.clone(),
        token: given(&flow.token),
        draft: flow.draft,
        first_screen: flow.first_screen.as_ref().map(&mut screen),
    }
}

/// A path in Meta's body as a path in ours.
fn translate(meta: &str, action: &Given) -> String {
    let within = meta.strip_prefix("interactive.").unwrap_or(meta);
    let ours = match within.split_once('.') {
        Some(("header", rest)) => translate_header(rest),
        Some((part @ ("body" | "footer"), _)) => part.to_owned(),
        Some(("action", rest)) => translate_action(rest, action),
        _ => within.to_owned(),
    };
    path("interactive", &ours)
}

fn translate_header(rest: &str) -> String {
    match rest.split_once('.') {
        Some(("document", within @ ("id" | "link"))) => {
            format!("header.document.media.{}", media::translate_source(within))
        }
        Some((kind, within)) => format!("header.{kind}.{}", media::translate_source(within)),
        None if rest == "type" => "header".to_owned(),
        None => format!("header.{rest}"),
    }
}

fn translate_action(rest: &str, action: &Given) -> String {
    let of_parameters = rest.strip_prefix("parameters.").unwrap_or(rest);
    match action {
        Given::ReplyButtons(_) => format!("reply_buttons.{}", rest.replace(".reply", "")),
        Given::List(_) => format!("list.{rest}"),
        Given::LinkButton(_) => format!("link_button.{}", of_parameters.replace("display_text", "label")),
        Given::LocationRequest(_) => "location_request".to_owned(),
        Given::Flow(_) => {
            let ours = of_parameters.replace("flow_cta", "label");
            format!("flow.{}", ours.replace("flow_action_payload", "first_screen"))
        }
        Given::Product(_) => format!("product.{rest}"),
        Given::ProductList(_) => format!("product_list.{}", translate_products(rest)),
        Given::Catalog(_) => format!("catalog.{of_parameters}"),
    }
}

/// A path within sections of products.
pub(super) fn translate_products(rest: &str) -> String {
    rest.replace(".product_retailer_id", "")
        .replace("product_items", "product_retailer_ids")
}

/// The content, if its action is one that the contract can say.
pub(super) fn render(body: &Value) -> Option<v1::InteractiveContent> {
    let text_beneath = |key: &str| body.get(key).map_or_else(String::new, |part| text_of(part, "text"));
    let action = body.get("action")?;
    Some(v1::InteractiveContent {
        header: body.get("header").and_then(render_header),
        body: text_beneath("body"),
        footer: text_beneath("footer"),
        action: Some(render_action(&text_of(body, "type"), action)?),
    })
}

fn render_header(header: &Value) -> Option<v1::InteractiveHeader> {
    let kind = text_of(header, "type");
    let value = header.get(&kind)?;
    let kind = match kind.as_str() {
        "text" => Kind::Text(value.as_str()?.to_owned()),
        "image" => Kind::Image(media::render_source(value)),
        "video" => Kind::Video(media::render_source(value)),
        "document" => Kind::Document(media::render_header_document(value)),
        _ => return None,
    };
    Some(v1::InteractiveHeader { kind: Some(kind) })
}

fn render_action(kind: &str, action: &Value) -> Option<Given> {
    let parameters = action.get("parameters").unwrap_or(&Value::Null);
    Some(match kind {
        "button" => Given::ReplyButtons(v1::ReplyButtons {
            buttons: list_of(action, "buttons").iter().filter_map(render_button).collect(),
        }),
        "list" => Given::List(v1::ChoiceList {
            button: text_of(action, "button"),
            sections: list_of(action, "sections").iter().map(render_choices).collect(),
        }),
        "cta_url" => Given::LinkButton(v1::LinkButton {
            label: text_of(parameters, "display_text"),
            url: text_of(parameters, "url"),
        }),
        "location_request_message" => Given::LocationRequest(v1::LocationRequest {}),
        "flow" => Given::Flow(render_flow(parameters)),
        "product" => Given::Product(render_product(action)),
        "product_list" => Given::ProductList(v1::ProductList {
            catalog_id: text_of(action, "catalog_id"),
            sections: list_of(action, "sections").iter().map(render_products).collect(),
        }),
        "catalog_message" => Given::Catalog(v1::CatalogButton {
            thumbnail_product_retailer_id: text_of(parameters, "thumbnail_product_retailer_id"),
        }),
        _ => return None,
    })
}

fn render_button(button: &Value) -> Option<v1::ReplyButton> {
    let reply = button.get("reply")?;
    Some(v1::ReplyButton {
        id: text_of(reply, "id"),
        title: text_of(reply, "title"),
    })
}

fn render_choices(section: &Value) -> v1::ChoiceSection {
    let row = |row: &Value| v1::Choice {
        id: text_of(row, "id"),
        title: text_of(row, "title"),
        description: text_of(row, "description"),
    };
    v1::ChoiceSection {
        title: text_of(section, "title"),
        rows: list_of(section, "rows").iter().map(row).collect(),
    }
}

fn render_flow(parameters: &Value) -> v1::FlowButton {
    let screen = |payload: &Value| v1::FlowScreen {
        screen: text_of(payload, "screen"),
        data: payload.get("data").and_then(Value::as_object).map(json::structure),
    };
    v1::FlowButton {
        flow_id: text_of(parameters, "flow_id"),
        label: text_of(parameters, "flow_cta"),
        token: text_of(parameters, "flow_token"),
        draft: text_of(parameters, "mode") == "draft",
        first_screen: parameters.get("flow_action_payload").map(screen),
    }
}

pub(super) fn render_product(product: &Value) -> v1::ProductReference {
    v1::ProductReference {
        catalog_id: text_of(product, "catalog_id"),
        product_retailer_id: text_of(product, "product_retailer_id"),
    }
}

pub(super) fn render_products(section: &Value) -> v1::ProductSection {
    let items = list_of(section, "product_items").iter();
    v1::ProductSection {
        title: text_of(section, "title"),
        product_retailer_ids: items.map(|item| text_of(item, "product_retailer_id")).collect(),
    }
}

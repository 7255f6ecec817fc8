//! Buttons, lists, links, flows and products (Cloud API, "Interactive messages").

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value, json};

use super::check::Checker;
use super::media::{Document, Media};
use super::wire::{Single, Tagged};
use crate::limits;
use crate::redact::redacted_debug;

/// A message the user answers by tapping.
#[derive(Clone, PartialEq)]
pub struct Interactive {
    /// Above the text.
    pub header: Option<Header>,
    /// The text; required except with a single product.
    pub body: Option<String>,
    /// Beneath the text.
    pub footer: Option<String>,
    /// What can be tapped.
    pub action: Action,
}

/// Above the text of an interactive message.
#[derive(Clone, PartialEq)]
pub enum Header {
    /// Up to 60 characters.
    Text(String),
    /// An image.
    Image(Media),
    /// A video.
    Video(Media),
    /// A file.
    Document(Document),
}

/// What can be tapped.
#[derive(Clone, PartialEq)]
pub enum Action {
    /// Up to three buttons that answer.
    ReplyButtons(Vec<ReplyButton>),
    /// A list to choose from.
    List {
        /// Label that opens the list.
        button: String,
        /// The choices.
        sections: Vec<ListSection>,
    },
    /// One button that opens a web page.
    CtaUrl {
        /// Label.
        display_text: String,
        /// The page.
        url: String,
    },
    /// Asks for the user's location.
    LocationRequest,
    /// Opens a flow.
    Flow(Flow),
    /// One product.
    Product {
        /// The catalog.
        catalog_id: String,
        /// The product's id in the shop.
        product_retailer_id: String,
    },
    /// Several products.
    ProductList {
        /// The catalog.
        catalog_id: String,
        /// The products.
        sections: Vec<ProductSection>,
    },
    /// The whole catalog.
    Catalog {
        /// The product whose picture is shown.
        thumbnail_product_retailer_id: Option<String>,
    },
}

/// A button that answers.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ReplyButton {
    /// Comes back when tapped.
    pub id: String,
    /// What is shown.
    pub title: String,
}

/// Rows under a title.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ListSection {
    /// Required if there is more than one section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The rows.
    pub rows: Vec<ListRow>,
}

/// One choice of a list.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ListRow {
    /// Comes back when chosen.
    pub id: String,
    /// What is shown.
    pub title: String,
    /// Smaller text beneath.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Products under a title.
#[derive(Clone, PartialEq, Eq)]
pub struct ProductSection {
    /// Required if there is more than one section.
    pub title: Option<String>,
    /// Ids of the products in the shop.
    pub product_retailer_ids: Vec<String>,
}

/// A flow to open.
#[derive(Clone, PartialEq)]
pub struct Flow {
    /// The flow's id.
    pub flow_id: String,
    /// Label of the button.
    pub cta: String,
    /// Our token for the session.
    pub token: Option<String>,
    /// Whether the draft of the flow is meant.
    pub draft: bool,
    /// The first screen and its data; `None` lets the flow's own endpoint decide (`data_exchange`).
    pub first_screen: Option<FlowScreen>,
}

/// The first screen of a flow.
#[derive(Clone, PartialEq)]
pub struct FlowScreen {
    /// Its id.
    pub screen: String,
    /// Data for it; an empty object is refused by Meta, so `None` leaves it out.
    pub data: Option<Map<String, Value>>,
}

redacted_debug!(
    Interactive { action },
    ReplyButton {},
    ListSection {},
    ListRow {},
    ProductSection {},
    Flow { draft },
    FlowScreen {},
);

impl std::fmt::Debug for Header {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Text(_) => "Text(redacted)",
            Self::Image(_) => "Image(redacted)",
            Self::Video(_) => "Video(redacted)",
            Self::Document(_) => "Document(redacted)",
        })
    }
}

impl std::fmt::Debug for Action {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Action({}, redacted)", self.kind())
    }
}

impl Serialize for Interactive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.action.kind())?;
        match &self.header {
            Some(Header::Text(text)) => map.serialize_entry("header", &Tagged("text", text))?,
            Some(Header::Image(media)) => map.serialize_entry("header", &Tagged("image", media))?,
            Some(Header::Video(media)) => map.serialize_entry("header", &Tagged("video", media))?,
            Some(Header::Document(document)) => map.serialize_entry("header", &Tagged("document", document))?,
            None => {}
        }
        if let Some(body) = &self.body {
            map.serialize_entry("body", &Single("text", body))?;
        }
        if let Some(footer) = &self.footer {
            map.serialize_entry("footer", &Single("text", footer))?;
        }
        map.serialize_entry("action", &self.action.to_value())?;
        map.end()
    }
}

impl Interactive {
    pub(super) fn check(&self, checker: &mut Checker) {
        if let Some(header) = &self.header {
            checker.field("header", |checker| header.check(checker));
        }
        self.check_header_fits(checker);
        match &self.body {
            Some(body) => checker.field("body", |checker| {
                checker.length("text", body, 1, limits::INTERACTIVE_BODY_CHARS_MAX);
            }),
            None if matches!(self.action, Action::Product { .. }) => {}
            None => checker.problem_at("body", "no body", "a body; only a single product goes without"),
        }
        if let Some(footer) = &self.footer {
            checker.field("footer", |checker| {
                checker.length("text", footer, 1, limits::INTERACTIVE_FOOTER_CHARS_MAX);
            });
        }
        checker.field("action", |checker| self.action.check(checker));
    }

    fn check_header_fits(&self, checker: &mut Checker) {
        match (&self.action, &self.header) {
            (Action::ProductList { .. }, Some(Header::Text(_))) => {}
            (Action::ProductList { .. }, _) => {
                checker.problem_at(
                    "header",
                    "no text header",
                    "a text header, required with a product list",
                );
            }
            (Action::Product { .. } | Action::LocationRequest | Action::Catalog { .. }, Some(_)) => {
                checker.problem_at("header", "a header", format!("no header with {}", self.action.kind()));
            }
            (Action::List { .. }, Some(Header::Image(_) | Header::Video(_) | Header::Document(_))) => {
                checker.problem_at("header.type", "media", "text with a list");
            }
            _ => {}
        }
    }
}

impl Header {
    fn check(&self, checker: &mut Checker) {
        match self {
            Self::Text(text) => checker.length("text", text, 1, limits::INTERACTIVE_HEADER_CHARS_MAX),
            Self::Image(media) => checker.field("image", |checker| media.source.check(checker)),
            Self::Video(media) => checker.field("video", |checker| media.source.check(checker)),
            Self::Document(document) => checker.field("document", |checker| document.check(checker)),
        }
    }
}

impl Action {
    /// The word Meta uses as `type` of the interactive message.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ReplyButtons(_) => "button",
            Self::List { .. } => "list",
            Self::CtaUrl { .. } => "cta_url",
            Self::LocationRequest => "location_request_message",
            Self::Flow(_) => "flow",
            Self::Product { .. } => "product",
            Self::ProductList { .. } => "product_list",
            Self::Catalog { .. } => "catalog_message",
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::ReplyButtons(buttons) => {
                let buttons: Vec<Value> = buttons
                    .iter()
                    .map(|button| json!({"type": "reply", "reply": button}))
                    .collect();
                json!({"buttons": buttons})
            }
            Self::List { button, sections } => json!({"button": button, "sections": sections}),
            Self::CtaUrl { display_text, url } => {
                json!({"name": "cta_url", "parameters": {"display_text": display_text, "url": url}})
            }
            Self::LocationRequest => json!({"name": "send_location"}),
            Self::Flow(flow) => json!({"name": "flow", "parameters": flow.to_value()}),
            Self::Product {
                catalog_id,
                product_retailer_id,
            } => {
                json!({"catalog_id": catalog_id, "product_retailer_id": product_retailer_id})
            }
            Self::ProductList { catalog_id, sections } => {
                let sections: Vec<Value> = sections.iter().map(ProductSection::to_value).collect();
                json!({"catalog_id": catalog_id, "sections": sections})
            }
            Self::Catalog {
                thumbnail_product_retailer_id: Some(product),
            } => {
                json!({"name": "catalog_message", "parameters": {"thumbnail_product_retailer_id": product}})
            }
            Self::Catalog {
                thumbnail_product_retailer_id: None,
            } => json!({"name": "catalog_message"}),
        }
    }

    fn check(&self, checker: &mut Checker) {
        match self {
            Self::ReplyButtons(buttons) => check_buttons(buttons, checker),
            Self::List { button, sections } => {
                checker.title("button", button, limits::BUTTON_TITLE_CHARS_MAX);
                check_sections(sections, checker);
            }
            Self::CtaUrl { display_text, url } => checker.field("parameters", |checker| {
                checker.title("display_text", display_text, limits::BUTTON_TITLE_CHARS_MAX);
                checker.web_url("url", url);
            }),
            Self::LocationRequest => {}
            Self::Flow(flow) => checker.field("parameters", |checker| {
                checker.filled("flow_id", &flow.flow_id);
                checker.title("flow_cta", &flow.cta, limits::BUTTON_TITLE_CHARS_MAX);
                if let Some(screen) = &flow.first_screen {
                    checker.field("flow_action_payload", |checker| {
                        checker.filled("screen", &screen.screen);
                        if screen.data.as_ref().is_some_and(Map::is_empty) {
                            checker.problem_at("data", "an empty object", "an object with fields, or none at all");
                        }
                    });
                }
            }),
            Self::Product {
                catalog_id,
                product_retailer_id,
            } => {
                checker.filled("catalog_id", catalog_id);
                checker.filled("product_retailer_id", product_retailer_id);
            }
            Self::ProductList { catalog_id, sections } => {
                checker.filled("catalog_id", catalog_id);
                check_products(sections, checker);
            }
            Self::Catalog {
                thumbnail_product_retailer_id,
            } => {
                if let Some(product) = thumbnail_product_retailer_id {
                    checker.filled("parameters.thumbnail_product_retailer_id", product);
                }
            }
        }
    }
}

impl Flow {
    fn to_value(&self) -> Value {
        let mut parameters = json!({
            "flow_message_version": "3",
            "flow_id": self.flow_id,
            "flow_cta": self.cta,
            "mode": if self.draft { "draft" } else { "published" },
            "flow_action": if self.first_screen.is_some() { "navigate" } else { "data_exchange" },
        });
        if let Some(token) = &self.token {
            parameters["flow_token"] = json!(token);
        }
        if let Some(screen) = &self.first_screen {
            let mut payload = json!({"screen": screen.screen});
            if let Some(data) = &screen.data {
                payload["data"] = Value::Object(data.clone());
            }
            parameters["flow_action_payload"] = payload;
        }
        parameters
    }
}

impl ProductSection {
    fn to_value(&self) -> Value {
        let items: Vec<Value> = self
            .product_retailer_ids
            .iter()
            .map(|id| json!({"product_retailer_id": id}))
            .collect();
        match &self.title {
            Some(title) => json!({"title": title, "product_items": items}),
            None => json!({"product_items": items}),
        }
    }
}

fn check_buttons(buttons: &[ReplyButton], checker: &mut Checker) {
    checker.count("buttons", buttons.len(), 1, limits::REPLY_BUTTONS_MAX);
    checker.distinct("buttons", buttons.iter().map(|button| button.id.as_str()));
    checker.distinct("buttons", buttons.iter().map(|button| button.title.as_str()));
    checker.each("buttons", buttons, |checker, button| {
        checker.field("reply", |checker| {
            checker.id("id", &button.id, limits::BUTTON_ID_CHARS_MAX);
            checker.title("title", &button.title, limits::BUTTON_TITLE_CHARS_MAX);
        });
    });
}

fn check_sections(sections: &[ListSection], checker: &mut Checker) {
    checker.count("sections", sections.len(), 1, limits::LIST_SECTIONS_MAX);
    let rows: usize = sections.iter().map(|section| section.rows.len()).sum();
    if rows > limits::LIST_ROWS_MAX {
        checker.problem_at(
            "sections",
            format!("{rows} rows in all"),
            format!("at most {} rows in all", limits::LIST_ROWS_MAX),
        );
    }
    checker.distinct(
        "sections",
        sections
            .iter()
            .flat_map(|section| &section.rows)
            .map(|row| row.id.as_str()),
    );
    checker.each("sections", sections, |checker, section| {
        check_section_title(section.title.as_deref(), sections.len(), checker);
        checker.count("rows", section.rows.len(), 1, limits::LIST_ROWS_MAX);
        checker.each("rows", &section.rows, |checker, row| {
            checker.id("id", &row.id, limits::ROW_ID_CHARS_MAX);
            checker.title("title", &row.title, limits::ROW_TITLE_CHARS_MAX);
            if let Some(description) = &row.description {
                checker.length("description", description, 1, limits::ROW_DESCRIPTION_CHARS_MAX);
            }
        });
    });
}

fn check_products(sections: &[ProductSection], checker: &mut Checker) {
    checker.count("sections", sections.len(), 1, limits::LIST_SECTIONS_MAX);
    let products: usize = sections.iter().map(|section| section.product_retailer_ids.len()).sum();
    if products > limits::PRODUCTS_MAX {
        checker.problem_at(
            "sections",
            format!("{products} products in all"),
            format!("at most {} products in all", limits::PRODUCTS_MAX),
        );
    }
    checker.each("sections", sections, |checker, section| {
        check_section_title(section.title.as_deref(), sections.len(), checker);
        checker.count(
            "product_items",
            section.product_retailer_ids.len(),
            1,
            limits::PRODUCTS_MAX,
        );
        checker.each("product_items", &section.product_retailer_ids, |checker, id| {
            checker.filled("product_retailer_id", id);
        });
    });
}

fn check_section_title(title: Option<&str>, sections: usize, checker: &mut Checker) {
    match title {
        Some(title) => checker.title("title", title, limits::SECTION_TITLE_CHARS_MAX),
        None if sections > 1 => checker.problem_at("title", "no title", "a title, required with more than one section"),
        None => {}
    }
}

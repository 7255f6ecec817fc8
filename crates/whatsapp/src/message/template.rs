//! Approved templates and what fills them (Cloud API, "Template messages").

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use super::check::Checker;
use super::content::Location;
use super::media::{Document, Media};
use super::wire::{Single, Tagged};
use crate::limits;
use crate::redact::redacted_debug;

/// A template in one language, with its parameters.
#[derive(Clone, PartialEq)]
pub struct Template {
    /// Lower-case name given at creation.
    pub name: String,
    /// Language code, for example `en_US`. There is no fallback: a missing translation is error 132001.
    pub language: String,
    /// What fills the variables; components without variables are left out.
    pub components: Vec<Component>,
}

/// A part of the template that has something to fill.
#[derive(Clone, PartialEq)]
pub enum Component {
    /// The header: one parameter.
    Header(Vec<Parameter>),
    /// The body: its variables in order, or by name.
    Body(Vec<Parameter>),
    /// One button.
    Button {
        /// Kind of the button.
        kind: ButtonKind,
        /// Position of the button in the template, from 0.
        index: u8,
        /// Usually one parameter.
        parameters: Vec<Parameter>,
    },
    /// The end of a limited-time offer, as milliseconds since the Unix epoch.
    LimitedTimeOffer {
        /// When the offer ends.
        expiration_time_ms: i64,
    },
    /// Cards to swipe through; as many as the template was approved with.
    Carousel(Vec<CarouselCard>),
}

/// A card of a carousel.
#[derive(Clone, PartialEq)]
pub struct CarouselCard {
    /// Position of the card, from 0.
    pub card_index: u8,
    /// Header, body and buttons of the card.
    pub components: Vec<Component>,
}

/// Kinds of template buttons that take a parameter; static links and phone buttons take none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ButtonKind {
    /// Sends its payload back when tapped.
    QuickReply,
    /// A link whose end is variable. One-time-password templates use it too, whatever their button shows.
    Url,
    /// Copies a coupon code.
    CopyCode,
    /// Opens a flow.
    Flow,
    /// Opens the catalog.
    Catalog,
    /// Opens a choice of products.
    MultiProduct,
    /// Opens an order.
    OrderDetails,
    /// Starts a call.
    VoiceCall,
}

/// One value for one variable.
#[derive(Clone, PartialEq)]
pub struct Parameter {
    /// Name of the variable, for templates created with named parameters; `None` for positional ones.
    pub name: Option<String>,
    /// What fills it.
    pub value: ParameterValue,
}

/// The kinds of values.
#[derive(Clone, PartialEq)]
pub enum ParameterValue {
    /// Text without line breaks, tabs or more than four spaces in a row.
    Text(String),
    /// An amount; the Cloud API shows the fallback text as it is.
    Currency(Currency),
    /// A moment; the Cloud API shows the fallback text as it is.
    DateTime(DateTime),
    /// Image of a header.
    Image(Media),
    /// Video of a header.
    Video(Media),
    /// PDF of a header, without a caption.
    Document(Document),
    /// Place of a header.
    Location(Location),
    /// Product of a header.
    Product(Product),
    /// What a quick reply sends back.
    Payload(String),
    /// Code of a copy-code button.
    CouponCode(String),
    /// What a flow button, a catalog button or a multi-product button needs.
    Action(FlowAction),
    /// Any kind this crate does not model: Meta's `type` and the value beneath the key of the same name.
    Other {
        /// `type`.
        kind: &'static str,
        /// The value.
        value: Value,
    },
}

/// An amount of money.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Currency {
    /// What is shown.
    pub fallback_value: String,
    /// Three letters of ISO 4217.
    pub code: String,
    /// The amount times 1,000.
    pub amount_1000: i64,
}

/// A moment as text.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct DateTime {
    /// What is shown.
    pub fallback_value: String,
}

/// A product of the catalog.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Product {
    /// Its id in the shop.
    pub product_retailer_id: String,
    /// The catalog.
    pub catalog_id: String,
}

/// The `action` parameter of a button.
#[derive(Clone, PartialEq, Default, Serialize)]
pub struct FlowAction {
    /// Our token for the flow's session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_token: Option<String>,
    /// Data for the flow's first screen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_action_data: Option<Value>,
    /// Product whose picture stands for the catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_product_retailer_id: Option<String>,
    /// Sections of a multi-product button, as Meta describes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sections: Option<Value>,
}

redacted_debug!(
    Template {
        name,
        language,
        components
    },
    CarouselCard { card_index, components },
    Parameter { value },
    Currency { code },
    DateTime {},
    Product {},
    FlowAction {},
);

impl Template {
    /// A template without parameters.
    pub fn new(name: impl Into<String>, language: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            language: language.into(),
            components: Vec::new(),
        }
    }

    /// The same template with these texts for its body's variables, in order.
    #[must_use]
    pub fn with_body_texts<T: Into<String>>(mut self, texts: impl IntoIterator<Item = T>) -> Self {
        let parameters = texts
            .into_iter()
            .map(|text| Parameter::positional(ParameterValue::Text(text.into())))
            .collect();
        self.components.push(Component::Body(parameters));
        self
    }

    pub(super) fn check(&self, checker: &mut Checker) {
        check_name(&self.name, checker);
        checker.field("language", |checker| {
            if !is_language(&self.language) {
                checker.problem_at("code", "not a language code", "a code such as en, en_US or zh_CN");
            }
        });
        check_components(&self.components, false, checker);
        let texts = text_parameters(&self.components);
        let named = texts.iter().filter(|parameter| parameter.name.is_some()).count();
        if named != 0 && named != texts.len() {
            let found = format!("{named} named and {} positional text parameters", texts.len() - named);
            checker.problem_at(
                "components",
                found,
                "all named or all positional, as the template was created",
            );
        }
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        // The only policy there is; Meta's own description of the API requires it, its guide leaves it out.
        map.serialize_entry(
            "language",
            &Language {
                policy: "deterministic",
                code: &self.language,
            },
        )?;
        if !self.components.is_empty() {
            map.serialize_entry("components", &self.components)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Language<'a> {
    policy: &'static str,
    code: &'a str,
}

impl Component {
    fn kind(&self) -> &'static str {
        match self {
            Self::Header(_) => "header",
            Self::Body(_) => "body",
            Self::Button { .. } => "button",
            Self::LimitedTimeOffer { .. } => "limited_time_offer",
            Self::Carousel(_) => "carousel",
        }
    }

    fn check(&self, checker: &mut Checker) {
        match self {
            Self::Header(parameters) => {
                checker.count("parameters", parameters.len(), 1, 1);
                checker.each("parameters", parameters, |checker, parameter| {
                    let allowed = "text, image, video, document, location or product";
                    let fits = matches!(
                        parameter.value.kind(),
                        "text" | "image" | "video" | "document" | "location" | "product" | "gif"
                    );
                    parameter.check(fits, allowed, limits::TEMPLATE_HEADER_CHARS_MAX, checker);
                });
            }
            Self::Body(parameters) => {
                checker.each("parameters", parameters, |checker, parameter| {
                    let fits = matches!(parameter.value.kind(), "text" | "currency" | "date_time");
                    parameter.check(
                        fits,
                        "text, currency or date_time",
                        limits::TEMPLATE_BODY_CHARS_MAX,
                        checker,
                    );
                });
            }
            Self::Button {
                kind,
                index,
                parameters,
            } => check_button(*kind, *index, parameters, checker),
            Self::LimitedTimeOffer { expiration_time_ms } => {
                if *expiration_time_ms <= 0 {
                    checker.problem_at(
                        "parameters[0].limited_time_offer.expiration_time_ms",
                        "not a moment after 1970",
                        "milliseconds since the Unix epoch",
                    );
                }
            }
            Self::Carousel(cards) => {
                checker.count(
                    "cards",
                    cards.len(),
                    limits::CAROUSEL_CARDS_MIN,
                    limits::CAROUSEL_CARDS_MAX,
                );
                let indexes: Vec<String> = cards.iter().map(|card| card.card_index.to_string()).collect();
                checker.distinct("cards", indexes.iter().map(String::as_str));
                checker.each("cards", cards, |checker, card| {
                    check_components(&card.components, true, checker);
                });
            }
        }
    }
}

impl std::fmt::Debug for Component {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Component({}, redacted)", self.kind())
    }
}

impl Serialize for Component {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.kind())?;
        match self {
            Self::Header(parameters) | Self::Body(parameters) => map.serialize_entry("parameters", parameters)?,
            Self::Button {
                kind,
                index,
                parameters,
            } => {
                map.serialize_entry("sub_type", kind.as_str())?;
                map.serialize_entry("index", &index.to_string())?;
                map.serialize_entry("parameters", parameters)?;
            }
            Self::LimitedTimeOffer { expiration_time_ms } => {
                let offer = Single("expiration_time_ms", expiration_time_ms);
                map.serialize_entry("parameters", &[Tagged("limited_time_offer", &offer)])?;
            }
            Self::Carousel(cards) => map.serialize_entry("cards", cards)?,
        }
        map.end()
    }
}

impl Serialize for CarouselCard {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("card_index", &self.card_index)?;
        map.serialize_entry("components", &self.components)?;
        map.end()
    }
}

impl ButtonKind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QuickReply => "quick_reply",
            Self::Url => "url",
            Self::CopyCode => "copy_code",
            Self::Flow => "flow",
            Self::Catalog => "catalog",
            Self::MultiProduct => "mpm",
            Self::OrderDetails => "order_details",
            Self::VoiceCall => "voice_call",
        }
    }

    /// The parameter kind this button takes, where there is only one.
    fn parameter_kind(self) -> Option<&'static str> {
        match self {
            Self::QuickReply => Some("payload"),
            Self::Url => Some("text"),
            Self::CopyCode => Some("coupon_code"),
            Self::Flow | Self::Catalog | Self::MultiProduct => Some("action"),
            Self::OrderDetails | Self::VoiceCall => None,
        }
    }
}

impl Parameter {
    /// A value for the next variable in order.
    pub fn positional(value: ParameterValue) -> Self {
        Self { name: None, value }
    }

    /// A value for a variable with a name.
    pub fn named(name: impl Into<String>, value: ParameterValue) -> Self {
        Self {
            name: Some(name.into()),
            value,
        }
    }

    fn check(&self, fits: bool, allowed: &str, text_chars_max: usize, checker: &mut Checker) {
        if !fits {
            checker.problem_at("type", self.value.kind(), allowed);
        }
        if let Some(name) = &self.name
            && (name.is_empty() || !name.bytes().all(is_name_byte))
        {
            checker.problem_at(
                "parameter_name",
                "not a variable name",
                "lower-case letters, digits and underscores",
            );
        }
        self.value.check(text_chars_max, checker);
    }
}

impl Serialize for Parameter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let kind = self.value.kind();
        map.serialize_entry("type", kind)?;
        if let Some(name) = &self.name {
            map.serialize_entry("parameter_name", name)?;
        }
        match &self.value {
            ParameterValue::Text(text) | ParameterValue::Payload(text) | ParameterValue::CouponCode(text) => {
                map.serialize_entry(kind, text)?;
            }
            ParameterValue::Currency(currency) => map.serialize_entry(kind, currency)?,
            ParameterValue::DateTime(moment) => map.serialize_entry(kind, moment)?,
            ParameterValue::Image(media) | ParameterValue::Video(media) => map.serialize_entry(kind, media)?,
            ParameterValue::Document(document) => map.serialize_entry(kind, document)?,
            ParameterValue::Location(location) => map.serialize_entry(kind, location)?,
            ParameterValue::Product(product) => map.serialize_entry(kind, product)?,
            ParameterValue::Action(action) => map.serialize_entry(kind, action)?,
            ParameterValue::Other { value, .. } => map.serialize_entry(kind, value)?,
        }
        map.end()
    }
}

impl ParameterValue {
    /// The word Meta uses for this kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Currency(_) => "currency",
            Self::DateTime(_) => "date_time",
            Self::Image(_) => "image",
            Self::Video(_) => "video",
            Self::Document(_) => "document",
            Self::Location(_) => "location",
            Self::Product(_) => "product",
            Self::Payload(_) => "payload",
            Self::CouponCode(_) => "coupon_code",
            Self::Action(_) => "action",
            Self::Other { kind, .. } => kind,
        }
    }

    fn check(&self, text_chars_max: usize, checker: &mut Checker) {
        match self {
            Self::Text(text) => check_text("text", text, text_chars_max, checker),
            Self::Currency(currency) => checker.field("currency", |checker| {
                check_text("fallback_value", &currency.fallback_value, text_chars_max, checker);
                if currency.code.len() != 3 || !currency.code.bytes().all(|letter| letter.is_ascii_uppercase()) {
                    checker.problem_at("code", "not a currency code", "three capitals of ISO 4217");
                }
            }),
            Self::DateTime(moment) => checker.field("date_time", |checker| {
                check_text("fallback_value", &moment.fallback_value, text_chars_max, checker);
            }),
            Self::Image(media) | Self::Video(media) => {
                checker.field(self.kind(), |checker| media.source.check(checker));
            }
            Self::Document(document) => checker.field("document", |checker| {
                document.check(checker);
                if document.caption.is_some() {
                    checker.problem_at("caption", "a caption", "no caption on a template's document");
                }
            }),
            Self::Location(location) => checker.field("location", |checker| location.check(checker)),
            Self::Product(product) => checker.field("product", |checker| {
                checker.filled("product_retailer_id", &product.product_retailer_id);
                checker.filled("catalog_id", &product.catalog_id);
            }),
            Self::Payload(payload) => checker.filled("payload", payload),
            Self::CouponCode(code) => checker.id("coupon_code", code, limits::COUPON_CODE_CHARS_MAX),
            Self::Action(_) | Self::Other { .. } => {}
        }
    }
}

impl std::fmt::Debug for ParameterValue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ParameterValue({}, redacted)", self.kind())
    }
}

fn check_components(components: &[Component], in_card: bool, checker: &mut Checker) {
    for kind in ["header", "body", "limited_time_offer", "carousel"] {
        let count = components.iter().filter(|component| component.kind() == kind).count();
        if count > 1 {
            checker.problem_at(
                "components",
                format!("{count} of kind {kind}"),
                format!("at most one of kind {kind}"),
            );
        }
    }
    let indexes: Vec<String> = components
        .iter()
        .filter_map(|component| match component {
            Component::Button { index, .. } => Some(format!("button {index}")),
            _ => None,
        })
        .collect();
    checker.distinct("components", indexes.iter().map(String::as_str));
    checker.each("components", components, |checker, component| {
        if in_card && !matches!(component.kind(), "header" | "body" | "button") {
            checker.problem_at("type", component.kind(), "header, body or button inside a card");
            // Not looked into: a carousel within a carousel would let a caller choose how deep this recursion goes.
            return;
        }
        component.check(checker);
    });
}

fn check_button(kind: ButtonKind, index: u8, parameters: &[Parameter], checker: &mut Checker) {
    if index > limits::TEMPLATE_BUTTON_INDEX_MAX {
        checker.problem_at(
            "index",
            index.to_string(),
            format!("0 to {}", limits::TEMPLATE_BUTTON_INDEX_MAX),
        );
    }
    // Catalog buttons may leave their thumbnail out, and a call button has nothing that must be said.
    let least = usize::from(!matches!(
        kind,
        ButtonKind::Catalog | ButtonKind::VoiceCall | ButtonKind::Flow
    ));
    checker.count("parameters", parameters.len(), least, 1);
    checker.each("parameters", parameters, |checker, parameter| {
        let allowed = kind.parameter_kind();
        let fits = allowed.is_none_or(|allowed| allowed == parameter.value.kind());
        parameter.check(fits, allowed.unwrap_or("any"), limits::TEMPLATE_URL_CHARS_MAX, checker);
    });
}

/// Text that fills a variable (error 132012 or 132018 if it breaks a line, has a tab or more than four spaces in a row).
fn check_text(name: &str, text: &str, chars_max: usize, checker: &mut Checker) {
    checker.length(name, text, 1, chars_max);
    if text.contains(['\n', '\r', '\t']) {
        checker.problem_at(name, "a line break or a tab", "text on one line without tabs");
    }
    if text.contains(&" ".repeat(limits::PARAMETER_SPACES_MAX + 1)) {
        let allowed = format!("at most {} spaces in a row", limits::PARAMETER_SPACES_MAX);
        checker.problem_at(name, "a longer run of spaces", allowed);
    }
}

fn check_name(name: &str, checker: &mut Checker) {
    checker.length("name", name, 1, limits::TEMPLATE_NAME_CHARS_MAX);
    if !name.bytes().all(is_name_byte) {
        checker.problem_at("name", "other characters", "lower-case letters, digits and underscores");
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

fn is_language(code: &str) -> bool {
    let (language, region) = code
        .split_once('_')
        .map_or((code, None), |(language, region)| (language, Some(region)));
    (2..=3).contains(&language.len())
        && language.bytes().all(|letter| letter.is_ascii_lowercase())
        && region.is_none_or(|region| {
            (2..=4).contains(&region.len()) && region.bytes().all(|letter| letter.is_ascii_alphanumeric())
        })
}

/// The text parameters of header and body, where names and positions must not be mixed. Buttons are always positional.
fn text_parameters(components: &[Component]) -> Vec<&Parameter> {
    let mut texts = Vec::new();
    for component in components {
        if let Component::Header(parameters) | Component::Body(parameters) = component {
            texts.extend(
                parameters
                    .iter()
                    .filter(|parameter| matches!(parameter.value.kind(), "text" | "currency" | "date_time")),
            );
        }
    }
    texts
}

//! Approved templates and what fills them (Cloud API, "Template messages").

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use super::check::Checker;
use super::parameter::{Parameter, ParameterValue, is_name_byte};
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

/// A template whose components were checked and written before. They go out as they are.
#[derive(Clone, PartialEq)]
pub struct WrittenTemplate {
    /// Lower-case name given at creation.
    pub name: String,
    /// Language code, for example `en_US`.
    pub language: String,
    /// The `components` array as [`Template`] writes it; empty or null if nothing has to be filled.
    pub components: Value,
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

redacted_debug!(
    Template {
        name,
        language,
        components
    },
    WrittenTemplate { name, language },
    CarouselCard { card_index, components },
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

    pub(crate) fn check(&self, checker: &mut Checker) {
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

impl WrittenTemplate {
    pub(super) fn check(&self, checker: &mut Checker) {
        check_name(&self.name, checker);
        checker.field("language", |checker| {
            if !is_language(&self.language) {
                checker.problem_at("code", "not a language code", "a code such as en, en_US or zh_CN");
            }
        });
    }
}

impl Serialize for WrittenTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry(
            "language",
            &Language {
                policy: "deterministic",
                code: &self.language,
            },
        )?;
        if self
            .components
            .as_array()
            .is_some_and(|components| !components.is_empty())
        {
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

pub(crate) fn check_name(name: &str, checker: &mut Checker) {
    checker.length("name", name, 1, limits::TEMPLATE_NAME_CHARS_MAX);
    if !name.bytes().all(is_name_byte) {
        checker.problem_at("name", "other characters", "lower-case letters, digits and underscores");
    }
}

pub(crate) fn is_language(code: &str) -> bool {
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

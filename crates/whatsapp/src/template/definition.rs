//! What a template consists of.

use serde_json::{Map, Value};

use super::variables;
use crate::client::TemplateCategory;
use crate::open_enum::open_enum;

/// A template in one language, as it is created and listed.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Lower-case name.
    pub name: String,
    /// Language code, for example `en_US`.
    pub language: String,
    /// What it is for.
    pub category: TemplateCategory,
    /// How its variables are told apart.
    pub parameter_format: ParameterFormat,
    /// Its parts, in the order of the listing.
    pub components: Vec<Part>,
    /// After how many seconds an undelivered message is dropped without a word; -1 is 30 days.
    pub message_send_ttl_seconds: Option<i64>,
}

/// How variables are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ParameterFormat {
    /// `{{1}}`, `{{2}}`, …, filled in order.
    #[default]
    Positional,
    /// `{{first_name}}`, filled by name.
    Named,
}

/// One part.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Above the body.
    Header(Header),
    /// The text.
    Body(Body),
    /// Below the body.
    Footer(Footer),
    /// What can be tapped, in order.
    Buttons(Vec<Button>),
    /// A limited-time offer.
    LimitedTimeOffer(Offer),
    /// Cards to swipe through.
    Carousel(Vec<Card>),
    /// A part this crate does not model, as Meta wrote it.
    Other(Value),
}

open_enum! {
    /// What a header shows.
    HeaderFormat {
        /// Text.
        Text = "TEXT",
        /// A picture.
        Image = "IMAGE",
        /// A video.
        Video = "VIDEO",
        /// A PDF.
        Document = "DOCUMENT",
        /// A place.
        Location = "LOCATION",
        /// A moving picture; only by the marketing endpoint.
        Gif = "GIF",
        /// A product of the catalog.
        Product = "PRODUCT",
    }
}

/// Above the body.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// What it shows.
    pub format: HeaderFormat,
    /// The text of a text header, with at most one variable.
    pub text: Option<String>,
    /// What could fill its variable.
    pub examples: Vec<Example>,
    /// Handle of the sample file of a media header, from the Resumable Upload API; listings give a link instead.
    pub sample: Option<String>,
    /// Everything else of it, as Meta wrote it.
    pub other: Map<String, Value>,
}

/// The text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Body {
    /// The text with its variables in double braces; absent where Meta writes it itself (one-time passwords).
    pub text: Option<String>,
    /// What could fill its variables.
    pub examples: Vec<Example>,
    /// Of a one-time password: whether Meta adds that the code is not to be passed on.
    pub add_security_recommendation: Option<bool>,
    /// Everything else of it, as Meta wrote it.
    pub other: Map<String, Value>,
}

/// Below the body.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Footer {
    /// The text, without variables; absent where Meta writes it itself.
    pub text: Option<String>,
    /// Of a one-time password: after how many minutes it is said to expire.
    pub code_expiration_minutes: Option<i64>,
    /// Everything else of it, as Meta wrote it.
    pub other: Map<String, Value>,
}

/// What could fill a variable, for the review.
#[derive(Clone, PartialEq, Eq)]
pub struct Example {
    /// Name of the variable, if it has one.
    pub name: Option<String>,
    /// What could fill it.
    pub value: String,
}

impl std::fmt::Debug for Example {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Example")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// One button.
#[derive(Debug, Clone, PartialEq)]
pub struct Button {
    /// Its label; absent where Meta writes it itself.
    pub label: Option<String>,
    /// What it does.
    pub action: ButtonAction,
    /// Everything else of it, as Meta wrote it: ids of a flow, apps of a one-time password, …
    pub other: Map<String, Value>,
}

/// What a button does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ButtonAction {
    /// Sends its payload back.
    QuickReply,
    /// Opens a web page.
    Url {
        /// The page; one variable at its end makes it dynamic.
        url: String,
        /// What could fill the variable, or the whole URL filled in.
        example: Option<String>,
    },
    /// Calls a number.
    PhoneNumber {
        /// The number.
        number: String,
    },
    /// Copies a coupon code.
    CopyCode {
        /// A code.
        example: Option<String>,
    },
    /// Copies or fills in a one-time password.
    OneTimePassword {
        /// `COPY_CODE`, `ONE_TAP` or `ZERO_TAP`.
        kind: Option<String>,
    },
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
    /// A kind this crate does not know.
    Other {
        /// Meta's word.
        kind: String,
    },
}

/// A limited-time offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its heading, up to 16 characters.
    pub text: String,
    /// Whether a message says when it ends.
    pub has_expiration: bool,
}

/// A card of a carousel.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Header, body and buttons of the card.
    pub components: Vec<Part>,
}

impl Definition {
    /// The body of the template itself, not of a card.
    pub fn body(&self) -> Option<&Body> {
        self.components.iter().find_map(Part::as_body)
    }

    /// Whether it carries a one-time password. Such a template has one value, the code, for body and button alike.
    pub fn is_one_time_password(&self) -> bool {
        let is_otp = |button: &Button| matches!(button.action, ButtonAction::OneTimePassword { .. });
        self.category == TemplateCategory::Authentication
            || buttons_of(&self.components).is_some_and(|(_, buttons)| buttons.iter().any(is_otp))
    }

    /// The names of the body's variables in order, each once. Where Meta writes the text of a one-time password itself, it is
    /// one variable, the code.
    pub fn body_variables(&self) -> Vec<String> {
        let Some(body) = self.body() else { return Vec::new() };
        variables_of_body(body, self.is_one_time_password())
    }
}

impl Definition {
    /// The definition without what is there for the review or for the eye alone: examples, samples and the number of a phone
    /// button. Messages are checked against it as against the whole.
    #[must_use]
    pub fn without_examples(mut self) -> Self {
        self.components.iter_mut().for_each(Part::drop_examples);
        self
    }
}

impl Part {
    fn drop_examples(&mut self) {
        match self {
            Self::Header(header) => {
                header.examples.clear();
                header.sample = None;
            }
            Self::Body(body) => body.examples.clear(),
            Self::Buttons(buttons) => {
                for button in buttons {
                    match &mut button.action {
                        ButtonAction::Url { example, .. } | ButtonAction::CopyCode { example } => *example = None,
                        ButtonAction::PhoneNumber { number } => number.clear(),
                        _ => {}
                    }
                }
            }
            Self::Carousel(cards) => {
                let parts = cards.iter_mut().flat_map(|card| &mut card.components);
                parts.for_each(Self::drop_examples);
            }
            Self::Other(Value::Object(fields)) => {
                fields.remove("example");
            }
            Self::Footer(_) | Self::LimitedTimeOffer(_) | Self::Other(_) => {}
        }
    }

    /// The word on the wire; of an unknown part Meta's own.
    pub fn kind(&self) -> &str {
        match self {
            Self::Header(_) => "HEADER",
            Self::Body(_) => "BODY",
            Self::Footer(_) => "FOOTER",
            Self::Buttons(_) => "BUTTONS",
            Self::LimitedTimeOffer(_) => "LIMITED_TIME_OFFER",
            Self::Carousel(_) => "CAROUSEL",
            Self::Other(value) => value.get("type").and_then(Value::as_str).unwrap_or("unknown"),
        }
    }

    /// The body, if it is one.
    pub fn as_body(&self) -> Option<&Body> {
        match self {
            Self::Body(body) => Some(body),
            _ => None,
        }
    }
}

impl ButtonAction {
    /// The word on the wire.
    pub fn kind(&self) -> &str {
        match self {
            Self::QuickReply => "QUICK_REPLY",
            Self::Url { .. } => "URL",
            Self::PhoneNumber { .. } => "PHONE_NUMBER",
            Self::CopyCode { .. } => "COPY_CODE",
            Self::OneTimePassword { .. } => "OTP",
            Self::Flow => "FLOW",
            Self::Catalog => "CATALOG",
            Self::MultiProduct => "MPM",
            Self::OrderDetails => "ORDER_DETAILS",
            Self::VoiceCall => "VOICE_CALL",
            Self::Other { kind } => kind,
        }
    }
}

impl HeaderFormat {
    /// The kind of parameter that fills it; `None` for a kind that takes none or is not known.
    pub fn parameter_kind(&self) -> Option<&'static str> {
        match self {
            Self::Text => Some("text"),
            Self::Image => Some("image"),
            Self::Video => Some("video"),
            Self::Document => Some("document"),
            Self::Location => Some("location"),
            Self::Gif => Some("gif"),
            Self::Product => Some("product"),
            Self::Other(_) => None,
        }
    }
}

pub(super) fn variables_of_body(body: &Body, is_one_time_password: bool) -> Vec<String> {
    match body.text.as_deref() {
        None | Some("") if is_one_time_password => vec!["1".to_owned()],
        None => Vec::new(),
        Some(text) => variables::distinct(text).into_iter().map(str::to_owned).collect(),
    }
}

/// The buttons among some parts, with the position of their part.
pub(super) fn buttons_of(parts: &[Part]) -> Option<(usize, &[Button])> {
    parts.iter().enumerate().find_map(|(index, part)| match part {
        Part::Buttons(buttons) => Some((index, buttons.as_slice())),
        _ => None,
    })
}

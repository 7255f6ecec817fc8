//! The `template` payload: name, language and the parameters of each component.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::invalid;
use super::media::{MediaReference, card_references, header_reference};
use crate::error::GraphError;

/// A template to send with its parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateMessage {
    /// Template name.
    pub(crate) name: String,
    /// Language.
    pub(crate) language: Language,
    /// Components that carry parameters.
    #[serde(default)]
    pub(crate) components: Vec<Component>,
    #[serde(rename = "namespace")]
    _namespace: Option<String>,
}

/// Language of a template.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Language {
    /// Code such as `en_US`.
    pub(crate) code: String,
    policy: Option<String>,
}

/// One component with parameters.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Component {
    /// Header: one text, media or location.
    #[serde(alias = "HEADER")]
    Header {
        /// Parameters.
        #[serde(default)]
        parameters: Vec<HeaderParameter>,
    },
    /// Body texts, in order or by name.
    #[serde(alias = "BODY")]
    Body {
        /// Parameters.
        #[serde(default)]
        parameters: Vec<Parameter>,
    },
    /// Footer; it never takes parameters.
    #[serde(alias = "FOOTER")]
    Footer {
        /// Must be empty.
        #[serde(default)]
        parameters: Vec<Value>,
    },
    /// A button that takes a parameter.
    #[serde(alias = "BUTTON")]
    Button {
        /// `quick_reply`, `url`, `copy_code`, `flow`, `catalog`, `mpm`, `order_details`, `voice_call`.
        sub_type: String,
        /// Position of the button in the template.
        #[serde(deserialize_with = "index")]
        index: usize,
        /// Parameters.
        #[serde(default)]
        parameters: Vec<Value>,
    },
    /// Cards of a carousel; only their files are looked at.
    #[serde(alias = "CAROUSEL")]
    Carousel {
        /// The cards.
        cards: Vec<Value>,
    },
    /// A limited-time offer; kept unchecked.
    LimitedTimeOffer {
        /// The offer.
        #[serde(rename = "parameters")]
        _parameters: Vec<Value>,
    },
}

/// A parameter of a header.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeaderParameter {
    /// `text`, `image`, `video`, `document`, `location`, `gif`, `product`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The text of a text header.
    pub(crate) text: Option<String>,
    /// Name of a named parameter.
    pub(crate) parameter_name: Option<String>,
    image: Option<Value>,
    video: Option<Value>,
    document: Option<Value>,
    location: Option<Value>,
    gif: Option<Value>,
    product: Option<Value>,
}

impl HeaderParameter {
    fn file(&self) -> Option<&Value> {
        match self.kind.as_str() {
            "image" => self.image.as_ref(),
            "video" => self.video.as_ref(),
            "document" => self.document.as_ref(),
            "gif" => self.gif.as_ref(),
            _ => None,
        }
    }

    /// Whether the member named by `type` is there.
    pub(crate) fn is_complete(&self) -> bool {
        match self.kind.as_str() {
            "text" => self.text.is_some(),
            "image" => self.image.is_some(),
            "video" => self.video.is_some(),
            "document" => self.document.is_some(),
            "location" => self.location.is_some(),
            "gif" => self.gif.is_some(),
            "product" => self.product.is_some(),
            _ => false,
        }
    }
}

/// A parameter of a body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_field_names, reason = "names on the wire")]
pub(crate) struct Parameter {
    /// `text`, `currency` or `date_time`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The text.
    text: Option<String>,
    /// Name of a named parameter.
    pub(crate) parameter_name: Option<String>,
    currency: Option<Currency>,
    date_time: Option<DateTime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Currency {
    fallback_value: String,
    #[serde(rename = "code")]
    _code: String,
    #[serde(rename = "amount_1000")]
    _amount_1000: i64,
}

/// Only `fallback_value` is shown; the finer members of older clients are ignored.
#[derive(Deserialize)]
struct DateTime {
    fallback_value: String,
}

impl Parameter {
    /// The text people will see, or none if the member named by `type` is missing.
    pub(crate) fn shown(&self) -> Option<&str> {
        match self.kind.as_str() {
            "text" => self.text.as_deref(),
            "currency" => self.currency.as_ref().map(|currency| currency.fallback_value.as_str()),
            "date_time" => self
                .date_time
                .as_ref()
                .map(|date_time| date_time.fallback_value.as_str()),
            _ => None,
        }
    }
}

impl TemplateMessage {
    /// Checks what needs no template, and gathers the files it names.
    pub(super) fn check(&self, files: &mut Vec<MediaReference>) -> Result<(), GraphError> {
        for component in &self.components {
            match component {
                Component::Header { parameters } => {
                    for parameter in parameters {
                        files.extend(header_reference(&parameter.kind, parameter.file())?);
                    }
                }
                Component::Carousel { cards } => card_references(cards, files)?,
                _ => {}
            }
        }
        if self
            .language
            .policy
            .as_deref()
            .is_some_and(|policy| policy != "deterministic")
        {
            return Err(invalid("template.language.policy must be deterministic"));
        }
        Ok(())
    }
}

/// A button index, as the string Meta documents or the number many clients send.
fn index<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let index = match &value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64(),
        _ => None,
    };
    index
        .filter(|index| *index < 10)
        .map(|index| index as usize)
        .ok_or_else(|| serde::de::Error::custom("index must be 0 to 9"))
}

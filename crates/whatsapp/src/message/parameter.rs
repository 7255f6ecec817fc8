//! What fills a template's variables (Cloud API, "Template messages").

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use super::check::Checker;
use super::content::Location;
use super::media::{Document, Media};
use crate::limits;
use crate::redact::redacted_debug;

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
    Parameter { value },
    Currency { code },
    DateTime {},
    Product {},
    FlowAction {}
);

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

    pub(super) fn check(&self, fits: bool, allowed: &str, text_chars_max: usize, checker: &mut Checker) {
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

/// What names of templates and of their variables are made of.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

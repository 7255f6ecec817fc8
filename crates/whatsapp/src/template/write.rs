//! Writing a definition as Meta takes it.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::definition::{Body, Button, ButtonAction, Card, Definition, Example, Footer, Header, ParameterFormat, Part};

impl ParameterFormat {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Positional => "POSITIONAL",
            Self::Named => "NAMED",
        }
    }
}

/// The body of `POST /{account-id}/message_templates`.
impl Serialize for Definition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("language", &self.language)?;
        map.serialize_entry("category", self.category.as_str())?;
        map.serialize_entry("parameter_format", self.parameter_format.as_str())?;
        if let Some(seconds) = self.message_send_ttl_seconds {
            map.serialize_entry("message_send_ttl_seconds", &seconds)?;
        }
        map.serialize_entry("components", &self.components)?;
        map.end()
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl Part {
    /// The part as a member of `components`.
    pub fn to_value(&self) -> Value {
        let mut written = match self {
            Self::Header(Header { other, .. })
            | Self::Body(Body { other, .. })
            | Self::Footer(Footer { other, .. }) => Value::Object(other.clone()),
            _ => json!({}),
        };
        written["type"] = json!(self.kind());
        match self {
            Self::Header(header) => header.write(&mut written),
            Self::Body(body) => {
                put(&mut written, "text", body.text.as_deref());
                put(
                    &mut written,
                    "add_security_recommendation",
                    body.add_security_recommendation,
                );
                let (named, positional) = split(&body.examples);
                if !named.is_empty() {
                    written["example"] = json!({ "body_text_named_params": named });
                } else if !positional.is_empty() {
                    written["example"] = json!({ "body_text": [positional] });
                }
            }
            Self::Footer(footer) => {
                put(&mut written, "text", footer.text.as_deref());
                put(&mut written, "code_expiration_minutes", footer.code_expiration_minutes);
            }
            Self::Buttons(buttons) => written["buttons"] = buttons.iter().map(Button::to_value).collect(),
            Self::LimitedTimeOffer(offer) => {
                written["limited_time_offer"] = json!({"text": offer.text, "has_expiration": offer.has_expiration});
            }
            Self::Carousel(cards) => written["cards"] = cards.iter().map(Card::to_value).collect(),
            Self::Other(value) => return value.clone(),
        }
        written
    }
}

impl Header {
    fn write(&self, written: &mut Value) {
        written["format"] = json!(self.format.as_str());
        put(written, "text", self.text.as_deref());
        let (named, positional) = split(&self.examples);
        if let Some(sample) = &self.sample {
            written["example"] = json!({ "header_handle": [sample] });
        } else if !named.is_empty() {
            written["example"] = json!({ "header_text_named_params": named });
        } else if !positional.is_empty() {
            written["example"] = json!({ "header_text": positional });
        }
    }
}

impl Button {
    fn to_value(&self) -> Value {
        let mut written = Value::Object(self.other.clone());
        written["type"] = json!(self.action.kind());
        put(&mut written, "text", self.label.as_deref());
        match &self.action {
            ButtonAction::Url { url, example } => {
                written["url"] = json!(url);
                put(
                    &mut written,
                    "example",
                    example.as_deref().map(|example| json!([example])),
                );
            }
            ButtonAction::PhoneNumber { number } => written["phone_number"] = json!(number),
            ButtonAction::CopyCode { example } => put(&mut written, "example", example.as_deref()),
            ButtonAction::OneTimePassword { kind } => put(&mut written, "otp_type", kind.as_deref()),
            _ => {}
        }
        written
    }
}

impl Card {
    fn to_value(&self) -> Value {
        let components: Vec<Value> = self.components.iter().map(Part::to_value).collect();
        json!({ "components": components })
    }
}

fn put(written: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        written[key] = value.into();
    }
}

/// Named examples as Meta writes them, and the values of those without a name.
fn split(examples: &[Example]) -> (Vec<Value>, Vec<&str>) {
    let named = examples.iter().filter_map(|example| {
        let name = example.name.as_ref()?;
        Some(json!({"param_name": name, "example": example.value}))
    });
    let positional = examples.iter().filter(|example| example.name.is_none());
    (
        named.collect(),
        positional.map(|example| example.value.as_str()).collect(),
    )
}

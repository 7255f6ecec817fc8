//! Message templates: their shape, and whether a send fits it.

use serde_json::{Value, json};

use super::draw::{self, Draw};
use super::template_quality::Standing;
use crate::config::TemplateDefinition;
use crate::error::GraphError;
use crate::request::{Component, HeaderParameter, Parameter, TemplateMessage};

const BODY_CHARS_MAX: usize = 1_024;
const SPACES_IN_A_ROW_MAX: usize = 4;
/// Since when the templates an account starts with have their quality score, Unix seconds: some day in November 2023.
const FIRST_QUALITY_AT_S: i64 = 1_700_000_000;

/// What a header takes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum HeaderShape {
    Nothing,
    Text(Vec<String>),
    Media(String),
}

/// What a button takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ButtonShape {
    /// A parameter is required.
    Needed,
    /// A parameter may be given.
    Optional,
    /// No parameter is taken.
    Fixed,
}

/// A template of an account in one language.
#[derive(Debug)]
pub(crate) struct Template {
    /// Template id.
    pub(crate) id: u64,
    /// Name.
    pub(crate) name: String,
    /// Language code.
    pub(crate) language: String,
    /// Current category.
    pub(crate) category: String,
    /// Category before the last change.
    pub(crate) previous_category: Option<String>,
    /// `APPROVED`, `PENDING`, `REJECTED`, `PAUSED`, `DISABLED`, …
    pub(crate) status: String,
    /// `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    pub(crate) quality: String,
    /// Since when that is its quality, Unix seconds. Clients rely on `quality_score` having a date.
    pub(crate) quality_at_s: i64,
    /// What people make of it.
    pub(super) standing: Standing,
    /// Why it was rejected, or `NONE`.
    pub(crate) rejected_reason: String,
    /// Components in Meta's JSON form.
    pub(crate) components: Vec<Value>,
    /// Whether parameters go by name.
    named: bool,
    /// Seconds an undeliverable message is tried.
    pub(crate) ttl_s: Option<i64>,
    header: HeaderShape,
    body: Vec<String>,
    body_chars: usize,
    buttons: Vec<ButtonShape>,
}

impl Template {
    /// Builds a template; the id follows from seed, account, name and language.
    pub(crate) fn new(seed: u64, account_id: &str, definition: TemplateDefinition) -> Self {
        let key = draw::subject(account_id) ^ draw::subject(&definition.name).rotate_left(17);
        let id = 1_000_000_000_000_000
            + draw::bits(seed, Draw::TemplateId, key, draw::subject(&definition.language)) % 9_000_000_000_000_000;
        let rejected_reason = if definition.status == "REJECTED" {
            "INVALID_FORMAT"
        } else {
            "NONE"
        };
        let mut template = Self {
            id,
            name: definition.name,
            language: definition.language,
            category: definition.category,
            previous_category: None,
            status: definition.status,
            quality: "UNKNOWN".to_owned(),
            quality_at_s: FIRST_QUALITY_AT_S,
            standing: Standing::default(),
            rejected_reason: rejected_reason.to_owned(),
            components: definition.components,
            named: definition.parameter_format == "NAMED",
            ttl_s: definition.message_send_ttl_seconds,
            header: HeaderShape::Nothing,
            body: Vec::new(),
            body_chars: 0,
            buttons: Vec::new(),
        };
        template.read_shape();
        template
    }

    /// Replaces the components, as an edit does.
    pub(crate) fn set_components(&mut self, components: Vec<Value>) {
        self.components = components;
        self.read_shape();
    }

    fn read_shape(&mut self) {
        self.header = HeaderShape::Nothing;
        self.body.clear();
        self.body_chars = 0;
        self.buttons.clear();
        for component in &self.components {
            let text = component["text"].as_str().unwrap_or_default();
            match component["type"]
                .as_str()
                .unwrap_or_default()
                .to_ascii_uppercase()
                .as_str()
            {
                "HEADER" => {
                    self.header = match component["format"]
                        .as_str()
                        .unwrap_or("TEXT")
                        .to_ascii_uppercase()
                        .as_str()
                    {
                        "TEXT" => HeaderShape::Text(placeholders(text)),
                        format => HeaderShape::Media(format.to_ascii_lowercase()),
                    };
                }
                "BODY" => {
                    self.body = placeholders(text);
                    let placeholder_chars: usize = self.body.iter().map(|name| name.chars().count() + 4).sum();
                    self.body_chars = text.chars().count().saturating_sub(placeholder_chars);
                    // The text of an authentication template is the platform's own and takes the code.
                    if text.is_empty() && self.category == "AUTHENTICATION" {
                        self.body = vec!["1".to_owned()];
                    }
                }
                "BUTTONS" => {
                    let buttons = component["buttons"].as_array().map(Vec::as_slice).unwrap_or_default();
                    self.buttons = buttons.iter().map(button_shape).collect();
                }
                _ => {}
            }
        }
    }

    /// Whether a send of this template fits it.
    pub(crate) fn check(&self, message: &TemplateMessage) -> Result<(), GraphError> {
        self.check_status()?;
        let mut header: &[HeaderParameter] = &[];
        let mut body: &[Parameter] = &[];
        let mut given_buttons = Vec::new();
        for component in &message.components {
            match component {
                Component::Header { parameters } => header = parameters,
                Component::Body { parameters } => body = parameters,
                Component::Footer { parameters } if parameters.is_empty() => {}
                Component::Footer { .. } => return Err(GraphError::new(132_000, "footer: no parameters expected")),
                Component::Button {
                    sub_type,
                    index,
                    parameters,
                } => {
                    self.check_button(*index, sub_type, parameters)?;
                    given_buttons.push(*index);
                }
                Component::Carousel { .. } | Component::LimitedTimeOffer { .. } => {}
            }
        }
        self.check_header(header)?;
        self.check_body(body)?;
        let forgotten = self
            .buttons
            .iter()
            .enumerate()
            .find(|(at, shape)| **shape == ButtonShape::Needed && !given_buttons.contains(at));
        match forgotten {
            Some((at, _)) => Err(GraphError::new(
                131_008,
                format!("buttons: button at index {at} needs a parameter"),
            )),
            None => Ok(()),
        }
    }

    fn check_status(&self) -> Result<(), GraphError> {
        match self.status.as_str() {
            "APPROVED" => Ok(()),
            "PAUSED" => Err(GraphError::new(
                132_015,
                "The template is paused because of low quality.",
            )),
            "DISABLED" => Err(GraphError::new(
                132_016,
                "The template has been disabled because of low quality.",
            )),
            _ => Err(no_such_template(&self.name, &self.language)),
        }
    }

    fn check_header(&self, given: &[HeaderParameter]) -> Result<(), GraphError> {
        let expected = match &self.header {
            HeaderShape::Nothing => 0,
            HeaderShape::Text(names) => names.len(),
            HeaderShape::Media(_) => 1,
        };
        if given.len() != expected {
            return Err(count_mismatch("header", given.len(), expected));
        }
        for (at, parameter) in given.iter().enumerate() {
            let wanted = match &self.header {
                HeaderShape::Media(kind) => kind.as_str(),
                _ => "text",
            };
            if parameter.kind != wanted || !parameter.is_complete() {
                return Err(GraphError::new(
                    132_012,
                    format!("header: parameter {} must be of type {wanted}", at + 1),
                ));
            }
            if let HeaderShape::Text(names) = &self.header {
                self.check_name("header", names, parameter.parameter_name.as_deref())?;
            }
            if let Some(text) = &parameter.text {
                check_text("header", text)?;
            }
        }
        Ok(())
    }

    fn check_body(&self, given: &[Parameter]) -> Result<(), GraphError> {
        if given.len() != self.body.len() {
            return Err(count_mismatch("body", given.len(), self.body.len()));
        }
        let mut chars = self.body_chars;
        for (at, parameter) in given.iter().enumerate() {
            self.check_name("body", &self.body, parameter.parameter_name.as_deref())?;
            let Some(text) = parameter.shown() else {
                return Err(GraphError::new(
                    132_012,
                    format!("body: parameter {} has no value of its type", at + 1),
                ));
            };
            check_text("body", text)?;
            chars += text.chars().count();
        }
        if chars > BODY_CHARS_MAX {
            return Err(GraphError::new(
                132_005,
                format!("body: {chars} characters, at most {BODY_CHARS_MAX} allowed"),
            ));
        }
        Ok(())
    }

    fn check_name(&self, place: &str, names: &[String], given: Option<&str>) -> Result<(), GraphError> {
        match given {
            // Clients that always send a name are tolerated on positional templates.
            _ if !self.named => Ok(()),
            Some(name) if names.iter().any(|known| known == name) => Ok(()),
            _ => Err(GraphError::new(
                132_012,
                format!("{place}: parameter_name must be one of the template's"),
            )),
        }
    }

    fn check_button(&self, index: usize, sub_type: &str, parameters: &[Value]) -> Result<(), GraphError> {
        let Some(shape) = self.buttons.get(index) else {
            return Err(GraphError::new(
                132_000,
                format!("buttons: the template has no button at index {index}"),
            ));
        };
        if *shape == ButtonShape::Fixed && !parameters.is_empty() {
            return Err(GraphError::new(
                132_018,
                format!("buttons: button at index {index} takes no parameter"),
            ));
        }
        if *shape == ButtonShape::Needed && parameters.len() != 1 {
            return Err(GraphError::new(
                131_008,
                format!("buttons: {sub_type} button at index {index} needs one parameter"),
            ));
        }
        Ok(())
    }

    /// What `message_template_quality_update` tells.
    pub(super) fn quality_change(&self, previous: &str) -> Value {
        json!({
            "previous_quality_score": previous,
            "new_quality_score": self.quality,
            "message_template_id": self.id,
            "message_template_name": self.name,
            "message_template_language": self.language,
        })
    }

    /// The template as `GET /{waba}/message_templates` shows it.
    pub(crate) fn node(&self) -> Value {
        let mut node = json!({
            "name": self.name,
            "parameter_format": if self.named { "NAMED" } else { "POSITIONAL" },
            "components": self.components,
            "language": self.language,
            "status": self.status,
            "category": self.category,
            "quality_score": {"score": self.quality, "date": self.quality_at_s},
            "rejected_reason": self.rejected_reason,
            "id": self.id.to_string(),
        });
        if let Some(previous) = &self.previous_category {
            node["previous_category"] = json!(previous);
        }
        if let Some(ttl_s) = self.ttl_s {
            node["message_send_ttl_seconds"] = json!(ttl_s);
        }
        node
    }
}

/// Error 132001.
pub(crate) fn no_such_template(name: &str, language: &str) -> GraphError {
    GraphError::new(132_001, format!("template name ({name}) does not exist in {language}"))
}

fn count_mismatch(place: &str, given: usize, expected: usize) -> GraphError {
    let details = format!(
        "{place}: number of localizable_params ({given}) does not match the expected number of params ({expected})"
    );
    GraphError::new(132_000, details)
}

fn check_text(place: &str, text: &str) -> Result<(), GraphError> {
    let too_many_spaces = " ".repeat(SPACES_IN_A_ROW_MAX + 1);
    if text.contains(['\n', '\r', '\t']) || text.contains(&too_many_spaces) {
        let details =
            format!("{place}: a text parameter cannot have new-line/tab characters or more than 4 consecutive spaces");
        return Err(GraphError::new(132_018, details));
    }
    Ok(())
}

fn button_shape(button: &Value) -> ButtonShape {
    match button["type"]
        .as_str()
        .unwrap_or_default()
        .to_ascii_uppercase()
        .as_str()
    {
        "URL" if button["url"].as_str().is_some_and(|url| url.contains("{{")) => ButtonShape::Needed,
        "OTP" | "COPY_CODE" => ButtonShape::Needed,
        "QUICK_REPLY" | "FLOW" | "CATALOG" | "MPM" | "ORDER_DETAILS" | "VOICE_CALL" => ButtonShape::Optional,
        _ => ButtonShape::Fixed,
    }
}

/// The distinct `{{…}}` of a text, in order.
fn placeholders(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        let Some((name, tail)) = after.split_once("}}") else {
            break;
        };
        let name = name.trim().to_owned();
        if !names.contains(&name) {
            names.push(name);
        }
        rest = tail;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::builtin_templates::builtin;

    fn named(name: &str) -> Template {
        let definition = builtin().into_iter().find(|template| template.name == name).unwrap();
        Template::new(1, "100", definition)
    }

    fn code(template: &str, components: &Value) -> Option<u32> {
        let message = json!({"name": template, "language": {"code": "en_US"}, "components": components});
        let message: TemplateMessage = serde_json::from_value(message).unwrap();
        named(template).check(&message).err().map(|error| error.code)
    }

    fn texts(texts: &[&str]) -> Value {
        let parameters: Vec<Value> = texts.iter().map(|text| json!({"type": "text", "text": text})).collect();
        json!([{"type": "body", "parameters": parameters}])
    }

    #[test]
    fn the_number_of_body_parameters_must_match() {
        assert_eq!(code("order_update", &texts(&["Ana", "A-17"])), None);
        assert_eq!(code("order_update", &texts(&["Ana"])), Some(132_000));
        assert_eq!(code("order_update", &texts(&["Ana", "A-17", "more"])), Some(132_000));
        assert_eq!(code("hello_world", &json!([])), None);
    }

    #[test]
    fn only_approved_templates_are_sent() {
        assert_eq!(code("paused_offer", &json!([])), Some(132_015));
        assert_eq!(code("disabled_offer", &json!([])), Some(132_016));
        assert_eq!(code("rejected_offer", &json!([])), Some(132_001));
        assert_eq!(code("pending_offer", &json!([])), Some(132_001));
    }

    #[test]
    fn parameter_texts_have_no_line_breaks_and_fit() {
        assert_eq!(code("order_update", &texts(&["Ana\nRuiz", "A-17"])), Some(132_018));
        assert_eq!(code("order_update", &texts(&["Ana     Ruiz", "A-17"])), Some(132_018));
        assert_eq!(
            code("order_update", &texts(&[&"a".repeat(1_024), "A-17"])),
            Some(132_005)
        );
    }

    #[test]
    fn header_media_and_url_buttons_need_their_parameters() {
        let whole = json!([
            {"type": "header", "parameters": [{"type": "image", "image": {"id": "1"}}]},
            {"type": "body", "parameters": [{"type": "text", "text": "Ana"}]},
            {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "A-17"}]}
        ]);
        assert_eq!(code("order_photo", &whole), None);
        let without = |at: usize| {
            let mut parts = whole.as_array().unwrap().clone();
            parts.remove(at);
            json!(parts)
        };
        assert_eq!(code("order_photo", &without(0)), Some(132_000));
        assert_eq!(code("order_photo", &without(2)), Some(131_008));
    }

    #[test]
    fn named_parameters_go_by_their_names() {
        let with = |names: [&str; 2]| {
            let parameters: Vec<Value> = names
                .iter()
                .map(|name| json!({"type": "text", "text": "x", "parameter_name": name}))
                .collect();
            json!([{"type": "body", "parameters": parameters}])
        };
        assert_eq!(code("appointment_reminder", &with(["first_name", "day"])), None);
        assert_eq!(
            code("appointment_reminder", &with(["first_name", "hour"])),
            Some(132_012)
        );
        assert_eq!(code("appointment_reminder", &texts(&["a", "b"])), Some(132_012));
    }
}

//! The body of `POST /{phone-number-id}/messages`: parsed strictly, as Meta does.
//!
//! Unknown fields are error 100, missing ones 131008, lengths 100, bad values 131009. Only shape is judged here; what
//! depends on the world (templates, windows, people) is judged there. What clients in the field write differently is
//! [`rewritten`] first.

mod contacts;
mod interactive;
mod media;
mod template;
mod tolerance;

pub(crate) use media::{MediaReference, MediaSource};
pub(crate) use template::{Component, HeaderParameter, Parameter, TemplateMessage};
pub(crate) use tolerance::rewritten;

use serde::{Deserialize, Deserializer};

use crate::error::GraphError;
use contacts::ContactCard;
use interactive::Interactive;
use media::{Audio, Document, Image, Sticker};

const TEXT_CHARS_MAX: usize = 4_096;
const OPAQUE_CHARS_MAX: usize = 512;
const CONTACTS_MAX: usize = 257;

/// What a well-formed request asks for.
pub(crate) enum Request {
    /// Send a message.
    Send(SendRequest),
    /// Mark an inbound message, and all before it, as read.
    MarkRead {
        /// wamid of the inbound message.
        message_id: String,
    },
}

/// A message to send.
pub(crate) struct SendRequest {
    /// The `to` field as written.
    pub(crate) to: Option<String>,
    /// Business-scoped user id, used when there is no `to`.
    pub(crate) recipient: Option<String>,
    /// `biz_opaque_callback_data`.
    pub(crate) opaque: Option<String>,
    /// What is sent.
    pub(crate) content: Content,
    /// Files its headers name; a media message names its own in `content`.
    pub(crate) header_files: Vec<MediaReference>,
}

impl SendRequest {
    /// Whether it names a file by its public address.
    pub(crate) fn names_a_link(&self) -> bool {
        let own = match &self.content {
            Content::Media(file) => Some(file),
            _ => None,
        };
        let mut files = self.header_files.iter().chain(own);
        files.any(|file| matches!(file.source, MediaSource::Link))
    }
}

/// What is sent, as far as the world cares.
pub(crate) enum Content {
    /// Text.
    Text,
    /// A template with its parameters.
    Template(Box<TemplateMessage>),
    /// Image, video, audio, document or sticker.
    Media(MediaReference),
    /// A location.
    Location,
    /// Contact cards.
    Contacts,
    /// A reaction to a message.
    Reaction {
        /// wamid of the message reacted to.
        message_id: String,
    },
    /// Buttons, lists, flows, products.
    Interactive,
}

impl Content {
    /// The wire name of the message type.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Template(_) => "template",
            Self::Media(file) => file.kind,
            Self::Location => "location",
            Self::Contacts => "contacts",
            Self::Reaction { .. } => "reaction",
            Self::Interactive => "interactive",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    messaging_product: Option<String>,
    recipient_type: Option<String>,
    #[serde(default, deserialize_with = "text_or_number")]
    to: Option<String>,
    recipient: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    context: Option<Context>,
    biz_opaque_callback_data: Option<String>,
    // Only checked when the identity check is on, which the simulator does not have.
    #[serde(rename = "recipient_identity_key_hash")]
    _identity: Option<String>,
    #[serde(rename = "product_policy")]
    _product_policy: Option<ProductPolicy>,
    #[serde(rename = "message_activity_sharing")]
    _activity: Option<bool>,
    status: Option<String>,
    message_id: Option<String>,
    #[serde(rename = "typing_indicator")]
    _typing: Option<TypingIndicator>,
    // Older samples of Meta's documentation show it here instead of in `text`; it has no effect here.
    #[serde(rename = "preview_url")]
    _preview_url: Option<bool>,
    text: Option<Text>,
    template: Option<TemplateMessage>,
    image: Option<Image>,
    video: Option<Image>,
    audio: Option<Audio>,
    document: Option<Document>,
    sticker: Option<Sticker>,
    location: Option<Location>,
    contacts: Option<Vec<ContactCard>>,
    reaction: Option<Reaction>,
    interactive: Option<Interactive>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Context {
    #[serde(rename = "message_id")]
    _message_id: String,
}

#[derive(Deserialize)]
enum ProductPolicy {
    #[serde(rename = "CLOUD_API_FALLBACK")]
    Fallback,
    #[serde(rename = "STRICT")]
    Strict,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypingIndicator {
    #[serde(rename = "type")]
    _kind: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    body: String,
    #[serde(rename = "preview_url")]
    _preview_url: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Location {
    latitude: Coordinate,
    longitude: Coordinate,
    #[serde(rename = "name")]
    _name: Option<String>,
    #[serde(rename = "address")]
    _address: Option<String>,
}

/// A coordinate; the documentation shows numbers in one place and strings in another.
#[derive(Deserialize)]
#[serde(untagged)]
enum Coordinate {
    Number(f64),
    Text(String),
}

impl Coordinate {
    fn is_within(&self, bound: f64) -> bool {
        let value = match self {
            Self::Number(value) => Some(*value),
            Self::Text(text) => text.trim().parse().ok(),
        };
        value.is_some_and(|value| (-bound..=bound).contains(&value))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reaction {
    message_id: String,
    #[serde(rename = "emoji")]
    _emoji: Option<String>,
}

/// Parses and checks a request body.
pub(crate) fn parse(bytes: &[u8]) -> Result<Request, GraphError> {
    let body: Body = serde_json::from_slice(bytes).map_err(|error| json_error(&error))?;
    if body.messaging_product.as_deref() != Some("whatsapp") {
        return Err(GraphError::new(
            100,
            "The parameter messaging_product is required and must be whatsapp.",
        ));
    }
    if let Some(status) = &body.status {
        return mark_read(status, body.message_id);
    }
    let opaque_chars = body
        .biz_opaque_callback_data
        .as_deref()
        .map_or(0, |data| data.chars().count());
    if opaque_chars > OPAQUE_CHARS_MAX {
        return Err(too_long("biz_opaque_callback_data", OPAQUE_CHARS_MAX));
    }
    match body.recipient_type.as_deref() {
        None | Some("individual") => {}
        Some("group") => return Err(GraphError::new(131_041, "This simulator has no groups.")),
        Some(_) => return Err(invalid("recipient_type must be individual or group")),
    }
    if body.to.is_none() && body.recipient.is_none() {
        return Err(missing("to"));
    }
    let to = body.to.clone();
    let recipient = body.recipient.clone();
    let is_reply = body.context.is_some();
    let opaque = body.biz_opaque_callback_data.clone();
    let mut header_files = Vec::new();
    let content = content(body, &mut header_files)?;
    if matches!(content, Content::Reaction { .. }) && is_reply {
        return Err(invalid("a reaction cannot carry context"));
    }
    Ok(Request::Send(SendRequest {
        to,
        recipient,
        opaque,
        content,
        header_files,
    }))
}

fn mark_read(status: &str, message_id: Option<String>) -> Result<Request, GraphError> {
    if status != "read" {
        return Err(invalid("status must be read"));
    }
    let message_id = message_id.ok_or_else(|| missing("message_id"))?;
    Ok(Request::MarkRead { message_id })
}

fn content(body: Body, header_files: &mut Vec<MediaReference>) -> Result<Content, GraphError> {
    let declared = body.kind.as_deref().unwrap_or("text");
    let present = [
        ("text", body.text.is_some()),
        ("template", body.template.is_some()),
        ("image", body.image.is_some()),
        ("video", body.video.is_some()),
        ("audio", body.audio.is_some()),
        ("document", body.document.is_some()),
        ("sticker", body.sticker.is_some()),
        ("location", body.location.is_some()),
        ("contacts", body.contacts.is_some()),
        ("reaction", body.reaction.is_some()),
        ("interactive", body.interactive.is_some()),
    ];
    if !present.iter().any(|(name, _)| *name == declared) {
        return Err(GraphError::new(
            100,
            format!("Param type must be one of the known message types, not {declared}."),
        ));
    }
    if let Some((extra, _)) = present.iter().find(|(name, there)| *there && *name != declared) {
        return Err(GraphError::new(
            100,
            format!("Unexpected key \"{extra}\" in a message of type {declared}."),
        ));
    }
    match declared {
        "text" => text(&body.text.ok_or_else(|| missing("text"))?),
        "template" => {
            let template = body.template.ok_or_else(|| missing("template"))?;
            template.check(header_files)?;
            Ok(Content::Template(Box::new(template)))
        }
        "image" => body.image.ok_or_else(|| missing("image"))?.check("image"),
        "video" => body.video.ok_or_else(|| missing("video"))?.check("video"),
        "audio" => body.audio.ok_or_else(|| missing("audio"))?.check(),
        "document" => body.document.ok_or_else(|| missing("document"))?.check(),
        "sticker" => body.sticker.ok_or_else(|| missing("sticker"))?.check(),
        "location" => location(&body.location.ok_or_else(|| missing("location"))?),
        "contacts" => contact_cards(&body.contacts.ok_or_else(|| missing("contacts"))?),
        "reaction" => {
            let reaction = body.reaction.ok_or_else(|| missing("reaction"))?;
            Ok(Content::Reaction {
                message_id: reaction.message_id,
            })
        }
        _ => {
            let interactive = body.interactive.ok_or_else(|| missing("interactive"))?;
            interactive.check(header_files)?;
            Ok(Content::Interactive)
        }
    }
}

fn text(text: &Text) -> Result<Content, GraphError> {
    if text.body.trim().is_empty() {
        return Err(missing("text.body"));
    }
    check_chars("text.body", &text.body, TEXT_CHARS_MAX)?;
    Ok(Content::Text)
}

fn location(location: &Location) -> Result<Content, GraphError> {
    if !location.latitude.is_within(90.0) {
        return Err(GraphError::new(131_009, "location.latitude is not a latitude"));
    }
    if !location.longitude.is_within(180.0) {
        return Err(GraphError::new(131_009, "location.longitude is not a longitude"));
    }
    Ok(Content::Location)
}

fn contact_cards(cards: &[ContactCard]) -> Result<Content, GraphError> {
    if cards.is_empty() || cards.len() > CONTACTS_MAX {
        return Err(invalid("contacts must hold 1 to 257 cards"));
    }
    for card in cards {
        card.check()?;
    }
    Ok(Content::Contacts)
}

/// Error 100 with a reason.
pub(crate) fn invalid(details: impl Into<String>) -> GraphError {
    GraphError::new(100, details)
}

/// Error 131008: a required field is missing.
pub(crate) fn missing(path: &str) -> GraphError {
    GraphError::new(131_008, format!("Parameter {path} is missing"))
}

/// Error 100: a field is longer than allowed.
pub(crate) fn too_long(path: &str, chars_max: usize) -> GraphError {
    GraphError::new(
        100,
        format!("Param {path} must be at most {chars_max} characters long."),
    )
}

/// Checks a length in Unicode scalar values; Meta does not say which unit it counts.
pub(crate) fn check_chars(path: &str, text: &str, chars_max: usize) -> Result<(), GraphError> {
    if text.len() > chars_max && text.chars().count() > chars_max {
        return Err(too_long(path, chars_max));
    }
    Ok(())
}

/// Translates a parse failure: a missing field is 131008, anything else 100.
pub(crate) fn json_error(error: &serde_json::Error) -> GraphError {
    let text = error.to_string();
    let code = if text.starts_with("missing field") {
        131_008
    } else {
        100
    };
    GraphError::new(code, text)
}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum TextOrNumber {
        Text(String),
        Number(u64),
    }
    Ok(
        Option::<TextOrNumber>::deserialize(deserializer)?.map(|value| match value {
            TextOrNumber::Text(text) => text,
            TextOrNumber::Number(number) => number.to_string(),
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn code_of(body: &serde_json::Value) -> u32 {
        parse(body.to_string().as_bytes()).err().unwrap().code
    }

    fn text_to(to: &str) -> serde_json::Value {
        json!({"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": "hi"}})
    }

    #[test]
    fn a_plain_text_message_is_understood() {
        let Request::Send(send) = parse(text_to("+1 202").to_string().as_bytes()).unwrap() else {
            panic!()
        };
        assert_eq!(send.to.as_deref(), Some("+1 202"));
        assert_eq!(send.content.kind(), "text");
    }

    #[test]
    fn an_unknown_field_is_error_100() {
        let mut body = text_to("1");
        body["tо"] = json!("typo with a Cyrillic letter");
        assert_eq!(code_of(&body), 100);
        let mut body = text_to("1");
        body["text"]["previewurl"] = json!(true);
        assert_eq!(code_of(&body), 100);
    }

    #[test]
    fn missing_parts_have_their_codes() {
        assert_eq!(
            code_of(&json!({"to": "1", "type": "text", "text": {"body": "hi"}})),
            100
        );
        assert_eq!(
            code_of(&json!({"messaging_product": "whatsapp", "type": "text", "text": {"body": "hi"}})),
            131_008
        );
        assert_eq!(
            code_of(&json!({"messaging_product": "whatsapp", "to": "1", "type": "text"})),
            131_008
        );
        assert_eq!(
            code_of(&json!({"messaging_product": "whatsapp", "to": "1", "type": "text", "text": {}})),
            131_008
        );
    }

    #[test]
    fn two_payloads_that_disagree_with_the_type_are_refused() {
        let mut body = text_to("1");
        body["location"] = json!({"latitude": 1, "longitude": "2"});
        assert_eq!(code_of(&body), 100);
    }

    #[test]
    fn long_texts_are_refused() {
        let mut body = text_to("1");
        body["text"]["body"] = json!("é".repeat(4_096));
        assert!(parse(body.to_string().as_bytes()).is_ok());
        body["text"]["body"] = json!("é".repeat(4_097));
        assert_eq!(code_of(&body), 100);
    }

    #[test]
    fn mark_as_read_is_told_from_a_message() {
        let body = json!({"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.x",
                          "typing_indicator": {"type": "text"}});
        assert!(matches!(
            parse(body.to_string().as_bytes()),
            Ok(Request::MarkRead { .. })
        ));
    }

    #[test]
    fn every_other_kind_parses() {
        let bodies = [
            json!({"type": "image", "image": {"link": "https://x.example/a.png", "caption": "c"}}),
            json!({"type": "audio", "audio": {"id": "1", "voice": true}}),
            json!({"type": "document", "document": {"id": "1", "filename": "a.pdf"}}),
            json!({"type": "sticker", "sticker": {"id": "1"}}),
            json!({"type": "location", "location": {"latitude": "1.5", "longitude": 2}}),
            json!({"type": "reaction", "reaction": {"message_id": "wamid.x", "emoji": "👍"}}),
            json!({"type": "interactive", "interactive": {"type": "button", "body": {"text": "When?"},
                "action": {"buttons": [{"type": "reply", "reply": {"id": "a", "title": "Now"}}]}}}),
        ];
        for mut body in bodies {
            body["messaging_product"] = json!("whatsapp");
            body["to"] = json!("+12025550142");
            assert!(parse(body.to_string().as_bytes()).is_ok(), "{body}");
        }
    }
}

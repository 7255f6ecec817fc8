//! The kinds of content, and the small ones among them.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use super::check::{Checker, Invalid};
use super::contacts::ContactCard;
use super::interactive::Interactive;
use super::media::{Audio, CaptionedMedia, Document, Media};
use super::template::{Template, WrittenTemplate};
use crate::limits;
use crate::redact::redacted_debug;
use crate::wamid::Wamid;

/// What a message carries.
#[derive(Clone, PartialEq)]
pub enum Content {
    /// Free text; needs an open customer service window, like everything but a template.
    Text(Text),
    /// An approved template.
    Template(Template),
    /// An approved template that was checked and written before.
    WrittenTemplate(WrittenTemplate),
    /// A picture.
    Image(CaptionedMedia),
    /// A video.
    Video(CaptionedMedia),
    /// Sound, or a voice note.
    Audio(Audio),
    /// A file.
    Document(Document),
    /// A sticker.
    Sticker(Media),
    /// A place.
    Location(Location),
    /// One or more contact cards.
    Contacts(Vec<ContactCard>),
    /// An emoji on an earlier message.
    Reaction(Reaction),
    /// Buttons, lists, links, flows, products.
    Interactive(Interactive),
    /// Free-form content that was checked and written before.
    Written(Written),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Content({}, redacted)", self.kind())
    }
}

impl Content {
    /// The word Meta uses for this kind, as `type` and as the key of the payload.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Template(_) | Self::WrittenTemplate(_) => "template",
            Self::Image(_) => "image",
            Self::Video(_) => "video",
            Self::Audio(_) => "audio",
            Self::Document(_) => "document",
            Self::Sticker(_) => "sticker",
            Self::Location(_) => "location",
            Self::Contacts(_) => "contacts",
            Self::Reaction(_) => "reaction",
            Self::Interactive(_) => "interactive",
            Self::Written(written) => written.kind,
        }
    }

    /// Checks the content by itself, as [`super::OutgoingMessage::validate`] does: the paths begin with its kind.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut checker = Checker::default();
        checker.field(self.kind(), |checker| self.check(checker));
        checker.finish()
    }

    pub(super) fn serialize_payload<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let key = self.kind();
        match self {
            Self::Text(text) => map.serialize_entry(key, text),
            Self::Template(template) => map.serialize_entry(key, template),
            Self::WrittenTemplate(template) => map.serialize_entry(key, template),
            Self::Image(media) | Self::Video(media) => map.serialize_entry(key, media),
            Self::Audio(audio) => map.serialize_entry(key, audio),
            Self::Document(document) => map.serialize_entry(key, document),
            Self::Sticker(media) => map.serialize_entry(key, media),
            Self::Location(location) => map.serialize_entry(key, location),
            Self::Contacts(cards) => map.serialize_entry(key, cards),
            Self::Reaction(reaction) => map.serialize_entry(key, reaction),
            Self::Interactive(interactive) => map.serialize_entry(key, interactive),
            Self::Written(written) => map.serialize_entry(key, &written.payload),
        }
    }

    /// What stands in the body beneath [`Content::kind`]: to be kept, and sent later as [`Content::Written`].
    ///
    /// # Errors
    /// A number is not finite; [`Content::validate`] refuses those.
    pub fn payload(&self) -> Result<Value, serde_json::Error> {
        struct Payload<'a>(&'a Content);
        impl Serialize for Payload<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(Some(1))?;
                self.0.serialize_payload(&mut map)?;
                map.end()
            }
        }
        let mut body = serde_json::to_value(Payload(self))?;
        Ok(body[self.kind()].take())
    }

    pub(super) fn check(&self, checker: &mut Checker) {
        match self {
            Self::Text(text) => text.check(checker),
            Self::Template(template) => template.check(checker),
            Self::WrittenTemplate(template) => template.check(checker),
            Self::Image(media) | Self::Video(media) => media.check(checker),
            Self::Audio(audio) => audio.source.check(checker),
            Self::Document(document) => document.check(checker),
            Self::Sticker(media) => media.source.check(checker),
            Self::Location(location) => location.check(checker),
            Self::Contacts(cards) => super::contacts::check_cards(cards, checker),
            Self::Reaction(reaction) => reaction.check(checker),
            Self::Interactive(interactive) => interactive.check(checker),
            // Checked before it was written.
            Self::Written(_) => {}
        }
    }
}

/// Free-form content that was checked and written before. It goes out as it is.
#[derive(Clone, PartialEq)]
pub struct Written {
    /// Meta's word for the kind, such as `image`.
    pub kind: &'static str,
    /// What stands beneath that word, as [`Content::payload`] gave it.
    pub payload: Value,
}

/// Free text (Cloud API, "Text messages").
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Text {
    /// The text, 1 to 4,096 characters.
    pub body: String,
    /// Whether the first URL of the text is unfurled; the text must then contain one with its scheme.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_url: Option<bool>,
}

/// A place (Cloud API, "Location messages").
#[derive(Clone, PartialEq, Serialize)]
pub struct Location {
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
    /// Name of the place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Address; shown only together with a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// An emoji on a message of the last 30 days that is not itself a reaction (Cloud API, "Reaction messages").
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Reaction {
    /// The message reacted to.
    pub message_id: Wamid,
    /// One emoji; empty takes the reaction back.
    pub emoji: String,
}

redacted_debug!(Text { preview_url }, Location {}, Reaction {}, Written { kind });

impl Text {
    /// A text without a link preview.
    pub fn new(body: impl Into<String>) -> Self {
        Self {
            body: body.into(),
            preview_url: None,
        }
    }

    fn check(&self, checker: &mut Checker) {
        checker.length("body", &self.body, 1, limits::TEXT_BODY_CHARS_MAX);
        if self.preview_url == Some(true) && !has_web_url(&self.body) {
            checker.problem_at(
                "preview_url",
                "true, but the text has no URL",
                "a text with an http:// or https:// URL",
            );
        }
    }
}

impl Location {
    pub(super) fn check(&self, checker: &mut Checker) {
        if !(-90.0..=90.0).contains(&self.latitude) {
            checker.problem_at("latitude", "not a latitude", "-90 to 90 degrees");
        }
        if !(-180.0..=180.0).contains(&self.longitude) {
            checker.problem_at("longitude", "not a longitude", "-180 to 180 degrees");
        }
        if self.address.is_some() && self.name.as_deref().is_none_or(str::is_empty) {
            checker.problem_at(
                "address",
                "an address without a name",
                "an address together with a name, else it is not shown",
            );
        }
    }
}

impl Reaction {
    fn check(&self, checker: &mut Checker) {
        checker.filled("message_id", self.message_id.as_str());
        // An emoji may be a long sequence (families, flags, skin tones), so only plain text is told apart here.
        let plain = self.emoji.chars().any(|c| c.is_ascii_alphabetic() || c.is_whitespace());
        if plain {
            checker.problem_at("emoji", "text", "one emoji, or nothing to take the reaction back");
        }
    }
}

fn has_web_url(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        text.match_indices(scheme).any(|(start, scheme)| {
            text[start + scheme.len()..]
                .chars()
                .next()
                .is_some_and(|next| next.is_alphanumeric() || next == '[')
        })
    })
}

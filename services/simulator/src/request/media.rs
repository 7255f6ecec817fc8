//! Image, video, audio, document and sticker payloads.

use serde::Deserialize;

use super::{Content, check_chars, invalid};
use crate::error::GraphError;

const CAPTION_CHARS_MAX: usize = 1_024;

/// Image or video.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Image {
    id: Option<String>,
    link: Option<String>,
    caption: Option<String>,
}

/// Audio; `voice` makes it a voice note.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Audio {
    id: Option<String>,
    link: Option<String>,
    #[serde(rename = "voice")]
    _voice: Option<bool>,
}

/// A document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    id: Option<String>,
    link: Option<String>,
    caption: Option<String>,
    #[serde(rename = "filename")]
    _filename: Option<String>,
}

/// A sticker.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sticker {
    id: Option<String>,
    link: Option<String>,
}

impl Image {
    pub(super) fn check(&self, kind: &'static str) -> Result<Content, GraphError> {
        source(kind, self.id.as_deref(), self.link.as_deref(), self.caption.as_deref())
    }
}

impl Audio {
    pub(super) fn check(&self) -> Result<Content, GraphError> {
        source("audio", self.id.as_deref(), self.link.as_deref(), None)
    }
}

impl Document {
    pub(super) fn check(&self) -> Result<Content, GraphError> {
        source(
            "document",
            self.id.as_deref(),
            self.link.as_deref(),
            self.caption.as_deref(),
        )
    }
}

impl Sticker {
    pub(super) fn check(&self) -> Result<Content, GraphError> {
        source("sticker", self.id.as_deref(), self.link.as_deref(), None)
    }
}

/// Exactly one of `id` and `link`, and the link public http or https.
fn source(
    kind: &'static str,
    id: Option<&str>,
    link: Option<&str>,
    caption: Option<&str>,
) -> Result<Content, GraphError> {
    if id.is_some() == link.is_some() {
        return Err(invalid(format!("{kind} needs exactly one of id and link")));
    }
    if link.is_some_and(|link| !link.starts_with("http://") && !link.starts_with("https://")) {
        return Err(invalid(format!("{kind}.link must be an http or https URL")));
    }
    if let Some(caption) = caption {
        check_chars("caption", caption, CAPTION_CHARS_MAX)?;
    }
    Ok(Content::Media(kind))
}

//! Image, video, audio, document and sticker payloads.

use serde::Deserialize;
use serde_json::Value;

use super::{Content, check_chars, invalid};
use crate::error::GraphError;

const CAPTION_CHARS_MAX: usize = 1_024;

/// A file a message names.
pub(crate) struct MediaReference {
    /// What it is shown as: `image`, `video`, `audio`, `document`, `sticker` or `gif`.
    pub(crate) kind: &'static str,
    /// Where it is.
    pub(crate) source: MediaSource,
    /// Shown as a voice note.
    pub(crate) voice: bool,
}

/// Where a file is.
pub(crate) enum MediaSource {
    /// Uploaded before.
    Id(String),
    /// At a public address.
    Link,
}

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
    voice: Option<bool>,
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
    pub(super) fn check(self, kind: &'static str) -> Result<Content, GraphError> {
        check_caption(self.caption.as_deref())?;
        reference(kind, self.id, self.link.as_deref()).map(Content::Media)
    }
}

impl Audio {
    pub(super) fn check(self) -> Result<Content, GraphError> {
        let reference = reference("audio", self.id, self.link.as_deref())?;
        Ok(Content::Media(MediaReference {
            voice: self.voice == Some(true),
            ..reference
        }))
    }
}

impl Document {
    pub(super) fn check(self) -> Result<Content, GraphError> {
        check_caption(self.caption.as_deref())?;
        reference("document", self.id, self.link.as_deref()).map(Content::Media)
    }
}

impl Sticker {
    pub(super) fn check(self) -> Result<Content, GraphError> {
        reference("sticker", self.id, self.link.as_deref()).map(Content::Media)
    }
}

fn check_caption(caption: Option<&str>) -> Result<(), GraphError> {
    caption.map_or(Ok(()), |caption| check_chars("caption", caption, CAPTION_CHARS_MAX))
}

/// Exactly one of `id` and `link`, and the link http or https.
fn reference(kind: &'static str, id: Option<String>, link: Option<&str>) -> Result<MediaReference, GraphError> {
    let source = match (id, link) {
        (Some(id), None) => MediaSource::Id(id),
        (None, Some(link)) if link.starts_with("http://") || link.starts_with("https://") => MediaSource::Link,
        (None, Some(_)) => return Err(invalid(format!("{kind}.link must be an http or https URL"))),
        _ => return Err(invalid(format!("{kind} needs exactly one of id and link"))),
    };
    Ok(MediaReference {
        kind,
        source,
        voice: false,
    })
}

/// The file in a header, whose `kind` names the member that holds it; `None` for headers without a file.
pub(super) fn header_reference(kind: &str, file: Option<&Value>) -> Result<Option<MediaReference>, GraphError> {
    let known = ["image", "video", "document", "gif"]
        .into_iter()
        .find(|known| *known == kind);
    let (Some(kind), Some(file)) = (known, file) else {
        return Ok(None);
    };
    // Some clients write the id as a number.
    let id = file["id"]
        .as_str()
        .map(str::to_owned)
        .or_else(|| file["id"].as_u64().map(|id| id.to_string()));
    reference(kind, id, file["link"].as_str()).map(Some)
}

/// The files in the headers of carousel cards, of templates and of interactive messages alike.
pub(super) fn card_references(cards: &[Value], found: &mut Vec<MediaReference>) -> Result<(), GraphError> {
    for card in cards {
        let of_template = card["components"].as_array().into_iter().flatten();
        let parameters = of_template.flat_map(|component| component["parameters"].as_array().into_iter().flatten());
        for header in parameters.chain([&card["header"]]) {
            let kind = header["type"].as_str().unwrap_or_default();
            found.extend(header_reference(kind, header.get(kind))?);
        }
    }
    Ok(())
}

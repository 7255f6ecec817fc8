//! Pictures, videos, sound, files and stickers (Cloud API, "Media").

use serde::Serialize;

use super::check::Checker;
use crate::limits;
use crate::redact::redacted_debug;

/// Where Meta takes a file from: exactly one of the two.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaSource {
    /// An uploaded file's id; lives 30 days and may be used in any number of messages.
    Id(String),
    /// A public URL, which Meta fetches and caches for ten minutes.
    Link(String),
}

/// A file and nothing else: a sticker, or the media of a header.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Media {
    /// Where the file is.
    #[serde(flatten)]
    pub source: MediaSource,
}

/// An image or a video.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct CaptionedMedia {
    /// Where the file is.
    #[serde(flatten)]
    pub source: MediaSource,
    /// Text beneath, up to 1,024 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
}

/// Sound.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Audio {
    /// Where the file is.
    #[serde(flatten)]
    pub source: MediaSource,
    /// True for a voice note, which must be mono OPUS in OGG and reports the extra status `played`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<bool>,
}

/// A file with a name.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Where the file is.
    #[serde(flatten)]
    pub source: MediaSource,
    /// Text beneath, up to 1,024 characters; not in a template's header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Name shown to the user; its extension decides the icon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

redacted_debug!(Media {}, CaptionedMedia {}, Audio { voice }, Document {});

impl MediaSource {
    pub(super) fn check(&self, checker: &mut Checker) {
        match self {
            Self::Id(id) => checker.filled("id", id),
            Self::Link(link) => checker.web_url("link", link),
        }
    }
}

impl CaptionedMedia {
    pub(super) fn check(&self, checker: &mut Checker) {
        self.source.check(checker);
        check_caption(self.caption.as_deref(), checker);
    }
}

impl Document {
    pub(super) fn check(&self, checker: &mut Checker) {
        self.source.check(checker);
        check_caption(self.caption.as_deref(), checker);
        if let Some(filename) = &self.filename {
            checker.filled("filename", filename);
        }
    }
}

fn check_caption(caption: Option<&str>, checker: &mut Checker) {
    if let Some(caption) = caption {
        checker.length("caption", caption, 1, limits::MEDIA_CAPTION_CHARS_MAX);
    }
}

impl std::fmt::Debug for MediaSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Id(_) => "Id(redacted)",
            Self::Link(_) => "Link(redacted)",
        })
    }
}

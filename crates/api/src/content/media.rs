//! Files and places.

use super::{ParsedContent, free_form, given, json::text_of};
use crate::problems::{Problems, path};
use assent_domain::events::FreeForm;
use assent_proto::v1::{self, media::Source};
use assent_whatsapp::message::{self as whatsapp, MediaSource};
use serde_json::Value;

/// Where a file is; `field` is the path of the [`v1::Media`]. A missing one is a problem, and stands in so that the rest
/// can be judged all the same.
pub(super) fn source(media: Option<&v1::Media>, field: &str, problems: &mut Problems) -> MediaSource {
    match media.and_then(|media| media.source.as_ref()) {
        Some(Source::MediaId(id)) => MediaSource::Id(id.clone()),
        Some(Source::Link(link)) => MediaSource::Link(link.clone()),
        None => {
            problems.add(field, "must have a media_id or a link");
            MediaSource::Id("missing".to_owned())
        }
    }
}

/// A path of Meta's within a file, as ours has it.
pub(super) fn translate_source(within: &str) -> &str {
    if within == "id" { "media_id" } else { within }
}

/// A path of Meta's within an image, a video, … as ours has it.
fn translate(meta: &str) -> String {
    match meta.split_once('.') {
        Some((kind, within @ ("id" | "link"))) => format!("{kind}.media.{}", translate_source(within)),
        _ => meta.to_owned(),
    }
}

pub(super) fn image(image: &v1::ImageContent, field: &str, problems: &mut Problems) -> Option<ParsedContent> {
    let content = whatsapp::Content::Image(whatsapp::CaptionedMedia {
        source: source(image.media.as_ref(), &path(field, "image.media"), problems),
        caption: given(&image.caption),
    });
    free_form(FreeForm::Image, &content, translate, field, problems)
}

pub(super) fn video(video: &v1::VideoContent, field: &str, problems: &mut Problems) -> Option<ParsedContent> {
    let content = whatsapp::Content::Video(whatsapp::CaptionedMedia {
        source: source(video.media.as_ref(), &path(field, "video.media"), problems),
        caption: given(&video.caption),
    });
    free_form(FreeForm::Video, &content, translate, field, problems)
}

pub(super) fn audio(audio: &v1::AudioContent, field: &str, problems: &mut Problems) -> Option<ParsedContent> {
    let content = whatsapp::Content::Audio(whatsapp::Audio {
        source: source(audio.media.as_ref(), &path(field, "audio.media"), problems),
        voice: audio.voice.then_some(true),
    });
    free_form(FreeForm::Audio, &content, translate, field, problems)
}

pub(super) fn document(document: &v1::DocumentContent, field: &str, problems: &mut Problems) -> Option<ParsedContent> {
    let content = whatsapp::Content::Document(whatsapp::Document {
        source: source(document.media.as_ref(), &path(field, "document.media"), problems),
        caption: given(&document.caption),
        filename: given(&document.filename),
    });
    free_form(FreeForm::Document, &content, translate, field, problems)
}

pub(super) fn sticker(sticker: &v1::StickerContent, field: &str, problems: &mut Problems) -> Option<ParsedContent> {
    let content = whatsapp::Content::Sticker(whatsapp::Media {
        source: source(sticker.media.as_ref(), &path(field, "sticker.media"), problems),
    });
    free_form(FreeForm::Sticker, &content, translate, field, problems)
}

pub(super) fn location(location: &v1::LocationContent, field: &str, problems: &mut Problems) -> Option<ParsedContent> {
    let content = whatsapp::Content::Location(place(location, &path(field, "location"), problems));
    free_form(FreeForm::Location, &content, str::to_owned, field, problems)
}

/// A place; `field` is its path. In the contract nothing and zero are the same, and at 0, 0 there is only sea.
pub(super) fn place(location: &v1::LocationContent, field: &str, problems: &mut Problems) -> whatsapp::Location {
    if location.latitude == 0.0 && location.longitude == 0.0 {
        problems.add(field, "must have a latitude and a longitude");
    }
    whatsapp::Location {
        latitude: location.latitude,
        longitude: location.longitude,
        name: given(&location.name),
        address: given(&location.address),
    }
}

/// A document in a header; `field` is its path.
pub(super) fn header_document(
    document: &v1::HeaderDocument,
    field: &str,
    problems: &mut Problems,
) -> whatsapp::Document {
    whatsapp::Document {
        source: source(document.media.as_ref(), &path(field, "media"), problems),
        caption: None,
        filename: given(&document.filename),
    }
}

pub(super) fn render_source(body: &Value) -> v1::Media {
    let text = |key| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let source = text("id")
        .map(Source::MediaId)
        .or_else(|| text("link").map(Source::Link));
    v1::Media { source }
}

pub(super) fn render_image(body: &Value) -> v1::ImageContent {
    v1::ImageContent {
        media: Some(render_source(body)),
        caption: text_of(body, "caption"),
    }
}

pub(super) fn render_video(body: &Value) -> v1::VideoContent {
    v1::VideoContent {
        media: Some(render_source(body)),
        caption: text_of(body, "caption"),
    }
}

pub(super) fn render_audio(body: &Value) -> v1::AudioContent {
    v1::AudioContent {
        media: Some(render_source(body)),
        voice: body.get("voice").and_then(Value::as_bool).unwrap_or_default(),
    }
}

pub(super) fn render_document(body: &Value) -> v1::DocumentContent {
    v1::DocumentContent {
        media: Some(render_source(body)),
        caption: text_of(body, "caption"),
        filename: text_of(body, "filename"),
    }
}

pub(super) fn render_header_document(body: &Value) -> v1::HeaderDocument {
    v1::HeaderDocument {
        media: Some(render_source(body)),
        filename: text_of(body, "filename"),
    }
}

/// A place; Meta shows coordinates as numbers and as texts.
pub(super) fn render_location(body: &Value) -> v1::LocationContent {
    let degrees = |key| match body.get(key) {
        Some(Value::String(text)) => text.trim().parse().unwrap_or_default(),
        other => other.and_then(Value::as_f64).unwrap_or_default(),
    };
    v1::LocationContent {
        latitude: degrees("latitude"),
        longitude: degrees("longitude"),
        name: text_of(body, "name"),
        address: text_of(body, "address"),
    }
}

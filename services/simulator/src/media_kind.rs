//! Kinds of media files: which MIME types Meta takes, how large they may be, and whether a file is what it claims to be.
//!
//! Source: "Supported media types" of Meta's media page. Only the first bytes are looked at; codecs are not.

const MIB: usize = 1_024 * 1_024;
const IMAGE_BYTES_MAX: usize = 5 * MIB;
const AUDIO_BYTES_MAX: usize = 16 * MIB;
const VIDEO_BYTES_MAX: usize = 16 * MIB;
const STILL_STICKER_BYTES_MAX: usize = 100 * 1_024;
const ANIMATED_STICKER_BYTES_MAX: usize = 500 * 1_024;
/// Largest file of any kind.
pub(crate) const FILE_BYTES_MAX: usize = 100 * MIB;
/// Where the flags of an extended WebP file lie, and the one that says it moves.
const WEBP_FLAGS_AT: usize = 20;
const WEBP_ANIMATED: u8 = 0x02;

/// The kind of message a file is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// JPEG or PNG.
    Image,
    /// MP4 or 3GP.
    Video,
    /// AAC, AMR, MP3, MP4 or Ogg.
    Audio,
    /// WebP.
    Sticker,
    /// Anything else.
    Document,
}

impl FileKind {
    /// The kind of a MIME type, whose parameters do not matter. `None` if Meta does not take it.
    pub(crate) fn of(mime_type: &str) -> Option<Self> {
        match essence(mime_type).as_str() {
            "image/jpeg" | "image/png" => Some(Self::Image),
            "image/webp" => Some(Self::Sticker),
            "video/mp4" | "video/3gp" | "video/3gpp" => Some(Self::Video),
            "audio/aac" | "audio/amr" | "audio/mpeg" | "audio/mp4" | "audio/ogg" | "audio/opus" => Some(Self::Audio),
            // What clients send when they do not know; Meta refuses it.
            "application/octet-stream" => None,
            // In practice any other valid type passes as a document.
            other if other.starts_with("application/") || other.starts_with("text/") => Some(Self::Document),
            _ => None,
        }
    }

    /// Most bytes a file may have.
    pub(crate) fn bytes_max(self, bytes: &[u8]) -> usize {
        match self {
            Self::Image => IMAGE_BYTES_MAX,
            Self::Video => VIDEO_BYTES_MAX,
            Self::Audio => AUDIO_BYTES_MAX,
            Self::Sticker if is_animated_webp(bytes) => ANIMATED_STICKER_BYTES_MAX,
            Self::Sticker => STILL_STICKER_BYTES_MAX,
            Self::Document => FILE_BYTES_MAX,
        }
    }

    /// Whether a file of this kind can be sent as a message (or header) of type `message`.
    pub(crate) fn serves(self, message: &str) -> bool {
        match message {
            "image" => self == Self::Image,
            "video" | "gif" => self == Self::Video,
            "audio" => self == Self::Audio,
            "sticker" => self == Self::Sticker,
            _ => true,
        }
    }
}

/// A MIME type without its parameters, in lower case.
pub(crate) fn essence(mime_type: &str) -> String {
    let bare = mime_type.split(';').next().unwrap_or_default();
    bare.trim().to_ascii_lowercase()
}

/// Whether a file begins like one of its type. Meta finds out after accepting a message, and reports 131053.
pub(crate) fn is_what_it_claims(mime_type: &str, bytes: &[u8]) -> bool {
    let starts = |prefix: &[u8]| bytes.starts_with(prefix);
    match essence(mime_type).as_str() {
        "image/jpeg" => starts(&[0xff, 0xd8, 0xff]),
        "image/png" => starts(b"\x89PNG\r\n\x1a\n"),
        "image/webp" => is_webp(bytes),
        "video/mp4" | "video/3gp" | "video/3gpp" | "audio/mp4" => bytes.get(4..8) == Some(b"ftyp"),
        "audio/mpeg" => starts(b"ID3") || matches!(bytes, [0xff, second, ..] if second & 0xe0 == 0xe0),
        "audio/aac" => matches!(bytes, [0xff, second, ..] if second & 0xf6 == 0xf0) || starts(b"ADIF"),
        "audio/amr" => starts(b"#!AMR"),
        // Ogg only with the Opus codec, named at the beginning of the first page.
        "audio/ogg" | "audio/opus" => starts(b"OggS") && bytes.get(28..36) == Some(b"OpusHead"),
        "application/pdf" => starts(b"%PDF-"),
        _ => true,
    }
}

/// Whether a WebP file moves.
pub(crate) fn is_animated_webp(bytes: &[u8]) -> bool {
    let flags = bytes.get(WEBP_FLAGS_AT).copied().unwrap_or_default();
    is_webp(bytes) && bytes.get(12..16) == Some(b"VP8X") && flags & WEBP_ANIMATED != 0
}

fn is_webp(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_a_mime_type_do_not_matter() {
        assert_eq!(FileKind::of("audio/ogg; codecs=opus"), Some(FileKind::Audio));
        assert_eq!(FileKind::of("IMAGE/JPEG"), Some(FileKind::Image));
    }

    #[test]
    fn types_meta_does_not_take_have_no_kind() {
        for mime_type in [
            "image/gif",
            "video/quicktime",
            "application/octet-stream",
            "",
            "nonsense",
        ] {
            assert_eq!(FileKind::of(mime_type), None, "{mime_type}");
        }
    }

    #[test]
    fn a_jpeg_serves_as_an_image_or_a_document_only() {
        let kinds = ["image", "document", "video", "audio", "sticker"];
        let serves: Vec<&str> = kinds.into_iter().filter(|kind| FileKind::Image.serves(kind)).collect();
        assert_eq!(serves, ["image", "document"]);
    }

    #[test]
    fn a_moving_sticker_may_be_larger() {
        let mut moving = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02".to_vec();
        assert_eq!(FileKind::Sticker.bytes_max(&moving), 500 * 1_024);
        moving[WEBP_FLAGS_AT] = 0;
        assert_eq!(FileKind::Sticker.bytes_max(&moving), 100 * 1_024);
    }
}

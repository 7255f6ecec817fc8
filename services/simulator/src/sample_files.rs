//! Small real files, for people who send a picture when nobody says which.

use axum::body::Bytes;

use crate::world::NewFile;

/// A file of the kind a message type carries; `None` if it carries none.
pub(crate) fn sample(message_type: &str) -> Option<NewFile> {
    let (mime_type, bytes): (_, &'static [u8]) = match message_type {
        "image" => ("image/jpeg", include_bytes!("../assets/picture.jpg")),
        "video" => ("video/mp4", include_bytes!("../assets/film.mp4")),
        "audio" => ("audio/ogg; codecs=opus", include_bytes!("../assets/voice.ogg")),
        "sticker" => ("image/webp", include_bytes!("../assets/sticker.webp")),
        "document" => ("application/pdf", include_bytes!("../assets/paper.pdf")),
        _ => return None,
    };
    Some(NewFile {
        mime_type: mime_type.to_owned(),
        bytes: Bytes::from_static(bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_kind::{FileKind, is_what_it_claims};

    #[test]
    fn every_sample_is_what_it_claims_and_would_pass_an_upload() {
        for kind in ["image", "video", "audio", "sticker", "document"] {
            let file = sample(kind).unwrap();
            let found = FileKind::of(&file.mime_type).unwrap();
            assert!(found.serves(kind), "{kind}");
            assert!(is_what_it_claims(&file.mime_type, &file.bytes), "{kind}");
            assert!(file.bytes.len() <= found.bytes_max(&file.bytes), "{kind}");
        }
        assert!(sample("text").is_none());
    }
}

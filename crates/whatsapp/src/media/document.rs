//! The media type of a document.

use super::inspect;

/// What Meta lists for documents, by the extension of their names (Cloud API, "Media", supported media types).
const BY_EXTENSION: [(&str, &str); 8] = [
    ("txt", "text/plain"),
    ("pdf", "application/pdf"),
    ("doc", "application/msword"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    ("xls", "application/vnd.ms-excel"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("ppt", "application/vnd.ms-powerpoint"),
    (
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
];

/// What is left when nothing else is known. Meta may refuse it, and says so at the upload.
const UNKNOWN: &str = "application/octet-stream";

/// The media type to upload a document under: by its contents, else as its server claims, else by its name.
///
/// A claim is taken without its parameters; many servers claim `application/octet-stream` for whatever they do not know, so
/// that counts as no claim.
pub fn document_type(file: &[u8], claimed: Option<&str>, filename: Option<&str>) -> String {
    if file.starts_with(b"%PDF-") {
        return "application/pdf".to_owned();
    }
    if let Some(known) = inspect(file).ok().and_then(|file| file.media_type()) {
        return known.to_owned();
    }
    let claim = claimed
        .and_then(|claim| claim.split(';').next())
        .map(|claim| claim.trim().to_ascii_lowercase())
        .filter(|claim| is_media_type(claim) && claim != UNKNOWN && claim != "binary/octet-stream");
    let by_name = || {
        let (_, extension) = filename?.rsplit_once('.')?;
        let found = BY_EXTENSION
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(extension))?;
        Some(found.1.to_owned())
    };
    claim.or_else(by_name).unwrap_or_else(|| UNKNOWN.to_owned())
}

fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        (1..=127).contains(&part.len())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    text.split_once('/')
        .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: &[u8] = include_bytes!("../../../../services/simulator/assets/picture.png");

    #[test]
    fn bytes_come_before_claims_and_claims_before_names() {
        let table = [
            (&b"%PDF-1.7"[..], Some("text/html"), Some("a.docx"), "application/pdf"),
            (b"x", Some("Text/CSV; charset=utf-8"), Some("a.pdf"), "text/csv"),
            (b"x", Some("application/octet-stream"), Some("a.b.TXT"), "text/plain"),
            (b"x", Some("not a type"), Some("a.xlsx"), BY_EXTENSION[5].1),
            (b"x", None, Some("pdf"), UNKNOWN),
            (b"x", None, None, UNKNOWN),
            (PICTURE, Some("text/html"), Some("scan.pdf"), "image/png"),
        ];
        for (file, claimed, name, expected) in table {
            assert_eq!(document_type(file, claimed, name), expected, "{claimed:?} {name:?}");
        }
    }
}

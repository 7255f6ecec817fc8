//! Where the links of a message stand.

use super::object_at;
use assent_whatsapp::{media::Kind, message::Content};
use serde_json::Value;

/// A link to a file in what goes to Meta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MediaLink {
    /// Where the object with it stands (RFC 6901).
    pub(super) pointer: String,
    /// What the file shall be sent as.
    pub(super) kind: Kind,
    pub(super) link: String,
    /// The name that the person is shown.
    pub(super) filename: Option<String>,
}

/// The JSON that may have links, and Meta's word for what it is; `None` if it cannot have any.
pub(super) fn payload(content: &mut Content) -> Option<(&'static str, &mut Value)> {
    match content {
        Content::WrittenTemplate(template) => Some(("template", &mut template.components)),
        Content::Written(written) => Some((written.kind, &mut written.payload)),
        _ => None,
    }
}

/// Every link to a file in `payload`, which stands beneath the word `root`.
pub(super) fn find(root: &str, payload: &Value) -> Vec<MediaLink> {
    let mut found = Vec::new();
    collect(root, payload, &mut String::new(), &mut found);
    found
}

fn collect(word: &str, value: &Value, pointer: &mut String, found: &mut Vec<MediaLink>) {
    let outer = pointer.len();
    match value {
        Value::Object(object) => {
            if let Some(link) = link_of(word, object, pointer) {
                found.push(link);
                return;
            }
            for (key, value) in object {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                collect(key, value, pointer, found);
                pointer.truncate(outer);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                pointer.push('/');
                pointer.push_str(&index.to_string());
                collect(word, value, pointer, found);
                pointer.truncate(outer);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What an object beneath this word is sent as, if the word is one for files.
fn kind_of(word: &str, object: &serde_json::Map<String, Value>) -> Option<Kind> {
    let is_voice = object.get("voice").and_then(Value::as_bool) == Some(true);
    match word {
        "image" => Some(Kind::Image),
        "sticker" => Some(Kind::Sticker),
        "audio" if is_voice => Some(Kind::Voice),
        "audio" => Some(Kind::Audio),
        "video" => Some(Kind::Video),
        "document" => Some(Kind::Document),
        _ => None,
    }
}

/// The link of an object that stands beneath a word for a file.
fn link_of(word: &str, object: &serde_json::Map<String, Value>, pointer: &str) -> Option<MediaLink> {
    let text = |key| object.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(MediaLink {
        pointer: pointer.to_owned(),
        kind: kind_of(word, object)?,
        link: text("link")?,
        filename: text("filename"),
    })
}

/// Every id of Meta's that a file in `payload` is named by, which stands beneath the word `root`.
pub(super) fn ids(root: &str, payload: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect_ids(root, payload, &mut found);
    found
}

fn collect_ids(word: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => match object.get("id").and_then(Value::as_str) {
            Some(id) if kind_of(word, object).is_some() => found.push(id.to_owned()),
            _ => object.iter().for_each(|(key, value)| collect_ids(key, value, found)),
        },
        Value::Array(items) => items.iter().for_each(|value| collect_ids(word, value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Puts an id in the place of the link at `pointer`.
pub(super) fn replace(payload: &mut Value, pointer: &str, id: String) {
    if let Some(object) = object_at(payload, pointer) {
        object.remove("link");
        object.insert("id".to_owned(), Value::String(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_link_is_found_and_replaced_where_it_stands() {
        let mut picture = json!({"link": "https://a.example/b.png", "caption": "Hi"});
        let found = find("image", &picture);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].kind, Kind::Image);
        replace(&mut picture, &found[0].pointer, "662".to_owned());
        assert_eq!(picture, json!({"id": "662", "caption": "Hi"}));
    }

    #[test]
    fn links_in_headers_of_templates_and_interactive_messages_are_found() {
        let mut components = json!([
            {"type": "header", "parameters": [{"type": "document", "document": {"link": "https://a/1.pdf", "filename": "1.pdf"}}]},
            {"type": "carousel", "cards": [{"components": [{"type": "header",
                "parameters": [{"type": "video", "video": {"link": "https://a/2.mp4"}}]}]}]},
            {"type": "body", "parameters": [{"type": "text", "text": "https://a/3"}]},
        ]);
        let found = find("template", &components);
        let seen: Vec<_> = found.iter().map(|link| (link.kind, link.link.as_str())).collect();
        assert_eq!(
            seen,
            [(Kind::Document, "https://a/1.pdf"), (Kind::Video, "https://a/2.mp4")]
        );
        assert_eq!(found[0].filename.as_deref(), Some("1.pdf"));
        for link in &found {
            replace(&mut components, &link.pointer, "9".to_owned());
        }
        assert!(find("template", &components).is_empty());
        assert_eq!(ids("template", &components), ["9", "9"]);
        let video = &components[1]["cards"][0]["components"][0]["parameters"][0]["video"];
        assert_eq!(*video, json!({"id": "9"}));
        let header = json!({"type": "button", "header": {"type": "image", "image": {"link": "https://a/4.png"}},
            "action": {"name": "cta_url", "parameters": {"url": "https://a/5"}}});
        assert_eq!(find("interactive", &header).len(), 1);
    }

    #[test]
    fn what_is_no_link_to_a_file_is_left_alone() {
        for (word, payload) in [
            ("image", json!({"id": "662"})),
            ("location", json!({"link": "https://a"})),
            ("reaction", json!({"emoji": "x"})),
        ] {
            assert!(find(word, &payload).is_empty(), "{word}");
        }
        assert_eq!(ids("image", &json!({"id": "662"})), ["662"]);
        // The id of a button is no file's.
        let buttons = json!({"action": {"buttons": [{"type": "reply", "reply": {"id": "yes", "title": "Yes"}}]}});
        assert!(ids("interactive", &buttons).is_empty());
        assert_eq!(find("audio", &json!({"link": "l", "voice": true}))[0].kind, Kind::Voice);
        assert_eq!(find("audio", &json!({"link": "l"}))[0].kind, Kind::Audio);
    }
}

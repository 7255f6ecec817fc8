//! What clients in the field write differently, and Meta takes all the same.
//!
//! A body that is refused as it stands is read a second time, rewritten: so the usual body costs nothing more, and everything
//! behind this module sees one form only.

use serde_json::{Map, Value};

/// Members that hold an object or a list.
const PAYLOADS: [&str; 13] = [
    "audio",
    "contacts",
    "context",
    "document",
    "image",
    "interactive",
    "location",
    "reaction",
    "sticker",
    "template",
    "text",
    "typing_indicator",
    "video",
];
/// Members whose value is a text, and which some clients write as a number.
const TEXTS: [&str; 2] = ["id", "title"];

/// The body as clients usually write it: without members that are `null`, objects in place of their JSON as a text, ids and
/// titles as texts. `None` if it is not a JSON object, or is written so already.
pub(crate) fn rewritten(body: &[u8]) -> Option<Vec<u8>> {
    let mut members: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let mut is_changed = false;
    // The Graph API takes an object parameter as JSON text too; deeper down a text is a text.
    for name in PAYLOADS {
        let parsed = members.get(name).and_then(Value::as_str).and_then(object_or_list);
        if let Some(parsed) = parsed {
            members.insert(name.to_owned(), parsed);
            is_changed = true;
        }
    }
    is_changed |= tidy(&mut members);
    is_changed.then(|| Value::Object(members).to_string().into_bytes())
}

/// The object or list that a text holds as JSON.
fn object_or_list(text: &str) -> Option<Value> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// Drops `null` members, objects that held nothing else, and makes texts of numbers where texts belong. Whether anything was
/// changed.
fn tidy(members: &mut Map<String, Value>) -> bool {
    let mut is_changed = false;
    members.retain(|name, value| {
        if value.is_number() && TEXTS.contains(&name.as_str()) {
            *value = Value::String(value.to_string());
            is_changed = true;
        }
        let was_empty = is_empty_object(value);
        is_changed |= tidy_value(value);
        let is_dropped = value.is_null() || (is_empty_object(value) && !was_empty);
        is_changed |= is_dropped;
        !is_dropped
    });
    is_changed
}

fn tidy_value(value: &mut Value) -> bool {
    match value {
        Value::Object(members) => tidy(members),
        Value::Array(items) => {
            let mut is_changed = false;
            for item in items {
                is_changed |= tidy_value(item);
            }
            is_changed
        }
        _ => false,
    }
}

fn is_empty_object(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rewrite(body: &Value) -> Option<Value> {
        rewritten(body.to_string().as_bytes()).map(|body| serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn a_body_without_oddities_is_left_alone() {
        let body = json!({"to": "1", "text": {"body": "{\"a\": null}"}, "contacts": [{"org": {}}]});
        assert_eq!(rewrite(&body), None);
        assert_eq!(rewritten(b"[]"), None);
        assert_eq!(rewritten(b"{"), None);
    }

    #[test]
    fn null_members_and_what_held_only_them_are_dropped() {
        let body =
            json!({"context": null, "interactive": {"footer": {"text": null}, "action": {"rows": [{"d": null}]}}});
        let should = json!({"interactive": {"action": {"rows": [{}]}}});
        assert_eq!(rewrite(&body), Some(should));
    }

    #[test]
    fn numeric_ids_and_titles_become_texts_and_other_numbers_stay() {
        let body = json!({"image": {"id": 39}, "rows": [{"id": 1, "title": 2.5, "index": 0}]});
        let should = json!({"image": {"id": "39"}, "rows": [{"id": "1", "title": "2.5", "index": 0}]});
        assert_eq!(rewrite(&body), Some(should));
    }

    #[test]
    fn a_payload_written_as_text_is_read_and_other_texts_stay_texts() {
        let opaque = "{\"a\": 1}";
        let body =
            json!({"text": "{\"body\": \"hi\"}", "template": {"name": opaque}, "biz_opaque_callback_data": opaque});
        let should = json!({"text": {"body": "hi"}, "template": {"name": opaque}, "biz_opaque_callback_data": opaque});
        assert_eq!(rewrite(&body), Some(should));
    }
}

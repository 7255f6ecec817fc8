//! Interactive payloads: buttons, lists, links, flows, products.
//!
//! The common frame is typed; the `action` object, whose members depend on the kind, is checked member by member.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::media::{MediaReference, card_references, header_reference};
use super::{check_chars, invalid, missing};
use crate::error::GraphError;

const BODY_CHARS_MAX: usize = 1_024;
const LIST_BODY_CHARS_MAX: usize = 4_096;
const HEADER_CHARS_MAX: usize = 60;
const FOOTER_CHARS_MAX: usize = 60;
const BUTTONS_MAX: usize = 3;
const BUTTON_ID_CHARS_MAX: usize = 256;
const LABEL_CHARS_MAX: usize = 20;
const SECTIONS_MAX: usize = 10;
const ROWS_MAX: usize = 10;
const ROW_ID_CHARS_MAX: usize = 200;
const ROW_TITLE_CHARS_MAX: usize = 24;
const ROW_DESCRIPTION_CHARS_MAX: usize = 72;

/// The `interactive` object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Interactive {
    #[serde(rename = "type")]
    kind: String,
    header: Option<Header>,
    body: Option<Text>,
    footer: Option<Text>,
    action: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    #[serde(rename = "sub_text")]
    _sub_text: Option<String>,
    image: Option<Value>,
    video: Option<Value>,
    document: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

impl Interactive {
    /// Checks the payload, and gathers the files it names.
    pub(super) fn check(&self, files: &mut Vec<MediaReference>) -> Result<(), GraphError> {
        self.check_frame()?;
        if let Some(header) = &self.header {
            let file = header
                .image
                .as_ref()
                .or(header.video.as_ref())
                .or(header.document.as_ref());
            files.extend(header_reference(&header.kind, file)?);
        }
        match self.kind.as_str() {
            "button" => self.check_buttons(),
            "list" => self.check_list(),
            "cta_url" => self.check_call_to_action(),
            "location_request_message" => self.check_name("send_location"),
            "request_contact_info" => self.check_name("request_contact_info"),
            "flow" => self.check_flow(),
            "product" => self.require(&["catalog_id", "product_retailer_id"]),
            "product_list" => self.require(&["catalog_id", "sections"]),
            "catalog_message" => self.check_name("catalog_message"),
            "carousel" => card_references(list(&self.action, "cards")?, files),
            "address_message" | "order_details" | "order_status" | "call_permission_request" | "voice_call" => Ok(()),
            other => Err(invalid(format!("interactive.type {other} is not known"))),
        }
    }

    fn check_frame(&self) -> Result<(), GraphError> {
        let body_max = if self.kind == "list" {
            LIST_BODY_CHARS_MAX
        } else {
            BODY_CHARS_MAX
        };
        match &self.body {
            Some(body) if body.text.trim().is_empty() => return Err(missing("interactive.body.text")),
            Some(body) => check_chars("interactive.body.text", &body.text, body_max)?,
            None if self.kind == "product" => {}
            None => return Err(missing("interactive.body")),
        }
        if let Some(footer) = &self.footer {
            check_chars("interactive.footer.text", &footer.text, FOOTER_CHARS_MAX)?;
        }
        let Some(header) = &self.header else { return Ok(()) };
        let present = match header.kind.as_str() {
            "text" => header.text.is_some(),
            "image" => header.image.is_some(),
            "video" => header.video.is_some(),
            "document" => header.document.is_some(),
            other => return Err(invalid(format!("interactive.header.type {other} is not known"))),
        };
        if !present {
            return Err(missing(&format!("interactive.header.{}", header.kind)));
        }
        check_chars(
            "interactive.header.text",
            header.text.as_deref().unwrap_or_default(),
            HEADER_CHARS_MAX,
        )
    }

    fn check_buttons(&self) -> Result<(), GraphError> {
        only(&self.action, &["buttons"], "interactive.action")?;
        let buttons = list(&self.action, "buttons")?;
        if buttons.is_empty() || buttons.len() > BUTTONS_MAX {
            return Err(invalid("interactive.action.buttons must hold 1 to 3 buttons"));
        }
        let (mut ids, mut titles) = (HashSet::new(), HashSet::new());
        for button in buttons {
            if button.get("type").and_then(Value::as_str) != Some("reply") {
                return Err(invalid("interactive.action.buttons.type must be reply"));
            }
            let reply = button
                .get("reply")
                .and_then(Value::as_object)
                .ok_or_else(|| missing("buttons.reply"))?;
            only(reply, &["id", "title"], "interactive.action.buttons.reply")?;
            let id = label(reply, "id", BUTTON_ID_CHARS_MAX)?;
            let title = label(reply, "title", LABEL_CHARS_MAX)?;
            if !ids.insert(id) || !titles.insert(title) {
                return Err(invalid("button ids and titles must be unique"));
            }
        }
        Ok(())
    }

    fn check_list(&self) -> Result<(), GraphError> {
        only(&self.action, &["button", "sections"], "interactive.action")?;
        label(&self.action, "button", LABEL_CHARS_MAX)?;
        let sections = list(&self.action, "sections")?;
        if sections.is_empty() || sections.len() > SECTIONS_MAX {
            return Err(invalid("interactive.action.sections must hold 1 to 10 sections"));
        }
        let mut ids = HashSet::new();
        let mut rows = 0;
        for section in sections {
            let section_object = section
                .as_object()
                .ok_or_else(|| invalid("a section must be an object"))?;
            only(section_object, &["title", "rows"], "interactive.action.sections")?;
            // The only section needs no title, and clients write none as an empty one.
            let is_untitled = section_object.get("title").is_none_or(|title| title == "");
            if sections.len() > 1 || !is_untitled {
                label(section_object, "title", ROW_TITLE_CHARS_MAX)?;
            }
            for row in list(section_object, "rows")? {
                let row = row.as_object().ok_or_else(|| invalid("a row must be an object"))?;
                only(row, &["id", "title", "description"], "interactive.action.sections.rows")?;
                label(row, "title", ROW_TITLE_CHARS_MAX)?;
                let description = row.get("description").and_then(Value::as_str).unwrap_or_default();
                check_chars("row.description", description, ROW_DESCRIPTION_CHARS_MAX)?;
                if !ids.insert(label(row, "id", ROW_ID_CHARS_MAX)?) {
                    return Err(invalid("row ids must be unique"));
                }
                rows += 1;
            }
        }
        if rows == 0 || rows > ROWS_MAX {
            return Err(invalid("a list must hold 1 to 10 rows in all"));
        }
        Ok(())
    }

    fn check_call_to_action(&self) -> Result<(), GraphError> {
        self.check_name("cta_url")?;
        let parameters = self.parameters()?;
        only(parameters, &["display_text", "url"], "interactive.action.parameters")?;
        label(parameters, "display_text", LABEL_CHARS_MAX)?;
        let url = parameters
            .get("url")
            .and_then(Value::as_str)
            .ok_or_else(|| missing("action.parameters.url"))?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(GraphError::new(
                131_009,
                "interactive.action.parameters.url must be an http or https URL",
            ));
        }
        Ok(())
    }

    fn check_flow(&self) -> Result<(), GraphError> {
        self.check_name("flow")?;
        let parameters = self.parameters()?;
        if !parameters.contains_key("flow_id") && !parameters.contains_key("flow_name") {
            return Err(missing("action.parameters.flow_id"));
        }
        label(parameters, "flow_cta", 30).map(|_| ())
    }

    fn check_name(&self, name: &str) -> Result<(), GraphError> {
        match self.action.get("name").and_then(Value::as_str) {
            Some(given) if given == name => Ok(()),
            _ => Err(invalid(format!("interactive.action.name must be {name}"))),
        }
    }

    fn parameters(&self) -> Result<&Map<String, Value>, GraphError> {
        self.action
            .get("parameters")
            .and_then(Value::as_object)
            .ok_or_else(|| missing("interactive.action.parameters"))
    }

    fn require(&self, members: &[&str]) -> Result<(), GraphError> {
        match members.iter().find(|member| !self.action.contains_key(**member)) {
            Some(member) => Err(missing(&format!("interactive.action.{member}"))),
            None => Ok(()),
        }
    }
}

fn only(object: &Map<String, Value>, known: &[&str], path: &str) -> Result<(), GraphError> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(invalid(format!("Unexpected key \"{key}\" on param \"{path}\"."))),
        None => Ok(()),
    }
}

fn list<'a>(object: &'a Map<String, Value>, member: &str) -> Result<&'a [Value], GraphError> {
    let value = object.get(member).ok_or_else(|| missing(member))?;
    value
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| invalid(format!("{member} must be a list")))
}

/// A required text that must not be empty, too long, or have spaces at its edges.
fn label<'a>(object: &'a Map<String, Value>, member: &str, chars_max: usize) -> Result<&'a str, GraphError> {
    let text = object
        .get(member)
        .and_then(Value::as_str)
        .ok_or_else(|| missing(member))?;
    if text.is_empty() {
        return Err(missing(member));
    }
    if text.trim() != text {
        return Err(invalid(format!("{member} must not begin or end with a space")));
    }
    check_chars(member, text, chars_max)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(value: Value) -> Result<(), GraphError> {
        serde_json::from_value::<Interactive>(value)
            .unwrap()
            .check(&mut Vec::new())
    }

    fn buttons(titles: &[&str]) -> Value {
        let buttons: Vec<Value> = titles
            .iter()
            .enumerate()
            .map(|(at, title)| json!({"type": "reply", "reply": {"id": at.to_string(), "title": title}}))
            .collect();
        json!({"type": "button", "body": {"text": "b"}, "action": {"buttons": buttons}})
    }

    #[test]
    fn button_titles_have_clean_edges_and_are_unique_and_few() {
        assert!(check(buttons(&["A", "B", "C"])).is_ok());
        assert_eq!(check(buttons(&["A", "B", "C", "D"])).unwrap_err().code, 100);
        assert_eq!(check(buttons(&[" A"])).unwrap_err().code, 100);
        assert_eq!(check(buttons(&["A", "A"])).unwrap_err().code, 100);
        assert_eq!(check(buttons(&["twenty-one characters"])).unwrap_err().code, 100);
    }

    #[test]
    fn a_list_holds_at_most_ten_rows_in_all() {
        let rows = |from: usize, count: usize| -> Vec<Value> {
            (from..from + count)
                .map(|at| json!({"id": at.to_string(), "title": "t"}))
                .collect()
        };
        let message = |count| {
            json!({"type": "list", "body": {"text": "b"}, "action": {"button": "Open", "sections": [
                {"title": "a", "rows": rows(0, 5)}, {"title": "b", "rows": rows(5, count)}]}})
        };
        assert!(check(message(5)).is_ok());
        assert_eq!(check(message(6)).unwrap_err().code, 100);
    }
}

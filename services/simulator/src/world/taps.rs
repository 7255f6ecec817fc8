//! What people do with the buttons, lists and forms they were sent.

use serde_json::{Value, json};

use super::World;
use super::update::Callback;
use crate::error::GraphError;

/// What a person chooses of what a message offers.
pub(crate) enum Choice {
    /// The button or row at this position, from 0.
    At(usize),
    /// The button or row of this id.
    Id(String),
    /// Fills in a flow; the answers, beside its token.
    Form(Value),
}

impl World {
    /// A person taps something in a message they were sent: a template's quick reply, a reply button, a row of a list, a
    /// flow, a request for their location. Gives the wamid of what they send by it.
    pub(crate) fn person_taps(
        &mut self,
        now_ms: i64,
        wamid: &str,
        choice: &Choice,
        out: &mut Vec<Callback>,
    ) -> Result<String, GraphError> {
        let message = self.message_by_wamid(wamid)?;
        let (number, phone, kind) = (message.number, message.phone, message.kind);
        let mut content = match (kind, choice) {
            ("template", Choice::At(button)) => self.tap_on_template(wamid, *button)?,
            ("interactive", _) => {
                let kept = message.body.as_ref();
                let kept = kept.ok_or_else(|| refused("the request was not kept; switch keep_bodies on"))?;
                let body: Value = serde_json::from_str(kept.get()).unwrap_or_default();
                tap_on_interactive(&body["interactive"], choice)?
            }
            _ => return Err(refused("this message has nothing there to tap")),
        };
        let digits = &self.numbers[number as usize].identity.digits;
        content["context"] = json!({"from": digits, "id": wamid});
        Ok(self.person_writes(now_ms, number, phone, content, out))
    }

    fn tap_on_template(&self, wamid: &str, button: usize) -> Result<Value, GraphError> {
        let message = self.message_by_wamid(wamid)?;
        let account = self.account_of(message.number);
        let named = message
            .template
            .as_ref()
            .and_then(|(name, language)| self.find_template(account, name, language));
        let shown = named.and_then(|(_, template)| {
            let buttons = template
                .components
                .iter()
                .find(|component| component["type"] == "BUTTONS")?;
            let chosen = &buttons["buttons"][button];
            (chosen["type"] == "QUICK_REPLY").then(|| chosen["text"].as_str().unwrap_or_default().to_owned())
        });
        let text = shown.ok_or_else(|| refused("this message has no quick-reply button there"))?;
        let given = message.body.as_ref().and_then(|body| payload_of(body.get(), button));
        let payload = given.unwrap_or_else(|| text.clone());
        Ok(json!({"type": "button", "button": {"payload": payload, "text": text}}))
    }
}

fn refused(details: &str) -> GraphError {
    GraphError::new(131_009, details)
}

fn tap_on_interactive(sent: &Value, choice: &Choice) -> Result<Value, GraphError> {
    let action = &sent["action"];
    match (sent["type"].as_str().unwrap_or_default(), choice) {
        ("button", _) => {
            let buttons = action["buttons"].as_array().into_iter().flatten();
            let reply = chosen(buttons.map(|button| &button["reply"]), choice)?;
            Ok(interactive(
                "button_reply",
                &json!({"id": reply["id"], "title": reply["title"]}),
            ))
        }
        ("list", _) => {
            let sections = action["sections"].as_array().into_iter().flatten();
            let rows = sections.flat_map(|section| section["rows"].as_array().into_iter().flatten());
            let row = chosen(rows, choice)?;
            let mut reply = json!({"id": row["id"], "title": row["title"]});
            // What is not shown is not sent back.
            if let Some(description) = row["description"].as_str().filter(|text| !text.is_empty()) {
                reply["description"] = json!(description);
            }
            Ok(interactive("list_reply", &reply))
        }
        ("flow", Choice::Form(answers)) => {
            let mut response = answers.clone();
            response["flow_token"] = action["parameters"]["flow_token"].clone();
            let reply = json!({"name": "flow", "body": "Sent", "response_json": response.to_string()});
            Ok(interactive("nfm_reply", &reply))
        }
        ("location_request_message", _) => {
            Ok(json!({"type": "location", "location": {"latitude": 38.9072, "longitude": -77.0369}}))
        }
        _ => Err(refused("tapping this tells the business nothing, or needs a form")),
    }
}

fn interactive(kind: &str, reply: &Value) -> Value {
    json!({"type": "interactive", "interactive": {"type": kind, kind: reply}})
}

fn chosen<'a>(mut offered: impl Iterator<Item = &'a Value>, choice: &Choice) -> Result<&'a Value, GraphError> {
    let found = match choice {
        Choice::At(position) => offered.nth(*position),
        Choice::Id(id) => offered.find(|offer| offer["id"] == **id),
        Choice::Form(_) => None,
    };
    found.ok_or_else(|| refused("this message has no such button or row"))
}

/// The payload a send gave the button at this position.
fn payload_of(body: &str, button: usize) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let components = body["template"]["components"].as_array()?;
    let component = components.iter().find(|component| {
        let index = component["index"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .or(component["index"].as_u64());
        component["type"]
            .as_str()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("button"))
            && index == Some(button as u64)
    })?;
    component["parameters"][0]["payload"].as_str().map(str::to_owned)
}

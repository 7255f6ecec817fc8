//! Control calls about people.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, World, done, parse, parse_query};
use crate::control::{Control, ControlError, PersonFile};
use crate::world::TruthChange;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PeoplePage {
    after: u64,
    limit: usize,
}

impl Default for PeoplePage {
    fn default() -> Self {
        Self { after: 0, limit: 1_000 }
    }
}

pub(super) async fn users(World(control): World, Query(members): Query<HashMap<String, String>>) -> Answer {
    let page: PeoplePage = parse_query(members)?;
    let people = control.users(page.after, page.limit);
    let next = people.last().map(|(phone, _)| phone.clone());
    let data: Vec<Value> = people
        .into_iter()
        .map(|(phone, view)| {
            let mut entry = json!(view);
            entry["phone"] = json!(phone);
            entry
        })
        .collect();
    Ok(Json(json!({"data": data, "next": next})))
}

pub(super) async fn user(World(control): World, Path(phone): Path<String>) -> Result<Response, ControlError> {
    Ok(Json(control.user(&phone)?).into_response())
}

pub(super) async fn change_user(World(control): World, Path(phone): Path<String>, body: String) -> Answer {
    control.change_user(&phone, &parse::<TruthChange>(&body)?)?;
    done()
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Act {
    phone_number_id: Option<String>,
    text: Option<String>,
    message: Option<Value>,
    wamid: Option<String>,
    button: usize,
    id: Option<String>,
    form: Option<Value>,
    to: Option<String>,
    file: Option<GivenFile>,
}

/// A file a person sends.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GivenFile {
    mime_type: Option<String>,
    base64: Option<String>,
    too_large: bool,
}

/// A person writes, perhaps with a file.
fn write(control: &Control, phone: &str, given: Act) -> Result<String, ControlError> {
    let number = given.phone_number_id.as_deref();
    let message = match (given.message, given.text) {
        (Some(message), _) => message,
        (None, Some(text)) => return control.write_text(phone, number, &text),
        (None, None) => return Err(ControlError::Invalid("text or message is needed".to_owned())),
    };
    let Some(file) = given.file else {
        return control.write(phone, number, message);
    };
    if file.too_large {
        return control.send_too_large_file(phone, number, message["type"].as_str().unwrap_or("document"));
    }
    let base64 = file
        .base64
        .ok_or_else(|| ControlError::Invalid("file.base64 is needed".to_owned()))?;
    let bytes = STANDARD
        .decode(base64)
        .map_err(|error| ControlError::Invalid(format!("file.base64: {error}")))?;
    let mime_type = file.mime_type;
    control.send_file(phone, number, message, Some(PersonFile { mime_type, bytes }))
}

pub(super) async fn act(World(control): World, Path((phone, act)): Path<(String, String)>, body: String) -> Answer {
    let given: Act = parse(&body)?;
    if act == "write" {
        return Ok(Json(json!({"wamid": write(&control, &phone, given)?})));
    }
    let number = given.phone_number_id.as_deref();
    let wamid = || {
        given
            .wamid
            .as_deref()
            .ok_or_else(|| ControlError::Invalid("wamid is needed".to_owned()))
    };
    let written = match act.as_str() {
        "stop" => control.write_text(&phone, number, given.text.as_deref().unwrap_or("STOP"))?,
        "tap" => match (&given.id, &given.form) {
            (Some(id), _) => control.tap_id(wamid()?, id)?,
            (None, Some(form)) => control.fill_in(wamid()?, form.clone())?,
            (None, None) => control.tap(wamid()?, given.button)?,
        },
        "read" => return control.read(wamid()?).and_then(|()| done()),
        "block" => return control.block(&phone, number).and_then(|()| done()),
        "report" => return control.report_spam(&phone, number).and_then(|()| done()),
        "change-user-id" => return control.change_user_id(&phone).and_then(|()| done()),
        "change-number" => {
            let to = given
                .to
                .as_deref()
                .ok_or_else(|| ControlError::Invalid("to is needed".to_owned()))?;
            return control.change_number(&phone, to).and_then(|()| done());
        }
        "unblock" => return control.unblock(&phone, number).and_then(|()| done()),
        "platform-stop" => return control.platform_stop(&phone, number, true).and_then(|()| done()),
        "platform-resume" => return control.platform_stop(&phone, number, false).and_then(|()| done()),
        _ => {
            return Err(ControlError::Invalid(
                "people write, stop, tap, read, block, unblock, report, platform-stop, platform-resume, change-number and \
                 change-user-id"
                    .to_owned(),
            ));
        }
    };
    Ok(Json(json!({"wamid": written})))
}

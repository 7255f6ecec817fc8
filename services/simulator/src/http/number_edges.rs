//! Edges of a number that only show and change what it keeps: its profile, its short links, its block list.

use std::collections::HashMap;

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::graph::GraphRequest;
use super::management::{body, page, success, unsupported};
use super::worlds::Access;
use crate::ascii_json;
use crate::config::parse_digits;
use crate::error::{GraphError, title};
use crate::request::{invalid, missing};
use crate::world::Answer;

/// Reads or changes the business profile.
pub(super) fn profile(
    request: &GraphRequest<'_>,
    access: &Access,
    query: &HashMap<String, String>,
    number: u32,
) -> Result<Value, GraphError> {
    if request.method == Method::GET {
        let fields = query.get("fields").map(String::as_str);
        let profile = access
            .engine
            .with(|world, _, _| world.numbers[number as usize].profile.fields(fields))?;
        return Ok(json!({"data": [profile]}));
    }
    if request.method != Method::POST {
        return Err(unsupported("whatsapp_business_profile"));
    }
    let given = body(request)?;
    let given = given
        .as_object()
        .ok_or_else(|| invalid("the body must be a JSON object"))?;
    access
        .engine
        .with(|world, _, _| world.numbers[number as usize].profile.update(given))?;
    Ok(success())
}

/// Lists, makes, changes and removes short links. Clients give what they ask for in the query or in the body.
pub(super) fn short_links(
    request: &GraphRequest<'_>,
    access: &Access,
    query: &HashMap<String, String>,
    number: u32,
    code: Option<&str>,
) -> Result<Value, GraphError> {
    let given = if request.body.is_empty() {
        Map::new()
    } else {
        body(request)?.as_object().cloned().unwrap_or_default()
    };
    let parameter = |name: &str| {
        let in_body = given.get(name).and_then(Value::as_str);
        in_body
            .or_else(|| query.get(name).map(String::as_str))
            .filter(|text| !text.is_empty())
    };
    let code = code.or_else(|| parameter("code"));
    match *request.method {
        Method::GET => {
            let image = query.get("fields").and_then(|fields| image_format(fields));
            let links = access
                .engine
                .with(|world, _, _| world.numbers[number as usize].short_links.list(code, image));
            page(request, query, links)
        }
        Method::POST => access.engine.with(|world, _, _| {
            let (text, image) = (parameter("prefilled_message"), parameter("generate_qr_image"));
            world.put_short_link(number, code, text, image)
        }),
        Method::DELETE => {
            let code = code.ok_or_else(|| missing("code"))?;
            access
                .engine
                .with(|world, _, _| world.numbers[number as usize].short_links.remove(code))?;
            Ok(success())
        }
        _ => Err(unsupported("message_qrdls")),
    }
}

/// `qr_image_url.format(SVG)` in a field list asks for the image in that format.
fn image_format(fields: &str) -> Option<&str> {
    let (_, rest) = fields.split_once("qr_image_url")?;
    let format = rest.strip_prefix(".format(").and_then(|rest| rest.split_once(')'));
    Some(format.map_or("SVG", |(format, _)| format))
}

/// Lists, blocks and unblocks users. What fails for some is error 139100 with both lists, HTTP status 400.
pub(super) fn block_users(
    request: &GraphRequest<'_>,
    access: &Access,
    query: &HashMap<String, String>,
    number: u32,
) -> Result<Answer, GraphError> {
    if request.method == Method::GET {
        let blocked = access.engine.with(|world, _, _| world.blocked_by_business(number));
        let users = blocked.into_iter().map(blocked_user).collect();
        return Ok(Answer::json(200, ascii_json::to_vec(&page(request, query, users)?)));
    }
    let block = match *request.method {
        Method::POST => true,
        Method::DELETE => false,
        _ => return Err(unsupported("block_users")),
    };
    let given = body(request)?;
    let users = given["block_users"].as_array().ok_or_else(|| missing("block_users"))?;
    Ok(access.engine.with(|world, now_ms, _| {
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for user in users {
            let input = user["user"].as_str().or(user["user_id"].as_str()).unwrap_or_default();
            match world.block(now_ms, number, input, block) {
                Ok(phone) if parse_digits(input).is_some() => {
                    done.push(json!({"input": input, "wa_id": phone.to_string()}));
                }
                Ok(_) => done.push(json!({"input": input, "user_id": input})),
                Err(error) => failed.push(json!({"input": input, "errors": [{
                    "code": error.code,
                    "message": title(error.code),
                    "error_data": {"details": error.details},
                }]})),
            }
        }
        let member = if block { "added_users" } else { "removed_users" };
        if failed.is_empty() {
            let outcome = json!({"messaging_product": "whatsapp", "block_users": {member: done}});
            return Answer::json(200, ascii_json::to_vec(&outcome));
        }
        let details = format!("{} of {} users could not be blocked", failed.len(), users.len());
        let refusal = world.refuse(&GraphError::new(139_100, details));
        let error: Value = serde_json::from_slice(&refusal.body).unwrap_or_default();
        let outcome = json!({
            "messaging_product": "whatsapp",
            "block_users": {member: done, "failed_users": failed},
            "error": error["error"],
        });
        Answer::json(refusal.status, ascii_json::to_vec(&outcome))
    }))
}

/// A blocked person. The published sources disagree on where the id stands (in the entry, or in a list of its own within
/// it), and clients read either: it stands at both places.
fn blocked_user(phone: u64) -> Value {
    let user = json!({"input": format!("+{phone}"), "wa_id": phone.to_string()});
    json!({"messaging_product": "whatsapp", "input": user["input"], "wa_id": user["wa_id"], "block_users": [user]})
}

//! Graph API calls a business makes about a number, an app or a token, beside messages and templates.

use std::collections::HashMap;

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::graph::{GraphRequest, no_permission};
use super::management::{parameters, success, verify};
use super::worlds::Access;
use crate::error::GraphError;
use crate::request::{invalid, missing};
use crate::world::World;

/// Permissions every token of a business has here.
const SCOPES: [&str; 2] = ["whatsapp_business_management", "whatsapp_business_messaging"];

/// Something a call changes, at an instant (Unix ms) and by its parameters.
type Change<'a> = &'a dyn Fn(&mut World, i64, &Map<String, Value>) -> Result<(), GraphError>;

/// Answers calls about what is arranged for a number; `None` if the edge is none of these.
pub(super) fn number_edge(
    request: &GraphRequest<'_>,
    access: &Access,
    query: &HashMap<String, String>,
    number: u32,
    edge: &str,
) -> Option<Result<Value, GraphError>> {
    let change = |act: Change<'_>| {
        let given = parameters(request, query)?;
        access.engine.with(|world, now_ms, _| act(world, now_ms, &given))?;
        Ok(success())
    };
    let text = |given: &Map<String, Value>, name: &str| {
        let value = given.get(name).ok_or_else(|| missing(name))?;
        // A PIN or code in a query has been read as a number.
        Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let answer = match (request.method, edge) {
        (&Method::POST, "conversational_automation") => change(&|world, _, given| world.set_automation(number, given)),
        (&Method::GET, "settings") => Ok(access.engine.with(|world, _, _| world.settings(number))),
        (&Method::POST, "settings") => change(&|world, _, given| {
            world.set_settings(number, given);
            Ok(())
        }),
        (&Method::GET, "whatsapp_commerce_settings") => {
            Ok(access.engine.with(|world, _, _| world.commerce_settings(number)))
        }
        (&Method::POST, "whatsapp_commerce_settings") => {
            change(&|world, _, given| world.set_commerce_settings(number, given))
        }
        (&Method::POST, "register") => {
            change(&|world, now_ms, given| world.register(now_ms, number, Some(&text(given, "pin")?)))
        }
        (&Method::POST, "deregister") => change(&|world, now_ms, _| world.register(now_ms, number, None)),
        (&Method::POST, "request_code") => change(&|world, _, given| {
            let method = text(given, "code_method")?;
            if !matches!(method.as_str(), "SMS" | "VOICE") {
                return Err(invalid("Param code_method must be SMS or VOICE."));
            }
            world.request_code(number);
            Ok(())
        }),
        (&Method::POST, "verify_code") => change(&|world, _, given| world.verify_code(number, &text(given, "code")?)),
        _ => return None,
    };
    Some(answer)
}

/// `GET /oauth/access_token`: an app's own token for its id and secret.
pub(super) fn app_token(access: &Access, query: &HashMap<String, String>) -> Result<Value, GraphError> {
    let member = |name: &str| query.get(name).map(String::as_str).ok_or_else(|| missing(name));
    let (id, secret) = (member("client_id")?, member("client_secret")?);
    let fits = access.engine.with(|world, _, _| {
        let app = world.apps.iter().find(|app| app.id == id);
        app.is_some_and(|app| app.secret.expose() == secret)
    });
    if !fits {
        return Err(GraphError::new(1, "Error validating client secret."));
    }
    Ok(json!({"access_token": format!("{id}|{secret}"), "token_type": "bearer"}))
}

/// `GET /debug_token`.
pub(super) fn debug_token(request: &GraphRequest<'_>, access: &Access, query: &HashMap<String, String>) -> Value {
    let token = query.get("input_token").map(String::as_str).unwrap_or_default();
    let known = request.worlds.access(token);
    let app_id = access
        .engine
        .with(|world, _, _| world.apps.first().map(|app| app.id.clone()));
    if known.is_none() {
        return json!({"data": {"is_valid": false, "scopes": [],
            "error": {"code": 190, "message": "Invalid OAuth access token."}}});
    }
    json!({"data": {"app_id": app_id, "type": "SYSTEM_USER", "is_valid": true, "expires_at": 0, "scopes": SCOPES}})
}

/// `/{app-id}/subscriptions`: where an app's callbacks go.
pub(super) async fn subscriptions(
    request: &GraphRequest<'_>,
    access: &Access,
    query: &HashMap<String, String>,
    app_id: &str,
) -> Result<Value, GraphError> {
    if access.app.as_deref() != Some(app_id) {
        return Err(no_permission());
    }
    match *request.method {
        Method::GET => Ok(access.engine.with(|world, _, _| {
            let app = world.apps.iter().find(|app| app.id == app_id);
            let url = app
                .and_then(|app| app.endpoint.as_ref())
                .map(|endpoint| endpoint.url.clone());
            let fields = json!([{"name": "messages", "version": "v23.0"}]);
            let entries = url.map(|url| {
                json!({"object": "whatsapp_business_account", "callback_url": url, "active": true, "fields": fields})
            });
            json!({"data": entries.into_iter().collect::<Vec<_>>()})
        })),
        Method::POST => {
            let given = parameters(request, query)?;
            let member = |name: &str| given.get(name).and_then(Value::as_str).ok_or_else(|| missing(name));
            if member("object")? != "whatsapp_business_account" {
                return Err(invalid("Param object must be whatsapp_business_account."));
            }
            let url = member("callback_url")?;
            verify(access, url, Some(member("verify_token")?)).await?;
            access
                .engine
                .with(|world, _, _| world.set_callback_url(Some(app_id), Some(url)));
            Ok(success())
        }
        Method::DELETE => {
            access
                .engine
                .with(|world, _, _| world.set_callback_url(Some(app_id), None));
            Ok(success())
        }
        _ => Err(GraphError::no_such_object(app_id)),
    }
}

//! Graph API calls other than sending: numbers, accounts, templates, subscriptions, block lists.

use std::collections::HashMap;

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::graph::{GraphRequest, no_permission, refuse};
use super::worlds::Access;
use super::{business, media, number_edges, query, uploads};
use crate::ascii_json;
use crate::config::is_callback_url;
use crate::error::GraphError;
use crate::request::{invalid, missing};
use crate::world::{Answer, TEMPLATES_MAX, World};

const PAGE_DEFAULT: usize = 25;
const PAGE_MAX: usize = 1_000;

/// A node a path names.
#[derive(Clone, Debug)]
enum Node {
    Number(u32),
    Account(u32),
    Template(String),
    Media,
}

/// Answers any call but sending.
pub(super) async fn dispatch(request: &GraphRequest<'_>, access: &Access) -> Answer {
    let query = query::parse(request.query);
    let outcome = match request.segments.as_slice() {
        ["oauth", "access_token"] => business::app_token(access, &query),
        ["debug_token"] => Ok(business::debug_token(request, access, &query)),
        [id, "subscriptions"] => business::subscriptions(request, access, &query, id).await,
        [id, "uploads"] => uploads::start(request, access, &query, id),
        [id] if id.starts_with(uploads::PREFIX) => uploads::take(request, id),
        [id] => node_call(request, access, &query, id).await,
        [id, "block_users"] => return block_users(request, access, &query, id),
        [id, edge] => edge_call(request, access, &query, id, edge).await,
        [id, "message_qrdls", code] => short_link(request, access, &query, id, code),
        _ => Err(GraphError::no_such_object(&request.segments.join("/"))),
    };
    match outcome {
        Ok(value) => Answer::json(200, ascii_json::to_vec(&value)),
        Err(error) => refuse(access, &error),
    }
}

fn find(access: &Access, id: &str) -> Result<Node, GraphError> {
    access.engine.with(|world, now_ms, _| {
        let (node, account) = if let Some(number) = world.number_by_id(id) {
            (Node::Number(number), world.numbers[number as usize].account)
        } else if let Some(account) = world.account_by_id(id) {
            (Node::Account(account), account)
        } else if let Some((account, _)) = world.template_by_id(id) {
            (Node::Template(id.to_owned()), account)
        } else if let Some((account, _)) = world.media_owner(now_ms, id) {
            (Node::Media, account)
        } else {
            return Err(GraphError::no_such_object(id));
        };
        if access.accounts.contains(&account) {
            Ok(node)
        } else {
            Err(no_permission())
        }
    })
}

async fn node_call(
    request: &GraphRequest<'_>,
    access: &Access,
    query: &HashMap<String, String>,
    id: &str,
) -> Result<Value, GraphError> {
    let node = find(access, id)?;
    let fields = query.get("fields").map(String::as_str);
    match (request.method, node) {
        (&Method::GET, Node::Number(number)) => access
            .engine
            .with(|world, now_ms, _| world.number_fields(number, now_ms, fields)),
        (&Method::GET, Node::Account(account)) => {
            access.engine.with(|world, _, _| world.account_fields(account, fields))
        }
        (&Method::GET, Node::Template(id)) => access.engine.with(|world, _, _| {
            world
                .template_by_id(&id)
                .map(|(_, node)| node)
                .ok_or_else(|| GraphError::no_such_object(&id))
        }),
        (_, Node::Media) => media::node_call(request, access, id),
        (&Method::POST, Node::Template(id)) => {
            let edit = body(request)?;
            access
                .engine
                .with(|world, now_ms, _| world.edit_template(now_ms, &id, &edit))?;
            let (_, node) = access
                .engine
                .with(|world, _, _| world.template_by_id(&id))
                .ok_or_else(|| GraphError::no_such_object(&id))?;
            Ok(json!({"success": true, "id": node["id"], "name": node["name"], "category": node["category"]}))
        }
        (&Method::POST, Node::Number(number)) => set_number_callback(request, access, number).await,
        _ => Err(unsupported(id)),
    }
}

async fn edge_call(
    request: &GraphRequest<'_>,
    access: &Access,
    query: &HashMap<String, String>,
    id: &str,
    edge: &str,
) -> Result<Value, GraphError> {
    let node = find(access, id)?;
    let fields = query.get("fields").map(String::as_str);
    match (request.method, &node, edge) {
        (&Method::GET, Node::Account(account), "phone_numbers") => {
            let numbers = access
                .engine
                .with(|world, now_ms, _| world.number_list(*account, now_ms, fields))?;
            page(request, query, numbers)
        }
        (&Method::GET, Node::Account(account), "message_templates") => {
            let templates = access
                .engine
                .with(|world, _, _| world.template_nodes(*account, |node| matches(node, query)));
            let total = templates.len();
            let mut listed = page(request, query, templates)?;
            if query.contains_key("summary") {
                listed["summary"] = json!({
                    "total_count": total,
                    "message_template_count": total,
                    "message_template_limit": TEMPLATES_MAX,
                    "are_translations_complete": true,
                });
            }
            Ok(listed)
        }
        (&Method::POST, Node::Account(account), "message_templates") => {
            let definition = body(request)?;
            access
                .engine
                .with(|world, now_ms, _| world.create_template(now_ms, *account, &definition, None))
        }
        (&Method::POST, Node::Account(account), "upsert_message_templates") => {
            let definition = body(request)?;
            access
                .engine
                .with(|world, now_ms, _| world.upsert_templates(now_ms, *account, &definition))
        }
        (&Method::DELETE, Node::Account(account), "message_templates") => {
            if let Some(ids) = query.get("hsm_ids") {
                let ids: Vec<String> = ids
                    .split(|character: char| !character.is_ascii_digit())
                    .filter(|id| !id.is_empty())
                    .map(str::to_owned)
                    .collect();
                access
                    .engine
                    .with(|world, _, _| world.delete_templates(*account, &ids))?;
                return Ok(success());
            }
            let name = query.get("name").ok_or_else(|| missing("name"))?;
            let template_id = query.get("hsm_id").map(String::as_str);
            access
                .engine
                .with(|world, _, _| world.delete_template(*account, name, template_id))?;
            Ok(success())
        }
        (&Method::POST, Node::Number(number), "media") => media::upload(request, access, *number).await,
        (&Method::POST, Node::Template(id), "unpause") => unpause(access, id),
        (&Method::GET, Node::Account(account), "subscribed_apps") => {
            Ok(access.engine.with(|world, _, _| subscribed_apps(world, *account)))
        }
        (&Method::POST, Node::Account(account), "subscribed_apps") => {
            set_account_callback(request, access, query, *account).await
        }
        (&Method::DELETE, Node::Account(account), "subscribed_apps") => {
            access
                .engine
                .with(|world, _, _| world.accounts[*account as usize].apps.clear());
            Ok(success())
        }
        (_, Node::Number(number), "whatsapp_business_profile") => {
            number_edges::profile(request, access, query, *number)
        }
        (_, Node::Number(number), "message_qrdls") => number_edges::short_links(request, access, query, *number, None),
        (_, Node::Number(number), edge) => {
            business::number_edge(request, access, query, *number, edge).unwrap_or_else(|| Err(unsupported(id)))
        }
        _ => Err(unsupported(id)),
    }
}

fn block_users(request: &GraphRequest<'_>, access: &Access, query: &HashMap<String, String>, id: &str) -> Answer {
    let outcome = match find(access, id) {
        Ok(Node::Number(number)) => number_edges::block_users(request, access, query, number),
        Ok(_) => Err(unsupported(id)),
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|error| refuse(access, &error))
}

fn short_link(
    request: &GraphRequest<'_>,
    access: &Access,
    query: &HashMap<String, String>,
    id: &str,
    code: &str,
) -> Result<Value, GraphError> {
    match find(access, id)? {
        Node::Number(number) => number_edges::short_links(request, access, query, number, Some(code)),
        _ => Err(unsupported(id)),
    }
}

fn unpause(access: &Access, id: &str) -> Result<Value, GraphError> {
    access.engine.with(|world, now_ms, out| {
        let (account, node) = world.template_by_id(id).ok_or_else(|| GraphError::no_such_object(id))?;
        let (name, language) = (node["name"].as_str().unwrap_or_default(), node["language"].as_str());
        if node["status"] != "PAUSED" {
            return Err(invalid("the template is not paused"));
        }
        world.set_template_status(now_ms, account, name, language, "APPROVED", out)
    })?;
    Ok(success())
}

fn subscribed_apps(world: &World, account: u32) -> Value {
    let state = &world.accounts[account as usize];
    let apps = state.apps.iter().map(|app| {
        let id = &world.apps[*app].id;
        let mut entry = json!({"whatsapp_business_api_data": {"id": id, "link": "", "name": "Simulated app"}});
        if let Some(url) = &state.callback_override {
            entry["override_callback_uri"] = json!(url);
        }
        entry
    });
    json!({"data": apps.collect::<Vec<_>>()})
}

async fn set_account_callback(
    request: &GraphRequest<'_>,
    access: &Access,
    query: &HashMap<String, String>,
    account: u32,
) -> Result<Value, GraphError> {
    let settings = parameters(request, query)?;
    let text = |name: &str| {
        settings
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let url = text("override_callback_uri");
    if let Some(url) = url {
        verify(access, url, text("verify_token")).await?;
    }
    access.engine.with(|world, _, _| {
        let state = &mut world.accounts[account as usize];
        state.callback_override = url.map(str::to_owned);
        if state.apps.is_empty() {
            state.apps.push(0);
        }
    });
    Ok(success())
}

async fn set_number_callback(request: &GraphRequest<'_>, access: &Access, number: u32) -> Result<Value, GraphError> {
    let settings = body(request)?;
    if let Some(pin) = settings["pin"].as_str() {
        access.engine.with(|world, _, _| world.set_pin(number, pin))?;
    }
    let callback = &settings["webhook_configuration"];
    if let Some(url) = callback["override_callback_uri"].as_str() {
        if !url.is_empty() {
            verify(access, url, callback["verify_token"].as_str()).await?;
        }
        access.engine.with(|world, _, _| {
            world.numbers[number as usize].callback_override = (!url.is_empty()).then(|| url.to_owned());
        });
    }
    Ok(success())
}

/// Meta asks a new callback URL for the challenge before it takes it.
pub(super) async fn verify(access: &Access, url: &str, verify_token: Option<&str>) -> Result<(), GraphError> {
    let token = verify_token.ok_or_else(|| missing("verify_token"))?;
    if !is_callback_url(url) {
        return Err(invalid("override_callback_uri must be a URL"));
    }
    if access.engine.verify_callback(url, token).await {
        return Ok(());
    }
    Err(GraphError::new(
        2_200,
        "Callback verification failed: the URL did not answer with the challenge.",
    ))
}

/// One page of a list, with cursors as the Graph API gives them.
pub(super) fn page(
    request: &GraphRequest<'_>,
    query: &HashMap<String, String>,
    all: Vec<Value>,
) -> Result<Value, GraphError> {
    let limit = match query.get("limit") {
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| invalid("limit must be a number"))?
            .clamp(1, PAGE_MAX),
        None => PAGE_DEFAULT,
    };
    let from = match (query.get("after"), query.get("before")) {
        (Some(after), _) => cursor_position(after)?,
        (None, Some(before)) => cursor_position(before)?.saturating_sub(limit + 1),
        (None, None) => 0,
    };
    let total = all.len();
    let data: Vec<Value> = all.into_iter().skip(from).take(limit).collect();
    if data.is_empty() {
        return Ok(json!({"data": []}));
    }
    let until = from + data.len();
    let mut paging = json!({"cursors": {"before": cursor(from + 1), "after": cursor(until)}});
    if until < total {
        let mut link = reqwest::Url::parse(&format!("{}{}", request.base_url, request.path))
            .map_err(|_| invalid("the request has no usable Host header"))?;
        for (name, value) in query
            .iter()
            .filter(|(name, _)| *name != "after" && *name != "before" && *name != "access_token")
        {
            link.query_pairs_mut().append_pair(name, value);
        }
        link.query_pairs_mut().append_pair("after", &cursor(until));
        paging["next"] = json!(link.as_str());
    }
    Ok(json!({"data": data, "paging": paging}))
}

fn cursor(position: usize) -> String {
    STANDARD.encode(format!("at:{position}"))
}

fn cursor_position(cursor: &str) -> Result<usize, GraphError> {
    let bytes = STANDARD.decode(cursor).ok();
    let position = bytes.and_then(|bytes| String::from_utf8(bytes).ok()?.strip_prefix("at:")?.parse().ok());
    position.ok_or_else(|| GraphError::new(131_059, "The cursor is not valid; start the listing again."))
}

/// Whether a template passes the filters of a listing. A filter is one value, several with commas, or a JSON list.
fn matches(node: &Value, query: &HashMap<String, String>) -> bool {
    let passes = |wanted: Option<&String>, is: &Value| {
        let is = is.as_str().unwrap_or_default();
        wanted.is_none_or(|wanted| {
            let listed: Option<Vec<String>> = serde_json::from_str(wanted).ok();
            let listed = listed.unwrap_or_else(|| wanted.split(',').map(|value| value.trim().to_owned()).collect());
            listed.iter().any(|value| value.eq_ignore_ascii_case(is))
        })
    };
    let contains = |wanted: Option<&String>, text: &str| {
        wanted.is_none_or(|wanted| text.to_lowercase().contains(&wanted.to_lowercase()))
    };
    let name = node["name"].as_str().unwrap_or_default();
    let content = node["components"].to_string();
    ["name", "status", "category", "language"]
        .iter()
        .all(|member| passes(query.get(*member), &node[*member]))
        && passes(query.get("quality_score"), &node["quality_score"]["score"])
        && contains(query.get("content"), &content)
        && contains(query.get("name_or_content"), &format!("{name} {content}"))
}

/// The parameters of a call, which the Graph API takes from the query as well as from the body.
pub(super) fn parameters(
    request: &GraphRequest<'_>,
    in_query: &HashMap<String, String>,
) -> Result<serde_json::Map<String, Value>, GraphError> {
    let mut given = if request.body.is_empty() {
        serde_json::Map::new()
    } else {
        match body(request)? {
            Value::Object(members) => members,
            _ => return Err(invalid("the body must be a JSON object")),
        }
    };
    for (name, text) in in_query.iter().filter(|(name, _)| *name != "access_token") {
        given.entry(name.clone()).or_insert_with(|| query::value(text));
    }
    Ok(given)
}

/// The body as a JSON object.
pub(super) fn body(request: &GraphRequest<'_>) -> Result<Value, GraphError> {
    if let Some(form) = request.form() {
        return Ok(form
            .iter()
            .map(|(name, text)| (name.clone(), query::value(text)))
            .collect());
    }
    let value: Value = serde_json::from_slice(&request.body).map_err(|error| invalid(error.to_string()))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(invalid("the body must be a JSON object"))
    }
}

/// `{"success": true}`.
pub(super) fn success() -> Value {
    json!({"success": true})
}

/// The call is not one that this node or edge takes.
pub(super) fn unsupported(id: &str) -> GraphError {
    GraphError::no_such_object(id)
}

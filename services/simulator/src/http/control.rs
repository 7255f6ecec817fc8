//! The control API under `/_sim`, in JSON. With `?world=TOKEN` it concerns that token's isolated world.

mod people;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::query;
use super::server::App;
use crate::config::{Fault, Latency, Mix, Rules};
use crate::control::{Control, ControlError, Filter, WaitFor};
use crate::world::Rating;

/// Largest body of a control call: a large file in base64.
const BODY_BYTES_MAX: usize = 32 * 1_024 * 1_024;

/// Routes of the control API.
pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/_sim/summary", get(summary))
        .route("/_sim/accepted", get(accepted))
        .route("/_sim/wait", get(wait))
        .route("/_sim/users", get(people::users))
        .route("/_sim/users/{phone}", get(people::user).patch(people::change_user))
        .route("/_sim/users/{phone}/{act}", post(people::act))
        .route("/_sim/faults", get(faults).post(set_faults).delete(clear_faults))
        .route("/_sim/settings", post(settings))
        .route("/_sim/templates", post(add_template))
        .route("/_sim/templates/{name}/{what}", post(change_template))
        .route("/_sim/numbers/{id}/{what}", post(change_number))
        .route("/_sim/numbers/{id}/sent-code", get(sent_code))
        .route("/_sim/accounts/{id}/lock", post(lock_account))
        .route("/_sim/media", post(add_media))
        .route("/_sim/callback", post(callback))
        .route("/_sim/clock/advance", post(advance_clock))
        .route("/_sim/reset", post(reset))
        .fallback(nothing_here)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(app)
}

/// The world a request is about.
struct World(Control);

impl FromRequestParts<Arc<App>> for World {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let engine = match query::parse(parts.uri.query()).remove("world") {
            None => app.worlds.first().clone(),
            Some(token) => match app.worlds.access(&token) {
                Some(access) => access.engine,
                None => return Err(problem(StatusCode::NOT_FOUND, "no world belongs to this token")),
            },
        };
        Ok(Self(Control::new(engine)))
    }
}

fn problem(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({"error": text}))).into_response()
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::UnknownNumber | Self::UnknownAccount | Self::UnknownApp => StatusCode::NOT_FOUND,
            Self::NotAPhoneNumber | Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Refused { .. } => StatusCode::CONFLICT,
        };
        problem(status, &self.to_string())
    }
}

type Answer = Result<Json<Value>, ControlError>;

/// Parses a body that may be empty; unlike axum's `Json` it does not ask for a content type.
fn parse<T: DeserializeOwned>(body: &str) -> Result<T, ControlError> {
    let body = if body.trim().is_empty() { "{}" } else { body };
    serde_json::from_str(body).map_err(|error| ControlError::Invalid(error.to_string()))
}

/// Parses a query by its text values; `world` is dealt with elsewhere.
fn parse_query<T: DeserializeOwned>(mut members: HashMap<String, String>) -> Result<T, ControlError> {
    members.remove("world");
    let typed = members.into_iter().map(|(name, text)| {
        let is_text = matches!(
            name.as_str(),
            "recipient" | "phone_number_id" | "opaque" | "template" | "status"
        );
        let value = if is_text {
            None
        } else {
            serde_json::from_str(&text).ok()
        };
        (name, value.unwrap_or(Value::String(text)))
    });
    serde_json::from_value(Value::Object(typed.collect())).map_err(|error| ControlError::Invalid(error.to_string()))
}

/// The answer of an act that gives nothing back.
#[allow(clippy::unnecessary_wraps, reason = "ends handlers that may fail before")]
fn done() -> Answer {
    Ok(Json(json!({"success": true})))
}

async fn nothing_here() -> Response {
    problem(
        StatusCode::NOT_FOUND,
        "no such control call; the README of the simulator lists them",
    )
}

async fn summary(World(control): World) -> Response {
    Json(control.report()).into_response()
}

async fn accepted(
    World(control): World,
    Query(members): Query<HashMap<String, String>>,
) -> Result<Response, ControlError> {
    let filter: Filter = parse_query(members)?;
    let data = control.accepted(&filter)?;
    let next = data.last().map(|message| message.sequence);
    Ok(Json(json!({"data": data, "next": next})).into_response())
}

async fn wait(World(control): World, Query(members): Query<HashMap<String, String>>) -> Result<Response, ControlError> {
    let wanted: WaitFor = parse_query(members)?;
    let status = if control.wait(&wanted).await {
        StatusCode::OK
    } else {
        StatusCode::REQUEST_TIMEOUT
    };
    Ok((status, Json(control.report())).into_response())
}

async fn sent_code(World(control): World, Path(id): Path<String>) -> Answer {
    Ok(Json(json!({"code": control.sent_code(&id)?})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMedia {
    phone_number_id: Option<String>,
    mime_type: String,
    base64: String,
}

async fn add_media(World(control): World, body: String) -> Answer {
    let given: NewMedia = parse(&body)?;
    let bytes = STANDARD
        .decode(given.base64)
        .map_err(|error| ControlError::Invalid(format!("base64: {error}")))?;
    let id = control.add_media(given.phone_number_id.as_deref(), &given.mime_type, bytes)?;
    Ok(Json(json!({"id": id})))
}

async fn faults(World(control): World) -> Json<Value> {
    Json(json!({"data": control.faults()}))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Fault),
    More(Vec<Fault>),
}

async fn set_faults(World(control): World, body: String) -> Answer {
    let faults = match parse(&body)? {
        OneOrMore::One(fault) => vec![fault],
        OneOrMore::More(faults) => faults,
    };
    for fault in faults {
        control.set_fault(fault)?;
    }
    Ok(Json(json!({"data": control.faults()})))
}

async fn clear_faults(World(control): World) -> Answer {
    control.clear_faults();
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    mix: Option<Mix>,
    latency: Option<Latency>,
    rules: Option<Rules>,
}

async fn settings(World(control): World, body: String) -> Answer {
    let given: Settings = parse(&body)?;
    if let Some(mix) = given.mix {
        control.set_mix(mix);
    }
    if let Some(latency) = given.latency {
        control.set_latency(latency);
    }
    if let Some(rules) = given.rules {
        control.set_rules(rules);
    }
    done()
}

async fn add_template(World(control): World, body: String) -> Answer {
    let mut definition: Value = parse(&body)?;
    let account = definition
        .as_object_mut()
        .and_then(|members| members.remove("account_id"));
    let status = definition["status"].as_str().map(str::to_owned);
    let account = account.as_ref().and_then(Value::as_str);
    control.add_template(account, &definition, status.as_deref()).map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateChange {
    account_id: Option<String>,
    language: Option<String>,
    status: Option<String>,
    category: Option<String>,
    notice_seconds: Option<i64>,
    score: Option<String>,
}

async fn change_template(World(control): World, Path((name, what)): Path<(String, String)>, body: String) -> Answer {
    let given: TemplateChange = parse(&body)?;
    let account = given.account_id.as_deref();
    let language = given.language.as_deref();
    match (what.as_str(), given.status, given.category, given.score) {
        ("status", Some(status), ..) => control.set_template_status(account, &name, language, &status)?,
        ("pause", ..) => control.set_template_status(account, &name, language, "PAUSED")?,
        ("approve", ..) => control.set_template_status(account, &name, language, "APPROVED")?,
        ("reject", ..) => control.set_template_status(account, &name, language, "REJECTED")?,
        ("disable", ..) => control.set_template_status(account, &name, language, "DISABLED")?,
        ("pacing", ..) => control.pace_template(account, &name)?,
        ("category", _, Some(category), _) => {
            control.set_template_category(account, &name, &category, given.notice_seconds)?;
        }
        ("quality", _, _, Some(score)) => control.set_template_quality(account, &name, &score)?,
        _ => {
            return Err(ControlError::Invalid(
                "templates take pause, approve, reject, disable, pacing, status, category and quality, with that member"
                    .to_owned(),
            ));
        }
    }
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NumberChange {
    rating: Option<Rating>,
    #[serde(default = "yes")]
    webhook: bool,
    tier: Option<String>,
    messages_per_second: Option<u32>,
    registered: Option<bool>,
}

fn yes() -> bool {
    true
}

async fn change_number(World(control): World, Path((id, what)): Path<(String, String)>, body: String) -> Answer {
    let given: NumberChange = parse(&body)?;
    match (what.as_str(), given.tier, given.messages_per_second, given.registered) {
        ("quality", ..) => control.set_number_rating(&id, given.rating, given.webhook)?,
        ("tier", Some(tier), ..) => control.set_number_tier(&id, &tier)?,
        ("throughput", _, Some(per_second), _) => control.set_number_throughput(&id, per_second)?,
        ("registration", _, _, Some(registered)) => control.set_number_registered(&id, registered)?,
        _ => {
            return Err(ControlError::Invalid(
                "numbers take quality, tier, throughput and registration, with that member".to_owned(),
            ));
        }
    }
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    code: Option<u32>,
}

async fn lock_account(World(control): World, Path(id): Path<String>, body: String) -> Answer {
    control.lock_account(Some(&id), parse::<Lock>(&body)?.code)?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallbackSetting {
    app_id: Option<String>,
    url: Option<String>,
    #[serde(default)]
    verify: bool,
}

async fn callback(World(control): World, body: String) -> Result<Response, ControlError> {
    let given: CallbackSetting = parse(&body)?;
    control.set_callback_url(given.app_id.as_deref(), given.url.as_deref())?;
    let verified = if given.verify {
        Some(control.verify_callback(given.app_id.as_deref()).await?)
    } else {
        None
    };
    let status = if verified == Some(false) {
        StatusCode::BAD_GATEWAY
    } else {
        StatusCode::OK
    };
    Ok((
        status,
        Json(json!({"success": verified != Some(false), "verified": verified})),
    )
        .into_response())
}

/// How far to go: by a span, to an instant, or until nothing more happens (a year at most).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    by_ms: Option<u64>,
    to_ms: Option<i64>,
    #[serde(default)]
    until_quiet: bool,
}

async fn advance_clock(World(control): World, body: String) -> Answer {
    const YEAR: Duration = Duration::from_hours(24 * 365);
    match parse::<Advance>(&body)? {
        Advance {
            by_ms: Some(by_ms),
            to_ms: None,
            until_quiet: false,
        } => control.advance_clock(Duration::from_millis(by_ms)),
        Advance {
            by_ms: None,
            to_ms: Some(to_ms),
            until_quiet: false,
        } => {
            let by_ms = u64::try_from(to_ms - control.now_ms())
                .map_err(|_| ControlError::Invalid("to_ms has passed; time does not go back".to_owned()))?;
            control.advance_clock(Duration::from_millis(by_ms));
        }
        Advance {
            by_ms: None,
            to_ms: None,
            until_quiet: true,
        } => drop(control.advance_until_quiet(YEAR)),
        _ => {
            return Err(ControlError::Invalid(
                "one of by_ms, to_ms and until_quiet is needed".to_owned(),
            ));
        }
    }
    Ok(Json(json!({"now_ms": control.now_ms()})))
}

async fn reset(World(control): World) -> Answer {
    control.reset();
    done()
}

//! Media through the Graph API: uploads as multipart forms, what a file is, downloads, deletion.

use axum::body::{Body, Bytes};
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::graph::{GraphRequest, no_permission};
use super::query;
use super::worlds::Access;
use crate::error::GraphError;
use crate::request::{invalid, missing};
use crate::world::{Answer, NewFile};

/// Parts of a form; more than these are refused.
const PARTS_MAX: usize = 16;

/// The parts of an upload that matter.
#[derive(Default)]
struct Form {
    messaging_product: Option<String>,
    declared_type: Option<String>,
    /// MIME type of the file's own part.
    part_type: Option<String>,
    file: Option<Bytes>,
}

/// `POST /{phone-number-id}/media`.
pub(super) async fn upload(request: &GraphRequest<'_>, access: &Access, number: u32) -> Result<Value, GraphError> {
    let form = read_form(request).await?;
    // The Graph API takes parameters from the query as well, and some clients put this one there.
    let in_query = query::parse(request.query).remove("messaging_product");
    if form.messaging_product.or(in_query).as_deref() != Some("whatsapp") {
        return Err(invalid(
            "The parameter messaging_product is required and must be whatsapp.",
        ));
    }
    let bytes = form.file.ok_or_else(|| missing("file"))?;
    // The type of the file's part is what Meta goes by; a part without one takes that of the form.
    let mime_type = form.part_type.or(form.declared_type).ok_or_else(|| missing("type"))?;
    let id = access
        .engine
        .with(|world, now_ms, _| world.upload(now_ms, number, NewFile { mime_type, bytes }))?;
    Ok(json!({"id": id.to_string()}))
}

async fn read_form(request: &GraphRequest<'_>) -> Result<Form, GraphError> {
    let content_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = content_type
        .and_then(|content_type| multer::parse_boundary(content_type).ok())
        .ok_or_else(|| invalid("An upload must be multipart/form-data with a boundary."))?;
    let body = Body::from(request.body.clone()).into_data_stream();
    let mut parts = multer::Multipart::new(body, boundary);
    let mut form = Form::default();
    let broken = |_| invalid("The form is broken off or is not valid multipart/form-data.");
    for _ in 0..PARTS_MAX {
        let Some(part) = parts.next_field().await.map_err(broken)? else {
            return Ok(form);
        };
        match part.name() {
            Some("messaging_product") => form.messaging_product = Some(part.text().await.map_err(broken)?),
            Some("type") => form.declared_type = Some(part.text().await.map_err(broken)?),
            Some("file") => {
                form.part_type = part.content_type().map(ToString::to_string);
                form.file = Some(part.bytes().await.map_err(broken)?);
            }
            // Read over, as Meta does with what it does not know in a form.
            _ => drop(part.bytes().await.map_err(broken)?),
        }
    }
    Err(invalid(format!("An upload has at most {PARTS_MAX} parts.")))
}

/// `GET` and `DELETE /{media-id}`, for the number named by `phone_number_id` if one is.
pub(super) fn node_call(request: &GraphRequest<'_>, access: &Access, id: &str) -> Result<Value, GraphError> {
    let query = query::parse(request.query);
    access.engine.with(|world, now_ms, _| {
        let (account, number) = world
            .media_owner(now_ms, id)
            .ok_or_else(|| GraphError::no_such_object(id))?;
        if !access.accounts.contains(&account) {
            return Err(no_permission());
        }
        let asked = query.get("phone_number_id");
        if asked.is_some_and(|asked| world.number_by_id(asked) != Some(number)) {
            return Err(GraphError::no_such_object(id));
        }
        match *request.method {
            Method::GET => world.media_node(now_ms, id, &request.base_url),
            Method::DELETE => {
                world.delete_media(now_ms, id)?;
                Ok(json!({"success": true}))
            }
            _ => Err(GraphError::no_such_object(id)),
        }
    })
}

/// A download, with the token of the business the file belongs to.
pub(super) fn download(request: &GraphRequest<'_>, access: &Access) -> Answer {
    let query = query::parse(request.query);
    access
        .engine
        .with(|world, now_ms, _| world.download(now_ms, &access.accounts, &query))
}

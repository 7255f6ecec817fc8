//! Files that callers hand over: received whole, checked, and uploaded like those behind links.

use super::{
    Hash,
    job::{self, Place, UploadError},
};
use crate::{dispatcher::Dispatcher, limits};
use assent_api::{
    Problems, ids,
    provider::{self, Quote},
    timestamp,
};
use assent_domain::values::PhoneNumberId;
use assent_fetch::Fetched;
use assent_proto::v1::{self, UploadKind, upload_media_request::Part};
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    tenants::Tenant,
};
use assent_whatsapp::{
    Secret,
    media::{self, ContentHash, Kind},
};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use std::time::Duration;
use tokio::sync::Semaphore;
use tonic::Status;

const MEBIBYTE: usize = 1 << 20;

/// When it is worth asking again while too many files are handed over.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Where callers hand files over. One that is slow or large leaves those behind links their room.
#[derive(Debug)]
pub(crate) struct Counter {
    callers: Semaphore,
    /// A permit for each mebibyte of files in memory.
    room: Semaphore,
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            callers: Semaphore::new(limits::CALLERS_FILES_AT_ONCE),
            room: Semaphore::new(limits::CALLERS_MEBIBYTES_AT_ONCE),
        }
    }
}

/// What a file is said to be.
struct Announced {
    number: PhoneNumberId,
    kind: Kind,
    bytes: usize,
    filename: Option<String>,
    media_type: Option<String>,
}

impl Counter {
    /// Takes a file in and answers Meta's id of it.
    pub(crate) async fn take(
        &self,
        dispatcher: &Dispatcher,
        tenant: &Tenant,
        mut parts: impl Stream<Item = Result<v1::UploadMediaRequest, Status>> + Unpin,
    ) -> Result<v1::UploadMediaResponse, Status> {
        let busy = |_| ApiError::new(ErrorCode::Overloaded).retry_after(RETRY_AFTER);
        let _caller = self.callers.try_acquire().map_err(busy)?;
        let Some(Part::Info(info)) = next(&mut parts).await? else {
            return Err(invalid("info", "must come first").into());
        };
        let announced = Announced::parse(&info)?;
        let token = token(tenant, &announced.number)?;
        let mebibytes = announced.bytes.div_ceil(MEBIBYTE) as u32;
        let _room = self.room.try_acquire_many(mebibytes).map_err(busy)?;
        let bytes = receive(&mut parts, announced.bytes).await?;
        check(dispatcher, announced.kind, &bytes)?;

        let content: Hash = *ContentHash::of(&bytes).as_bytes();
        let place = Place {
            number: &announced.number,
            kind: announced.kind,
            filename: announced.filename.as_deref(),
        };
        let file = Fetched {
            bytes,
            media_type: announced.media_type,
        };
        let uploaded = job::upload(dispatcher, &place, &token, file, &content).await;
        let (upload, _) = uploaded.map_err(|error| refused(&error))?;
        Ok(v1::UploadMediaResponse {
            usable_until: Some(timestamp::render(upload.uploaded_at + limits::UPLOAD_USED_FOR)),
            media_id: upload.id,
        })
    }
}

impl Announced {
    fn parse(info: &v1::UploadInfo) -> Result<Self, ApiError> {
        let mut problems = Problems::new();
        let number = ids::number(&info.from, "info.from", &mut problems);
        let kind = match info.kind() {
            UploadKind::Unspecified => None,
            UploadKind::Image => Some(Kind::Image),
            UploadKind::Sticker => Some(Kind::Sticker),
            UploadKind::Audio => Some(Kind::Audio),
            UploadKind::Voice => Some(Kind::Voice),
            UploadKind::Video => Some(Kind::Video),
            UploadKind::Document => Some(Kind::Document),
        };
        let most = kind.map_or(Kind::Document.bytes_max(), Kind::bytes_max);
        let bytes = usize::try_from(info.size_bytes).ok();
        let bytes = bytes.filter(|bytes| (1..=most).contains(bytes));
        if bytes.is_none() {
            problems.add("info.size_bytes", format!("must lie between 1 and {most}"));
        }
        if kind.is_none() {
            problems.add("info.kind", "must be one of the kinds");
        }
        for (field, text, most) in [
            ("info.filename", &info.filename, limits::FILENAME_CHARS_MAX),
            ("info.media_type", &info.media_type, limits::MEDIA_TYPE_CHARS_MAX),
        ] {
            if text.chars().count() > most {
                problems.add(field, format!("must have at most {most} characters"));
            }
        }
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        match (number, kind, bytes, problems.is_empty()) {
            (Some(number), Some(kind), Some(bytes), true) => Ok(Self {
                number,
                kind,
                bytes,
                filename: given(&info.filename),
                media_type: given(&info.media_type),
            }),
            _ => Err(problems.into_error()),
        }
    }
}

fn invalid(field: &str, description: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest).field(field, description)
}

fn token(tenant: &Tenant, number: &PhoneNumberId) -> Result<Secret, ApiError> {
    let mut numbers = tenant.numbers.iter();
    if !numbers.any(|own| own.phone_number_id == number.as_str()) {
        return Err(ApiError::new(ErrorCode::NumberUnknown));
    }
    let token = tenant.access_token_for(number.as_str());
    let missing = || ApiError::new(ErrorCode::ProviderRefused).message("there is no access token for this number");
    token.map(|token| Secret::new(token.expose())).ok_or_else(missing)
}

/// The next part, if the caller sends one in time.
async fn next(
    parts: &mut (impl Stream<Item = Result<v1::UploadMediaRequest, Status>> + Unpin),
) -> Result<Option<Part>, Status> {
    match tokio::time::timeout(limits::CALLERS_CHUNK_MAX, parts.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(part)) => {
            let part = part?.part;
            part.map(Some)
                .ok_or_else(|| invalid("part", "must be of one of the kinds").into())
        }
        Err(_) => Err(invalid("chunk", "took too long to come").into()),
    }
}

/// The whole file, exactly as long as it was announced.
async fn receive(
    parts: &mut (impl Stream<Item = Result<v1::UploadMediaRequest, Status>> + Unpin),
    announced: usize,
) -> Result<Bytes, Status> {
    let mut bytes = BytesMut::with_capacity(announced);
    let differs = |bytes: usize| invalid("info.size_bytes", format!("says {announced}, but {bytes} bytes came")).into();
    while let Some(part) = next(parts).await? {
        let Part::Chunk(chunk) = part else {
            return Err(invalid("info", "must come once").into());
        };
        if bytes.len() + chunk.len() > announced {
            return Err(differs(bytes.len() + chunk.len()));
        }
        bytes.extend_from_slice(&chunk);
    }
    if bytes.len() < announced {
        return Err(differs(bytes.len()));
    }
    Ok(bytes.freeze())
}

fn check(dispatcher: &Dispatcher, kind: Kind, bytes: &[u8]) -> Result<(), ApiError> {
    let verdict = media::check(kind, bytes, dispatcher.uploads.audio_rule());
    let mut problems = Problems::new();
    for problem in verdict.problems.iter().take(limits::FILE_PROBLEMS_MAX) {
        problems.add("chunk", problem.to_string());
    }
    problems.into_result()
}

fn refused(error: &UploadError) -> ApiError {
    match error {
        UploadError::Call(error) => provider::call_error(error, Quote::Hidden),
        UploadError::Store(error) => {
            tracing::warn!(%error, "what is known of files cannot be read or written");
            ApiError::new(ErrorCode::StoreUnavailable).retry_after(RETRY_AFTER)
        }
    }
}

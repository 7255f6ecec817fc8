//! Reading files back.

use super::{
    due,
    store::{FileStore, Head, place},
};
use crate::limits;
use assent_domain::{
    events::{MediaEvent, StoredFile, StreamCategory},
    values::FileId,
};
use assent_event_store::{DataKey, ReadError};
use assent_proto::v1::{self, get_media_response::Part};
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    log,
    platform::Platform,
    streams::{Subject, purpose},
    tenants::Tenant,
};
use assent_sealed::Sealed;
use futures::{StreamExt as _, stream::BoxStream};
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

/// When it is worth asking again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The files that people sent, for callers.
#[derive(Debug, Clone)]
pub(crate) struct Library {
    platform: Platform,
    files: FileStore,
    readers: Arc<Semaphore>,
}

/// A file that is being read.
struct Reading {
    files: FileStore,
    file: FileId,
    key: DataKey,
    next: u32,
    pieces: u32,
    info: Option<v1::FileInfo>,
    _reader: OwnedSemaphorePermit,
}

impl Library {
    pub(crate) fn new(platform: Platform, files: FileStore) -> Self {
        Self {
            platform,
            files,
            readers: Arc::new(Semaphore::new(limits::FILE_READERS_MAX)),
        }
    }

    /// What a file of the tenant's is, then its bytes.
    pub(crate) async fn read(
        &self,
        tenant: &Tenant,
        file: &str,
    ) -> Result<BoxStream<'static, Result<v1::GetMediaResponse, Status>>, ApiError> {
        let reading = self.open(tenant, file).await?;
        let parts = futures::stream::try_unfold(reading, |mut reading| async {
            let part = reading.part().await?;
            Ok(part.map(|part| (v1::GetMediaResponse { part: Some(part) }, reading)))
        });
        Ok(parts.boxed())
    }

    async fn open(&self, tenant: &Tenant, text: &str) -> Result<Reading, ApiError> {
        let Ok(file) = text.parse::<FileId>() else {
            return Err(ApiError::new(ErrorCode::InvalidRequest).field("file_id", "is not the id of a file"));
        };
        let reader = Arc::clone(&self.readers).try_acquire_owned();
        let reader = reader.map_err(|_| ApiError::new(ErrorCode::Overloaded).retry_after(RETRY_AFTER))?;
        let head = self.files.head(file).await.map_err(|error| unavailable(&error))?;
        let Some(head) = head.filter(|head| head.tenant == tenant.id.as_str()) else {
            return Err(self.missing(tenant, file).await?);
        };
        let (key, stored) = self.unseal(&head).await?;
        Ok(Reading {
            files: self.files.clone(),
            file,
            key,
            next: 0,
            pieces: head.pieces,
            info: Some(v1::FileInfo {
                media_type: stored.media_type,
                size_bytes: head.size_bytes,
                sha256: stored.sha256,
                filename: stored.filename.unwrap_or_default(),
            }),
            _reader: reader,
        })
    }

    async fn unseal(&self, head: &Head) -> Result<(DataKey, StoredFile), ApiError> {
        let keys = self
            .platform
            .keys
            .load([head.key], time::OffsetDateTime::now_utc())
            .await;
        let keys = keys.map_err(|error| {
            if error.is_retryable() {
                ApiError::new(ErrorCode::StoreUnavailable).retry_after(RETRY_AFTER)
            } else {
                ApiError::internal(error)
            }
        })?;
        let erased = || ApiError::new(ErrorCode::FileUnknown);
        let key = keys.key(head.key).cloned().ok_or_else(erased)?;
        let sealed = Sealed::<StoredFile>::from_parts(head.key, head.sealed.clone());
        let opened = keys.open(&sealed, purpose::STORED_FILE).map_err(ApiError::internal)?;
        Ok((key, opened.value().ok_or_else(erased)?))
    }

    /// Why a file is not there.
    async fn missing(&self, tenant: &Tenant, file: FileId) -> Result<ApiError, ApiError> {
        let shard = self.platform.shard_of(tenant);
        let store = &self.platform.store;
        let stream = self.platform.stream_of(StreamCategory::Media, Subject::File(file));
        let events = store.read_stream(shard, &stream, 0, 1).await.map_err(read_error)?;
        let recorded = events
            .first()
            .filter(|event| log::tenant_of(event).as_ref() == Some(&tenant.id));
        let recorded = recorded.and_then(|event| log::read::<MediaEvent>(event).ok());
        if let Some(MediaEvent::Unavailable(given_up)) = recorded {
            // It may still be among those to be fetched, for a moment.
            return Ok(match given_up.reason.as_str() {
                "erased" => ApiError::new(ErrorCode::FileUnknown),
                reason => ApiError::new(ErrorCode::FileUnavailable).metadata("reason", reason),
            });
        }
        let waits = due::waits(store, shard, file, tenant.id.as_str()).await;
        Ok(if waits.map_err(|error| unavailable(&error))? {
            ApiError::new(ErrorCode::FileNotFetched).retry_after(RETRY_AFTER)
        } else {
            ApiError::new(ErrorCode::FileUnknown)
        })
    }
}

impl Reading {
    /// The next part; `None` at the end.
    async fn part(&mut self) -> Result<Option<Part>, ApiError> {
        if let Some(info) = self.info.take() {
            return Ok(Some(Part::Info(info)));
        }
        if self.next == self.pieces {
            return Ok(None);
        }
        let piece = self.next;
        let sealed = self
            .files
            .piece(self.file, piece)
            .await
            .map_err(|error| unavailable(&error))?;
        // Removed while it was read.
        let sealed = sealed.ok_or_else(|| ApiError::new(ErrorCode::FileUnknown))?;
        let opened = self.key.open_bytes(&sealed, &place(self.file, piece, self.pieces));
        self.next += 1;
        Ok(Some(Part::Chunk(opened.map_err(ApiError::internal)?)))
    }
}

fn unavailable(error: &sqlx::Error) -> ApiError {
    tracing::warn!(%error, "stored files cannot be read");
    ApiError::new(ErrorCode::StoreUnavailable).retry_after(RETRY_AFTER)
}

fn read_error(error: ReadError) -> ApiError {
    match error {
        ReadError::Unavailable(error) => unavailable(&error),
        // Another process may be newer and understand it.
        error @ ReadError::NotUnderstood { .. } => {
            tracing::warn!(%error, "a question cannot be answered");
            ApiError::new(ErrorCode::StoreUnavailable).retry_after(RETRY_AFTER)
        }
        error @ (ReadError::Hole { .. } | ReadError::NoSuchShard { .. }) => ApiError::internal(error),
    }
}

//! Fetching one file from Meta.

use super::{
    due::Due,
    store::{FileStore, Head, place},
};
use crate::{dispatcher::Dispatcher, limits, metrics, outcome};
use assent_domain::{
    events::{
        DeferReason, FileStored, FileUnavailable, MediaEvent, MessageReceived, ProviderEvent, StoredFile,
        StreamCategory,
    },
    values::{FileDescription, TenantId, Term, Timestamp},
};
use assent_event_store::{Append, AppendError, DataKey, Expected, RecordedEvent, ShardId};
use assent_runtime::{
    log::{self, Origin},
    streams::{Subject, purpose},
};
use assent_sealed::KeyId;
use assent_whatsapp::{
    Secret,
    client::{CallError, DownloadError, MediaInfo, NotSentReason},
    error_table::RetryClass,
    limits::{DOCUMENT_BYTES_MAX, RECEIVED_MEDIA_LIFETIME},
    media::ContentHash,
};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::Semaphore;

const MEBIBYTE: u64 = 1 << 20;

/// What is to be done about a file next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: what became of it is recorded.
    Done,
    /// It is tried again.
    At {
        /// How often it was tried.
        tries: u32,
        /// When.
        at: Timestamp,
    },
}

/// Why a try failed.
#[derive(Debug)]
enum Failed {
    /// It may work later; a short word says why not now.
    Passing(&'static str),
    /// It will never work; a machine word says why.
    Lasting(String),
}

/// Fetches files; one for all shards, so that the memory of all of them together is bounded.
#[derive(Debug, Clone)]
pub(crate) struct Fetching {
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) files: FileStore,
    /// A permit for every mebibyte that may be in memory.
    room: Arc<Semaphore>,
}

/// A file and the message it came with.
struct Task {
    shard: ShardId,
    due: Due,
    tenant: TenantId,
    received: Box<MessageReceived>,
    origin: Origin,
}

impl Fetching {
    pub(crate) fn new(dispatcher: Arc<Dispatcher>, files: FileStore) -> Self {
        let room = Arc::new(Semaphore::new(limits::FILE_MEBIBYTES_AT_ONCE as usize));
        Self {
            dispatcher,
            files,
            room,
        }
    }

    /// Fetches a file and records what became of it.
    pub(super) async fn fetch(self, shard: ShardId, due: Due) -> Next {
        let tries = due.tries + 1;
        let failed = match self.task(shard, due).await {
            Ok(Some(task)) => match self.attempt(&task, tries).await {
                Ok(()) => return Next::Done,
                Err(failed) => failed,
            },
            // Nothing can be done with it; counted where it was found out.
            Ok(None) => return Next::Done,
            Err(failed) => failed,
        };
        let reason = match failed {
            Failed::Passing(reason) => reason,
            Failed::Lasting(_) => "not_recorded",
        };
        metrics::file("again", reason);
        let config = &self.dispatcher.config;
        let pause = outcome::pause(config, DeferReason::Backoff, tries, None, rand::random());
        Next::At {
            tries,
            at: log::now() + pause,
        }
    }

    /// The message that a file came with; `None` if there is nothing more to do about it.
    async fn task(&self, shard: ShardId, due: Due) -> Result<Option<Task>, Failed> {
        let unread = |_| Failed::Passing("store");
        let store = &self.dispatcher.platform.store;
        let events = store.read_shard(shard, due.position - 1, 1).await.map_err(unread)?;
        let Some(task) = events.first().and_then(|event| self.task_of(shard, due, event)) else {
            metrics::skipped("file_not_understood");
            return Ok(None);
        };
        let stream = self.stream(&task);
        let recorded = store.read_stream(shard, &stream, 0, 1).await.map_err(unread)?;
        Ok(recorded.is_empty().then_some(task))
    }

    fn task_of(&self, shard: ShardId, due: Due, event: &RecordedEvent) -> Option<Task> {
        let tenant = log::tenant_of(event)?;
        let ProviderEvent::MessageReceived(received) = log::read(event).ok()? else {
            return None;
        };
        let origin = Origin::following(tenant.clone(), self.dispatcher.actor.clone(), event);
        Some(Task {
            shard,
            due,
            tenant,
            received,
            origin,
        })
    }

    fn stream(&self, task: &Task) -> assent_event_store::StreamId {
        let platform = &self.dispatcher.platform;
        platform.stream_of(StreamCategory::Media, Subject::File(task.due.file))
    }

    /// Ends with the fate of the file recorded, or says why it is still open.
    async fn attempt(&self, task: &Task, tries: u32) -> Result<(), Failed> {
        let failed = match self.store(task).await {
            Ok(()) => return Ok(()),
            Err(failed) => failed,
        };
        let age = log::now().since(task.received.received_at);
        let reason = match failed {
            Failed::Lasting(reason) => reason,
            Failed::Passing(_) if age > RECEIVED_MEDIA_LIFETIME => "kept_no_longer".to_owned(),
            Failed::Passing(reason @ "hash_mismatch") if tries >= limits::FILE_HASH_TRIES_MAX => reason.to_owned(),
            passing @ Failed::Passing(_) => return Err(passing),
        };
        let given_up = FileUnavailable {
            number: task.received.number.clone(),
            kind: task.received.kind.clone(),
            reason: Term::from_provider(&reason),
            tries,
            received_at: task.received.received_at,
            given_up_at: log::now(),
        };
        match self.record(task, given_up.into(), None).await {
            Ok(()) => {
                metrics::file("unavailable", "lasting");
                tracing::warn!(file = %task.due.file, reason, tries, "a file cannot be fetched");
                Ok(())
            }
            Err(_) => Err(Failed::Passing("store")),
        }
    }

    async fn store(&self, task: &Task) -> Result<(), Failed> {
        let Some(file) = &task.received.file else {
            return Err(Failed::Lasting("no_file".to_owned()));
        };
        let erased = || Failed::Lasting("erased".to_owned());
        let key = self.key(file.description.key).await?.ok_or_else(erased)?;
        let opened = self
            .dispatcher
            .platform
            .keys
            .open(&file.description, purpose::FILE, time::OffsetDateTime::now_utc())
            .await
            .map_err(|_| Failed::Passing("keys"))?;
        let description: FileDescription = opened.value().ok_or_else(erased)?;
        let (info, bytes) = self.download(task, &description).await?;
        let sha256 = ContentHash::of(&bytes);
        let told = description.sha256.as_deref().and_then(ContentHash::from_provider);
        if told.is_some_and(|told| told != sha256) {
            return Err(Failed::Passing("hash_mismatch"));
        }
        let unknown = || "application/octet-stream".to_owned();
        let stored = StoredFile {
            sha256: sha256.to_string(),
            media_type: info.media_type.or(description.media_type).unwrap_or_else(unknown),
            filename: description.filename,
        };
        self.keep(task, &key, &stored, &bytes).await
    }

    async fn key(&self, key: KeyId) -> Result<Option<DataKey>, Failed> {
        let keys = &self.dispatcher.platform.keys;
        match keys.load([key], time::OffsetDateTime::now_utc()).await {
            Ok(loaded) => Ok(loaded.key(key).cloned()),
            Err(error) => {
                tracing::warn!(%error, "a key cannot be loaded; the file is fetched later");
                Err(Failed::Passing("keys"))
            }
        }
    }

    async fn download(&self, task: &Task, description: &FileDescription) -> Result<(MediaInfo, Bytes), Failed> {
        let number = task.received.number.as_str();
        let tenants = self.dispatcher.platform.tenants.tenants();
        let token = tenants
            .by_phone_number_id(number)
            .filter(|(tenant, _)| tenant.id == task.tenant)
            .and_then(|(tenant, _)| tenant.access_token_for(number))
            .ok_or(Failed::Passing("no_access_token"))?;
        let token = Secret::new(token.expose());
        let client = &self.dispatcher.client;
        let info = client.media_info(&description.provider_id, Some(number), &token).await;
        let info = info.map_err(|error| call_failed(&error))?;
        let size = info.size_bytes.unwrap_or(DOCUMENT_BYTES_MAX as u64);
        // A file larger than all the room there is is refused by the download.
        let room = size
            .div_ceil(MEBIBYTE)
            .clamp(1, u64::from(limits::FILE_MEBIBYTES_AT_ONCE));
        let _room = self.room.acquire_many(room as u32).await;
        let bytes = client.download_media(&info, &token, DOCUMENT_BYTES_MAX).await;
        Ok((info, bytes.map_err(|error| download_failed(&error))?))
    }

    /// Stores a file and records it, in this order.
    async fn keep(&self, task: &Task, key: &DataKey, stored: &StoredFile, bytes: &Bytes) -> Result<(), Failed> {
        let file = task.due.file;
        let sealed = key
            .seal(stored, purpose::STORED_FILE)
            .map_err(|_| Failed::Lasting("not_sealable".to_owned()))?;
        let pieces = bytes.len().div_ceil(limits::FILE_PIECE_BYTES) as u32;
        let head = Head {
            tenant: task.tenant.as_str().to_owned(),
            key: key.id(),
            size_bytes: bytes.len() as u64,
            pieces,
            sealed: sealed.ciphertext.clone(),
        };
        let sealed_pieces = bytes
            .chunks(limits::FILE_PIECE_BYTES)
            .zip(0..)
            .map(|(piece, index)| key.seal_bytes(piece, &place(file, index, pieces)));
        self.files.put(file, &head, sealed_pieces).await.map_err(|error| {
            tracing::warn!(%error, "a file cannot be stored; it is fetched again later");
            Failed::Passing("store")
        })?;
        let event = FileStored {
            number: task.received.number.clone(),
            kind: task.received.kind.clone(),
            size_bytes: bytes.len() as u64,
            file: sealed,
            received_at: task.received.received_at,
            stored_at: log::now(),
        };
        self.record(task, Box::new(event).into(), Some(key.id())).await?;
        metrics::file("stored", "none");
        Ok(())
    }

    /// Records what became of a file. What was recorded before stands.
    async fn record(&self, task: &Task, event: MediaEvent, key: Option<KeyId>) -> Result<(), Failed> {
        let new = log::record(&event, &task.origin);
        let append = Append::new()
            .write(self.stream(task), Expected::NoStream, [new])
            .sealed_with(key)
            .patient();
        match self.dispatcher.platform.store.append(task.shard, append).await {
            Ok(_) | Err(AppendError::Conflict { .. }) => Ok(()),
            Err(AppendError::KeysGone { .. }) => {
                // Erased between loading its key and now: what was stored is unreadable, and goes.
                if let Some(key) = key {
                    let _ = self.files.remove_sealed_with(key).await;
                }
                Err(Failed::Lasting("erased".to_owned()))
            }
            Err(error) => {
                tracing::warn!(%error, "what became of a file is not recorded yet");
                Err(Failed::Passing("store"))
            }
        }
    }
}

fn call_failed(error: &CallError) -> Failed {
    match error {
        CallError::NotSent(NotSentReason::BadRequest) => Failed::Lasting("id_unfit".to_owned()),
        CallError::NotSent(reason) => Failed::Passing(reason.as_str()),
        CallError::Timeout => Failed::Passing("timeout"),
        CallError::ConnectionLost => Failed::Passing("connection_lost"),
        CallError::Unreadable { .. } | CallError::Endless => Failed::Passing("unreadable_answer"),
        CallError::Graph(error) => match error.entry().retry {
            RetryClass::Never | RetryClass::FixFirst | RetryClass::Ignore => {
                Failed::Lasting(format!("meta_error_{}", error.code))
            }
            // A token that has expired is replaced by somebody.
            RetryClass::Safe | RetryClass::Later | RetryClass::Stop | RetryClass::UnsafeMayHaveBeenSent => {
                Failed::Passing("meta_error")
            }
        },
    }
}

fn download_failed(error: &DownloadError) -> Failed {
    match error {
        DownloadError::Call(error) => call_failed(error),
        DownloadError::Expired => Failed::Passing("link_expired"),
        DownloadError::HashMismatch => Failed::Passing("hash_mismatch"),
        DownloadError::ForeignLink => Failed::Lasting("foreign_link".to_owned()),
        DownloadError::TooLarge { .. } => Failed::Lasting("too_large".to_owned()),
    }
}

//! From a link to an id of Meta's, in a task of its own.

use super::{
    Hash, Known, Unfit, Uploads, Wanted, number_hash,
    table::{self, Link, Upload},
    used_of,
};
use crate::{dispatcher::Dispatcher, limits, metrics};
use assent_domain::values::{PhoneNumberId, Timestamp};
use assent_fetch::{Credential, FetchError, Fetched};
use assent_runtime::log;
use assent_whatsapp::{
    Secret,
    client::{CallError, MediaFile, NotSentReason},
    error_table::RetryClass,
    media::{self, ContentHash, File, Kind},
};
use std::time::Duration;

const MEBIBYTE: usize = 1 << 20;

/// How a task ends that has no id.
enum Ended {
    /// The file cannot be sent.
    Unfit(Unfit),
    /// It may work later; a machine word says why not now.
    Passing(String),
}

impl From<sqlx::Error> for Ended {
    fn from(error: sqlx::Error) -> Self {
        tracing::warn!(%error, "what is known of a file cannot be read or written");
        Self::Passing("store".to_owned())
    }
}

impl Uploads {
    /// Makes a file known. What stands in memory when it returns is what messages go by.
    pub(super) async fn work(&self, dispatcher: &Dispatcher, wanted: &Wanted, token: &Secret, tries: u32) {
        let _slot = self.slots.acquire().await;
        let now = log::now();
        let bad_for = Duration::from_millis(self.config.bad_link_ms);
        let known = match self.obtain(dispatcher, wanted, token).await {
            Ok(known) => known,
            Err(Ended::Passing(_)) if tries + 1 < limits::FETCH_TRIES_MAX => Known::Failed {
                tries: tries + 1,
                until: now + limits::FETCH_PAUSE * (tries + 1),
            },
            Err(Ended::Unfit(unfit)) => self.bad(dispatcher, wanted, unfit, now + bad_for).await,
            Err(Ended::Passing(reason)) => {
                self.bad(dispatcher, wanted, Unfit::because(reason), now + bad_for)
                    .await
            }
        };
        self.remember(wanted, known);
    }

    async fn bad(&self, dispatcher: &Dispatcher, wanted: &Wanted, unfit: Unfit, until: Timestamp) -> Known {
        metrics::upload("unfit");
        tracing::warn!(tenant = %wanted.tenant, reason = unfit.reason, "a linked file cannot be sent");
        let written = table::put_link(&dispatcher.platform.store, &wanted.hash, Err(&unfit), until).await;
        if let Err(error) = written {
            tracing::warn!(%error, "a bad link is remembered by this process only");
        }
        Known::Bad { unfit, until }
    }

    async fn obtain(&self, dispatcher: &Dispatcher, wanted: &Wanted, token: &Secret) -> Result<Known, Ended> {
        let store = &dispatcher.platform.store;
        let now = log::now();
        match table::link(store, &wanted.hash, now).await? {
            Some(Link::Bad(unfit, until)) => return Ok(Known::Bad { unfit, until }),
            Some(Link::Leads(content)) => {
                let hash = upload_hash(dispatcher, &wanted.place(), &content);
                if let Some(upload) = table::upload(store, &hash, now).await? {
                    metrics::upload("known");
                    return Ok(self.ready(&upload, hash));
                }
            }
            None => {}
        }
        let most = wanted.link.kind.bytes_max();
        let room = most.div_ceil(MEBIBYTE).min(limits::UPLOAD_MEBIBYTES_AT_ONCE as usize);
        let _room = self.room.acquire_many(room as u32).await;
        let fetched = self.fetch(dispatcher, wanted, most).await?;
        self.check(wanted.link.kind, &fetched)?;
        let content = *ContentHash::of(&fetched.bytes).as_bytes();
        let (upload, hash) = upload(dispatcher, &wanted.place(), token, fetched, &content).await?;
        let fresh = log::now() + Duration::from_millis(self.config.link_fresh_ms);
        table::put_link(store, &wanted.hash, Ok(&content), fresh).await?;
        table::remove_old(store, log::now()).await?;
        Ok(self.ready(&upload, hash))
    }

    fn ready(&self, upload: &Upload, hash: Hash) -> Known {
        let fresh = log::now() + Duration::from_millis(self.config.link_fresh_ms);
        Known::Ready {
            used: used_of(upload, hash),
            until: fresh.min(upload.uploaded_at + limits::UPLOAD_USED_FOR),
        }
    }

    async fn fetch(&self, dispatcher: &Dispatcher, wanted: &Wanted, most: usize) -> Result<Fetched, Ended> {
        let credential = credential(dispatcher, wanted)?;
        let fetching = self.fetcher.fetch(&wanted.link.link, credential.as_ref(), most);
        fetching.await.map_err(|error| {
            metrics::fetch_failed(error.as_str());
            let reason = match error {
                FetchError::Status { http_status } => format!("media_http_status_{http_status}"),
                FetchError::Address(kind) => format!("media_address_{}", kind.as_str()),
                other => format!("media_{}", other.as_str()),
            };
            if error.is_passing() {
                Ended::Passing(reason)
            } else {
                Ended::Unfit(Unfit {
                    problems: vec![error.to_string()],
                    reason,
                })
            }
        })
    }

    fn check(&self, kind: Kind, fetched: &Fetched) -> Result<(), Ended> {
        let verdict = media::check(kind, &fetched.bytes, self.audio_rule());
        if verdict.is_sendable() {
            return Ok(());
        }
        let problems = verdict.problems.iter().take(limits::FILE_PROBLEMS_MAX);
        Err(Ended::Unfit(Unfit {
            reason: "media_unfit".to_owned(),
            problems: problems.map(ToString::to_string).collect(),
        }))
    }
}

impl Wanted {
    pub(super) fn place(&self) -> Place<'_> {
        Place {
            number: &self.number,
            kind: self.link.kind,
            filename: self.link.filename.as_deref(),
        }
    }
}

/// For what a file is uploaded.
pub(super) struct Place<'a> {
    /// The number that Meta's id is good for.
    pub(super) number: &'a PhoneNumberId,
    /// What it will be sent as.
    pub(super) kind: Kind,
    /// The name of a document.
    pub(super) filename: Option<&'a str>,
}

/// Why there is no id of a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    /// What is known of files cannot be read or written.
    #[error("what is known of files cannot be read or written: {0}")]
    Store(#[from] sqlx::Error),
    /// Meta did not take it.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<UploadError> for Ended {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Store(error) => error.into(),
            UploadError::Call(error) => refused(&error),
        }
    }
}

/// Meta's id of contents, `content` being their SHA-256: the one that is known, or a new one; and what it is known by.
pub(super) async fn upload(
    dispatcher: &Dispatcher,
    place: &Place<'_>,
    token: &Secret,
    file: Fetched,
    content: &Hash,
) -> Result<(Upload, Hash), UploadError> {
    let store = &dispatcher.platform.store;
    let hash = upload_hash(dispatcher, place, content);
    if let Some(upload) = table::upload(store, &hash, log::now()).await? {
        metrics::upload("known");
        return Ok((upload, hash));
    }
    let inspected = media::inspect(&file.bytes).unwrap_or(File::Other);
    let media_type = match inspected.media_type() {
        Some(media_type) if place.kind != Kind::Document => media_type.to_owned(),
        _ => media::document_type(&file.bytes, file.media_type.as_deref(), place.filename),
    };
    let file = MediaFile {
        bytes: file.bytes,
        media_type,
        filename: place.filename.map(str::to_owned),
    };
    let uploaded_at = log::now();
    let id = dispatcher
        .client
        .upload_media(place.number.as_str(), token, &file)
        .await?;
    metrics::upload("uploaded");
    let upload = Upload { id, uploaded_at };
    let number = number_hash(dispatcher, place.number);
    let until = uploaded_at + limits::UPLOAD_USED_FOR;
    table::put_upload(store, (&number, &hash), &upload, until).await?;
    Ok((upload, hash))
}

/// The credential that the link names, as it stands in the tenants file now.
fn credential(dispatcher: &Dispatcher, wanted: &Wanted) -> Result<Option<Credential>, Ended> {
    let Some(name) = &wanted.credential else {
        return Ok(None);
    };
    let tenants = dispatcher.platform.tenants.tenants();
    let tenant = tenants.by_id(&wanted.tenant);
    let named = tenant.and_then(|tenant| tenant.fetch_credentials.get(name.as_str()));
    let credential = named.and_then(|credential| credential.credential().ok());
    let unknown = || Ended::Unfit(Unfit::because("media_credential_unknown"));
    credential.ok_or_else(unknown).map(Some)
}

/// Contents at a number, by a keyed hash: the hash of a known file would tell who sent it.
pub(super) fn upload_hash(dispatcher: &Dispatcher, place: &Place<'_>, content: &Hash) -> Hash {
    let parts = [
        place.number.as_str().as_bytes(),
        place.kind.as_str().as_bytes(),
        content,
    ];
    dispatcher.platform.hasher.keyed_hash("media_upload", &parts)
}

fn refused(error: &CallError) -> Ended {
    let passing = |reason: &str| Ended::Passing(format!("media_upload_{reason}"));
    match error {
        CallError::NotSent(NotSentReason::BadRequest) => Ended::Unfit(Unfit::because("media_upload_bad_request")),
        CallError::NotSent(reason) => passing(reason.as_str()),
        CallError::Timeout => passing("timeout"),
        CallError::ConnectionLost => passing("connection_lost"),
        CallError::Unreadable { .. } | CallError::Endless => passing("unreadable_answer"),
        CallError::Graph(error) => match error.entry().retry {
            RetryClass::Safe | RetryClass::Later | RetryClass::UnsafeMayHaveBeenSent => passing("meta_error"),
            RetryClass::Never | RetryClass::FixFirst | RetryClass::Stop | RetryClass::Ignore => {
                Ended::Unfit(Unfit::because(format!("media_upload_meta_error_{}", error.code)))
            }
        },
    }
}

//! Files that are sent by a link which Meta cannot or shall not fetch: we fetch them, check them, upload them once a number, and
//! send them by Meta's id.
//!
//! Nothing waits for a file. A message whose file is not there is *deferred*, its file is fetched by a task of its own, and
//! when the message is due again the id is there. All of that comes before the attempt, so it can be repeated freely:
//! after a crash the message is due again, and at worst a file is uploaded a second time.
//!
//! What is known is kept in two tables (`table`), in front of which stands a memory (`Uploads`):
//!
//! * a link's contents, by a keyed hash of the link, for a while: then it is fetched again, for it may have changed. So is
//!   the news that a link is bad;
//! * the id of contents at a number, by a keyed hash of both, for as long as Meta keeps it. When Meta refuses an id that is
//!   younger, we have learned that it keeps them shorter: all ids of that number that are as old are forgotten, and the
//!   message is tried again with a new one. When Meta takes a message and fails at its file later (`late`), that upload and
//!   its link are forgotten; the message is lost, the next one is not.

mod counter;
mod job;
mod late;
mod links;
mod table;

pub(crate) use self::{counter::Counter, late::says_unusable, table::prepare};

use self::{links::MediaLink, table::Upload};
use crate::{config::MediaConfig, dispatcher::Dispatcher, limits};
use assent_domain::{
    events::Submitted,
    values::{Label, PhoneNumberId, TenantId, Timestamp},
};
use assent_fetch::{FetchConfig, Fetcher, Unbuildable};
use assent_runtime::log;
use assent_whatsapp::{Secret, media::AudioRule, message::OutgoingMessage};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::sync::Semaphore;

/// A keyed hash.
pub(crate) type Hash = [u8; 32];

/// Why a file cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// A machine word.
    pub(crate) reason: String,
    /// What is wrong in particular.
    pub(crate) problems: Vec<String>,
}

impl Unfit {
    fn because(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            problems: Vec::new(),
        }
    }
}

/// An id of Meta's that a message is sent with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Used {
    /// Whose id it is, by keyed hash of number and contents.
    upload: Hash,
    id: String,
    /// When the file was uploaded.
    pub(crate) uploaded_at: Timestamp,
}

/// How a message stands as far as its files are concerned.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// It can be sent; with these uploaded files.
    Ready(Vec<Used>),
    /// A file is being fetched.
    Waits,
    /// It can never be sent.
    Unfit(Unfit),
}

/// What is known of a link at a number.
#[derive(Debug, Clone)]
enum Known {
    /// A task is at it; by then it has surely ended.
    Working { until: Timestamp },
    /// It is uploaded; to be looked at again after a while.
    Ready { used: Used, until: Timestamp },
    /// It cannot be sent, as far as is known for a while.
    Bad { unfit: Unfit, until: Timestamp },
    /// It did not work and is tried again after a while.
    Failed { tries: u32, until: Timestamp },
}

/// What the files of one message are fetched with.
#[derive(Debug, Clone)]
struct Wanted {
    tenant: TenantId,
    number: PhoneNumberId,
    /// The name of the credential to fetch it with.
    credential: Option<Label>,
    link: MediaLink,
    /// What the link is known by: keyed hash of tenant, credential, kind and link.
    hash: Hash,
}

impl Wanted {
    fn of(dispatcher: &Dispatcher, submitted: &Submitted, link: MediaLink) -> Self {
        Self {
            tenant: submitted.tenant.clone(),
            number: submitted.sender.clone(),
            credential: submitted.fetch_credential.clone(),
            hash: link_hash(dispatcher, submitted, &link),
            link,
        }
    }
}

/// Fetches, checks and uploads files, and remembers them.
#[derive(Debug)]
pub(crate) struct Uploads {
    config: MediaConfig,
    fetcher: Fetcher,
    known: Mutex<HashMap<(PhoneNumberId, Hash), Known>>,
    /// A permit for each file that is fetched or uploaded at a time.
    slots: Semaphore,
    /// A permit for each mebibyte of files in memory.
    room: Semaphore,
}

impl Uploads {
    pub(crate) fn try_new(config: &MediaConfig) -> Result<Self, Unbuildable> {
        let fetcher = Fetcher::try_new(&FetchConfig {
            timeout: Duration::from_millis(config.fetch_timeout_ms),
            allow_http: config.allow_http,
            allow_networks: config.allow_networks.clone(),
        })?;
        Ok(Self {
            config: config.clone(),
            fetcher,
            known: Mutex::default(),
            slots: Semaphore::new(limits::UPLOADS_AT_ONCE),
            room: Semaphore::new(limits::UPLOAD_MEBIBYTES_AT_ONCE as usize),
        })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<(PhoneNumberId, Hash), Known>> {
        self.known.lock().expect("nothing panics while it holds this lock")
    }

    fn audio_rule(&self) -> AudioRule {
        if self.config.audio_track_required {
            AudioRule::Required
        } else {
            AudioRule::Optional
        }
    }

    fn remember(&self, wanted: &Wanted, what: Known) {
        let mut known = self.known();
        if known.len() >= limits::UPLOADS_REMEMBERED_MAX {
            // The rest is asked for again, from the table. A task at work is not started twice.
            known.retain(|_, known| matches!(known, Known::Working { .. }));
        }
        known.insert((wanted.number.clone(), wanted.hash), what);
    }

    /// What is known of a file, now; starts a task if nothing is.
    fn look(self: &Arc<Self>, dispatcher: &Arc<Dispatcher>, wanted: &Wanted, token: &Secret) -> Look {
        let now = log::now();
        let key = (wanted.number.clone(), wanted.hash);
        let tries = {
            let mut known = self.known();
            let tries = match known.get(&key) {
                Some(Known::Ready { used, until }) if *until > now => return Look::Ready(used.clone()),
                Some(Known::Bad { unfit, until }) if *until > now => return Look::Unfit(unfit.clone()),
                Some(Known::Working { until } | Known::Failed { until, .. }) if *until > now => return Look::Waits,
                Some(Known::Failed { tries, .. }) => *tries,
                Some(Known::Ready { .. } | Known::Bad { .. } | Known::Working { .. }) | None => 0,
            };
            let until = now + limits::UPLOAD_TASK_MAX;
            known.insert(key, Known::Working { until });
            tries
        };
        let (uploads, dispatcher) = (Arc::clone(self), Arc::clone(dispatcher));
        let (wanted, token) = (wanted.clone(), token.clone());
        let hard = dispatcher.shutdown.hard().clone();
        tokio::spawn(async move {
            hard.run_until_cancelled(uploads.work(&dispatcher, &wanted, &token, tries))
                .await;
        });
        Look::Waits
    }

    /// Meta refused a message with this id. Whether it may be sent again with another: then it is forgotten.
    pub(crate) async fn refused(&self, dispatcher: &Dispatcher, number: &PhoneNumberId, used: &Used) -> bool {
        let age = log::now().since(used.uploaded_at);
        if age < Duration::from_millis(self.config.upload_trusted_ms) {
            return false;
        }
        self.known().retain(|(at, _), known| {
            let is_as_old = matches!(known, Known::Ready { used: known, .. } if known.uploaded_at <= used.uploaded_at);
            at != number || !is_as_old
        });
        let store = &dispatcher.platform.store;
        let number = number_hash(dispatcher, number);
        match table::forget_uploads(store, &number, used.uploaded_at).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "an id that Meta no longer knows could not be forgotten");
                false
            }
        }
    }
}

enum Look {
    Ready(Used),
    Waits,
    Unfit(Unfit),
}

/// Puts Meta's ids in the place of links, as far as they are there.
pub(crate) fn prepare_message(
    dispatcher: &Arc<Dispatcher>,
    submitted: &Submitted,
    token: &Secret,
    message: &mut OutgoingMessage,
) -> Prepared {
    let uploads = &dispatcher.uploads;
    if !uploads.fetches_for(submitted) {
        return Prepared::Ready(Vec::new());
    }
    let Some((root, payload)) = links::payload(&mut message.content) else {
        return Prepared::Ready(Vec::new());
    };
    let (mut used, mut ids, mut waits) = (Vec::new(), Vec::new(), false);
    for link in links::find(root, payload) {
        let wanted = Wanted::of(dispatcher, submitted, link);
        match uploads.look(dispatcher, &wanted, token) {
            Look::Ready(upload) => {
                ids.push((wanted.link.pointer, upload.id.clone()));
                used.push(upload);
            }
            // The others are looked at too, so that all of them are fetched at once.
            Look::Waits => waits = true,
            Look::Unfit(unfit) => return Prepared::Unfit(unfit),
        }
    }
    if waits {
        return Prepared::Waits;
    }
    for (pointer, id) in ids {
        links::replace(payload, &pointer, id);
    }
    Prepared::Ready(used)
}

fn link_hash(dispatcher: &Dispatcher, submitted: &Submitted, link: &MediaLink) -> Hash {
    let credential = submitted.fetch_credential.as_ref().map_or("", Label::as_str);
    let parts = [submitted.tenant.as_str(), credential, link.kind.as_str(), &link.link].map(str::as_bytes);
    dispatcher.platform.hasher.keyed_hash("media_link", &parts)
}

fn number_hash(dispatcher: &Dispatcher, number: &PhoneNumberId) -> Hash {
    let parts = [number.as_str().as_bytes()];
    dispatcher.platform.hasher.keyed_hash("media_number", &parts)
}

/// An upload, as a message uses it.
fn used_of(upload: &Upload, hash: Hash) -> Used {
    Used {
        upload: hash,
        id: upload.id.clone(),
        uploaded_at: upload.uploaded_at,
    }
}

/// The object at a pointer, for those who replace it.
fn object_at<'a>(payload: &'a mut Value, pointer: &str) -> Option<&'a mut serde_json::Map<String, Value>> {
    payload.pointer_mut(pointer)?.as_object_mut()
}

//! When Meta says, after it took a message, that it could not use its file.

use super::{Known, Uploads, Wanted, job::upload_hash, links, number_hash, table};
use crate::{
    check::submitted,
    dispatcher::Dispatcher,
    metrics,
    outgoing::{self, Unreadable},
};
use assent_domain::{
    events::{AttemptEvent, ProviderError, Submitted},
    values::{MessageId, PhoneNumberId, Timestamp},
};
use assent_event_store::{LoadedKeys, ReadError, RecordedEvent, ShardId};
use assent_runtime::facts::of_category;
use serde::Deserialize;
use time::OffsetDateTime;

/// Media that Meta took by link or by id and could not load or use; reported by a status, some time after the answer (Cloud
/// API, "Error codes").
const MEDIA_UNUSABLE: i64 = 131_053;

/// Whether a `provider.status_reported` says that the file of its message was of no use.
pub(crate) fn says_unusable(status: &RecordedEvent) -> bool {
    /// The rest is skipped.
    #[derive(Deserialize)]
    struct Reported {
        #[serde(default)]
        errors: Vec<ProviderError>,
    }
    let reported = serde_json::from_slice::<Reported>(&status.data);
    reported.is_ok_and(|reported| reported.errors.iter().any(|error| error.code == MEDIA_UNUSABLE))
}

impl Dispatcher {
    /// Forgets the uploads that these messages were sent with, and where their links led: the next message with one of them
    /// has its file fetched, checked and uploaded anew, and so has a caller who hands the file over again. What was uploaded
    /// after a message had left is kept, so that the failures of a thousand messages cost one upload and not a thousand.
    ///
    /// Other processes of the dispatcher go by what they remember for as long as a link is fresh. Of a person who was
    /// erased, nobody knows any more what they were sent; the next failure will tell.
    pub(crate) async fn forget_unusable(&self, shard: ShardId, messages: &[MessageId]) -> Result<(), ReadError> {
        let uuids: Vec<_> = messages.iter().map(|message| message.uuid()).collect();
        let events = self.platform.store.read_keys(shard, &uuids).await?;
        let sent = events
            .values()
            .filter_map(|events| Some((submitted(events)?, last_started(events)?)));
        let sent: Vec<(Box<Submitted>, Timestamp)> = sent.collect();
        let keys = sent.iter().flat_map(|(submitted, _)| submitted.keys());
        let keys = match self.platform.keys.load(keys, OffsetDateTime::now_utc()).await {
            Ok(keys) => keys,
            Err(error) => {
                // Without it a file is uploaded once less. What else the callbacks say is not to wait for that.
                tracing::warn!(%error, "uploads that were of no use are not forgotten: keys cannot be loaded");
                return Ok(());
            }
        };
        for (submitted, started_at) in &sent {
            let forgotten = self.forget_uploads_of(submitted, *started_at, &keys).await;
            forgotten.map_err(ReadError::Unavailable)?;
        }
        Ok(())
    }

    async fn forget_uploads_of(
        &self,
        submitted: &Submitted,
        started_at: Timestamp,
        keys: &LoadedKeys,
    ) -> Result<(), sqlx::Error> {
        let mut message = match outgoing::open(submitted, keys) {
            Ok(message) => message,
            Err(Unreadable::Erased | Unreadable::Broken) => return Ok(()),
        };
        let Some((root, payload)) = links::payload(&mut message.content) else {
            return Ok(());
        };
        for id in links::ids(root, payload) {
            self.forget_upload(&submitted.sender, &id, started_at).await?;
        }
        if !self.uploads.fetches_for(submitted) {
            return Ok(());
        }
        let store = &self.platform.store;
        for link in links::find(root, payload) {
            let wanted = Wanted::of(self, submitted, link);
            // As of when the message left: by now the link may lead elsewhere.
            let Some(table::Link::Leads(content)) = table::link(store, &wanted.hash, started_at).await? else {
                continue;
            };
            let hash = upload_hash(self, &wanted.place(), &content);
            let upload = table::upload(store, &hash, started_at).await?;
            if let Some(upload) = upload.filter(|upload| upload.uploaded_at < started_at) {
                self.forget_upload(&submitted.sender, &upload.id, started_at).await?;
                table::forget_link(store, &wanted.hash).await?;
            }
        }
        Ok(())
    }

    /// Forgets an id of Meta's, if it is older than that.
    async fn forget_upload(&self, number: &PhoneNumberId, id: &str, before: Timestamp) -> Result<(), sqlx::Error> {
        if table::forget_upload(&self.platform.store, &number_hash(self, number), id, before).await? {
            metrics::upload("unusable");
        }
        self.uploads.known().retain(|(at, _), known| {
            let is_it = matches!(known, Known::Ready { used, .. } if used.id == id && used.uploaded_at < before);
            at != number || !is_it
        });
        Ok(())
    }
}

impl Uploads {
    /// Whether the links of a message are fetched here, and not by Meta.
    pub(super) fn fetches_for(&self, submitted: &Submitted) -> bool {
        submitted.fetch_credential.is_some() || self.config.upload_links
    }
}

/// When the last attempt of a message was made.
fn last_started(events: &[RecordedEvent]) -> Option<Timestamp> {
    let started = of_category::<AttemptEvent>(events).filter_map(|(_, event)| match event {
        AttemptEvent::Started(started) => Some(started.started_at),
        _ => None,
    });
    started.max()
}

//! Finds files in what people wrote, and sees to it that each is fetched.

use super::{
    due::{self, Due},
    fetch::{Fetching, Next},
};
use crate::{
    dispatcher::{Dispatcher, Pause},
    limits, metrics,
    progress::Progress,
};
use assent_domain::{
    events::{ProviderEvent, StreamCategory},
    values::FileId,
};
use assent_event_store::{Batch, Checkpoint, Feed, FeedError, RecordedEvent, ShardId, Start};
use assent_runtime::{log, supervise::TaskResult};
use assent_sealed::KeyId;
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::Instant};
use uuid::Uuid;

/// The feed's name; keys its progress.
const FEED: &str = "dispatcher-files";

/// Reads until the soft shutdown. Files that are being fetched then are fetched again later.
pub(crate) async fn run(fetching: Fetching, shard: ShardId) -> TaskResult {
    let dispatcher = Arc::clone(&fetching.dispatcher);
    let soft = dispatcher.shutdown.soft().clone();
    let mut feed = dispatcher.platform.feeds.feed(FEED, shard, Start::Beginning);
    let mut reader = Reader::new(fetching, shard);
    let mut pause = Pause::default();
    loop {
        let wake = reader.wake();
        let batch = tokio::select! {
            biased;
            () = soft.cancelled() => break,
            Some(ended) = reader.fetches.join_next() => {
                if let Ok((file, next)) = ended {
                    reader.settle(file, next).await;
                }
                None
            }
            batch = feed.next_batch() => Some(batch),
            () = tokio::time::sleep_until(wake) => None,
        };
        let done = match batch {
            Some(Ok(batch)) => {
                reader.take(&batch);
                reader.save(&mut feed, false).await
            }
            Some(Err(error)) => Err(error),
            None => reader.save(&mut feed, false).await,
        };
        match done {
            // Another process reads this shard, and fetches.
            Ok(()) if feed.position().is_none() => reader.look = Instant::now() + limits::RECHECK,
            Ok(()) => {
                pause = Pause::default();
                reader.start_due().await;
            }
            Err(FeedError::Fenced { .. }) => reader.forget(),
            Err(FeedError::Unavailable(error)) => {
                tracing::warn!(shard = shard.0, %error, "files cannot be looked for; trying again");
                reader.forget();
                feed.rewind();
                pause.wait().await;
            }
            Err(error @ FeedError::Read(_)) => return Err(error.into()),
        }
    }
    if let Err(error) = reader.save(&mut feed, true).await {
        tracing::warn!(shard = shard.0, %error, "the last progress was not written");
    }
    feed.release().await;
    Ok(())
}

struct Reader {
    dispatcher: Arc<Dispatcher>,
    fetching: Fetching,
    shard: ShardId,
    progress: Progress,
    /// Found, and not yet in the table.
    found: Vec<Due>,
    fetches: JoinSet<(FileId, Next)>,
    running: HashSet<FileId>,
    /// When the table is to be looked at.
    look: Instant,
    /// When the files of people who were erased are to be looked for.
    sweep: Instant,
}

impl Reader {
    fn new(fetching: Fetching, shard: ShardId) -> Self {
        let dispatcher = Arc::clone(&fetching.dispatcher);
        let every = Duration::from_millis(dispatcher.config.checkpoint_ms);
        Self {
            fetching,
            dispatcher,
            shard,
            progress: Progress::new(every),
            found: Vec::new(),
            fetches: JoinSet::new(),
            running: HashSet::new(),
            look: Instant::now(),
            sweep: Instant::now() + limits::FILE_SWEEP_EVERY,
        }
    }

    /// When there is something to do even if nothing happens.
    fn wake(&self) -> Instant {
        self.progress.due().map_or(self.look, |due| due.min(self.look))
    }

    fn take(&mut self, batch: &Batch) {
        self.found.extend(batch.events.iter().filter_map(file_of));
        self.progress.handled(batch);
    }

    /// Forgets what is not in the table: it is read again.
    fn forget(&mut self) {
        self.found.clear();
        self.progress.forget();
        self.look = Instant::now() + limits::RECHECK;
    }

    /// Writes what was found and how far was read: at once if something was found, else from time to time.
    async fn save(&mut self, feed: &mut Feed, now: bool) -> Result<(), FeedError> {
        let step: Option<Checkpoint> = if now || !self.found.is_empty() {
            self.progress.take()
        } else {
            self.progress.take_due()
        };
        if let Some(step) = step {
            if self.found.is_empty() {
                feed.commit(&step).await?;
            } else {
                due::add(&self.dispatcher.platform.store, self.shard, &self.found, &step).await?;
                self.found.clear();
                self.look = Instant::now();
            }
        }
        Ok(())
    }

    /// Starts fetching what is due, as much as may be fetched at a time.
    async fn start_due(&mut self) {
        let now = Instant::now();
        if self.look > now || self.running.len() >= limits::FILES_AT_ONCE {
            return;
        }
        self.look = now + limits::FILES_LOOK_EVERY;
        if self.sweep <= now {
            self.sweep = now + limits::FILE_SWEEP_EVERY;
            self.remove_erased().await;
        }
        let max = limits::FILES_AT_ONCE + self.running.len();
        let found = match due::next(&self.dispatcher.platform.store, self.shard, max).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "files to be fetched cannot be read; trying again");
                return;
            }
        };
        for due in found {
            let wait = due.at.since(log::now());
            if !wait.is_zero() {
                self.look = self.look.min(now + wait);
            } else if self.running.len() < limits::FILES_AT_ONCE && self.running.insert(due.file) {
                let (fetching, shard, file) = (self.fetching.clone(), self.shard, due.file);
                self.fetches
                    .spawn(async move { (file, fetching.fetch(shard, due).await) });
            }
        }
    }

    /// Writes what came of a fetch. If it cannot be written the file is fetched again, which changes nothing.
    async fn settle(&mut self, file: FileId, next: Next) {
        self.running.remove(&file);
        self.look = Instant::now();
        let store = &self.dispatcher.platform.store;
        let written = match next {
            Next::Done => due::remove(store, self.shard, file).await,
            Next::At { tries, at } => due::postpone(store, self.shard, file, tries, at).await,
        };
        if let Err(error) = written {
            self.look = Instant::now() + limits::RECHECK;
            tracing::warn!(%error, "what came of a file is not written down");
        }
    }

    /// Removes the bytes of files whose key is gone: unreadable for ever, they only take room.
    async fn remove_erased(&self) {
        let mut after = KeyId(Uuid::nil());
        loop {
            let page = self.fetching.files.keys(after, limits::FILE_KEYS_PAGE).await;
            let (Ok(keys), now) = (page, time::OffsetDateTime::now_utc()) else {
                return;
            };
            let Some(last) = keys.last().copied() else { return };
            let Ok(living) = self.dispatcher.platform.keys.load(keys.iter().copied(), now).await else {
                return;
            };
            for key in keys.into_iter().filter(|key| living.key(*key).is_none()) {
                match self.fetching.files.remove_sealed_with(key).await {
                    Ok(files) => metrics::files_removed(files),
                    Err(error) => tracing::warn!(%error, "erased files cannot be removed; trying again later"),
                }
            }
            after = last;
        }
    }
}

/// The file that came with a message, if this event is one.
fn file_of(event: &RecordedEvent) -> Option<Due> {
    if !log::is_of(event, StreamCategory::Provider) || event.kind.as_str() != "provider.message_received" {
        return None;
    }
    match log::read::<ProviderEvent>(event) {
        Ok(ProviderEvent::MessageReceived(received)) => {
            let file = received.file?;
            Some(Due {
                file: file.id,
                tenant: log::tenant_of(event)?.as_str().to_owned(),
                position: event.position,
                tries: 0,
                at: log::now(),
            })
        }
        Ok(_) => None,
        Err(error) => {
            metrics::skipped("decode");
            tracing::error!(position = event.position, %error, "a message from a person is not understood");
            None
        }
    }
}

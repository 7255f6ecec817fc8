//! Look-ups of concurrent callers, shared: whoever asks while a query runs is answered by the next one, together with all
//! others who asked meanwhile. A caller who is alone is asked for at once.

use crate::metrics;
use assent_event_store::ShardId;
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    facts::{Facts, Wanted},
    platform::Platform,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::sync::oneshot;

/// Most callers that one query answers.
const CALLERS_MAX: usize = 500;

/// When it is worth asking again while the database is away.
const RETRY_AFTER: Duration = Duration::from_millis(500);

type Want = Box<dyn FnOnce(&mut Wanted<'_>) + Send>;
type Answer = Box<dyn FnOnce(&Facts<'_>) + Send>;

struct Caller {
    want: Want,
    answer: Answer,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Caller>,
    /// Whether somebody is asking for them.
    served: bool,
}

/// Shares look-ups. Clones share the same ones.
#[derive(Clone)]
pub(crate) struct Gatherer {
    platform: Platform,
    queues: Arc<HashMap<ShardId, Mutex<Queue>>>,
}

impl Gatherer {
    pub(crate) fn new(platform: &Platform) -> Self {
        let queues = platform.store.shards().map(|shard| (shard, Mutex::default()));
        Self {
            platform: platform.clone(),
            queues: Arc::new(queues.collect()),
        }
    }

    /// What `read` makes of the facts that `want` asks for.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        shard: ShardId,
        want: impl FnOnce(&mut Wanted<'_>) + Send + 'static,
        read: impl FnOnce(&Facts<'_>) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let (sender, receiver) = oneshot::channel();
        let caller = Caller {
            want: Box::new(want),
            // A caller who is gone needs no answer.
            answer: Box::new(move |facts| drop(sender.send(read(facts)))),
        };
        let must_serve = {
            let mut queue = self.queue(shard);
            queue.waiting.push(caller);
            !std::mem::replace(&mut queue.served, true)
        };
        if must_serve {
            tokio::spawn(self.clone().serve(shard));
        }
        // Dropped unanswered: the query failed.
        receiver.await.map_err(|_| unavailable())
    }

    async fn serve(self, shard: ShardId) {
        let _serving = Serving { gatherer: &self, shard };
        loop {
            let callers = self.next(shard);
            if callers.is_empty() {
                return;
            }
            metrics::gathered(callers.len());
            let (wants, answers): (Vec<Want>, Vec<Answer>) =
                callers.into_iter().map(|caller| (caller.want, caller.answer)).unzip();
            let facts = self
                .platform
                .facts(shard, |wanted| wants.into_iter().for_each(|want| want(wanted)))
                .await;
            match facts {
                Ok(facts) => answers.into_iter().for_each(|answer| answer(&facts)),
                Err(error) => tracing::warn!(shard = shard.0, %error, "contacts could not be looked up"),
            }
        }
    }

    /// Whoever waits, or nobody: then the next one to ask serves.
    fn next(&self, shard: ShardId) -> Vec<Caller> {
        let mut queue = self.queue(shard);
        let count = queue.waiting.len().min(CALLERS_MAX);
        let callers: Vec<Caller> = queue.waiting.drain(..count).collect();
        queue.served = !callers.is_empty();
        callers
    }

    fn queue(&self, shard: ShardId) -> MutexGuard<'_, Queue> {
        let queue = self.queues.get(&shard).expect("a tenant's shard is one of the store's");
        queue.lock().expect("nothing panics while it holds this lock")
    }
}

impl std::fmt::Debug for Gatherer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gatherer")
    }
}

/// Lets go of the callers, with an error, should serving them end in a panic.
struct Serving<'a> {
    gatherer: &'a Gatherer,
    shard: ShardId,
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut queue = self.gatherer.queue(self.shard);
            queue.served = false;
            queue.waiting.clear();
        }
    }
}

/// The database does not answer.
pub(crate) fn unavailable() -> ApiError {
    ApiError::new(ErrorCode::StoreUnavailable).retry_after(RETRY_AFTER)
}

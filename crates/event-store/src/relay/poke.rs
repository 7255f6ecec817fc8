//! Telling the relay that there is something new.

use tokio::task::JoinHandle;

use super::JetStream;
use crate::{event::ShardId, limits, store::EventStore};

/// Pokes each shard's relay after this process has committed, until it is dropped. A poke is a hint without content: one
/// that is lost costs at most [`limits::RELAY_POLL`].
#[derive(Debug)]
pub struct Poker {
    tasks: Vec<JoinHandle<()>>,
}

impl Poker {
    /// Starts poking. Must be called within a tokio runtime.
    pub fn start(store: &EventStore, jetstream: &JetStream) -> Self {
        let task = |shard| tokio::spawn(poke(store.clone(), jetstream.clone(), shard));
        Self {
            tasks: store.shards().map(task).collect(),
        }
    }
}

impl Drop for Poker {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn poke(store: EventStore, jetstream: JetStream, shard: ShardId) {
    let Some(mut head) = store.watch_head(shard) else {
        return;
    };
    let subject = jetstream.poke_subject(shard);
    while head.changed().await.is_ok() {
        let sent = jetstream.client().publish(subject.clone(), bytes::Bytes::new()).await;
        if let Err(error) = sent {
            tracing::debug!(shard = shard.0, %error, "the relay was not poked; it polls");
        }
        tokio::time::sleep(limits::POKE_SPACING).await;
    }
}

//! The views of a store: opening them, moving them on, asking how far they are.

use std::sync::Arc;

use assent_domain::values::Timestamp;
use assent_event_store::{EventStore, RecordedEvent, ShardId};

use crate::{
    apply::Live,
    db::{Db, Value},
    error::{QueryError, ViewsError},
    schema::{self, qualified},
};

/// Up to where events are folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The position in the shard.
    pub position: u64,
    /// When that event was recorded; 0 before the first.
    pub recorded_at: Timestamp,
}

/// The views of a store, in its database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Views {
    pub(crate) store: EventStore,
    pub(crate) db: Db,
}

impl Views {
    /// Makes the tables that are missing. Safe for several processes at once; whoever only asks may do it as well, so that
    /// there is something to ask before the status-tracker first ran.
    pub async fn open(store: &EventStore) -> Result<Self, ViewsError> {
        let db = Db::of(store);
        schema::migrate(&db, store.shards().map(|shard| i64::from(shard.0))).await?;
        Ok(Self {
            store: store.clone(),
            db,
        })
    }

    /// The store that is folded.
    pub fn store(&self) -> &EventStore {
        &self.store
    }

    /// How far the views of a shard are.
    pub async fn position(&self, shard: ShardId) -> Result<Position, QueryError> {
        let sql: Arc<str> = format!(
            "select position, recorded_at from {} where shard = $1",
            qualified(self.db.dialect(), "positions")
        )
        .into();
        let rows = self.db.fetch(&sql, &[Value::Int(i64::from(shard.0))]).await?;
        let row = rows.first().ok_or(QueryError::Unreadable { table: "positions" })?;
        Ok(Position {
            position: row.int(0)? as u64,
            recorded_at: Timestamp::from_micros(row.int(1)?),
        })
    }

    /// Folds what the log holds and the views do not, without a feed: for tests, and for tools that run by themselves. Says up
    /// to where it came.
    pub async fn catch_up(&self, shard: ShardId, batch_events: usize) -> Result<u64, ViewsError> {
        let mut live = Live::new(self.store.clone(), shard);
        let mut position = self.position(shard).await?.position;
        loop {
            let events: Vec<RecordedEvent> = self.store.read_shard(shard, position, batch_events).await?;
            let Some(last) = events.last() else { return Ok(position) };
            position = last.position;
            live.apply(&events, None).await?;
        }
    }
}

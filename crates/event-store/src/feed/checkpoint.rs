//! How far a durable reader has come.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sqlx::{PgConnection, SqliteConnection};

use super::durable::FeedError;
use crate::{adapter::Adapter, event::ShardId};

/// A step of a durable reader: it did everything after `from` up to and with `to`.
///
/// Commit it in the transaction that holds what the reader did, and the two happen together or not at all. It moves
/// the checkpoint only from exactly `from` and only under a fence that is not older than the last one: a reader that
/// was replaced while it worked is told so ([`FeedError::Fenced`]) and its transaction must be rolled back.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub(crate) name: String,
    pub(crate) shard: ShardId,
    pub(crate) fence: i64,
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Tells the feed, which does not see its reader's transactions, that it must find its checkpoint again.
    pub(crate) refused: Arc<AtomicBool>,
}

impl Checkpoint {
    /// The position up to which everything is done once this is committed.
    pub fn position(&self) -> u64 {
        self.to
    }

    /// This step and those after it up to and with `last` as one, for readers that commit several batches at once. Both
    /// must come from the same feed, with no rewind between them: a step that does not follow on is refused when it is committed.
    #[must_use]
    pub fn through(&self, last: &Self) -> Self {
        Self {
            from: self.from,
            ..last.clone()
        }
    }

    /// The position it starts from: everything up to and with it was done before.
    pub fn start(&self) -> u64 {
        self.from
    }

    /// Moves the checkpoint in a transaction on Postgres.
    pub async fn commit_postgres(&self, transaction: &mut PgConnection) -> Result<(), FeedError> {
        let moved = sqlx::query(
            "update assent_feed.checkpoints set position = $4, fence = $3, updated_at = now()
             where name = $1 and shard = $2 and fence <= $3 and position = $5",
        )
        .bind(&self.name)
        .bind(self.shard.0 as i16)
        .bind(self.fence)
        .bind(self.to as i64)
        .bind(self.from as i64)
        .execute(transaction)
        .await?;
        self.moved(moved.rows_affected())
    }

    /// Moves the checkpoint in a transaction on SQLite, in the file of the read models.
    pub async fn commit_sqlite(&self, transaction: &mut SqliteConnection) -> Result<(), FeedError> {
        let moved = sqlx::query(
            "update checkpoints set position = ?4, fence = ?3, updated_at = unixepoch() * 1000000
             where name = ?1 and shard = ?2 and fence <= ?3 and position = ?5",
        )
        .bind(&self.name)
        .bind(self.shard.0)
        .bind(self.fence)
        .bind(self.to as i64)
        .bind(self.from as i64)
        .execute(transaction)
        .await?;
        self.moved(moved.rows_affected())
    }

    /// Moves the checkpoint by itself, for readers whose effects are idempotent and elsewhere.
    pub(crate) async fn commit(&self, adapter: &Adapter) -> Result<(), FeedError> {
        match adapter {
            Adapter::Postgres(postgres) => {
                let mut connection = postgres.views.acquire().await?;
                self.commit_postgres(&mut connection).await
            }
            Adapter::Sqlite(sqlite) => {
                let mut connection = sqlite.views.acquire().await?;
                self.commit_sqlite(&mut connection).await
            }
        }
    }

    fn moved(&self, rows: u64) -> Result<(), FeedError> {
        if rows == 1 {
            Ok(())
        } else {
            self.refused.store(true, Ordering::Relaxed);
            Err(FeedError::Fenced {
                name: self.name.clone(),
                shard: self.shard,
            })
        }
    }
}

/// Puts the new owner's fence on the checkpoint, so that no older owner moves it from here on, and says where it is.
/// `start` is where a name begins that was never seen before.
pub(crate) async fn take_over(
    adapter: &Adapter,
    name: &str,
    shard: ShardId,
    fence: i64,
    start: u64,
) -> Result<Option<u64>, sqlx::Error> {
    let position: Option<i64> = match adapter {
        Adapter::Postgres(postgres) => {
            sqlx::query_scalar(
                "insert into assent_feed.checkpoints as c (name, shard, position, fence) values ($1, $2, $3, $4)
                 on conflict (name, shard) do update set fence = excluded.fence where c.fence <= excluded.fence
                 returning position",
            )
            .bind(name)
            .bind(shard.0 as i16)
            .bind(start as i64)
            .bind(fence)
            .fetch_optional(&postgres.views)
            .await?
        }
        Adapter::Sqlite(sqlite) => {
            sqlx::query_scalar(
                "insert into checkpoints (name, shard, position, fence, updated_at) values (?1, ?2, ?3, ?4, 0)
                 on conflict (name, shard) do update set fence = excluded.fence where fence <= excluded.fence
                 returning position",
            )
            .bind(name)
            .bind(shard.0)
            .bind(start as i64)
            .bind(fence)
            .fetch_optional(&sqlite.views)
            .await?
        }
    };
    Ok(position.map(|position| position as u64))
}

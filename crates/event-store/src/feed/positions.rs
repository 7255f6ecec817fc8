//! How far all durable readers have come, seen from outside.

use sqlx::Row as _;

use crate::{adapter::Adapter, event::ShardId, limits, read::ReadError, store::EventStore};

/// A durable reader, or the relay, of a shard, as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPosition {
    /// The feed's name; `relay` for the relay.
    pub name: String,
    /// The shard.
    pub shard: ShardId,
    /// Everything up to here is done; none for the relay, which has no checkpoint.
    pub position: Option<u64>,
    /// Whether a process holds the lease now.
    pub has_reader: bool,
}

impl EventStore {
    /// Every reader that ever had the lease of its name, at most [`limits::FEED_POSITIONS_MAX`].
    pub async fn feed_positions(&self) -> Result<Vec<FeedPosition>, ReadError> {
        match self.adapter() {
            Adapter::Postgres(postgres) => {
                let rows = sqlx::query(
                    "select name, shard, c.position, l.lease_until > now()
                     from assent_feed.leases l left join assent_feed.checkpoints c using (name, shard)
                     order by name, shard limit $1",
                )
                .bind(limits::FEED_POSITIONS_MAX)
                .fetch_all(&postgres.pool)
                .await?;
                let position = |row: &sqlx::postgres::PgRow| {
                    Ok(FeedPosition {
                        name: row.try_get(0)?,
                        shard: ShardId(row.try_get::<i16, _>(1)? as u16),
                        position: row.try_get::<Option<i64>, _>(2)?.map(|position| position as u64),
                        has_reader: row.try_get(3)?,
                    })
                };
                Ok(rows.iter().map(position).collect::<Result<_, sqlx::Error>>()?)
            }
            Adapter::Sqlite(sqlite) => {
                let rows = sqlx::query(
                    "select name, shard, c.position, l.lease_until > ?2
                     from leases l left join checkpoints c using (name, shard) order by name, shard limit ?1",
                )
                .bind(limits::FEED_POSITIONS_MAX)
                .bind(crate::chain::micros(time::OffsetDateTime::now_utc()))
                .fetch_all(&sqlite.views)
                .await?;
                let position = |row: &sqlx::sqlite::SqliteRow| {
                    Ok(FeedPosition {
                        name: row.try_get(0)?,
                        shard: ShardId(row.try_get(1)?),
                        position: row.try_get::<Option<i64>, _>(2)?.map(|position| position as u64),
                        has_reader: row.try_get(3)?,
                    })
                };
                Ok(rows.iter().map(position).collect::<Result<_, sqlx::Error>>()?)
            }
        }
    }
}

//! Looking for rare events of one kind.

use crate::{
    adapter::{Adapter, postgres, sqlite},
    event::{RecordedEvent, ShardId},
    limits,
    read::ReadError,
    store::EventStore,
};

impl EventStore {
    /// The events of one kind between position `after` and `until`, as far as one bounded step comes, and up to where it
    /// came. Every row in between is looked at: for work that is done once, not for serving.
    pub async fn scan_kind(
        &self,
        shard: ShardId,
        kind: &str,
        after: u64,
        until: u64,
    ) -> Result<(Vec<RecordedEvent>, u64), ReadError> {
        let end = until.min(after.saturating_add(limits::SCAN_POSITIONS_MAX)).max(after);
        let events = match self.adapter() {
            Adapter::Postgres(postgres) => {
                let rows = sqlx::query(
                    "select position, stream, category, version, event_id, type, schema_version, recorded_at, data, meta
                     from assent_log.events where shard = $1 and position > $2 and position <= $3 and type = $4
                     order by position",
                )
                .bind(shard.0 as i16)
                .bind(after as i64)
                .bind(end as i64)
                .bind(kind)
                .fetch_all(&postgres.pool)
                .await?;
                postgres::decode(shard, &rows)?
            }
            Adapter::Sqlite(sqlite) => {
                let rows = sqlx::query(
                    "select position, stream, category, version, event_id, type, schema_version, recorded_at, data, meta
                     from events where shard = ?1 and position > ?2 and position <= ?3 and type = ?4 order by position",
                )
                .bind(shard.0)
                .bind(after as i64)
                .bind(end as i64)
                .bind(kind)
                .fetch_all(&sqlite.log)
                .await?;
                sqlite::decode(shard, &rows)?
            }
        };
        Ok((events, end))
    }

    /// How far the durable reader of that name has come in a shard; 0 if there is none.
    pub async fn checkpoint(&self, name: &str, shard: ShardId) -> Result<u64, ReadError> {
        let position: Option<i64> = match self.adapter() {
            Adapter::Postgres(postgres) => {
                sqlx::query_scalar("select position from assent_feed.checkpoints where name = $1 and shard = $2")
                    .bind(name)
                    .bind(shard.0 as i16)
                    .fetch_optional(&postgres.views)
                    .await?
            }
            Adapter::Sqlite(sqlite) => {
                sqlx::query_scalar("select position from checkpoints where name = ?1 and shard = ?2")
                    .bind(name)
                    .bind(shard.0)
                    .fetch_optional(&sqlite.views)
                    .await?
            }
        };
        Ok(position.unwrap_or(0) as u64)
    }
}

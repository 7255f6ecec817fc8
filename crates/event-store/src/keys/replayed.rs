//! Up to where the key table is known to be without the keys of those whom the log says were erased.
//!
//! The mark is kept beside the keys. A key table that is restored from an older backup brings its older mark along, and
//! the erasures between it and the log's head are carried out again before anything is served.

use super::{KeyError, KeyRing};
use crate::{adapter::Adapter, event::ShardId};

impl KeyRing {
    /// The position up to which every erasure of the shard was carried out on these keys; 0 if nobody has looked yet.
    pub async fn replayed(&self, shard: ShardId) -> Result<u64, KeyError> {
        let position: Option<i64> = match self.store().adapter() {
            Adapter::Postgres(postgres) => {
                sqlx::query_scalar("select position from assent_keys.replayed where shard = $1")
                    .bind(shard.0 as i16)
                    .fetch_optional(&postgres.pool)
                    .await?
            }
            Adapter::Sqlite(sqlite) => {
                sqlx::query_scalar("select position from replayed where shard = ?1")
                    .bind(shard.0)
                    .fetch_optional(&sqlite.keys)
                    .await?
            }
        };
        Ok(position.unwrap_or(0) as u64)
    }

    /// Every erasure up to `position` is carried out. A mark that is further stays where it is.
    pub async fn set_replayed(&self, shard: ShardId, position: u64) -> Result<(), KeyError> {
        match self.store().adapter() {
            Adapter::Postgres(postgres) => {
                sqlx::query(
                    "insert into assent_keys.replayed as r (shard, position) values ($1, $2)
                     on conflict (shard) do update set position = excluded.position where r.position < excluded.position",
                )
                .bind(shard.0 as i16)
                .bind(position as i64)
                .execute(&postgres.pool)
                .await?;
            }
            Adapter::Sqlite(sqlite) => {
                sqlx::query(
                    "insert into replayed (shard, position) values (?1, ?2)
                     on conflict (shard) do update set position = excluded.position where position < excluded.position",
                )
                .bind(shard.0)
                .bind(position as i64)
                .execute(&sqlite.keys)
                .await?;
            }
        }
        Ok(())
    }

    /// Takes the mark back to the log's head, where the log is the one that was restored from an older backup: positions
    /// after it will be given to other events.
    pub async fn take_back_replayed(&self, shard: ShardId, head: u64) -> Result<(), KeyError> {
        match self.store().adapter() {
            Adapter::Postgres(postgres) => {
                sqlx::query("update assent_keys.replayed set position = $2 where shard = $1 and position > $2")
                    .bind(shard.0 as i16)
                    .bind(head as i64)
                    .execute(&postgres.pool)
                    .await?;
            }
            Adapter::Sqlite(sqlite) => {
                sqlx::query("update replayed set position = ?2 where shard = ?1 and position > ?2")
                    .bind(shard.0)
                    .bind(head as i64)
                    .execute(&sqlite.keys)
                    .await?;
            }
        }
        Ok(())
    }
}

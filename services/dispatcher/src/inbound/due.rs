//! The files that are still to be fetched: a read model, written in the transaction of the reader's checkpoint.

use crate::tables;
use assent_domain::values::{FileId, Timestamp};
use assent_event_store::{Checkpoint, EventStore, FeedError, ShardId};
use uuid::Uuid;

/// A file to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) file: FileId,
    /// Whose it is.
    pub(super) tenant: String,
    /// Where its message stands in the log.
    pub(super) position: u64,
    /// How often it was tried.
    pub(super) tries: u32,
    /// When it is to be tried.
    pub(super) at: Timestamp,
}

const POSTGRES_TABLES: [&str; 2] = [
    "create schema if not exists assent_views",
    "create table if not exists assent_views.dispatcher_files_due (
         shard smallint not null, file uuid not null, tenant text not null, position bigint not null,
         tries integer not null, due_at bigint not null, primary key (shard, file))",
];

const SQLITE_TABLES: [&str; 1] = ["create table if not exists dispatcher_files_due (
         shard integer not null, file blob not null, tenant text not null, position integer not null,
         tries integer not null, due_at integer not null, primary key (shard, file)) without rowid"];

/// Makes the table, if it is not there.
pub(super) async fn prepare(store: &EventStore) -> Result<(), sqlx::Error> {
    tables::make(store, &POSTGRES_TABLES, &SQLITE_TABLES).await
}

/// Adds files and moves the checkpoint, both or neither. A file that is there stays as it is.
pub(super) async fn add(store: &EventStore, shard: ShardId, files: &[Due], step: &Checkpoint) -> Result<(), FeedError> {
    if let Some(pool) = store.postgres() {
        let mut transaction = pool.begin().await?;
        if !files.is_empty() {
            sqlx::query(
                "insert into assent_views.dispatcher_files_due (shard, file, tenant, position, tries, due_at)
                 select $1, file, tenant, position, tries, due_at
                 from unnest($2::uuid[], $3::text[], $4::bigint[], $5::integer[], $6::bigint[])
                     as found (file, tenant, position, tries, due_at)
                 on conflict (shard, file) do nothing",
            )
            .bind(shard.0 as i16)
            .bind(files.iter().map(|due| due.file.uuid()).collect::<Vec<_>>())
            .bind(files.iter().map(|due| due.tenant.as_str()).collect::<Vec<_>>())
            .bind(files.iter().map(|due| due.position as i64).collect::<Vec<_>>())
            .bind(files.iter().map(|due| due.tries as i32).collect::<Vec<_>>())
            .bind(files.iter().map(|due| due.at.as_micros()).collect::<Vec<_>>())
            .execute(&mut *transaction)
            .await?;
        }
        step.commit_postgres(&mut transaction).await?;
        transaction.commit().await?;
    }
    if let Some(pool) = store.sqlite() {
        let mut transaction = pool.begin().await?;
        for due in files {
            sqlx::query(
                "insert into dispatcher_files_due (shard, file, tenant, position, tries, due_at)
                 values (?1, ?2, ?3, ?4, ?5, ?6) on conflict (shard, file) do nothing",
            )
            .bind(shard.0)
            .bind(due.file.uuid())
            .bind(&due.tenant)
            .bind(due.position as i64)
            .bind(due.tries)
            .bind(due.at.as_micros())
            .execute(&mut *transaction)
            .await?;
        }
        step.commit_sqlite(&mut transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// The next files, by when they are to be tried; also those whose time has not come.
pub(super) async fn next(store: &EventStore, shard: ShardId, max: usize) -> Result<Vec<Due>, sqlx::Error> {
    let max = max as i64;
    let mut rows: Vec<(Uuid, String, i64, i32, i64)> = Vec::new();
    if let Some(pool) = store.postgres() {
        rows = sqlx::query_as(
            "select file, tenant, position, tries, due_at from assent_views.dispatcher_files_due
             where shard = $1 order by due_at limit $2",
        )
        .bind(shard.0 as i16)
        .bind(max)
        .fetch_all(pool)
        .await?;
    }
    if let Some(pool) = store.sqlite() {
        rows = sqlx::query_as(
            "select file, tenant, position, tries, due_at from dispatcher_files_due
             where shard = ?1 order by due_at limit ?2",
        )
        .bind(shard.0)
        .bind(max)
        .fetch_all(pool)
        .await?;
    }
    let due = |(file, tenant, position, tries, at): (Uuid, String, i64, i32, i64)| Due {
        file: FileId::new(file),
        tenant,
        position: position as u64,
        tries: tries as u32,
        at: Timestamp::from_micros(at),
    };
    Ok(rows.into_iter().map(due).collect())
}

/// Whether a file of a tenant is to be fetched.
pub(super) async fn waits(store: &EventStore, shard: ShardId, file: FileId, tenant: &str) -> Result<bool, sqlx::Error> {
    let mut found: Option<i32> = None;
    if let Some(pool) = store.postgres() {
        found = sqlx::query_scalar(
            "select 1 from assent_views.dispatcher_files_due where shard = $1 and file = $2 and tenant = $3",
        )
        .bind(shard.0 as i16)
        .bind(file.uuid())
        .bind(tenant)
        .fetch_optional(pool)
        .await?;
    }
    if let Some(pool) = store.sqlite() {
        found = sqlx::query_scalar("select 1 from dispatcher_files_due where shard = ?1 and file = ?2 and tenant = ?3")
            .bind(shard.0)
            .bind(file.uuid())
            .bind(tenant)
            .fetch_optional(pool)
            .await?;
    }
    Ok(found.is_some())
}

/// Tries a file again later.
pub(super) async fn postpone(
    store: &EventStore,
    shard: ShardId,
    file: FileId,
    tries: u32,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    if let Some(pool) = store.postgres() {
        sqlx::query(
            "update assent_views.dispatcher_files_due set tries = $3, due_at = $4 where shard = $1 and file = $2",
        )
        .bind(shard.0 as i16)
        .bind(file.uuid())
        .bind(tries as i32)
        .bind(at.as_micros())
        .execute(pool)
        .await?;
    }
    if let Some(pool) = store.sqlite() {
        sqlx::query("update dispatcher_files_due set tries = ?3, due_at = ?4 where shard = ?1 and file = ?2")
            .bind(shard.0)
            .bind(file.uuid())
            .bind(tries)
            .bind(at.as_micros())
            .execute(pool)
            .await?;
    }
    Ok(())
}

/// Nothing is to be done about a file any more.
pub(super) async fn remove(store: &EventStore, shard: ShardId, file: FileId) -> Result<(), sqlx::Error> {
    if let Some(pool) = store.postgres() {
        sqlx::query("delete from assent_views.dispatcher_files_due where shard = $1 and file = $2")
            .bind(shard.0 as i16)
            .bind(file.uuid())
            .execute(pool)
            .await?;
    }
    if let Some(pool) = store.sqlite() {
        sqlx::query("delete from dispatcher_files_due where shard = ?1 and file = ?2")
            .bind(shard.0)
            .bind(file.uuid())
            .execute(pool)
            .await?;
    }
    Ok(())
}

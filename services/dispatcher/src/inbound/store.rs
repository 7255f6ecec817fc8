//! Where the bytes of files lie, sealed: a schema of its own in Postgres, a file of its own beside a log in SQLite.
//!
//! Unlike read models this cannot be rebuilt once Meta has dropped the files, so its commits wait for the disk.

use crate::{limits, tables};
use assent_domain::values::FileId;
use assent_event_store::EventStore;
use assent_sealed::KeyId;
use sqlx::{
    PgPool, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use uuid::Uuid;

/// What is known of a stored file without its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// Whose it is.
    pub(crate) tenant: String,
    /// The key that it and what is said of it are sealed with.
    pub(crate) key: KeyId,
    pub(crate) size_bytes: u64,
    pub(crate) pieces: u32,
    /// What it is: an [`assent_domain::events::StoredFile`].
    pub(crate) sealed: Vec<u8>,
}

/// The stored files.
#[derive(Debug, Clone)]
pub(crate) enum FileStore {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

const POSTGRES_TABLES: [&str; 5] = [
    "create schema if not exists assent_media",
    "create table if not exists assent_media.files (
         file uuid primary key, tenant text not null, key uuid not null, size_bytes bigint not null,
         pieces integer not null, sealed bytea not null)",
    "create table if not exists assent_media.pieces (
         file uuid not null references assent_media.files on delete cascade, piece integer not null,
         sealed bytea not null, primary key (file, piece))",
    // Ciphertext does not compress. Not said with the column, which only Postgres 16 understands; and said once, because it
    // locks the table.
    "do $$ begin
         if (select attstorage <> 'e' from pg_attribute
             where attrelid = 'assent_media.pieces'::regclass and attname = 'sealed') then
             alter table assent_media.pieces alter column sealed set storage external;
         end if;
     end $$",
    "create index if not exists idx_files_key on assent_media.files (key)",
];

const SQLITE_TABLES: [&str; 3] = [
    "create table if not exists files (
         file blob primary key, tenant text not null, key blob not null, size_bytes integer not null,
         pieces integer not null, sealed blob not null)",
    "create table if not exists pieces (
         file blob not null references files on delete cascade, piece integer not null, sealed blob not null,
         primary key (file, piece))",
    "create index if not exists idx_files_key on files (key)",
];

impl FileStore {
    /// Opens the store and makes its tables, if they are not there.
    pub(super) async fn open(store: &EventStore) -> Result<Self, sqlx::Error> {
        if let Some(pool) = store.postgres() {
            tables::make_in_postgres(pool, &POSTGRES_TABLES).await?;
            return Ok(Self::Postgres(pool.clone()));
        }
        let dir = store.sqlite_dir().map(ToOwned::to_owned).unwrap_or_default();
        let options = SqliteConnectOptions::new()
            .filename(dir.join("media.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(limits::FILE_STORE_BUSY);
        let pool = SqlitePoolOptions::new()
            .max_connections(limits::FILE_STORE_CONNECTIONS)
            .connect_with(options)
            .await?;
        for statement in SQLITE_TABLES {
            sqlx::query(statement).execute(&pool).await?;
        }
        Ok(Self::Sqlite(pool))
    }

    /// Stores a file, or stores it again. Durable when it returns.
    pub(super) async fn put(
        &self,
        file: FileId,
        head: &Head,
        pieces: impl Iterator<Item = Vec<u8>> + Send,
    ) -> Result<(), sqlx::Error> {
        match self {
            Self::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                // The pool's commits do not wait for the disk; this one has to.
                sqlx::query("set local synchronous_commit = on")
                    .execute(&mut *transaction)
                    .await?;
                sqlx::query("delete from assent_media.files where file = $1")
                    .bind(file.uuid())
                    .execute(&mut *transaction)
                    .await?;
                sqlx::query(
                    "insert into assent_media.files (file, tenant, key, size_bytes, pieces, sealed)
                     values ($1, $2, $3, $4, $5, $6)",
                )
                .bind(file.uuid())
                .bind(&head.tenant)
                .bind(head.key.0)
                .bind(head.size_bytes as i64)
                .bind(head.pieces as i32)
                .bind(&head.sealed)
                .execute(&mut *transaction)
                .await?;
                for (piece, sealed) in pieces.enumerate() {
                    sqlx::query("insert into assent_media.pieces (file, piece, sealed) values ($1, $2, $3)")
                        .bind(file.uuid())
                        .bind(piece as i32)
                        .bind(sealed)
                        .execute(&mut *transaction)
                        .await?;
                }
                transaction.commit().await
            }
            Self::Sqlite(pool) => {
                let mut transaction = pool.begin().await?;
                sqlx::query("delete from files where file = ?1")
                    .bind(file.uuid())
                    .execute(&mut *transaction)
                    .await?;
                sqlx::query(
                    "insert into files (file, tenant, key, size_bytes, pieces, sealed) values (?1, ?2, ?3, ?4, ?5, ?6)",
                )
                .bind(file.uuid())
                .bind(&head.tenant)
                .bind(head.key.0)
                .bind(head.size_bytes as i64)
                .bind(head.pieces)
                .bind(&head.sealed)
                .execute(&mut *transaction)
                .await?;
                for (piece, sealed) in pieces.enumerate() {
                    sqlx::query("insert into pieces (file, piece, sealed) values (?1, ?2, ?3)")
                        .bind(file.uuid())
                        .bind(piece as i64)
                        .bind(sealed)
                        .execute(&mut *transaction)
                        .await?;
                }
                transaction.commit().await
            }
        }
    }

    /// What is known of a file.
    pub(super) async fn head(&self, file: FileId) -> Result<Option<Head>, sqlx::Error> {
        let found: Option<(String, Uuid, i64, i32, Vec<u8>)> = match self {
            Self::Postgres(pool) => {
                sqlx::query_as("select tenant, key, size_bytes, pieces, sealed from assent_media.files where file = $1")
                    .bind(file.uuid())
                    .fetch_optional(pool)
                    .await?
            }
            Self::Sqlite(pool) => {
                sqlx::query_as("select tenant, key, size_bytes, pieces, sealed from files where file = ?1")
                    .bind(file.uuid())
                    .fetch_optional(pool)
                    .await?
            }
        };
        Ok(found.map(|(tenant, key, size_bytes, pieces, sealed)| Head {
            tenant,
            key: KeyId(key),
            size_bytes: size_bytes as u64,
            pieces: pieces as u32,
            sealed,
        }))
    }

    /// A piece of a file, counted from 0.
    pub(super) async fn piece(&self, file: FileId, piece: u32) -> Result<Option<Vec<u8>>, sqlx::Error> {
        match self {
            Self::Postgres(pool) => {
                sqlx::query_scalar("select sealed from assent_media.pieces where file = $1 and piece = $2")
                    .bind(file.uuid())
                    .bind(piece as i32)
                    .fetch_optional(pool)
                    .await
            }
            Self::Sqlite(pool) => {
                sqlx::query_scalar("select sealed from pieces where file = ?1 and piece = ?2")
                    .bind(file.uuid())
                    .bind(piece)
                    .fetch_optional(pool)
                    .await
            }
        }
    }

    /// The keys that files are sealed with, in order, each once.
    pub(super) async fn keys(&self, after: KeyId, max: usize) -> Result<Vec<KeyId>, sqlx::Error> {
        let max = max as i64;
        let keys: Vec<Uuid> = match self {
            Self::Postgres(pool) => {
                sqlx::query_scalar("select distinct key from assent_media.files where key > $1 order by key limit $2")
                    .bind(after.0)
                    .bind(max)
                    .fetch_all(pool)
                    .await?
            }
            Self::Sqlite(pool) => {
                sqlx::query_scalar("select distinct key from files where key > ?1 order by key limit ?2")
                    .bind(after.0)
                    .bind(max)
                    .fetch_all(pool)
                    .await?
            }
        };
        Ok(keys.into_iter().map(KeyId).collect())
    }

    /// Removes the files that were sealed with a key.
    pub(super) async fn remove_sealed_with(&self, key: KeyId) -> Result<u64, sqlx::Error> {
        Ok(match self {
            Self::Postgres(pool) => sqlx::query("delete from assent_media.files where key = $1")
                .bind(key.0)
                .execute(pool)
                .await?
                .rows_affected(),
            Self::Sqlite(pool) => sqlx::query("delete from files where key = ?1")
                .bind(key.0)
                .execute(pool)
                .await?
                .rows_affected(),
        })
    }
}

/// What a piece is sealed as: it opens only in its place of its file.
pub(super) fn place(file: FileId, piece: u32, pieces: u32) -> String {
    format!("media.piece {file} {piece} of {pieces}")
}

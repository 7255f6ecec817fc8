//! Making, updating and checking the schema.

use std::borrow::Cow;

use sqlx::{PgPool, Row as _, SqlitePool, migrate::Migrator};
use uuid::Uuid;

use crate::{
    adapter::{
        Adapter,
        postgres::{self, Postgres},
        sqlite::{self, Sqlite},
    },
    limits,
    store::{ConnectError, Database, StoreConfig},
};

/// The format of the log that this program reads and writes.
const FORMAT: i32 = 1;

/// Migrations of the log are told apart from those of read models in the same database.
const MIGRATIONS_TABLE: &str = "assent_log_migrations";

pub(crate) struct Description {
    pub(crate) store_id: Uuid,
    pub(crate) shards: u16,
}

struct StoreRow {
    store_id: Uuid,
    format: i32,
    shards: u16,
}

fn migrator(embedded: &Migrator) -> Migrator {
    let mut migrator = Migrator {
        migrations: Cow::Owned(embedded.migrations.to_vec()),
        ..Migrator::DEFAULT
    };
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    // A newer program may have expanded the schema; `FORMAT` says whether this one can live with it.
    migrator.set_ignore_missing(true);
    migrator
}

pub(crate) async fn migrate(config: &StoreConfig) -> Result<(), ConnectError> {
    let shards = config
        .shards
        .unwrap_or_else(|| config.database.shards_default())
        .clamp(1, limits::SHARDS_MAX);
    match &config.database {
        Database::Postgres { url, .. } => {
            let options = postgres::connect_options(url).map_err(ConnectError::from_sqlx)?;
            let pool = Postgres::pool(&options, 1).await?;
            migrator(&postgres::MIGRATOR)
                .run(&pool)
                .await
                .map_err(ConnectError::from_migrate)?;
            sqlx::query("insert into assent_log.store (format, shards) values ($1, $2) on conflict do nothing")
                .bind(FORMAT as i16)
                .bind(shards as i16)
                .execute(&pool)
                .await
                .map_err(ConnectError::from_sqlx)?;
            pool.close().await;
        }
        Database::Sqlite { dir } => {
            std::fs::create_dir_all(dir).map_err(|error| ConnectError::Unreachable {
                reason: error.to_string(),
            })?;
            let store = Sqlite::open(dir, true).await?;
            let files = [
                (&store.log, &sqlite::LOG_MIGRATOR),
                (&store.keys, &sqlite::KEYS_MIGRATOR),
                (&store.views, &sqlite::VIEWS_MIGRATOR),
            ];
            for (pool, embedded) in files {
                migrator(embedded).run(pool).await.map_err(ConnectError::from_migrate)?;
            }
            sqlx::query(
                "insert into store (one, store_id, format, shards) values (1, ?1, ?2, ?3) on conflict do nothing",
            )
            .bind(Uuid::new_v4())
            .bind(FORMAT)
            .bind(shards)
            .execute(&store.log)
            .await
            .map_err(ConnectError::from_sqlx)?;
            store.close().await;
        }
    }
    Ok(())
}

/// Connects and checks everything that could be wrong before the first append is accepted.
pub(crate) async fn open(config: &StoreConfig) -> Result<(Adapter, Description), ConnectError> {
    match &config.database {
        Database::Postgres { url, connections_max } => {
            let options = postgres::connect_options(url).map_err(ConnectError::from_sqlx)?;
            let pool = Postgres::pool(&options, *connections_max).await?;
            Postgres::check_server(&pool).await?;
            check_postgres(&pool).await?;
            let row = sqlx::query("select store_id, format, shards from assent_log.store")
                .fetch_optional(&pool)
                .await;
            let row = row.map_err(ConnectError::from_sqlx)?.ok_or(ConnectError::NoSchema)?;
            let row = StoreRow {
                store_id: row.get(0),
                format: i32::from(row.get::<i16, _>(1)),
                shards: row.get::<i16, _>(2) as u16,
            };
            let description = check_store(&row, config)?;
            let views_options = options.clone().options([("synchronous_commit", "off")]);
            let views = Postgres::pool(&views_options, *connections_max).await?;
            Ok((
                Adapter::Postgres(Postgres::new(pool, views, options, description.shards)),
                description,
            ))
        }
        Database::Sqlite { dir } => {
            if !dir.join("log.db").exists() {
                return Err(if dir.exists() {
                    ConnectError::NoSchema
                } else {
                    ConnectError::NoDatabase {
                        name: dir.display().to_string(),
                    }
                });
            }
            let store = Sqlite::open(dir, false).await?;
            check_sqlite(&store.log).await?;
            let row = sqlx::query("select store_id, format, shards from store")
                .fetch_optional(&store.log)
                .await;
            let row = row.map_err(ConnectError::from_sqlx)?.ok_or(ConnectError::NoSchema)?;
            let row = StoreRow {
                store_id: row.get(0),
                format: row.get(1),
                shards: row.get(2),
            };
            let description = check_store(&row, config)?;
            store.connect_writer(dir).await?;
            Ok((Adapter::Sqlite(store), description))
        }
    }
}

fn check_store(row: &StoreRow, config: &StoreConfig) -> Result<Description, ConnectError> {
    if row.format > FORMAT {
        return Err(ConnectError::NewerSchema {
            found: row.format,
            known: FORMAT,
        });
    }
    if let Some(asked) = config.shards.filter(|&asked| asked != row.shards) {
        return Err(ConnectError::WrongShards {
            found: row.shards,
            asked,
        });
    }
    Ok(Description {
        store_id: row.store_id,
        shards: row.shards,
    })
}

async fn check_postgres(pool: &PgPool) -> Result<(), ConnectError> {
    let exists: bool = sqlx::query_scalar("select to_regclass($1) is not null")
        .bind(MIGRATIONS_TABLE)
        .fetch_one(pool)
        .await
        .map_err(ConnectError::from_sqlx)?;
    if !exists {
        return Err(ConnectError::NoSchema);
    }
    let applied = sqlx::query_as("select version, checksum from assent_log_migrations where success")
        .fetch_all(pool)
        .await
        .map_err(ConnectError::from_sqlx)?;
    check_applied(&postgres::MIGRATOR, &applied)
}

async fn check_sqlite(pool: &SqlitePool) -> Result<(), ConnectError> {
    let exists: bool = sqlx::query_scalar("select exists (select 1 from sqlite_master where name = ?1)")
        .bind(MIGRATIONS_TABLE)
        .fetch_one(pool)
        .await
        .map_err(ConnectError::from_sqlx)?;
    if !exists {
        return Err(ConnectError::NoSchema);
    }
    let applied = sqlx::query_as("select version, checksum from assent_log_migrations where success")
        .fetch_all(pool)
        .await
        .map_err(ConnectError::from_sqlx)?;
    check_applied(&sqlite::LOG_MIGRATOR, &applied)
}

fn check_applied(embedded: &Migrator, applied: &[(i64, Vec<u8>)]) -> Result<(), ConnectError> {
    let mut missing = 0;
    for migration in embedded.iter() {
        match applied.iter().find(|(version, _)| *version == migration.version) {
            None => missing += 1,
            Some((version, checksum)) if checksum[..] != migration.checksum[..] => {
                return Err(ConnectError::ForeignSchema { version: *version });
            }
            Some(_) => {}
        }
    }
    if missing > 0 {
        Err(ConnectError::OlderSchema { missing })
    } else {
        Ok(())
    }
}

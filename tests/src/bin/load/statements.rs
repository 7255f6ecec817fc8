//! Where Postgres spends its time, statement by statement.

use assent_tests::system::System;
use serde::Serialize;
use sqlx::{Connection as _, FromRow, PgConnection};

/// What has to be preloaded. Counting costs a little, so a run that is compared with others goes without.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
    ("shared_preload_libraries", "pg_stat_statements"),
    // Also those within functions.
    ("pg_stat_statements.track", "all"),
];

const SHOWN_MAX: i64 = 16;

/// What all calls of one statement took.
#[derive(Debug, Serialize, FromRow)]
pub(crate) struct Statement {
    pub(crate) calls: i64,
    pub(crate) rows: i64,
    /// Between its start and its end, so waiting for the disk or a lock counts.
    pub(crate) total_ms: f64,
    pub(crate) text: String,
}

/// Counts from here on.
pub(crate) async fn count_from_here(system: &System) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(system.database_url()).await?;
    sqlx::query("create extension if not exists pg_stat_statements")
        .execute(&mut connection)
        .await?;
    sqlx::query("select pg_stat_statements_reset()")
        .execute(&mut connection)
        .await?;
    Ok(connection.close().await?)
}

/// The statements that took longest in sum.
pub(crate) async fn longest(system: &System) -> anyhow::Result<Vec<Statement>> {
    let mut connection = PgConnection::connect(system.database_url()).await?;
    let statements = sqlx::query_as(
        "select calls, rows, total_exec_time as total_ms, regexp_replace(query, '\\s+', ' ', 'g') as text
         from pg_stat_statements order by total_exec_time desc limit $1",
    )
    .bind(SHOWN_MAX)
    .fetch_all(&mut connection)
    .await?;
    connection.close().await?;
    Ok(statements)
}

//! Making the dispatcher's own tables, which stand beside the log.

use assent_event_store::EventStore;
use sqlx::PgPool;

/// Makes what is not there yet. Names in SQLite have no schema.
pub(crate) async fn make(
    store: &EventStore,
    postgres: &[&'static str],
    sqlite: &[&'static str],
) -> Result<(), sqlx::Error> {
    if let Some(pool) = store.postgres() {
        make_in_postgres(pool, postgres).await?;
    }
    if let Some(pool) = store.sqlite() {
        for statement in sqlite {
            sqlx::query(*statement).execute(pool).await?;
        }
    }
    Ok(())
}

/// Makes what is not there yet, in one transaction.
pub(crate) async fn make_in_postgres(pool: &PgPool, statements: &[&'static str]) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    // The lock of everybody who makes something beside the log: two who make a schema at once would collide.
    sqlx::query("select pg_advisory_xact_lock(7310578193325)")
        .execute(&mut *transaction)
        .await?;
    for statement in statements {
        sqlx::query(*statement).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

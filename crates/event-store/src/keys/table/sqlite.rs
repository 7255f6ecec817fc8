//! The key table in SQLite: the file `keys.db`.
//!
//! Reads go to the file directly. Whatever changes it runs on the log's own writing connection, whose transactions hold
//! the write locks of both files: that is what orders destructions with appends, those of other processes too.

use assent_sealed::{AliasHash, KeyClass, KeyId};
use sqlx::{Connection as _, Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Candidate, KeyRow, Obtained, Rewrapped};
use crate::{adapter::sqlite::Sqlite, chain::micros};

pub(super) async fn obtain(
    sqlite: &Sqlite,
    candidates: &[Candidate<'_>],
    master: &str,
    now: OffsetDateTime,
) -> Result<Vec<Obtained>, sqlx::Error> {
    // Most keys are there already: do not make the writer wait for that.
    let mut reader = sqlite.keys.acquire().await?;
    let found = find(&mut reader, candidates).await?;
    drop(reader);
    if found.iter().all(Option::is_some) {
        return Ok(outcomes(candidates, found));
    }
    let mut writer = sqlite.writer().await?;
    let found = make(&mut writer.connection, candidates, master, now).await;
    writer.done(found.is_ok());
    Ok(outcomes(candidates, found?))
}

fn outcomes(candidates: &[Candidate<'_>], found: Vec<Option<KeyRow>>) -> Vec<Obtained> {
    let outcome = |(candidate, found): (&Candidate<'_>, Option<KeyRow>)| match found {
        Some(row) if row.key == candidate.key => Obtained::Made,
        Some(row) => Obtained::Found(row),
        None => Obtained::Gone,
    };
    candidates.iter().zip(found).map(outcome).collect()
}

async fn make(
    connection: &mut SqliteConnection,
    candidates: &[Candidate<'_>],
    master: &str,
    now: OffsetDateTime,
) -> Result<Vec<Option<KeyRow>>, sqlx::Error> {
    let rows: Vec<_> = candidates
        .iter()
        .map(|candidate| {
            let Candidate { slot, key, wrapped } = candidate;
            let (key, wrapped) = (key.0.simple().to_string(), hex(wrapped));
            (
                hex(&slot.alias.0),
                slot.class.as_str(),
                &slot.period.name,
                slot.period.expires_at.map(micros),
                key,
                wrapped,
            )
        })
        .collect();
    let mut transaction = connection.begin_with("begin immediate").await?;
    sqlx::query(
        "insert into keys (alias, class, period, expires_at, key_id, wrapped, master, created_at)
         select unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, unhex(value ->> 4), unhex(value ->> 5), ?2, ?3
         from json_each(?1) where true on conflict (alias, class, period) do nothing",
    )
    .bind(json(&rows))
    .bind(master)
    .bind(micros(now))
    .execute(&mut *transaction)
    .await?;
    let found = find(&mut transaction, candidates).await?;
    transaction.commit().await?;
    Ok(found)
}

async fn find(
    connection: &mut SqliteConnection,
    candidates: &[Candidate<'_>],
) -> Result<Vec<Option<KeyRow>>, sqlx::Error> {
    let slots: Vec<_> = candidates
        .iter()
        .map(|candidate| {
            (
                hex(&candidate.slot.alias.0),
                candidate.slot.class.as_str(),
                &candidate.slot.period.name,
            )
        })
        .collect();
    let rows = sqlx::query(
        "select k.key_id, k.wrapped, k.master, k.expires_at, s.key from json_each(?1) s
         cross join keys k on k.alias = unhex(s.value ->> 0) and k.class = s.value ->> 1 and k.period = s.value ->> 2",
    )
    .bind(json(&slots))
    .fetch_all(connection)
    .await?;
    let mut found: Vec<Option<KeyRow>> = candidates.iter().map(|_| None).collect();
    for row in &rows {
        found[row.try_get::<i64, _>(4)? as usize] = Some(key_row(row)?);
    }
    Ok(found)
}

pub(super) async fn load(pool: &SqlitePool, keys: &[KeyId]) -> Result<Vec<KeyRow>, sqlx::Error> {
    let keys: Vec<String> = keys.iter().map(|key| key.0.simple().to_string()).collect();
    let rows = sqlx::query(
        "select k.key_id, k.wrapped, k.master, k.expires_at from json_each(?1) s
         cross join keys k on k.key_id = unhex(s.value)",
    )
    .bind(json(&keys))
    .fetch_all(pool)
    .await?;
    rows.iter().map(key_row).collect()
}

pub(super) async fn destroy(
    sqlite: &Sqlite,
    aliases: &[AliasHash],
    classes: &[KeyClass],
    created_until: Option<OffsetDateTime>,
) -> Result<Vec<KeyId>, sqlx::Error> {
    let aliases: Vec<String> = aliases.iter().map(|alias| hex(&alias.0)).collect();
    let classes: Vec<&str> = classes.iter().map(|class| class.as_str()).collect();
    let mut writer = sqlite.writer().await?;
    let destroyed = async {
        let mut transaction = writer.connection.begin_with("begin immediate").await?;
        let destroyed: Vec<Uuid> = sqlx::query_scalar(
            "delete from keys where alias in (select unhex(value) from json_each(?1))
             and class in (select value from json_each(?2)) and created_at <= coalesce(?3, created_at) returning key_id",
        )
        .bind(json(&aliases))
        .bind(json(&classes))
        .bind(created_until.map(micros))
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        if !destroyed.is_empty() {
            cut_write_ahead_log(&mut writer.connection).await?;
        }
        Ok::<_, sqlx::Error>(destroyed)
    }
    .await;
    writer.done(destroyed.is_ok());
    Ok(destroyed?.into_iter().map(KeyId).collect())
}

pub(super) async fn expire(sqlite: &Sqlite, now: OffsetDateTime, limit: usize) -> Result<u64, sqlx::Error> {
    let mut writer = sqlite.writer().await?;
    let expired = async {
        let mut transaction = writer.connection.begin_with("begin immediate").await?;
        let deleted = sqlx::query(
            "delete from keys where key_id in
                 (select key_id from keys where expires_at is not null and expires_at <= ?1 order by expires_at limit ?2)",
        )
        .bind(micros(now))
        .bind(limit as i64)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        if deleted.rows_affected() > 0 {
            cut_write_ahead_log(&mut writer.connection).await?;
        }
        Ok::<_, sqlx::Error>(deleted.rows_affected())
    }
    .await;
    writer.done(expired.is_ok());
    expired
}

/// Takes deleted keys out of the write-ahead log as well. Somebody who reads the file just then, such as a backup, may
/// prevent it; the next deletion or checkpoint makes up for that.
async fn cut_write_ahead_log(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let busy_timeout: i64 = sqlx::query_scalar("pragma busy_timeout")
        .fetch_one(&mut *connection)
        .await?;
    // Appends wait as long as this does.
    sqlx::query("pragma busy_timeout = 50")
        .execute(&mut *connection)
        .await?;
    let busy: i64 = sqlx::query_scalar("pragma keys.wal_checkpoint(truncate)")
        .fetch_one(&mut *connection)
        .await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("pragma busy_timeout = {busy_timeout}")))
        .execute(connection)
        .await?;
    if busy != 0 {
        tracing::debug!("the write-ahead log of the key table is being read and keeps deleted keys a little longer");
    }
    Ok(())
}

pub(super) async fn not_under(
    pool: &SqlitePool,
    master: &str,
    after: Option<KeyId>,
    limit: usize,
) -> Result<Vec<KeyRow>, sqlx::Error> {
    let rows = sqlx::query(
        "select key_id, wrapped, master, expires_at from keys
         where key_id > ?2 and master <> ?1 order by key_id limit ?3",
    )
    .bind(master)
    .bind(after.map_or(Uuid::nil(), |key| key.0))
    .bind(limit as i64)
    .fetch_all(pool)
    .await?;
    rows.iter().map(key_row).collect()
}

pub(super) async fn rewrap(sqlite: &Sqlite, keys: &[Rewrapped], master: &str) -> Result<u64, sqlx::Error> {
    let keys: Vec<_> = keys
        .iter()
        .map(|key| (key.key.0.simple().to_string(), &key.was, hex(&key.wrapped)))
        .collect();
    let mut writer = sqlite.writer().await?;
    let rewrapped = async {
        let mut transaction = writer.connection.begin_with("begin immediate").await?;
        let updated = sqlx::query(
            "update keys set wrapped = unhex(s.value ->> 2), master = ?2 from json_each(?1) s
             where keys.key_id = unhex(s.value ->> 0) and keys.master = s.value ->> 1",
        )
        .bind(json(&keys))
        .bind(master)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok::<_, sqlx::Error>(updated.rows_affected())
    }
    .await;
    writer.done(rewrapped.is_ok());
    rewrapped
}

pub(super) async fn count_under(pool: &SqlitePool, master: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from keys where master = ?1")
        .bind(master)
        .fetch_one(pool)
        .await
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn json<T: serde::Serialize>(rows: &[T]) -> String {
    serde_json::to_string(rows).expect("strings and numbers serialize")
}

fn key_row(row: &SqliteRow) -> Result<KeyRow, sqlx::Error> {
    let expires_at: Option<i64> = row.try_get(3)?;
    let expires_at = expires_at
        .map(|micros| OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000))
        .transpose()
        .map_err(|_| sqlx::Error::Decode("expires_at is not a time".into()))?;
    Ok(KeyRow {
        key: KeyId(row.try_get(0)?),
        wrapped: row.try_get(1)?,
        master: row.try_get(2)?,
        expires_at,
    })
}

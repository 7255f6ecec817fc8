//! The key table in Postgres: schema `assent_keys`, whose functions do the work in one round trip each.

use std::collections::HashSet;

use assent_sealed::{AliasHash, KeyClass, KeyId};
use sqlx::{PgPool, Row as _, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Candidate, KeyRow, Obtained, Rewrapped};

pub(super) async fn obtain(
    pool: &PgPool,
    candidates: &[Candidate<'_>],
    master: &str,
    now: OffsetDateTime,
) -> Result<Vec<Obtained>, sqlx::Error> {
    let slots = || candidates.iter().map(|candidate| candidate.slot);
    let rows = sqlx::query(
        "select key_id, wrapped, master, expires_at, ord from assent_keys.find_or_make($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(slots().map(|slot| &slot.alias.0[..]).collect::<Vec<_>>())
    .bind(slots().map(|slot| slot.class.as_str()).collect::<Vec<_>>())
    .bind(slots().map(|slot| slot.period.name.as_str()).collect::<Vec<_>>())
    .bind(slots().map(|slot| slot.period.expires_at).collect::<Vec<_>>())
    .bind(candidates.iter().map(|candidate| candidate.key.0).collect::<Vec<_>>())
    .bind(
        candidates
            .iter()
            .map(|candidate| &candidate.wrapped[..])
            .collect::<Vec<_>>(),
    )
    .bind(master)
    .bind(now)
    .fetch_all(pool)
    .await?;
    let mut obtained: Vec<Obtained> = candidates.iter().map(|_| Obtained::Gone).collect();
    let mut made: HashSet<Uuid> = HashSet::new();
    for row in &rows {
        match row.try_get::<Option<i64>, _>(4)? {
            Some(ord) => obtained[ord as usize - 1] = Obtained::Found(key_row(row)?),
            None => {
                made.insert(row.try_get(0)?);
            }
        }
    }
    // Last: a made key may have been looked up again beside those that somebody else made.
    for (candidate, obtained) in candidates.iter().zip(&mut obtained) {
        if made.contains(&candidate.key.0) {
            *obtained = Obtained::Made;
        }
    }
    Ok(obtained)
}

pub(super) async fn load(pool: &PgPool, keys: &[KeyId]) -> Result<Vec<KeyRow>, sqlx::Error> {
    // `offset 0` keeps the planner from turning the look-ups into a join over the whole table.
    let rows = sqlx::query(
        "select k.key_id, k.wrapped, k.master, k.expires_at from unnest($1::uuid[]) w (key)
         cross join lateral (select * from assent_keys.keys where key_id = w.key offset 0) k",
    )
    .bind(uuids(keys))
    .fetch_all(pool)
    .await?;
    rows.iter().map(key_row).collect()
}

pub(super) async fn destroy(
    pool: &PgPool,
    aliases: &[AliasHash],
    classes: &[KeyClass],
    created_until: Option<OffsetDateTime>,
) -> Result<Vec<KeyId>, sqlx::Error> {
    let destroyed: Vec<Uuid> = sqlx::query_scalar("select assent_keys.destroy($1, $2, $3)")
        .bind(aliases.iter().map(|alias| &alias.0[..]).collect::<Vec<_>>())
        .bind(classes.iter().map(|class| class.as_str()).collect::<Vec<_>>())
        .bind(created_until)
        .fetch_one(pool)
        .await?;
    Ok(destroyed.into_iter().map(KeyId).collect())
}

pub(super) async fn expire(pool: &PgPool, now: OffsetDateTime, limit: usize) -> Result<u64, sqlx::Error> {
    let expired: i64 = sqlx::query_scalar("select assent_keys.expire($1, $2)")
        .bind(now)
        .bind(limit as i32)
        .fetch_one(pool)
        .await?;
    Ok(expired as u64)
}

pub(super) async fn not_under(
    pool: &PgPool,
    master: &str,
    after: Option<KeyId>,
    limit: usize,
) -> Result<Vec<KeyRow>, sqlx::Error> {
    let rows = sqlx::query(
        "select key_id, wrapped, master, expires_at from assent_keys.keys
         where key_id > $2 and master <> $1 order by key_id limit $3",
    )
    .bind(master)
    .bind(after.map_or(Uuid::nil(), |key| key.0))
    .bind(limit as i64)
    .fetch_all(pool)
    .await?;
    rows.iter().map(key_row).collect()
}

pub(super) async fn rewrap(pool: &PgPool, keys: &[Rewrapped], master: &str) -> Result<u64, sqlx::Error> {
    let rewrapped: i64 = sqlx::query_scalar("select assent_keys.rewrap($1, $2, $3, $4)")
        .bind(keys.iter().map(|key| key.key.0).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| &*key.was).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| &key.wrapped[..]).collect::<Vec<_>>())
        .bind(master)
        .fetch_one(pool)
        .await?;
    Ok(rewrapped as u64)
}

pub(super) async fn count_under(pool: &PgPool, master: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from assent_keys.keys where master = $1")
        .bind(master)
        .fetch_one(pool)
        .await
}

fn uuids(keys: &[KeyId]) -> Vec<Uuid> {
    keys.iter().map(|key| key.0).collect()
}

fn key_row(row: &PgRow) -> Result<KeyRow, sqlx::Error> {
    Ok(KeyRow {
        key: KeyId(row.try_get(0)?),
        wrapped: row.try_get(1)?,
        master: row.try_get(2)?,
        expires_at: row.try_get(3)?,
    })
}

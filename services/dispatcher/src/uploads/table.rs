//! What is remembered of links and uploads. Losing it costs an upload, nothing else.

use super::{Hash, Unfit};
use crate::tables;
use assent_domain::values::Timestamp;
use assent_event_store::EventStore;

/// What is known of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    /// The SHA-256 of what it led to.
    Leads(Hash),
    /// It cannot be sent.
    Bad(Unfit, Timestamp),
}

/// Contents at a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upload {
    pub(super) id: String,
    pub(super) uploaded_at: Timestamp,
}

const POSTGRES_TABLES: [&str; 4] = [
    "create schema if not exists assent_views",
    "create table if not exists assent_views.dispatcher_links (
         link bytea primary key, content bytea, reason text, problems text not null, until_at bigint not null)",
    "create table if not exists assent_views.dispatcher_uploads (
         upload bytea primary key, number bytea not null, media_id text not null, uploaded_at bigint not null,
         until_at bigint not null)",
    "create index if not exists idx_dispatcher_uploads_number on assent_views.dispatcher_uploads (number)",
];

const SQLITE_TABLES: [&str; 3] = [
    "create table if not exists dispatcher_links (
         link blob primary key, content blob, reason text, problems text not null, until_at integer not null)",
    "create table if not exists dispatcher_uploads (
         upload blob primary key, number blob not null, media_id text not null, uploaded_at integer not null,
         until_at integer not null)",
    "create index if not exists idx_dispatcher_uploads_number on dispatcher_uploads (number)",
];

/// Makes the tables, if they are not there.
pub(crate) async fn prepare(store: &EventStore) -> Result<(), sqlx::Error> {
    tables::make(store, &POSTGRES_TABLES, &SQLITE_TABLES).await
}

/// What is known of a link at `now`.
pub(super) async fn link(store: &EventStore, link: &Hash, now: Timestamp) -> Result<Option<Link>, sqlx::Error> {
    type Row = (Option<Vec<u8>>, Option<String>, String, i64);
    let mut found: Option<Row> = None;
    if let Some(pool) = store.postgres() {
        found = sqlx::query_as(
            "select content, reason, problems, until_at from assent_views.dispatcher_links
             where link = $1 and until_at > $2",
        )
        .bind(link.as_slice())
        .bind(now.as_micros())
        .fetch_optional(pool)
        .await?;
    }
    if let Some(pool) = store.sqlite() {
        found = sqlx::query_as(
            "select content, reason, problems, until_at from dispatcher_links where link = ?1 and until_at > ?2",
        )
        .bind(link.as_slice())
        .bind(now.as_micros())
        .fetch_optional(pool)
        .await?;
    }
    Ok(found.and_then(|(content, reason, problems, until)| {
        if let Some(reason) = reason {
            let problems = problems.lines().map(str::to_owned).collect();
            return Some(Link::Bad(Unfit { reason, problems }, Timestamp::from_micros(until)));
        }
        Some(Link::Leads(content?.try_into().ok()?))
    }))
}

/// Writes what is known of a link, until then.
pub(super) async fn put_link(
    store: &EventStore,
    link: &Hash,
    known: Result<&Hash, &Unfit>,
    until: Timestamp,
) -> Result<(), sqlx::Error> {
    let content = known.ok().map(|content| content.to_vec());
    let reason = known.err().map(|unfit| unfit.reason.clone());
    let problems = known.err().map(|unfit| unfit.problems.join("\n")).unwrap_or_default();
    if let Some(pool) = store.postgres() {
        sqlx::query(
            "insert into assent_views.dispatcher_links (link, content, reason, problems, until_at)
             values ($1, $2, $3, $4, $5) on conflict (link) do update set content = excluded.content,
             reason = excluded.reason, problems = excluded.problems, until_at = excluded.until_at",
        )
        .bind(link.as_slice())
        .bind(&content)
        .bind(&reason)
        .bind(&problems)
        .bind(until.as_micros())
        .execute(pool)
        .await?;
    }
    if let Some(pool) = store.sqlite() {
        sqlx::query(
            "insert into dispatcher_links (link, content, reason, problems, until_at)
             values (?1, ?2, ?3, ?4, ?5) on conflict (link) do update set content = excluded.content,
             reason = excluded.reason, problems = excluded.problems, until_at = excluded.until_at",
        )
        .bind(link.as_slice())
        .bind(&content)
        .bind(&reason)
        .bind(&problems)
        .bind(until.as_micros())
        .execute(pool)
        .await?;
    }
    Ok(())
}

/// The id of contents at a number, if Meta still has it at `now`.
pub(super) async fn upload(store: &EventStore, upload: &Hash, now: Timestamp) -> Result<Option<Upload>, sqlx::Error> {
    let mut found: Option<(String, i64)> = None;
    if let Some(pool) = store.postgres() {
        found = sqlx::query_as(
            "select media_id, uploaded_at from assent_views.dispatcher_uploads where upload = $1 and until_at > $2",
        )
        .bind(upload.as_slice())
        .bind(now.as_micros())
        .fetch_optional(pool)
        .await?;
    }
    if let Some(pool) = store.sqlite() {
        found =
            sqlx::query_as("select media_id, uploaded_at from dispatcher_uploads where upload = ?1 and until_at > ?2")
                .bind(upload.as_slice())
                .bind(now.as_micros())
                .fetch_optional(pool)
                .await?;
    }
    Ok(found.map(|(id, uploaded_at)| Upload {
        id,
        uploaded_at: Timestamp::from_micros(uploaded_at),
    }))
}

/// Writes an upload, until then.
pub(super) async fn put_upload(
    store: &EventStore,
    (number, hash): (&Hash, &Hash),
    upload: &Upload,
    until: Timestamp,
) -> Result<(), sqlx::Error> {
    if let Some(pool) = store.postgres() {
        sqlx::query(
            "insert into assent_views.dispatcher_uploads (upload, number, media_id, uploaded_at, until_at)
             values ($1, $2, $3, $4, $5) on conflict (upload) do update set media_id = excluded.media_id,
             uploaded_at = excluded.uploaded_at, until_at = excluded.until_at",
        )
        .bind(hash.as_slice())
        .bind(number.as_slice())
        .bind(&upload.id)
        .bind(upload.uploaded_at.as_micros())
        .bind(until.as_micros())
        .execute(pool)
        .await?;
    }
    if let Some(pool) = store.sqlite() {
        sqlx::query(
            "insert into dispatcher_uploads (upload, number, media_id, uploaded_at, until_at)
             values (?1, ?2, ?3, ?4, ?5) on conflict (upload) do update set media_id = excluded.media_id,
             uploaded_at = excluded.uploaded_at, until_at = excluded.until_at",
        )
        .bind(hash.as_slice())
        .bind(number.as_slice())
        .bind(&upload.id)
        .bind(upload.uploaded_at.as_micros())
        .bind(until.as_micros())
        .execute(pool)
        .await?;
    }
    Ok(())
}

/// Forgets the ids of a number that are that old or older.
pub(super) async fn forget_uploads(store: &EventStore, number: &Hash, until: Timestamp) -> Result<(), sqlx::Error> {
    if let Some(pool) = store.postgres() {
        sqlx::query("delete from assent_views.dispatcher_uploads where number = $1 and uploaded_at <= $2")
            .bind(number.as_slice())
            .bind(until.as_micros())
            .execute(pool)
            .await?;
    }
    if let Some(pool) = store.sqlite() {
        sqlx::query("delete from dispatcher_uploads where number = ?1 and uploaded_at <= ?2")
            .bind(number.as_slice())
            .bind(until.as_micros())
            .execute(pool)
            .await?;
    }
    Ok(())
}

/// Forgets an id of a number, if it is older than that; whether there was one.
pub(super) async fn forget_upload(
    store: &EventStore,
    number: &Hash,
    id: &str,
    before: Timestamp,
) -> Result<bool, sqlx::Error> {
    let mut rows = 0;
    if let Some(pool) = store.postgres() {
        let delete = "delete from assent_views.dispatcher_uploads
                      where number = $1 and media_id = $2 and uploaded_at < $3";
        let query = sqlx::query(delete).bind(number.as_slice()).bind(id);
        rows += query.bind(before.as_micros()).execute(pool).await?.rows_affected();
    }
    if let Some(pool) = store.sqlite() {
        let delete = "delete from dispatcher_uploads where number = ?1 and media_id = ?2 and uploaded_at < ?3";
        let query = sqlx::query(delete).bind(number.as_slice()).bind(id);
        rows += query.bind(before.as_micros()).execute(pool).await?.rows_affected();
    }
    Ok(rows > 0)
}

/// Forgets where a link led.
pub(super) async fn forget_link(store: &EventStore, link: &Hash) -> Result<(), sqlx::Error> {
    if let Some(pool) = store.postgres() {
        let query = sqlx::query("delete from assent_views.dispatcher_links where link = $1");
        query.bind(link.as_slice()).execute(pool).await?;
    }
    if let Some(pool) = store.sqlite() {
        let query = sqlx::query("delete from dispatcher_links where link = ?1");
        query.bind(link.as_slice()).execute(pool).await?;
    }
    Ok(())
}

/// Removes what is over.
pub(super) async fn remove_old(store: &EventStore, now: Timestamp) -> Result<(), sqlx::Error> {
    if let Some(pool) = store.postgres() {
        for statement in [
            "delete from assent_views.dispatcher_links where until_at <= $1",
            "delete from assent_views.dispatcher_uploads where until_at <= $1",
        ] {
            sqlx::query(statement).bind(now.as_micros()).execute(pool).await?;
        }
    }
    if let Some(pool) = store.sqlite() {
        for statement in [
            "delete from dispatcher_links where until_at <= ?1",
            "delete from dispatcher_uploads where until_at <= ?1",
        ] {
            sqlx::query(statement).bind(now.as_micros()).execute(pool).await?;
        }
    }
    Ok(())
}

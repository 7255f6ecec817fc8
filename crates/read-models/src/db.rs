//! One way to talk to both databases: values go in by column, rows come out by index.
//!
//! A statement is written once, with `$1` for its parameters. What differs is how many rows travel as one parameter: arrays
//! on Postgres, JSON on SQLite.

use std::{fmt::Write as _, sync::Arc};

use assent_event_store::EventStore;
use futures::{Stream, StreamExt as _, TryStreamExt as _, future::Either};
use sqlx::{
    AssertSqlSafe, PgPool, Postgres, Row as _, Sqlite, SqlitePool, Transaction,
    postgres::{PgArguments, PgRow},
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use uuid::Uuid;

/// The database of the read models.
#[derive(Debug, Clone)]
pub(crate) enum Db {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

/// Which words differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    Sqlite,
}

/// A parameter.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Int(i64),
    Text(String),
    Uuid(Uuid),
    Texts(Vec<String>),
    Blobs(Vec<Vec<u8>>),
    Uuids(Vec<Uuid>),
}

/// The values of one column of many rows.
#[derive(Debug)]
pub(crate) enum Column<'a> {
    Ints(Vec<i64>),
    MaybeInts(Vec<Option<i64>>),
    Texts(Vec<&'a str>),
    MaybeTexts(Vec<Option<&'a str>>),
    Blobs(Vec<&'a [u8]>),
    Uuids(Vec<Uuid>),
}

impl Column<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Ints(values) => values.len(),
            Self::MaybeInts(values) => values.len(),
            Self::Texts(values) => values.len(),
            Self::MaybeTexts(values) => values.len(),
            Self::Blobs(values) => values.len(),
            Self::Uuids(values) => values.len(),
        }
    }

    fn write_json(&self, row: usize, json: &mut String) {
        match self {
            Self::Ints(values) => write_json_int(json, values[row]),
            Self::MaybeInts(values) => match values[row] {
                Some(value) => write_json_int(json, value),
                None => json.push_str("null"),
            },
            Self::Texts(values) => write_json_text(json, values[row]),
            Self::MaybeTexts(values) => match values[row] {
                Some(value) => write_json_text(json, value),
                None => json.push_str("null"),
            },
            Self::Blobs(values) => write_json_hex(json, values[row]),
            Self::Uuids(values) => write_json_hex(json, values[row].as_bytes()),
        }
    }
}

fn write_json_int(json: &mut String, value: i64) {
    write!(json, "{value}").expect("writing to a string cannot fail");
}

fn write_json_text(json: &mut String, text: &str) {
    json.push_str(&serde_json::to_string(text).expect("text always serializes"));
}

fn write_json_hex(json: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    json.push('"');
    for byte in bytes {
        json.push(char::from(DIGITS[usize::from(byte >> 4)]));
        json.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    json.push('"');
}

/// `[[1,"a"],[2,"b"]]`: many rows as one parameter.
pub(crate) fn rows_as_json(columns: &[Column<'_>]) -> String {
    let rows = columns.first().map_or(0, Column::len);
    let mut json = String::with_capacity(rows * columns.len() * 16);
    json.push('[');
    for row in 0..rows {
        json.push_str(if row == 0 { "[" } else { ",[" });
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            column.write_json(row, &mut json);
        }
        json.push(']');
    }
    json.push(']');
    json
}

fn list_as_json<T>(values: &[T], write: impl Fn(&mut String, &T)) -> String {
    let mut json = String::from("[");
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        write(&mut json, value);
    }
    json.push(']');
    json
}

type PgQuery<'q> = Query<'q, Postgres, PgArguments>;
type SqliteQuery<'q> = Query<'q, Sqlite, SqliteArguments>;

fn bind_postgres<'q>(mut query: PgQuery<'q>, values: &[Value]) -> PgQuery<'q> {
    for value in values {
        query = match value {
            Value::Int(value) => query.bind(*value),
            Value::Text(value) => query.bind(value.clone()),
            Value::Uuid(value) => query.bind(*value),
            Value::Texts(values) => query.bind(values.clone()),
            Value::Blobs(values) => query.bind(values.clone()),
            Value::Uuids(values) => query.bind(values.clone()),
        };
    }
    query
}

fn bind_sqlite<'q>(mut query: SqliteQuery<'q>, values: &[Value]) -> SqliteQuery<'q> {
    for value in values {
        query = match value {
            Value::Int(value) => query.bind(*value),
            Value::Text(value) => query.bind(value.clone()),
            Value::Uuid(value) => query.bind(value.as_bytes().to_vec()),
            Value::Texts(values) => query.bind(list_as_json(values, |json, value| write_json_text(json, value))),
            Value::Blobs(values) => query.bind(list_as_json(values, |json, value| write_json_hex(json, value))),
            Value::Uuids(values) => query.bind(list_as_json(values, |json, value| {
                write_json_hex(json, value.as_bytes());
            })),
        };
    }
    query
}

fn bind_columns<'q>(mut query: PgQuery<'q>, columns: &[Column<'_>]) -> PgQuery<'q> {
    for column in columns {
        query = match column {
            Column::Ints(values) => query.bind(values.clone()),
            Column::MaybeInts(values) => query.bind(values.clone()),
            Column::Texts(values) => query.bind(values.as_slice()),
            Column::MaybeTexts(values) => query.bind(values.as_slice()),
            Column::Blobs(values) => query.bind(values.as_slice()),
            Column::Uuids(values) => query.bind(values.as_slice()),
        };
    }
    query
}

/// A row, by column index.
#[derive(Debug)]
pub(crate) enum Row {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

impl Row {
    pub(crate) fn int(&self, index: usize) -> Result<i64, sqlx::Error> {
        match self {
            Self::Postgres(row) => row.try_get(index),
            Self::Sqlite(row) => row.try_get(index),
        }
    }

    pub(crate) fn maybe_int(&self, index: usize) -> Result<Option<i64>, sqlx::Error> {
        match self {
            Self::Postgres(row) => row.try_get(index),
            Self::Sqlite(row) => row.try_get(index),
        }
    }

    pub(crate) fn text(&self, index: usize) -> Result<&str, sqlx::Error> {
        match self {
            Self::Postgres(row) => row.try_get(index),
            Self::Sqlite(row) => row.try_get(index),
        }
    }

    pub(crate) fn maybe_text(&self, index: usize) -> Result<Option<&str>, sqlx::Error> {
        match self {
            Self::Postgres(row) => row.try_get(index),
            Self::Sqlite(row) => row.try_get(index),
        }
    }

    pub(crate) fn blob(&self, index: usize) -> Result<&[u8], sqlx::Error> {
        match self {
            Self::Postgres(row) => row.try_get(index),
            Self::Sqlite(row) => row.try_get(index),
        }
    }

    pub(crate) fn uuid(&self, index: usize) -> Result<Uuid, sqlx::Error> {
        match self {
            Self::Postgres(row) => row.try_get(index),
            Self::Sqlite(row) => {
                let bytes: &[u8] = row.try_get(index)?;
                Uuid::from_slice(bytes).map_err(|error| sqlx::Error::Decode(error.into()))
            }
        }
    }
}

impl Db {
    pub(crate) fn of(store: &EventStore) -> Self {
        match (store.postgres(), store.sqlite()) {
            (Some(pool), _) => Self::Postgres(pool.clone()),
            (None, Some(pool)) => Self::Sqlite(pool.clone()),
            (None, None) => unreachable!("a store is in Postgres or in SQLite"),
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Postgres(_) => Dialect::Postgres,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// A transaction that writes: on SQLite it takes the one writer's place at once, so that it never has to give up later.
    pub(crate) async fn begin(&self) -> Result<Tx, sqlx::Error> {
        Ok(match self {
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
            Self::Sqlite(pool) => Tx::Sqlite(pool.begin_with("begin immediate").await?),
        })
    }

    pub(crate) async fn fetch(&self, sql: &Arc<str>, values: &[Value]) -> Result<Vec<Row>, sqlx::Error> {
        self.stream(sql, values).try_collect().await
    }

    /// Rows one after the other, for answers that do not fit into memory.
    pub(crate) fn stream<'a>(
        &'a self,
        sql: &Arc<str>,
        values: &[Value],
    ) -> impl Stream<Item = Result<Row, sqlx::Error>> + Send + 'a {
        let sql = AssertSqlSafe(sql.clone());
        match self {
            Self::Postgres(pool) => {
                let rows = bind_postgres(sqlx::query(sql), values).fetch(pool);
                Either::Left(rows.map(|row| row.map(Row::Postgres)))
            }
            Self::Sqlite(pool) => {
                let rows = bind_sqlite(sqlx::query(sql), values).fetch(pool);
                Either::Right(rows.map(|row| row.map(Row::Sqlite)))
            }
        }
    }
}

/// A transaction; rolled back when dropped.
#[derive(Debug)]
pub(crate) enum Tx {
    Postgres(Transaction<'static, Postgres>),
    Sqlite(Transaction<'static, Sqlite>),
}

impl Tx {
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Postgres(transaction) => transaction.commit().await,
            Self::Sqlite(transaction) => transaction.commit().await,
        }
    }

    /// Says how many rows it touched.
    pub(crate) async fn execute(&mut self, sql: &Arc<str>, values: &[Value]) -> Result<u64, sqlx::Error> {
        let sql = AssertSqlSafe(sql.clone());
        Ok(match self {
            Self::Postgres(transaction) => {
                let query = bind_postgres(sqlx::query(sql), values);
                query.execute(&mut **transaction).await?.rows_affected()
            }
            Self::Sqlite(transaction) => {
                let query = bind_sqlite(sqlx::query(sql), values);
                query.execute(&mut **transaction).await?.rows_affected()
            }
        })
    }

    pub(crate) async fn fetch(&mut self, sql: &Arc<str>, values: &[Value]) -> Result<Vec<Row>, sqlx::Error> {
        let sql = AssertSqlSafe(sql.clone());
        Ok(match self {
            Self::Postgres(transaction) => {
                let rows = bind_postgres(sqlx::query(sql), values)
                    .fetch_all(&mut **transaction)
                    .await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
            Self::Sqlite(transaction) => {
                let rows = bind_sqlite(sqlx::query(sql), values)
                    .fetch_all(&mut **transaction)
                    .await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
        })
    }

    /// Runs a statement over many rows: the shard is `$1`, the columns follow as arrays or as one JSON text.
    pub(crate) async fn execute_rows(
        &mut self,
        sql: &Arc<str>,
        shard: i64,
        columns: &[Column<'_>],
    ) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql.clone());
        match self {
            Self::Postgres(transaction) => {
                let query = bind_columns(sqlx::query(sql).bind(shard), columns);
                query.execute(&mut **transaction).await?;
            }
            Self::Sqlite(transaction) => {
                let query = sqlx::query(sql).bind(shard).bind(rows_as_json(columns));
                query.execute(&mut **transaction).await?;
            }
        }
        Ok(())
    }
}

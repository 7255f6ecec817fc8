//! The tables: what they hold, how a row meets one that is there, and under which names they are made.

use std::{fmt, fmt::Write as _, str::FromStr, sync::Arc};

use crate::db::{Db, Dialect};

/// A projection by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum View {
    /// Every message as it stands.
    Messages,
    /// How many messages got how far.
    Funnel,
    /// Meta's colour of each number with its history, and our own rates.
    Quality,
    /// People not written to, and why.
    Blocked,
}

/// A name that no view has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the views are messages, funnel, quality and blocked")]
pub struct UnknownView;

impl View {
    /// All views.
    pub const ALL: [Self; 4] = [Self::Messages, Self::Funnel, Self::Quality, Self::Blocked];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Funnel => "funnel",
            Self::Quality => "quality",
            Self::Blocked => "blocked",
        }
    }

    pub(crate) fn tables(self) -> &'static [&'static Table] {
        match self {
            Self::Messages => &OF_MESSAGES,
            Self::Funnel => &OF_FUNNEL,
            Self::Quality => &OF_QUALITY,
            Self::Blocked => &OF_BLOCKED,
        }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for View {
    type Err = UnknownView;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut views = Self::ALL.into_iter();
        views.find(|view| view.as_str() == text).ok_or(UnknownView)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Text,
    Blob,
    Uuid,
}

/// What becomes of a column when its row is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// It is part of the key.
    Key,
    /// The new value counts.
    Replace,
    /// Old and new are added up. A row whose sum is zero is as good as none.
    Add,
}

#[derive(Debug)]
pub(crate) struct ColumnDef {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) meeting: Meeting,
    /// Whether it is part of what the row says, and so of the digest: positions and times of recording are not.
    pub(crate) in_digest: bool,
}

/// A table. Its first column is always `shard`, which is not listed here.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [ColumnDef],
    /// Columns of the secondary indexes. None of them changes in the life of a row that is updated often.
    pub(crate) indexes: &'static [&'static str],
    /// How full Postgres packs its pages: room for updates in place.
    pub(crate) fillfactor: u8,
}

const fn key(name: &'static str, kind: Kind) -> ColumnDef {
    ColumnDef {
        name,
        kind,
        meeting: Meeting::Key,
        in_digest: true,
    }
}

const fn replaced(name: &'static str, kind: Kind) -> ColumnDef {
    ColumnDef {
        name,
        kind,
        meeting: Meeting::Replace,
        in_digest: true,
    }
}

const fn beside(name: &'static str, kind: Kind) -> ColumnDef {
    ColumnDef {
        in_digest: false,
        ..replaced(name, kind)
    }
}

const fn added(name: &'static str) -> ColumnDef {
    ColumnDef {
        name,
        kind: Kind::Int,
        meeting: Meeting::Add,
        in_digest: true,
    }
}

pub(crate) static MESSAGES: Table = Table {
    name: "messages",
    columns: &[
        key("message", Kind::Uuid),
        replaced("tenant", Kind::Text),
        replaced("accepted_at", Kind::Int),
        replaced("expires_at", Kind::Int),
        replaced("sender", Kind::Text),
        replaced("alias", Kind::Blob),
        replaced("other_aliases", Kind::Blob), // 32 bytes each
        replaced("template", Kind::Text),
        replaced("language", Kind::Text),
        replaced("purpose", Kind::Text),
        replaced("campaign", Kind::Text),
        replaced("tags", Kind::Text), // a JSON object
        replaced("state", Kind::Text),
        replaced("progress", Kind::Blob), // see `codec`
    ],
    indexes: &["shard, tenant, accepted_at, message", "alias"],
    // Messages that were asked for together move together: a page needs room for all of its rows once more, or their new
    // versions go to other pages and cost an entry in every index. With 75 half of them did.
    fillfactor: 45,
};

pub(crate) static FUNNEL: Table = Table {
    name: "funnel",
    columns: &[
        key("tenant", Kind::Text),
        key("hour", Kind::Int), // of the request, counted from the epoch
        key("sender", Kind::Text),
        key("template", Kind::Text),
        key("campaign", Kind::Text),
        key("category", Kind::Text),
        key("step", Kind::Text),
        added("messages"),
    ],
    indexes: &[],
    fillfactor: 50,
};

pub(crate) static QUALITY_DAYS: Table = Table {
    name: "quality_days",
    columns: &[
        key("tenant", Kind::Text),
        key("number", Kind::Text), // empty: of the tenant
        key("day", Kind::Int),     // counted from the epoch
        key("step", Kind::Text),
        added("messages"),
    ],
    indexes: &[],
    fillfactor: 50,
};

pub(crate) static NUMBER_CHANGES: Table = Table {
    name: "number_changes",
    columns: &[
        key("tenant", Kind::Text),
        key("number", Kind::Text),
        key("version", Kind::Int),        // of the event in its stream
        replaced("observed", Kind::Text), // the event, as JSON
        beside("position", Kind::Int),
        beside("recorded_at", Kind::Int),
    ],
    indexes: &[],
    fillfactor: 100,
};

pub(crate) static BLOCKED: Table = Table {
    name: "blocked",
    columns: &[
        key("contact", Kind::Uuid),
        key("reason", Kind::Text),
        replaced("tenant", Kind::Text),
        replaced("active", Kind::Int),
        replaced("since", Kind::Int),
        replaced("ended_at", Kind::Int),
        replaced("code", Kind::Int),
        replaced("evidence", Kind::Text), // JSON
        beside("places", Kind::Text),     // JSON: where in the log the evidence is
    ],
    indexes: &["shard, tenant, since, contact, reason"],
    fillfactor: 100,
};

static OF_MESSAGES: [&Table; 1] = [&MESSAGES];
static OF_FUNNEL: [&Table; 1] = [&FUNNEL];
static OF_QUALITY: [&Table; 2] = [&QUALITY_DAYS, &NUMBER_CHANGES];
static OF_BLOCKED: [&Table; 1] = [&BLOCKED];

impl Kind {
    fn of(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::Int, Dialect::Postgres) => "bigint",
            (Self::Int, Dialect::Sqlite) => "integer",
            // The same order as SQLite's, and cheaper to compare than a language's.
            (Self::Text, Dialect::Postgres) => "text collate \"C\"",
            (Self::Text, Dialect::Sqlite) => "text",
            (Self::Blob, Dialect::Postgres) => "bytea",
            (Self::Uuid, Dialect::Postgres) => "uuid",
            (Self::Blob | Self::Uuid, Dialect::Sqlite) => "blob",
        }
    }

    fn array(self) -> &'static str {
        match self {
            Self::Int => "bigint[]",
            Self::Text => "text[]",
            Self::Blob => "bytea[]",
            Self::Uuid => "uuid[]",
        }
    }
}

/// A table's name where it lives: a schema on Postgres, a file of its own on SQLite.
pub(crate) fn qualified(dialect: Dialect, name: &str) -> String {
    match dialect {
        Dialect::Postgres => format!("assent_views.{name}"),
        Dialect::Sqlite => name.to_owned(),
    }
}

impl Table {
    fn key_columns(&self) -> impl Iterator<Item = &'static str> {
        let keys = self.columns.iter().filter(|column| column.meeting == Meeting::Key);
        std::iter::once("shard").chain(keys.map(|column| column.name))
    }

    fn key_list(&self) -> String {
        self.key_columns().collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn create(&self, dialect: Dialect, name: &str) -> String {
        let mut sql = format!(
            "create table if not exists {} (shard {} not null",
            qualified(dialect, name),
            Kind::Int.of(dialect)
        );
        for column in self.columns {
            let null = if column.meeting == Meeting::Replace {
                ""
            } else {
                " not null"
            };
            write!(sql, ", {} {}{null}", column.name, column.kind.of(dialect)).expect("memory");
        }
        write!(sql, ", primary key ({}))", self.key_list()).expect("memory");
        match dialect {
            Dialect::Postgres => write!(sql, " with (fillfactor = {})", self.fillfactor).expect("memory"),
            Dialect::Sqlite => sql.push_str(" without rowid"),
        }
        sql
    }

    /// Index names are the table's first name and a number: renaming a table leaves them.
    pub(crate) fn create_indexes(&self, dialect: Dialect, name: &str) -> Vec<String> {
        let statement = |(number, columns): (usize, &&str)| {
            let table = qualified(dialect, name);
            format!("create index if not exists idx_{name}_{number} on {table} ({columns})")
        };
        self.indexes.iter().enumerate().map(statement).collect()
    }

    /// Writes many rows; see [`Tx::execute_rows`](crate::db::Tx::execute_rows).
    pub(crate) fn upsert(&self, dialect: Dialect, name: &str) -> Arc<str> {
        self.upsert_columns(dialect, name, |_| true)
    }

    /// Writes only some columns of rows that are known to be there. As an upsert and not as an update: that is one look-up
    /// of the key for each row, whatever the planner thinks of the table.
    pub(crate) fn update(&self, dialect: Dialect, name: &str, changing: &[&str]) -> Arc<str> {
        self.upsert_columns(dialect, name, |column| {
            column.meeting == Meeting::Key || changing.contains(&column.name)
        })
    }

    fn upsert_columns(&self, dialect: Dialect, name: &str, is_written: impl Fn(&ColumnDef) -> bool) -> Arc<str> {
        let table = qualified(dialect, name);
        let written: Vec<&ColumnDef> = self.columns.iter().filter(|column| is_written(column)).collect();
        let names: Vec<&str> = written.iter().map(|column| column.name).collect();
        let source = match dialect {
            Dialect::Postgres => {
                let arrays = written.iter().enumerate();
                let arrays: Vec<String> = arrays
                    .map(|(index, column)| format!("${}::{}", index + 2, column.kind.array()))
                    .collect();
                format!("select $1::bigint, u.* from unnest({}) as u", arrays.join(", "))
            }
            Dialect::Sqlite => {
                let values = written.iter().enumerate();
                let values: Vec<String> = values
                    .map(|(index, column)| match column.kind {
                        Kind::Int | Kind::Text => format!("value ->> {index}"),
                        Kind::Blob | Kind::Uuid => format!("unhex(value ->> {index})"),
                    })
                    .collect();
                format!("select $1, {} from json_each($2) where true", values.join(", "))
            }
        };
        let updates = written.iter().filter_map(|column| {
            let name = column.name;
            match column.meeting {
                Meeting::Key => None,
                Meeting::Replace => Some(format!("{name} = excluded.{name}")),
                Meeting::Add => Some(format!("{name} = t.{name} + excluded.{name}")),
            }
        });
        let updates: Vec<String> = updates.collect();
        format!(
            "insert into {table} as t (shard, {}) {source} on conflict ({}) do update set {}",
            names.join(", "),
            self.key_list(),
            updates.join(", ")
        )
        .into()
    }

    /// What the rows of a shard say, in the order of their keys.
    pub(crate) fn contents(&self, dialect: Dialect) -> Arc<str> {
        let columns = self.columns.iter().filter(|column| column.in_digest);
        let columns: Vec<&str> = columns.map(|column| column.name).collect();
        let counts: Vec<String> = self
            .columns
            .iter()
            .filter(|column| column.meeting == Meeting::Add)
            .map(|column| format!(" and {} <> 0", column.name))
            .collect();
        format!(
            "select {} from {} where shard = $1{} order by {}",
            columns.join(", "),
            qualified(dialect, self.name),
            counts.concat(),
            self.key_list()
        )
        .into()
    }
}

/// How far the views of each shard are, which rebuilds are at work, and how many there were. `epoch` changes when a view was
/// replaced, so that a reader forgets what it remembers of the old one.
const BOOKKEEPING: [(&str, &str); 2] = [
    (
        "positions",
        "(shard bigint primary key, position bigint not null, recorded_at bigint not null, epoch bigint not null)",
    ),
    (
        "rebuilds",
        "(view text primary key, generation bigint not null, owner text not null, beat_at bigint not null)",
    ),
];

/// Makes what is missing. Safe to run again, and by several at once.
pub(crate) async fn migrate(db: &Db, shards: impl Iterator<Item = i64>) -> Result<(), sqlx::Error> {
    /// The lock of everybody who makes something in this schema; consent, dispatcher and suppression take the same one.
    const LOCK: &str = "select pg_advisory_xact_lock(7310578193325)";
    let dialect = db.dialect();
    let mut tx = db.begin().await?;
    if dialect == Dialect::Postgres {
        tx.execute(&LOCK.into(), &[]).await?;
        tx.execute(&"create schema if not exists assent_views".into(), &[])
            .await?;
    }
    for (name, columns) in BOOKKEEPING {
        let sql = format!("create table if not exists {} {columns}", qualified(dialect, name));
        tx.execute(&sql.into(), &[]).await?;
    }
    // Before the tables, as whoever writes: this waits for a batch that is being written by another process, and an index that is
    // there already holds up the next one until this is committed. The other way round each waits for the other.
    for shard in shards {
        let sql = format!(
            "insert into {} (shard, position, recorded_at, epoch) values ($1, 0, 0, 0) on conflict do nothing",
            qualified(dialect, "positions")
        );
        tx.execute(&sql.into(), &[crate::db::Value::Int(shard)]).await?;
    }
    for table in View::ALL.into_iter().flat_map(View::tables) {
        tx.execute(&table.create(dialect, table.name).into(), &[]).await?;
        // A table that was rebuilt has its indexes under other names.
        let is_first = !was_rebuilt(&mut tx, dialect, table).await?;
        for index in table
            .create_indexes(dialect, table.name)
            .into_iter()
            .filter(|_| is_first)
        {
            tx.execute(&index.into(), &[]).await?;
        }
    }
    tx.commit().await
}

async fn was_rebuilt(tx: &mut crate::db::Tx, dialect: Dialect, table: &Table) -> Result<bool, sqlx::Error> {
    let view = View::ALL
        .into_iter()
        .find(|view| view.tables().iter().any(|known| known.name == table.name));
    let sql = format!(
        "select generation from {} where view = $1 and generation > 0",
        qualified(dialect, "rebuilds")
    );
    let name = view.map_or("", View::as_str).to_owned();
    Ok(!tx.fetch(&sql.into(), &[crate::db::Value::Text(name)]).await?.is_empty())
}

//! One of a writer's lanes: does one thing after another, each as soon as the one before is answered.

use std::time::Duration;

use assent_event_store::{Append, AppendError, EventStore, Expected, NewEvent, ShardId, StreamId};
use sqlx::{Connection as _, PgConnection};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    job::{Conflicts, Job, Target, Work},
    rows::{CATEGORY, Rows, preset_key, with_sent_us},
    writer::now_us,
};

/// What a lane was told.
#[derive(Debug)]
pub(crate) enum Answer {
    /// So many events are durable.
    Written(u64),
    /// The expected version was wrong.
    Conflict,
    /// Anything else.
    Failed(String),
}

/// What a lane does next, made before its time is taken.
#[derive(Debug)]
pub(crate) enum Prepared {
    Append(Append),
    Rows(Vec<(Uuid, NewEvent)>),
}

#[derive(Debug)]
pub(crate) struct Lane {
    rows: Rows,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Append {
        store: EventStore,
        shard: ShardId,
        style: Style,
    },
    Unordered {
        connection: PgConnection,
    },
    Unnest {
        connection: PgConnection,
        rows: usize,
        position: i64,
    },
}

/// Which stream and version an append names.
#[derive(Debug)]
enum Style {
    New,
    KnownConflicts { odd: bool, last: Uuid },
    UnknownConflicts { odd: bool, next: std::vec::IntoIter<Uuid> },
    Hot(StreamId),
    Paced { interval: Duration, next: Instant },
}

impl Lane {
    pub(crate) async fn open(job: &Job, number: usize, store: Option<&EventStore>) -> anyhow::Result<Self> {
        let rows = Rows::new(job.seed, job.run, job.writer, number as u64);
        let first = ShardId(0);
        let append = |shard, style| -> anyhow::Result<Kind> {
            let store = store.ok_or_else(|| anyhow::anyhow!("appends need a store"))?.clone();
            Ok(Kind::Append { store, shard, style })
        };
        let odd = number % 2 == 1;
        let kind = match &job.work {
            Work::Append { shards } => append(ShardId(shards[number % shards.len()]), Style::New)?,
            Work::Paced { per_second } => {
                let interval = Duration::from_secs(1) * job.in_flight as u32 / *per_second;
                // The lanes take turns.
                let next = Instant::now() + interval * number as u32 / job.in_flight as u32;
                append(first, Style::Paced { interval, next })?
            }
            Work::HalfConflicts { conflicts } => {
                let style = match *conflicts {
                    Conflicts::Known => Style::KnownConflicts { odd, last: Uuid::nil() },
                    Conflicts::Unknown { run, from, to } => {
                        let numbers = (from..to).skip(number).step_by(job.in_flight);
                        let keys: Vec<Uuid> = numbers.map(|stream| preset_key(job.seed, run, stream)).collect();
                        let next = keys.into_iter();
                        Style::UnknownConflicts { odd, next }
                    }
                };
                append(first, style)?
            }
            Work::Hot { stream } => append(first, Style::Hot(StreamId::new("contact", *stream)))?,
            Work::UnorderedInsert => Kind::Unordered {
                connection: connect(&job.target).await?,
            },
            Work::UnnestInsert { rows } => {
                let mut connection = connect(&job.target).await?;
                let position = sqlx::query_scalar("select coalesce(max(position), 0) from yardsticks.bare")
                    .fetch_one(&mut connection)
                    .await?;
                Kind::Unnest {
                    connection,
                    rows: *rows,
                    position,
                }
            }
        };
        Ok(Self { rows, kind })
    }

    /// Makes what [`run`](Self::run) writes next, when its time has come.
    pub(crate) async fn prepare(&mut self) -> Prepared {
        let mut row = || (self.rows.key(), self.rows.event());
        let style = match &mut self.kind {
            Kind::Append { style, .. } => style,
            Kind::Unordered { .. } => return Prepared::Rows(vec![row()]),
            Kind::Unnest { rows, .. } => return Prepared::Rows((0..*rows).map(|_| row()).collect()),
        };
        let (fresh, mut event) = row();
        let request = |key| StreamId::new(CATEGORY, key);
        let (stream, expected) = match style {
            Style::New => (request(fresh), Expected::NoStream),
            Style::Hot(stream) => (stream.clone(), Expected::Any),
            Style::Paced { interval, next } => {
                tokio::time::sleep_until(*next).await;
                // Late ones are not made up for in a burst.
                *next = (*next + *interval).max(Instant::now());
                event = with_sent_us(event, now_us());
                (request(fresh), Expected::NoStream)
            }
            Style::KnownConflicts { odd, last } => {
                *odd = !*odd;
                if *odd && !last.is_nil() {
                    (request(*last), Expected::NoStream)
                } else {
                    *last = fresh;
                    (request(fresh), Expected::NoStream)
                }
            }
            Style::UnknownConflicts { odd, next } => {
                *odd = !*odd;
                let met = if *odd { next.next() } else { None };
                (request(met.unwrap_or(fresh)), Expected::NoStream)
            }
        };
        Prepared::Append(Append::new().write(stream, expected, [event]))
    }

    pub(crate) async fn run(&mut self, work: Prepared) -> Answer {
        match (&mut self.kind, work) {
            (Kind::Append { store, shard, .. }, Prepared::Append(append)) => match store.append(*shard, append).await {
                Ok(appended) => Answer::Written(appended.last - appended.first + 1),
                Err(AppendError::Conflict { .. }) => Answer::Conflict,
                Err(error) => Answer::Failed(error.to_string()),
            },
            (Kind::Unordered { connection }, Prepared::Rows(rows)) => {
                answer(1, insert_unordered(connection, &rows[0]).await)
            }
            (
                Kind::Unnest {
                    connection, position, ..
                },
                Prepared::Rows(rows),
            ) => {
                let first = *position + 1;
                *position += rows.len() as i64;
                answer(rows.len() as u64, insert_unnest(connection, first, &rows).await)
            }
            (kind, work) => Answer::Failed(format!("{kind:?} cannot write {work:?}")),
        }
    }
}

fn answer(events: u64, outcome: Result<(), sqlx::Error>) -> Answer {
    match outcome {
        Ok(()) => Answer::Written(events),
        Err(error) => Answer::Failed(error.to_string()),
    }
}

async fn connect(target: &Target) -> anyhow::Result<PgConnection> {
    match target {
        Target::Postgres { url } => Ok(PgConnection::connect(url).await?),
        Target::Sqlite { .. } => anyhow::bail!("the yardsticks are Postgres'"),
    }
}

/// A single row, its position drawn from a sequence.
async fn insert_unordered(connection: &mut PgConnection, (key, event): &(Uuid, NewEvent)) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into yardsticks.unordered
             (shard, schema_version, version, recorded_at, stream, event_id, category, type, data, meta)
         values ($1, $2, 1, now(), $3, $4, $5, $6, $7, $8)",
    )
    .bind(0_i16)
    .bind(event.schema_version as i16)
    .bind(key)
    .bind(event.id)
    .bind(CATEGORY)
    .bind(event.kind.as_str())
    .bind(&event.data[..])
    .bind(&event.meta[..])
    .execute(connection)
    .await
    .map(drop)
}

/// Many rows in one statement, with positions and versions that the client has counted itself.
async fn insert_unnest(
    connection: &mut PgConnection,
    first: i64,
    rows: &[(Uuid, NewEvent)],
) -> Result<(), sqlx::Error> {
    let positions: Vec<i64> = (first..).take(rows.len()).collect();
    sqlx::query(
        "insert into yardsticks.bare
             (shard, schema_version, version, position, recorded_at, stream, event_id, category, type, data, meta)
         select $1, u.schema, u.version, u.position, now(), u.stream, u.id, u.category, u.type, u.data, u.meta
           from unnest($2::smallint[], $3::integer[], $4::bigint[], $5::uuid[], $6::uuid[], $7::text[], $8::text[],
                       $9::bytea[], $10::bytea[]) u (schema, version, position, stream, id, category, type, data, meta)",
    )
    .bind(0_i16)
    .bind(
        rows.iter()
            .map(|(_, event)| event.schema_version as i16)
            .collect::<Vec<_>>(),
    )
    .bind(vec![1_i32; rows.len()])
    .bind(positions)
    .bind(rows.iter().map(|(key, _)| *key).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, event)| event.id).collect::<Vec<_>>())
    .bind(vec![CATEGORY; rows.len()])
    .bind(rows.iter().map(|(_, event)| event.kind.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, event)| &event.data[..]).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, event)| &event.meta[..]).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
}

//! The faults of a run, and when they come.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde::Serialize;
use sqlx::{Connection as _, PgConnection};

use super::{conductor::Arena, readers::now_us};

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// `kill -9` of a writing process; another starts.
    KillWriter,
    /// The server ends the connections that the writers append through.
    CutConnections,
    /// `kill -9` of all of Postgres; it starts again and recovers.
    KillPostgres,
    /// `kill -9` of the process that runs the relay; another starts.
    KillRelay,
    /// `kill -9` of JetStream; it starts again.
    KillNats,
    /// A transaction of somebody else, on a table of somebody else, that has written and stays open.
    Stranger,
}

/// Every run has each of these at least once.
const CYCLE: [Fault; 8] = [
    Fault::KillWriter,
    Fault::CutConnections,
    Fault::KillPostgres,
    Fault::KillRelay,
    Fault::KillNats,
    Fault::Stranger,
    Fault::CutConnections,
    Fault::KillWriter,
];

/// Of the writers' connections, how many the server ends at once, in percent.
const CUT_PERCENT: u32 = 60;

/// Decides by the seed which fault comes when, and keeps count.
#[derive(Debug)]
pub(super) struct Nemesis {
    random: StdRng,
    pauses: (Duration, Duration),
    stranger: Duration,
    /// How often each fault came.
    pub(super) counts: BTreeMap<Fault, u64>,
    /// From when to when strangers had their transactions open, in microseconds since the epoch.
    pub(super) strangers_us: Vec<(i64, i64)>,
}

impl Nemesis {
    pub(super) fn new(seed: u64, pauses: (Duration, Duration), stranger: Duration) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            pauses,
            stranger,
            counts: BTreeMap::new(),
            strangers_us: Vec::new(),
        }
    }

    /// Lets every fault loose, in an order and at moments of its own.
    pub(super) async fn cycle(&mut self, arena: &mut Arena) -> anyhow::Result<()> {
        let mut faults = CYCLE;
        faults.shuffle(&mut self.random);
        for fault in faults {
            let pause = self.random.random_range(self.pauses.0..=self.pauses.1);
            tokio::time::sleep(pause).await;
            self.strike(fault, arena)
                .await
                .with_context(|| format!("while letting {fault:?} loose"))?;
        }
        Ok(())
    }

    async fn strike(&mut self, fault: Fault, arena: &mut Arena) -> anyhow::Result<()> {
        tracing::info!(?fault, "a fault");
        match fault {
            Fault::KillWriter => {
                let index = self.random.random_range(0..arena.writers.len());
                arena.restart_writer(index)?;
            }
            Fault::CutConnections => cut_connections(&arena.database_url, &mut self.random).await?,
            Fault::KillPostgres => {
                arena.postgres.kill_9();
                arena.postgres.start_again().await?;
            }
            Fault::KillRelay => arena.restart_relay()?,
            Fault::KillNats => {
                arena.nats.kill_9();
                arena.nats.start_again().await?;
            }
            Fault::Stranger => {
                // What went wrong before must be over, or its delay would be blamed on the stranger.
                arena.readers_caught_up().await?;
                let opened = be_a_stranger(&arena.database_url, self.stranger).await?;
                self.strangers_us.push(opened);
            }
        }
        *self.counts.entry(fault).or_default() += 1;
        Ok(())
    }
}

async fn cut_connections(url: &str, random: &mut StdRng) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    let mut writers: Vec<i32> = sqlx::query_scalar(
        "select pid from pg_stat_activity
         where datname = current_database() and query like '%assent_log.flush(%' and pid <> pg_backend_pid() order by pid",
    )
    .fetch_all(&mut connection)
    .await?;
    writers.retain(|_| random.random_ratio(CUT_PERCENT, 100));
    sqlx::query("select pg_terminate_backend(pid) from unnest($1) pid")
        .bind(writers)
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}

/// Writes in a transaction, leaves it open for a while and commits; says from when to when it was open.
async fn be_a_stranger(url: &str, open_for: Duration) -> anyhow::Result<(i64, i64)> {
    let mut connection = PgConnection::connect(url).await?;
    let mut transaction = connection.begin().await?;
    sqlx::query("insert into strangers default values")
        .execute(&mut *transaction)
        .await?;
    let from = now_us();
    tokio::time::sleep(open_for).await;
    let has_written: bool = sqlx::query_scalar("select pg_current_xact_id_if_assigned() is not null")
        .fetch_one(&mut *transaction)
        .await?;
    anyhow::ensure!(
        has_written,
        "the stranger's transaction has no id, so it held nobody up"
    );
    let until = now_us();
    transaction.commit().await?;
    connection.close().await?;
    Ok((from, until))
}

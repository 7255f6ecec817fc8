//! What everything has used, and what the log holds, at one instant.

use std::collections::BTreeMap;

use assent_tests::{
    processes::own_cpu_time,
    system::{MetricsPage, Role, System, Usage},
};
use sqlx::{Connection as _, PgConnection};

/// What everything has used so far.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) usage: UsageOfAll,
    pub(crate) log: LogCounts,
    pub(crate) metrics: BTreeMap<Role, MetricsPage>,
}

#[derive(Debug)]
pub(crate) struct UsageOfAll {
    /// The services, the database and the broker: what a message costs.
    pub(crate) ours: BTreeMap<&'static str, Usage>,
    pub(crate) simulator: Usage,
    pub(crate) driver_cpu_seconds: f64,
}

/// What the log holds.
#[derive(Debug)]
pub(crate) struct LogCounts {
    pub(crate) flushes: i64,
    pub(crate) events_by_type: BTreeMap<String, i64>,
}

impl Snapshot {
    /// Before the clock starts: what costs something is asked first.
    pub(crate) async fn before(system: &System) -> anyhow::Result<Self> {
        let log = LogCounts::read(system).await?;
        let metrics = all_metrics(system).await?;
        Ok(Self {
            log,
            metrics,
            usage: UsageOfAll::read(system),
        })
    }

    /// After the clock has stopped: what costs something is asked last.
    pub(crate) async fn after(system: &System) -> anyhow::Result<Self> {
        let usage = UsageOfAll::read(system);
        Ok(Self {
            usage,
            log: LogCounts::read(system).await?,
            metrics: all_metrics(system).await?,
        })
    }
}

impl UsageOfAll {
    fn read(system: &System) -> Self {
        let mut ours: BTreeMap<&'static str, Usage> = Role::ALL
            .into_iter()
            .map(|role| (role.name(), system.usage(role)))
            .collect();
        ours.insert("postgres", system.postgres_usage());
        ours.insert("nats", system.nats_usage());
        Self {
            ours,
            simulator: system.simulator_usage(),
            driver_cpu_seconds: own_cpu_time().as_secs_f64(),
        }
    }
}

impl LogCounts {
    async fn read(system: &System) -> anyhow::Result<Self> {
        let mut connection = PgConnection::connect(system.database_url()).await?;
        let flushes = sqlx::query_scalar("select count(*) from assent_log.chain")
            .fetch_one(&mut connection)
            .await?;
        let by_type: Vec<(String, i64)> = sqlx::query_as("select type, count(*) from assent_log.events group by type")
            .fetch_all(&mut connection)
            .await?;
        connection.close().await?;
        Ok(Self {
            flushes,
            events_by_type: by_type.into_iter().collect(),
        })
    }
}

async fn all_metrics(system: &System) -> anyhow::Result<BTreeMap<Role, MetricsPage>> {
    let mut pages = BTreeMap::new();
    for role in Role::ALL {
        pages.insert(role, system.metrics(role).await?);
    }
    Ok(pages)
}

//! Leases: who is the active reader of a name, or the leader of a shard.

use std::time::Duration;

use tokio::{sync::watch, task::JoinHandle, time::Instant};
use uuid::Uuid;

use crate::{adapter::Adapter, event::ShardId, limits, store::EventStore};

/// A lease that is held until it is dropped, released or lost.
///
/// While it is held a task renews it. A process that is stopped for longer than the lease lasts finds it lost when it
/// wakes; the *fence*, which grows with each new owner, keeps it from moving a checkpoint meanwhile.
#[derive(Debug)]
pub(crate) struct Lease {
    store: EventStore,
    name: String,
    shard: ShardId,
    owner: Uuid,
    pub(crate) fence: i64,
    /// Until when the lease is certain to be held.
    until: watch::Receiver<Instant>,
    renewal: JoinHandle<()>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl Lease {
    /// Asks for the lease once.
    async fn try_acquire(
        store: &EventStore,
        name: &str,
        shard: ShardId,
        owner: Uuid,
    ) -> Result<Option<Self>, sqlx::Error> {
        let asked = Instant::now();
        let Some(fence) = acquire(store.adapter(), name, shard, owner).await? else {
            return Ok(None);
        };
        let (renewed, until) = watch::channel(asked + limits::LEASE_TTL);
        let renewal = tokio::spawn(renew(store.clone(), name.to_owned(), shard, owner, fence, renewed));
        Ok(Some(Self {
            store: store.clone(),
            name: name.to_owned(),
            shard,
            owner,
            fence,
            until,
            renewal,
        }))
    }

    /// Waits until the lease is free and `owner` has it. An owner that asks again gets it back at once.
    pub(crate) async fn acquire(store: &EventStore, name: &str, shard: ShardId, owner: Uuid) -> Self {
        loop {
            match Self::try_acquire(store, name, shard, owner).await {
                Ok(Some(lease)) => return lease,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(name, shard = shard.0, %error, "the lease cannot be asked for; trying again");
                }
            }
            tokio::time::sleep(limits::LEASE_RENEWAL).await;
        }
    }

    pub(crate) fn is_held(&self) -> bool {
        *self.until.borrow() > Instant::now()
    }

    /// Completes when the lease is lost.
    pub(crate) async fn lost(&mut self) {
        loop {
            let until = *self.until.borrow_and_update();
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                changed = self.until.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Gives the lease back, so that a successor need not wait for it to expire.
    pub(crate) async fn release(self) {
        self.renewal.abort();
        if let Err(error) = release(self.store.adapter(), &self.name, self.shard, self.owner).await {
            tracing::debug!(name = self.name, %error, "the lease was not released; it will expire");
        }
    }
}

async fn renew(
    store: EventStore,
    name: String,
    shard: ShardId,
    owner: Uuid,
    fence: i64,
    renewed: watch::Sender<Instant>,
) {
    loop {
        tokio::time::sleep(limits::LEASE_RENEWAL).await;
        let asked = Instant::now();
        match tokio::time::timeout(limits::LEASE_TTL, acquire(store.adapter(), &name, shard, owner)).await {
            Ok(Ok(Some(now))) if now == fence => {
                renewed.send_replace(asked + limits::LEASE_TTL);
            }
            // Somebody else has it, or had it between: whoever relies on this lease must start over. `until` runs out.
            Ok(Ok(_)) => return,
            Ok(Err(error)) => tracing::warn!(name, shard = shard.0, %error, "the lease was not renewed"),
            Err(_elapsed) => tracing::warn!(name, shard = shard.0, "renewing the lease had no answer"),
        }
    }
}

const fn micros(duration: Duration) -> i64 {
    duration.as_micros() as i64
}

/// Takes the lease if it is free or expired, renews it if it is ours; the fence if we have it now.
async fn acquire(adapter: &Adapter, name: &str, shard: ShardId, owner: Uuid) -> Result<Option<i64>, sqlx::Error> {
    match adapter {
        Adapter::Postgres(postgres) => {
            sqlx::query_scalar(
                "insert into assent_feed.leases as l (name, shard, owner, fence, lease_until)
                 values ($1, $2, $3, 1, now() + $4 * interval '1 microsecond')
                 on conflict (name, shard) do update
                 set owner = excluded.owner, lease_until = excluded.lease_until,
                     fence = l.fence + case when l.owner = excluded.owner then 0 else 1 end
                 where l.owner = excluded.owner or l.lease_until < now()
                 returning fence",
            )
            .bind(name)
            .bind(shard.0 as i16)
            .bind(owner)
            .bind(micros(limits::LEASE_TTL))
            .fetch_optional(&postgres.views)
            .await
        }
        Adapter::Sqlite(sqlite) => {
            let now = crate::chain::micros(time::OffsetDateTime::now_utc());
            sqlx::query_scalar(
                "insert into leases (name, shard, owner, fence, lease_until) values (?1, ?2, ?3, 1, ?4)
                 on conflict (name, shard) do update
                 set fence = fence + (owner <> excluded.owner), owner = excluded.owner, lease_until = excluded.lease_until
                 where owner = excluded.owner or lease_until < ?5
                 returning fence",
            )
            .bind(name)
            .bind(shard.0)
            .bind(owner)
            .bind(now + micros(limits::LEASE_TTL))
            .bind(now)
            .fetch_optional(&sqlite.views)
            .await
        }
    }
}

async fn release(adapter: &Adapter, name: &str, shard: ShardId, owner: Uuid) -> Result<(), sqlx::Error> {
    match adapter {
        Adapter::Postgres(postgres) => {
            sqlx::query(
                "update assent_feed.leases set lease_until = '-infinity' where name = $1 and shard = $2 and owner = $3",
            )
            .bind(name)
            .bind(shard.0 as i16)
            .bind(owner)
            .execute(&postgres.views)
            .await?;
        }
        Adapter::Sqlite(sqlite) => {
            sqlx::query("update leases set lease_until = 0 where name = ?1 and shard = ?2 and owner = ?3")
                .bind(name)
                .bind(shard.0)
                .bind(owner)
                .execute(&sqlite.views)
                .await?;
        }
    }
    Ok(())
}

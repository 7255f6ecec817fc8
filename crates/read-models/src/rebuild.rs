//! Making views again from the log, while the old ones keep serving.
//!
//! The new rows are folded into tables of another name. Once they have caught up, one transaction folds what is left, drops
//! the old tables and gives their names to the new ones: nobody ever sees half of it. Killed before that, a rebuild leaves
//! tables that nobody reads; the next one drops them. It appends nothing to the log.

use std::{sync::Arc, time::SystemTime};

use assent_domain::events::is_known;
use assent_event_store::{ReadError, RecordedEvent, ShardId};
use uuid::Uuid;

use crate::{
    apply::{Folder, Target},
    db::{Db, Dialect, Tx, Value},
    error::{QueryError, RebuildError, ViewsError},
    limits,
    schema::{FUNNEL, MESSAGES, QUALITY_DAYS, Table, View, qualified},
    views::Views,
};

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilding {
    /// Events folded so far, over all shards.
    pub done: u64,
    /// Events to fold, as far as is known now.
    pub total: u64,
}

/// A rebuild at work: the right to write the tables of one generation.
struct Build {
    views: Views,
    names: Vec<View>,
    generation: i64,
    owner: String,
    beat: Arc<str>,
}

fn now_micros() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    since_epoch.as_micros() as i64
}

fn shard_value(shard: ShardId) -> Value {
    Value::Int(i64::from(shard.0))
}

/// What is made for these views; counts need the messages they are sums over, even if those are not replaced.
fn tables_for(names: &[View]) -> Vec<&'static Table> {
    let mut tables: Vec<&'static Table> = names.iter().flat_map(|view| view.tables()).copied().collect();
    let counts = tables
        .iter()
        .any(|table| table.name == FUNNEL.name || table.name == QUALITY_DAYS.name);
    if counts && !names.contains(&View::Messages) {
        tables.push(&MESSAGES);
    }
    tables
}

impl Views {
    /// Makes views again from the log, all shards of them, and puts them in the place of the old ones once they have caught up
    /// with those. Dropping the future leaves the old ones serving.
    pub async fn rebuild(&self, names: &[View], progress: impl FnMut(Rebuilding) + Send) -> Result<(), RebuildError> {
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        self.begin_rebuild(names).await?.run(progress).await
    }

    async fn begin_rebuild(&self, names: Vec<View>) -> Result<Build, RebuildError> {
        let dialect = self.db.dialect();
        let rebuilds = qualified(dialect, "rebuilds");
        let owner = Uuid::new_v4().to_string();
        let mut tx = self.db.begin().await?;
        // Found or made in the order of names, so that two rebuilds cannot wait for each other.
        let take: Arc<str> = format!(
            "insert into {rebuilds} as r (view, generation, owner, beat_at) values ($1, 1, $2, $3)
             on conflict (view) do update set generation = r.generation + 1, owner = excluded.owner, beat_at = excluded.beat_at
             where r.owner = '' or r.beat_at < $4 returning generation"
        )
        .into();
        let raise: Arc<str> = format!("update {rebuilds} set generation = $2 where view = $1").into();
        let dead = now_micros() - limits::REBUILD_DEAD_AFTER.as_micros() as i64;
        let mut generation = 0;
        for view in &names {
            let values = [
                Value::Text(view.to_string()),
                Value::Text(owner.clone()),
                Value::Int(now_micros()),
                Value::Int(dead),
            ];
            let rows = tx.fetch(&take, &values).await?;
            let row = rows.first().ok_or(RebuildError::Busy { view: *view })?;
            generation = generation.max(row.int(0)?);
        }
        let name = |table: &str, generation: i64| format!("{table}_{}_g{generation}", purpose(&names));
        for view in &names {
            let values = [Value::Text(view.to_string()), Value::Int(generation)];
            tx.execute(&raise, &values).await?;
            drop_left_overs(&mut tx, dialect, *view).await?;
        }
        let build = Build {
            views: self.clone(),
            generation,
            owner,
            beat: format!("update {rebuilds} set beat_at = $3 where view = $1 and owner = $2").into(),
            names: names.clone(),
        };
        for table in tables_for(&names) {
            tx.execute(&table.create(dialect, &name(table.name, generation)).into(), &[])
                .await?;
        }
        tx.commit().await?;
        Ok(build)
    }
}

/// Views are named in the names of the tables that are made for them: what a dead rebuild left can be told by it.
fn purpose(names: &[View]) -> String {
    names.iter().map(|view| &view.as_str()[..1]).collect()
}

async fn drop_left_overs(tx: &mut Tx, dialect: Dialect, view: View) -> Result<(), sqlx::Error> {
    let sql = match dialect {
        Dialect::Postgres => "select tablename::text from pg_tables where schemaname = 'assent_views'",
        Dialect::Sqlite => "select name from sqlite_schema where type = 'table'",
    };
    let letter = &view.as_str()[..1];
    for row in tx.fetch(&sql.into(), &[]).await? {
        let name = row.text(0)?;
        if is_left_over(name, letter) {
            let drop = format!("drop table {}", qualified(dialect, name));
            tx.execute(&drop.into(), &[]).await?;
        }
    }
    Ok(())
}

/// Whether a table was made by a rebuild of the view with this first letter.
fn is_left_over(name: &str, letter: &str) -> bool {
    let tables = View::ALL.into_iter().flat_map(View::tables);
    tables
        .filter_map(|table| name.strip_prefix(table.name)?.strip_prefix('_'))
        .any(|rest| {
            rest.split_once("_g").is_some_and(|(purpose, number)| {
                purpose.contains(letter) && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
            })
        })
}

impl Build {
    fn dialect(&self) -> Dialect {
        self.views.db.dialect()
    }

    fn name(&self, table: &str) -> String {
        format!("{table}_{}_g{}", purpose(&self.names), self.generation)
    }

    async fn run(&self, mut progress: impl FnMut(Rebuilding) + Send) -> Result<(), RebuildError> {
        let shards: Vec<ShardId> = self.views.store.shards().collect();
        let mut folders: Vec<(Folder, ShardId, u64)> = Vec::new();
        for shard in shards {
            let target = Target::new(self.dialect(), &self.names, |table| self.name(table));
            folders.push((Folder::new(self.views.store.clone(), shard, target), shard, 0));
        }
        let mut is_indexed = false;
        // Again until all shards are close at once: while one is folded, the others go on.
        loop {
            let mut behind = 0;
            for index in 0..folders.len() {
                loop {
                    let (done, total) = self.tally(&folders).await?;
                    progress(Rebuilding { done, total });
                    let (folder, shard, position) = &mut folders[index];
                    let goal = self.views.position(*shard).await.map_err(ViewsError::from)?.position;
                    if *position >= goal {
                        break;
                    }
                    *position = self.fold(folder, *shard, *position, goal).await?;
                }
            }
            for (_, shard, position) in &folders {
                let goal = self.views.position(*shard).await.map_err(ViewsError::from)?.position;
                behind += goal.saturating_sub(*position);
            }
            if behind > limits::SWAP_EVENTS_MAX {
                continue;
            }
            if is_indexed {
                break;
            }
            self.index().await?;
            is_indexed = true;
        }
        self.swap(&mut folders).await?;
        let (done, total) = self.tally(&folders).await?;
        progress(Rebuilding {
            done,
            total: total.min(done),
        });
        Ok(())
    }

    async fn tally(&self, folders: &[(Folder, ShardId, u64)]) -> Result<(u64, u64), RebuildError> {
        let (mut done, mut total) = (0, 0);
        for (_, shard, position) in folders {
            done += position;
            total += self.views.position(*shard).await.map_err(ViewsError::from)?.position;
        }
        Ok((done, total.max(done)))
    }

    /// Folds the next events up to `goal`, in a transaction of its own. Says how far it came.
    async fn fold(&self, folder: &mut Folder, shard: ShardId, after: u64, goal: u64) -> Result<u64, RebuildError> {
        let wanted = ((goal - after) as usize).min(limits::REBUILD_BATCH_EVENTS_MAX);
        let events = self
            .views
            .store
            .read_shard(shard, after, wanted)
            .await
            .map_err(ViewsError::from)?;
        let Some(last) = events.last() else { return Ok(goal) };
        check_understood(&events)?;
        let prepared = folder.prepare(Some(&self.views.db), &events).await?;
        let mut tx = self.views.db.begin().await?;
        self.beat(&mut tx).await?;
        let written = folder.write(&mut tx, prepared).await?;
        tx.commit().await?;
        folder.remember(written);
        Ok(last.position)
    }

    /// Shows that the rebuild lives, and learns whether it was replaced.
    async fn beat(&self, tx: &mut Tx) -> Result<(), RebuildError> {
        for view in &self.names {
            let values = [
                Value::Text(view.to_string()),
                Value::Text(self.owner.clone()),
                Value::Int(now_micros()),
            ];
            if tx.execute(&self.beat, &values).await? == 0 {
                return Err(RebuildError::Superseded { view: *view });
            }
        }
        Ok(())
    }

    fn replaced(&self) -> impl Iterator<Item = &'static Table> {
        self.names.iter().flat_map(|view| view.tables()).copied()
    }

    /// Secondary indexes are cheaper to make when the rows are there.
    async fn index(&self) -> Result<(), RebuildError> {
        let mut tx = self.views.db.begin().await?;
        self.beat(&mut tx).await?;
        for table in self.replaced() {
            for index in table.create_indexes(self.dialect(), &self.name(table.name)) {
                tx.execute(&index.into(), &[]).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// Folds what is left and changes places, all in one transaction that the live reader waits for.
    async fn swap(&self, folders: &mut [(Folder, ShardId, u64)]) -> Result<(), RebuildError> {
        let dialect = self.dialect();
        let positions = qualified(dialect, "positions");
        let hold: Arc<str> =
            format!("update {positions} set epoch = epoch + 1 where shard = $1 returning position").into();
        let mut tx = self.views.db.begin().await?;
        self.beat(&mut tx).await?;
        for (_, shard, position) in folders.iter_mut() {
            let rows = tx.fetch(&hold, &[shard_value(*shard)]).await?;
            let row = rows.first().ok_or(QueryError::Unreadable { table: "positions" });
            let goal = row.map_err(ViewsError::from)?.int(0)? as u64;
            // Now the live reader waits; what it has folded beyond us is little.
            *position = (*position).min(goal);
        }
        self.fold_rest(&mut tx, folders, &positions).await?;
        for table in self.replaced() {
            let (old, new) = (
                qualified(dialect, table.name),
                qualified(dialect, &self.name(table.name)),
            );
            tx.execute(&format!("drop table {old}").into(), &[]).await?;
            tx.execute(&format!("alter table {new} rename to {}", table.name).into(), &[])
                .await?;
        }
        for table in tables_for(&self.names) {
            if !self.replaced().any(|replaced| replaced.name == table.name) {
                let scratch = qualified(dialect, &self.name(table.name));
                tx.execute(&format!("drop table {scratch}").into(), &[]).await?;
            }
        }
        release(&mut tx, dialect, &self.names, &self.owner).await?;
        Ok(tx.commit().await?)
    }

    async fn fold_rest(
        &self,
        tx: &mut Tx,
        folders: &mut [(Folder, ShardId, u64)],
        positions: &str,
    ) -> Result<(), RebuildError> {
        let find: Arc<str> = format!("select position from {positions} where shard = $1").into();
        for (folder, shard, position) in folders {
            let rows = tx.fetch(&find, &[shard_value(*shard)]).await?;
            let row = rows.first().ok_or(QueryError::Unreadable { table: "positions" });
            let goal = row.map_err(ViewsError::from)?.int(0)? as u64;
            while *position < goal {
                let wanted = ((goal - *position) as usize).min(limits::REBUILD_BATCH_EVENTS_MAX);
                let events = self
                    .views
                    .store
                    .read_shard(*shard, *position, wanted)
                    .await
                    .map_err(ViewsError::from)?;
                let Some(last) = events.last() else { break };
                check_understood(&events)?;
                *position = last.position;
                let prepared = folder.prepare(None, &events).await?;
                let written = folder.write(tx, prepared).await?;
                folder.remember(written);
            }
        }
        Ok(())
    }
}

impl Drop for Build {
    /// Lets the next rebuild begin at once; after a swap there is nothing to let go of. What a rebuild made that did not end
    /// well is dropped by the next one.
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (db, names, owner) = (self.views.db.clone(), self.names.clone(), self.owner.clone());
        runtime.spawn(async move {
            if let Err(error) = release_alone(&db, &names, &owner).await {
                tracing::debug!(%error, "the rebuild was not released; it will count as dead");
            }
        });
    }
}

async fn release_alone(db: &Db, names: &[View], owner: &str) -> Result<(), sqlx::Error> {
    let mut tx = db.begin().await?;
    release(&mut tx, db.dialect(), names, owner).await?;
    tx.commit().await
}

async fn release(tx: &mut Tx, dialect: Dialect, names: &[View], owner: &str) -> Result<(), sqlx::Error> {
    let rebuilds = qualified(dialect, "rebuilds");
    let sql: Arc<str> = format!("update {rebuilds} set owner = '' where view = $1 and owner = $2").into();
    for view in names {
        let values = [Value::Text(view.to_string()), Value::Text(owner.to_owned())];
        tx.execute(&sql, &values).await?;
    }
    Ok(())
}

/// Views that were folded without an event would stay wrong: a newer program has to rebuild.
fn check_understood(events: &[RecordedEvent]) -> Result<(), ViewsError> {
    let unknown = events
        .iter()
        .find(|event| !is_known(event.kind.as_str(), event.schema_version));
    unknown.map_or(Ok(()), |event| {
        let (shard, position) = (event.shard, event.position);
        Err(ReadError::NotUnderstood { shard, position }.into())
    })
}

//! Joining a batch with what is known, and writing what changed: a handful of statements, whatever the size of the batch.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use assent_domain::values::Timestamp;
use assent_event_store::{Checkpoint, EventStore, RecordedEvent, ShardId};
use uuid::Uuid;

use crate::{
    batch::{Batch, Change, Observation, micros},
    blocked::{self, Finding},
    codec,
    db::{Column, Db, Dialect, Tx, Value},
    error::{QueryError, ViewsError},
    funnel, limits, quality,
    row::{self, MessageRow},
    schema::{BLOCKED, FUNNEL, MESSAGES, NUMBER_CHANGES, QUALITY_DAYS, View, qualified},
};

/// The statements that write one set of tables: the live ones, or those of a rebuild.
#[derive(Debug)]
pub(crate) struct Target {
    funnel: Option<Arc<str>>,
    /// Also there when only counts are wanted: they are sums over messages.
    messages: Option<MessageStatements>,
    quality: Option<(Arc<str>, Arc<str>)>,
    blocked: Option<BlockedStatements>,
}

#[derive(Debug)]
struct MessageStatements {
    load: Arc<str>,
    upsert: Arc<str>,
    /// Of a row that is there only what changes is written.
    update: Arc<str>,
}

#[derive(Debug)]
struct BlockedStatements {
    upsert: Arc<str>,
    delete: Arc<str>,
    known: Arc<str>,
}

impl Target {
    /// The tables of `views`, each under the name that `name` gives it.
    pub(crate) fn new(dialect: Dialect, views: &[View], name: impl Fn(&str) -> String) -> Self {
        let has = |view| views.contains(&view);
        let (any_key, any_contact) = match dialect {
            Dialect::Postgres => ("message = any($2)", "contact = any($2)"),
            Dialect::Sqlite => (
                "message in (select unhex(value) from json_each($2))",
                "contact in (select unhex(value) from json_each($2))",
            ),
        };
        let messages = has(View::Messages) || has(View::Funnel) || has(View::Quality);
        Self {
            messages: messages.then(|| {
                let table = name(MESSAGES.name);
                let load = format!(
                    "select {} from {} where shard = $1 and {any_key}",
                    row::COLUMNS,
                    qualified(dialect, &table)
                );
                MessageStatements {
                    load: load.into(),
                    upsert: MESSAGES.upsert(dialect, &table),
                    update: MESSAGES.update(dialect, &table, &row::CHANGING),
                }
            }),
            funnel: has(View::Funnel).then(|| FUNNEL.upsert(dialect, &name(FUNNEL.name))),
            quality: has(View::Quality).then(|| {
                let days = QUALITY_DAYS.upsert(dialect, &name(QUALITY_DAYS.name));
                (days, NUMBER_CHANGES.upsert(dialect, &name(NUMBER_CHANGES.name)))
            }),
            blocked: has(View::Blocked).then(|| {
                let table = name(BLOCKED.name);
                let from = format!("from {} where shard = $1 and {any_contact}", qualified(dialect, &table));
                BlockedStatements {
                    upsert: BLOCKED.upsert(dialect, &table),
                    delete: format!("delete {from}").into(),
                    known: format!("select distinct contact {from}").into(),
                }
            }),
        }
    }
}

/// Rows that were written lately. The active reader of a shard is the only one that writes them, so what it remembers is
/// what is there; it forgets everything when it learns that it was replaced.
#[derive(Debug, Default)]
struct Cache {
    young: HashMap<Uuid, Arc<MessageRow>>,
    old: HashMap<Uuid, Arc<MessageRow>>,
}

impl Cache {
    fn get(&self, message: Uuid) -> Option<&Arc<MessageRow>> {
        self.young.get(&message).or_else(|| self.old.get(&message))
    }

    fn put(&mut self, row: Arc<MessageRow>) {
        if self.young.len() >= limits::CACHE_MESSAGES_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(row.message, row);
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Folds events of one shard into a set of tables.
#[derive(Debug)]
pub(crate) struct Folder {
    store: EventStore,
    shard: ShardId,
    target: Target,
    cache: Cache,
}

/// Rows that a transaction wrote, to be remembered once it is committed.
#[derive(Debug)]
#[must_use]
pub(crate) struct Written(Vec<Arc<MessageRow>>);

/// What is read before the transaction begins: the log is another database on SQLite.
#[derive(Debug)]
pub(crate) struct Prepared {
    batch: Batch,
    findings: Option<(Vec<Uuid>, Vec<Finding>)>,
}

impl Folder {
    pub(crate) fn new(store: EventStore, shard: ShardId, target: Target) -> Self {
        Self {
            store,
            shard,
            target,
            cache: Cache::default(),
        }
    }

    pub(crate) fn forget(&mut self) {
        self.cache.clear();
    }

    pub(crate) fn remember(&mut self, written: Written) {
        for row in written.0 {
            self.cache.put(row);
        }
    }

    /// Decodes and folds events by themselves. `db` is asked which contacts have rows; without it, because the rows of an open
    /// transaction cannot be seen from outside, every contact is looked at.
    pub(crate) async fn prepare(&self, db: Option<&Db>, events: &[RecordedEvent]) -> Result<Prepared, ViewsError> {
        let batch = Batch::of(events);
        let until = events.last().map_or(0, |event| event.position);
        let findings = match &self.target.blocked {
            Some(statements) => self.findings(db, statements, &batch, until).await?,
            None => None,
        };
        Ok(Prepared { batch, findings })
    }

    /// What is to be said of the contacts that a batch touches, from all that the log says of them up to its end.
    async fn findings(
        &self,
        db: Option<&Db>,
        statements: &BlockedStatements,
        batch: &Batch,
        until: u64,
    ) -> Result<Option<(Vec<Uuid>, Vec<Finding>)>, ViewsError> {
        let mut contacts = batch.contacts.clone();
        let relieved: Vec<Uuid> = batch.relieved_contacts.difference(&contacts).copied().collect();
        match db {
            _ if relieved.is_empty() => {}
            Some(db) => {
                let values = [Value::Int(self.shard()), Value::Uuids(relieved)];
                for row in db.fetch(&statements.known, &values).await? {
                    contacts.insert(row.uuid(0)?);
                }
            }
            None => contacts.extend(relieved),
        }
        if contacts.is_empty() {
            return Ok(None);
        }
        let contacts: Vec<Uuid> = contacts.into_iter().collect();
        let mut findings = Vec::new();
        for some in contacts.chunks(limits::LOOKUP_MESSAGES_MAX) {
            let histories = self.store.read_keys(self.shard, some).await?;
            for (contact, events) in &histories {
                let known = events.partition_point(|event| event.position <= until);
                findings.extend(blocked::findings(*contact, &events[..known]));
            }
        }
        Ok(Some((contacts, findings)))
    }

    /// Writes what a batch changes.
    pub(crate) async fn write(&mut self, tx: &mut Tx, prepared: Prepared) -> Result<Written, ViewsError> {
        let Prepared { batch, findings } = prepared;
        let mut written = Vec::new();
        let mut days = quality::Counts::default();
        if let Some(statements) = &self.target.messages {
            let changed = self.join(tx, &statements.load, batch.messages).await?;
            let mut steps = funnel::Counts::default();
            for (before, after) in &changed {
                if self.target.funnel.is_some() {
                    steps.add_change(before.as_deref(), after);
                }
                if self.target.quality.is_some() {
                    days.add_change(before.as_deref(), after);
                }
            }
            self.write_messages(tx, statements, &changed).await?;
            written = changed.into_iter().map(|(_, after)| after).collect();
            if let Some(upsert) = &self.target.funnel {
                self.write_steps(tx, upsert, steps).await?;
            }
        }
        if let Some((upsert_days, upsert_changes)) = &self.target.quality {
            for (tenant, day) in batch.opt_outs {
                days.add_opt_out(tenant, day);
            }
            self.write_days(tx, upsert_days, days).await?;
            self.write_observations(tx, upsert_changes, &batch.observations).await?;
        }
        if let (Some(statements), Some((contacts, findings))) = (&self.target.blocked, findings) {
            self.write_blocked(tx, statements, contacts, &findings).await?;
        }
        Ok(Written(written))
    }

    fn shard(&self) -> i64 {
        i64::from(self.shard.0)
    }

    /// Each message that changed, before and after. Facts about messages that nobody asked for are about none of ours.
    async fn join(
        &self,
        tx: &mut Tx,
        load: &Arc<str>,
        changes: HashMap<Uuid, Change>,
    ) -> Result<Vec<(Option<Arc<MessageRow>>, Arc<MessageRow>)>, ViewsError> {
        let mut known: HashMap<Uuid, Arc<MessageRow>> = HashMap::new();
        let mut unknown = Vec::new();
        for (message, change) in &changes {
            if change.request.is_none() {
                match self.cache.get(*message) {
                    Some(row) => {
                        known.insert(*message, row.clone());
                    }
                    None => unknown.push(*message),
                }
            }
        }
        if !unknown.is_empty() {
            for row in tx
                .fetch(load, &[Value::Int(self.shard()), Value::Uuids(unknown)])
                .await?
            {
                let row = row::read(&row)?;
                known.insert(row.message, Arc::new(row));
            }
        }
        let mut joined = Vec::with_capacity(changes.len());
        for (message, change) in changes {
            let (before, request) = match change.request {
                Some(request) => (None, *request),
                None => match known.remove(&message) {
                    Some(row) => (Some(row.clone()), row.request.clone()),
                    None => continue,
                },
            };
            let progress = before
                .as_ref()
                .map_or_else(Default::default, |row| row.progress.clone());
            let progress = progress.join(change.progress);
            if before.as_ref().is_none_or(|row| row.progress != progress) {
                let after = MessageRow {
                    message,
                    request,
                    progress,
                };
                joined.push((before, Arc::new(after)));
            }
        }
        Ok(joined)
    }

    async fn write_messages(
        &self,
        tx: &mut Tx,
        statements: &MessageStatements,
        changed: &[(Option<Arc<MessageRow>>, Arc<MessageRow>)],
    ) -> Result<(), ViewsError> {
        let rows_where = |is_known: bool| -> Vec<&MessageRow> {
            let rows = changed.iter().filter(|(before, _)| before.is_some() == is_known);
            rows.map(|(_, after)| after.as_ref()).collect()
        };
        let encode =
            |rows: &[&MessageRow]| -> Vec<Vec<u8>> { rows.iter().map(|row| codec::encode(&row.progress)).collect() };
        let new = rows_where(false);
        if !new.is_empty() {
            let progress = encode(&new);
            let columns = row::columns(&new, &progress);
            tx.execute_rows(&statements.upsert, self.shard(), &columns).await?;
        }
        let moved = rows_where(true);
        if !moved.is_empty() {
            let progress = encode(&moved);
            let columns = row::changing_columns(&moved, &progress);
            tx.execute_rows(&statements.update, self.shard(), &columns).await?;
        }
        Ok(())
    }

    async fn write_steps(&self, tx: &mut Tx, upsert: &Arc<str>, steps: funnel::Counts) -> Result<(), ViewsError> {
        let rows = steps.into_rows();
        if rows.is_empty() {
            return Ok(());
        }
        let text = |field: fn(&funnel::Key) -> &str| Column::Texts(rows.iter().map(|(key, _, _)| field(key)).collect());
        let columns = [
            text(|key| &key.tenant),
            Column::Ints(rows.iter().map(|(key, _, _)| key.hour).collect()),
            text(|key| &key.sender),
            text(|key| &key.template),
            text(|key| &key.campaign),
            text(|key| key.category),
            Column::Texts(rows.iter().map(|(_, step, _)| step.as_str()).collect()),
            Column::Ints(rows.iter().map(|(_, _, count)| *count).collect()),
        ];
        Ok(tx.execute_rows(upsert, self.shard(), &columns).await?)
    }

    async fn write_days(&self, tx: &mut Tx, upsert: &Arc<str>, days: quality::Counts) -> Result<(), ViewsError> {
        let rows = days.into_rows();
        if rows.is_empty() {
            return Ok(());
        }
        let columns = [
            Column::Texts(rows.iter().map(|(key, _, _)| key.tenant.as_str()).collect()),
            Column::Texts(rows.iter().map(|(key, _, _)| key.number.as_str()).collect()),
            Column::Ints(rows.iter().map(|(key, _, _)| key.day).collect()),
            Column::Texts(rows.iter().map(|(_, step, _)| *step).collect()),
            Column::Ints(rows.iter().map(|(_, _, count)| *count).collect()),
        ];
        Ok(tx.execute_rows(upsert, self.shard(), &columns).await?)
    }

    async fn write_observations(
        &self,
        tx: &mut Tx,
        upsert: &Arc<str>,
        observations: &[Observation],
    ) -> Result<(), ViewsError> {
        if observations.is_empty() {
            return Ok(());
        }
        // One row each: a statement must not meet the same row twice.
        let rows: BTreeMap<(&str, &str, u32), &Observation> = observations
            .iter()
            .map(|row| {
                (
                    (row.observed.tenant.as_str(), row.observed.number.as_str(), row.version),
                    row,
                )
            })
            .collect();
        let json: Vec<String> = rows
            .values()
            .map(|row| serde_json::to_string(&row.observed).expect("text and numbers always serialize"))
            .collect();
        let columns = [
            Column::Texts(rows.keys().map(|(tenant, _, _)| *tenant).collect()),
            Column::Texts(rows.keys().map(|(_, number, _)| *number).collect()),
            Column::Ints(rows.keys().map(|(_, _, version)| i64::from(*version)).collect()),
            Column::Texts(json.iter().map(String::as_str).collect()),
            Column::Ints(rows.values().map(|row| row.position as i64).collect()),
            Column::Ints(rows.values().map(|row| row.recorded_at).collect()),
        ];
        Ok(tx.execute_rows(upsert, self.shard(), &columns).await?)
    }

    async fn write_blocked(
        &self,
        tx: &mut Tx,
        statements: &BlockedStatements,
        contacts: Vec<Uuid>,
        rows: &[Finding],
    ) -> Result<(), ViewsError> {
        // All that is said of a contact is said anew.
        let values = [Value::Int(self.shard()), Value::Uuids(contacts)];
        tx.execute(&statements.delete, &values).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let evidence: Vec<(String, String)> = rows.iter().map(Finding::evidence_as_json).collect();
        let reasons: Vec<String> = rows.iter().map(|row| row.reason.to_string()).collect();
        let columns = [
            Column::Uuids(rows.iter().map(|row| row.contact).collect()),
            Column::Texts(reasons.iter().map(String::as_str).collect()),
            Column::Texts(rows.iter().map(|row| row.tenant.as_str()).collect()),
            Column::Ints(rows.iter().map(|row| i64::from(row.ended_at.is_none())).collect()),
            Column::Ints(rows.iter().map(|row| row.since.as_micros()).collect()),
            Column::MaybeInts(rows.iter().map(|row| row.ended_at.map(Timestamp::as_micros)).collect()),
            Column::MaybeInts(rows.iter().map(|row| row.code).collect()),
            Column::Texts(evidence.iter().map(|(evidence, _)| evidence.as_str()).collect()),
            Column::Texts(evidence.iter().map(|(_, places)| places.as_str()).collect()),
        ];
        Ok(tx.execute_rows(&statements.upsert, self.shard(), &columns).await?)
    }
}

/// Keeps the live tables of one shard: folds batches, each in one transaction with the position it brings them to.
#[derive(Debug)]
pub(crate) struct Live {
    db: Db,
    folder: Folder,
    move_on: Arc<str>,
    find: Arc<str>,
    /// Where the tables are, as far as this reader knows, and which of them it knows.
    place: Option<(u64, i64)>,
}

impl Live {
    pub(crate) fn new(store: EventStore, shard: ShardId) -> Self {
        let db = Db::of(&store);
        let dialect = db.dialect();
        let positions = qualified(dialect, "positions");
        Self {
            folder: Folder::new(store, shard, Target::new(dialect, &View::ALL, str::to_owned)),
            move_on: format!(
                "update {positions} set position = $3, recorded_at = $4 where shard = $1 and position = $2 returning epoch"
            )
            .into(),
            find: format!("select position, epoch from {positions} where shard = $1").into(),
            place: None,
            db,
        }
    }

    /// Folds consecutive events. What was folded before is skipped; what lies between is read from the log first.
    pub(crate) async fn apply(
        &mut self,
        events: &[RecordedEvent],
        checkpoint: Option<&Checkpoint>,
    ) -> Result<(), ViewsError> {
        let applied = self.try_apply(events, checkpoint).await;
        if applied.is_err() {
            // Whether it was written is not known, nor what is there now.
            self.place = None;
            self.folder.forget();
        }
        applied
    }

    async fn try_apply(&mut self, events: &[RecordedEvent], checkpoint: Option<&Checkpoint>) -> Result<(), ViewsError> {
        let Some(first) = events.first() else { return Ok(()) };
        let mut position = self.position().await?;
        while position + 1 < first.position {
            let missing = ((first.position - position - 1) as usize).min(limits::REBUILD_BATCH_EVENTS_MAX);
            let missing = self
                .folder
                .store
                .read_shard(self.folder.shard, position, missing)
                .await?;
            let Some(last) = missing.last() else { break };
            position = last.position;
            self.fold(&missing, None).await?;
        }
        let known = events.partition_point(|event| event.position <= position);
        self.fold(&events[known..], checkpoint).await
    }

    async fn position(&mut self) -> Result<u64, ViewsError> {
        if let Some((position, _)) = self.place {
            return Ok(position);
        }
        let rows = self.db.fetch(&self.find, &[Value::Int(self.folder.shard())]).await?;
        let row = rows.first().ok_or(QueryError::Unreadable { table: "positions" })?;
        let position = row.int(0)? as u64;
        self.place = Some((position, row.int(1)?));
        Ok(position)
    }

    async fn fold(&mut self, events: &[RecordedEvent], checkpoint: Option<&Checkpoint>) -> Result<(), ViewsError> {
        let prepared = self.folder.prepare(Some(&self.db), events).await?;
        let mut tx = self.db.begin().await?;
        let mut place = self.place;
        if let (Some(last), Some((position, epoch))) = (events.last(), self.place) {
            // First of all: a rebuild that is about to replace tables holds this row, and is waited for here.
            let values = [
                Value::Int(self.folder.shard()),
                Value::Int(position as i64),
                Value::Int(last.position as i64),
                Value::Int(micros(last.recorded_at)),
            ];
            let rows = tx.fetch(&self.move_on, &values).await?;
            let Some(row) = rows.first() else {
                return Err(ViewsError::Moved {
                    shard: self.folder.shard,
                });
            };
            let current = row.int(0)?;
            if current != epoch {
                self.folder.forget();
            }
            place = Some((last.position, current));
        }
        let written = self.folder.write(&mut tx, prepared).await?;
        if let Some(checkpoint) = checkpoint {
            match &mut tx {
                Tx::Postgres(transaction) => checkpoint.commit_postgres(transaction).await?,
                Tx::Sqlite(transaction) => checkpoint.commit_sqlite(transaction).await?,
            }
        }
        tx.commit().await?;
        self.place = place;
        self.folder.remember(written);
        Ok(())
    }
}

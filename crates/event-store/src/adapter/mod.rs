//! The two databases a log can live in. Both pass the same contract suite.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    chain::ChainRow,
    committer::plan::{Findings, Flush, Found},
    event::{RecordedEvent, ShardId, StreamId},
    read::ReadError,
    store::ConnectError,
};

/// A database. An enum and not a trait object: there are two, and `match` keeps the calls static.
#[derive(Debug, Clone)]
pub(crate) enum Adapter {
    Postgres(postgres::Postgres),
    Sqlite(sqlite::Sqlite),
}

/// What came of a flush.
#[derive(Debug)]
pub(crate) enum Flushed {
    /// It ran now.
    Now(Findings),
    /// It had run before, under the same id; these of its events are in the log.
    Before { head: u64, found: HashMap<Uuid, Found> },
}

/// Why a flush has no outcome.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlushError {
    /// The database refused it: it was not written and trying again will not help.
    #[error("the database refused the flush: {0}")]
    Refused(String),
    /// It may have been written. Running it again under the same id finds out.
    #[error("the outcome of the flush is not known")]
    Unknown(#[source] sqlx::Error),
}

macro_rules! either {
    ($self:ident, $adapter:ident => $call:expr) => {
        match $self {
            Adapter::Postgres($adapter) => $call,
            Adapter::Sqlite($adapter) => $call,
        }
    };
}

impl Adapter {
    /// Runs a flush. `again` says that it may have run before.
    pub(crate) async fn flush(&self, flush: &Flush, again: bool) -> Result<Flushed, FlushError> {
        either!(self, adapter => adapter.flush(flush, again).await)
    }

    pub(crate) async fn head(&self, shard: ShardId) -> Result<u64, ReadError> {
        either!(self, adapter => adapter.head(shard).await)
    }

    pub(crate) async fn read_shard(
        &self,
        shard: ShardId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        either!(self, adapter => adapter.read_shard(shard, after, limit).await)
    }

    pub(crate) async fn read_streams(
        &self,
        shard: ShardId,
        streams: &[StreamId],
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        either!(self, adapter => adapter.read_streams(shard, streams).await)
    }

    pub(crate) async fn read_stream(
        &self,
        shard: ShardId,
        stream: &StreamId,
        after: u32,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        either!(self, adapter => adapter.read_stream(shard, stream, after, limit).await)
    }

    pub(crate) async fn read_keys(&self, shard: ShardId, keys: &[Uuid]) -> Result<Vec<RecordedEvent>, ReadError> {
        either!(self, adapter => adapter.read_keys(shard, keys).await)
    }

    pub(crate) async fn hasher_check(&self, check: &[u8]) -> Result<Vec<u8>, ConnectError> {
        either!(self, adapter => adapter.hasher_check(check).await)
    }

    pub(crate) async fn chain(&self, shard: ShardId, after: u64, limit: usize) -> Result<Vec<ChainRow>, ReadError> {
        either!(self, adapter => adapter.chain(shard, after, limit).await)
    }

    pub(crate) async fn close(&self) {
        either!(self, adapter => adapter.close().await);
    }
}

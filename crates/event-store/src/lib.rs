//! The log: everything that happened, in order, for ever.
//!
//! [`EventStore`] is the one way in ([`EventStore::append`]) and the ground that every reader stands on. A log is split
//! into shards; a shard is one gapless, totally ordered sequence of events, and each event also has its place in a
//! stream. Follow an append through the files:
//!
//! 1. [`append`](Append) says what a caller wants and what it expects.
//! 2. `committer` gathers the appends of many callers; `committer::plan` makes one flush of them.
//! 3. `adapter` runs the flush in one round trip: Postgres in the SQL function `assent_log.append`, SQLite in one
//!    transaction. Both check expectations, number the events and extend the hash `chain`.
//! 4. `committer::plan` answers each caller from what the database found.
//!
//! The crate knows no business: streams have a category and a key, events a type, a version and bytes.

mod adapter;
mod append;
mod chain;
mod committer;
mod event;
mod feed;
mod keys;
pub mod limits;
mod metrics;
mod read;
mod relay;
mod scan;
mod schema;
mod store;
mod upcast;

pub use append::{Append, AppendError, Appended, Expected, InvalidAppend};
pub use chain::{ChainHash, TamperKind, Tampering, Verified};
pub use event::{EventMeta, InvalidStreamId, Name, NewEvent, RecordedEvent, ShardId, StreamId};
pub use feed::{Batch, Checkpoint, Feed, FeedError, FeedPosition, Feeds, Source, Start, Tail, Understands};
pub use keys::{
    AliasHasher, DataKey, Destruction, InvalidMasters, InvalidSecret, KeyError, KeyPolicy, KeyRing, LoadedKeys,
    MasterKey, MasterKeys, SealAndAppendError, generate_secret,
};
pub use read::ReadError;
pub use relay::{JetStream, JetStreamConfig, Poker, Relay, RelayObserver, RelayStats};
pub use store::{ConnectError, Database, EventStore, LogStats, StoreConfig};
pub use upcast::{Upcast, UpcastError, Upcasters};

//! Following the log.
//!
//! Each process has one *hub* for each shard: it follows the live tail, from the log itself ([`Source::Direct`]) or from
//! JetStream ([`Source::JetStream`]), and hands every slice to all readers of the process. A [`Tail`] is a reader with
//! a position and nothing more. A [`Feed`] is a durable reader: it has a name, a lease that makes it the only active
//! reader of that name, and a checkpoint that is moved in the reader's own transaction.
//!
//! Whatever happens to JetStream, a reader misses nothing: positions have no holes, so a slice that does not follow on
//! is noticed, and what lies between is read from the log.

mod checkpoint;
mod durable;
mod hub;
mod jetstream;
pub(crate) mod lease;
mod positions;
mod tail;

pub use checkpoint::Checkpoint;
pub use durable::{Batch, Feed, FeedError, Start};
pub use hub::{Feeds, Source, Understands};
pub use positions::FeedPosition;
pub use tail::Tail;

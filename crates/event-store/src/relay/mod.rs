//! The relay: from the log to JetStream.
//!
//! One relay leads each shard, by lease. It reads the log in order and publishes *slices*: one message for up to
//! [`limits::SLICE_EVENTS_MAX`] consecutive events, each expecting the stream's last sequence, so that a second relay
//! that believes it leads publishes nothing. JetStream holds no truth: a stream that was cut is continued, one that is
//! ahead of the log or differs from it (the database was restored) is deleted, one that is gone is made again and goes on
//! from the log's head. Readers fill what they miss from the log.

mod leader;
mod poke;
mod slice;

use std::{fmt, sync::Arc, time::Duration};

use async_nats::jetstream;

pub use leader::{Relay, RelayObserver, RelayStats};
pub use poke::Poker;
pub(crate) use slice::{Slice, SliceError};

use crate::event::ShardId;

/// A NATS server with JetStream, and how the log's streams are named and kept there.
#[derive(Clone)]
pub struct JetStream {
    inner: Arc<Inner>,
}

struct Inner {
    client: async_nats::Client,
    context: jetstream::Context,
    config: JetStreamConfig,
}

/// How the log's streams are named and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JetStreamConfig {
    /// First part of every subject; tells installations on one server apart. Lower-case letters, digits, hyphens.
    pub prefix: String,
    /// Bytes that each shard's stream may hold; older slices go first. Readers that are further behind use the log.
    pub stream_bytes_max: i64,
    /// How long a slice is kept.
    pub slice_age_max: Duration,
    /// Servers that hold a copy; 3 in production.
    pub replicas: usize,
}

impl Default for JetStreamConfig {
    fn default() -> Self {
        Self {
            prefix: "assent".to_owned(),
            stream_bytes_max: 256 * 1024 * 1024,
            slice_age_max: Duration::from_hours(1),
            replicas: 1,
        }
    }
}

impl JetStream {
    /// The log's streams on the server that `client` is connected to.
    pub fn new(client: async_nats::Client, config: JetStreamConfig) -> Self {
        let mut context = jetstream::new(client.clone());
        context.set_timeout(Duration::from_secs(3));
        Self {
            inner: Arc::new(Inner {
                client,
                context,
                config,
            }),
        }
    }

    pub(crate) fn context(&self) -> &jetstream::Context {
        &self.inner.context
    }

    pub(crate) fn client(&self) -> &async_nats::Client {
        &self.inner.client
    }

    /// The name of a shard's stream.
    pub fn stream(&self, shard: ShardId) -> String {
        format!("{}_LOG_{shard}", self.inner.config.prefix.to_uppercase())
    }

    /// The subject of a shard's slices.
    pub fn subject(&self, shard: ShardId) -> String {
        format!("{}.log.{shard}", self.inner.config.prefix)
    }

    /// The subject on which committers tell a shard's relay that there is something new.
    pub fn poke_subject(&self, shard: ShardId) -> String {
        format!("{}.poke.{shard}", self.inner.config.prefix)
    }

    fn stream_config(&self, shard: ShardId) -> jetstream::stream::Config {
        jetstream::stream::Config {
            name: self.stream(shard),
            subjects: vec![self.subject(shard)],
            retention: jetstream::stream::RetentionPolicy::Limits,
            discard: jetstream::stream::DiscardPolicy::Old,
            storage: jetstream::stream::StorageType::File,
            max_bytes: self.inner.config.stream_bytes_max,
            max_age: self.inner.config.slice_age_max,
            num_replicas: self.inner.config.replicas,
            ..jetstream::stream::Config::default()
        }
    }
}

impl fmt::Debug for JetStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStream")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

//! The live tail by way of JetStream.

use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, pull};
use futures::StreamExt as _;
use std::time::Duration;

use crate::{
    event::ShardId,
    relay::{JetStream, Slice, SliceError},
};

/// How long the server may be silent before the consumer counts as dead. It beats at half of this.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// How long one pull stays open. Short, because the server forgets a pull when it restarts.
const PULL_EXPIRES: Duration = Duration::from_secs(5);

/// Slices of one pull.
const PULL_SLICES: usize = 256;

/// How long the server keeps a consumer that nobody pulls from.
const CONSUMER_IDLE: Duration = Duration::from_secs(30);

/// How long an answer of the server may take.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// Why the live tail ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TailError {
    #[error("the stream cannot be read: {0}")]
    Stream(String),
    #[error("the consumer failed: {0}")]
    Consumer(String),
    #[error("the server did not answer in time")]
    Silent,
    #[error("the consumer has ended")]
    Ended,
    #[error(transparent)]
    Slice(#[from] SliceError),
}

/// An ephemeral consumer of one shard's stream, without acknowledgements: the readers keep their own positions.
pub(crate) struct JetStreamTail {
    shard: ShardId,
    messages: pull::Stream,
    /// Kept alive with the messages.
    _consumer: consumer::Consumer<pull::Config>,
}

impl JetStreamTail {
    /// Starts with the next slice that is published.
    pub(crate) async fn subscribe(jetstream: &JetStream, shard: ShardId) -> Result<Self, TailError> {
        tokio::time::timeout(ANSWER_MAX, Self::try_subscribe(jetstream, shard))
            .await
            .unwrap_or(Err(TailError::Silent))
    }

    async fn try_subscribe(jetstream: &JetStream, shard: ShardId) -> Result<Self, TailError> {
        let stream = jetstream.context().get_stream_no_info(jetstream.stream(shard)).await;
        let stream = stream.map_err(|error| TailError::Stream(error.to_string()))?;
        let config = pull::Config {
            deliver_policy: DeliverPolicy::New,
            ack_policy: AckPolicy::None,
            memory_storage: true,
            inactive_threshold: CONSUMER_IDLE,
            ..pull::Config::default()
        };
        let consumer = stream
            .create_consumer(config)
            .await
            .map_err(|error| TailError::Consumer(error.to_string()))?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(PULL_SLICES)
            .expires(PULL_EXPIRES)
            .heartbeat(HEARTBEAT)
            .messages()
            .await
            .map_err(|error| TailError::Consumer(error.to_string()))?;
        Ok(Self {
            shard,
            messages,
            _consumer: consumer,
        })
    }

    /// The next slice. Cancelling loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Slice, TailError> {
        let message = self.messages.next().await.ok_or(TailError::Ended)?;
        let message = message.map_err(|error| TailError::Consumer(error.to_string()))?;
        Ok(Slice::decode(self.shard, message.payload.clone())?)
    }
}

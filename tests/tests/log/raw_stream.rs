//! A shard's stream read from JetStream as it is, without the crate that is under test.

use assent_event_store::JetStream;
use assent_tests::chaos::SHARD;
use async_nats::jetstream::{self, consumer::pull};
use futures::StreamExt as _;
use prost::Message as _;
use uuid::Uuid;

/// The wire format, as far as the tests ask.
#[derive(prost::Message)]
struct WireSlice {
    #[prost(bytes = "vec", tag = "1")]
    store_id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    first: u64,
    #[prost(bytes = "vec", repeated, tag = "3")]
    events: Vec<Vec<u8>>,
}

/// One message of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawSlice {
    pub(crate) store_id: Uuid,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) bytes: usize,
}

/// The stream of a test, seen from outside.
pub(crate) struct RawStream {
    context: jetstream::Context,
    name: String,
}

impl RawStream {
    /// On a connection of its own.
    pub(crate) async fn connect(url: &str, jetstream: &JetStream) -> Self {
        let client = async_nats::connect(url).await.unwrap();
        Self {
            context: jetstream::new(client),
            name: jetstream.stream(SHARD),
        }
    }

    /// Its state; `None` if there is no such stream.
    pub(crate) async fn info(&self) -> Option<jetstream::stream::Info> {
        let stream = self.context.get_stream(&self.name).await.ok()?;
        Some(stream.cached_info().clone())
    }

    /// The last position in it; 0 if there is none.
    pub(crate) async fn last_position(&self) -> u64 {
        self.try_last_position().await.unwrap_or(0)
    }

    async fn try_last_position(&self) -> Option<u64> {
        let stream = self.context.get_stream(&self.name).await.ok()?;
        let last = stream.cached_info().state.last_sequence;
        let message = stream.get_raw_message(last).await.ok()?;
        Some(decode(&message.payload).last)
    }

    pub(crate) async fn purge(&self) {
        let stream = self.context.get_stream(&self.name).await.unwrap();
        stream.purge().await.unwrap();
    }

    pub(crate) async fn delete(&self) {
        self.context.delete_stream(&self.name).await.unwrap();
    }

    /// All messages that are in it now.
    pub(crate) async fn slices(&self) -> Vec<RawSlice> {
        let stream = self.context.get_stream(&self.name).await.unwrap();
        let count = stream.cached_info().state.messages as usize;
        let config = pull::Config {
            ack_policy: jetstream::consumer::AckPolicy::None,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await.unwrap();
        let messages = consumer.messages().await.unwrap().take(count);
        let slices = messages.map(|message| decode(&message.unwrap().payload));
        tokio::time::timeout(crate::PATIENCE, slices.collect()).await.unwrap()
    }
}

fn decode(payload: &[u8]) -> RawSlice {
    let wire = WireSlice::decode(payload).unwrap();
    assert!(!wire.events.is_empty(), "a slice without events");
    RawSlice {
        store_id: Uuid::from_slice(&wire.store_id).unwrap(),
        first: wire.first,
        last: wire.first + wire.events.len() as u64 - 1,
        bytes: payload.len(),
    }
}

/// Nothing twice, nothing missing between the first and the last.
pub(crate) fn assert_consecutive(slices: &[RawSlice]) {
    for pair in slices.windows(2) {
        assert_eq!(
            pair[1].first,
            pair[0].last + 1,
            "{:?} is followed by {:?}",
            pair[0],
            pair[1]
        );
    }
}

//! One message for many consecutive events.

use bytes::Bytes;
use prost::Message as _;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    chain::micros,
    event::{RecordedEvent, ShardId, StreamId},
    limits,
    read::Names,
};

/// Consecutive events of a shard, as they travel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    /// The store they are from.
    pub(crate) store_id: Uuid,
    pub(crate) events: Vec<RecordedEvent>,
}

/// A message that is not a slice.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SliceError {
    #[error("a slice cannot be decoded")]
    Malformed(#[from] prost::DecodeError),
    #[error("a slice holds something that is no {0}")]
    Invalid(&'static str),
}

#[derive(prost::Message)]
struct WireSlice {
    #[prost(bytes = "vec", tag = "1")]
    store_id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    first: u64,
    #[prost(message, repeated, tag = "3")]
    events: Vec<WireEvent>,
}

#[derive(prost::Message)]
struct WireEvent {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(string, tag = "2")]
    category: String,
    #[prost(uint32, tag = "3")]
    version: u32,
    #[prost(bytes = "bytes", tag = "4")]
    id: Bytes,
    #[prost(string, tag = "5")]
    kind: String,
    #[prost(uint32, tag = "6")]
    schema_version: u32,
    #[prost(int64, tag = "7")]
    recorded_at_us: i64,
    #[prost(bytes = "bytes", tag = "8")]
    data: Bytes,
    #[prost(bytes = "bytes", tag = "9")]
    meta: Bytes,
}

/// How many of the events fit into one slice: at least one, however large.
pub(crate) fn fitting(events: &[RecordedEvent]) -> usize {
    let mut bytes = 0;
    let fitting = events.iter().take(limits::SLICE_EVENTS_MAX).take_while(|event| {
        bytes += event.data.len() + event.meta.len() + 128;
        bytes <= limits::SLICE_BYTES_MAX
    });
    fitting.count().max(1).min(events.len())
}

pub(crate) fn encode(store_id: Uuid, events: &[RecordedEvent]) -> Bytes {
    let slice = WireSlice {
        store_id: store_id.as_bytes().to_vec(),
        first: events.first().map_or(0, |event| event.position),
        events: events
            .iter()
            .map(|event| WireEvent {
                key: Bytes::copy_from_slice(event.stream.key.as_bytes()),
                category: event.stream.category.as_str().to_owned(),
                version: event.version,
                id: Bytes::copy_from_slice(event.id.as_bytes()),
                kind: event.kind.as_str().to_owned(),
                schema_version: u32::from(event.schema_version),
                recorded_at_us: micros(event.recorded_at),
                data: event.data.clone(),
                meta: event.meta.clone(),
            })
            .collect(),
    };
    slice.encode_to_vec().into()
}

impl Slice {
    pub(crate) fn decode(shard: ShardId, payload: Bytes) -> Result<Self, SliceError> {
        let wire = WireSlice::decode(payload)?;
        let uuid = |bytes: &[u8]| Uuid::from_slice(bytes).map_err(|_| SliceError::Invalid("uuid"));
        let mut names = Names::default();
        let mut event = |(wire, position): (WireEvent, u64)| {
            Ok(RecordedEvent {
                shard,
                position,
                stream: StreamId {
                    key: uuid(&wire.key)?,
                    category: names.get(&wire.category),
                },
                version: wire.version,
                id: uuid(&wire.id)?,
                kind: names.get(&wire.kind),
                schema_version: wire.schema_version as u16,
                recorded_at: OffsetDateTime::from_unix_timestamp_nanos(i128::from(wire.recorded_at_us) * 1_000)
                    .map_err(|_| SliceError::Invalid("time"))?,
                data: wire.data,
                meta: wire.meta,
            })
        };
        Ok(Self {
            store_id: uuid(&wire.store_id)?,
            events: wire
                .events
                .into_iter()
                .zip(wire.first..)
                .map(&mut event)
                .collect::<Result<_, SliceError>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(position: u64, bytes: usize) -> RecordedEvent {
        RecordedEvent {
            shard: ShardId(3),
            position,
            stream: StreamId::new("request", Uuid::from_u128(u128::from(position))),
            version: 2,
            id: Uuid::new_v4(),
            kind: "request.submitted".into(),
            schema_version: 4,
            recorded_at: OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap(),
            data: vec![b'x'; bytes].into(),
            meta: Bytes::from_static(b"{}"),
        }
    }

    #[test]
    fn a_slice_survives_the_wire() {
        let events = vec![recorded(41, 10), recorded(42, 0)];
        let store_id = Uuid::new_v4();
        let decoded = Slice::decode(ShardId(3), encode(store_id, &events)).unwrap();
        assert_eq!(decoded, Slice { store_id, events });
    }

    #[test]
    fn a_slice_is_bounded_in_events_and_bytes_but_never_empty() {
        let small: Vec<_> = (1..=2_000).map(|position| recorded(position, 10)).collect();
        assert_eq!(fitting(&small), limits::SLICE_EVENTS_MAX);
        let large: Vec<_> = (1..=10)
            .map(|position| recorded(position, limits::EVENT_BYTES_MAX))
            .collect();
        assert_eq!(fitting(&large), 2);
        assert!(
            encode(Uuid::nil(), &large[..2]).len() < 1024 * 1024,
            "below NATS' default limit"
        );
        assert_eq!(fitting(&[]), 0);
    }

    #[test]
    fn bytes_that_are_no_slice_are_an_error() {
        assert!(Slice::decode(ShardId(0), Bytes::from_static(b"\xff\xff\xff")).is_err());
        assert!(Slice::decode(ShardId(0), Bytes::new()).is_err());
    }
}

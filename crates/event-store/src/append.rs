//! What a caller may ask of the log, and what it is told.

use std::sync::Arc;

use assent_sealed::KeyId;

use crate::{
    event::{NewEvent, StreamId},
    keys::NewKey,
    limits,
};

/// What the caller believes about a stream when it appends to it or guards it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing: the events go to the end of the stream, wherever that is.
    Any,
    /// The stream has no events yet.
    NoStream,
    /// The stream's last event has this version.
    Exact(u32),
}

impl Expected {
    /// The version that is expected, 0 for a stream without events.
    pub(crate) fn version(self) -> Option<u32> {
        match self {
            Self::Any => None,
            Self::NoStream => Some(0),
            Self::Exact(version) => Some(version),
        }
    }
}

/// One append: events for one or several streams of a shard, written all or none.
///
/// ```
/// # use assent_event_store::{Append, EventMeta, Expected, NewEvent, StreamId};
/// # use uuid::Uuid;
/// # let (message, contact) = (Uuid::from_u128(1), Uuid::from_u128(2));
/// let decided = NewEvent::new("decision.authorized", 1, &b"{}"[..], &EventMeta::default());
/// let append = Append::new()
///     .write(StreamId::new("decision", message), Expected::NoStream, [decided])
///     .guard(StreamId::new("contact", contact), Expected::Exact(3));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Append {
    pub(crate) writes: Vec<Write>,
    pub(crate) guards: Vec<(StreamId, Expected)>,
    pub(crate) keys: Vec<KeyId>,
    /// Those of the keys that are made with the events.
    pub(crate) new_keys: Vec<Arc<NewKey>>,
    pub(crate) is_patient: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) stream: StreamId,
    pub(crate) expected: Expected,
    pub(crate) events: Vec<NewEvent>,
}

impl Append {
    /// An empty append, which cannot be sent: add at least one [`write`](Self::write).
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds events to the end of `stream`.
    #[must_use]
    pub fn write(mut self, stream: StreamId, expected: Expected, events: impl IntoIterator<Item = NewEvent>) -> Self {
        self.writes.push(Write {
            stream,
            expected,
            events: events.into_iter().collect(),
        });
        self
    }

    /// Makes the append depend on the version of a stream that it does not write.
    #[must_use]
    pub fn guard(mut self, stream: StreamId, expected: Expected) -> Self {
        self.guards.push((stream, expected));
        self
    }

    /// Names the keys that the events are sealed with. If one was destroyed or has expired when the append is
    /// written, nothing is written and the caller is told ([`AppendError::KeysGone`]), so that it seals again.
    #[must_use]
    pub fn sealed_with(mut self, keys: impl IntoIterator<Item = KeyId>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// Brings some of the keys that the events are sealed with: they are made together with the events, or not at all. One
    /// whose slot has another key by then counts as gone.
    #[must_use]
    pub(crate) fn bringing(mut self, keys: impl IntoIterator<Item = Arc<NewKey>>) -> Self {
        self.new_keys.extend(keys);
        self
    }

    /// Says that nobody waits for the answer, so that on a busy shard the append may wait longer for others to share its
    /// flush: up to [`FLUSH_SPACING_PATIENT_MAX`](crate::limits::FLUSH_SPACING_PATIENT_MAX).
    #[must_use]
    pub fn patient(mut self) -> Self {
        self.is_patient = true;
        self
    }

    pub(crate) fn events(&self) -> usize {
        self.writes.iter().map(|write| write.events.len()).sum()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.writes
            .iter()
            .flat_map(|write| &write.events)
            .map(NewEvent::size)
            .sum()
    }

    /// Checks what can be checked without the log.
    pub(crate) fn validate(&self) -> Result<(), InvalidAppend> {
        let mut streams: Vec<&StreamId> = self
            .writes
            .iter()
            .map(|write| &write.stream)
            .chain(self.guards.iter().map(|(stream, _)| stream))
            .collect();
        let count = streams.len();
        streams.sort_unstable();
        if let Some(pair) = streams.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(InvalidAppend::StreamTwice {
                stream: pair[0].clone(),
            });
        }
        if count > limits::APPEND_STREAMS_MAX {
            return Err(InvalidAppend::TooManyStreams {
                streams: count,
                max: limits::APPEND_STREAMS_MAX,
            });
        }
        if self.writes.is_empty() || self.writes.iter().any(|write| write.events.is_empty()) {
            return Err(InvalidAppend::NoEvents);
        }
        for event in self.writes.iter().flat_map(|write| &write.events) {
            if event.size() > limits::EVENT_BYTES_MAX {
                return Err(InvalidAppend::EventTooLarge {
                    kind: event.kind.to_string(),
                    bytes: event.size(),
                    max: limits::EVENT_BYTES_MAX,
                });
            }
        }
        if self.events() > limits::APPEND_EVENTS_MAX {
            return Err(InvalidAppend::TooManyEvents {
                events: self.events(),
                max: limits::APPEND_EVENTS_MAX,
            });
        }
        if self.bytes() > limits::APPEND_BYTES_MAX {
            return Err(InvalidAppend::TooManyBytes {
                bytes: self.bytes(),
                max: limits::APPEND_BYTES_MAX,
            });
        }
        Ok(())
    }
}

/// An append was written and is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Position of its first event.
    pub first: u64,
    /// Position of its last event. The events of one append are consecutive.
    pub last: u64,
    /// The version of each written stream after the append, in the order of the writes.
    pub versions: Vec<u32>,
}

/// An append that can never be written, whatever the log holds. The caller's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAppend {
    /// Nothing to write, or a write without events.
    #[error(
        "an append writes at least one event to each stream that it names; use a guard for a stream it only checks"
    )]
    NoEvents,
    /// A stream is named twice.
    #[error("stream {stream} is named twice in one append; put all its events into one write")]
    StreamTwice {
        /// The stream.
        stream: StreamId,
    },
    /// One event is too large.
    #[error("event {kind} has {bytes} bytes; the largest event has {max}: split the body over several events")]
    EventTooLarge {
        /// Its wire name.
        kind: String,
        /// Size of data and meta.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Too many events.
    #[error("the append has {events} events; at most {max} can be written at once: append in several steps")]
    TooManyEvents {
        /// How many.
        events: usize,
        /// The limit.
        max: usize,
    },
    /// Too many bytes.
    #[error("the append has {bytes} bytes; at most {max} can be written at once: append in several steps")]
    TooManyBytes {
        /// How many.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Too many streams.
    #[error("the append names {streams} streams; at most {max} fit")]
    TooManyStreams {
        /// How many.
        streams: usize,
        /// The limit.
        max: usize,
    },
    /// The store has no such shard.
    #[error("there is no shard {shard}; the store has {shards}, numbered from 0")]
    NoSuchShard {
        /// The shard asked for.
        shard: u16,
        /// How many the store has.
        shards: u16,
    },
}

/// Why an append was not written, or may not have been.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Another append came first. Nothing was written: load the stream, decide again.
    #[error("stream {stream} is at version {actual}, not where the append expected it")]
    Conflict {
        /// The first stream that was not as expected.
        stream: StreamId,
        /// Its version; it may have grown since.
        actual: u32,
    },
    /// Keys that the events are sealed with are gone. Nothing was written: obtain keys and seal again.
    #[error("{} of the keys that the events are sealed with were destroyed or have expired; obtain them and seal again", keys.len())]
    KeysGone {
        /// The keys.
        keys: Vec<KeyId>,
    },
    /// The append is malformed. Nothing was written.
    #[error(transparent)]
    Invalid(#[from] InvalidAppend),
    /// The database refused the write for a reason that a retry will not cure. Nothing was written.
    #[error("the database refused the append: {reason}")]
    Refused {
        /// The database's own words.
        reason: String,
    },
    /// No answer in time. It may be written later or never; look the stream up before trying again.
    #[error("the append had no answer within {waited_ms} ms; look the stream up before you try again")]
    OutcomeUnknown {
        /// How long the caller waited, in milliseconds.
        waited_ms: u64,
    },
    /// The store was closed. Nothing was written.
    #[error("the event store is closed")]
    Closed,
}

impl AppendError {
    /// Whether the same append may succeed when it is simply tried again.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::OutcomeUnknown { .. } => true,
            Self::Conflict { .. } | Self::KeysGone { .. } | Self::Invalid(_) | Self::Refused { .. } | Self::Closed => {
                false
            }
        }
    }
}

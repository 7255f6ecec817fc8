//! What is stored: events, and the streams and shards they belong to.

use std::{fmt, hash, str::FromStr, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// One of the independent, totally ordered parts of the log. A tenant lives in one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub u16);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A short name, cheap to clone: a stream category or an event type.
#[derive(Clone)]
pub struct Name(Text);

#[derive(Clone)]
enum Text {
    Static(&'static str),
    Shared(Arc<str>),
}

impl Name {
    /// A name known when the program is compiled.
    pub const fn new(name: &'static str) -> Self {
        Self(Text::Static(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Static(name) => name,
            Text::Shared(name) => name,
        }
    }
}

impl From<&'static str> for Name {
    fn from(name: &'static str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Name {
    fn from(name: String) -> Self {
        Self(Text::Shared(name.into()))
    }
}

impl From<Arc<str>> for Name {
    fn from(name: Arc<str>) -> Self {
        Self(Text::Shared(name))
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Name {}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl hash::Hash for Name {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// The name of a stream: a key and a category.
///
/// The key comes first in the index, so that the streams of one thing (`request`, `decision` and `attempt` of one
/// message) lie side by side and its whole timeline is one short range. Keys are random or keyed hashes: no personal data.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// What the stream is about.
    pub key: Uuid,
    /// What kind of stream it is; decides who may append to it.
    pub category: Name,
}

impl StreamId {
    /// The stream of `category` about `key`.
    pub fn new(category: impl Into<Name>, key: Uuid) -> Self {
        Self {
            key,
            category: category.into(),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.category, self.key.simple())
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not the name of a stream.
#[derive(Debug, thiserror::Error)]
#[error("a stream is named category-key, such as request-67e5504410b1426f9247bb680e5fe0c8")]
pub struct InvalidStreamId;

impl FromStr for StreamId {
    type Err = InvalidStreamId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (category, key) = text.rsplit_once('-').ok_or(InvalidStreamId)?;
        let key = Uuid::try_parse(key).map_err(|_| InvalidStreamId)?;
        Ok(Self::new(category.to_owned(), key))
    }
}

/// Who caused an event and what it followed from. Stored beside the event's data as JSON; never personal data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventMeta {
    /// Who acted: `key:<api key id>`, `service:<name>`, `meta`, `operator:<id>`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub actor: String,
    /// The event this one follows from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<Uuid>,
    /// The tenant it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The trace it belongs to, in the W3C `traceparent` form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl EventMeta {
    /// The bytes that are stored.
    pub fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self)
            .expect("strings and uuids always serialize")
            .into()
    }
}

/// An event that is not yet in the log.
#[derive(Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Unique name of the event, drawn when it is made.
    pub id: Uuid,
    /// Stable wire name of what happened, such as `contact.opted_out`.
    pub kind: Name,
    /// Version of the shape of `data`.
    pub schema_version: u16,
    /// What happened, as JSON with personal fields sealed.
    pub data: Bytes,
    /// [`EventMeta`] as JSON.
    pub meta: Bytes,
}

impl NewEvent {
    /// An event with a fresh id.
    pub fn new(kind: impl Into<Name>, schema_version: u16, data: impl Into<Bytes>, meta: &EventMeta) -> Self {
        Self {
            id: Uuid::now_v7(),
            kind: kind.into(),
            schema_version,
            data: data.into(),
            meta: meta.to_bytes(),
        }
    }

    /// Bytes that count against the size limit of an event.
    pub fn size(&self) -> usize {
        self.data.len() + self.meta.len()
    }
}

/// An event in the log.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// The shard it is in.
    pub shard: ShardId,
    /// Its place in the order of the shard: 1, 2, 3 … without holes.
    pub position: u64,
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its place in the stream: 1, 2, 3 … without holes.
    pub version: u32,
    /// Unique name of the event.
    pub id: Uuid,
    /// Stable wire name of what happened.
    pub kind: Name,
    /// Version of the shape of `data`.
    pub schema_version: u16,
    /// When it was written, by the clock of the writing process; microseconds, one value for a flush.
    pub recorded_at: OffsetDateTime,
    /// What happened, as JSON with personal fields sealed.
    pub data: Bytes,
    /// [`EventMeta`] as JSON.
    pub meta: Bytes,
}

impl RecordedEvent {
    /// The meta data, or the empty one where it cannot be read: it informs, nothing depends on it.
    pub fn meta(&self) -> EventMeta {
        serde_json::from_slice(&self.meta).unwrap_or_default()
    }
}

// Written by hand: data is large and may hold what logs must not show.
impl fmt::Debug for NewEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{} ({} bytes)", self.kind, self.schema_version, self.data.len())
    }
}

impl fmt::Debug for RecordedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{} {}@{} {} v{} ({} bytes)",
            self.shard,
            self.position,
            self.stream,
            self.version,
            self.kind,
            self.schema_version,
            self.data.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_id_reads_back_from_its_text() {
        let stream = StreamId::new("number-budget", Uuid::from_u128(0x51));
        assert_eq!(stream.to_string().parse::<StreamId>().unwrap(), stream);
        assert!("request".parse::<StreamId>().is_err());
        assert!("request-xyz".parse::<StreamId>().is_err());
    }

    #[test]
    fn debug_never_shows_data() {
        let event = NewEvent::new(
            "contact.opted_in",
            1,
            &b"{\"phone\":\"+12025550142\"}"[..],
            &EventMeta::default(),
        );
        assert_eq!(format!("{event:?}"), "contact.opted_in v1 (24 bytes)");
    }
}

//! The hash chain: one hash for each flush, over the events in it and the hash before it.
//!
//! The writer hashes each event ([`Digest`]); the database, which alone knows the final order and versions, hashes the
//! digests of a flush together ([`ChainHash`]). Whoever changes, removes or inserts an event behind the store's back
//! breaks the chain from there on, and [`Verifier`] says where.

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

use crate::event::{NewEvent, RecordedEvent, ShardId, StreamId};

/// SHA-256 over everything in an event but its place in the order and the time of its flush. Made by the caller's task, so
/// that hashing does not hold up the committer.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Digest(pub(crate) [u8; SHA256_OUTPUT_LEN]);

/// Bytes of each digest that a chain row keeps, so that a broken flush can be narrowed to an event.
const DIGEST_KEPT_BYTES: usize = 8;

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(..)")
    }
}

struct Content<'a> {
    id: uuid::Uuid,
    stream: &'a StreamId,
    kind: &'a str,
    schema_version: u16,
    data: &'a [u8],
    meta: &'a [u8],
}

impl Digest {
    pub(crate) fn of(stream: &StreamId, event: &NewEvent) -> Self {
        Self::over(&Content {
            id: event.id,
            stream,
            kind: event.kind.as_str(),
            schema_version: event.schema_version,
            data: &event.data,
            meta: &event.meta,
        })
    }

    pub(crate) fn of_recorded(event: &RecordedEvent) -> Self {
        Self::over(&Content {
            id: event.id,
            stream: &event.stream,
            kind: event.kind.as_str(),
            schema_version: event.schema_version,
            data: &event.data,
            meta: &event.meta,
        })
    }

    /// The part that a chain row keeps.
    pub(crate) fn kept(&self) -> &[u8] {
        &self.0[..DIGEST_KEPT_BYTES]
    }

    // Each part of variable length is preceded by its length, so that no two events have one encoding.
    fn over(content: &Content<'_>) -> Self {
        let mut hash = Context::new(&SHA256);
        let category = content.stream.category.as_str();
        let mut head = Vec::with_capacity(128);
        head.extend_from_slice(content.id.as_bytes());
        head.extend_from_slice(content.stream.key.as_bytes());
        head.extend_from_slice(&content.schema_version.to_be_bytes());
        for part in [category.as_bytes(), content.kind.as_bytes()] {
            head.extend_from_slice(&(part.len() as u32).to_be_bytes());
            head.extend_from_slice(part);
        }
        head.extend_from_slice(&(content.data.len() as u32).to_be_bytes());
        head.extend_from_slice(&(content.meta.len() as u32).to_be_bytes());
        hash.update(&head);
        hash.update(content.data);
        hash.update(content.meta);
        Self(hash.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// Microseconds since the epoch: the resolution of both databases.
pub(crate) fn micros(at: time::OffsetDateTime) -> i64 {
    (at.unix_timestamp_nanos() / 1_000) as i64
}

/// The hash of a flush: SHA-256 over the hash before it, its first and last position, its time, the digests of its events,
/// and their versions in the form in which Postgres sends an array of integers. The SQL function computes the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHash(pub [u8; SHA256_OUTPUT_LEN]);

impl ChainHash {
    /// What the first flush of a shard builds on.
    pub const START: Self = Self([0; SHA256_OUTPUT_LEN]);

    pub(crate) fn extend(self, flush: &FlushSpan, digests: &[Digest], versions: &[u32]) -> Self {
        const DIMENSIONS: i32 = 1;
        const NO_NULLS: i32 = 0;
        const INT4_OID: i32 = 23;
        const LOWER_BOUND: i32 = 1;
        const INT4_BYTES: i32 = 4;
        let mut hash = Context::new(&SHA256);
        hash.update(&self.0);
        for part in [flush.first as i64, flush.last as i64, flush.recorded_at_us] {
            hash.update(&part.to_be_bytes());
        }
        for digest in digests {
            hash.update(&digest.0);
        }
        for header in [DIMENSIONS, NO_NULLS, INT4_OID, versions.len() as i32, LOWER_BOUND] {
            hash.update(&header.to_be_bytes());
        }
        for version in versions {
            hash.update(&INT4_BYTES.to_be_bytes());
            hash.update(&(*version as i32).to_be_bytes());
        }
        Self(hash.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// The hash as lower-case hexadecimal, to be written down outside the database.
    pub fn to_hex(self) -> String {
        use std::fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
            hex
        })
    }
}

/// The positions that a flush fills, and its time in microseconds since the epoch.
pub(crate) struct FlushSpan {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) recorded_at_us: i64,
}

/// One row of the chain.
#[derive(Debug, Clone)]
pub(crate) struct ChainRow {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) hash: Vec<u8>,
    pub(crate) digests: Vec<u8>,
}

/// What [`EventStore::verify`](crate::EventStore::verify) found in a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// Every event is as it was written.
    Intact {
        /// Events checked.
        events: u64,
        /// Flushes checked.
        flushes: u64,
        /// The last hash. Keep it elsewhere: a later log that does not contain it was cut or rewritten as a whole.
        head: ChainHash,
    },
    /// Something was changed behind the store's back; everything before it is as it was written.
    Tampered(Tampering),
}

/// The first thing that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("shard {shard}: {what} at position {position}, in the flush of positions {first} to {last}")]
pub struct Tampering {
    /// The shard.
    pub shard: ShardId,
    /// The first event concerned.
    pub position: u64,
    /// First position of its flush.
    pub first: u64,
    /// Last position of its flush.
    pub last: u64,
    /// What is wrong there.
    pub what: TamperKind,
}

/// How the log differs from what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TamperKind {
    /// The event's content is not what was hashed when it was written.
    #[error("an event was changed")]
    EventChanged,
    /// The event is not there.
    #[error("an event is missing")]
    EventMissing,
    /// The event is there but no flush wrote it.
    #[error("an event was inserted")]
    EventInserted,
    /// The events are as written, but their versions, or the chain row itself, are not.
    #[error("the order or the chain was changed")]
    ChainChanged,
}

/// Walks a shard's events and chain side by side.
pub(crate) struct Verifier {
    shard: ShardId,
    hash: ChainHash,
    position: u64,
    flushes: u64,
}

impl Verifier {
    pub(crate) fn new(shard: ShardId) -> Self {
        Self {
            shard,
            hash: ChainHash::START,
            position: 0,
            flushes: 0,
        }
    }

    /// Checks one flush: its chain row and the events the log has at its positions.
    pub(crate) fn check(&mut self, row: &ChainRow, events: &[RecordedEvent]) -> Result<(), Tampering> {
        let tampering = |position, what| Tampering {
            shard: self.shard,
            position,
            first: row.first,
            last: row.last,
            what,
        };
        if row.first != self.position + 1 || row.last < row.first {
            return Err(tampering(self.position + 1, TamperKind::ChainChanged));
        }
        let digests: Vec<Digest> = events.iter().map(Digest::of_recorded).collect();
        for (index, position) in (row.first..=row.last).enumerate() {
            let Some(event) = events.get(index).filter(|event| event.position == position) else {
                return Err(tampering(position, TamperKind::EventMissing));
            };
            debug_assert_eq!(event.shard, self.shard);
            let kept = row
                .digests
                .get(index * DIGEST_KEPT_BYTES..(index + 1) * DIGEST_KEPT_BYTES);
            if kept != Some(digests[index].kept()) {
                return Err(tampering(position, TamperKind::EventChanged));
            }
        }
        let versions: Vec<u32> = events.iter().map(|event| event.version).collect();
        let recorded_at_us = events.first().map_or(0, |event| micros(event.recorded_at));
        if let Some(event) = events.iter().find(|event| micros(event.recorded_at) != recorded_at_us) {
            return Err(tampering(event.position, TamperKind::EventChanged));
        }
        let span = FlushSpan {
            first: row.first,
            last: row.last,
            recorded_at_us,
        };
        let hash = self.hash.extend(&span, &digests, &versions);
        if hash.0[..] != row.hash[..] {
            return Err(tampering(row.first, TamperKind::ChainChanged));
        }
        self.hash = hash;
        self.position = row.last;
        self.flushes += 1;
        Ok(())
    }

    /// The result, given the shard's last position by its events.
    pub(crate) fn finish(self, last_event: u64) -> Verified {
        if last_event > self.position {
            return Verified::Tampered(Tampering {
                shard: self.shard,
                position: self.position + 1,
                first: self.position + 1,
                last: last_event,
                what: TamperKind::EventInserted,
            });
        }
        Verified::Intact {
            events: self.position,
            flushes: self.flushes,
            head: self.hash,
        }
    }
}

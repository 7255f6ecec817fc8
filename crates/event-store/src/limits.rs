//! Every bound of the log, in one place. Nothing here grows without one.

use std::time::Duration;

/// Largest event: `data` and `meta` together. Larger bodies are split into several events by whoever records them.
pub const EVENT_BYTES_MAX: usize = 256 * 1024;

/// Most events in one append.
pub const APPEND_EVENTS_MAX: usize = 2_000;

/// Most bytes in one append; a callback body of 3 MB, split, fits.
pub const APPEND_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most streams that one append may write or guard.
pub const APPEND_STREAMS_MAX: usize = 2_000;

/// A flush stops taking appends at this many events. Past it the cost of an event no longer falls.
pub const FLUSH_EVENTS_MAX: usize = 1_000;

/// A flush stops taking appends at this many bytes.
pub const FLUSH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A flush with this many events is worth its round trip and does not wait for more. Measured: an event costs the
/// database about 300 µs alone in its flush, 22 µs among 32, 15 µs among 128.
pub const FLUSH_EVENTS_WORTHWHILE: usize = 128;

/// Longest time between the starts of two flushes of a busy shard: the most that spacing adds to an append.
pub const FLUSH_SPACING_MAX: Duration = Duration::from_millis(5);

/// Appends expected within [`FLUSH_SPACING_MAX`] from which a shard counts as busy. Below, every append goes at once.
pub const FLUSH_SPACING_APPENDS_MIN: f64 = 4.0;

/// Appends that may wait for a shard's committer before `append` itself waits.
pub const QUEUE_APPENDS_MAX: usize = 16_384;

/// How long an append may take before its caller is told that the outcome is unknown.
pub const APPEND_TIMEOUT: Duration = Duration::from_secs(30);

/// How long one flush may take before its connection is given up and the outcome is looked up on another.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);

/// Streams whose version a committer remembers.
pub const HEAD_CACHE_STREAMS_MAX: usize = 65_536;

/// Most events in one read.
pub const READ_EVENTS_MAX: usize = 10_000;

/// Most events in one slice of the relay.
pub const SLICE_EVENTS_MAX: usize = 500;

/// Most event bytes in one slice; below NATS' default of 1 MiB for a message.
pub const SLICE_BYTES_MAX: usize = 640 * 1024;

/// Most shards of one store.
pub const SHARDS_MAX: u16 = 256;

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

/// Shortest time between the starts of two flushes of a busy shard, if what waits is not worth a flush earlier.
pub const FLUSH_SPACING_MIN: Duration = Duration::from_millis(2);

/// The same in flushes: it grows with how long they take.
pub const FLUSH_SPACING_FLUSHES: u32 = 1;

/// The most it grows to, and the most that spacing adds to an append that somebody waits for.
pub const FLUSH_SPACING_MAX: Duration = Duration::from_millis(6);

/// As [`FLUSH_SPACING_MIN`], while nobody waits for any of the appends.
pub const FLUSH_SPACING_PATIENT_MIN: Duration = Duration::from_millis(15);

/// As [`FLUSH_SPACING_FLUSHES`], while nobody waits for any of the appends.
pub const FLUSH_SPACING_PATIENT_FLUSHES: u32 = 10;

/// As [`FLUSH_SPACING_MAX`], while nobody waits for any of the appends.
pub const FLUSH_SPACING_PATIENT_MAX: Duration = Duration::from_millis(30);

/// Appends expected within [`FLUSH_SPACING_MIN`] from which a shard counts as busy. Below, every append goes at once.
pub const FLUSH_SPACING_APPENDS_MIN: f64 = 4.0;

/// Appends that may wait for a shard's committer before `append` itself waits.
pub const QUEUE_APPENDS_MAX: usize = 16_384;

/// Streams of a flush that are expected to be new from which that is left to the unique index; with fewer, looking them up
/// is cheaper than being ready to be wrong.
pub const FLUSH_ASSUMED_STREAMS_MIN: usize = 8;

/// Flushes that look every new stream up after one was not new: being wrong costs a second try. And flushes that look up
/// every stream that was written before, after one was not where this process had seen it.
pub const FLUSHES_WITHOUT_ASSUMPTION: u32 = 64;

/// Flushes for which another process is taken to write the same shard, after one found that it had.
pub const FLUSHES_SHARED: u32 = 64;

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

/// Most events that a reader is handed at once, unless it asks for more.
pub const BATCH_EVENTS_MAX: usize = 1_000;

/// Slices that the slowest reader of a process may be behind the others; one further behind reads from the log.
pub const HUB_SLICES_MAX: usize = 256;

/// How often a direct feed looks for events of other processes. Those of its own process wake it.
pub const DIRECT_POLL: Duration = Duration::from_millis(200);

/// How long a JetStream feed trusts silence before it asks the log whether there is more.
pub const SILENCE_MAX: Duration = Duration::from_millis(250);

/// How often the log is read while JetStream cannot be.
pub const FALLBACK_POLL: Duration = Duration::from_millis(50);

/// How often a JetStream feed without a consumer tries to get one.
pub const CONSUMER_RETRY: Duration = Duration::from_secs(1);

/// How long a lease lasts without renewal: the longest that a dead reader holds up its successor.
pub const LEASE_TTL: Duration = Duration::from_secs(4);

/// How often a lease is renewed, and how often a waiting successor asks for it.
pub const LEASE_RENEWAL: Duration = Duration::from_secs(1);

/// How long a reader that met an event it does not understand keeps its lease, so that what is in hand is committed.
pub const STUCK_LINGER: Duration = Duration::from_secs(1);
/// When it looks again, counted from the same moment: long enough for another process to take the lease.
pub const STUCK_PAUSE: Duration = Duration::from_secs(10);

/// Shortest time between two slices. A wake-up of all readers costs more than the events in it.
pub const SLICE_SPACING: Duration = Duration::from_millis(3);

/// The same after a slice with [`SLICE_EVENTS_BUSY`] events or more.
pub const SLICE_SPACING_BUSY: Duration = Duration::from_millis(20);

/// A slice with this many events is a sign that many come.
pub const SLICE_EVENTS_BUSY: usize = 16;

/// How often an idle relay looks at the log; pokes make it look sooner.
pub const RELAY_POLL: Duration = Duration::from_millis(100);

/// Most durable readers, counted once a shard, whose position is told at once.
pub const FEED_POSITIONS_MAX: i64 = 4_096;

/// Shortest time between two pokes of one process for one shard.
pub const POKE_SPACING: Duration = Duration::from_millis(2);

/// How long an unwrapped data key is remembered: the longest that a process may still open what another has erased.
pub const KEY_CACHE_TTL: Duration = Duration::from_secs(10);

/// Most unwrapped data keys that a process remembers.
pub const KEY_CACHE_KEYS_MAX: usize = 65_536;

/// Most keys, or aliases, that one statement to the key table names. More go in several.
pub const KEYS_STATEMENT_MAX: usize = 1_000;

/// Callers that may wait for the key table before `obtain` and `load` themselves wait.
pub const KEYS_CALLERS_MAX: usize = 16_384;

/// How long one statement to the key table may take before all who share it are told that it did not answer.
pub const KEYS_STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// A statement with this many keys is worth its round trip and does not wait for more.
pub const KEYS_STATEMENT_WORTHWHILE: usize = 64;

/// Shortest time between the starts of two statements to the key table while it is busy: the most that waiting for
/// company adds. A statement costs about as much as twenty keys in it.
pub const KEYS_SPACING: Duration = Duration::from_millis(3);

/// Callers are counted for so long to tell whether the key table is busy.
pub const KEYS_RATE_WINDOW: Duration = Duration::from_millis(50);

/// Callers within [`KEYS_RATE_WINDOW`] from which the key table counts as busy: 200 a second. Below, each statement goes
/// at once.
pub const KEYS_BUSY_CALLERS_MIN: usize = 10;

/// How often keys are made again that somebody destroys in the very moment.
pub const OBTAIN_ATTEMPTS_MAX: usize = 3;

/// Most keys that one append brings along to be made with its events. More are made beforehand.
pub const APPEND_NEW_KEYS_MAX: usize = 16;

/// Keys are drawn without asking whether there are any, if so many of the last 64 that were asked for were new. A wrong guess
/// costs a second flush, a right one saves a statement before the first.
pub const NEW_KEYS_LIKELY_MIN: u32 = 48;

/// How often an append is sealed and tried when its keys are destroyed meanwhile.
pub const SEAL_ATTEMPTS_MAX: usize = 3;

/// Positions that one step of a search for rare events looks at.
pub const SCAN_POSITIONS_MAX: u64 = 50_000;

/// How far the clocks of processes may be apart when destructions are replayed: keys this much younger go too.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_mins(1);

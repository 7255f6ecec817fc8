//! Every bound of the read models, in one place.

use std::time::Duration;

/// Most rows of one page.
pub const PAGE_ROWS_MAX: u32 = 500;

/// Rows of a page when nobody says how many.
pub const PAGE_ROWS_DEFAULT: u32 = 50;

/// Most messages that one look-up names.
pub const LOOKUP_MESSAGES_MAX: usize = 1_000;

/// Pieces of evidence that are kept for each reason not to write to somebody: the newest.
pub const EVIDENCE_MAX: usize = 50;

/// Most events of one batch. A batch that is full does not wait for the next.
pub const BATCH_EVENTS_MAX: usize = 5_000;

/// Longest time between the starts of two batches of a busy shard: the most that gathering adds to what is seen.
/// Request and decision, start and answer, `sent`, `delivered` and `read` of one message come close together and then cost one write.
pub const BATCH_SPACING_MAX: Duration = Duration::from_millis(500);

/// Messages whose rows the active reader of a shard remembers, so that it need not load what it has just written; twice.
pub const CACHE_MESSAGES_MAX: usize = 10_000;

/// Events of one batch of a rebuild.
pub const REBUILD_BATCH_EVENTS_MAX: usize = 5_000;

/// Events that a rebuild may be behind when it changes places with what it replaces; these are folded while everybody waits.
pub const SWAP_EVENTS_MAX: u64 = 2_000;

/// A rebuild that has not moved for this long is dead, and another may begin.
pub const REBUILD_DEAD_AFTER: Duration = Duration::from_secs(10);

/// How long the first pause after a failure of the database is.
pub const BACKOFF_MIN: Duration = Duration::from_millis(50);

/// How long the longest is.
pub const BACKOFF_MAX: Duration = Duration::from_secs(2);

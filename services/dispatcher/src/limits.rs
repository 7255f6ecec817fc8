//! Every bound of the dispatcher that is not configured.

use std::time::Duration;

/// An attempt's call begins within this time of the attempt, or is not made: a process that was stopped in between must not
/// wake up and send what others have given up.
pub const CALL_BEGINS_WITHIN: Duration = Duration::from_secs(2);

/// How long an outcome may take to be recorded, beyond the call itself, before its process is taken to have died.
pub const OUTCOME_MARGIN: Duration = Duration::from_secs(3);

/// How long a slice waits for more free slots once there is one: a query for one message costs as much as for thirty.
pub const SLOTS_LINGER: Duration = Duration::from_millis(2);

/// How often a slice is judged again because contacts changed under it.
pub const ROUNDS_MAX: u32 = 20;

/// Open messages that are looked at in one go.
pub const DUE_MESSAGES_MAX: usize = 256;

/// How often an open message is looked at again when nothing about it has changed.
pub const RECHECK: Duration = Duration::from_secs(1);

/// The longest that a reader sleeps before it looks at what is due.
pub const TICK: Duration = Duration::from_millis(250);

/// The first pause after the database did not answer, and the longest.
pub const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Outcomes that may wait to be recorded, for each slot.
pub const FLIGHTS_PER_SLOT: usize = 4;

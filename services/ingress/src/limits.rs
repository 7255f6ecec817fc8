//! Every bound of ingress, in one place.

use std::time::Duration;

/// How long a message is worth sending when its caller does not say.
pub const EXPIRY_DEFAULT: Duration = Duration::from_hours(24);
/// The longest a message may be worth sending.
pub const EXPIRY_MAX: Duration = Duration::from_hours(30 * 24);
/// The shortest time to live that may be asked for.
pub const TTL_MIN: Duration = Duration::from_secs(1);

/// Callers that may wait for a decision at a time; whoever comes after them is answered ACCEPTED at once.
pub const WAITERS_MAX: usize = 65_536;
/// Callers that may watch a message at a time.
pub const WATCHERS_MAX: usize = 10_000;
/// Longest part of a caller's time that is kept back for the answer's way home.
pub const ANSWER_MARGIN_MAX: Duration = Duration::from_millis(100);

/// Templates whose definitions are kept; with more, all are looked up anew.
pub const TEMPLATES_KNOWN_MAX: usize = 10_000;

/// Requests in flight on one stream of SendMessages.
pub const STREAM_IN_FLIGHT_MAX: usize = 1_000;
/// States of a watched message that wait to be read by its watcher.
pub const WATCH_QUEUE_MAX: usize = 4;
/// How long a watcher may leave a state unread.
pub const WATCH_SEND_MAX: Duration = Duration::from_secs(30);

/// How often the backlog is looked at.
pub const BACKLOG_LOOK_EVERY: Duration = Duration::from_secs(1);

/// Longest wait for that look. A database that is frozen or cut off gives no error: without a bound the look would not end.
pub const BACKLOG_LOOK_MAX: Duration = Duration::from_secs(5);

/// Largest body of a callback, in bytes; Meta's own limit.
pub const CALLBACK_BYTES_MAX: usize = assent_whatsapp::limits::CALLBACK_BODY_BYTES_MAX;
/// Largest part of a body that is kept in one event, in bytes of JSON before it is sealed: base64 adds a third, and an
/// event has at most 256 KiB.
pub const PART_BYTES_MAX: usize = 150 * 1024;

/// Longest name, media type or id of a file that a person sent, in characters; of names and types the rest is cut off.
pub const FILE_TEXT_CHARS_MAX: usize = 255;
/// Longest message of a person's, in bytes of JSON, whose details go into its event beside its text. Both are sealed, and
/// the text is part of the details: together they stay below 256 KiB.
pub const DETAILS_BYTES_MAX: usize = 64 * 1024;
/// Events of one callback that go into one append; more go in several. Below the log's own limits.
pub const APPEND_EVENTS_MAX: usize = 1_000;
/// Bytes of one callback's events that go into one append. Below the log's own limit of 8 MiB.
pub const APPEND_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Bytes of callback bodies in memory at a time; whoever comes when there is no room waits.
pub const CALLBACK_BYTES_TOTAL_MAX: usize = 64 * 1024 * 1024;
/// How long a body may take to arrive.
pub const CALLBACK_READ_MAX: Duration = Duration::from_secs(30);

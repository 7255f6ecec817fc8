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

/// Largest request to our gRPC services, in bytes: a chunk of a file and what is around it.
pub const REQUEST_BYTES_MAX: usize = 260 * 1024;

/// Files of one shard that are fetched at a time.
pub const FILES_AT_ONCE: usize = 4;

/// Mebibytes of files of one shard that are in memory at a time; more than the largest file.
pub const FILE_MEBIBYTES_AT_ONCE: u32 = 128;

/// Bytes of a file that are sealed, stored and answered as one piece.
pub const FILE_PIECE_BYTES: usize = 256 * 1024;

/// How often a file is downloaded whose hash is not the one that Meta gave.
pub const FILE_HASH_TRIES_MAX: u32 = 3;

/// How often the files to be fetched are looked at when nothing calls for it.
pub const FILES_LOOK_EVERY: Duration = Duration::from_secs(30);

/// How often the bytes of files that were erased are looked for.
pub const FILE_SWEEP_EVERY: Duration = Duration::from_mins(10);

/// Keys that are looked at in one go for that.
pub const FILE_KEYS_PAGE: usize = 1_000;

/// Files that are read by callers at a time.
pub const FILE_READERS_MAX: usize = 64;

/// How long a statement waits for another that writes files, in SQLite.
pub const FILE_STORE_BUSY: Duration = Duration::from_secs(10);

/// Connections to the files in SQLite.
pub const FILE_STORE_CONNECTIONS: u32 = 4;

/// Linked files that are fetched or uploaded at a time.
pub const UPLOADS_AT_ONCE: usize = 8;

/// Mebibytes of linked files in memory at a time; more than the largest file.
pub const UPLOAD_MEBIBYTES_AT_ONCE: u32 = 128;

/// Links and uploads that are remembered without asking the database.
pub const UPLOADS_REMEMBERED_MAX: usize = 20_000;

/// How long Meta's id of an uploaded file is used: a few days less than Meta keeps it.
pub const UPLOAD_USED_FOR: Duration = Duration::from_hours(25 * 24);

/// The longest that fetching, checking and uploading a file can take, waiting for its turn included.
pub const UPLOAD_TASK_MAX: Duration = Duration::from_mins(30);

/// How often a link is fetched that does not work for a reason that may pass, and how much longer each pause is.
pub const FETCH_TRIES_MAX: u32 = 3;

/// The first pause between two such tries.
pub const FETCH_PAUSE: Duration = Duration::from_secs(2);

/// How soon a message is looked at again whose file is being fetched; later every [`RECHECK`].
pub const MEDIA_FIRST_LOOK: Duration = Duration::from_millis(200);

/// Problems of one file that are recorded.
pub const FILE_PROBLEMS_MAX: usize = 10;

/// Files that callers hand over at a time; who comes beyond is told to come later.
pub const CALLERS_FILES_AT_ONCE: usize = 16;

/// Mebibytes of such files in memory at a time; more than the largest file.
pub const CALLERS_MEBIBYTES_AT_ONCE: usize = 128;

/// How long a caller's next chunk may take.
pub const CALLERS_CHUNK_MAX: Duration = Duration::from_secs(30);

/// Longest name of a file that a caller hands over, in characters.
pub const FILENAME_CHARS_MAX: usize = 240;

/// Longest media type that a caller gives with a file, in characters.
pub const MEDIA_TYPE_CHARS_MAX: usize = 255;

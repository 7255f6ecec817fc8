//! Files that people sent us, and what became of them. Stream key: the file. Owner: dispatcher.
//!
//! The bytes are too large for the log: they lie sealed in a table of their own, by the key that the message is sealed with.

use assent_sealed::Sealed;
use serde::{Deserialize, Serialize};

use crate::values::{PhoneNumberId, Term, Timestamp};

super::event_catalogue! {
    /// What became of a file.
    MediaEvent in Media {
        /// It was fetched from Meta, compared with its hash and stored.
        Stored(Box<FileStored>) = "media.stored" v 1,
        /// It will not be fetched any more.
        Unavailable(FileUnavailable) = "media.unavailable" v 1,
    }
}

/// A file was fetched, compared with its hash and stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStored {
    /// The number it was sent to.
    pub number: PhoneNumberId,
    /// Meta's word for the message it came with: `image`, `document` …
    pub kind: Term,
    /// Its size.
    pub size_bytes: u64,
    /// What it is.
    pub file: Sealed<StoredFile>,
    /// When the message with it arrived.
    pub received_at: Timestamp,
    /// When it was stored.
    pub stored_at: Timestamp,
}

/// What a stored file is. Personal: by the hash of a known file it could be told who was sent it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// Its media type, as Meta says; `application/octet-stream` if it did not.
    pub media_type: String,
    /// The name that the person's device gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

impl std::fmt::Debug for StoredFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredFile(..)")
    }
}

/// A file will not be fetched any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileUnavailable {
    /// The number it was sent to.
    pub number: PhoneNumberId,
    /// Meta's word for the message it came with.
    pub kind: Term,
    /// Why, as a machine word: `erased`, `hash_mismatch`, `too_large`, `meta_error_100`, `kept_no_longer` …
    pub reason: Term,
    /// How often it was tried.
    pub tries: u32,
    /// When the message with it arrived.
    pub received_at: Timestamp,
    /// When it was given up.
    pub given_up_at: Timestamp,
}

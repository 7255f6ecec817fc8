//! Why keys could not be had or a value not opened.

use std::sync::Arc;

use assent_sealed::KeyId;

/// Why a value could not be sealed or opened. A key that is gone is not among them: what it sealed reads as erased.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeyError {
    /// The key table did not answer. Try again. Shared by all who had asked in one round trip.
    #[error("the key table did not answer")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// A data key is wrapped by a master key that is not configured.
    #[error("a data key is wrapped by master key {master:?}, which is not configured; add it to the older master keys")]
    UnknownMaster {
        /// The id of the master key.
        master: String,
    },
    /// The master key of that id does not unwrap a data key.
    #[error(
        "master key {master:?} does not unwrap data key {}: other bytes are configured under that id, or the row was changed",
        key.0
    )]
    WrongMaster {
        /// The id of the master key.
        master: String,
        /// The data key.
        key: KeyId,
    },
    /// A sealed value does not belong to its key and context, or was changed.
    #[error("a sealed value does not authenticate under data key {} as {context:?}; it was changed or moved", key.0)]
    Tampered {
        /// The data key, which is alive.
        key: KeyId,
        /// What the value was opened as.
        context: String,
    },
    /// A sealed value is authentic but does not have the shape that is asked of it.
    #[error("a value sealed with data key {} as {context:?} has another shape than the one asked for", key.0)]
    WrongShape {
        /// The data key.
        key: KeyId,
        /// What the value was opened as.
        context: String,
    },
    /// A value cannot be written as JSON, so it cannot be sealed.
    #[error("the value to be sealed as {context:?} cannot be written as JSON")]
    NotJson {
        /// What it was to be sealed as.
        context: String,
    },
    /// Keys were destroyed as fast as they were made. Try again.
    #[error("keys were destroyed as fast as they were obtained, {attempts} times")]
    Contended {
        /// How often they were made.
        attempts: usize,
    },
}

impl KeyError {
    /// Whether the same may succeed when it is simply tried again.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Contended { .. } => true,
            Self::UnknownMaster { .. }
            | Self::WrongMaster { .. }
            | Self::Tampered { .. }
            | Self::WrongShape { .. }
            | Self::NotJson { .. } => false,
        }
    }
}

impl From<sqlx::Error> for KeyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(Arc::new(error))
    }
}

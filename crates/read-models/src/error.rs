//! What can go wrong, by operation.

use assent_event_store::{FeedError, ReadError, ShardId};

use crate::schema::View;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The page token was not handed out by us, or for another list.
    #[error("the page token is not one that this list handed out")]
    BadPageToken,
    /// More messages were named than one question may.
    #[error("at most {max} messages can be asked for at once")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// The database did not answer.
    #[error("the read models cannot be read")]
    Unavailable(#[from] sqlx::Error),
    /// A row cannot be read: written by a newer program, or damaged. A rebuild mends it.
    #[error("a row of {table} cannot be read; rebuild the view")]
    Unreadable {
        /// The table.
        table: &'static str,
    },
}

/// Why views could not be opened or moved on.
#[derive(Debug, thiserror::Error)]
pub enum ViewsError {
    /// Somebody else moved the views on: another process reads for this shard now.
    #[error("the views of shard {shard} are not where this reader left them")]
    Moved {
        /// The shard.
        shard: ShardId,
    },
    /// A row cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The checkpoint could not be moved.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<sqlx::Error> for ViewsError {
    fn from(error: sqlx::Error) -> Self {
        Self::Query(error.into())
    }
}

/// Why a rebuild ended without a new generation. What was served before is served on.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Another rebuild of the same view is at work.
    #[error("{view} is being rebuilt already")]
    Busy {
        /// The view.
        view: View,
    },
    /// This rebuild stood still for so long that another one took its place.
    #[error("another rebuild of {view} took the place of this one")]
    Superseded {
        /// The view.
        view: View,
    },
    /// Folding or writing failed.
    #[error(transparent)]
    Views(#[from] ViewsError),
}

impl From<sqlx::Error> for RebuildError {
    fn from(error: sqlx::Error) -> Self {
        Self::Views(error.into())
    }
}

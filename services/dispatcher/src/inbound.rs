//! Files that people send: fetched from Meta as they arrive, kept sealed, given to those who ask.
//!
//! Meta keeps a received file for seven days, so a file is fetched as soon as its message is read and tried again within
//! minutes. Follow one:
//!
//! 1. `reader` reads `provider.message_received` and notes the file in a table (`due`), in the transaction of its
//!    checkpoint: from then on it cannot be forgotten.
//! 2. `fetch` asks Meta for its address, downloads it, compares the hash, seals it in pieces by the key that its message is
//!    sealed with, and stores it (`store`). Only then is `media.stored` appended.
//! 3. `library` opens the pieces again for a caller. Whoever erases the person destroys that key, and with it the file.
//!
//! Every step may be repeated: the same file has the same id, and storing it again replaces it by itself.

mod due;
mod fetch;
mod library;
mod reader;
mod store;

pub(crate) use self::{fetch::Fetching, library::Library, reader::run, store::FileStore};

use assent_event_store::EventStore;

/// Makes the tables, if they are not there.
pub(crate) async fn prepare(store: &EventStore) -> Result<FileStore, sqlx::Error> {
    due::prepare(store).await?;
    FileStore::open(store).await
}

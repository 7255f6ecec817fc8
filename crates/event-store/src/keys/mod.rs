//! Sealing personal data, and the keys that open it.
//!
//! The log keeps everything for ever, so a person is forgotten by destroying keys. Follow a value through the files:
//!
//! 1. [`AliasHasher`] turns an alias (a phone number) into the keyed hash that stands for it everywhere.
//! 2. [`KeyRing::obtain`] finds or makes the data keys of many aliases in one round trip, which callers who come at the
//!    same time share. [`KeyPolicy`] says for how
//!    long: a key belongs to an alias, a [`KeyClass`](assent_sealed::KeyClass) and a period, and expires a fixed time
//!    after its period ends, so that what is sealed last is kept as long as was promised.
//! 3. [`DataKey::seal`] encrypts: AES-256-GCM, a random nonce, bound to the key's id and to a context label.
//! 4. [`Append::sealed_with`](crate::Append::sealed_with) names the keys, and the flush checks that they are alive.
//!    [`KeyRing::append_sealed`] does 2 to 4 and starts over when a key was destroyed in between. Keys that are probably
//!    new it does not obtain but draws, and the flush makes them with what they seal.
//! 5. [`KeyRing::load`] fetches the keys of many values in one query; [`LoadedKeys::open`] opens each, or says
//!    [`Opened::Erased`](assent_sealed::Opened::Erased).
//!
//! # Destruction
//!
//! [`KeyRing::destroy`] and [`KeyRing::expire`] are ordered with appends: an append with a destroyed key was either
//! committed before the destruction or is told [`AppendError::KeysGone`](crate::AppendError::KeysGone). Reading is
//! laxer: unwrapped keys are cached for [`KEY_CACHE_TTL`](crate::limits::KEY_CACHE_TTL), and so long another process
//! may still open what was just erased. The process that destroys a key forgets it at once.
//!
//! In SQLite a deleted key is overwritten and the write-ahead log cut off. Postgres keeps a deleted row until it is
//! vacuumed (the table asks for that early) and in the write-ahead log until that is recycled; both hold the key only as
//! wrapped by the master key.
//!
//! # Rotation of the master key
//!
//! Configure the new master key as an older one in every process, then as the current one; run [`KeyRing::rotate`] and
//! drop the old one when [`KeyRing::keys_under`] counts none. Data is not sealed again: only the wrapping changes. A
//! master key wraps with random nonces and must wrap fewer than 2³² keys; the same holds for the values of a data key.
//! The key of the hashes is never rotated: nobody would be found by the hashes made before.
//!
//! # Backup
//!
//! A backup of the log is useless to whoever lacks the keys, so the key table is backed up apart, and no longer than
//! erasing somebody may take. Backups hold keys that were destroyed since they were made. **After a restore, and before
//! anything is served**, read all destructions from the log and hand them to [`KeyRing::replay_destructions`].

mod cache;
mod data_key;
mod error;
mod gather;
mod hasher;
mod master;
mod new_key;
mod policy;
mod replayed;
mod ring;
mod seal_and_append;
mod secret;
mod table;

pub use data_key::DataKey;
pub use error::KeyError;
pub use hasher::AliasHasher;
pub use master::{InvalidMasters, MasterKey, MasterKeys};
pub(crate) use new_key::NewKey;
pub use policy::KeyPolicy;
pub use ring::{Destruction, KeyRing, LoadedKeys};
pub use seal_and_append::SealAndAppendError;
pub use secret::{InvalidSecret, generate_secret};

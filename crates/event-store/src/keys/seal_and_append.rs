//! Sealing and appending as one step.

use assent_sealed::{AliasHash, KeyClass};
use time::OffsetDateTime;

use super::{DataKey, KeyError, KeyRing, new_key::Drawn};
use crate::{Append, AppendError, Appended, ShardId, limits};

/// Why something was not sealed and appended.
#[derive(Debug, thiserror::Error)]
pub enum SealAndAppendError<E> {
    /// The keys could not be obtained. Nothing was written.
    #[error("the keys could not be obtained")]
    Keys(#[source] KeyError),
    /// The caller could not build the append. Nothing was written.
    #[error("the append could not be built")]
    Build(#[source] E),
    /// The append was not written, or may not have been.
    #[error("the sealed append was not written")]
    Append(#[source] AppendError),
}

impl KeyRing {
    /// Obtains keys, lets `build` seal with them (they come in the order of `wanted`), and appends what it built. If a
    /// key is destroyed before that is written, all of it is done again with new keys, up to
    /// [`SEAL_ATTEMPTS_MAX`](limits::SEAL_ATTEMPTS_MAX) times.
    ///
    /// `build` may decide anew each time it is called, but what it draws at random, such as the id of an attempt, it
    /// draws again. The append names its keys without `build` doing so.
    pub async fn append_sealed<E>(
        &self,
        shard: ShardId,
        wanted: &[(AliasHash, KeyClass)],
        now: OffsetDateTime,
        mut build: impl FnMut(&[DataKey]) -> Result<Append, E>,
    ) -> Result<Appended, SealAndAppendError<E>> {
        for attempt in 1.. {
            let epoch = self.epoch();
            // Guessed once: whatever was wrong with that, the key table knows what there is.
            let keys = if attempt == 1 {
                self.obtain_or_draw(wanted, now).await
            } else {
                self.obtain(wanted, now).await.map(|keys| (keys, Drawn::default()))
            };
            let (keys, drawn) = keys.map_err(SealAndAppendError::Keys)?;
            let append = build(&keys).map_err(SealAndAppendError::Build)?;
            let append = append
                .sealed_with(keys.iter().map(DataKey::id))
                .bringing(drawn.new.iter().cloned());
            match self.store().append(shard, append).await {
                Ok(appended) => {
                    self.made(&drawn, epoch);
                    return Ok(appended);
                }
                Err(AppendError::KeysGone { keys }) if attempt < limits::SEAL_ATTEMPTS_MAX => self.gone(&drawn, keys),
                Err(error) => return Err(SealAndAppendError::Append(error)),
            }
        }
        unreachable!("the last attempt returns")
    }
}

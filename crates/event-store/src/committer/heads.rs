//! What a committer remembers of stream versions.

use std::collections::HashMap;

use super::Hashing;
use crate::{
    append::{Append, AppendError},
    event::StreamId,
    limits,
};

/// Versions of streams that were in recent flushes.
///
/// A version seen once is a lower bound for ever: streams only grow. It is *exact* as long as no other process has
/// written the shard since; the database says so by the head it finds.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    // Two generations in place of a list by age: the older one is dropped when the younger is full.
    young: HashMap<StreamId, Head, Hashing>,
    old: HashMap<StreamId, Head, Hashing>,
    epoch: u32,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    version: u32,
    epoch: u32,
}

impl Heads {
    /// From here on remembered versions are lower bounds only.
    pub(crate) fn forget_exact(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }

    pub(crate) fn put(&mut self, stream: StreamId, version: u32) {
        if self.young.len() >= limits::HEAD_CACHE_STREAMS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(
            stream,
            Head {
                version,
                epoch: self.epoch,
            },
        );
    }

    fn get(&self, stream: &StreamId) -> Option<Head> {
        self.young.get(stream).or_else(|| self.old.get(stream)).copied()
    }

    pub(crate) fn exact(&self, stream: &StreamId) -> Option<u32> {
        self.get(stream)
            .filter(|head| head.epoch == self.epoch)
            .map(|head| head.version)
    }

    /// The version it had at least, as long as the database is the one that said so.
    pub(crate) fn seen(&self, stream: &StreamId) -> Option<u32> {
        self.get(stream).map(|head| head.version)
    }

    /// Forgets everything: the log may be another one.
    pub(crate) fn clear(&mut self) {
        self.forget_exact();
        self.young.clear();
        self.old.clear();
    }

    /// The conflict that the append is certain to meet, because a stream has already passed the expected version.
    pub(crate) fn conflict(&self, append: &Append) -> Option<AppendError> {
        let writes = append.writes.iter().map(|write| (&write.stream, write.expected));
        let guards = append.guards.iter().map(|(stream, expected)| (stream, *expected));
        writes.chain(guards).find_map(|(stream, expected)| {
            let actual = self.get(stream)?.version;
            let passed = expected.version().is_some_and(|version| version < actual);
            passed.then(|| AppendError::Conflict {
                stream: stream.clone(),
                actual,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{Expected, event::NewEvent};

    #[test]
    fn after_a_foreign_write_a_version_is_a_lower_bound_only() {
        let stream = StreamId::new("contact", Uuid::from_u128(1));
        let mut heads = Heads::default();
        heads.put(stream.clone(), 4);
        assert_eq!(heads.exact(&stream), Some(4));
        heads.forget_exact();
        assert_eq!((heads.exact(&stream), heads.seen(&stream)), (None, Some(4)));
        let event = NewEvent::new("contact.opted_in", 1, &b"{}"[..], &crate::EventMeta::default());
        let behind = Append::new().write(stream.clone(), Expected::Exact(3), [event.clone()]);
        assert!(matches!(
            heads.conflict(&behind),
            Some(AppendError::Conflict { actual: 4, .. })
        ));
        let ahead = Append::new().write(stream, Expected::Exact(5), [event]);
        assert!(heads.conflict(&ahead).is_none());
        heads.clear();
        assert_eq!(heads.seen(&StreamId::new("contact", Uuid::from_u128(1))), None);
    }
}

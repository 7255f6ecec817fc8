//! Unwrapped keys that were used a moment ago.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use assent_sealed::{AliasHash, KeyClass, KeyId};

use super::{DataKey, policy::Period};
use crate::limits;

/// What a key is obtained by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub(crate) alias: AliasHash,
    pub(crate) class: KeyClass,
    pub(crate) period: Arc<Period>,
}

/// Keys by id and by slot, each for a fixed time after it was read from the key table.
#[derive(Debug)]
pub(crate) struct Cache {
    ttl: Duration,
    // Two generations in place of a list by age: the older one is dropped when the younger is full or old.
    young: Generation,
    old: Generation,
    /// Grows when keys are forgotten, so that what was read before is not put back.
    epoch: u64,
}

#[derive(Debug)]
struct Generation {
    since: Instant,
    keys: HashMap<KeyId, Cached>,
    slots: HashMap<Slot, KeyId>,
}

#[derive(Debug)]
struct Cached {
    key: DataKey,
    until: Instant,
}

impl Generation {
    fn new(since: Instant) -> Self {
        Self {
            since,
            keys: HashMap::new(),
            slots: HashMap::new(),
        }
    }
}

impl Cache {
    pub(crate) fn new(ttl: Duration, now: Instant) -> Self {
        Self {
            ttl,
            young: Generation::new(now),
            old: Generation::new(now),
            epoch: 0,
        }
    }

    /// To be asked before the key table is read, and given to [`put`](Self::put) with what was read.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn by_id(&self, id: KeyId, now: Instant) -> Option<DataKey> {
        let cached = self.young.keys.get(&id).or_else(|| self.old.keys.get(&id))?;
        (cached.until > now).then(|| cached.key.clone())
    }

    pub(crate) fn by_slot(&self, slot: &Slot, now: Instant) -> Option<DataKey> {
        let id = self.young.slots.get(slot).or_else(|| self.old.slots.get(slot))?;
        self.by_id(*id, now)
    }

    /// Remembers a key that was read at `epoch`; `read_at` is a time before the reading.
    pub(crate) fn put(&mut self, epoch: u64, key: &DataKey, slot: Option<Slot>, read_at: Instant) {
        if epoch != self.epoch {
            return;
        }
        let full = self.young.keys.len().max(self.young.slots.len()) >= limits::KEY_CACHE_KEYS_MAX / 2;
        if full || read_at.saturating_duration_since(self.young.since) >= self.ttl {
            self.old = std::mem::replace(&mut self.young, Generation::new(read_at));
        }
        if let Some(slot) = slot {
            self.young.slots.insert(slot, key.id());
        }
        self.young.keys.insert(
            key.id(),
            Cached {
                key: key.clone(),
                until: read_at + self.ttl,
            },
        );
    }

    pub(crate) fn forget(&mut self, keys: impl IntoIterator<Item = KeyId>) {
        self.epoch += 1;
        for key in keys {
            // A slot that leads to a forgotten key leads nowhere.
            self.young.keys.remove(&key);
            self.old.keys.remove(&key);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.epoch += 1;
        self.young.keys.clear();
        self.old.keys.clear();
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::*;
    use crate::keys::{KeyPolicy, secret};

    const TTL: Duration = Duration::from_secs(10);

    fn key(id: u128) -> DataKey {
        DataKey::new(KeyId(Uuid::from_u128(id)), None, secret::random())
    }

    fn slot(alias: u8) -> Slot {
        Slot {
            alias: AliasHash([alias; 32]),
            class: KeyClass::Identity,
            period: Arc::new(KeyPolicy::default().period(KeyClass::Identity, OffsetDateTime::UNIX_EPOCH)),
        }
    }

    #[test]
    fn a_key_is_found_by_id_and_slot_until_its_time_is_over() {
        let start = Instant::now();
        let mut cache = Cache::new(TTL, start);
        cache.put(0, &key(1), Some(slot(1)), start);
        assert!(cache.by_id(KeyId(Uuid::from_u128(1)), start + TTL / 2).is_some());
        assert!(cache.by_slot(&slot(1), start + TTL / 2).is_some());
        assert!(cache.by_slot(&slot(1), start + TTL).is_none());
        assert!(cache.by_slot(&slot(2), start).is_none());
    }

    #[test]
    fn a_forgotten_key_is_gone_and_does_not_come_back_with_an_earlier_reading() {
        let start = Instant::now();
        let mut cache = Cache::new(TTL, start);
        let before = cache.epoch();
        cache.put(before, &key(1), Some(slot(1)), start);
        cache.forget([KeyId(Uuid::from_u128(1))]);
        assert!(cache.by_slot(&slot(1), start).is_none());
        cache.put(before, &key(1), Some(slot(1)), start);
        assert!(cache.by_id(KeyId(Uuid::from_u128(1)), start).is_none());
        cache.put(cache.epoch(), &key(2), Some(slot(1)), start);
        assert!(cache.by_slot(&slot(1), start).is_some());
        cache.clear();
        assert!(cache.by_slot(&slot(1), start).is_none());
    }

    #[test]
    fn it_never_holds_more_than_its_bound() {
        let start = Instant::now();
        let mut cache = Cache::new(TTL, start);
        for id in 0..limits::KEY_CACHE_KEYS_MAX as u128 * 2 {
            cache.put(0, &key(id), None, start);
        }
        assert!(cache.young.keys.len() + cache.old.keys.len() <= limits::KEY_CACHE_KEYS_MAX);
    }
}

//! The keys of a store: obtaining, loading, destroying, rotating.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use assent_sealed::{AliasHash, KeyClass, KeyId, Opened, Sealed};
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    DataKey, KeyError, KeyPolicy, MasterKeys,
    cache::{Cache, Slot},
    policy::Period,
    secret,
    table::{Candidate, KeyRow, KeyTable, Rewrapped},
};
use crate::{EventStore, limits};

/// The data keys of a store, and the master keys that unwrap them. Cheap to clone; all clones share the cache.
#[derive(Clone)]
pub struct KeyRing {
    table: KeyTable,
    masters: MasterKeys,
    policy: KeyPolicy,
    cache: Arc<Mutex<Cache>>,
}

/// A destruction to be repeated on a restored key table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destruction {
    /// Whose keys.
    pub alias: AliasHash,
    /// When they had been destroyed. Keys made later belong to somebody who came back, and stay.
    pub at: OffsetDateTime,
}

impl KeyRing {
    /// The keys of `store`.
    pub fn new(store: EventStore, masters: MasterKeys, policy: KeyPolicy) -> Self {
        Self::with_cache_ttl(store, masters, policy, limits::KEY_CACHE_TTL)
    }

    /// The keys of `store`, remembered for `ttl` where [`KEY_CACHE_TTL`](limits::KEY_CACHE_TTL) is not right.
    pub fn with_cache_ttl(store: EventStore, masters: MasterKeys, policy: KeyPolicy, ttl: Duration) -> Self {
        let cache = Arc::new(Mutex::new(Cache::new(ttl, Instant::now())));
        Self {
            table: KeyTable::new(store),
            masters,
            policy,
            cache,
        }
    }

    pub(crate) fn store(&self) -> &EventStore {
        self.table.store()
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().expect("nothing panics while it holds the cache")
    }

    /// The keys to seal with at `now`, in the order of `wanted`; made where there are none. One round trip for every
    /// [`KEYS_STATEMENT_MAX`](limits::KEYS_STATEMENT_MAX) that are not remembered. Whoever asks for the same alias,
    /// class and period gets the same key, in any process.
    pub async fn obtain(
        &self,
        wanted: &[(AliasHash, KeyClass)],
        now: OffsetDateTime,
    ) -> Result<Vec<DataKey>, KeyError> {
        let periods = KeyClass::ALL.map(|class| self.policy.period(class, now));
        let period = |class: KeyClass| &periods[KeyClass::ALL.iter().position(|one| *one == class).unwrap_or(0)];
        let slot = |alias: AliasHash, class| Slot {
            alias,
            class,
            period: period(class).name.clone(),
        };
        let slots: Vec<Slot> = wanted.iter().map(|(alias, class)| slot(*alias, *class)).collect();

        let mut found: HashMap<&Slot, DataKey> = HashMap::with_capacity(slots.len());
        for _ in 0..limits::OBTAIN_ATTEMPTS_MAX {
            let missing = self.find_cached(&slots, &mut found, now);
            if missing.is_empty() {
                let key = |slot| found.get(slot).cloned().expect("nothing is missing");
                return Ok(slots.iter().map(key).collect());
            }
            for missing in missing.chunks(limits::KEYS_STATEMENT_MAX) {
                self.obtain_missing(missing, period, &mut found, now).await?;
            }
        }
        // The last attempt may have completed the set.
        if slots.iter().all(|slot| found.contains_key(slot)) {
            return Ok(slots.iter().map(|slot| found[slot].clone()).collect());
        }
        Err(KeyError::Contended {
            attempts: limits::OBTAIN_ATTEMPTS_MAX,
        })
    }

    /// Adds what is remembered to `found` and returns the rest, sorted and each once.
    fn find_cached<'a>(
        &self,
        slots: &'a [Slot],
        found: &mut HashMap<&'a Slot, DataKey>,
        now: OffsetDateTime,
    ) -> Vec<&'a Slot> {
        let mut missing = Vec::new();
        let cache = self.cache();
        let instant = Instant::now();
        for slot in slots {
            if found.contains_key(slot) {
                continue;
            }
            match cache.by_slot(slot, instant).filter(|key| key.is_alive(now)) {
                Some(key) => drop(found.insert(slot, key)),
                None => missing.push(slot),
            }
        }
        drop(cache);
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    async fn obtain_missing<'a, 'p>(
        &self,
        missing: &[&'a Slot],
        period: impl Fn(KeyClass) -> &'p Period,
        found: &mut HashMap<&'a Slot, DataKey>,
        now: OffsetDateTime,
    ) -> Result<(), KeyError> {
        let candidates: Vec<Candidate<'_>> = missing
            .iter()
            .map(|slot| {
                // Version 7: keys of one time lie side by side in the index that every append looks into.
                let key = KeyId(Uuid::now_v7());
                let wrapped = self.masters.wrap(key, &secret::random());
                Candidate {
                    slot,
                    expires_at: period(slot.class).expires_at,
                    key,
                    wrapped,
                }
            })
            .collect();
        let (epoch, read_at) = (self.cache().epoch(), Instant::now());
        let rows = self.table.obtain(&candidates, self.masters.current_id(), now).await?;
        for (slot, row) in missing.iter().zip(rows) {
            let Some(row) = row else { continue };
            let key = self.unwrap(&row)?;
            self.cache().put(epoch, &key, Some((*slot).clone()), read_at);
            found.insert(slot, key);
        }
        Ok(())
    }

    fn unwrap(&self, row: &KeyRow) -> Result<DataKey, KeyError> {
        let secret = self.masters.unwrap(row.key, &row.master, &row.wrapped)?;
        Ok(DataKey::new(row.key, row.expires_at, secret))
    }

    /// The living ones of `keys`, to open values of any types with. One query for every
    /// [`KEYS_STATEMENT_MAX`](limits::KEYS_STATEMENT_MAX) that are not remembered.
    pub async fn load(
        &self,
        keys: impl IntoIterator<Item = KeyId>,
        now: OffsetDateTime,
    ) -> Result<LoadedKeys, KeyError> {
        let mut loaded = HashMap::new();
        let mut missing = HashSet::new();
        {
            let cache = self.cache();
            let instant = Instant::now();
            for id in keys {
                match cache.by_id(id, instant) {
                    Some(key) => drop(loaded.insert(id, key)),
                    None => drop(missing.insert(id)),
                }
            }
        }
        let missing: Vec<KeyId> = missing.into_iter().collect();
        for missing in missing.chunks(limits::KEYS_STATEMENT_MAX) {
            let (epoch, read_at) = (self.cache().epoch(), Instant::now());
            for row in self.table.load(missing).await? {
                let key = self.unwrap(&row)?;
                self.cache().put(epoch, &key, None, read_at);
                loaded.insert(row.key, key);
            }
        }
        loaded.retain(|_, key| key.is_alive(now));
        Ok(LoadedKeys { keys: loaded })
    }

    /// Opens many values of one type that were sealed as `context`, in their order.
    pub async fn open_many<T: DeserializeOwned>(
        &self,
        sealed: &[&Sealed<T>],
        context: &str,
        now: OffsetDateTime,
    ) -> Result<Vec<Opened<T>>, KeyError> {
        let keys = self.load(sealed.iter().map(|sealed| sealed.key), now).await?;
        sealed.iter().map(|sealed| keys.open(sealed, context)).collect()
    }

    /// Opens one value that was sealed as `context`.
    pub async fn open<T: DeserializeOwned>(
        &self,
        sealed: &Sealed<T>,
        context: &str,
        now: OffsetDateTime,
    ) -> Result<Opened<T>, KeyError> {
        self.load([sealed.key], now).await?.open(sealed, context)
    }

    /// Destroys the keys of `classes` of all `aliases` and returns how many there were. When it returns, what they
    /// sealed is erased for good: nothing sealed with them is appended any more. Doing it again destroys nothing.
    pub async fn destroy(&self, aliases: &[AliasHash], classes: &[KeyClass]) -> Result<u64, KeyError> {
        let mut destroyed = 0;
        for aliases in aliases.chunks(limits::KEYS_STATEMENT_MAX) {
            destroyed += self.destroy_made_until(aliases, classes, None).await?;
        }
        Ok(destroyed)
    }

    /// Repeats destructions on a key table that was restored from a backup, and returns how many keys had come back
    /// with it. To be done before anything is served.
    pub async fn replay_destructions(
        &self,
        destructions: impl IntoIterator<Item = Destruction>,
    ) -> Result<u64, KeyError> {
        let mut last: BTreeMap<AliasHash, OffsetDateTime> = BTreeMap::new();
        for Destruction { alias, at } in destructions {
            let last = last.entry(alias).or_insert(at);
            *last = at.max(*last);
        }
        let mut destroyed = 0;
        for (alias, at) in last {
            let until = at.saturating_add(limits::CLOCK_SKEW_MAX.try_into().unwrap_or(time::Duration::ZERO));
            destroyed += self.destroy_made_until(&[alias], &KeyClass::ALL, Some(until)).await?;
        }
        Ok(destroyed)
    }

    async fn destroy_made_until(
        &self,
        aliases: &[AliasHash],
        classes: &[KeyClass],
        until: Option<OffsetDateTime>,
    ) -> Result<u64, KeyError> {
        let destroyed = self.table.destroy(aliases, classes, until).await;
        // Without an answer it is not known which keys are gone.
        let destroyed = destroyed.inspect_err(|_| self.cache().clear())?;
        let count = destroyed.len() as u64;
        self.forget(destroyed);
        metrics::counter!("assent_keys_destroyed_total").increment(count);
        Ok(count)
    }

    /// Deletes all keys that have expired by `now`, a bounded batch after the other, and returns how many there were.
    /// What they sealed has read as erased since they expired.
    pub async fn expire(&self, now: OffsetDateTime) -> Result<u64, KeyError> {
        let mut expired = 0;
        loop {
            let batch = self.table.expire(now, limits::KEYS_STATEMENT_MAX).await?;
            expired += batch;
            metrics::counter!("assent_keys_expired_total").increment(batch);
            if batch < limits::KEYS_STATEMENT_MAX as u64 {
                return Ok(expired);
            }
        }
    }

    /// Puts every key under the current master key, a bounded batch after the other, and returns how many it changed.
    /// Others read and write meanwhile. Cut short, it goes on where it was when it is run again.
    pub async fn rotate(&self) -> Result<u64, KeyError> {
        let current = self.masters.current_id();
        let (mut rotated, mut after) = (0, None);
        loop {
            let rows = self.table.not_under(current, after, limits::KEYS_STATEMENT_MAX).await?;
            let Some(last) = rows.last() else { return Ok(rotated) };
            after = Some(last.key);
            let rewrapped = rows.into_iter().map(|row| {
                let secret = self.masters.unwrap(row.key, &row.master, &row.wrapped)?;
                Ok(Rewrapped {
                    key: row.key,
                    was: row.master,
                    wrapped: self.masters.wrap(row.key, &secret),
                })
            });
            let rewrapped: Vec<Rewrapped> = rewrapped.collect::<Result<_, KeyError>>()?;
            rotated += self.table.rewrap(&rewrapped, current).await?;
        }
    }

    /// How many keys a master key still wraps. At 0, and once no process has it as its current one, it can go.
    pub async fn keys_under(&self, master: &str) -> Result<u64, KeyError> {
        Ok(self.table.count_under(master).await?)
    }

    /// Makes this process ask the key table for these keys again.
    pub(crate) fn forget(&self, keys: impl IntoIterator<Item = KeyId>) {
        self.cache().forget(keys);
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// Keys that were alive when they were loaded. Meant for one batch of work, not to be kept.
#[derive(Debug, Clone, Default)]
pub struct LoadedKeys {
    keys: HashMap<KeyId, DataKey>,
}

impl LoadedKeys {
    /// Opens a value that was sealed as `context`. Without its key, because that was destroyed, has expired or was not
    /// asked for, the value is erased. A value that does not belong to its key is an error.
    pub fn open<T: DeserializeOwned>(&self, sealed: &Sealed<T>, context: &str) -> Result<Opened<T>, KeyError> {
        match self.keys.get(&sealed.key) {
            Some(key) => key.open(sealed, context).map(Opened::Value),
            None => Ok(Opened::Erased),
        }
    }
}

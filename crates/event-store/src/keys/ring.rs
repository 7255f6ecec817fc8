//! The keys of a store: obtaining, loading, destroying, rotating.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
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
    gather::Gatherer,
    new_key::{Drawn, NewKey, Novelty},
    policy::Period,
    secret::{self, Secret},
    table::{Candidate, KeyRow, KeyTable, Obtained, Rewrapped},
};
use crate::{EventStore, limits, metrics::KeyMetrics};

/// The data keys of a store, and the master keys that unwrap them. Cheap to clone; all clones share the cache and the
/// round trips.
#[derive(Clone)]
pub struct KeyRing {
    table: KeyTable,
    masters: MasterKeys,
    policy: KeyPolicy,
    cache: Arc<Mutex<Cache>>,
    obtaining: Gatherer<Slot, Answer>,
    loading: Gatherer<KeyId, Answer>,
    novelty: Arc<Novelty>,
    metrics: Arc<KeyMetrics>,
}

/// A key, if there is one. What is wrong with one key is no matter of those who asked for others.
type Answer = Result<Option<DataKey>, KeyError>;

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
            obtaining: Gatherer::new(),
            loading: Gatherer::new(),
            novelty: Arc::default(),
            metrics: Arc::new(KeyMetrics::new()),
        }
    }

    pub(crate) fn store(&self) -> &EventStore {
        self.table.store()
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().expect("nothing panics while it holds the cache")
    }

    /// The keys to seal with at `now`, in the order of `wanted`; made where there are none. One round trip for every
    /// [`KEYS_STATEMENT_MAX`](limits::KEYS_STATEMENT_MAX) that are not remembered, shared with others who ask at the same
    /// time. Whoever asks for the same alias, class and period gets the same key, in any process.
    pub async fn obtain(
        &self,
        wanted: &[(AliasHash, KeyClass)],
        now: OffsetDateTime,
    ) -> Result<Vec<DataKey>, KeyError> {
        let slots = self.slots(wanted, now);
        let mut found: HashMap<&Slot, DataKey> = HashMap::with_capacity(slots.len());
        for _ in 0..limits::OBTAIN_ATTEMPTS_MAX {
            let missing = self.find_cached(&slots, &mut found, now);
            if missing.is_empty() {
                break;
            }
            for missing in missing.chunks(limits::KEYS_STATEMENT_MAX) {
                let ring = self.clone();
                let round_trip = move |slots, at| ring.clone().find_or_make(slots, at);
                let asked = missing.iter().copied().cloned().collect();
                let answers = self.obtaining.ask(asked, now, round_trip).await?;
                for (slot, answer) in missing.iter().zip(answers) {
                    found.extend(answer?.map(|key| (*slot, key)));
                }
            }
        }
        let keys: Option<Vec<DataKey>> = slots.iter().map(|slot| found.get(slot).cloned()).collect();
        keys.ok_or(KeyError::Contended {
            attempts: limits::OBTAIN_ATTEMPTS_MAX,
        })
    }

    /// As [`obtain`](Self::obtain), but keys that are probably new are only drawn: they must travel with what they seal.
    pub(super) async fn obtain_or_draw(
        &self,
        wanted: &[(AliasHash, KeyClass)],
        now: OffsetDateTime,
    ) -> Result<(Vec<DataKey>, Drawn), KeyError> {
        let slots = self.slots(wanted, now);
        let mut found = HashMap::with_capacity(slots.len());
        let missing = self.find_cached(&slots, &mut found, now);
        let may_draw = missing.len() <= limits::APPEND_NEW_KEYS_MAX
            && self.novelty.is_likely()
            && self.table.takes_new_keys_in_flushes();
        if !may_draw && !missing.is_empty() {
            return Ok((self.obtain(wanted, now).await?, Drawn::default()));
        }
        let mut drawn = Drawn::default();
        for slot in missing {
            let (key, new) = self.draw(slot.clone(), now);
            found.insert(slot, key.clone());
            drawn.keys.push(key);
            drawn.new.push(Arc::new(new));
        }
        let key = |slot| found.get(slot).cloned().expect("was remembered or drawn");
        Ok((slots.iter().map(key).collect(), drawn))
    }

    fn draw(&self, slot: Slot, now: OffsetDateTime) -> (DataKey, NewKey) {
        let (id, secret) = (KeyId(Uuid::now_v7()), secret::random());
        let new = NewKey {
            key: id,
            wrapped: self.masters.wrap(id, &secret),
            master: self.masters.current_id().to_owned(),
            created_at: now,
            slot,
        };
        (DataKey::new(id, new.slot.period.expires_at, secret), new)
    }

    /// To be asked before keys are drawn or obtained, and given to [`made`](Self::made).
    pub(super) fn epoch(&self) -> (u64, Instant) {
        (self.cache().epoch(), Instant::now())
    }

    /// What was drawn was written with what it seals.
    pub(super) fn made(&self, drawn: &Drawn, (epoch, drawn_at): (u64, Instant)) {
        let mut cache = self.cache();
        for (key, new) in drawn.keys.iter().zip(&drawn.new) {
            cache.put(epoch, key, Some(new.slot.clone()), drawn_at);
            self.novelty.saw(true);
        }
    }

    /// These keys are gone. Of those that were drawn nobody has heard: their slots had others.
    pub(super) fn gone(&self, drawn: &Drawn, gone: Vec<KeyId>) {
        let was_drawn = |key: &KeyId| drawn.keys.iter().any(|drawn| drawn.id() == *key);
        let (drawn, known): (Vec<KeyId>, Vec<KeyId>) = gone.into_iter().partition(was_drawn);
        for _ in drawn {
            self.novelty.saw(false);
        }
        if !known.is_empty() {
            self.forget(known);
        }
    }

    fn slots(&self, wanted: &[(AliasHash, KeyClass)], now: OffsetDateTime) -> Vec<Slot> {
        let mut periods: Vec<(KeyClass, Arc<Period>)> = Vec::new();
        let slot = |&(alias, class): &(AliasHash, KeyClass)| {
            let known = periods.iter().find(|(one, _)| *one == class);
            let period = if let Some((_, period)) = known {
                period.clone()
            } else {
                let period = Arc::new(self.policy.period(class, now));
                periods.push((class, period.clone()));
                period
            };
            Slot { alias, class, period }
        };
        wanted.iter().map(slot).collect()
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

    /// One round trip for whoever asked; `slots` are sorted and each is there once.
    async fn find_or_make(self, slots: Vec<Slot>, now: OffsetDateTime) -> Result<Vec<Answer>, KeyError> {
        self.metrics.obtain.count(slots.len());
        let secrets: Vec<Secret> = slots.iter().map(|_| secret::random()).collect();
        let candidate = |(slot, secret)| {
            // Version 7: keys of one time lie side by side in the index that every append looks into.
            let key = KeyId(Uuid::now_v7());
            let wrapped = self.masters.wrap(key, secret);
            Candidate { slot, key, wrapped }
        };
        let candidates: Vec<Candidate<'_>> = slots.iter().zip(&secrets).map(candidate).collect();
        let (epoch, read_at) = (self.cache().epoch(), Instant::now());
        let obtained = self.table.obtain(&candidates, self.masters.current_id(), now).await?;
        let ids: Vec<KeyId> = candidates.iter().map(|candidate| candidate.key).collect();
        let key = |((id, secret), (slot, obtained)): ((KeyId, Secret), (&Slot, Obtained))| {
            self.novelty.saw(matches!(obtained, Obtained::Made));
            let key = match obtained {
                Obtained::Made => DataKey::new(id, slot.period.expires_at, secret),
                Obtained::Found(row) => self.unwrap(&row)?,
                Obtained::Gone => return Ok(None),
            };
            self.cache().put(epoch, &key, Some(slot.clone()), read_at);
            Ok(Some(key))
        };
        let made = ids.into_iter().zip(secrets);
        Ok(made.zip(slots.iter().zip(obtained)).map(key).collect())
    }

    fn unwrap(&self, row: &KeyRow) -> Result<DataKey, KeyError> {
        let secret = self.masters.unwrap(row.key, &row.master, &row.wrapped)?;
        Ok(DataKey::new(row.key, row.expires_at, secret))
    }

    /// The living ones of `keys`, to open values of any types with. One query for every
    /// [`KEYS_STATEMENT_MAX`](limits::KEYS_STATEMENT_MAX) that are not remembered, shared with others who ask at the same
    /// time.
    pub async fn load(
        &self,
        keys: impl IntoIterator<Item = KeyId>,
        now: OffsetDateTime,
    ) -> Result<LoadedKeys, KeyError> {
        let mut loaded = HashMap::new();
        let mut missing = BTreeSet::new();
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
            let ring = self.clone();
            let round_trip = move |keys, _at| ring.clone().find(keys);
            for answer in self.loading.ask(missing.to_vec(), now, round_trip).await? {
                loaded.extend(answer?.map(|key| (key.id(), key)));
            }
        }
        loaded.retain(|_, key| key.is_alive(now));
        Ok(LoadedKeys { keys: loaded })
    }

    /// One round trip for whoever asked.
    async fn find(self, keys: Vec<KeyId>) -> Result<Vec<Answer>, KeyError> {
        self.metrics.load.count(keys.len());
        let (epoch, read_at) = (self.cache().epoch(), Instant::now());
        let rows = self.table.load(&keys).await?;
        let mut rows: HashMap<KeyId, KeyRow> = rows.into_iter().map(|row| (row.key, row)).collect();
        let key = |id: KeyId| {
            let Some(row) = rows.remove(&id) else { return Ok(None) };
            let key = self.unwrap(&row)?;
            self.cache().put(epoch, &key, None, read_at);
            Ok(Some(key))
        };
        Ok(keys.into_iter().map(key).collect())
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
        self.metrics.destroyed.increment(count);
        Ok(count)
    }

    /// Deletes all keys that have expired by `now`, a bounded batch after the other, and returns how many there were.
    /// What they sealed has read as erased since they expired.
    pub async fn expire(&self, now: OffsetDateTime) -> Result<u64, KeyError> {
        let mut expired = 0;
        loop {
            let batch = self.table.expire(now, limits::KEYS_STATEMENT_MAX).await?;
            expired += batch;
            self.metrics.expired.increment(batch);
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
    /// A key, to seal with what belongs to the same alias, class and period as a value that was read. `None` when it is gone.
    pub fn key(&self, id: KeyId) -> Option<&DataKey> {
        self.keys.get(&id)
    }

    /// Opens a value that was sealed as `context`. Without its key, because that was destroyed, has expired or was not
    /// asked for, the value is erased. A value that does not belong to its key is an error.
    pub fn open<T: DeserializeOwned>(&self, sealed: &Sealed<T>, context: &str) -> Result<Opened<T>, KeyError> {
        match self.keys.get(&sealed.key) {
            Some(key) => key.open(sealed, context).map(Opened::Value),
            None => Ok(Opened::Erased),
        }
    }
}

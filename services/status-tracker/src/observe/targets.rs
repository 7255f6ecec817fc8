//! What is asked about, and when next.

use assent_domain::events::TemplateObserved;
use assent_domain::values::{PhoneNumberId, TemplateRef, TenantId, WabaId};
use assent_event_store::ShardId;
use assent_runtime::{platform::Platform, tenants::Tenants};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};
use tokio::time::Instant;

/// The first pause after a failed poll; each further one is twice as long, up to the usual interval.
const RETRY_FIRST: Duration = Duration::from_secs(1);

/// Something to ask Meta about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Target {
    /// The state and quality of a number.
    Number {
        /// Whose it is.
        tenant: TenantId,
        /// The number.
        number: PhoneNumberId,
        /// Its account.
        waba: WabaId,
    },
    /// The templates of an account.
    Templates {
        /// Whose it is.
        tenant: TenantId,
        /// The account.
        waba: WabaId,
    },
}

impl Target {
    /// The account it belongs to.
    pub(crate) fn waba(&self) -> &WabaId {
        match self {
            Self::Number { waba, .. } | Self::Templates { waba, .. } => waba,
        }
    }

    /// What kind it is, for metrics.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Number { .. } => "number",
            Self::Templates { .. } => "templates",
        }
    }
}

/// What this process knows to stand in the log about an account's templates. What was listed and is not any more is found by it,
/// and a listing without news costs no query.
pub(crate) type Remembered = HashMap<TemplateRef, TemplateObserved>;

#[derive(Debug)]
struct Entry {
    due: Instant,
    /// Asked for while a poll was under way, whose answer may be older.
    again_at: Option<Instant>,
    is_running: bool,
    failures: u32,
    problem: Option<&'static str>,
    remembered: Remembered,
}

/// All targets of a shard with their times.
#[derive(Debug)]
pub(crate) struct Targets {
    interval: Duration,
    entries: BTreeMap<Target, Entry>,
}

/// What changed about how a target answers; said once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It failed in another way than before.
    Failing,
    /// It answers again.
    Recovered,
    /// As before.
    Same,
}

impl Targets {
    /// None yet, each to be asked about every `interval`.
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            entries: BTreeMap::new(),
        }
    }

    /// Takes on what the tenants file holds for a shard now: new ones are due at once, those that are gone are dropped.
    pub(crate) fn follow(&mut self, platform: &Platform, shard: ShardId, tenants: &Tenants, now: Instant) {
        let mut wanted = HashSet::new();
        for tenant in tenants.iter().filter(|tenant| platform.shard_of(tenant) == shard) {
            for number in &tenant.numbers {
                let ids = (
                    PhoneNumberId::try_new(&number.phone_number_id),
                    WabaId::try_new(&number.waba_id),
                );
                let (Ok(number), Ok(waba)) = ids else { continue };
                wanted.insert(Target::Templates {
                    tenant: tenant.id.clone(),
                    waba: waba.clone(),
                });
                wanted.insert(Target::Number {
                    tenant: tenant.id.clone(),
                    number,
                    waba,
                });
            }
        }
        self.entries.retain(|target, _| wanted.contains(target));
        for target in wanted {
            self.entries.entry(target).or_insert_with(|| Entry {
                due: now,
                again_at: None,
                is_running: false,
                failures: 0,
                problem: None,
                remembered: Remembered::new(),
            });
        }
    }

    /// Has everything that `concerned` names asked about at `at` or earlier. What is remembered of it is forgotten.
    pub(crate) fn hurry(&mut self, at: Instant, concerned: impl Fn(&Target) -> bool) {
        for (target, entry) in &mut self.entries {
            if concerned(target) {
                entry.remembered.clear();
                if entry.is_running {
                    entry.again_at = Some(entry.again_at.map_or(at, |before| before.min(at)));
                } else {
                    entry.due = entry.due.min(at);
                }
            }
        }
    }

    /// Up to `max` targets that are due, with what is remembered of them. They are under way until [`Self::finished`].
    pub(crate) fn take_due(&mut self, now: Instant, max: usize) -> Vec<(Target, Remembered)> {
        let due = self
            .entries
            .iter_mut()
            .filter(|(_, entry)| !entry.is_running && entry.due <= now);
        due.take(max)
            .map(|(target, entry)| {
                entry.is_running = true;
                (target.clone(), std::mem::take(&mut entry.remembered))
            })
            .collect()
    }

    /// A poll ended well, or with a problem.
    pub(crate) fn finished(
        &mut self,
        target: &Target,
        outcome: Result<Remembered, &'static str>,
        now: Instant,
    ) -> Turn {
        let interval = self.interval;
        let Some(entry) = self.entries.get_mut(target) else {
            return Turn::Same;
        };
        entry.is_running = false;
        let again_at = entry.again_at.take();
        let (pause, problem) = match outcome {
            Ok(remembered) => {
                entry.failures = 0;
                if again_at.is_none() {
                    entry.remembered = remembered;
                }
                (jittered(interval), None)
            }
            Err(problem) => {
                let pause = RETRY_FIRST.saturating_mul(1 << entry.failures.min(16));
                entry.failures += 1;
                (jittered(pause.min(interval.max(RETRY_FIRST))), Some(problem))
            }
        };
        entry.due = again_at.map_or(now + pause, |again| again.min(now + pause));
        let before = std::mem::replace(&mut entry.problem, problem);
        match problem {
            Some(_) if before != problem => Turn::Failing,
            None if before.is_some() => Turn::Recovered,
            Some(_) | None => Turn::Same,
        }
    }

    /// When the next one is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let waiting = self.entries.values().filter(|entry| !entry.is_running);
        waiting.map(|entry| entry.due).min()
    }
}

/// A tenth shorter or longer, so that processes and tenants do not ask in step.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.9..1.1))
}

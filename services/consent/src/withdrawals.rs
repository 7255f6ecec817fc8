//! The reader of withdrawals: whatever people say to us or to Meta about what they want, and which aliases turn out to be one
//! person. A feed of its own, so that a STOP never waits behind requests (I11).

use crate::{
    change::{self, Change, Learned},
    codes,
    decisions::actor,
    metrics,
    reader::{HandleError, Handler},
    requests::{read, submitted},
    views::Changes,
};
use assent_api::recipient;
use assent_domain::{
    contact::ContactCommand,
    events::{
        AttemptEvent, MessageReceived, OptOutSource, PlatformStopSource, PreferenceChanged, PreferenceValue,
        ProviderEvent, ProviderStatus, StreamCategory,
    },
    keywords::{self, Wish},
    values::{AliasKind, AliasRef, CategorySet, MessageId, TenantId, Timestamp},
};
use assent_event_store::{LoadedKeys, RecordedEvent, ShardId};
use assent_runtime::{
    erasures::{ERASED, Erasure},
    log::{self, Origin},
    platform::Platform,
    streams::{Subject, purpose},
};
use assent_sealed::{AliasHash, KeyId, Sealed};
use futures::future::BoxFuture;
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard},
};
use uuid::Uuid;

/// Most messages of which it is remembered whom they went to, from their request to Meta's answer. Of others the log is asked.
const ADDRESSED_MAX: usize = 65_536;

/// Most pairs of aliases of which it is remembered that they are one contact. Of others the log is asked.
const SETTLED_MAX: usize = 65_536;

/// A sealed text longer than this is no keyword, so it is not opened: the longest one, quoted, with nonce and tag.
const KEYWORD_SEALED_BYTES_MAX: usize = 192;

/// The reader of withdrawals of one shard.
pub(crate) struct Withdrawals {
    platform: Platform,
    shard: ShardId,
    memory: Mutex<Memory>,
}

/// What saves queries.
#[derive(Default)]
struct Memory {
    addressed: HashMap<Uuid, AliasHash>,
    order: VecDeque<Uuid>,
    settled: HashSet<(AliasHash, AliasHash)>,
}

/// What a batch holds.
#[derive(Default)]
pub(crate) struct Work {
    inbound: Vec<(Origin, Box<MessageReceived>)>,
    learned: Vec<(Origin, Vec<AliasRef>, Option<ContactCommand>)>,
    /// Answers that name somebody otherwise than we did, with whom we addressed if that is remembered.
    answered: Vec<(Origin, MessageId, Option<AliasHash>, Vec<AliasRef>)>,
    /// Messages that Meta refused at once because the person stopped marketing.
    stopped: Vec<(Origin, MessageId, Timestamp)>,
    erased: Vec<Erasure>,
}

/// What one person said, or what was said of them.
struct Said {
    origin: Origin,
    aliases: Vec<AliasRef>,
    commands: Vec<ContactCommand>,
}

impl Said {
    fn by(origin: Origin) -> Self {
        Self {
            origin,
            aliases: Vec::new(),
            commands: Vec::new(),
        }
    }
}

impl Work {
    fn is_empty(&self) -> bool {
        let Self {
            inbound,
            learned,
            answered,
            stopped,
            erased,
        } = self;
        inbound.is_empty() && learned.is_empty() && answered.is_empty() && stopped.is_empty() && erased.is_empty()
    }
}

#[derive(Deserialize)]
struct StatusPeek<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
}

#[derive(Deserialize)]
struct SubmittedPeek {
    recipient: RecipientPeek,
}

#[derive(Deserialize)]
struct RecipientPeek {
    alias: AliasHash,
}

#[derive(Deserialize)]
struct AcceptedPeek {
    #[serde(default)]
    wa_id_alias: Option<AliasHash>,
    #[serde(default)]
    user_id_alias: Option<AliasHash>,
}

impl Withdrawals {
    pub(crate) fn new(platform: Platform, shard: ShardId) -> Self {
        Self {
            platform,
            shard,
            memory: Mutex::default(),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("nothing panics while it holds this lock")
    }

    fn sift_provider(&self, event: &RecordedEvent, work: &mut Work) {
        match event.kind.as_str() {
            "provider.status_reported" => {
                let peek: Option<StatusPeek<'_>> = serde_json::from_slice(&event.data).ok();
                if peek.is_some_and(|peek| peek.status == ProviderStatus::Failed.as_str()) {
                    sift_failed(event, work);
                }
            }
            "provider.message_received" => {
                if let (Some(ProviderEvent::MessageReceived(message)), Some(origin)) = (read(event), origin(event)) {
                    let may_be_keyword = sealed_words(&message).next().is_some();
                    if may_be_keyword || !self.memory().is_settled(&message.from) {
                        work.inbound.push((origin, message));
                    }
                }
            }
            "provider.preference_changed" => {
                if let (Some(ProviderEvent::PreferenceChanged(changed)), Some(origin)) = (read(event), origin(event)) {
                    let command = preference(&changed);
                    work.learned
                        .extend(command.map(|command| (origin, changed.from, Some(command))));
                }
            }
            _ => {}
        }
    }

    fn sift_attempt(&self, event: &RecordedEvent, work: &mut Work) {
        match event.kind.as_str() {
            "attempt.accepted" => {
                let Ok(peek) = serde_json::from_slice::<AcceptedPeek>(&event.data) else {
                    return;
                };
                let mut memory = self.memory();
                let addressed = memory.addressed.remove(&event.stream.key);
                let names = [
                    (peek.wa_id_alias, AliasKind::WaId),
                    (peek.user_id_alias, AliasKind::UserId),
                ];
                let names: Vec<AliasRef> = names
                    .into_iter()
                    .filter_map(|(hash, kind)| Some(alias_ref(hash?, kind)))
                    .filter(|name| addressed.is_none_or(|addressed| !memory.is_same(addressed, name.hash)))
                    .collect();
                if !names.is_empty()
                    && let Some(origin) = origin(event)
                {
                    work.answered
                        .push((origin, MessageId::new(event.stream.key), addressed, names));
                }
            }
            "attempt.rejected" => {
                if let Some(AttemptEvent::Rejected(rejected)) = read(event)
                    && rejected.error.code == codes::PLATFORM_STOPPED
                    && let Some(origin) = origin(event)
                {
                    work.stopped
                        .push((origin, MessageId::new(event.stream.key), rejected.rejected_at));
                }
            }
            _ => {}
        }
    }

    /// Adds what follows from answers of Meta's, after asking the log for those requests that are not remembered.
    async fn follow_answers(&self, work: &mut Work) -> Result<(), HandleError> {
        let answered = std::mem::take(&mut work.answered);
        let stopped = std::mem::take(&mut work.stopped);
        let forgotten = answered.iter().filter(|(_, _, addressed, _)| addressed.is_none());
        let messages: Vec<MessageId> = forgotten
            .map(|(_, message, ..)| *message)
            .chain(stopped.iter().map(|(_, message, _)| *message))
            .collect();
        let mut looked_up: HashMap<MessageId, AliasHash> = HashMap::new();
        if !messages.is_empty() {
            let want = |wanted: &mut assent_runtime::facts::Wanted<'_>| {
                for message in &messages {
                    wanted.events(Subject::Message(*message));
                }
            };
            let facts = self.platform.facts(self.shard, want).await?;
            looked_up.extend(messages.iter().filter_map(|message| {
                submitted(&facts, *message).map(|submitted| (*message, submitted.recipient.alias))
            }));
        }
        for (origin, message, addressed, names) in answered {
            let Some(addressed) = addressed.or_else(|| looked_up.get(&message).copied()) else {
                metrics::skipped("request_unknown");
                continue;
            };
            let memory = self.memory();
            let names: Vec<AliasRef> = names
                .into_iter()
                .filter(|name| !memory.is_same(addressed, name.hash))
                .collect();
            drop(memory);
            if !names.is_empty() {
                let aliases = std::iter::once(alias_ref(addressed, AliasKind::Phone))
                    .chain(names)
                    .collect();
                work.learned.push((origin, aliases, None));
            }
        }
        for (origin, message, at) in stopped {
            let Some(alias) = looked_up.get(&message) else {
                metrics::skipped("request_unknown");
                continue;
            };
            let aliases = vec![alias_ref(*alias, AliasKind::Phone)];
            work.learned.push((
                origin,
                aliases,
                Some(platform_stop(PlatformStopSource::Error131050, at)),
            ));
        }
        Ok(())
    }

    /// Makes one change of everything said of one person, in its order.
    fn gather(&self, work: &mut Work, keys: &LoadedKeys) -> Vec<Learned> {
        let now = log::now();
        let mut people: Vec<Said> = Vec::new();
        let mut at: HashMap<(TenantId, AliasHash), usize> = HashMap::new();
        for (origin, message) in std::mem::take(&mut work.inbound) {
            let command = said(&message, keys, now);
            work.learned.push((origin, message.from, command));
        }
        for (origin, aliases, command) in std::mem::take(&mut work.learned) {
            let Some(first) = aliases.first().map(|alias| alias.hash) else {
                metrics::skipped("nobody_named");
                continue;
            };
            let at = *at.entry((origin.tenant.clone(), first)).or_insert_with(|| {
                people.push(Said::by(origin));
                people.len() - 1
            });
            let said = &mut people[at];
            for alias in aliases {
                if said.aliases.iter().all(|known| known.hash != alias.hash) {
                    said.aliases.push(alias);
                }
            }
            said.commands.extend(command);
        }
        // Nothing to do for those who only wrote and go by one name.
        people.retain(|said| !said.commands.is_empty() || said.aliases.len() > 1);
        let change = |said: Said| {
            let Said {
                origin,
                aliases,
                commands,
            } = said;
            let spellings = self.spellings(&origin.tenant, &aliases, keys);
            let mut change = Change::of(&self.platform, &origin.tenant, aliases, spellings, now);
            // Only somebody who wants something of us is worth a contact.
            change.creates = !commands.is_empty();
            change.commands = commands;
            Learned { change, origin }
        };
        people.into_iter().map(change).collect()
    }

    /// Hashes of the other spellings of what the callback named.
    fn spellings(&self, tenant: &TenantId, aliases: &[AliasRef], keys: &LoadedKeys) -> Vec<AliasHash> {
        let sealed = aliases.iter().filter_map(|alias| alias.sealed.as_ref());
        sealed
            .filter_map(|sealed| open(keys, sealed, purpose::ALIAS))
            .flat_map(|alias| recipient::candidates(&alias).into_iter().skip(1).collect::<Vec<_>>())
            .map(|alias| self.platform.alias_hash(tenant.as_str(), &alias))
            .collect()
    }
}

impl Handler for Withdrawals {
    type Work = Work;

    fn begin(&self) -> BoxFuture<'_, Result<(), HandleError>> {
        // Another process may have been active meanwhile; what it merged is merged for good, so nothing is forgotten.
        Box::pin(async { Ok(()) })
    }

    fn sift(&self, events: Vec<RecordedEvent>) -> Option<Work> {
        let mut work = Work::default();
        for event in &events {
            if log::is_of(event, StreamCategory::Provider) {
                self.sift_provider(event, &mut work);
            } else if log::is_of(event, StreamCategory::Attempt) {
                self.sift_attempt(event, &mut work);
            } else if event.kind.as_str() == "request.submitted" {
                if let Ok(peek) = serde_json::from_slice::<SubmittedPeek>(&event.data) {
                    self.memory().remember(event.stream.key, peek.recipient.alias);
                }
            } else if event.kind.as_str() == ERASED {
                work.erased.push(Erasure::of(event));
            }
        }
        (!work.is_empty()).then_some(work)
    }

    fn changes_views(&self, _: &Work) -> bool {
        false
    }

    fn handle(&self, mut work: Work) -> BoxFuture<'_, Result<Changes, HandleError>> {
        Box::pin(async move {
            self.follow_answers(&mut work).await?;
            let keys: Vec<KeyId> = work.inbound.iter().flat_map(|(_, message)| keys_of(message)).collect();
            let keys = if keys.is_empty() {
                LoadedKeys::default()
            } else {
                self.platform.keys.load(keys, time::OffsetDateTime::now_utc()).await?
            };
            let learned = self.gather(&mut work, &keys);
            let people: Vec<Vec<AliasHash>> = learned
                .iter()
                .map(|learned| learned.change.aliases.iter().map(|alias| alias.hash).collect())
                .collect();
            let known = change::make_all(&self.platform, self.shard, learned).await?;
            for (aliases, _) in people.iter().zip(known).filter(|(_, known)| *known) {
                self.memory().settle(aliases);
            }
            // Confirmed by the checkpoint passing it, should the process that was asked have ended before it was done.
            self.platform.follow_erasures(self.shard, &work.erased).await?;
            Ok(Changes::default())
        })
    }

    fn committed(&self, _: &Changes) {}
}

impl Memory {
    fn remember(&mut self, message: Uuid, addressed: AliasHash) {
        if self.order.len() >= ADDRESSED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.addressed.remove(&oldest);
        }
        self.addressed.insert(message, addressed);
        self.order.push_back(message);
    }

    /// Whether two aliases are known to lead to one contact.
    fn is_same(&self, one: AliasHash, other: AliasHash) -> bool {
        one == other || self.settled.contains(&(one, other))
    }

    fn is_settled(&self, aliases: &[AliasRef]) -> bool {
        let Some((first, others)) = aliases.split_first() else {
            return true;
        };
        others.iter().all(|other| self.is_same(first.hash, other.hash))
    }

    fn settle(&mut self, aliases: &[AliasHash]) {
        if self.settled.len() + aliases.len() > SETTLED_MAX {
            self.settled.clear();
        }
        let Some((first, others)) = aliases.split_first() else {
            return;
        };
        self.settled.extend(others.iter().map(|other| (*first, *other)));
    }
}

/// Whose event it is and what follows from it; nothing for one that names no tenant.
fn origin(event: &RecordedEvent) -> Option<Origin> {
    let Some(tenant) = log::tenant_of(event) else {
        metrics::skipped("no_tenant");
        return None;
    };
    Some(Origin::following(tenant, actor(), event))
}

fn alias_ref(hash: AliasHash, kind: AliasKind) -> AliasRef {
    AliasRef {
        hash,
        kind,
        sealed: None,
    }
}

/// A message failed: if because the person stopped marketing, that is a withdrawal.
fn sift_failed(event: &RecordedEvent, work: &mut Work) {
    if let Some(ProviderEvent::StatusReported(status)) = read(event)
        && status.errors.iter().any(|error| error.code == codes::PLATFORM_STOPPED)
        && let Some(origin) = origin(event)
    {
        let command = platform_stop(PlatformStopSource::Error131050, status.provider_at.end_of_second());
        work.learned.push((origin, status.recipient, Some(command)));
    }
}

fn platform_stop(source: PlatformStopSource, given_at: Timestamp) -> ContactCommand {
    ContactCommand::RecordPlatformStop {
        source,
        given_at,
        at: log::now(),
    }
}

/// What a choice in WhatsApp's own control means. Signing up through a link there lifts a stop like a resumption; it is no
/// opt-in, for it does not say to what.
fn preference(changed: &PreferenceChanged) -> Option<ContactCommand> {
    match changed.value {
        PreferenceValue::Stop => Some(platform_stop(
            PlatformStopSource::UserPreferences,
            changed.provider_at.end_of_second(),
        )),
        PreferenceValue::Resume | PreferenceValue::Signup => Some(ContactCommand::RecordPlatformResume {
            given_at: changed.provider_at,
            at: log::now(),
        }),
        PreferenceValue::Other(_) => {
            metrics::skipped("preference_unknown");
            None
        }
    }
}

/// Those sealed words of a message that are short enough for a keyword.
fn sealed_words(message: &MessageReceived) -> impl Iterator<Item = &Sealed<assent_domain::values::TextBody>> {
    let words = [message.text.as_ref(), message.payload.as_ref()];
    words
        .into_iter()
        .flatten()
        .filter(|sealed| sealed.ciphertext.len() <= KEYWORD_SEALED_BYTES_MAX)
}

fn keys_of(message: &MessageReceived) -> impl Iterator<Item = KeyId> + '_ {
    let aliases = message.from.iter().filter_map(|alias| alias.sealed.as_ref());
    sealed_words(message)
        .map(|sealed| sealed.key)
        .chain(aliases.map(|sealed| sealed.key))
}

/// What a person said, if it is a withdrawal. A word that asks for messages again is only counted.
fn said(message: &MessageReceived, keys: &LoadedKeys, at: Timestamp) -> Option<ContactCommand> {
    let wish = sealed_words(message)
        .filter_map(|sealed| open(keys, sealed, purpose::INBOUND))
        .find_map(|words| keywords::wish(&words.0))?;
    let source = match message.kind.as_str() {
        "button" | "interactive" => OptOutSource::Button,
        _ => OptOutSource::Keyword,
    };
    match wish {
        Wish::Stop => Some(ContactCommand::RecordOptOut {
            categories: CategorySet::all(),
            source,
            proof: None,
            given_at: message.provider_at.end_of_second(),
            at,
        }),
        Wish::Start => {
            metrics::skipped("start_is_no_opt_in");
            None
        }
    }
}

fn open<T: DeserializeOwned>(keys: &LoadedKeys, sealed: &Sealed<T>, context: &str) -> Option<T> {
    match keys.open(sealed, context) {
        Ok(opened) => opened.value(),
        Err(error) => {
            tracing::error!(%error, "a sealed value cannot be opened");
            metrics::skipped("not_opened");
            None
        }
    }
}

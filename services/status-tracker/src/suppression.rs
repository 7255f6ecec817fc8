//! The suppression decider: who cannot be reached, by Meta's word; who has probably blocked us, by silence; and who turned
//! out to be reachable after all.
//!
//! Follow an event through the files: [`window`] folds what it says in memory, [`conclude`] asks the domain's decider and
//! appends, and [`table`] keeps, with the checkpoint, what silence is judged by later. What is concluded from single events
//! (unreachable, lifted) is appended with every batch; the tables and the checkpoint move every few seconds, so that a
//! message that is delivered within moments, as nearly all are, costs no row of its own. After a crash the events since
//! the checkpoint are handled again, which appends nothing twice.
//!
//! Silence is measured by each number's own callbacks and by the stamps in events, never by this machine's clock: while no
//! callbacks come, nobody is silent.

pub(crate) mod conclude;
mod table;
mod window;

use crate::{config::SuppressionConfig, metrics};
use assent_domain::{
    delivery::Delivery,
    events::{DecisionEvent, LiftReason, ProviderEvent, RequestEvent, StreamCategory, Undeliverable},
    suppression::SuppressionCommand,
    values::{ContactId, MessageId, TenantId, Timestamp},
};
use assent_event_store::{AppendError, Batch, Checkpoint, Feed, FeedError, ReadError, RecordedEvent, ShardId, Start};
use assent_runtime::{
    admin::Condition, facts::of_category, log, platform::Platform, shutdown::Shutdown, streams::Subject,
    supervise::TaskResult,
};
use conclude::{SuppressError, Wish, settle};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
pub(crate) use table::Table;
use table::{Candidate, Rows, WAITING_KEPT};
use tokio::time::{Instant, sleep, sleep_until};
use window::{Contacts, Urgent, Window};

/// The feed's name; it keys progress and is never changed.
pub(crate) const FEED: &str = "tracker-suppression";

/// Shortest time between two batches that are not full. Nothing here is urgent: the gates read the facts themselves.
const BATCH_SPACING: Duration = Duration::from_millis(100);

/// A batch with this many events is followed by the next one at once.
const BATCH_WORTHWHILE: usize = 500;

/// Events after which the tables are written even if it is not yet time.
const WINDOW_EVENTS_MAX: usize = 50_000;

/// Messages looked up at a time.
const LOOK_UP_MAX: usize = 500;

/// How long to wait after the log or the tables could not be reached.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Silence is looked for each time the numbers' clocks have moved by this part of what counts as silence.
const SEARCHES_PER_SILENCE: u32 = 64;

/// What one shard's decider works with.
#[derive(Debug, Clone)]
pub(crate) struct Suppressing {
    pub(crate) platform: Platform,
    pub(crate) table: Table,
    pub(crate) config: SuppressionConfig,
    pub(crate) shard: ShardId,
    pub(crate) readiness: Condition,
}

/// Decides until the soft shutdown.
pub(crate) async fn run(suppressing: Suppressing, shutdown: Shutdown) -> TaskResult {
    let feed = suppressing
        .platform
        .feeds
        .feed(FEED, suppressing.shard, Start::Beginning);
    let mut reader = Reader {
        suppressing,
        feed,
        contacts: Contacts::default(),
        window: Window::default(),
        suppressed: HashSet::new(),
        step: None,
        done: None,
        persist_at: Instant::now(),
        not_before: Instant::now(),
        searched_at: None,
    };
    reader.suppressing.readiness.met();
    tokio::select! {
        result = reader.read() => result?,
        () = shutdown.soft().cancelled() => {}
    }
    // What is in hand is kept; failing that, it is read again.
    if let Err(error) = reader.persist().await {
        tracing::debug!(%error, "the last window was not kept");
    }
    reader.feed.release().await;
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Suppress(#[from] SuppressError),
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the decider's tables cannot be reached")]
    Table(#[from] sqlx::Error),
}

impl Trouble {
    /// Whether the log itself was damaged, so that going on would be wrong.
    fn is_fatal(&self) -> bool {
        let read = match self {
            Self::Read(error) | Self::Feed(FeedError::Read(error)) | Self::Suppress(SuppressError::Read(error)) => {
                error
            }
            Self::Suppress(_) | Self::Feed(_) | Self::Table(_) => return false,
        };
        matches!(read, ReadError::Hole { .. } | ReadError::NoSuchShard { .. })
    }
}

struct Reader {
    suppressing: Suppressing,
    feed: Feed,
    contacts: Contacts,
    window: Window,
    /// Contacts with a suppression in force, as far as this reader has come.
    suppressed: HashSet<ContactId>,
    /// What is read and not yet kept.
    step: Option<Checkpoint>,
    /// The position up to which everything is kept.
    done: Option<u64>,
    persist_at: Instant,
    not_before: Instant,
    /// The numbers' clock at the last search for silence.
    searched_at: Option<Timestamp>,
}

impl Reader {
    async fn read(&mut self) -> Result<(), Trouble> {
        loop {
            let (not_before, persist_at, has_step) = (self.not_before, self.persist_at, self.step.is_some());
            let feed = &mut self.feed;
            let next = async move {
                sleep_until(not_before).await;
                feed.next_batch().await
            };
            let outcome = tokio::select! {
                biased;
                () = sleep_until(persist_at), if has_step => self.persist().await,
                batch = next => match batch {
                    Ok(batch) => self.handle(batch).await,
                    Err(error) => Err(error.into()),
                },
            };
            match outcome {
                Ok(()) => self.suppressing.readiness.met(),
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => self.start_over(&error).await,
            }
        }
    }

    /// Waits a moment, then goes on from the checkpoint with nothing in hand.
    async fn start_over(&mut self, error: &Trouble) {
        let shard = self.suppressing.shard.0;
        tracing::warn!(feed = FEED, shard, %error, "deciding about people is held up; trying again");
        self.suppressing
            .readiness
            .unmet("the log or the decider's tables cannot be reached");
        self.feed.rewind();
        (self.step, self.done) = (None, None);
        self.window = Window::default();
        sleep(RETRY_AFTER).await;
    }

    async fn handle(&mut self, batch: Batch) -> Result<(), Trouble> {
        // Who falls too far behind has to read from the log what the others get from the live tail.
        self.not_before = if batch.events.len() < BATCH_WORTHWHILE {
            Instant::now() + BATCH_SPACING
        } else {
            Instant::now()
        };
        let read_up_to = self.step.as_ref().map(Checkpoint::position).or(self.done);
        let follows_on = read_up_to == Some(batch.checkpoint.start());
        if !follows_on {
            // The first batch, or the first after another process was at work.
            self.window = Window::default();
            let loaded = self.suppressing.table.load(self.suppressing.shard).await?;
            (self.suppressed, self.window.clocks) = (loaded.suppressed, loaded.clocks);
            self.step = None;
        }
        if self.window.events == 0 {
            self.persist_at = Instant::now() + Duration::from_millis(self.suppressing.config.persist_ms);
        }
        let mut urgent = Urgent::default();
        let pause_max = self.suppressing.config.pause_max();
        for event in &batch.events {
            self.window.take(event, &mut self.contacts, &mut urgent, pause_max);
        }
        for (contact, person) in &self.window.people {
            match person.is_suppressed {
                Some(true) => drop(self.suppressed.insert(*contact)),
                Some(false) => drop(self.suppressed.remove(contact)),
                None => {}
            }
        }
        self.conclude(urgent).await?;
        self.step = Some(match self.step.take() {
            Some(step) => step.through(&batch.checkpoint),
            None => batch.checkpoint,
        });
        if self.window.events >= WINDOW_EVENTS_MAX {
            self.persist().await?;
        }
        Ok(())
    }

    /// What single events say about people, at once.
    async fn conclude(&mut self, urgent: Urgent) -> Result<(), Trouble> {
        let failed: Vec<MessageId> = urgent
            .unreachable
            .iter()
            .map(|unreachable| unreachable.message)
            .collect();
        self.look_up(failed).await?;
        let mut wishes = Vec::new();
        for unreachable in urgent.unreachable {
            let Some((contact, tenant)) = self
                .contacts
                .get(unreachable.message)
                .zip(log::tenant_of(&unreachable.cause))
            else {
                metrics::skipped("no_contact");
                continue;
            };
            let event = Undeliverable {
                tenant: tenant.clone(),
                code: unreachable.code,
                message: Some(unreachable.message),
                failed_at: unreachable.failed_at,
                concluded_at: log::now(),
            };
            let command = SuppressionCommand::ConcludeUndeliverable(event);
            wishes.push(Wish::ours(contact, tenant, command, Some(unreachable.cause)));
        }
        for message in urgent.arrived {
            wishes.extend(
                self.contacts
                    .get(message)
                    .and_then(|contact| self.arrival(contact, message)),
            );
        }
        let mut writers = Vec::new();
        for written in urgent.written {
            for alias in written.aliases {
                let contact = self.suppressing.platform.contact_id(written.tenant.as_str(), alias);
                let command = alive(&written.tenant, LiftReason::PersonWrote, written.at);
                let wish = Wish::ours(contact, written.tenant.clone(), command, Some(written.cause.clone()));
                wishes.push(wish);
                writers.push((contact, written.at));
            }
        }
        let settled = settle_or_skip(&self.suppressing, wishes).await?;
        for settled in settled.values() {
            if settled.state.is_in_force() {
                self.suppressed.insert(settled.survivor);
            } else {
                self.suppressed.remove(&settled.survivor);
            }
        }
        for (contact, at) in writers {
            if let Some(settled) = settled.get(&contact) {
                let person = self.window.people.entry(settled.survivor).or_default();
                person.alive_at = person.alive_at.max(Some(at));
            }
        }
        Ok(())
    }

    /// The sign of life that an arrival is, if the person is thought not to be reachable.
    fn arrival(&self, contact: ContactId, message: MessageId) -> Option<Wish> {
        let arrived = self
            .window
            .arrived
            .get(&message)
            .filter(|_| self.suppressed.contains(&contact))?;
        let tenant = log::tenant_of(&arrived.cause)?;
        let command = alive(&tenant, LiftReason::Delivered, arrived.at);
        Some(Wish::ours(contact, tenant, command, Some(arrived.cause.clone())))
    }

    /// Finds the contacts of messages that were decided on longer ago than is remembered.
    async fn look_up(&mut self, messages: Vec<MessageId>) -> Result<Vec<MessageId>, ReadError> {
        let unknown = messages
            .into_iter()
            .filter(|message| self.contacts.get(*message).is_none());
        let unknown: Vec<MessageId> = unknown.collect::<HashSet<_>>().into_iter().collect();
        let Suppressing { platform, shard, .. } = &self.suppressing;
        for some in unknown.chunks(LOOK_UP_MAX) {
            let stream = |message: &MessageId| platform.stream_of(StreamCategory::Decision, Subject::Message(*message));
            let streams: Vec<_> = some.iter().map(stream).collect();
            for (stream, events) in platform.store.read_streams(*shard, &streams).await? {
                for (_, event) in of_category::<DecisionEvent>(&events) {
                    if let DecisionEvent::Authorized(authorized) = event {
                        self.contacts.insert(MessageId::new(stream.key), authorized.contact);
                    }
                }
            }
        }
        Ok(unknown)
    }

    /// Writes what the window leaves behind, with the checkpoint, and looks for silence when it is time.
    async fn persist(&mut self) -> Result<(), Trouble> {
        let Some(step) = self.step.clone() else { return Ok(()) };
        let wanted = self
            .window
            .sent
            .keys()
            .chain(self.window.arrived.keys())
            .copied()
            .collect();
        let late = self.look_up(wanted).await?;
        let lifts = late
            .into_iter()
            .filter_map(|message| self.arrival(self.contacts.get(message)?, message));
        let lifts: Vec<Wish> = lifts.collect();
        for settled in settle_or_skip(&self.suppressing, lifts).await?.values() {
            if !settled.state.is_in_force() {
                self.suppressed.remove(&settled.survivor);
            }
        }
        let rows = self.rows();
        self.suppressing
            .table
            .commit(self.suppressing.shard, &rows, &step)
            .await?;
        self.window.clear();
        self.done = Some(step.position());
        self.step = None;
        self.search().await
    }

    fn rows(&mut self) -> Rows {
        let window = &mut self.window;
        for (message, arrived) in &window.arrived {
            if let Some(contact) = self.contacts.get(*message) {
                let person = window.people.entry(contact).or_default();
                person.delivered_at = person.delivered_at.max(Some(arrived.at));
                person.alive_at = person.alive_at.max(Some(arrived.at));
            }
        }
        let mut waiting = Vec::new();
        for (message, (number, sent_at)) in &window.sent {
            if window.arrived.contains_key(message) || window.failed.contains(message) {
                continue;
            }
            let Some(contact) = self.contacts.get(*message) else {
                continue;
            };
            let alive_at = window.people.get(&contact).and_then(|person| person.alive_at);
            if alive_at < Some(*sent_at) {
                waiting.push((*message, contact, number.clone(), *sent_at));
            }
        }
        let suppressed = &self.suppressed;
        let person = |(contact, person): (&ContactId, &window::Person)| {
            let is_suppressed = Some(suppressed.contains(contact));
            (
                *contact,
                window::Person {
                    is_suppressed,
                    ..*person
                },
            )
        };
        Rows {
            people: window.people.iter().map(person).collect(),
            waiting,
            failed: window.failed.iter().copied().collect(),
            clocks: window
                .clocks
                .iter()
                .map(|(number, clock)| (number.clone(), *clock))
                .collect(),
        }
    }

    /// Looks for people whose messages have been silent for too long.
    async fn search(&mut self) -> Result<(), Trouble> {
        let silence = self.suppressing.config.silence();
        let Some(now) = self.window.now() else { return Ok(()) };
        let is_time = self
            .searched_at
            .is_none_or(|before| now >= before + silence / SEARCHES_PER_SILENCE);
        if !is_time {
            return Ok(());
        }
        loop {
            let Suppressing {
                table, config, shard, ..
            } = &self.suppressing;
            let candidates = table.candidates(*shard, silence, config.silent_messages_min).await?;
            if candidates.is_empty() {
                break;
            }
            let is_last = candidates.len() < table::CANDIDATES_MAX as usize;
            let (wishes, ended) = self.judge(candidates).await?;
            let concluded = settle_or_skip(&self.suppressing, wishes).await?;
            let newly = concluded.values().filter(|settled| settled.state.is_in_force());
            self.suppressed.extend(newly.map(|settled| settled.survivor));
            let Suppressing { table, shard, .. } = &self.suppressing;
            table.forget(*shard, &ended, now - WAITING_KEPT).await?;
            // The rest is looked at with the next search: those concluded about are marked once their events come back.
            if is_last || ended.is_empty() {
                break;
            }
        }
        self.searched_at = Some(now);
        Ok(())
    }

    /// Checks the candidates against the log: what was delivered, read or failed after all is not silent. Gives the commands
    /// and the messages that need not be waited for.
    async fn judge(&self, candidates: Vec<Candidate>) -> Result<(Vec<Wish>, Vec<MessageId>), Trouble> {
        let Suppressing {
            platform,
            config,
            shard,
            ..
        } = &self.suppressing;
        let messages: Vec<_> = candidates.iter().flat_map(|candidate| &candidate.silent).collect();
        let mut timelines: HashMap<uuid::Uuid, Vec<RecordedEvent>> = HashMap::new();
        for some in messages.chunks(LOOK_UP_MAX) {
            let keys: Vec<_> = some.iter().map(|(message, _)| message.uuid()).collect();
            timelines.extend(platform.store.read_keys(*shard, &keys).await?);
        }
        let (mut wishes, mut ended) = (Vec::new(), Vec::new());
        for candidate in candidates {
            let mut tenant: Option<TenantId> = None;
            let mut sent_at = Vec::new();
            for (message, at) in candidate.silent {
                let timeline = timelines.get(&message.uuid()).map_or(&[][..], Vec::as_slice);
                if is_silent(timeline) {
                    sent_at.push(at);
                    tenant = tenant.or_else(|| timeline.iter().find_map(log::tenant_of));
                } else {
                    ended.push(message);
                }
            }
            let Some(tenant) = tenant else { continue };
            let command = SuppressionCommand::ConcludeBlocked {
                tenant: tenant.clone(),
                sent_at,
                messages_min: config.silent_messages_min,
                last_delivered_at: Some(candidate.delivered_at),
                now: log::now(),
            };
            wishes.push(Wish::ours(candidate.contact, tenant, command, None));
        }
        Ok((wishes, ended))
    }
}

fn alive(tenant: &TenantId, reason: LiftReason, at: Timestamp) -> SuppressionCommand {
    SuppressionCommand::TakeEvidenceOfLife {
        tenant: tenant.clone(),
        reason,
        at,
    }
}

/// Whether Meta said `sent` of a message, and nothing after it, although more was to be expected: of a reaction it never says
/// more.
fn is_silent(timeline: &[RecordedEvent]) -> bool {
    let is_reaction = of_category::<RequestEvent>(timeline).any(|(_, event)| match event {
        RequestEvent::Submitted(submitted) => submitted.content.is_reaction(),
        RequestEvent::CancelRequested(_) => false,
    });
    if is_reaction {
        return false;
    }
    let statuses = of_category::<ProviderEvent>(timeline).filter_map(|(_, event)| match event {
        ProviderEvent::StatusReported(status) => Some(Delivery::of_status(&status)),
        _ => None,
    });
    let known = statuses.fold(Delivery::default(), Delivery::join);
    known.sent_at.is_some()
        && known.delivered_at.is_none()
        && known.read_at.is_none()
        && known.played_at.is_none()
        && known.failed.is_none()
}

/// Settles the wishes; what the database refuses for good is passed over, loudly, rather than tried for ever.
async fn settle_or_skip(
    suppressing: &Suppressing,
    wishes: Vec<Wish>,
) -> Result<HashMap<ContactId, conclude::Settled>, SuppressError> {
    match settle(&suppressing.platform, suppressing.shard, wishes).await {
        Err(SuppressError::Append(error @ (AppendError::Invalid(_) | AppendError::Refused { .. }))) => {
            tracing::error!(shard = suppressing.shard.0, %error, "conclusions about people cannot be recorded");
            metrics::skipped("refused");
            Ok(HashMap::new())
        }
        outcome => outcome,
    }
}

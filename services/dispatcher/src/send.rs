//! From a slice of authorized messages to calls under way.

use crate::{
    call::Call,
    check::{Bench, Candidate, Checked, Verdict, unsendable},
    dispatcher::{Dispatcher, Pause, Slot},
    limits, metrics, outcome,
    outgoing::{self, Unreadable},
    record::{RecordFailed, Recording},
    uploads::{self, Prepared, Unfit},
};
use assent_domain::{
    Decider as _,
    attempt::{AttemptCommand, AttemptDecider, Attempts},
    events::{AttemptEvent, CancelReason, DeferReason, GaveUpBecause, StreamCategory},
    values::{AttemptId, MessageId, Term, Timestamp},
};
use assent_event_store::{Append, AppendError, LoadedKeys, ShardId};
use assent_runtime::{
    log::{self, Origin},
    streams::Subject,
    telemetry,
    tenants::Tenants,
};
use assent_whatsapp::Secret;
use futures::future::join_all;
use std::{collections::HashMap, sync::Arc};
use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;

/// Why a reader cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halted {
    /// The store was closed.
    #[error("the event store is closed")]
    Closed,
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] assent_event_store::ReadError),
    /// A slice was judged again and again without end.
    #[error("messages changed under every one of {} looks at them", limits::ROUNDS_MAX)]
    NoEnd,
}

/// What became of a message in one round.
enum Round {
    /// It is done: its attempt is durable, it was stopped, or it is not ours.
    Done,
    /// Something changed in between: it must be judged again.
    Again(Candidate),
    /// Whether our attempt was written is not known. It is not called; it must be judged again.
    Unanswered(Candidate, AttemptId),
}

impl Dispatcher {
    /// Sends what may be sent of a slice. Returns when the attempt of each is durable, or the message was stopped.
    pub(crate) async fn send(
        self: &Arc<Self>,
        shard: ShardId,
        mut slice: Vec<Candidate>,
        mut slots: Vec<Slot>,
    ) -> Result<(), Halted> {
        metrics::slice(slice.len());
        let mut never_called: HashMap<MessageId, Vec<AttemptId>> = HashMap::new();
        let mut pause = Pause::default();
        for round in 0..limits::ROUNDS_MAX {
            if round > 1 {
                pause.wait().await;
            }
            let tenants = self.platform.tenants.tenants();
            // Before the read: what was withdrawn up to here has been looked at.
            let now = log::now();
            let bench = self.read_bench(shard, &slice, &tenants, now).await?;
            let judged = slice.drain(..).map(|candidate| {
                let never_called = never_called.get(&candidate.message).map_or(&[][..], Vec::as_slice);
                bench.judge(&self.platform, candidate, never_called)
            });
            let judged: Vec<Checked> = judged.collect();
            drop(bench);
            let keys = self.load_keys(&judged).await?;
            let handled = judged.into_iter().map(|checked| {
                let slot = if matches!(checked.verdict, Verdict::Send(_)) {
                    slots.pop()
                } else {
                    None
                };
                self.handle(shard, checked, slot, &keys, &tenants, now)
            });
            for (ended, slot) in join_all(handled).await {
                slots.extend(slot);
                match ended? {
                    Round::Done => {}
                    Round::Again(candidate) => slice.push(candidate),
                    Round::Unanswered(candidate, attempt) => {
                        never_called.entry(candidate.message).or_default().push(attempt);
                        slice.push(candidate);
                    }
                }
            }
            if slice.is_empty() {
                return Ok(());
            }
        }
        Err(Halted::NoEnd)
    }

    async fn read_bench<'a>(
        &'a self,
        shard: ShardId,
        slice: &[Candidate],
        tenants: &'a Tenants,
        now: Timestamp,
    ) -> Result<Bench<'a>, Halted> {
        let mut pause = Pause::default();
        loop {
            match self.bench(shard, slice, tenants, now).await {
                Ok(bench) => {
                    self.available();
                    return Ok(bench);
                }
                Err(assent_event_store::ReadError::Unavailable(error)) => {
                    self.unavailable("the database does not answer");
                    tracing::warn!(shard = shard.0, %error, "a slice cannot be judged; trying again");
                    pause.wait().await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The keys of everything that is to be sent, by one query.
    async fn load_keys(&self, judged: &[Checked]) -> Result<LoadedKeys, Halted> {
        let mut keys = Vec::with_capacity(judged.len() * 2);
        for checked in judged {
            if let Verdict::Send(submitted) = &checked.verdict {
                keys.extend(submitted.keys());
            }
        }
        let mut pause = Pause::default();
        loop {
            match self
                .platform
                .keys
                .load(keys.iter().copied(), OffsetDateTime::now_utc())
                .await
            {
                Ok(loaded) => return Ok(loaded),
                Err(error) => {
                    // A master key that is missing is as good as a database that does not answer: somebody has to see to it.
                    self.unavailable("keys cannot be loaded");
                    tracing::error!(%error, "keys cannot be loaded; trying again");
                    pause.wait().await;
                }
            }
        }
    }

    /// Does what was found right. Gives back the slot that was not needed.
    async fn handle(
        self: &Arc<Self>,
        shard: ShardId,
        checked: Checked,
        slot: Option<Slot>,
        keys: &LoadedKeys,
        tenants: &Tenants,
        now: Timestamp,
    ) -> (Result<Round, Halted>, Option<Slot>) {
        let Checked {
            candidate,
            facts,
            guard,
            verdict,
        } = checked;
        let submitted = match verdict {
            Verdict::Send(submitted) => submitted,
            other => {
                let commands = commands_of(other, log::now());
                return (self.conclude(shard, candidate, facts, commands).await, slot);
            }
        };
        let Some(slot) = slot else {
            // Cannot be: a slice is no larger than its slots. Judged again, it gets one or is told again.
            return (Ok(Round::Again(candidate)), None);
        };
        let token = tenants
            .by_phone_number_id(submitted.sender.as_str())
            .and_then(|(tenant, _)| tenant.access_token_for(submitted.sender.as_str()));
        let (mut body, token) = match (outgoing::open(&submitted, keys), token) {
            (Ok(body), Some(token)) => (body, Secret::new(token.expose())),
            (unreadable, _) => {
                let commands = vec![stop(unreadable.as_ref().err(), log::now())];
                return (self.conclude(shard, candidate, facts, commands).await, Some(slot));
            }
        };
        let used = match uploads::prepare_message(self, &submitted, &token, &mut body) {
            Prepared::Ready(used) => used,
            Prepared::Waits => {
                let commands = wait_for_media(&facts.attempts, log::now());
                return (self.conclude(shard, candidate, facts, commands).await, Some(slot));
            }
            Prepared::Unfit(unfit) => {
                let commands = vec![give_up(unfit_media(unfit), log::now())];
                return (self.conclude(shard, candidate, facts, commands).await, Some(slot));
            }
        };
        let attempt = AttemptId::new(Uuid::new_v4());
        let span = trace(&candidate);
        let started_at = log::now();
        let command = AttemptCommand::Start {
            attempt,
            risk_duplicate: false,
            checked_until: now,
            at: started_at,
        };
        let events = match AttemptDecider::decide(&facts.attempts, command) {
            Ok(events) if !events.is_empty() => events,
            // Judged before: cannot be. An empty answer is not permission.
            Ok(_) | Err(_) => return (Ok(Round::Done), Some(slot)),
        };
        let origin = origin_within(&span, &candidate);
        let stream = self
            .platform
            .stream_of(StreamCategory::Attempt, Subject::Message(candidate.message));
        let new = events.iter().map(|event| log::record(event, &origin));
        let append = Append::new()
            .write(stream, facts.expected(), new)
            .guard(guard.0, guard.1)
            .patient();
        let begun = Instant::now();
        match self.platform.store.append(shard, append).await {
            Ok(appended) => {
                let recording = Recording {
                    shard,
                    message: candidate.message,
                    attempts: events.iter().fold(facts.attempts, AttemptDecider::evolve),
                    version: appended.versions.first().copied().unwrap_or(facts.version + 1),
                    origin,
                };
                let call = Call {
                    recording,
                    attempt,
                    number: number_of(&events),
                    begun,
                    started_at,
                    tenant: candidate.origin.tenant,
                    sender: submitted.sender,
                    token,
                    body,
                    used,
                    authorized_at: candidate.authorized.checked_at,
                    alias: submitted.recipient.alias,
                    key: keys.key(submitted.recipient.address.key).cloned(),
                    span,
                };
                call.spawn(self, slot);
                (Ok(Round::Done), None)
            }
            Err(error) => (again_after(error, candidate, attempt), Some(slot)),
        }
    }

    /// Records that a message is not sent.
    async fn conclude(
        &self,
        shard: ShardId,
        candidate: Candidate,
        facts: crate::check::AttemptsFacts,
        commands: Vec<AttemptCommand>,
    ) -> Result<Round, Halted> {
        if commands.is_empty() {
            return Ok(Round::Done);
        }
        let recording = Recording {
            shard,
            message: candidate.message,
            attempts: facts.attempts,
            version: facts.version,
            origin: candidate.origin.clone(),
        };
        match recording.once(self, &commands, None).await {
            Ok(()) => Ok(Round::Done),
            Err(RecordFailed::Again) => Ok(Round::Again(candidate)),
            Err(RecordFailed::Closed) => Err(Halted::Closed),
        }
    }
}

fn number_of(events: &[AttemptEvent]) -> u32 {
    events
        .iter()
        .find_map(|event| match event {
            AttemptEvent::Started(started) => Some(started.number),
            _ => None,
        })
        .unwrap_or(1)
}

/// What follows from an attempt that was not written, or may not have been. None of it is permission to call.
fn again_after(error: AppendError, candidate: Candidate, attempt: AttemptId) -> Result<Round, Halted> {
    match error {
        AppendError::Conflict { .. } | AppendError::KeysGone { .. } => Ok(Round::Again(candidate)),
        AppendError::OutcomeUnknown { .. } => Ok(Round::Unanswered(candidate, attempt)),
        AppendError::Refused { reason } => {
            tracing::error!(reason, "an attempt was refused by the database");
            Ok(Round::Again(candidate))
        }
        AppendError::Invalid(error) => {
            metrics::skipped("invalid_append");
            tracing::error!(%error, "an attempt cannot be written");
            Ok(Round::Done)
        }
        AppendError::Closed => Err(Halted::Closed),
    }
}

/// What is to be recorded for a verdict other than sending.
fn commands_of(verdict: Verdict, at: Timestamp) -> Vec<AttemptCommand> {
    match verdict {
        Verdict::Send(_) | Verdict::Nothing => Vec::new(),
        Verdict::Skip(reason) => {
            metrics::skipped(reason);
            tracing::error!(reason, "a message is skipped");
            Vec::new()
        }
        Verdict::Cancel(reason) => {
            vec![AttemptCommand::Cancel { reason, at }]
        }
        Verdict::GiveUp(because) => {
            vec![AttemptCommand::GiveUp { because, at }]
        }
        Verdict::NeverCalled(attempt) => outcome::not_called(attempt, at),
    }
}

fn stop(unreadable: Option<&Unreadable>, at: Timestamp) -> AttemptCommand {
    let because = match unreadable {
        Some(Unreadable::Erased) => {
            let reason = CancelReason::Erased;
            return AttemptCommand::Cancel { reason, at };
        }
        Some(Unreadable::Broken) => unsendable("unreadable"),
        None => unsendable("no_access_token"),
    };
    give_up(because, at)
}

/// What is to be recorded while a file is fetched: once that the message waits for it. Whoever watches looks again.
fn wait_for_media(attempts: &Attempts, at: Timestamp) -> Vec<AttemptCommand> {
    let deferred = match attempts {
        Attempts::Deferred { reason, .. } => Some(*reason),
        Attempts::Underway(underway) => underway.deferred().map(|(reason, _)| reason),
        Attempts::NotStarted | Attempts::Cancelled { .. } | Attempts::Abandoned => None,
    };
    if deferred == Some(DeferReason::Media) {
        return Vec::new();
    }
    vec![AttemptCommand::Defer {
        reason: DeferReason::Media,
        until: at + limits::MEDIA_FIRST_LOOK,
        at,
    }]
}

fn unfit_media(unfit: Unfit) -> GaveUpBecause {
    GaveUpBecause::Unsendable {
        reason: Term::from_provider(&unfit.reason),
        problems: unfit.problems,
    }
}

fn give_up(because: GaveUpBecause, at: Timestamp) -> AttemptCommand {
    AttemptCommand::GiveUp { because, at }
}

/// The span of a message on its way out, in the trace of its request; none if it is not traced.
fn trace(candidate: &Candidate) -> tracing::Span {
    match &candidate.origin.traceparent {
        Some(traceparent) => {
            let span = tracing::info_span!(parent: None, "dispatch", message = %candidate.message);
            telemetry::set_parent(&span, traceparent);
            span
        }
        None => tracing::Span::none(),
    }
}

/// What follows from a decision, within the span of the message if it is traced.
fn origin_within(span: &tracing::Span, candidate: &Candidate) -> Origin {
    let mut origin = candidate.origin.clone();
    if origin.traceparent.is_some() {
        origin.traceparent = span.in_scope(telemetry::current_traceparent).or(origin.traceparent);
    }
    origin
}

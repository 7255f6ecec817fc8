//! What becomes of messages whose answer did not come: a callback that carries our id settles them, else silence.

use crate::{
    check::{AttemptsFacts, expected, submitted},
    dispatcher::Dispatcher,
    limits, metrics,
    open_set::Open,
    record::{RecordFailed, Recording},
};
use assent_domain::{
    attempt::{AttemptCommand, Attempts, Outcome, Underway},
    events::{
        Accepted, AcceptedAs, AttemptEvent, AttemptRejected, GaveUpBecause, LearnedFrom, OutcomeUnknown, ProviderError,
        ProviderEvent, ProviderStatus, RetryClass, StatusReported, StreamCategory, UnknownCause,
    },
    values::{AliasKind, AttemptId, MessageId, PhoneNumberId, Timestamp},
};
use assent_event_store::{Expected, ReadError, RecordedEvent, ShardId};
use assent_runtime::{
    facts::of_category,
    log::{self, Origin},
    streams::Subject,
};
use futures::future::join_all;
use uuid::Uuid;

/// When to look at a message again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Never: its fate is sealed.
    Close,
    /// At this moment.
    At(Timestamp),
    /// When a callback of this number came after this moment.
    Listen {
        /// The number.
        number: PhoneNumberId,
        /// The moment.
        after: Timestamp,
    },
}

/// What Meta's callbacks say about an attempt.
#[derive(Debug)]
enum Report {
    /// Meta took the message.
    Taken(Box<StatusReported>),
    /// Meta did not deliver it, and nothing says otherwise.
    Failed(ProviderError),
}

impl Dispatcher {
    /// Looks at messages in flight or of unknown outcome that are due. `position` is how far our feed was read.
    pub(crate) async fn settle(
        &self,
        shard: ShardId,
        due: &[(MessageId, Open)],
        position: u64,
    ) -> Result<Vec<(MessageId, Next)>, ReadError> {
        let keys: Vec<Uuid> = due.iter().map(|(message, _)| message.uuid()).collect();
        let events = self.platform.store.read_keys(shard, &keys).await?;
        let looks = due.iter().map(async |(message, open)| {
            let events = events.get(&message.uuid()).map_or(&[][..], Vec::as_slice);
            (*message, self.look(shard, *message, *open, events, position).await)
        });
        Ok(join_all(looks).await)
    }

    async fn look(
        &self,
        shard: ShardId,
        message: MessageId,
        open: Open,
        events: &[RecordedEvent],
        position: u64,
    ) -> Next {
        let now = log::now();
        let soon = Next::At(now + limits::RECHECK);
        let Some(facts) = AttemptsFacts::fold(events) else {
            metrics::skipped("attempts_not_understood");
            return Next::At(now + self.config.silence().max(limits::RECHECK));
        };
        let underway = match &facts.attempts {
            Attempts::Underway(underway) => underway,
            Attempts::Deferred { until, .. } => return Next::At(*until),
            Attempts::NotStarted | Attempts::Cancelled { .. } | Attempts::Abandoned => return Next::Close,
        };
        let attempt = underway.current();
        match underway.outcome() {
            Outcome::Accepted | Outcome::GivenUp | Outcome::Rejected(RetryClass::Never) => return Next::Close,
            // Recorded, and on its way to us by the feed.
            Outcome::Rejected(_) => return soon,
            Outcome::InFlight if self.is_own_flight(message) => return soon,
            Outcome::InFlight | Outcome::Unknown => {}
        }
        let moments = Moments::of(events, attempt);
        if underway.outcome() == Outcome::InFlight && now < moments.started_at + self.config.orphan_after() {
            return Next::At(moments.started_at + self.config.orphan_after());
        }
        let provider = last_provider_version(events);
        let Some(origin) = self.origin_of(events) else {
            metrics::skipped("no_tenant");
            return Next::Close;
        };
        let (command, by) = match report(events, underway, attempt) {
            Some(report) => (settled(report, attempt, now), "callback"),
            None if underway.outcome() == Outcome::InFlight => (died(attempt, now), "process_died"),
            None => match self.silence(events, &moments, open, position, now) {
                Ok(because) => (AttemptCommand::GiveUp { because, at: now }, "silence"),
                Err(next) => return next,
            },
        };
        let recording = Recording {
            shard,
            message,
            attempts: facts.attempts,
            version: facts.version,
            origin,
        };
        // A callback that comes in between wins.
        let guard = (
            self.platform
                .stream_of(StreamCategory::Provider, Subject::Message(message)),
            provider,
        );
        match recording.guarded(self, &[command], None, Some(guard)).await {
            Ok(()) => {
                metrics::settled(by);
                soon
            }
            Err(RecordFailed::Again | RecordFailed::Closed) => Next::At(now + limits::BACKOFF.0),
        }
    }

    /// Whether silence has lasted long enough, with its evidence; else when to look again.
    fn silence(
        &self,
        events: &[RecordedEvent],
        moments: &Moments,
        open: Open,
        position: u64,
        now: Timestamp,
    ) -> Result<GaveUpBecause, Next> {
        let listened_until = moments.noticed_at + self.config.silence();
        if now < listened_until {
            return Err(Next::At(listened_until));
        }
        if let Some(last_callback_at) = open.heard.filter(|heard| *heard >= listened_until) {
            return Ok(GaveUpBecause::Silence {
                from: moments.started_at,
                until: now,
                last_callback_at,
                caught_up_to: position,
            });
        }
        let Some(submitted) = submitted(events) else {
            metrics::skipped("no_request");
            return Err(Next::Close);
        };
        Err(Next::Listen {
            number: submitted.sender,
            after: listened_until,
        })
    }

    /// What is recorded about a message follows from its decision.
    fn origin_of(&self, events: &[RecordedEvent]) -> Option<Origin> {
        let decision = events.iter().find(|event| log::is_of(event, StreamCategory::Decision));
        let event = decision.or_else(|| events.first())?;
        Some(Origin::following(log::tenant_of(event)?, self.actor.clone(), event))
    }
}

/// When an attempt was started, and when its outcome was found to be unknown.
struct Moments {
    started_at: Timestamp,
    noticed_at: Timestamp,
}

impl Moments {
    fn of(events: &[RecordedEvent], attempt: AttemptId) -> Self {
        let mut moments = Self {
            started_at: Timestamp::from_micros(0),
            noticed_at: Timestamp::from_micros(0),
        };
        for (_, event) in of_category::<AttemptEvent>(events) {
            match event {
                AttemptEvent::Started(started) if started.attempt == attempt => {
                    moments.started_at = started.started_at;
                    moments.noticed_at = moments.noticed_at.max(started.started_at);
                }
                AttemptEvent::OutcomeUnknown(unknown) if unknown.attempt == attempt => {
                    moments.noticed_at = unknown.noticed_at;
                }
                _ => {}
            }
        }
        moments
    }
}

fn last_provider_version(events: &[RecordedEvent]) -> Expected {
    let last = events.iter().rfind(|event| log::is_of(event, StreamCategory::Provider));
    expected(last.map_or(0, |event| event.version))
}

/// What the callbacks about a message say about one attempt of it. Whoever reports any state has the message; only if
/// every report is a failure was it refused.
fn report(events: &[RecordedEvent], underway: &Underway, attempt: AttemptId) -> Option<Report> {
    let mut failed = None;
    for (_, event) in of_category::<ProviderEvent>(events) {
        let ProviderEvent::StatusReported(status) = event else {
            continue;
        };
        let is_ours = status.attempt.map_or(underway.count() == 1, |named| named == attempt);
        if !is_ours {
            continue;
        }
        if status.status != ProviderStatus::Failed {
            return Some(Report::Taken(status));
        }
        let unnamed = ProviderError {
            code: 131_000,
            subcode: None,
        };
        failed.get_or_insert(status.errors.first().copied().unwrap_or(unnamed));
    }
    failed.map(Report::Failed)
}

fn settled(report: Report, attempt: AttemptId, at: Timestamp) -> AttemptCommand {
    match report {
        Report::Taken(status) => {
            let named = |kind| {
                status
                    .recipient
                    .iter()
                    .find(|alias| alias.kind == kind)
                    .map(|alias| alias.hash)
            };
            AttemptCommand::RecordAccepted(Box::new(Accepted {
                attempt,
                wamid_hash: status.wamid_hash,
                wamid: None,
                wa_id_alias: named(AliasKind::WaId),
                wa_id: None,
                user_id_alias: named(AliasKind::UserId),
                user_id: None,
                accepted_as: AcceptedAs::Accepted,
                learned_from: LearnedFrom::Callback,
                accepted_at: at,
            }))
        }
        // A failure that comes as a status is final, whatever its code would allow in an answer.
        Report::Failed(error) => AttemptCommand::RecordRejected(AttemptRejected {
            attempt,
            error,
            retry: RetryClass::Never,
            rejected_at: at,
        }),
    }
}

fn died(attempt: AttemptId, at: Timestamp) -> AttemptCommand {
    AttemptCommand::RecordOutcomeUnknown(OutcomeUnknown {
        attempt,
        cause: UnknownCause::ProcessDied,
        http_status: None,
        noticed_at: at,
    })
}

//! Deciding a batch of requests: one query for all that the gates look at, then every decision at once.

use crate::{
    SERVICE,
    judging::{Folded, Known, Question},
    metrics,
    reader::HandleError,
    requests::Noted,
    views::{Changes, Seen, Views},
};
use assent_domain::{
    Decider as _,
    decision::{Decision, DecisionDecider, RecordJudgement},
    events::{DecisionEvent, StreamCategory, Submitted},
    gates::Judgement,
    values::{Actor, Term, Timestamp},
};
use assent_event_store::{Append, AppendError, Appended, Expected, RecordedEvent, ShardId};
use assent_runtime::{
    facts::Wanted,
    log::{self, Origin},
    platform::Platform,
    streams::Subject,
    telemetry,
};
use assent_sealed::AliasHash;
use futures::future::join_all;
use std::time::Duration;
use tracing::{Instrument as _, Span};

/// How long a request whose contact keeps changing waits before it is judged again, times the number of tries. It ends in
/// any case: a request that expires needs no guard.
const AGAIN_AFTER: Duration = Duration::from_millis(2);

/// Tries after which a contact that keeps changing is worth a line in the log.
const TRIES_WORTH_TELLING: u32 = 10;

/// A request to be decided.
#[derive(Debug)]
pub(crate) struct Request {
    message: uuid::Uuid,
    submitted: Box<Submitted>,
    origin: Origin,
    /// Continues the request's trace; disabled without one.
    span: Span,
}

impl Request {
    pub(crate) fn new(event: &RecordedEvent, submitted: Box<Submitted>) -> Self {
        let traceparent = event.meta().traceparent;
        let (span, traceparent) = match traceparent {
            None => (Span::none(), None),
            Some(parent) => {
                let span = tracing::info_span!("authorize", message = %event.stream.key);
                telemetry::set_parent(&span, &parent);
                let own = span.in_scope(telemetry::current_traceparent);
                (span, own.or(Some(parent)))
            }
        };
        let origin = Origin {
            tenant: submitted.tenant.clone(),
            actor: actor(),
            causation: Some(event.id),
            traceparent,
        };
        Self {
            message: event.stream.key,
            submitted,
            origin,
            span,
        }
    }

    fn question(&self, platform: &Platform, tenants: &assent_runtime::tenants::Tenants) -> Question {
        let Submitted {
            tenant,
            sender,
            recipient,
            content,
            purpose,
            ..
        } = &*self.submitted;
        Question::new(
            platform,
            tenants,
            tenant,
            sender.clone(),
            recipient.candidates(),
            content.template().cloned(),
            *purpose,
        )
    }
}

/// This service, as whoever acts.
pub(crate) fn actor() -> Actor {
    Actor::Service(Term::try_new(SERVICE).expect("a short word is a term"))
}

/// What decides needs of its surroundings.
pub(crate) struct Decisions<'a> {
    pub(crate) platform: &'a Platform,
    pub(crate) shard: ShardId,
    pub(crate) views: &'a Views,
    pub(crate) noted: &'a Noted,
    /// What the read model will know once the batch is committed.
    pub(crate) changes: &'a Changes,
}

impl Decisions<'_> {
    /// Decides every request, whatever else happens to the contacts meanwhile.
    pub(crate) async fn take(&self, mut requests: Vec<Request>) -> Result<(), HandleError> {
        for tries in 1.. {
            let appends = self.judge(&requests).await?;
            let results = join_all(appends).await;
            let mut again = Vec::new();
            for (request, (decision, result)) in requests.into_iter().zip(results) {
                match settled(result)? {
                    Settled::Decided => {
                        metrics::decided(&decision, request.submitted.accepted_at, log::now());
                    }
                    Settled::Before => metrics::decided_before(),
                    Settled::Again => again.push(request),
                }
            }
            if again.is_empty() {
                return Ok(());
            }
            metrics::conflict("decision");
            if tries % TRIES_WORTH_TELLING == 0 {
                tracing::warn!(
                    shard = self.shard.0,
                    tries,
                    requests = again.len(),
                    "contacts keep changing"
                );
            }
            tokio::time::sleep(AGAIN_AFTER * tries.min(100)).await;
            requests = again;
        }
        unreachable!("the loop ends when every request is decided")
    }

    /// Judges all of them by what the log says now; the appends are not on their way yet.
    async fn judge(
        &self,
        requests: &[Request],
    ) -> Result<Vec<impl Future<Output = (DecisionEvent, Result<Appended, AppendError>)> + use<>>, HandleError> {
        let tenants = self.platform.tenants.tenants();
        let questions: Vec<Question> = requests
            .iter()
            .map(|request| request.question(self.platform, &tenants))
            .collect();
        let want = |wanted: &mut Wanted<'_>| questions.iter().for_each(|question| question.want(wanted));
        let facts = self.platform.facts(self.shard, want).await?;
        let mut folded = Folded::default();
        let known: Vec<Known> = questions
            .iter()
            .map(|question| Known::of(question, &facts, &mut folded))
            .collect();
        drop(facts);
        let seen = self.seen(requests, &known).await?;
        let now = log::now();
        let judged = requests.iter().zip(&questions).zip(&known);
        Ok(judged
            .map(|((request, question), known)| {
                let (decision, append) = request
                    .span
                    .in_scope(|| self.decide(request, question, known, &seen, now));
                let (store, shard) = (self.platform.store.clone(), self.shard);
                async move { (decision, store.append(shard, append).await) }.instrument(request.span.clone())
            })
            .collect())
    }

    /// What the read model knows, asked only about those it may know something about. Free-form text is always asked about.
    async fn seen(&self, requests: &[Request], known: &[Known]) -> Result<Seen, HandleError> {
        let asked = requests.iter().zip(known).filter(|(request, known)| {
            let is_free_form = request.submitted.content.template().is_none();
            is_free_form || known.aliases().iter().any(|alias| self.noted.may_know(*alias))
        });
        let aliases: Vec<AliasHash> = asked.flat_map(|(_, known)| known.aliases()).copied().collect();
        let mut seen = self.views.seen(&aliases).await?;
        seen.add(self.changes);
        Ok(seen)
    }

    fn decide(
        &self,
        request: &Request,
        question: &Question,
        known: &Known,
        seen: &Seen,
        now: Timestamp,
    ) -> (DecisionEvent, Append) {
        let verdict = known.judge(question, seen, now);
        // Only what lets a message out has to be guarded: a refusal stays right for the moment it names.
        let must_guard = matches!(verdict.judgement, Judgement::Authorized { .. });
        let guards: Vec<_> = verdict.guards().filter(|_| must_guard).collect();
        let command = RecordJudgement {
            judgement: verdict.judgement,
            contact: verdict.contact,
            contact_version: verdict.version,
            checked_at: now,
            expires_at: request.submitted.expires_at,
        };
        let Ok(mut events) = DecisionDecider::decide(&Decision::Undecided, command);
        let decision = events.pop().expect("whatever is undecided gets a decision");
        let stream = log::stream(StreamCategory::Decision, request.message);
        let event = log::record(&decision, &request.origin);
        let mut append = Append::new().write(stream, Expected::NoStream, [event]).patient();
        if matches!(decision, DecisionEvent::Authorized(_)) {
            for (contact, expected) in guards {
                let stream = self
                    .platform
                    .stream_of(StreamCategory::Contact, Subject::Contact(contact));
                append = append.guard(stream, expected);
            }
        }
        (decision, append)
    }
}

enum Settled {
    Decided,
    /// The message had its decision: this batch was handled before.
    Before,
    /// The contact changed, or the outcome is not known.
    Again,
}

fn settled(result: Result<Appended, AppendError>) -> Result<Settled, HandleError> {
    match result {
        Ok(_) => Ok(Settled::Decided),
        Err(AppendError::Conflict { stream, .. }) if stream.category == StreamCategory::Decision.as_str() => {
            Ok(Settled::Before)
        }
        Err(AppendError::Conflict { .. } | AppendError::OutcomeUnknown { .. }) => Ok(Settled::Again),
        Err(AppendError::Invalid(error)) => {
            // Too large, say. Nothing else about the batch is wrong.
            tracing::error!(%error, "a decision cannot be recorded");
            metrics::skipped("decision_invalid");
            Ok(Settled::Before)
        }
        Err(error) => Err(error.into()),
    }
}

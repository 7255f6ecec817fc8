//! What ingress does for callers, apart from how it is asked.

use crate::{
    accept::{self, Accepted},
    draft::Draft,
    limits, metrics,
    parties::{Parties, Party},
    reference,
    templates::Templates,
    waiting::{Waiter, Waiting},
};
use assent_api::message::Story;
use assent_domain::{
    Decider as _,
    delivery::DeliveryState,
    events::{DecisionEvent, RequestEvent, StreamCategory},
    request::{RequestCommand, RequestDecider},
    values::{Actor, MessageId, Term, Timestamp},
};
use assent_event_store::{Append, AppendError, Expected, RecordedEvent};
use assent_proto::v1;
use assent_runtime::{
    admission::{Admission, Permit},
    api_error::{ApiError, ErrorCode},
    facts::of_category,
    log::{self, Origin},
    platform::Platform,
    shutdown::Shutdown,
    streams::Subject,
    tenants::Principal,
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tracing::Instrument as _;

/// How often a wish to cancel is decided anew when somebody else wrote to the request at the same time.
const CANCEL_ATTEMPTS_MAX: usize = 3;

/// Ingress.
#[derive(Debug)]
pub(crate) struct Ingress {
    pub(crate) platform: Platform,
    pub(crate) admission: Admission,
    pub(crate) parties: Arc<Parties>,
    pub(crate) templates: Arc<Templates>,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) shutdown: Shutdown,
    pub(crate) decision_wait: Duration,
}

/// What a caller is answered.
#[derive(Debug, Clone)]
pub(crate) struct Settled {
    pub(crate) message: MessageId,
    pub(crate) accepted_at: Timestamp,
    /// The decision, if it came in time.
    pub(crate) decision: Option<Arc<DecisionEvent>>,
}

/// A message that was taken in, now or by an earlier call.
struct TakenIn {
    message: MessageId,
    accepted: Accepted,
    /// Whoever waits for the decision, unless it was asked not to.
    waiter: Option<Waiter>,
    /// Held until the caller is answered.
    permit: Permit,
}

/// Who acted, as events name them.
pub(crate) fn actor(principal: &Principal) -> Actor {
    Actor::ApiKey(Term::from_provider(principal.key.as_str()))
}

impl Ingress {
    /// The tenant a call is made for.
    pub(crate) fn party(&self, principal: &Principal) -> Result<Arc<Party>, ApiError> {
        // A tenant may be gone from the file since the key was looked at.
        let party = self.parties.by_id(&principal.tenant);
        party.ok_or_else(|| ApiError::new(ErrorCode::ApiKeyInvalid))
    }

    /// Takes a message in and, unless asked otherwise, waits for its decision.
    pub(crate) async fn send(
        &self,
        principal: &Principal,
        request: &v1::SendMessageRequest,
        deadline: Option<Duration>,
    ) -> Result<Settled, ApiError> {
        let begun = Instant::now();
        let taken_in = self.take_in(principal, request).await;
        let TakenIn {
            message,
            accepted,
            waiter,
            permit: _permit,
        } = taken_in.inspect_err(|error| metrics::request(error.code().reason()))?;
        let decision = match waiter {
            Some(waiter) => self.decision(&accepted, waiter, begun, deadline).await,
            None => None,
        };
        Ok(Settled {
            message,
            accepted_at: accepted.at,
            decision,
        })
    }

    /// Takes a message in. Whoever hangs up does not change that, and does not change that it is counted.
    async fn take_in(&self, principal: &Principal, request: &v1::SendMessageRequest) -> Result<TakenIn, ApiError> {
        let permit = self.admission.try_admit(1)?;
        let party = self.party(principal)?;
        let mut draft = Draft::parse(&self.platform, party, request, log::now())?;
        if let Some(message) = draft.unresolved {
            reference::resolve(self, &mut draft, message).await?;
        }
        let fit = self.templates.check(&self.platform, &draft).await;
        if let Err(misfit) = fit.map_err(|error| accept::read_error(&error))? {
            draft.holds_back(misfit);
        }
        for missing in draft.content.missing_wa_ids() {
            let known = self
                .platform
                .known_wa_id(draft.party.id.as_str(), draft.party.shard, &missing.names);
            if let Some(wa_id) = known.await.map_err(|error| accept::read_error(&error))? {
                draft.content.fill_wa_id(&missing, &wa_id);
            }
        }
        let (message, wait) = (draft.message, request.wait_for() != v1::WaitFor::Accepted);
        // Registered before the append: the tail cannot show the decision to nobody.
        let waiter = if wait { self.waiting.for_decision(message) } else { None };

        // In a task of its own, so that it ends even if the caller hangs up; the permit stays with it that long.
        let (platform, actor) = (self.platform.clone(), actor(principal));
        let accepting = async move {
            let accepted = accept::accept(&platform, draft, actor).await;
            if let Ok(accepted) = &accepted {
                metrics::request(match accepted.repeated {
                    Some(_) => metrics::REPEATED,
                    None => metrics::ACCEPTED,
                });
            }
            (accepted, permit)
        };
        let accepting = tokio::spawn(accepting.in_current_span()).await;
        let (accepted, permit) = accepting.map_err(ApiError::internal)?;
        Ok(TakenIn {
            message,
            accepted: accepted?,
            waiter,
            permit,
        })
    }

    async fn decision(
        &self,
        accepted: &Accepted,
        mut waiter: Waiter,
        begun: Instant,
        deadline: Option<Duration>,
    ) -> Option<Arc<DecisionEvent>> {
        // Only a repetition can have been decided before the waiter was there.
        if let Some(decision) = accepted
            .repeated
            .as_ref()
            .and_then(|repeated| repeated.decision.clone())
        {
            return Some(Arc::new(decision));
        }
        let until = begun + wait_at_most(self.decision_wait, deadline);
        let (outcome, decision) = tokio::select! {
            decision = waiter.decided() => ("decided", Some(decision)),
            () = tokio::time::sleep_until(until) => ("timed_out", None),
            () = self.shutdown.soft().cancelled() => ("shutting_down", None),
        };
        metrics::waited(outcome, begun.elapsed());
        decision
    }

    /// Everything recorded about a message of the tenant's.
    pub(crate) async fn events(&self, party: &Party, message: MessageId) -> Result<Vec<RecordedEvent>, ApiError> {
        let key = message.uuid();
        let read = self.platform.store.read_keys(party.shard, &[key]).await;
        let mut events = read.map_err(|error| accept::read_error(&error))?;
        Ok(events.remove(&key).unwrap_or_default())
    }

    /// The story of a message of the tenant's. Another tenant's message is not there.
    pub(crate) async fn story(&self, party: &Party, message: MessageId) -> Result<Story, ApiError> {
        let events = self.events(party, message).await?;
        story_of(party, message, &events)
    }

    /// A message as it stands, opened as far as its keys are there.
    pub(crate) async fn render(&self, story: &Story) -> Result<v1::Message, ApiError> {
        let now = time::OffsetDateTime::now_utc();
        let keys = self.platform.keys.load(story.keys(), now).await;
        let keys = keys.map_err(|error| accept::key_error(&error))?;
        let opened = story.open(&keys).map_err(|error| accept::key_error(&error))?;
        Ok(story.render(&opened))
    }

    /// Records the wish not to send a message after all.
    pub(crate) async fn cancel(&self, principal: &Principal, message: MessageId) -> Result<DeliveryState, ApiError> {
        let party = self.party(principal)?;
        for _ in 0..CANCEL_ATTEMPTS_MAX {
            let events = self.events(&party, message).await?;
            let story = story_of(&party, message, &events)?;
            let state = story.state();
            match state {
                DeliveryState::Cancelled => return Ok(state),
                DeliveryState::Requested | DeliveryState::Authorized | DeliveryState::Deferred => {}
                _ => return Err(ApiError::new(ErrorCode::TooLate).metadata("state", state.as_str())),
            }
            let requests: Vec<(u32, RequestEvent)> = of_category(&events)
                .map(|(recorded, event)| (recorded.version, event))
                .collect();
            let version = requests.last().map_or(0, |(version, _)| *version);
            let history = requests.iter().map(|(_, event)| event);
            let decided = RequestDecider::decide(
                &RequestDecider::fold(history),
                RequestCommand::Cancel { at: log::now() },
            );
            let new = decided.map_err(|_| ApiError::new(ErrorCode::MessageUnknown))?;
            if new.is_empty() {
                return Ok(state);
            }
            let origin = Origin::of(party.id.clone(), actor(principal));
            let stream = self
                .platform
                .stream_of(StreamCategory::Request, Subject::Message(message));
            let new = new.iter().map(|event| log::record(event, &origin));
            let append = Append::new().write(stream, Expected::Exact(version), new);
            let (log, shard) = (self.platform.store.clone(), party.shard);
            let appended = tokio::spawn(async move { log.append(shard, append).await });
            match appended.await.map_err(ApiError::internal)? {
                Ok(_) => return Ok(state),
                Err(AppendError::Conflict { .. }) => {}
                Err(error) => return Err(accept::append_error(&error)),
            }
        }
        Err(ApiError::new(ErrorCode::Conflict).retry_after(limits::ANSWER_MARGIN_MAX))
    }
}

/// The story that these events tell, if it is the tenant's.
pub(crate) fn story_of(party: &Party, message: MessageId, events: &[RecordedEvent]) -> Result<Story, ApiError> {
    Story::of(message, events)
        .filter(|story| story.submitted.tenant == party.id)
        .ok_or_else(|| ApiError::new(ErrorCode::MessageUnknown))
}

/// How long a caller waits: until shortly before its deadline.
fn wait_at_most(longest: Duration, deadline: Option<Duration>) -> Duration {
    deadline.map_or(longest, |deadline| {
        let margin = (deadline / 4).min(limits::ANSWER_MARGIN_MAX);
        longest.min(deadline.saturating_sub(margin))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_answered_shortly_before_its_deadline() {
        let longest = Duration::from_secs(5);
        assert_eq!(wait_at_most(longest, None), longest);
        assert_eq!(wait_at_most(longest, Some(Duration::from_mins(1))), longest);
        assert_eq!(
            wait_at_most(longest, Some(Duration::from_secs(2))),
            Duration::from_millis(1_900)
        );
        assert_eq!(
            wait_at_most(longest, Some(Duration::from_millis(40))),
            Duration::from_millis(30)
        );
        assert_eq!(wait_at_most(longest, Some(Duration::ZERO)), Duration::ZERO);
    }
}

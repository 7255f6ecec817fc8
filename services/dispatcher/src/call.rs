//! One call to Meta, and what is recorded of it.

use crate::{
    dispatcher::{Dispatcher, Pause, Slot},
    limits, metrics,
    outcome::{self, Learned},
    record::{RecordFailed, Recording},
    uploads::Used,
};
use assent_domain::{
    attempt::AttemptCommand,
    events::{Accepted, AcceptedAs, DeferReason, LearnedFrom, RetryClass},
    values::{Alias, AttemptId, PhoneNumberId, TenantId, Timestamp, UserId, WaId, Wamid},
};
use assent_event_store::DataKey;
use assent_runtime::{log, streams::purpose, telemetry};
use assent_sealed::{AliasHash, Sealed};
use assent_whatsapp::{
    Secret,
    client::{AcceptedStatus, SendAccepted},
    message::OutgoingMessage,
};
use serde::Serialize;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::Instrument as _;

/// An attempt that this process made durable, and that it alone may call, once.
pub(crate) struct Call {
    /// Where its outcome is recorded.
    pub(crate) recording: Recording,
    pub(crate) attempt: AttemptId,
    /// 1 for the first attempt of the message.
    pub(crate) number: u32,
    /// When its append began: the attempt is no older than this.
    pub(crate) begun: Instant,
    /// The same by the clock on the wall, which goes on while a machine sleeps.
    pub(crate) started_at: Timestamp,
    pub(crate) tenant: TenantId,
    pub(crate) sender: PhoneNumberId,
    pub(crate) token: Secret,
    pub(crate) body: OutgoingMessage,
    /// The uploaded files that it names.
    pub(crate) used: Vec<Used>,
    /// When the message was authorized.
    pub(crate) authorized_at: Timestamp,
    /// Whom it was addressed to.
    pub(crate) alias: AliasHash,
    /// The content key of that alias; absent: it is gone.
    pub(crate) key: Option<DataKey>,
    pub(crate) span: tracing::Span,
}

impl Call {
    /// Makes the call in a task of its own, which holds the slot as long as the call lasts. Ends with the hard shutdown,
    /// as if the process had died.
    pub(crate) fn spawn(self, dispatcher: &Arc<Dispatcher>, slot: Slot) {
        metrics::started(self.number);
        let own = dispatcher.own_flight(self.recording.message);
        let task = Arc::clone(dispatcher);
        let hard = dispatcher.shutdown.hard().clone();
        let span = self.span.clone();
        let call = async move {
            let _own = own;
            hard.run_until_cancelled(self.run(&task, slot)).await;
        };
        // Boxed once: it has kilobytes, and would be moved several times on its way into the task.
        dispatcher.calls.spawn(Box::pin(call).instrument(span));
    }

    async fn run(mut self, dispatcher: &Dispatcher, slot: Slot) {
        let Slot { call, flight } = slot;
        let learned = self.make(dispatcher).await;
        drop(call);
        let learned = self.without_lost_files(dispatcher, learned).await;
        self.record(dispatcher, &learned).await;
        drop(flight);
    }

    async fn make(&mut self, dispatcher: &Dispatcher) -> Learned {
        let age = self.begun.elapsed().max(log::now().since(self.started_at));
        if age > limits::CALL_BEGINS_WITHIN {
            tracing::warn!(age_ms = age.as_millis() as u64, "a call came too late and was not made");
            return Learned::not_called();
        }
        let span = if self.span.is_none() {
            tracing::Span::none()
        } else {
            tracing::info_span!("call_meta", attempt = %self.attempt)
        };
        let message = self.recording.message;
        let (correlation, traceparent) = span.in_scope(|| {
            let correlation = dispatcher
                .platform
                .correlation(self.tenant.as_str(), message, self.attempt);
            let traceparent = (!self.span.is_none()).then(telemetry::current_traceparent).flatten();
            (correlation, traceparent)
        });
        self.body.callback_data = Some(correlation.to_string());
        metrics::calls_in_flight(1.0);
        let begun = Instant::now();
        let sending =
            dispatcher
                .client
                .send_traced(self.sender.as_str(), &self.token, &self.body, traceparent.as_deref());
        let result = sending.instrument(span).await;
        metrics::calls_in_flight(-1.0);
        match &result {
            Ok(_) => metrics::sent(&self.sender),
            Err(error) => metrics::failed(error),
        }
        let learned = Learned::of(result);
        metrics::called(learned.as_str(), begun.elapsed());
        learned
    }

    /// A refusal of a file that was uploaded before the message was authorized may only mean that Meta no longer has the
    /// file. Then the message is tried again, once: by then the file is uploaded anew. Safe, for it was refused.
    async fn without_lost_files(&self, dispatcher: &Dispatcher, learned: Learned) -> Learned {
        let Learned::Rejected { error, .. } = &learned else {
            return learned;
        };
        let error = *error;
        if !outcome::MAY_BE_LOST_FILE.contains(&error.code) {
            return learned;
        }
        let mut forgotten = false;
        for used in self.used.iter().filter(|used| used.uploaded_at < self.authorized_at) {
            forgotten |= dispatcher.uploads.refused(dispatcher, &self.sender, used).await;
        }
        if !forgotten {
            return learned;
        }
        metrics::upload("lost");
        Learned::Rejected {
            error,
            retry: RetryClass::Safe,
            reason: DeferReason::Media,
            wait: None,
        }
    }

    /// Records what was learned, however long the database takes: it must not be lost.
    async fn record(mut self, dispatcher: &Dispatcher, learned: &Learned) {
        let mut pause = Pause::default();
        let commands = self.commands(dispatcher, learned);
        let mut commands = (commands, self.key.as_ref().map(DataKey::id));
        loop {
            match self.recording.clone().once(dispatcher, &commands.0, commands.1).await {
                Ok(()) => return,
                Err(RecordFailed::Closed) => {
                    tracing::error!("an outcome could not be recorded before the store was closed");
                    return;
                }
                Err(RecordFailed::Again) => {}
            }
            pause.wait().await;
            match self.recording.refresh(dispatcher).await {
                Ok(()) => {}
                Err(error) => {
                    dispatcher.unavailable("the database does not answer");
                    tracing::warn!(%error, "an outcome waits to be recorded");
                }
            }
            if self.key.is_some() && self.is_key_gone(dispatcher).await {
                // The person was erased meanwhile. What is left says nothing about them.
                self.key = None;
                commands = (self.commands(dispatcher, learned), None);
            }
        }
    }

    async fn is_key_gone(&self, dispatcher: &Dispatcher) -> bool {
        let Some(key) = &self.key else { return true };
        let loaded = dispatcher
            .platform
            .keys
            .load([key.id()], time::OffsetDateTime::now_utc())
            .await;
        loaded.is_ok_and(|loaded| loaded.key(key.id()).is_none())
    }

    fn commands(&self, dispatcher: &Dispatcher, learned: &Learned) -> Vec<AttemptCommand> {
        let now = log::now();
        match learned {
            Learned::Accepted(accepted) => vec![AttemptCommand::RecordAccepted(Box::new(
                self.accepted(dispatcher, accepted, now),
            ))],
            Learned::Unknown { cause, http_status } => outcome::unknown(self.attempt, *cause, *http_status, now),
            Learned::Rejected {
                error,
                retry,
                reason,
                wait,
            } => {
                let is_last = self.number >= dispatcher.config.attempts_max;
                let waits = (*retry == RetryClass::Safe && !is_last).then(|| {
                    let pause = outcome::pause(&dispatcher.config, *reason, self.number, *wait, rand::random());
                    (*reason, pause)
                });
                let mut commands = outcome::rejected(self.attempt, (*error, *retry), waits, now);
                if *retry == RetryClass::Safe && is_last {
                    commands.push(outcome::exhausted(self.number, now));
                }
                commands
            }
        }
    }

    fn accepted(&self, dispatcher: &Dispatcher, answer: &SendAccepted, at: Timestamp) -> Accepted {
        let platform = &dispatcher.platform;
        let tenant = self.tenant.as_str();
        let wa_id = answer.wa_id.as_deref().and_then(|text| WaId::try_new(text).ok());
        let user_id = answer.user_id.as_deref().and_then(|text| UserId::try_new(text).ok());
        let hash = |alias: Alias| platform.alias_hash(tenant, &alias);
        let wa_id_alias = wa_id.clone().map(|wa_id| hash(Alias::WaId(wa_id)));
        let user_id_alias = user_id.clone().map(|user_id| hash(Alias::UserId(user_id)));
        let message_id = answer.message_id.as_str();
        // An address that is the one it was sent to is known already.
        let is_news = |alias: Option<AliasHash>| alias != Some(self.alias);
        Accepted {
            attempt: self.attempt,
            wamid_hash: platform.wamid_hash(message_id),
            wamid: self.seal(&Wamid(message_id.to_owned()), purpose::WAMID),
            wa_id: wa_id
                .filter(|_| is_news(wa_id_alias))
                .and_then(|wa_id| self.seal(&wa_id, purpose::ANSWERED_ADDRESS)),
            wa_id_alias,
            user_id: user_id
                .filter(|_| is_news(user_id_alias))
                .and_then(|user_id| self.seal(&user_id, purpose::ANSWERED_ADDRESS)),
            user_id_alias,
            accepted_as: match answer.status {
                Some(AcceptedStatus::HeldForQualityAssessment) => AcceptedAs::HeldForQualityAssessment,
                Some(AcceptedStatus::Paused) => AcceptedAs::Paused,
                Some(_) | None => AcceptedAs::Accepted,
            },
            learned_from: LearnedFrom::Answer,
            accepted_at: at,
        }
    }

    fn seal<T: Serialize>(&self, value: &T, context: &str) -> Option<Sealed<T>> {
        self.key.as_ref()?.seal(value, context).ok()
    }
}

//! Recording what is known of a message's attempts.

use crate::{
    check::{AttemptsFacts, expected},
    dispatcher::Dispatcher,
    metrics,
};
use assent_domain::{
    Decider as _,
    attempt::{AttemptCommand, AttemptDecider, Attempts},
    events::{AttemptEvent, StreamCategory},
    values::MessageId,
};
use assent_event_store::{Append, AppendError, Expected, ReadError, ShardId, StreamId, limits::READ_EVENTS_MAX};
use assent_runtime::{
    log::{self, Origin},
    streams::Subject,
};
use assent_sealed::KeyId;

/// The attempts of a message as they were last seen, and who records what follows.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    pub(crate) shard: ShardId,
    pub(crate) message: MessageId,
    pub(crate) attempts: Attempts,
    /// The version of their stream.
    pub(crate) version: u32,
    pub(crate) origin: Origin,
}

/// Why something was not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordFailed {
    /// The stream, or a key, changed meanwhile, or there was no answer: look again and decide again.
    Again,
    /// The store was closed.
    Closed,
}

impl Recording {
    /// Looks at the stream again.
    pub(crate) async fn refresh(&mut self, dispatcher: &Dispatcher) -> Result<(), ReadError> {
        let stream = dispatcher
            .platform
            .stream_of(StreamCategory::Attempt, Subject::Message(self.message));
        let events = dispatcher
            .platform
            .store
            .read_stream(self.shard, &stream, 0, READ_EVENTS_MAX)
            .await?;
        if let Some(facts) = AttemptsFacts::fold(&events) {
            self.attempts = facts.attempts;
            self.version = facts.version;
        }
        Ok(())
    }

    /// Obeys the commands and appends what follows, once. What is already so, or cannot be any more, is done.
    pub(crate) async fn once(
        self,
        dispatcher: &Dispatcher,
        commands: &[AttemptCommand],
        key: Option<KeyId>,
    ) -> Result<(), RecordFailed> {
        self.guarded(dispatcher, commands, key, None).await
    }

    /// Like [`Self::once`], and only if another stream is as it was seen.
    pub(crate) async fn guarded(
        self,
        dispatcher: &Dispatcher,
        commands: &[AttemptCommand],
        key: Option<KeyId>,
        guard: Option<(StreamId, Expected)>,
    ) -> Result<(), RecordFailed> {
        let mut attempts = self.attempts;
        let mut events = Vec::new();
        for command in commands {
            match AttemptDecider::decide(&attempts, command.clone()) {
                Ok(decided) => {
                    attempts = decided.iter().fold(attempts, AttemptDecider::evolve);
                    events.extend(decided);
                }
                // Something better is known already.
                Err(rejection) => tracing::debug!(%rejection, "an outcome came too late"),
            }
        }
        if events.is_empty() {
            return Ok(());
        }
        let stream = dispatcher
            .platform
            .stream_of(StreamCategory::Attempt, Subject::Message(self.message));
        let new = events.iter().map(|event| log::record(event, &self.origin));
        let mut append = Append::new().write(stream, expected(self.version), new).patient();
        if events.iter().any(|event| matches!(event, AttemptEvent::Accepted(_))) {
            append = append.sealed_with(key);
        }
        if let Some((stream, version)) = guard {
            append = append.guard(stream, version);
        }
        match dispatcher.platform.store.append(self.shard, append).await {
            Ok(_) => {
                events.iter().for_each(metrics::recorded);
                Ok(())
            }
            Err(AppendError::Conflict { .. } | AppendError::KeysGone { .. } | AppendError::OutcomeUnknown { .. }) => {
                Err(RecordFailed::Again)
            }
            Err(AppendError::Refused { reason }) => {
                tracing::error!(reason, "the database refused an outcome; trying again");
                Err(RecordFailed::Again)
            }
            Err(AppendError::Invalid(error)) => {
                metrics::skipped("invalid_append");
                tracing::error!(%error, "an outcome cannot be written");
                Ok(())
            }
            Err(AppendError::Closed) => Err(RecordFailed::Closed),
        }
    }
}

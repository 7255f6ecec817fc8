//! Asking Meta about numbers and templates, and concluding from callbacks about them.
//!
//! The durable feed `tracker-observations` hands over callbacks. Its lease also says which of several processes asks Meta:
//! whoever is the active reader of a shard polls for the tenants of that shard.

mod account;
mod conclude;
mod number;
mod targets;
mod template;

use crate::{config::Config, metrics};
use assent_domain::{
    events::{ProviderEvent, StreamCategory},
    values::{PhoneNumberId, TenantId, WabaId},
};
use assent_event_store::{Batch, Feed, FeedError, ReadError, RecordedEvent, ShardId, Start};
use assent_runtime::{
    admin::Condition,
    log,
    platform::Platform,
    shutdown::Shutdown,
    supervise::TaskResult,
    tenants::{Tenant, Tenants},
};
use assent_whatsapp::{
    Secret,
    client::{CallError, Client},
};
use conclude::{ConcludeError, Conclusions};
use std::{sync::Arc, time::Duration};
use targets::{Remembered, Target, Targets, Turn};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

/// The feed's name; it keys progress and is never changed.
pub(crate) const FEED: &str = "tracker-observations";

/// Shortest time between two batches: callbacks about numbers and templates are rare among the events they stand between,
/// and each batch costs a commit.
const BATCH_SPACING: Duration = Duration::from_millis(200);

/// How often the tenants file and the lease are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The first wait for the lease, doubled up to [`LOOK_EVERY`]: a feed that becomes active says so only with its first event.
const LOOK_FIRST: Duration = Duration::from_millis(25);

/// How long to wait after the log or the checkpoint could not be reached.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// What one shard's observer works with.
#[derive(Debug, Clone)]
pub(crate) struct Observing {
    pub(crate) platform: Platform,
    pub(crate) meta: Client,
    pub(crate) config: Arc<Config>,
    pub(crate) shard: ShardId,
    pub(crate) readiness: Condition,
}

/// Observes until the soft shutdown.
pub(crate) async fn run(observing: Observing, shutdown: Shutdown) -> TaskResult {
    let feed = observing.platform.feeds.feed(FEED, observing.shard, Start::Beginning);
    let mut observer = Observer {
        targets: Targets::new(Duration::from_millis(observing.config.poll_ms)),
        polls: JoinSet::new(),
        followed: None,
        look_after: LOOK_FIRST,
        not_before: Instant::now(),
        observing,
        feed,
    };
    observer.observing.readiness.met();
    tokio::select! {
        result = observer.observe() => result?,
        () = shutdown.soft().cancelled() => {}
    }
    observer.feed.release().await;
    Ok(())
}

struct Observer {
    observing: Observing,
    feed: Feed,
    targets: Targets,
    polls: JoinSet<Polled>,
    /// The tenants that the targets were taken from.
    followed: Option<Arc<Tenants>>,
    look_after: Duration,
    not_before: Instant,
}

/// A poll that ended.
struct Polled {
    target: Target,
    outcome: Result<Remembered, PollError>,
}

#[derive(Debug, thiserror::Error)]
enum PollError {
    #[error("there is no access token")]
    NoToken,
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Conclude(#[from] ConcludeError),
}

impl PollError {
    /// What is wrong, as a label.
    fn label(&self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::Call(CallError::NotSent(_)) => "not_connected",
            Self::Call(CallError::Timeout) => "timeout",
            Self::Call(CallError::ConnectionLost) => "connection_lost",
            // 0 and 190: the token is not valid. https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes
            Self::Call(CallError::Graph(error)) if matches!(error.code, 0 | 190) => "token",
            Self::Call(CallError::Graph(_)) => "refused",
            Self::Call(CallError::Unreadable { .. } | CallError::Endless) => "unreadable",
            Self::Conclude(ConcludeError::Overtaken) => "overtaken",
            Self::Conclude(_) => "log",
        }
    }
}

impl Observer {
    async fn observe(&mut self) -> Result<(), ReadError> {
        loop {
            let now = Instant::now();
            let is_active = self.feed.position().is_some();
            if is_active {
                self.follow_tenants(now);
                self.start_polls(now);
            } else if self.followed.take().is_some() {
                // Another process polls now.
                self.polls.abort_all();
                metrics::forget_numbers(self.observing.shard, |_| true);
                self.targets = Targets::new(Duration::from_millis(self.observing.config.poll_ms));
            }
            let wake = self.wake_at(now, is_active);
            let not_before = self.not_before;
            let feed = &mut self.feed;
            let next = async move {
                sleep_until(not_before).await;
                feed.next_batch().await
            };
            tokio::select! {
                batch = next => match batch {
                    Ok(batch) => self.handle(batch).await?,
                    Err(FeedError::Read(error @ (ReadError::Hole { .. } | ReadError::NoSuchShard { .. }))) => return Err(error),
                    Err(error) => self.trouble(&error).await,
                },
                Some(polled) = self.polls.join_next() => {
                    if let Ok(polled) = polled {
                        self.finished(&polled);
                    }
                }
                () = sleep_until(wake) => {}
            }
        }
    }

    fn wake_at(&mut self, now: Instant, is_active: bool) -> Instant {
        if !is_active {
            self.look_after = (self.look_after * 2).min(LOOK_EVERY * 2);
            return now + self.look_after;
        }
        self.look_after = LOOK_FIRST;
        let look = now + LOOK_EVERY;
        let has_room = self.polls.len() < self.observing.config.polls_in_flight_max;
        self.targets
            .next_due()
            .filter(|_| has_room)
            .map_or(look, |due| due.min(look))
    }

    fn follow_tenants(&mut self, now: Instant) {
        let tenants = self.observing.platform.tenants.tenants();
        let known = self.followed.as_ref();
        if !known.is_some_and(|known| Arc::ptr_eq(known, &tenants)) {
            self.targets
                .follow(&self.observing.platform, self.observing.shard, &tenants, now);
            metrics::forget_numbers(self.observing.shard, |number| {
                tenants.by_phone_number_id(number.as_str()).is_none()
            });
            self.followed = Some(tenants);
        }
    }

    fn start_polls(&mut self, now: Instant) {
        let Some(tenants) = &self.followed else { return };
        let room = self
            .observing
            .config
            .polls_in_flight_max
            .saturating_sub(self.polls.len());
        for (target, remembered) in self.targets.take_due(now, room) {
            let (observing, tenants) = (self.observing.clone(), tenants.clone());
            self.polls.spawn(async move {
                let outcome = poll(&observing, &tenants, &target, remembered).await;
                Polled { target, outcome }
            });
        }
    }

    fn finished(&mut self, polled: &Polled) {
        let Polled { target, outcome } = polled;
        let label = outcome.as_ref().err().map(PollError::label);
        metrics::polled(target.kind(), label.unwrap_or("ok"));
        let counted = match (outcome, label) {
            (Err(_), Some(label)) => Err(label),
            (outcome, _) => Ok(outcome.as_ref().cloned().unwrap_or_default()),
        };
        let turn = self.targets.finished(target, counted, Instant::now());
        let (kind, waba) = (target.kind(), target.waba().as_str());
        match (turn, outcome) {
            // Being overtaken by a callback is no trouble: it is asked again.
            (Turn::Same, _) | (Turn::Failing, Ok(_) | Err(PollError::Conclude(ConcludeError::Overtaken))) => {}
            (Turn::Failing, Err(error)) => tracing::warn!(kind, waba, %error, "a poll failed; trying again"),
            (Turn::Recovered, _) => tracing::info!(kind, waba, "a poll that had failed works again"),
        }
    }

    /// Concludes from the callbacks of a batch and moves the checkpoint. What fails is tried again with the whole batch.
    async fn handle(&mut self, batch: Batch) -> Result<(), ReadError> {
        self.not_before = Instant::now() + BATCH_SPACING;
        for recorded in batch.events.iter().filter(|event| is_about_us(event)) {
            let event = match log::read::<ProviderEvent>(recorded) {
                Ok(event) => event,
                Err(error) => {
                    tracing::warn!(shard = recorded.shard.0, position = recorded.position, %error, "a callback was not understood");
                    metrics::skipped("undecodable");
                    continue;
                }
            };
            if let Err(error) = self.take_callback(recorded, &event).await {
                match error {
                    ConcludeError::Read(error @ (ReadError::Hole { .. } | ReadError::NoSuchShard { .. })) => {
                        return Err(error);
                    }
                    ConcludeError::Append(
                        error @ (assent_event_store::AppendError::Invalid(_)
                        | assent_event_store::AppendError::Refused { .. }),
                    ) => {
                        tracing::error!(shard = recorded.shard.0, position = recorded.position, %error, "a conclusion cannot be recorded");
                        metrics::skipped("refused");
                    }
                    error => {
                        self.trouble(&error).await;
                        return Ok(());
                    }
                }
            }
        }
        match self.feed.commit(&batch.checkpoint).await {
            Ok(()) => self.observing.readiness.met(),
            Err(error) => self.trouble(&error).await,
        }
        Ok(())
    }

    async fn take_callback(&mut self, recorded: &RecordedEvent, event: &ProviderEvent) -> Result<(), ConcludeError> {
        let Some(tenant) = log::tenant_of(recorded) else {
            metrics::skipped("no_tenant");
            return Ok(());
        };
        let soon = Instant::now() + Duration::from_millis(self.observing.config.poll_debounce_ms);
        let conclusions = self.observing.conclusions();
        match event {
            ProviderEvent::TemplateChanged(event) => {
                self.targets.hurry(soon, |target| is_templates_of(target, &event.waba));
                conclusions.template_changed(&tenant, event, recorded).await
            }
            ProviderEvent::AccountChanged(event) => {
                self.targets
                    .hurry(soon, |target| is_number_of(target, &event.waba, None));
                conclusions.account_changed(&tenant, event, recorded).await
            }
            ProviderEvent::NumberChanged(event) => {
                self.targets
                    .hurry(soon, |target| is_number_of(target, &event.waba, event.number.as_ref()));
                Ok(())
            }
            ProviderEvent::StatusReported(_)
            | ProviderEvent::MessageReceived(_)
            | ProviderEvent::PreferenceChanged(_)
            | ProviderEvent::CallbackUnrecognised(_) => Ok(()),
        }
    }

    /// Waits a moment after the database did not answer, then starts again at the checkpoint.
    async fn trouble(&mut self, error: &(dyn std::error::Error + Sync)) {
        tracing::warn!(feed = FEED, shard = self.observing.shard.0, %error, "observing is held up; trying again");
        self.observing
            .readiness
            .unmet("the log or its checkpoint cannot be reached");
        self.feed.rewind();
        sleep(RETRY_AFTER).await;
    }
}

impl Observing {
    fn conclusions(&self) -> Conclusions {
        Conclusions {
            platform: self.platform.clone(),
            shard: self.shard,
        }
    }
}

/// Whether an event is a callback about a number, a template or an account. Looks at names only.
fn is_about_us(event: &RecordedEvent) -> bool {
    event.stream.category == StreamCategory::Provider.as_str()
        && matches!(
            event.kind.as_str(),
            "provider.template_changed" | "provider.number_changed" | "provider.account_changed"
        )
}

fn is_templates_of(target: &Target, account: &WabaId) -> bool {
    matches!(target, Target::Templates { waba, .. } if waba == account)
}

fn is_number_of(target: &Target, account: &WabaId, wanted: Option<&PhoneNumberId>) -> bool {
    match target {
        Target::Number { number, waba, .. } => waba == account && wanted.is_none_or(|wanted| wanted == number),
        Target::Templates { .. } => false,
    }
}

/// Asks Meta about one target and records what is new.
async fn poll(
    observing: &Observing,
    tenants: &Tenants,
    target: &Target,
    remembered: Remembered,
) -> Result<Remembered, PollError> {
    let conclusions = observing.conclusions();
    // Taken before the question: the answer is at least as young.
    let asked_at = log::now();
    match target {
        Target::Number { tenant, number, waba } => {
            let token = token(tenants, tenant, |owner| owner.access_token_for(number.as_str()))?;
            let info = observing.meta.number(number.as_str(), &token).await?;
            let seen = conclusions.number((tenant, number, waba), &info, asked_at).await?;
            metrics::number_seen(observing.shard, &seen);
            Ok(Remembered::new())
        }
        Target::Templates { tenant, waba } => {
            let token = token(tenants, tenant, |owner| {
                let number = owner.numbers.iter().find(|number| number.waba_id == waba.as_str())?;
                owner.access_token_for(&number.phone_number_id)
            })?;
            let listed = observing.meta.templates(waba.as_str(), &token).await?;
            Ok(conclusions
                .templates((tenant, waba), &listed, remembered, asked_at)
                .await?)
        }
    }
}

fn token<'a>(
    tenants: &'a Tenants,
    tenant: &TenantId,
    choose: impl FnOnce(&'a Tenant) -> Option<&'a assent_runtime::config::Secret>,
) -> Result<Secret, PollError> {
    let secret = tenants.by_id(tenant).and_then(|tenant| choose(tenant));
    secret
        .map(|secret| Secret::new(secret.expose()))
        .ok_or(PollError::NoToken)
}

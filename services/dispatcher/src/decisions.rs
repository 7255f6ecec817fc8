//! Takes what was authorized, as much at a time as can be sent at once.

use crate::{
    check::Candidate,
    dispatcher::{Dispatcher, Pause},
    metrics,
    progress::Progress,
};
use assent_domain::{events::StreamCategory, values::Actor};
use assent_event_store::{Checkpoint, Feed, FeedError, RecordedEvent, ShardId, Start};
use assent_runtime::{log, supervise::TaskResult};
use std::{sync::Arc, time::Duration};

/// The feed's name; keys its progress.
const FEED: &str = "dispatcher-decisions";

/// Reads decisions until the soft shutdown, then waits for the calls under way.
pub(crate) async fn run(dispatcher: Arc<Dispatcher>, shard: ShardId) -> TaskResult {
    let mut feed = dispatcher.platform.feeds.feed(FEED, shard, Start::Beginning);
    let mut progress = Progress::new(Duration::from_millis(dispatcher.config.checkpoint_ms));
    let soft = dispatcher.shutdown.soft().clone();
    let mut pause = Pause::default();
    loop {
        let due = progress.due();
        let batch = tokio::select! {
            biased;
            () = soft.cancelled() => break,
            () = sleep_until(due) => {
                commit(&mut feed, &mut progress, Progress::take_due).await;
                continue;
            }
            batch = feed.next_batch() => batch,
        };
        let batch = match batch {
            Ok(batch) => batch,
            Err(FeedError::Fenced { .. }) => {
                progress.forget();
                continue;
            }
            Err(FeedError::Unavailable(error)) => {
                dispatcher.unavailable("the database does not answer");
                tracing::warn!(shard = shard.0, %error, "decisions cannot be read; trying again");
                pause.wait().await;
                continue;
            }
            Err(error @ FeedError::Read(_)) => return Err(error.into()),
        };
        pause = Pause::default();
        dispatcher.available();
        let candidates = batch
            .events
            .iter()
            .filter_map(|event| candidate(event, &dispatcher.actor))
            .collect();
        if !send_all(&dispatcher, shard, candidates).await? {
            // The rest of the batch is somebody else's: it is not committed.
            break;
        }
        progress.handled(&batch);
        commit(&mut feed, &mut progress, Progress::take_due).await;
    }
    commit(&mut feed, &mut progress, Progress::take).await;
    feed.release().await;
    dispatcher.calls.close();
    dispatcher.calls.wait().await;
    Ok(())
}

/// What was authorized, if this event says so.
fn candidate(event: &RecordedEvent, actor: &Actor) -> Option<Candidate> {
    if !log::is_of(event, StreamCategory::Decision) || event.kind.as_str() != "decision.authorized" {
        return None;
    }
    match Candidate::read(event, actor) {
        Ok(candidate) => Some(candidate),
        Err(error) => {
            metrics::skipped(error.reason());
            tracing::error!(shard = event.shard.0, position = event.position, %error, "a decision is skipped");
            None
        }
    }
}

/// Sends slices no larger than the free slots. False if the process was asked to end before all were taken.
async fn send_all(
    dispatcher: &Arc<Dispatcher>,
    shard: ShardId,
    candidates: Vec<Candidate>,
) -> Result<bool, crate::send::Halted> {
    let mut candidates = candidates.into_iter();
    while candidates.len() > 0 {
        let slots = tokio::select! {
            biased;
            () = dispatcher.shutdown.soft().cancelled() => return Ok(false),
            slots = dispatcher.slots(candidates.len()) => slots,
        };
        let slice = candidates.by_ref().take(slots.len()).collect();
        dispatcher.send(shard, slice, slots).await?;
    }
    Ok(true)
}

/// Writes down how far the reader is. What it did stands in the log, so a failure only means that it is looked at again.
async fn commit(feed: &mut Feed, progress: &mut Progress, take: impl FnOnce(&mut Progress) -> Option<Checkpoint>) {
    let Some(step) = take(progress) else { return };
    match feed.commit(&step).await {
        Ok(()) => {}
        Err(FeedError::Fenced { .. }) => progress.forget(),
        Err(error) => {
            tracing::warn!(%error, "progress could not be written; trying again");
            progress.put_back(step);
        }
    }
}

/// Sleeps until then, or for ever.
pub(crate) async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

//! Following one message: its state now, and again after each change until it is final.

use crate::{limits, parties::Party, service::Ingress, waiting::Watcher};
use assent_domain::values::MessageId;
use assent_proto::v1;
use assent_runtime::api_error::{ApiError, ErrorCode};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// When to watch again after there were too many watchers.
const RETRY: Duration = Duration::from_secs(5);

type States = ReceiverStream<Result<v1::WatchMessageResponse, Status>>;

/// The states of a message of the tenant's, the present one first.
pub(crate) async fn states(ingress: Arc<Ingress>, party: Arc<Party>, message: MessageId) -> Result<States, ApiError> {
    // Before the first look, so that nothing falls in between.
    let watcher = ingress.waiting.watch(message).ok_or_else(|| {
        ApiError::new(ErrorCode::Overloaded)
            .metadata("limit", "watchers")
            .retry_after(RETRY)
    })?;
    let first = look(&ingress, &party, message).await?;
    let (sender, states) = mpsc::channel(limits::WATCH_QUEUE_MAX);
    tokio::spawn(async move {
        tokio::select! {
            () = follow(&ingress, &party, message, first, &watcher, &sender) => {}
            () = sender.closed() => {}
        }
    });
    Ok(ReceiverStream::new(states))
}

async fn follow(
    ingress: &Ingress,
    party: &Party,
    message: MessageId,
    first: v1::Message,
    watcher: &Watcher,
    sender: &mpsc::Sender<Result<v1::WatchMessageResponse, Status>>,
) {
    let mut shown = first;
    let mut is_new = true;
    loop {
        if is_new {
            let response = v1::WatchMessageResponse {
                message: Some(shown.clone()),
            };
            if sender.send_timeout(Ok(response), limits::WATCH_SEND_MAX).await.is_err() {
                // Nobody reads, so nobody reads the error either, unless they begin to at this moment.
                let _ = sender.try_send(Err(ApiError::new(ErrorCode::SubscriberTooSlow).into()));
                return;
            }
        }
        if shown.r#final {
            return;
        }
        tokio::select! {
            () = watcher.changed() => {}
            () = ingress.shutdown.soft().cancelled() => {
                let _ = sender.try_send(Err(ApiError::new(ErrorCode::ShuttingDown).retry_after(RETRY).into()));
                return;
            }
        }
        match look(ingress, party, message).await {
            Ok(now) => {
                is_new = now != shown;
                shown = now;
            }
            Err(error) => {
                let _ = sender.send_timeout(Err(error.into()), limits::WATCH_SEND_MAX).await;
                return;
            }
        }
    }
}

async fn look(ingress: &Ingress, party: &Party, message: MessageId) -> Result<v1::Message, ApiError> {
    let story = ingress.story(party, message).await?;
    ingress.render(&story).await
}

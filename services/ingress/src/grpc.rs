//! `MessageService`: translate, delegate, map the error.

use crate::{
    list,
    service::{Ingress, Settled},
    watch,
};
use assent_api::{Problems, decision, ids, timestamp, vocabulary};
use assent_domain::{
    delivery::DeliveryState,
    events::DecisionEvent,
    values::{IdempotencyKey, MessageId},
};
use assent_proto::v1::{self, message_service_server::MessageService};
use assent_runtime::{
    api_error::{ApiError, ErrorCode},
    grpc,
    tenants::{Principal, Scope},
};
use futures::{Stream, StreamExt as _, stream::BoxStream};
use std::{sync::Arc, time::Duration};
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

/// The service as tonic calls it.
#[derive(Debug, Clone)]
pub(crate) struct MessageApi {
    ingress: Arc<Ingress>,
}

impl MessageApi {
    pub(crate) fn new(ingress: Arc<Ingress>) -> Self {
        Self { ingress }
    }
}

#[tonic::async_trait]
impl MessageService for MessageApi {
    async fn send_message(
        &self,
        request: Request<v1::SendMessageRequest>,
    ) -> Result<Response<v1::SendMessageResponse>, Status> {
        let principal = grpc::require(&request, Scope::Send)?;
        let deadline = grpc::deadline(&request);
        let span = tracing::info_span!("send_message");
        let request = request.into_inner();
        let sending = self.ingress.send(&principal, &request, deadline).instrument(span);
        Ok(Response::new(answer(&sending.await?)?))
    }

    async fn cancel_message(
        &self,
        request: Request<v1::CancelMessageRequest>,
    ) -> Result<Response<v1::CancelMessageResponse>, Status> {
        let principal = grpc::require(&request, Scope::Send)?;
        let message = message_id(&request.get_ref().message_id)?;
        let state = self.ingress.cancel(&principal, message).await?;
        Ok(Response::new(v1::CancelMessageResponse {
            state: vocabulary::state(state).into(),
        }))
    }

    async fn get_message(
        &self,
        request: Request<v1::GetMessageRequest>,
    ) -> Result<Response<v1::GetMessageResponse>, Status> {
        use v1::get_message_request::Key;
        let principal = grpc::require(&request, Scope::Read)?;
        let party = self.ingress.party(&principal)?;
        let request = request.into_inner();
        let message = match &request.key {
            Some(Key::MessageId(id)) => message_id(id)?,
            Some(Key::IdempotencyKey(key)) => {
                let mut problems = Problems::new();
                let Some(key) = problems.keep("idempotency_key", IdempotencyKey::try_new(key)) else {
                    return Err(problems.into_error().into());
                };
                self.ingress.platform.message_id(party.id.as_str(), &key)
            }
            None => {
                let mut problems = Problems::new();
                problems.add("message_id", "either this or idempotency_key must be given");
                return Err(problems.into_error().into());
            }
        };
        let story = self.ingress.story(&party, message).await?;
        let mut message = self.ingress.render(&story).await?;
        if request.include_timeline {
            message.timeline = story.timeline();
        }
        Ok(Response::new(v1::GetMessageResponse { message: Some(message) }))
    }

    async fn list_messages(
        &self,
        request: Request<v1::ListMessagesRequest>,
    ) -> Result<Response<v1::ListMessagesResponse>, Status> {
        let principal = grpc::require(&request, Scope::Read)?;
        let party = self.ingress.party(&principal)?;
        let page = list::list(&self.ingress, &party, request.get_ref()).await?;
        Ok(Response::new(page))
    }

    type WatchMessageStream = BoxStream<'static, Result<v1::WatchMessageResponse, Status>>;

    async fn watch_message(
        &self,
        request: Request<v1::WatchMessageRequest>,
    ) -> Result<Response<Self::WatchMessageStream>, Status> {
        let principal = grpc::require(&request, Scope::Read)?;
        let party = self.ingress.party(&principal)?;
        let message = message_id(&request.get_ref().message_id)?;
        let states = watch::states(Arc::clone(&self.ingress), party, message).await?;
        Ok(Response::new(states.boxed()))
    }

    async fn explain_message(
        &self,
        request: Request<v1::ExplainMessageRequest>,
    ) -> Result<Response<v1::ExplainMessageResponse>, Status> {
        let principal = grpc::require(&request, Scope::Read)?;
        let party = self.ingress.party(&principal)?;
        let message = message_id(&request.get_ref().message_id)?;
        let story = self.ingress.story(&party, message).await?;
        Ok(Response::new(v1::ExplainMessageResponse {
            message_id: message.to_string(),
            state: vocabulary::state(story.state()).into(),
            sentences: story.sentences(),
            timeline: story.timeline(),
        }))
    }

    type SendMessagesStream = BoxStream<'static, Result<v1::SendMessagesResponse, Status>>;

    async fn send_messages(
        &self,
        request: Request<Streaming<v1::SendMessagesRequest>>,
    ) -> Result<Response<Self::SendMessagesStream>, Status> {
        let principal = grpc::require(&request, Scope::Send)?;
        let requests = request.into_inner();
        let answers = answer_each(Arc::clone(&self.ingress), principal, requests);
        Ok(Response::new(answers.boxed()))
    }
}

fn message_id(text: &str) -> Result<MessageId, ApiError> {
    let mut problems = Problems::new();
    ids::message(text, "message_id", &mut problems).ok_or_else(|| problems.into_error())
}

/// The answer to one message; a refusal is an error that names every reason.
fn answer(settled: &Settled) -> Result<v1::SendMessageResponse, ApiError> {
    let state = match settled.decision.as_deref() {
        None => DeliveryState::Requested,
        Some(DecisionEvent::Authorized(_)) => DeliveryState::Authorized,
        Some(DecisionEvent::Expired(_)) => DeliveryState::Expired,
        Some(DecisionEvent::Refused(refused)) => {
            return Err(decision::refused(settled.message, &refused.refusals));
        }
    };
    Ok(v1::SendMessageResponse {
        message_id: settled.message.to_string(),
        state: vocabulary::state(state).into(),
        decision: settled.decision.as_deref().map(decision::render),
        accepted_at: Some(timestamp::render(settled.accepted_at)),
    })
}

/// Answers the messages of a stream as each is settled. While as many as may be are in flight, or answers are not read,
/// nothing further is read from the caller.
fn answer_each(
    ingress: Arc<Ingress>,
    principal: Arc<Principal>,
    requests: Streaming<v1::SendMessagesRequest>,
) -> impl Stream<Item = Result<v1::SendMessagesResponse, Status>> + Send + 'static {
    let soft = ingress.shutdown.soft().clone();
    requests
        // What was read is answered; the caller sends the rest to another process.
        .take_until(async move { soft.cancelled().await })
        .map(move |request| {
            let (ingress, principal) = (Arc::clone(&ingress), Arc::clone(&principal));
            async move { Ok(answer_one(&ingress, &principal, request?.message.unwrap_or_default()).await) }
        })
        .buffer_unordered(crate::limits::STREAM_IN_FLIGHT_MAX)
}

async fn answer_one(
    ingress: &Ingress,
    principal: &Principal,
    request: v1::SendMessageRequest,
) -> v1::SendMessagesResponse {
    use v1::send_messages_response::Result as Outcome;
    let span = tracing::info_span!("send_message");
    let settled = ingress.send(principal, &request, None).instrument(span).await;
    let result = match settled {
        Err(error) => Outcome::Error(request_error(&error, None)),
        Ok(settled) => match answer(&settled) {
            Ok(sent) => Outcome::Sent(sent),
            Err(error) => Outcome::Error(request_error(&error, Some(&settled))),
        },
    };
    v1::SendMessagesResponse {
        idempotency_key: request.idempotency_key,
        result: Some(result),
    }
}

/// An error as it stands inside a stream: what would have been the status and its details.
fn request_error(error: &ApiError, settled: Option<&Settled>) -> v1::RequestError {
    let refusals = match settled.and_then(|settled| settled.decision.as_deref()) {
        Some(DecisionEvent::Refused(refused)) => decision::refusals(&refused.refusals),
        Some(DecisionEvent::Authorized(_) | DecisionEvent::Expired(_)) | None => Vec::new(),
    };
    let code: ErrorCode = error.code();
    v1::RequestError {
        code: code.grpc().into(),
        reason: code.reason().to_owned(),
        message: error.text().to_owned(),
        field_problems: error
            .fields()
            .iter()
            .map(|problem| v1::FieldProblem {
                field: problem.field.clone(),
                description: problem.description.clone(),
            })
            .collect(),
        refusals,
        retry_after: error.retry_delay().map(duration),
        message_id: settled.map(|settled| settled.message.to_string()).unwrap_or_default(),
    }
}

fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos() as i32,
    }
}

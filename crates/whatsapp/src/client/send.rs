//! `POST /{phone-number-id}/messages`, and what is known after it.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use super::Client;
use super::transport::{Answer, Failure, NotSentReason, exchange};
use crate::error_table::{self, RetryClass, Scope};
use crate::graph_error::GraphError;
use crate::json::Fields;
use crate::message::OutgoingMessage;
use crate::open_enum::open_enum;
use crate::redact::redacted_debug;
use crate::secret::Secret;
use crate::wamid::Wamid;

/// Which of Meta's two endpoints carries a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MessageRoute {
    /// `/messages`, for everything.
    #[default]
    Messages,
    /// `/marketing_messages`, for marketing templates of accounts that were onboarded to it.
    MarketingMessages,
}

open_enum! {
    /// `message_status` of an accepted template.
    AcceptedStatus {
        /// Taken for delivery.
        Accepted = "accepted",
        /// Kept back until the first messages of a new template have been judged; not yet on its way.
        HeldForQualityAssessment = "held_for_quality_assessment",
        /// Kept back because the template is paused.
        Paused = "paused",
    }
}

/// Meta took the message. That is not delivery: whether the user exists, the window is open or the user has opted out
/// comes later as a status.
#[derive(Clone, PartialEq)]
pub struct SendAccepted {
    /// The message's id.
    pub message_id: Wamid,
    /// The recipient's WhatsApp id, which may differ from the dialled number; absent for a business-scoped recipient.
    pub wa_id: Option<String>,
    /// The recipient's business-scoped id, if Meta gave one.
    pub user_id: Option<String>,
    /// Only with templates.
    pub status: Option<AcceptedStatus>,
    /// The Graph version that answered (`facebook-api-version`).
    pub graph_version: Option<String>,
}

redacted_debug!(SendAccepted { status, graph_version });

/// What is known when a send was not accepted. The platform has no idempotency key, so the difference between these decides
/// whether a user is written to twice.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nothing left this machine. May be tried again freely.
    #[error("nothing was sent ({})", .0.as_str())]
    NotSent(NotSentReason),
    /// Meta refused; the message will not be delivered. [`GraphError::entry`] says whether it may ever be tried again.
    #[error("Meta rejected the message")]
    Rejected(#[source] Box<GraphError>),
    /// Meta refused for now, before doing anything. May be tried again, slower, within `scope`.
    #[error("Meta throttled the message")]
    Throttled {
        /// The error.
        #[source]
        error: Box<GraphError>,
        /// What has to slow down: the pair, the number, the account or the app.
        scope: Scope,
        /// How long to wait, if the answer said so.
        retry_after: Option<Duration>,
    },
    /// Nobody can say. Must not be repeated before a status with our callback data, or its absence, has settled it.
    #[error("the outcome is unknown ({})", .0.as_str())]
    OutcomeUnknown(UnknownOutcome),
}

/// Why the outcome of a send is unknown.
#[derive(Debug, Clone, PartialEq)]
pub enum UnknownOutcome {
    /// No complete answer in time.
    Timeout,
    /// The connection broke after it stood.
    ConnectionLost,
    /// An answer that is neither an acceptance nor an error in Meta's form: an HTML page, a redirect, a proxy's own error.
    Unreadable {
        /// Status of the answer.
        http_status: u16,
    },
    /// Meta answered an error that may come after the message was taken (codes 1, 2, 131000, 131016, 131057, 133004, …).
    Ambiguous {
        /// Status of the answer.
        http_status: u16,
        /// The error.
        error: Box<GraphError>,
    },
}

impl UnknownOutcome {
    /// A short word for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::ConnectionLost => "connection_lost",
            Self::Unreadable { .. } => "unreadable_answer",
            Self::Ambiguous { .. } => "ambiguous_error",
        }
    }
}

impl Client {
    /// Sends one message, once. The message is not checked here; see [`OutgoingMessage::validate`].
    ///
    /// Dropping the future before it is done leaves the outcome unknown, like a time-out.
    pub async fn send(
        &self,
        phone_number_id: &str,
        token: &Secret,
        message: &OutgoingMessage,
    ) -> Result<SendAccepted, SendError> {
        self.send_by(MessageRoute::Messages, phone_number_id, token, message)
            .await
    }

    /// Like [`Client::send`], as part of a trace: the request carries the W3C `traceparent` header.
    pub async fn send_traced(
        &self,
        phone_number_id: &str,
        token: &Secret,
        message: &OutgoingMessage,
        traceparent: Option<&str>,
    ) -> Result<SendAccepted, SendError> {
        self.post(MessageRoute::Messages, phone_number_id, token, message, traceparent)
            .await
    }

    /// Like [`Client::send`], by the endpoint named.
    pub async fn send_by(
        &self,
        route: MessageRoute,
        phone_number_id: &str,
        token: &Secret,
        message: &OutgoingMessage,
    ) -> Result<SendAccepted, SendError> {
        self.post(route, phone_number_id, token, message, None).await
    }

    async fn post(
        &self,
        route: MessageRoute,
        phone_number_id: &str,
        token: &Secret,
        message: &OutgoingMessage,
        traceparent: Option<&str>,
    ) -> Result<SendAccepted, SendError> {
        let endpoint = match route {
            MessageRoute::Messages => "messages",
            MessageRoute::MarketingMessages => "marketing_messages",
        };
        // Only a float that is no number can fail here, and `validate` refuses those.
        let body = serde_json::to_vec(message).map_err(|_| SendError::NotSent(NotSentReason::BadRequest))?;
        let mut request = self
            .http
            .post(self.url([phone_number_id, endpoint]))
            .bearer_auth(token.expose())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        match exchange(request).await {
            Ok(answer) => judge(&answer),
            Err(Failure::NotSent(reason)) => Err(SendError::NotSent(reason)),
            Err(Failure::Timeout) => Err(SendError::OutcomeUnknown(UnknownOutcome::Timeout)),
            Err(Failure::ConnectionLost) => Err(SendError::OutcomeUnknown(UnknownOutcome::ConnectionLost)),
            Err(Failure::TooLong { http_status }) => {
                Err(SendError::OutcomeUnknown(UnknownOutcome::Unreadable { http_status }))
            }
        }
    }
}

/// Decides by the error's code, as Meta advises; the HTTP status only breaks ties that the code leaves open.
fn judge(answer: &Answer) -> Result<SendAccepted, SendError> {
    let http_status = answer.status.as_u16();
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    if let Some(mut fields) = body.and_then(Fields::from_value) {
        if let Some(error) = GraphError::take_from(&mut fields) {
            return Err(judge_error(Box::new(error), answer));
        }
        if answer.status.is_success()
            && let Some(accepted) = accepted_from(fields, answer)
        {
            return Ok(accepted);
        }
    }
    Err(SendError::OutcomeUnknown(UnknownOutcome::Unreadable { http_status }))
}

fn judge_error(error: Box<GraphError>, answer: &Answer) -> SendError {
    let http_status = answer.status.as_u16();
    let entry = error.entry();
    let unclear = if error_table::is_known(error.code) {
        entry.retry == RetryClass::UnsafeMayHaveBeenSent
    } else {
        // A code nobody has documented is a refusal only if the status says so as well.
        !answer.status.is_client_error() || error.is_transient == Some(true)
    };
    if unclear {
        return SendError::OutcomeUnknown(UnknownOutcome::Ambiguous { http_status, error });
    }
    if entry.retry == RetryClass::Safe {
        return SendError::Throttled {
            error,
            scope: entry.scope,
            retry_after: answer.retry_after(),
        };
    }
    SendError::Rejected(error)
}

fn accepted_from(mut fields: Fields, answer: &Answer) -> Option<SendAccepted> {
    let mut message = fields.objects("messages").into_iter().next()?;
    let mut contact = fields.objects("contacts").into_iter().next().unwrap_or_default();
    Some(SendAccepted {
        message_id: Wamid::new(message.filled_text("id")?),
        wa_id: contact.filled_text("wa_id"),
        user_id: contact.filled_text("user_id"),
        status: message.filled_text("message_status").map(AcceptedStatus::from),
        graph_version: answer.header("facebook-api-version"),
    })
}

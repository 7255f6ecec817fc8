//! Telling a user that their message was read, and that an answer is being written (Cloud API, "Mark messages as read").

use serde::Serialize;

use super::Client;
use super::transport::{CallError, send_for_success};
use crate::secret::Secret;
use crate::wamid::Wamid;

#[derive(Serialize)]
struct ReadReceipt<'a> {
    messaging_product: &'static str,
    status: &'static str,
    message_id: &'a Wamid,
    #[serde(skip_serializing_if = "Option::is_none")]
    typing_indicator: Option<TypingIndicator>,
}

#[derive(Serialize)]
struct TypingIndicator {
    #[serde(rename = "type")]
    kind: &'static str,
}

impl Client {
    /// Marks an inbound message of the last 30 days and all before it in the thread as read. With `typing`, shows the
    /// user that an answer is being written, until it comes or 25 seconds have passed. Repeating it changes nothing.
    pub async fn mark_read(
        &self,
        phone_number_id: &str,
        token: &Secret,
        message_id: &Wamid,
        typing: bool,
    ) -> Result<(), CallError> {
        let receipt = ReadReceipt {
            messaging_product: "whatsapp",
            status: "read",
            message_id,
            typing_indicator: typing.then_some(TypingIndicator { kind: "text" }),
        };
        let request = self
            .http
            .post(self.url([phone_number_id, "messages"]))
            .bearer_auth(token.expose())
            .json(&receipt);
        send_for_success(request).await
    }
}

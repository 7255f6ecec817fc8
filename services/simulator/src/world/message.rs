//! Accepted messages: the record our clients are judged by.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::templates::TemplateKey;
use super::update::{SentMessage, Status};
use crate::config::FaultKind;

/// An accepted message and all that became of it.
#[allow(clippy::struct_excessive_bools, reason = "independent facts about a message")]
pub(crate) struct Message {
    pub(crate) sent: Arc<SentMessage>,
    /// Index of the number.
    pub(crate) number: u32,
    /// Canonical digits of the person.
    pub(crate) phone: u64,
    /// How-manieth message to this person; numbers draws.
    pub(crate) nth: u64,
    /// `to` as written.
    pub(crate) input: String,
    pub(crate) kind: &'static str,
    /// Name and language of the template.
    pub(crate) template: Option<(String, String)>,
    pub(crate) template_key: Option<TemplateKey>,
    pub(crate) is_marketing: bool,
    /// A voice note, which can be played.
    pub(crate) is_voice: bool,
    /// Its template is being assessed: it waits.
    pub(crate) is_held: bool,
    pub(crate) accepted_at_ms: i64,
    /// Undeliverable after this instant: dropped in silence.
    pub(crate) expires_at_ms: i64,
    /// What was done to the answer.
    pub(crate) answer_fault: Option<FaultKind>,
    /// Its callbacks are kept back and shuffled.
    pub(crate) shuffled: bool,
    pub(crate) statuses: Vec<StatusRecord>,
    pub(crate) body: Option<Box<RawValue>>,
}

/// One status a message has reached, and what became of reporting it.
#[derive(Clone, Debug)]
pub(crate) struct StatusRecord {
    pub(crate) status: Status,
    pub(crate) at_ms: i64,
    pub(crate) error_code: Option<u32>,
    /// Callbacks meant for it: 0 if withheld, 2 if duplicated.
    pub(crate) callbacks: u16,
    /// POSTs answered 200.
    pub(crate) acknowledged: u16,
}

/// An accepted message as the control API lists it.
///
/// Holds phone numbers and message ids, so it has no `Debug`.
#[derive(Clone, Serialize)]
pub struct AcceptedMessage {
    /// Position in the list; ask for what comes after it.
    pub sequence: u64,
    /// Message id.
    pub wamid: String,
    /// Phone-number id it was sent from.
    pub phone_number_id: String,
    /// `to` (or `recipient`) as the client wrote it.
    pub input: String,
    /// Digits the input resolved to.
    pub wa_id: String,
    /// Business-scoped user id of the person.
    pub user_id: String,
    /// What the client gave to recognise it by.
    pub biz_opaque_callback_data: Option<String>,
    /// Message type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Template name.
    pub template: Option<String>,
    /// Template language.
    pub language: Option<String>,
    /// Pricing category.
    pub category: &'static str,
    /// When it was accepted, Unix ms.
    pub accepted_at_ms: i64,
    /// Fault done to the answer: the client may not know that it was accepted.
    pub answer_fault: Option<FaultKind>,
    /// Statuses it has reached so far, in true order.
    pub statuses: Vec<ReachedStatus>,
    /// The request body, if asked for and kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Box<RawValue>>,
}

/// A status a message has reached.
#[derive(Clone, Debug, Serialize)]
pub struct ReachedStatus {
    /// The status.
    pub status: Status,
    /// When, Unix ms.
    pub at_ms: i64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u32>,
    /// Callbacks meant to report it: 0 if withheld, 2 if duplicated.
    pub callbacks: u16,
    /// Callbacks answered with 200.
    pub acknowledged: u16,
}

impl Message {
    /// Last status reached in truth.
    pub(crate) fn last_status(&self) -> Option<Status> {
        self.statuses.last().map(|record| record.status)
    }

    /// The view of the control API.
    pub(crate) fn view(&self, sequence: u64, with_body: bool) -> AcceptedMessage {
        AcceptedMessage {
            sequence,
            wamid: self.sent.wamid.clone(),
            phone_number_id: self.sent.number.id.clone(),
            input: self.input.clone(),
            wa_id: self.sent.wa_id.clone(),
            user_id: self.sent.user_id.clone(),
            biz_opaque_callback_data: self.sent.opaque.clone(),
            kind: self.kind,
            template: self.template.as_ref().map(|(name, _)| name.clone()),
            language: self.template.as_ref().map(|(_, language)| language.clone()),
            category: self.sent.pricing_category,
            accepted_at_ms: self.accepted_at_ms,
            answer_fault: self.answer_fault,
            statuses: self.statuses.iter().map(StatusRecord::view).collect(),
            body: if with_body { self.body.clone() } else { None },
        }
    }
}

impl StatusRecord {
    fn view(&self) -> ReachedStatus {
        ReachedStatus {
            status: self.status,
            at_ms: self.at_ms,
            error_code: self.error_code,
            callbacks: self.callbacks,
            acknowledged: self.acknowledged,
        }
    }
}

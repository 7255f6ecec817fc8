//! What a business may send (`POST /{phone-number-id}/messages`), written exactly as Meta reads it and checked before it leaves.
//!
//! Meta rejects a body with a field it does not know (error 100), so nothing is serialised that was not set.

pub(crate) mod check;
mod contacts;
mod content;
mod interactive;
mod media;
mod parameter;
mod read;
mod recipient;
mod template;
mod wire;

pub use check::{Invalid, Problem};
pub use contacts::{
    ContactAddress, ContactCard, ContactEmail, ContactName, ContactOrganisation, ContactPhone, ContactUrl,
};
pub use content::{Content, Location, Reaction, Text, Written};
pub use interactive::{
    Action, Flow, FlowScreen, Header, Interactive, ListRow, ListSection, ProductSection, ReplyButton,
};
pub use media::{Audio, CaptionedMedia, Document, Media, MediaSource};
pub(crate) use parameter::is_name_byte;
pub use parameter::{Currency, DateTime, FlowAction, Parameter, ParameterValue, Product};
pub use recipient::Recipient;
pub use template::{ButtonKind, CarouselCard, Component, Template, WrittenTemplate};
pub(crate) use template::{check_name, is_language};

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::limits;
use crate::redact::redacted_debug;
use crate::wamid::Wamid;
use check::Checker;

/// One message to one recipient.
#[derive(Clone, PartialEq)]
pub struct OutgoingMessage {
    /// Who gets it.
    pub recipient: Recipient,
    /// What they get.
    pub content: Content,
    /// The message this one quotes. If it is too old or deleted, Meta delivers without the quote.
    pub reply_to: Option<Wamid>,
    /// Our own text, echoed in every status of this message and never shown to the user: the only way to recognise a
    /// send whose answer was lost.
    pub callback_data: Option<String>,
    /// Hash of the user's identity key, only where the identity check is switched on.
    pub identity_key_hash: Option<String>,
}

redacted_debug!(OutgoingMessage { content });

impl OutgoingMessage {
    /// A message with nothing but recipient and content.
    pub fn new(recipient: Recipient, content: Content) -> Self {
        Self {
            recipient,
            content,
            reply_to: None,
            callback_data: None,
            identity_key_hash: None,
        }
    }

    /// The same message with our own text to be echoed in its statuses.
    #[must_use]
    pub fn with_callback_data(mut self, data: impl Into<String>) -> Self {
        self.callback_data = Some(data.into());
        self
    }

    /// The same message as a reply to another.
    #[must_use]
    pub fn replying_to(mut self, message: Wamid) -> Self {
        self.reply_to = Some(message);
        self
    }

    /// Checks every length, count and required pair that Meta documents. All problems at once, with the path each field
    /// has in the JSON body and what is allowed there. [`crate::client::Client::send`] does not check again.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut checker = Checker::default();
        self.recipient.check(&mut checker);
        if let Some(reply_to) = &self.reply_to {
            checker.field("context", |checker| {
                checker.filled("message_id", reply_to.as_str());
                if matches!(self.content, Content::Reaction(_)) {
                    checker.problem("a reaction with a quoted message", "no context on a reaction");
                }
            });
        }
        if let Some(data) = &self.callback_data {
            checker.length("biz_opaque_callback_data", data, 1, limits::CALLBACK_DATA_CHARS_MAX);
        }
        if let Some(hash) = &self.identity_key_hash {
            checker.filled("recipient_identity_key_hash", hash);
        }
        checker.field(self.content.kind(), |checker| self.content.check(checker));
        checker.finish()
    }
}

impl Serialize for OutgoingMessage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("messaging_product", "whatsapp")?;
        map.serialize_entry("recipient_type", self.recipient.recipient_type())?;
        let (key, value) = self.recipient.wire();
        map.serialize_entry(key, value)?;
        if let Some(reply_to) = &self.reply_to {
            map.serialize_entry("context", &wire::Single("message_id", reply_to))?;
        }
        if let Some(data) = &self.callback_data {
            map.serialize_entry("biz_opaque_callback_data", data)?;
        }
        if let Some(hash) = &self.identity_key_hash {
            map.serialize_entry("recipient_identity_key_hash", hash)?;
        }
        map.serialize_entry("type", self.content.kind())?;
        self.content.serialize_payload(&mut map)?;
        map.end()
    }
}

#[cfg(test)]
mod tests;

//! What goes to Meta, out of what was asked for.
//!
//! [`open`] is the one place where an address and a content come out of their seals on the way to Meta. Its message is
//! complete but for what names its attempt, and free-form content is still the JSON that the request was checked as
//! ([`Content::FreeForm`]): whatever has to become of a file before the call belongs between here and `attempt.started`,
//! because a call that does not begin soon after its attempt is not made.

use assent_domain::{
    events::{Content, FreeForm, Submitted},
    values::{Alias, FreeFormBody, TemplateComponents, TextBody, Wamid},
};
use assent_event_store::{KeyError, LoadedKeys};
use assent_runtime::streams::purpose;
use assent_sealed::Opened;
use assent_whatsapp::message::{self, OutgoingMessage, Recipient, Text, Written, WrittenTemplate};
use serde_json::Value;

/// Why the address or the content cannot be had.
pub(crate) enum Unreadable {
    Erased,
    Broken,
}

/// The message, without what names its attempt.
pub(crate) fn open(submitted: &Submitted, keys: &LoadedKeys) -> Result<OutgoingMessage, Unreadable> {
    let address: Alias = opened(keys.open(&submitted.recipient.address, purpose::RECIPIENT))?;
    let recipient = match address {
        Alias::Phone(number) => Recipient::Phone(number.e164()),
        Alias::WaId(wa_id) => Recipient::Phone(format!("+{}", wa_id.as_str())),
        Alias::UserId(user_id) => Recipient::BusinessScopedUser(user_id.as_str().to_owned()),
    };
    let mut refers_to = match &submitted.refers_to {
        Some(reference) => {
            let Wamid(wamid) = opened(keys.open(&reference.wamid, purpose::WAMID))?;
            Some(assent_whatsapp::Wamid::new(wamid))
        }
        None => None,
    };
    let content = match &submitted.content {
        Content::Template { template, components } => {
            let TemplateComponents(components) = opened(keys.open(components, purpose::CONTENT))?;
            message::Content::WrittenTemplate(WrittenTemplate {
                name: template.name.as_str().to_owned(),
                language: template.language.as_str().to_owned(),
                components,
            })
        }
        Content::Text { body, preview_url } => {
            let TextBody(body) = opened(keys.open(body, purpose::CONTENT))?;
            message::Content::Text(Text {
                body,
                preview_url: preview_url.then_some(true),
            })
        }
        Content::FreeForm { form, body } => {
            let FreeFormBody(mut payload) = opened(keys.open(body, purpose::CONTENT))?;
            if *form == FreeForm::Reaction {
                // A reaction names its message itself and may not quote it as well.
                let target = refers_to.take().ok_or(Unreadable::Broken)?;
                let reaction = payload.as_object_mut().ok_or(Unreadable::Broken)?;
                reaction.insert("message_id".to_owned(), Value::String(target.into_string()));
            }
            let kind = form.as_str();
            message::Content::Written(Written { kind, payload })
        }
    };
    let mut message = OutgoingMessage::new(recipient, content);
    message.reply_to = refers_to;
    Ok(message)
}

fn opened<T>(opened: Result<Opened<T>, KeyError>) -> Result<T, Unreadable> {
    match opened {
        Ok(Opened::Value(value)) => Ok(value),
        Ok(Opened::Erased) => Err(Unreadable::Erased),
        Err(error) => {
            tracing::error!(%error, "a sealed value cannot be opened");
            Err(Unreadable::Broken)
        }
    }
}

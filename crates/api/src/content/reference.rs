//! Earlier messages that a message refers to, and reactions to them.

use super::{ParsedContent, bounded, describe};
use crate::{
    ids,
    problems::{Problems, path},
};
use assent_domain::{
    events::FreeForm,
    values::{MessageId, Wamid},
};
use assent_proto::v1::{self, message_reference::Key};
use assent_whatsapp::message as whatsapp;

/// Longest id of Meta's that is taken, in characters; those seen so far have fewer than 100.
const PROVIDER_ID_CHARS_MAX: usize = 512;

/// A message that another one refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParsedReference {
    /// One of ours.
    Ours(MessageId),
    /// Any, by Meta's id.
    Provider(Wamid),
}

pub(super) fn parse(
    reference: Option<&v1::MessageReference>,
    field: &str,
    problems: &mut Problems,
) -> Option<ParsedReference> {
    match reference.and_then(|reference| reference.key.as_ref()) {
        Some(Key::MessageId(id)) => ids::message(id, &path(field, "message_id"), problems).map(ParsedReference::Ours),
        Some(Key::ProviderMessageId(id)) => {
            if id.trim().is_empty() || id.chars().count() > PROVIDER_ID_CHARS_MAX {
                let field = path(field, "provider_message_id");
                problems.add(field, format!("must have 1 to {PROVIDER_ID_CHARS_MAX} characters"));
                return None;
            }
            Some(ParsedReference::Provider(Wamid(id.clone())))
        }
        None => {
            problems.add(field, "must have a message_id or a provider_message_id");
            None
        }
    }
}

pub(super) fn render(reference: &ParsedReference) -> v1::MessageReference {
    v1::MessageReference {
        key: Some(match reference {
            ParsedReference::Ours(message) => Key::MessageId(message.to_string()),
            ParsedReference::Provider(wamid) => Key::ProviderMessageId(wamid.0.clone()),
        }),
    }
}

/// A reaction without its target, which stands beside the content.
pub(super) fn reaction(reaction: &v1::ReactionContent, field: &str, problems: &mut Problems) -> Option<ParsedContent> {
    let content = whatsapp::Content::Reaction(whatsapp::Reaction {
        // Judged by itself: ours have no id of Meta's yet.
        message_id: assent_whatsapp::Wamid::new("target"),
        emoji: reaction.emoji.clone(),
    });
    if let Err(invalid) = content.validate() {
        for problem in invalid.problems {
            problems.add(path(field, &problem.path), describe(&problem));
        }
        return None;
    }
    let mut body = serde_json::Map::new();
    body.insert("emoji".to_owned(), reaction.emoji.clone().into());
    bounded(FreeForm::Reaction, body.into(), field, problems)
}

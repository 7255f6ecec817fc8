//! What callers ask for. Stream key: the message id. Owner: ingress.

use std::collections::BTreeMap;

use assent_sealed::{AliasHash, KeyId, Sealed};
use serde::{Deserialize, Serialize};

use crate::values::{
    Alias, Category, Fingerprint, FreeFormBody, Label, MessageId, PhoneNumberId, TemplateComponents, TemplateRef,
    TenantId, TextBody, Timestamp, Wamid,
};

super::event_catalogue! {
    /// What callers ask for.
    RequestEvent in Request {
        /// A message was asked for.
        Submitted(Box<Submitted>) = "request.submitted" v 1,
        /// The caller no longer wants it sent.
        CancelRequested(CancelRequested) = "request.cancel_requested" v 1,
    }
}

/// A message was asked for and taken in for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Whose message it is.
    pub tenant: TenantId,
    /// The number it shall be sent from.
    pub sender: PhoneNumberId,
    /// Whom it shall be sent to.
    pub recipient: Recipient,
    /// What it shall say.
    pub content: Content,
    /// The message that it answers; for a reaction, the one that it reacts to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refers_to: Option<Reference>,
    /// What the caller says it is for; absent means: whatever the template is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Category>,
    /// What the request said, to tell a repetition from a different request under the same key.
    pub fingerprint: Fingerprint,
    /// After this moment it shall not be sent any more.
    pub expires_at: Timestamp,
    /// The campaign it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<Label>,
    /// The caller's own marks. Not personal data: they are shown in lists and handed out with events.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<Label, Label>,
    /// The name of the credential by which the links in the content are fetched; the tenants file has the credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetch_credential: Option<Label>,
    /// When it was taken in.
    pub accepted_at: Timestamp,
}

impl Submitted {
    /// Makes it the request that is sent: in the translation that its decision names, if it uses a template.
    pub fn translate_to(&mut self, decided: Option<&TemplateRef>) {
        if let (Content::Template { template, .. }, Some(decided)) = (&mut self.content, decided) {
            template.clone_from(decided);
        }
    }

    /// The keys of everything that is sealed in it.
    pub fn keys(&self) -> impl Iterator<Item = KeyId> + '_ {
        [self.recipient.address.key, self.content.key()]
            .into_iter()
            .chain(self.refers_to.iter().map(|reference| reference.wamid.key))
    }
}

/// An earlier message of the same chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Our id of it, if the caller named it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// Meta's id of it.
    pub wamid: Sealed<Wamid>,
}

/// Whom a message shall reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// The keyed hash of the address as given.
    pub alias: AliasHash,
    /// Keyed hashes of the other spellings that may be the same account; look-ups try them too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_spellings: Vec<AliasHash>,
    /// The address as given.
    pub address: Sealed<Alias>,
}

impl Recipient {
    /// Every hash the recipient may be known by, the address as given first.
    pub fn candidates(&self) -> impl Iterator<Item = AliasHash> + '_ {
        std::iter::once(self.alias).chain(self.other_spellings.iter().copied())
    }
}

/// What a message shall say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// An approved template.
    Template {
        /// Which one.
        template: TemplateRef,
        /// Its components with their parameters.
        components: Sealed<TemplateComponents>,
    },
    /// Free-form text; needs an open customer service window.
    Text {
        /// The text.
        body: Sealed<TextBody>,
        /// Whether the first link shall be unfurled.
        preview_url: bool,
    },
    /// Anything else; needs an open customer service window too.
    FreeForm {
        /// What it is.
        form: FreeForm,
        /// What goes to Meta beneath that word. Of a reaction only the emoji: its target is what the message refers to.
        body: Sealed<FreeFormBody>,
    },
}

impl Content {
    /// The template it uses, if it is one.
    pub fn template(&self) -> Option<&TemplateRef> {
        match self {
            Self::Template { template, .. } => Some(template),
            Self::Text { .. } | Self::FreeForm { .. } => None,
        }
    }

    /// Whether it is a reaction: Meta reports `sent` of it and nothing more.
    pub const fn is_reaction(&self) -> bool {
        matches!(
            self,
            Self::FreeForm {
                form: FreeForm::Reaction,
                ..
            }
        )
    }

    /// The key it is sealed with.
    pub fn key(&self) -> KeyId {
        match self {
            Self::Template { components, .. } => components.key,
            Self::Text { body, .. } => body.key,
            Self::FreeForm { body, .. } => body.key,
        }
    }
}

/// The kinds of free-form messages beside text, in Meta's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreeForm {
    /// A picture.
    Image,
    /// Sound, or a voice note.
    Audio,
    /// A video.
    Video,
    /// A file.
    Document,
    /// A sticker.
    Sticker,
    /// A place.
    Location,
    /// Contact cards.
    Contacts,
    /// An emoji on an earlier message. Meta reports `sent` of it and nothing more.
    Reaction,
    /// Buttons, lists, links, flows, products.
    Interactive,
}

impl FreeForm {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Image,
        Self::Audio,
        Self::Video,
        Self::Document,
        Self::Sticker,
        Self::Location,
        Self::Contacts,
        Self::Reaction,
        Self::Interactive,
    ];

    /// Meta's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Document => "document",
            Self::Sticker => "sticker",
            Self::Location => "location",
            Self::Contacts => "contacts",
            Self::Reaction => "reaction",
            Self::Interactive => "interactive",
        }
    }
}

/// The caller no longer wants the message sent. Whether it still could be stopped is the dispatcher's to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequested {
    /// When it was asked.
    pub requested_at: Timestamp,
}

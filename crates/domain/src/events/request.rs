//! What callers ask for. Stream key: the message id. Owner: ingress.

use std::collections::BTreeMap;

use assent_sealed::{AliasHash, Sealed};
use serde::{Deserialize, Serialize};

use crate::values::{
    Alias, Category, Fingerprint, Label, PhoneNumberId, TemplateComponents, TemplateRef, TenantId, TextBody, Timestamp,
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
    /// When it was taken in.
    pub accepted_at: Timestamp,
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
}

impl Content {
    /// The template it uses, if it is one.
    pub fn template(&self) -> Option<&TemplateRef> {
        match self {
            Self::Template { template, .. } => Some(template),
            Self::Text { .. } => None,
        }
    }
}

/// The caller no longer wants the message sent. Whether it still could be stopped is the dispatcher's to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequested {
    /// When it was asked.
    pub requested_at: Timestamp,
}

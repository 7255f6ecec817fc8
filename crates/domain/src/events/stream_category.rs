//! Stream categories and their owners (invariant I2).

use std::{fmt, str::FromStr};

/// A kind of stream. Every event belongs to one, and every one has a single service that appends to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StreamCategory {
    /// What callers asked for. Key: message id.
    Request,
    /// What Meta reported, as reported. Key: the number, account or message the callback is about.
    Provider,
    /// Who may be written to about what. Key: contact id.
    Contact,
    /// What was let out or held back, and why. Key: message id.
    Decision,
    /// Who talks with a person: an automaton or a human. Key: contact id.
    Conversation,
    /// Rules chosen by a tenant. Key: tenant.
    Policy,
    /// What the dispatcher tried. Key: message id.
    Attempt,
    /// Brakes and pauses. Key: what is braked.
    Pacing,
    /// Campaigns. Key: campaign.
    Campaign,
    /// Uploaded media. Key: content.
    Media,
    /// What we conclude about a number. Key: number id.
    Number,
    /// What we conclude about a template. Key: template.
    Template,
    /// What we conclude about an account. Key: account.
    Account,
    /// Contacts that are not worth writing to. Key: contact id.
    Suppression,
}

/// A service that owns streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Takes requests and callbacks.
    Ingress,
    /// Keeps consent and decides.
    Consent,
    /// Sends.
    Dispatcher,
    /// Concludes and shows.
    StatusTracker,
}

impl Service {
    /// The name of the role: `ingress`, `consent`, `dispatcher`, `status-tracker`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Consent => "consent",
            Self::Dispatcher => "dispatcher",
            Self::StatusTracker => "status-tracker",
        }
    }
}

/// The only service that appends to streams of this category. Anybody may fold them.
pub const fn owner_of(category: StreamCategory) -> Service {
    match category {
        StreamCategory::Request | StreamCategory::Provider => Service::Ingress,
        StreamCategory::Contact | StreamCategory::Decision | StreamCategory::Conversation | StreamCategory::Policy => {
            Service::Consent
        }
        StreamCategory::Attempt | StreamCategory::Pacing | StreamCategory::Campaign | StreamCategory::Media => {
            Service::Dispatcher
        }
        StreamCategory::Number | StreamCategory::Template | StreamCategory::Account | StreamCategory::Suppression => {
            Service::StatusTracker
        }
    }
}

impl StreamCategory {
    /// All categories.
    pub const ALL: [Self; 14] = [
        Self::Request,
        Self::Provider,
        Self::Contact,
        Self::Decision,
        Self::Conversation,
        Self::Policy,
        Self::Attempt,
        Self::Pacing,
        Self::Campaign,
        Self::Media,
        Self::Number,
        Self::Template,
        Self::Account,
        Self::Suppression,
    ];

    /// The stable name: the category of a stream and the part of a wire name before the dot.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Provider => "provider",
            Self::Contact => "contact",
            Self::Decision => "decision",
            Self::Conversation => "conversation",
            Self::Policy => "policy",
            Self::Attempt => "attempt",
            Self::Pacing => "pacing",
            Self::Campaign => "campaign",
            Self::Media => "media",
            Self::Number => "number",
            Self::Template => "template",
            Self::Account => "account",
            Self::Suppression => "suppression",
        }
    }

    /// The category an event's wire name belongs to.
    pub fn of_event(wire_name: &str) -> Result<Self, UnknownStreamCategory> {
        wire_name.split_once('.').ok_or(UnknownStreamCategory)?.0.parse()
    }
}

/// Text that is not the name of a stream category.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no stream category of that name")]
pub struct UnknownStreamCategory;

impl FromStr for StreamCategory {
    type Err = UnknownStreamCategory;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|category| category.as_str() == name)
            .ok_or(UnknownStreamCategory)
    }
}

impl fmt::Display for StreamCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

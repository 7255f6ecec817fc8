//! Who may be written to about what. Stream key: the contact id. Owner: consent.

use std::collections::BTreeMap;

use assent_sealed::Sealed;
use serde::{Deserialize, Serialize};

use crate::{
    contact::{ConsentLedger, PlatformLedger},
    values::{AliasRef, Category, CategorySet, ContactId, ProofText, Timestamp},
};

super::event_catalogue! {
    /// Who may be written to about what.
    ContactEvent in Contact {
        /// The person can be found by this alias.
        AliasBound(AliasBound) = "contact.alias_bound" v 1,
        /// The person agreed.
        OptedIn(OptedIn) = "contact.opted_in" v 1,
        /// The person withdrew.
        OptedOut(OptedOut) = "contact.opted_out" v 1,
        /// The person stopped our marketing within WhatsApp.
        PlatformStopped(PlatformStopped) = "contact.platform_stopped" v 1,
        /// The person lifted that stop within WhatsApp.
        PlatformResumed(PlatformResumed) = "contact.platform_resumed" v 1,
        /// Another contact turned out to be this person.
        Merged(Merged) = "contact.merged" v 1,
        /// This contact turned out to be another one, which goes on for both.
        MergedInto(MergedInto) = "contact.merged_into" v 1,
        /// The person's data was erased.
        Erased(Erased) = "contact.erased" v 1,
    }
}

/// Where an opt-in came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptInSource {
    /// A form on the web.
    WebForm,
    /// The person wrote so in a chat, by keyword or button.
    Chat,
    /// A text message.
    Sms,
    /// A call.
    Phone,
    /// In person or on paper.
    InPerson,
    /// WhatsApp's own sign-up link.
    InAppSignup,
    /// An agent entered what the person asked for.
    Agent,
    /// A list taken over from another system. Never brings back somebody who withdrew.
    Import,
}

impl OptInSource {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebForm => "web_form",
            Self::Chat => "chat",
            Self::Sms => "sms",
            Self::Phone => "phone",
            Self::InPerson => "in_person",
            Self::InAppSignup => "in_app_signup",
            Self::Agent => "agent",
            Self::Import => "import",
        }
    }

    /// Whether the person acted towards this business, rather than standing on a list.
    pub const fn is_explicit(self) -> bool {
        !matches!(self, Self::Import)
    }
}

/// Where an opt-out came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptOutSource {
    /// A word such as STOP in a chat.
    Keyword,
    /// A button of a template.
    Button,
    /// WhatsApp's own control, or error 131050.
    PlatformPreference,
    /// A form on the web.
    WebForm,
    /// An agent entered it.
    Agent,
    /// The business's own system said so.
    Api,
    /// A list taken over from another system.
    Import,
    /// The person's data was erased, and with it every consent.
    Erasure,
}

impl OptOutSource {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Button => "button",
            Self::PlatformPreference => "platform_preference",
            Self::WebForm => "web_form",
            Self::Agent => "agent",
            Self::Api => "api",
            Self::Import => "import",
            Self::Erasure => "erasure",
        }
    }
}

/// The person agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptedIn {
    /// To messages of which categories.
    pub categories: CategorySet,
    /// Where it came from.
    pub source: OptInSource,
    /// How it can be proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Sealed<ProofText>>,
    /// When the person agreed.
    pub given_at: Timestamp,
    /// When we learned of it.
    pub recorded_at: Timestamp,
}

/// The person withdrew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptedOut {
    /// From messages of which categories; all of them after a plain STOP.
    pub categories: CategorySet,
    /// Where it came from.
    pub source: OptOutSource,
    /// How it can be proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Sealed<ProofText>>,
    /// When the person withdrew.
    pub given_at: Timestamp,
    /// When we learned of it.
    pub recorded_at: Timestamp,
}

/// The person can be found by this alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasBound {
    /// The alias.
    pub alias: AliasRef,
    /// When we learned of it.
    pub bound_at: Timestamp,
}

/// How we learned of a stop within WhatsApp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlatformStopSource {
    /// The `user_preferences` callback.
    UserPreferences,
    /// A marketing message failed with error 131050.
    Error131050,
}

/// The person stopped our marketing within WhatsApp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformStopped {
    /// How we learned of it.
    pub source: PlatformStopSource,
    /// When the person did so.
    pub given_at: Timestamp,
    /// When we learned of it.
    pub recorded_at: Timestamp,
}

/// The person lifted the stop within WhatsApp. Not by itself a fresh opt-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformResumed {
    /// When the person did so.
    pub given_at: Timestamp,
    /// When we learned of it.
    pub recorded_at: Timestamp,
}

/// What one contact contributes to another in a merge.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LedgerSnapshot {
    /// Opt-ins and opt-outs by category.
    pub consent: BTreeMap<Category, ConsentLedger>,
    /// Stops within WhatsApp.
    pub platform: PlatformLedger,
    /// The aliases it could be found by.
    pub aliases: Vec<AliasRef>,
}

/// Another contact turned out to be this person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// The contact that ends.
    pub from: ContactId,
    /// What it brings along.
    pub snapshot: LedgerSnapshot,
    /// When we noticed.
    pub merged_at: Timestamp,
}

/// This contact turned out to be another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedInto {
    /// The contact that goes on.
    pub into: ContactId,
    /// When we noticed.
    pub merged_at: Timestamp,
}

/// The person's data was erased: the keys of all aliases are destroyed, consents end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

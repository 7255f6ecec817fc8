//! What Meta reported, as reported. Owner: ingress. Facts: nobody waits for a conclusion before acting on them.

use assent_sealed::Sealed;
use serde::{Deserialize, Serialize};

use super::ProviderError;
use crate::values::{
    AliasRef, AttemptId, CallbackBody, Category, FileDescription, FileId, InboundDetails, MessageId, PhoneNumberId,
    ProfileName, TemplateRef, Term, TextBody, Timestamp, WabaId, Wamid, WamidHash,
};

super::event_catalogue! {
    /// What Meta reported.
    ProviderEvent in Provider {
        /// The state of a message.
        StatusReported(Box<StatusReported>) = "provider.status_reported" v 1,
        /// A person wrote to us.
        MessageReceived(Box<MessageReceived>) = "provider.message_received" v 1,
        /// A person used WhatsApp's own control over marketing.
        PreferenceChanged(PreferenceChanged) = "provider.preference_changed" v 1,
        /// A template changed.
        TemplateChanged(Box<TemplateChanged>) = "provider.template_changed" v 1,
        /// One of our numbers changed.
        NumberChanged(NumberChanged) = "provider.number_changed" v 1,
        /// Our account changed.
        AccountChanged(AccountChanged) = "provider.account_changed" v 1,
        /// A callback that nobody could read; kept whole.
        CallbackUnrecognised(CallbackUnrecognised) = "provider.callback_unrecognised" v 1,
    }
}

/// The state of a message, in Meta's words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Term", into = "Term")]
pub enum ProviderStatus {
    /// It left Meta's servers.
    Sent,
    /// It reached a device.
    Delivered,
    /// It was displayed.
    Read,
    /// The voice note was played.
    Played,
    /// It will not arrive, unless there is evidence that it did.
    Failed,
    /// A word we do not know, or one that says nothing about delivery (`deleted`, `warning`).
    Other(Term),
}

impl ProviderStatus {
    /// Meta's word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Failed => "failed",
            Self::Other(word) => word.as_str(),
        }
    }

    /// From Meta's word; never fails.
    pub fn from_provider(word: &str) -> Self {
        Term::from_provider(word).into()
    }
}

impl From<Term> for ProviderStatus {
    fn from(word: Term) -> Self {
        match word.as_str() {
            "sent" => Self::Sent,
            "delivered" => Self::Delivered,
            "read" => Self::Read,
            "played" => Self::Played,
            "failed" => Self::Failed,
            _ => Self::Other(word),
        }
    }
}

impl From<ProviderStatus> for Term {
    fn from(status: ProviderStatus) -> Self {
        match status {
            ProviderStatus::Other(word) => word,
            known => Self::from_provider(known.as_str()),
        }
    }
}

/// What Meta will charge for, as it says. Parsed as open words: they change every year.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pricing {
    /// Such as `marketing`, `utility`, `service`, `referral_conversion`.
    pub category: Term,
    /// Such as `PMP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Term>,
    /// Such as `regular`, `free_customer_service`, `free_entry_point`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Term>,
    /// Whether it is charged; being retired by Meta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billable: Option<bool>,
}

/// The state of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReported {
    /// The number it was sent from.
    pub number: PhoneNumberId,
    /// Our message, if our id came back in `biz_opaque_callback_data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// Our attempt, if its id came back too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
    /// The keyed hash of Meta's id of the message.
    pub wamid_hash: WamidHash,
    /// Meta's id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wamid: Option<Sealed<Wamid>>,
    /// The names the recipient was given by: `wa_id`, user id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipient: Vec<AliasRef>,
    /// The state.
    pub status: ProviderStatus,
    /// When it was reached, by Meta's clock; whole seconds.
    pub provider_at: Timestamp,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProviderError>,
    /// What it costs; comes with `sent` and once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Pricing>,
    /// When the callback arrived.
    pub received_at: Timestamp,
}

/// A person wrote to us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageReceived {
    /// The number they wrote to.
    pub number: PhoneNumberId,
    /// The keyed hash of Meta's id of the message.
    pub wamid_hash: WamidHash,
    /// Meta's id of the message, needed to mark it as read or to reply to it.
    pub wamid: Sealed<Wamid>,
    /// The names the person was given by; never empty.
    pub from: Vec<AliasRef>,
    /// The name the person shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<Sealed<ProfileName>>,
    /// Meta's word for what it is: `text`, `button`, `image`, `reaction` …
    pub kind: Term,
    /// What it says: the text, the caption or the button's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Sealed<TextBody>>,
    /// The payload of the button that was tapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Sealed<TextBody>>,
    /// The file that came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<ReceivedFile>,
    /// The message as Meta wrote it, without who wrote it when; absent where it is a text and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Sealed<InboundDetails>>,
    /// The message it replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<WamidHash>,
    /// Whether it opens the customer service window: not edits, revocations or system notices.
    pub opens_window: bool,
    /// When it was written, by Meta's clock; whole seconds.
    pub provider_at: Timestamp,
    /// When the callback arrived.
    pub received_at: Timestamp,
}

/// A file that came with a message. Meta keeps it for seven days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedFile {
    /// Our id of it; the same whenever Meta reports the file again.
    pub id: FileId,
    /// What is said of it.
    pub description: Sealed<FileDescription>,
}

/// What a person chose in WhatsApp's own control.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Term", into = "Term")]
pub enum PreferenceValue {
    /// No more of it.
    Stop,
    /// Again.
    Resume,
    /// Signed up through an in-app link.
    Signup,
    /// A word we do not know.
    Other(Term),
}

impl From<Term> for PreferenceValue {
    fn from(word: Term) -> Self {
        match word.as_str() {
            "stop" => Self::Stop,
            "resume" => Self::Resume,
            "signup" => Self::Signup,
            _ => Self::Other(word),
        }
    }
}

impl From<PreferenceValue> for Term {
    fn from(value: PreferenceValue) -> Self {
        match value {
            PreferenceValue::Stop => Self::from_provider("stop"),
            PreferenceValue::Resume => Self::from_provider("resume"),
            PreferenceValue::Signup => Self::from_provider("signup"),
            PreferenceValue::Other(word) => word,
        }
    }
}

/// A person used WhatsApp's own control over marketing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreferenceChanged {
    /// The number it concerns.
    pub number: PhoneNumberId,
    /// The names the person was given by; never empty.
    pub from: Vec<AliasRef>,
    /// Meta's word for what it is about; `marketing_messages` so far.
    pub category: Term,
    /// What they chose.
    pub value: PreferenceValue,
    /// When, by Meta's clock; whole seconds.
    pub provider_at: Timestamp,
    /// When the callback arrived.
    pub received_at: Timestamp,
}

/// What changed about a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TemplateChange {
    /// Its state.
    Status {
        /// Meta's word, such as `PAUSED`.
        status: Term,
        /// Meta's reason.
        reason: Option<Term>,
        /// Meta's title of the step, such as `FIRST_PAUSE`.
        title: Option<Term>,
    },
    /// Its quality colour.
    Quality {
        /// Before.
        previous: Option<Term>,
        /// Now.
        current: Term,
    },
    /// Its category will change.
    CategoryAnnounced {
        /// What it is today.
        current: Option<Category>,
        /// What it will be.
        announced: Category,
        /// From when.
        effective_at: Option<Timestamp>,
    },
    /// Its category has changed.
    CategoryChanged {
        /// Before.
        previous: Option<Category>,
        /// Now.
        current: Category,
    },
    /// Its text or buttons.
    Components,
}

/// A template changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateChanged {
    /// The account it belongs to.
    pub waba: WabaId,
    /// Name and language.
    pub template: TemplateRef,
    /// Meta's id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_id: Option<Term>,
    /// What changed.
    pub change: TemplateChange,
    /// When, by Meta's clock.
    pub provider_at: Timestamp,
    /// When the callback arrived.
    pub received_at: Timestamp,
}

/// What changed about a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NumberChange {
    /// Its limits or throughput.
    Quality {
        /// Meta's word, such as `THROUGHPUT_UPGRADE`.
        event: Term,
        /// The messaging limit, such as `TIER_2K`.
        messaging_limit: Option<Term>,
    },
    /// Its display name was judged.
    Name {
        /// Meta's word, such as `APPROVED`.
        decision: Term,
        /// Meta's reason.
        reason: Option<Term>,
    },
    /// Its two-step PIN.
    Security {
        /// Meta's word, such as `PIN_CHANGED`.
        event: Term,
    },
}

/// One of our numbers changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberChanged {
    /// The account it belongs to.
    pub waba: WabaId,
    /// The number; absent if the display number in the callback could not be matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<PhoneNumberId>,
    /// What changed.
    pub change: NumberChange,
    /// When, by Meta's clock.
    pub provider_at: Timestamp,
    /// When the callback arrived.
    pub received_at: Timestamp,
}

/// What changed about an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AccountChange {
    /// It may not do something for a while.
    Restriction {
        /// Meta's word, such as `RESTRICTED_BIZ_INITIATED_MESSAGING`.
        restriction: Term,
        /// When it ends.
        until: Option<Timestamp>,
    },
    /// It broke a rule.
    Violation {
        /// Meta's word, such as `SCAM`.
        violation: Term,
    },
    /// It is, will be, or is no longer disabled.
    Ban {
        /// Meta's word, such as `SCHEDULE_FOR_DISABLE`.
        state: Term,
    },
    /// Its messaging limit.
    Capability {
        /// The messaging limit, such as `TIER_2K` or a number.
        messaging_limit: Option<Term>,
    },
    /// Something else, named by Meta's word.
    Other {
        /// The callback's field, such as `account_alerts`.
        field: Term,
        /// The event or type within it.
        event: Term,
    },
}

/// Our account changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountChanged {
    /// The account.
    pub waba: WabaId,
    /// What changed.
    pub change: AccountChange,
    /// When, by Meta's clock.
    pub provider_at: Timestamp,
    /// When the callback arrived.
    pub received_at: Timestamp,
}

/// A callback, or a part of one, that nobody could read. Signed, so it is Meta's; kept whole, so that nothing is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackUnrecognised {
    /// The account it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waba: Option<WabaId>,
    /// The callback's field, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<Term>,
    /// Why it was not understood, as a machine word.
    pub reason: Term,
    /// Which part of it this is, from 1, and of how many: a large body is split to keep events small.
    pub part: (u16, u16),
    /// The part itself.
    pub body: Sealed<CallbackBody>,
    /// When the callback arrived.
    pub received_at: Timestamp,
}

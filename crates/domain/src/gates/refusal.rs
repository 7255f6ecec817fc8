//! Why a message may not pass, in words for machines and for people.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::GateResult;
use crate::events::CancelReason;

/// A gate by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Gate {
    /// Account and number state.
    Number,
    /// The template exists, is approved and not paused.
    Template,
    /// The message is used for what its template is for.
    Purpose,
    /// The person agreed to this category.
    Consent,
    /// The person has not stopped marketing within WhatsApp.
    PlatformStop,
    /// The person is worth writing to.
    Suppression,
    /// The customer service window is open.
    Window,
}

/// Why a message may not pass. A closed list with stable names: callers switch on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// The sender is not one of the tenant's numbers.
    NumberUnknown,
    /// The number is offline, banned, deleted or not set up.
    NumberUnavailable,
    /// The number may only answer within an open window.
    NumberRestricted,
    /// The account is disabled.
    AccountDisabled,
    /// The account may not send this now.
    AccountRestricted,
    /// No template of that name and language is known.
    TemplateUnknown,
    /// The template is under review, rejected, archived or deleted.
    TemplateNotApproved,
    /// The template is paused.
    TemplatePaused,
    /// The template is disabled for good.
    TemplateDisabled,
    /// The template's category asks for more than the purpose the caller named.
    CategoryStricterThanPurpose,
    /// The person never agreed to this category.
    ConsentMissing,
    /// The person withdrew from this category.
    ConsentWithdrawn,
    /// The person stopped our marketing within WhatsApp.
    PlatformStopped,
    /// Meta says that the person cannot be reached.
    RecipientUndeliverable,
    /// Silence suggests that the person blocked us.
    RecipientSuspectedBlocked,
    /// Free-form text outside the customer service window.
    WindowClosed,
}

impl RefusalReason {
    /// All reasons, in the order of the gates.
    pub const ALL: [Self; 16] = [
        Self::NumberUnknown,
        Self::NumberUnavailable,
        Self::NumberRestricted,
        Self::AccountDisabled,
        Self::AccountRestricted,
        Self::TemplateUnknown,
        Self::TemplateNotApproved,
        Self::TemplatePaused,
        Self::TemplateDisabled,
        Self::CategoryStricterThanPurpose,
        Self::ConsentMissing,
        Self::ConsentWithdrawn,
        Self::PlatformStopped,
        Self::RecipientUndeliverable,
        Self::RecipientSuspectedBlocked,
        Self::WindowClosed,
    ];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NumberUnknown => "number_unknown",
            Self::NumberUnavailable => "number_unavailable",
            Self::NumberRestricted => "number_restricted",
            Self::AccountDisabled => "account_disabled",
            Self::AccountRestricted => "account_restricted",
            Self::TemplateUnknown => "template_unknown",
            Self::TemplateNotApproved => "template_not_approved",
            Self::TemplatePaused => "template_paused",
            Self::TemplateDisabled => "template_disabled",
            Self::CategoryStricterThanPurpose => "category_stricter_than_purpose",
            Self::ConsentMissing => "consent_missing",
            Self::ConsentWithdrawn => "consent_withdrawn",
            Self::PlatformStopped => "platform_stopped",
            Self::RecipientUndeliverable => "recipient_undeliverable",
            Self::RecipientSuspectedBlocked => "recipient_suspected_blocked",
            Self::WindowClosed => "window_closed",
        }
    }

    /// The gate that refuses for this reason.
    pub const fn gate(self) -> Gate {
        match self {
            Self::NumberUnknown
            | Self::NumberUnavailable
            | Self::NumberRestricted
            | Self::AccountDisabled
            | Self::AccountRestricted => Gate::Number,
            Self::TemplateUnknown | Self::TemplateNotApproved | Self::TemplatePaused | Self::TemplateDisabled => {
                Gate::Template
            }
            Self::CategoryStricterThanPurpose => Gate::Purpose,
            Self::ConsentMissing | Self::ConsentWithdrawn => Gate::Consent,
            Self::PlatformStopped => Gate::PlatformStop,
            Self::RecipientUndeliverable | Self::RecipientSuspectedBlocked => Gate::Suppression,
            Self::WindowClosed => Gate::Window,
        }
    }

    /// What an authorized message is cancelled as when the gate refuses it at the moment of sending.
    pub const fn cancel_reason(self) -> CancelReason {
        match self.gate() {
            Gate::Number => CancelReason::NumberUnavailable,
            Gate::Template | Gate::Purpose => CancelReason::TemplateUnavailable,
            Gate::Consent | Gate::PlatformStop => CancelReason::ConsentWithdrawn,
            Gate::Suppression => CancelReason::Suppressed,
            Gate::Window => CancelReason::WindowClosed,
        }
    }

    /// What can be done about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NumberUnknown => "Use a number that is registered for this tenant, or register this one.",
            Self::NumberUnavailable => "Bring the number back in WhatsApp Manager, or send from another one.",
            Self::NumberRestricted => "Wait until the restriction ends, or until the person writes to this number.",
            Self::AccountDisabled => "Settle the account with Meta; nothing can be sent from it before.",
            Self::AccountRestricted => "Wait until the restriction ends; WhatsApp Manager shows the cause.",
            Self::TemplateUnknown => "Check name and language; a template exists in each language by itself.",
            Self::TemplateNotApproved => "Wait for the review, or use an approved template.",
            Self::TemplatePaused => "Wait for the pause to end, or use another template.",
            Self::TemplateDisabled => "Use another template; this one does not come back.",
            Self::CategoryStricterThanPurpose => {
                "Request it for the template's category and make sure the person agreed to that, or use another template."
            }
            Self::ConsentMissing => "Record an opt-in with its proof before sending.",
            Self::ConsentWithdrawn => "Do not send. Only a later opt-in by the person's own act changes this.",
            Self::PlatformStopped => "Do not send marketing. Only the person can lift this, within WhatsApp.",
            Self::RecipientUndeliverable => "Check the number, or wait until the person writes.",
            Self::RecipientSuspectedBlocked => {
                "Do not send marketing until the person writes or a message is delivered."
            }
            Self::WindowClosed => "Send an approved template, or wait until the person writes.",
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One gate's refusal. Holds no personal data: its text names templates, categories and moments only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For machines.
    pub reason: RefusalReason,
    /// For people: what is wrong.
    pub text: String,
    /// For people: what can be done.
    pub remedy: String,
}

impl Refusal {
    /// A refusal with the remedy of its reason.
    pub fn new(reason: RefusalReason, text: impl Into<String>) -> Self {
        Self {
            reason,
            text: text.into(),
            remedy: reason.remedy().to_owned(),
        }
    }
}

/// Shorthand for the gates.
pub(super) fn refuse(reason: RefusalReason, text: impl Into<String>) -> GateResult {
    GateResult::Refuse(Refusal::new(reason, text))
}

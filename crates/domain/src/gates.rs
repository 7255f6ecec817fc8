//! The gates: may this message go to this person now?
//!
//! Each gate is a pure function of the same [`GateInput`] that returns what it found, as evidence for the log, or why not
//! and what could be done about it. [`judge`] asks all of them, in a fixed order, and reports every refusal, not only the first.
//! The same input always gets the same judgement, so a decision can be repeated years later.
//!
//! The gates see *facts folded from whoever recorded them*: each kind of facts here has methods that take the events it
//! follows from, conclusions of the status-tracker as well as Meta's own callbacks, so that nobody waits for a conclusion
//! before a send is stopped.

mod consent;
mod number;
mod platform_stop;
mod purpose;
mod refusal;
mod suppression;
mod template;
mod window;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::{
    number::NumberFacts,
    refusal::{Gate, Refusal, RefusalReason},
    suppression::SuppressionFacts,
    template::{TemplateFacts, fallback_for},
    window::{WINDOW, WINDOW_MARGIN, WindowFacts},
};
use crate::{
    contact::Contact,
    events::{AccountState, NumberStatus, OptInSource, QualityRating, TemplateStatus},
    values::{Category, ContactId, LanguageCode, PhoneNumberId, TemplateRef, Term, Timestamp},
};

/// Everything the gates may look at.
#[derive(Debug, Clone, Copy)]
pub struct GateInput<'a> {
    /// The moment to judge for.
    pub now: Timestamp,
    /// The number the message shall be sent from.
    pub sender: &'a PhoneNumberId,
    /// What is known of that number; absent: it is not one of the tenant's.
    pub number: Option<&'a NumberFacts>,
    /// The template the message uses; absent: it is free-form.
    pub template: Option<&'a TemplateRef>,
    /// What is known of that template; absent: nothing.
    pub template_facts: Option<&'a TemplateFacts>,
    /// The language that was asked for, if another one stands in for it ([`fallback_for`]).
    pub asked_language: Option<&'a LanguageCode>,
    /// What the caller says the message is for; absent: whatever the template is for.
    pub purpose: Option<Category>,
    /// The person.
    pub contact: &'a Contact,
    /// Whether the person is worth writing to.
    pub suppression: &'a SuppressionFacts,
    /// When the person last wrote to this number.
    pub window: &'a WindowFacts,
}

impl GateInput<'_> {
    /// The category the message is judged as: the stricter of what the caller says, and what the template is now or is
    /// announced to become. An unknown template is judged as marketing; free-form text without a purpose as service.
    pub fn category(&self) -> Category {
        let own = match (self.template, self.template_facts) {
            (None, _) => Some(Category::Service),
            (Some(_), facts) => facts.map(TemplateFacts::effective_category),
        };
        match (own, self.purpose) {
            (Some(own), Some(purpose)) => own.stricter(purpose),
            (Some(known), None) | (None, Some(known)) => known,
            (None, None) => Category::Marketing,
        }
    }

    /// Whether the message would start a conversation rather than answer in an open window.
    pub fn is_business_initiated(&self) -> bool {
        self.window.open_until(self.now).is_none()
    }
}

/// What a gate found when it let a message pass. Stored in `decision.authorized`; versions are stream versions in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "gate", rename_all = "snake_case")]
pub enum Evidence {
    /// The number and its account may send.
    Number {
        /// The number.
        number: PhoneNumberId,
        /// Its state.
        status: NumberStatus,
        /// Its quality colour.
        quality: QualityRating,
        /// The messaging limit that applies, such as `TIER_2K`.
        messaging_limit: Option<Term>,
        /// The state of the account.
        account: AccountState,
        /// The version of the number's stream this rests on; 0 if nothing was observed yet.
        version: u32,
    },
    /// The template may be sent.
    Template {
        /// The template.
        template: TemplateRef,
        /// Its state.
        status: TemplateStatus,
        /// Its category, the stricter one while a change is announced.
        category: Category,
        /// The version of the template's stream this rests on.
        version: u32,
        /// The language that was asked for, if this translation stands in for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked_language: Option<LanguageCode>,
    },
    /// No template is needed: the text is free-form.
    FreeForm,
    /// The message is used for what it says.
    Purpose {
        /// What the caller said.
        purpose: Option<Category>,
        /// What it was judged as.
        judged_as: Category,
    },
    /// The person agreed, by this event.
    OptIn {
        /// To this category.
        category: Category,
        /// Where the opt-in came from.
        source: OptInSource,
        /// When it was given.
        given_at: Timestamp,
        /// The version of the opt-in event in its contact's stream.
        version: u32,
        /// The contact whose stream that is, if it came with a merge.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact: Option<ContactId>,
    },
    /// The person wrote first, and this is an answer.
    WroteFirst {
        /// When they last wrote.
        wrote_at: Timestamp,
    },
    /// The person has not stopped marketing within WhatsApp, or the message is not marketing.
    NoPlatformStop {
        /// Whether the message is marketing.
        applies: bool,
    },
    /// Nothing suggests that the message would be in vain.
    NotSuppressed,
    /// The state of the customer service window.
    Window {
        /// Until when it is open; absent: closed, and not needed because the message is a template.
        open_until: Option<Timestamp>,
    },
}

/// What one gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateResult {
    /// The message may pass.
    Pass(Evidence),
    /// The message may not pass.
    Refuse(Refusal),
}

/// What all gates together say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Every gate lets the message pass.
    Authorized {
        /// The category it was judged as.
        category: Category,
        /// What each gate found, in the order of the gates.
        evidence: Vec<Evidence>,
    },
    /// At least one gate does not.
    Refused {
        /// Every refusal, in the order of the gates; never empty.
        refusals: Vec<Refusal>,
    },
}

/// The gates in the order they are asked.
const GATES: [fn(&GateInput<'_>) -> GateResult; 7] = [
    number::may_send,
    template::may_be_sent,
    purpose::matches_category,
    consent::covers_category,
    platform_stop::is_absent,
    suppression::is_absent,
    window::is_open,
];

/// Asks every gate.
pub fn judge(input: &GateInput<'_>) -> Judgement {
    let mut evidence = Vec::with_capacity(GATES.len());
    let mut refusals = Vec::new();
    for gate in GATES {
        match gate(input) {
            GateResult::Pass(found) => evidence.push(found),
            GateResult::Refuse(refusal) => refusals.push(refusal),
        }
    }
    if refusals.is_empty() {
        Judgement::Authorized {
            category: input.category(),
            evidence,
        }
    } else {
        Judgement::Refused { refusals }
    }
}

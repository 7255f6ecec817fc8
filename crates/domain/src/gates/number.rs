//! Account and number state.

use super::{Evidence, GateInput, GateResult, RefusalReason, refusal::refuse};
use crate::{
    events::{
        AccountChange, AccountChanged, AccountObserved, AccountState, NumberChange, NumberChanged, NumberObserved,
        NumberStatus, QualityRating,
    },
    values::{Category, Term, Timestamp},
};

/// What is known of one of a tenant's numbers and its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberFacts {
    /// The number's state.
    pub status: NumberStatus,
    /// Its quality colour.
    pub quality: QualityRating,
    /// The portfolio's messaging limit.
    pub messaging_limit: Option<Term>,
    /// What the account may do.
    pub account: AccountState,
    /// The version of the number's stream; 0 if nothing was observed yet.
    pub version: u32,
    number_as_of: Option<Timestamp>,
    account_as_of: Option<Timestamp>,
}

impl Default for NumberFacts {
    /// A number that is registered and of which nothing was observed yet. It may send: at worst Meta refuses.
    fn default() -> Self {
        Self {
            status: NumberStatus::Unknown,
            quality: QualityRating::Unknown,
            messaging_limit: None,
            account: AccountState::Active,
            version: 0,
            number_as_of: None,
            account_as_of: None,
        }
    }
}

impl NumberFacts {
    /// Takes in a conclusion about the number, the `version`th event of its stream.
    pub fn observed(&mut self, event: &NumberObserved, version: u32) {
        self.version = self.version.max(version);
        if self.number_as_of > Some(event.observed_at) {
            return;
        }
        self.number_as_of = Some(event.observed_at);
        self.status = event.status;
        self.quality = event.quality;
        self.messaging_limit.clone_from(&event.messaging_limit);
    }

    /// Takes in what Meta said about the number. Its state and colour are not in there; they come by asking.
    pub fn changed(&mut self, event: &NumberChanged) {
        match &event.change {
            NumberChange::Quality {
                messaging_limit: Some(limit),
                ..
            } => self.messaging_limit = Some(limit.clone()),
            NumberChange::Quality {
                messaging_limit: None, ..
            }
            | NumberChange::Name { .. }
            | NumberChange::Security { .. } => {}
        }
    }

    /// Takes in a conclusion about the account.
    pub fn account_observed(&mut self, event: &AccountObserved) {
        self.set_account(event.state, event.observed_at);
    }

    /// Takes in what Meta said about the account: a restriction or a ban stops sends at once.
    pub fn account_changed(&mut self, event: &AccountChanged) {
        let state = match &event.change {
            AccountChange::Restriction { restriction, until } => match restriction.as_str() {
                "RESTRICTED_BIZ_INITIATED_MESSAGING" => AccountState::BusinessInitiatedRestricted { until: *until },
                "RESTRICTED_UTILITY_TEMPLATES" => AccountState::UtilityRestricted { until: *until },
                "RESTRICTED_CUSTOMER_INITIATED_MESSAGING" => AccountState::Restricted { until: *until },
                _ => return,
            },
            AccountChange::Ban { state } => match state.as_str() {
                "DISABLE" => AccountState::Disabled,
                "REINSTATE" => AccountState::Active,
                _ => return,
            },
            AccountChange::Capability {
                messaging_limit: Some(limit),
            } => {
                self.messaging_limit = Some(limit.clone());
                return;
            }
            AccountChange::Capability { messaging_limit: None }
            | AccountChange::Violation { .. }
            | AccountChange::Other { .. } => return,
        };
        self.set_account(state, event.provider_at);
    }

    fn set_account(&mut self, state: AccountState, at: Timestamp) {
        // At the same moment trouble wins, so that two callbacks of one second end the same in either order.
        let is_older = self.account_as_of > Some(at);
        let is_milder = self.account_as_of == Some(at) && state == AccountState::Active;
        if !is_older && !is_milder {
            self.account_as_of = Some(at);
            self.account = state;
        }
    }
}

/// Whether the number and its account may send this message.
pub(super) fn may_send(input: &GateInput<'_>) -> GateResult {
    let Some(facts) = input.number else {
        return refuse(
            RefusalReason::NumberUnknown,
            format!("The sender {} is not one of this tenant's numbers.", input.sender),
        );
    };
    if let Some((reason, text)) = account_trouble(facts.account, input).or_else(|| number_trouble(facts.status, input))
    {
        return refuse(reason, text);
    }
    GateResult::Pass(Evidence::Number {
        number: input.sender.clone(),
        status: facts.status,
        quality: facts.quality,
        messaging_limit: facts.messaging_limit.clone(),
        account: facts.account,
        version: facts.version,
    })
}

fn account_trouble(state: AccountState, input: &GateInput<'_>) -> Option<(RefusalReason, String)> {
    let lasts = |until: Option<Timestamp>| until.is_none_or(|until| input.now < until);
    let end = |until: Option<Timestamp>| until.map_or_else(String::new, |until| format!(" until {until}"));
    let restricted = |text: String| Some((RefusalReason::AccountRestricted, text));
    match state {
        AccountState::Disabled => Some((
            RefusalReason::AccountDisabled,
            "The WhatsApp Business Account is disabled.".to_owned(),
        )),
        AccountState::Restricted { until } if lasts(until) => {
            restricted(format!("The account may not send messages{}.", end(until)))
        }
        AccountState::BusinessInitiatedRestricted { until } if lasts(until) && input.is_business_initiated() => {
            restricted(format!("The account may not start conversations{}.", end(until)))
        }
        AccountState::UtilityRestricted { until }
            if lasts(until) && input.template.is_some() && input.category() == Category::Utility =>
        {
            restricted(format!("The account may not send utility templates{}.", end(until)))
        }
        AccountState::Active
        | AccountState::Restricted { .. }
        | AccountState::BusinessInitiatedRestricted { .. }
        | AccountState::UtilityRestricted { .. } => None,
    }
}

fn number_trouble(status: NumberStatus, input: &GateInput<'_>) -> Option<(RefusalReason, String)> {
    match status {
        NumberStatus::Connected | NumberStatus::Flagged | NumberStatus::Unknown => None,
        // Answering people who wrote still works in these states.
        NumberStatus::Restricted | NumberStatus::RateLimited => input.is_business_initiated().then(|| {
            let text = format!(
                "The number is {} and may only answer within an open window.",
                status.as_str()
            );
            (RefusalReason::NumberRestricted, text)
        }),
        NumberStatus::Pending
        | NumberStatus::Offline
        | NumberStatus::Unverified
        | NumberStatus::Disconnected
        | NumberStatus::Banned
        | NumberStatus::Migrated
        | NumberStatus::Deleted => Some((
            RefusalReason::NumberUnavailable,
            format!("The number is {} and cannot send.", status.as_str()),
        )),
    }
}

//! The closed lists of the domain and of the contract, one to one.

use assent_domain::{
    delivery::DeliveryState,
    gates::{Gate, RefusalReason},
};
use assent_proto::v1;

/// Declares both directions of a list, so that neither can miss a member.
macro_rules! one_to_one {
    ($(#[$doc:meta])* $render:ident, $parse:ident: $domain:ty, $wire:ty { $($here:ident = $there:ident,)+ }) => {
        $(#[$doc])*
        pub const fn $render(value: $domain) -> $wire {
            match value { $(<$domain>::$here => <$wire>::$there,)+ }
        }

        /// The other way round; `None` for the value that stands for none.
        pub const fn $parse(value: $wire) -> Option<$domain> {
            match value {
                $(<$wire>::$there => Some(<$domain>::$here),)+
                <$wire>::Unspecified => None,
            }
        }
    };
}

one_to_one! {
    /// A gate as the contract has it.
    gate, parse_gate: Gate, v1::Gate {
        Number = Number,
        Template = Template,
        Purpose = Purpose,
        Consent = Consent,
        PlatformStop = PlatformStop,
        Suppression = Suppression,
        Window = Window,
    }
}

one_to_one! {
    /// A reason of refusal as the contract has it.
    reason, parse_reason: RefusalReason, v1::RefusalReason {
        NumberUnknown = NumberUnknown,
        NumberUnavailable = NumberUnavailable,
        NumberRestricted = NumberRestricted,
        AccountDisabled = AccountDisabled,
        AccountRestricted = AccountRestricted,
        TemplateUnknown = TemplateUnknown,
        TemplateNotApproved = TemplateNotApproved,
        TemplatePaused = TemplatePaused,
        TemplateDisabled = TemplateDisabled,
        CategoryStricterThanPurpose = CategoryStricterThanPurpose,
        ConsentMissing = ConsentMissing,
        ConsentWithdrawn = ConsentWithdrawn,
        PlatformStopped = PlatformStopped,
        RecipientUndeliverable = RecipientUndeliverable,
        RecipientSuspectedBlocked = RecipientSuspectedBlocked,
        WindowClosed = WindowClosed,
    }
}

/// The state of a message as the contract has it; unknown is unspecified there.
pub const fn state(state: DeliveryState) -> v1::MessageState {
    match state {
        DeliveryState::Unknown => v1::MessageState::Unspecified,
        DeliveryState::Requested => v1::MessageState::Accepted,
        DeliveryState::Authorized => v1::MessageState::Authorized,
        DeliveryState::Deferred => v1::MessageState::Deferred,
        DeliveryState::Sending => v1::MessageState::Sending,
        DeliveryState::OutcomeUnknown => v1::MessageState::OutcomeUnknown,
        DeliveryState::Refused => v1::MessageState::Refused,
        DeliveryState::Expired => v1::MessageState::Expired,
        DeliveryState::Cancelled => v1::MessageState::Cancelled,
        DeliveryState::Rejected => v1::MessageState::Rejected,
        DeliveryState::GivenUp => v1::MessageState::GivenUp,
        DeliveryState::Held => v1::MessageState::ProviderHeld,
        DeliveryState::Accepted => v1::MessageState::ProviderAccepted,
        DeliveryState::Sent => v1::MessageState::Sent,
        DeliveryState::Failed => v1::MessageState::Failed,
        DeliveryState::Delivered => v1::MessageState::Delivered,
        DeliveryState::Read => v1::MessageState::Read,
        DeliveryState::Played => v1::MessageState::Played,
    }
}

/// The state of a message as the domain has it.
pub const fn parse_state(state: v1::MessageState) -> DeliveryState {
    match state {
        v1::MessageState::Unspecified => DeliveryState::Unknown,
        v1::MessageState::Accepted => DeliveryState::Requested,
        v1::MessageState::Authorized => DeliveryState::Authorized,
        v1::MessageState::Deferred => DeliveryState::Deferred,
        v1::MessageState::Sending => DeliveryState::Sending,
        v1::MessageState::OutcomeUnknown => DeliveryState::OutcomeUnknown,
        v1::MessageState::Refused => DeliveryState::Refused,
        v1::MessageState::Expired => DeliveryState::Expired,
        v1::MessageState::Cancelled => DeliveryState::Cancelled,
        v1::MessageState::Rejected => DeliveryState::Rejected,
        v1::MessageState::GivenUp => DeliveryState::GivenUp,
        v1::MessageState::ProviderHeld => DeliveryState::Held,
        v1::MessageState::ProviderAccepted => DeliveryState::Accepted,
        v1::MessageState::Sent => DeliveryState::Sent,
        v1::MessageState::Failed => DeliveryState::Failed,
        v1::MessageState::Delivered => DeliveryState::Delivered,
        v1::MessageState::Read => DeliveryState::Read,
        v1::MessageState::Played => DeliveryState::Played,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_back_and_later_ones_have_higher_numbers() {
        for (at, known) in DeliveryState::ALL.into_iter().enumerate() {
            assert_eq!(parse_state(state(known)), known);
            assert_eq!(state(known) as usize, at, "{known:?}");
        }
    }

    #[test]
    fn every_reason_is_read_back_and_has_the_domains_name() {
        for known in RefusalReason::ALL {
            assert_eq!(parse_reason(reason(known)), Some(known));
            let name = format!("REFUSAL_REASON_{}", known.as_str().to_ascii_uppercase());
            assert_eq!(reason(known).as_str_name(), name);
            assert_eq!(parse_gate(gate(known.gate())), Some(known.gate()));
        }
    }
}

//! What a subscription remembers of recent messages.

use assent_domain::{delivery::DeliveryState, values::MessageId};
use std::collections::HashMap;

/// Messages that are remembered; of those before, as many again.
const MESSAGES_MAX: usize = 50_000;

/// Recent messages, in two generations so that forgetting costs nothing.
#[derive(Debug, Default)]
pub(super) struct Recent {
    young: HashMap<MessageId, Known>,
    old: HashMap<MessageId, Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// The strongest state shown.
    state: DeliveryState,
    /// Absent: its request has not been seen.
    is_reaction: Option<bool>,
}

impl Recent {
    /// Whether the message was not known to be that far; it is from now on.
    pub(super) fn rises(&mut self, message: MessageId, state: DeliveryState) -> bool {
        let known = self.of(message);
        if known.state >= state {
            return false;
        }
        known.state = state;
        true
    }

    /// Notes whether a message is a reaction.
    pub(super) fn note(&mut self, message: MessageId, is_reaction: bool) {
        self.of(message).is_reaction = Some(is_reaction);
    }

    /// Whether a message is a reaction, if that is known.
    pub(super) fn is_reaction(&self, message: MessageId) -> Option<bool> {
        let known = self.young.get(&message).or_else(|| self.old.get(&message))?;
        known.is_reaction
    }

    fn of(&mut self, message: MessageId) -> &mut Known {
        if self.young.len() >= MESSAGES_MAX && !self.young.contains_key(&message) {
            self.old = std::mem::take(&mut self.young);
        }
        let before = self.old.get(&message).copied();
        self.young.entry(message).or_insert_with(|| {
            before.unwrap_or(Known {
                state: DeliveryState::Unknown,
                is_reaction: None,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u128) -> MessageId {
        MessageId::new(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn a_report_that_comes_late_is_left_out() {
        let mut recent = Recent::default();
        assert!(recent.rises(message(1), DeliveryState::Sent));
        assert!(recent.rises(message(1), DeliveryState::Read));
        assert!(!recent.rises(message(1), DeliveryState::Delivered));
        assert!(!recent.rises(message(1), DeliveryState::Read));
    }

    #[test]
    fn what_is_known_outlives_one_generation_and_not_two() {
        let mut recent = Recent::default();
        recent.note(message(1), true);
        assert!(recent.rises(message(1), DeliveryState::Requested));
        let fill = |recent: &mut Recent, from: u128| {
            for number in from..from + MESSAGES_MAX as u128 {
                recent.note(message(number), false);
            }
        };
        fill(&mut recent, 1_000_000);
        assert_eq!(recent.is_reaction(message(1)), Some(true));
        fill(&mut recent, 2_000_000);
        assert_eq!(recent.is_reaction(message(1)), None);
        assert_eq!(recent.is_reaction(message(2_000_001)), Some(false));
    }
}

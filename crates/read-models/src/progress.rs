//! How far a message has come, with what the lattice of the domain leaves out.

use assent_domain::{
    delivery::Delivery,
    events::CancelReason,
    gates::RefusalReason,
    values::{Category, ContactId, Timestamp},
};

/// Everything that changes about a message. A lattice like [`Delivery`]: joining is commutative, associative and idempotent,
/// so the order of events, and how often they come, makes no difference.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// The facts of its delivery.
    pub delivery: Delivery,
    /// How many attempts were started.
    pub attempts: u32,
    /// Whether an attempt may have repeated one whose fate was not known.
    pub possible_duplicate: bool,
    /// When it was decided upon, for whom, and as which category it was judged if it was let out; the earliest.
    pub decided: Option<(Timestamp, ContactId, Option<Category>)>,
    /// When it was stopped and why; the earliest.
    pub cancelled: Option<(Timestamp, CancelReason)>,
    /// Why it was held back: bit `n` stands for `RefusalReason::ALL[n]`.
    pub(crate) refusals: u64,
}

fn earliest<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Progress {
    /// Just what a delivery knows.
    pub(crate) fn of(delivery: Delivery) -> Self {
        Self {
            delivery,
            ..Self::default()
        }
    }

    /// Everything both know.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            delivery: self.delivery.join(other.delivery),
            attempts: self.attempts.max(other.attempts),
            possible_duplicate: self.possible_duplicate || other.possible_duplicate,
            decided: earliest(self.decided, other.decided),
            cancelled: earliest(self.cancelled, other.cancelled),
            refusals: self.refusals | other.refusals,
        }
    }

    /// Why it was held back, in the order of the gates.
    pub fn refusals(&self) -> impl Iterator<Item = RefusalReason> + '_ {
        let known = RefusalReason::ALL.into_iter().enumerate();
        known.filter_map(|(bit, reason)| (self.refusals & (1 << bit) != 0).then_some(reason))
    }

    pub(crate) fn refuse(&mut self, reason: RefusalReason) {
        let bit = RefusalReason::ALL.iter().position(|known| *known == reason);
        self.refusals |= bit.map_or(0, |bit| 1 << bit);
    }

    /// Meta's code for why it failed or was refused, if it was.
    pub fn error_code(&self) -> Option<i64> {
        let Delivery { failed, rejected, .. } = &self.delivery;
        failed.or(*rejected).map(|(_, code)| code)
    }

    /// When something was last learned of it, by the clock of whoever said so.
    pub fn updated_at(&self) -> Option<Timestamp> {
        let facts = &self.delivery;
        [
            facts.requested_at,
            facts.authorized_at,
            facts.refused_at,
            facts.expired_at,
            facts.deferred_at,
            facts.started_at,
            facts.outcome_unknown_at,
            facts.accepted_at,
            facts.held_at,
            facts.rejected.map(|(at, _)| at),
            facts.given_up_at,
            facts.cancelled_at,
            facts.sent_at,
            facts.delivered_at,
            facts.read_at,
            facts.played_at,
            facts.failed.map(|(at, _)| at),
        ]
        .into_iter()
        .flatten()
        .max()
    }
}

//! What a person has agreed to and withdrawn from, as facts that can be learned in any order.
//!
//! A ledger keeps the latest of each kind of fact and derives the standing from them, so that late callbacks, repeated
//! imports and merges lead to the same standing whatever the order. All comparisons are by the time the person acted, and a tie goes
//! to the withdrawal.

use serde::{Deserialize, Serialize};

use crate::{
    events::{OptInSource, OptOutSource},
    values::{ContactId, Timestamp},
};

/// An opt-in, and where to find it in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// When the person agreed.
    pub given_at: Timestamp,
    /// Where it came from.
    pub source: OptInSource,
    /// The version of the `contact.opted_in` event in its stream.
    pub version: u32,
    /// The contact whose stream that is, if it came with a merge; absent: this contact's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactId>,
}

/// A withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Withdrawal {
    /// When the person withdrew.
    pub given_at: Timestamp,
    /// Where it came from.
    pub source: OptOutSource,
}

/// What is known of one person and one category of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConsentLedger {
    /// The latest opt-in by the person's own act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explicit: Option<Grant>,
    /// The latest opt-in that stood on a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Grant>,
    /// The latest withdrawal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawal>,
}

/// Whether a person may be written to about something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They never agreed.
    Never,
    /// They agreed, by this opt-in.
    Granted(Grant),
    /// They withdrew and have not come back.
    Withdrawn(Withdrawal),
}

impl ConsentLedger {
    /// What follows from the facts. After a withdrawal only a later explicit opt-in brings a person back; one that stood on
    /// a list never does.
    pub fn standing(&self) -> Standing {
        match (self.withdrawn, self.explicit, self.imported) {
            (Some(withdrawal), Some(grant), _) if grant.given_at > withdrawal.given_at => Standing::Granted(grant),
            (Some(withdrawal), _, _) => Standing::Withdrawn(withdrawal),
            (None, Some(grant), _) | (None, None, Some(grant)) => Standing::Granted(grant),
            (None, None, None) => Standing::Never,
        }
    }

    /// Whether an opt-in given then would not be overruled by a withdrawal.
    pub fn would_count(&self, source: OptInSource, given_at: Timestamp) -> bool {
        self.withdrawn
            .is_none_or(|withdrawal| source.is_explicit() && given_at > withdrawal.given_at)
    }

    /// Whether an opt-in from there and then adds nothing to what is known.
    pub(crate) fn knows_grant(&self, source: OptInSource, given_at: Timestamp) -> bool {
        let known = if source.is_explicit() {
            self.explicit
        } else {
            self.imported
        };
        known.is_some_and(|grant| (grant.given_at, grant.source) >= (given_at, source))
    }

    /// Whether a withdrawal then adds nothing to what is known.
    pub(crate) fn knows_withdrawal(&self, given_at: Timestamp) -> bool {
        self.withdrawn.is_some_and(|withdrawal| withdrawal.given_at >= given_at)
    }

    pub(crate) fn grant(&mut self, grant: Grant) {
        if !self.knows_grant(grant.source, grant.given_at) {
            *if grant.source.is_explicit() {
                &mut self.explicit
            } else {
                &mut self.imported
            } = Some(grant);
        }
    }

    pub(crate) fn withdraw(&mut self, withdrawal: Withdrawal) {
        self.withdrawn = self.withdrawn.max(Some(withdrawal));
    }

    /// The ledger of two contacts that are one person: all facts of both, and where one of the two had withdrawn, the
    /// person has, even if the other contact agreed later: whoever agreed there may not have known of the withdrawal here.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let mut merged = self;
        for grant in [other.explicit, other.imported].into_iter().flatten() {
            merged.grant(grant);
        }
        merged.withdrawn = self.withdrawn.max(other.withdrawn);
        let one_had_withdrawn = [self, other]
            .iter()
            .any(|ledger| matches!(ledger.standing(), Standing::Withdrawn(_)));
        if one_had_withdrawn && let (Some(withdrawal), Some(grant)) = (&mut merged.withdrawn, merged.explicit) {
            withdrawal.given_at = withdrawal.given_at.max(grant.given_at);
        }
        merged
    }
}

/// What is known of a person's use of WhatsApp's own stop control, which concerns marketing only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlatformLedger {
    /// The latest stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
    /// The latest resumption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_at: Option<Timestamp>,
}

impl PlatformLedger {
    /// When marketing was stopped, if it still is. A tie goes to the stop.
    pub fn stopped(&self) -> Option<Timestamp> {
        self.stopped_at
            .filter(|stopped| self.resumed_at.is_none_or(|resumed| resumed <= *stopped))
    }

    /// The ledger of two contacts that are one person: stopped if either was.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let resumed_at = self.resumed_at.max(other.resumed_at);
        let mut stopped_at = self.stopped_at.max(other.stopped_at);
        if self.stopped().is_some() || other.stopped().is_some() {
            stopped_at = stopped_at.max(resumed_at);
        }
        Self { stopped_at, resumed_at }
    }
}

//! What we conclude about WhatsApp Business Accounts. Stream key: derived from the account. Owner: status-tracker.

use serde::{Deserialize, Serialize};

use super::ObservedFrom;
use crate::values::{TenantId, Timestamp, WabaId};

super::event_catalogue! {
    /// What we conclude about a WhatsApp Business Account.
    AccountEvent in Account {
        /// The account was looked at and something differs from before.
        Observed(AccountObserved) = "account.observed" v 1,
    }
}

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AccountState {
    /// No trouble is known.
    Active,
    /// It may answer people, but not start conversations.
    BusinessInitiatedRestricted {
        /// When that ends, if Meta said so.
        until: Option<Timestamp>,
    },
    /// It may not send utility templates.
    UtilityRestricted {
        /// When that ends, if Meta said so.
        until: Option<Timestamp>,
    },
    /// It may not send at all for a while.
    Restricted {
        /// When that ends, if Meta said so.
        until: Option<Timestamp>,
    },
    /// It is disabled, or its money is missing: a person must act.
    Disabled,
}

/// What is known of an account now. Each event holds the whole picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountObserved {
    /// Whose account it is.
    pub tenant: TenantId,
    /// The account.
    pub waba: WabaId,
    /// What it may do.
    pub state: AccountState,
    /// How we know.
    pub observed_from: ObservedFrom,
    /// When it was looked at.
    pub observed_at: Timestamp,
}

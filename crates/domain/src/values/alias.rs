//! What a person can be called by.

use std::fmt;

use assent_sealed::{AliasHash, Sealed};
use serde::{Deserialize, Serialize};

use super::{PhoneNumber, UserId, WaId};

/// A name by which one person can be found, in the clear. Hash its [`canonical`](Self::canonical) form with the tenant's
/// key to get the [`AliasHash`] that goes into events.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alias {
    /// The number as dialled.
    Phone(PhoneNumber),
    /// The id Meta answered with.
    WaId(WaId),
    /// The business-scoped user id.
    UserId(UserId),
}

/// Which kind of alias a hash was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AliasKind {
    /// The number as dialled.
    Phone,
    /// The id Meta answered with.
    WaId,
    /// The business-scoped user id.
    UserId,
}

impl Alias {
    /// Which kind it is.
    pub const fn kind(&self) -> AliasKind {
        match self {
            Self::Phone(_) => AliasKind::Phone,
            Self::WaId(_) => AliasKind::WaId,
            Self::UserId(_) => AliasKind::UserId,
        }
    }

    /// The text to hash. A phone number and a `wa_id` of the same digits are one alias: both are an address in the same
    /// numbering plan, and whoever is reached by one is reached by the other.
    pub fn canonical(&self) -> String {
        match self {
            Self::Phone(number) => format!("tel:{}", number.digits()),
            Self::WaId(wa_id) => format!("tel:{}", wa_id.as_str()),
            Self::UserId(user_id) => format!("uid:{}", user_id.as_str()),
        }
    }
}

impl fmt::Debug for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}(..)", self.kind())
    }
}

/// An alias inside an event: its hash for look-ups and, where it may be needed again, itself, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasRef {
    /// The keyed hash.
    pub hash: AliasHash,
    /// What it is a hash of.
    pub kind: AliasKind,
    /// The alias itself; absent where the writer only saw the hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed<Alias>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialled_number_and_the_same_wa_id_are_one_alias() {
        let phone = Alias::Phone(PhoneNumber::try_new("+1 202 555 0142").unwrap());
        let wa_id = Alias::WaId(WaId::try_new("12025550142").unwrap());
        assert_eq!(phone.canonical(), wa_id.canonical());
        assert_eq!(format!("{phone:?} {wa_id:?}"), "Phone(..) WaId(..)");
    }
}

//! Ids: ours are UUIDs made outside of this crate; Meta's are strings of digits.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::text_value;

/// Longest id of Meta's that is taken, in digits. Theirs have 15 to 17 today.
pub const META_ID_DIGITS_MAX: usize = 32;

/// Text that is not an id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// One of our ids was expected.
    #[error("an id is a UUID such as 67e55044-10b1-426f-9247-bb680e5fe0c8")]
    NotUuid,
    /// One of Meta's ids was expected.
    #[error("an id given out by Meta has 1 to {META_ID_DIGITS_MAX} decimal digits")]
    NotDigits,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The id that is this UUID.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID, which is the key of the streams of this id.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId::NotUuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

uuid_id! {
    /// One requested message. Key of its `request`, `decision` and `attempt` streams.
    MessageId
}
uuid_id! {
    /// One person in the eyes of one tenant, however many aliases they have. Key of the `contact` and `suppression` streams.
    ContactId
}
uuid_id! {
    /// One try to send a message; drawn at random by the process that makes the call.
    AttemptId
}
uuid_id! {
    /// One file that a person sent us. Key of its `media` stream.
    FileId
}
uuid_id! {
    /// One of our numbers, as the key of its `number` stream. Meta's own name for it is [`PhoneNumberId`].
    NumberId
}

macro_rules! meta_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Accepts 1 to 32 decimal digits.
            pub fn try_new(text: &str) -> Result<Self, InvalidId> {
                let good = (1..=META_ID_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
                if good { Ok(Self(text.to_owned())) } else { Err(InvalidId::NotDigits) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        text_value!($name, InvalidId);
    };
}

meta_id! {
    /// Meta's id of one of the business's phone numbers. Not the number itself, and not personal data.
    PhoneNumberId
}
meta_id! {
    /// Meta's id of a WhatsApp Business Account.
    WabaId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_ids_are_uuids_and_metas_are_digits() {
        let text = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        assert_eq!(text.parse::<MessageId>().unwrap().to_string(), text);
        assert_eq!("message 7".parse::<MessageId>(), Err(InvalidId::NotUuid));
        assert_eq!(
            PhoneNumberId::try_new("318800000000042").unwrap().as_str(),
            "318800000000042"
        );
        for bad in ["", "31880000000004x", "-1", &"1".repeat(33)] {
            assert_eq!(PhoneNumberId::try_new(bad), Err(InvalidId::NotDigits), "{bad}");
        }
    }

    #[test]
    fn a_bad_id_does_not_slip_in_through_json() {
        assert!(serde_json::from_str::<WabaId>("\"two\"").is_err());
        assert_eq!(
            serde_json::from_str::<WabaId>("\"215500000000001\"").unwrap().as_str(),
            "215500000000001"
        );
    }
}

//! The values commands and events are made of. Each has one fallible constructor, so a value that exists is a good one.

mod actor;
mod alias;
mod category;
mod correlation;
mod fingerprint;
mod idempotency_key;
mod ids;
mod numbering_plan;
mod personal;
mod phone_number;
mod template_ref;
mod tenant_id;
mod term;
mod timestamp;
mod wamid_hash;

/// Longest values, by what they are: one place for all limits of this module.
pub mod limits {
    pub use super::{
        idempotency_key::IDEMPOTENCY_KEY_BYTES_MAX, ids::META_ID_DIGITS_MAX, template_ref::TEMPLATE_NAME_CHARS_MAX,
        tenant_id::TENANT_ID_BYTES_MAX, term::TERM_BYTES_MAX,
    };
}

pub use self::{
    actor::{Actor, InvalidActor},
    alias::{Alias, AliasKind, AliasRef},
    category::{Category, CategorySet, EmptyCategorySet, UnknownCategory},
    correlation::{Correlation, InvalidCorrelation},
    fingerprint::{FieldHash, Fingerprint},
    idempotency_key::{IdempotencyKey, InvalidIdempotencyKey},
    ids::{AttemptId, ContactId, FileId, InvalidId, MessageId, NumberId, PhoneNumberId, WabaId},
    personal::{
        CallbackBody, FileDescription, FreeFormBody, InboundDetails, InvalidUserId, InvalidWaId, ProfileName,
        ProofText, TemplateComponents, TextBody, UserId, WaId, Wamid,
    },
    phone_number::{InvalidPhoneNumber, PhoneNumber},
    template_ref::{
        InvalidLanguageCode, InvalidTemplateName, LanguageCode, TemplateDefinition, TemplateName, TemplateRef,
    },
    tenant_id::{InvalidTenantId, TenantId},
    term::{InvalidTerm, Label, Term},
    timestamp::Timestamp,
    wamid_hash::WamidHash,
};

/// Implements text conversion for a newtype over `String` with a `try_new`: `FromStr`, `Display`, serde by text.
macro_rules! text_value {
    ($type:ident, $error:ident) => {
        impl $type {
            /// The value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::try_new(text)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::try_new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use text_value;

//! The catalogue of events: what can happen, under which stable name, and which service may say so.
//!
//! One module per stream category, one enum per module, and beside each enum its table of wire names. A wire name never
//! changes and says nothing about Rust: variants and structs can be renamed, `contact.opted_out` cannot. A changed shape gets a
//! higher schema version and an upcaster; optional fields may be added within a version.
//!
//! Personal fields are `Sealed`, look-ups go by keyed hash. Who acted is not in here: it stands in the meta data beside
//! every event, as an [`Actor`](crate::values::Actor).

mod account;
mod attempt;
mod contact;
mod decision;
mod media;
mod number;
mod provider;
mod request;
mod stream_category;
mod suppression;
mod template;

use std::{collections::HashMap, sync::LazyLock};

pub use self::{
    account::{AccountEvent, AccountObserved, AccountState},
    attempt::{
        Accepted, AcceptedAs, AttemptEvent, AttemptRejected, CancelReason, Cancelled, DeferReason, Deferred,
        GaveUpBecause, GivenUp, LearnedFrom, OutcomeUnknown, ProviderError, RetryClass, Started, UnknownCause,
    },
    contact::{
        AliasBound, ContactEvent, Erased, LedgerSnapshot, Merged, MergedInto, OptInSource, OptOutSource, OptedIn,
        OptedOut, PlatformResumed, PlatformStopSource, PlatformStopped,
    },
    decision::{Authorized, DecisionEvent, Expired, Refused},
    media::{FileStored, FileUnavailable, MediaEvent, StoredFile},
    number::{NumberEvent, NumberObserved, NumberStatus, QualityRating},
    provider::{
        AccountChange, AccountChanged, CallbackUnrecognised, MessageReceived, NumberChange, NumberChanged,
        PreferenceChanged, PreferenceValue, Pricing, ProviderEvent, ProviderStatus, ReceivedFile, StatusReported,
        TemplateChange, TemplateChanged,
    },
    request::{CancelRequested, Content, FreeForm, Recipient, Reference, RequestEvent, Submitted},
    stream_category::{Service, StreamCategory, UnknownStreamCategory, owner_of},
    suppression::{LiftReason, Lifted, SuppressionEvent, SuspectedBlocked, Undeliverable},
    template::{AnnouncedCategory, ObservedFrom, TemplateEvent, TemplateObserved, TemplateStatus},
};

/// Wire names of a category, each with the schema version that is written today.
pub type WireNames = &'static [(&'static str, u16)];

/// The whole catalogue: every wire name that this program knows.
pub const CATALOGUE: &[(StreamCategory, WireNames)] = &[
    wire_names::<RequestEvent>(),
    wire_names::<ProviderEvent>(),
    wire_names::<ContactEvent>(),
    wire_names::<DecisionEvent>(),
    wire_names::<AttemptEvent>(),
    wire_names::<MediaEvent>(),
    wire_names::<NumberEvent>(),
    wire_names::<TemplateEvent>(),
    wire_names::<AccountEvent>(),
    wire_names::<SuppressionEvent>(),
];

const fn wire_names<E: DomainEvent>() -> (StreamCategory, WireNames) {
    (E::CATEGORY, E::TABLE)
}

/// Whether this program knows the event of that name and version. Whoever cannot do without it must not go on if not: a newer
/// program wrote it.
pub fn is_known(wire_name: &str, version: u16) -> bool {
    static NAMES: LazyLock<HashMap<&str, u16>> = LazyLock::new(|| {
        let names = CATALOGUE.iter().flat_map(|(_, names)| names.iter().copied());
        names.collect()
    });
    NAMES.get(wire_name).is_some_and(|newest| version <= *newest)
}

/// Why bytes from the log are not an event of the wanted category.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The name is not in the category's table: written by a newer version, or a wrong category was asked.
    #[error("the {category} category has no event named {name}")]
    UnknownName {
        /// The category asked.
        category: StreamCategory,
        /// The name found.
        name: String,
    },
    /// The shape is newer than this program knows.
    #[error("{name} has schema version {version}, this program reads up to {known}")]
    UnknownVersion {
        /// The event's wire name.
        name: &'static str,
        /// The version found.
        version: u16,
        /// The newest version known here.
        known: u16,
    },
    /// The bytes do not have the shape their version promises. The position is kept, the contents are not.
    #[error("{name} cannot be read at line {line}, column {column}")]
    Shape {
        /// The event's wire name.
        name: &'static str,
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
    },
}

/// An event as the log stores it.
pub trait DomainEvent: Sized {
    /// The category of the streams it is appended to.
    const CATEGORY: StreamCategory;
    /// Every wire name of the category, with the schema version written today.
    const TABLE: &'static [(&'static str, u16)];

    /// Its stable name, such as `contact.opted_out`.
    fn wire_name(&self) -> &'static str;

    /// The version of the shape that [`to_json`](Self::to_json) writes.
    fn schema_version(&self) -> u16;

    /// Its data as JSON, personal fields sealed. Events hold only strings, numbers, lists and maps with text keys, so this
    /// cannot fail.
    fn to_json(&self) -> Vec<u8>;

    /// Reads an event back. Older versions must have been upcast before.
    fn from_json(wire_name: &str, version: u16, data: &[u8]) -> Result<Self, DecodeError>;
}

/// Declares the events of one category together with their table of wire names.
macro_rules! event_catalogue {
    (
        $(#[$doc:meta])*
        $name:ident in $category:ident {
            $( $(#[$variant_doc:meta])* $variant:ident($data:ty) = $wire:literal v $version:literal, )+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $( $(#[$variant_doc])* $variant($data), )+
        }

        impl $crate::events::DomainEvent for $name {
            const CATEGORY: $crate::events::StreamCategory = $crate::events::StreamCategory::$category;
            const TABLE: &'static [(&'static str, u16)] = &[$(($wire, $version)),+];

            fn wire_name(&self) -> &'static str {
                match self { $( Self::$variant(_) => $wire, )+ }
            }

            fn schema_version(&self) -> u16 {
                match self { $( Self::$variant(_) => $version, )+ }
            }

            fn to_json(&self) -> Vec<u8> {
                match self { $( Self::$variant(data) => $crate::events::write_json(data), )+ }
            }

            fn from_json(wire_name: &str, version: u16, data: &[u8]) -> Result<Self, $crate::events::DecodeError> {
                match wire_name {
                    $( $wire => $crate::events::read_json($wire, $version, version, data).map(Self::$variant), )+
                    _ => Err($crate::events::DecodeError::UnknownName {
                        category: Self::CATEGORY,
                        name: wire_name.chars().take(64).collect(),
                    }),
                }
            }
        }

        $( impl From<$data> for $name {
            fn from(data: $data) -> Self {
                Self::$variant(data)
            }
        } )+
    };
}
use event_catalogue;

fn write_json<T: serde::Serialize>(data: &T) -> Vec<u8> {
    serde_json::to_vec(data).expect("events hold only what JSON can hold, and writing to memory cannot fail")
}

fn read_json<T: serde::de::DeserializeOwned>(
    name: &'static str,
    known: u16,
    version: u16,
    data: &[u8],
) -> Result<T, DecodeError> {
    if version != known {
        return Err(DecodeError::UnknownVersion { name, version, known });
    }
    // serde_json's own message may quote the data.
    serde_json::from_slice(data).map_err(|error| DecodeError::Shape {
        name,
        line: error.line(),
        column: error.column(),
    })
}

#[cfg(test)]
mod tests;

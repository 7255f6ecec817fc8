//! What the tests of several modules build their sentences from.

use std::collections::BTreeMap;

use assent_sealed::{AliasHash, KeyId, Sealed};
use uuid::Uuid;

use crate::{
    events::{Accepted, AcceptedAs, Content, LearnedFrom, ProviderStatus, Recipient, StatusReported, Submitted},
    values::{
        AliasKind, AliasRef, AttemptId, ContactId, FieldHash, Fingerprint, MessageId, PhoneNumberId, TemplateName,
        TemplateRef, TenantId, Term, Timestamp, WamidHash,
    },
};

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(crate) fn contact_id(number: u128) -> ContactId {
    ContactId::new(Uuid::from_u128(number))
}

pub(crate) fn attempt_id(number: u128) -> AttemptId {
    AttemptId::new(Uuid::from_u128(number))
}

pub(crate) fn message_id(number: u128) -> MessageId {
    MessageId::new(Uuid::from_u128(number))
}

pub(crate) fn term(text: &str) -> Term {
    Term::try_new(text).unwrap()
}

pub(crate) fn sender() -> PhoneNumberId {
    PhoneNumberId::try_new("318800000000042").unwrap()
}

pub(crate) fn template() -> TemplateRef {
    TemplateRef {
        name: TemplateName::try_new("order_ready_v3").unwrap(),
        language: "en_US".parse().unwrap(),
    }
}

pub(crate) fn sealed<T>() -> Sealed<T> {
    Sealed::from_parts(KeyId(Uuid::from_u128(99)), vec![1, 2, 3])
}

pub(crate) fn alias(byte: u8) -> AliasRef {
    AliasRef {
        hash: AliasHash([byte; 32]),
        kind: AliasKind::Phone,
        sealed: Some(sealed()),
    }
}

pub(crate) fn submitted() -> Submitted {
    submitted_with("text", 1)
}

pub(crate) fn submitted_with(field: &str, hash: u8) -> Submitted {
    Submitted {
        tenant: TenantId::try_new("marlow").unwrap(),
        sender: sender(),
        recipient: Recipient {
            alias: AliasHash([1; 32]),
            other_spellings: Vec::new(),
            address: sealed(),
        },
        content: Content::Text {
            body: sealed(),
            preview_url: false,
        },
        refers_to: None,
        purpose: None,
        fingerprint: Fingerprint::new(vec![FieldHash {
            field: term(field),
            hash: [hash; 32],
        }]),
        expires_at: at(86_400),
        campaign: None,
        tags: BTreeMap::new(),
        fetch_credential: None,
        accepted_at: at(1),
    }
}

pub(crate) fn accepted(attempt: AttemptId, second: i64) -> Accepted {
    Accepted {
        attempt,
        wamid_hash: WamidHash([7; 32]),
        wamid: Some(sealed()),
        wa_id_alias: None,
        wa_id: None,
        user_id_alias: None,
        user_id: None,
        accepted_as: AcceptedAs::Accepted,
        learned_from: LearnedFrom::Answer,
        accepted_at: at(second),
    }
}

pub(crate) fn status(word: &str, second: i64) -> StatusReported {
    StatusReported {
        number: sender(),
        message: Some(message_id(1)),
        attempt: None,
        wamid_hash: WamidHash([7; 32]),
        wamid: Some(sealed()),
        recipient: vec![alias(1)],
        status: ProviderStatus::from_provider(word),
        provider_at: at(second),
        errors: Vec::new(),
        pricing: None,
        received_at: at(second + 1),
    }
}

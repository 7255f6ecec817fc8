//! The catalogue as a whole: names, owners, and that nothing is lost on the way through JSON.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::{
    testing::{at, attempt_id, sealed, submitted},
    values::{CategorySet, TemplateComponents},
};

#[test]
fn every_stream_category_has_exactly_the_owner_the_design_names() {
    let table = [
        (Service::Ingress, vec!["request", "provider"]),
        (Service::Consent, vec!["contact", "decision", "conversation", "policy"]),
        (Service::Dispatcher, vec!["attempt", "pacing", "campaign", "media"]),
        (
            Service::StatusTracker,
            vec!["number", "template", "account", "suppression"],
        ),
    ];
    let mut seen = BTreeSet::new();
    for (owner, names) in table {
        for name in names {
            let category: StreamCategory = name.parse().unwrap();
            assert_eq!(owner_of(category), owner, "{name}");
            assert!(seen.insert(category), "{name} is owned once");
        }
    }
    assert_eq!(seen, StreamCategory::ALL.into_iter().collect());
}

#[test]
fn every_wire_name_is_unique_and_begins_with_its_category() {
    let mut seen = BTreeSet::new();
    for (category, table) in CATALOGUE.iter().copied() {
        for (name, version) in table {
            assert_eq!(StreamCategory::of_event(name), Ok(category), "{name}");
            assert!(seen.insert(*name), "{name} stands in one table once");
            assert!(*version > 0);
        }
    }
}

#[test]
fn an_event_is_known_by_its_name_and_up_to_its_version() {
    assert!(is_known("contact.opted_out", 1));
    assert!(!is_known("contact.opted_out", 2));
    assert!(!is_known("contact.renamed", 1));
    assert!(!is_known("weather.changed", 1));
}

/// These names are in logs that exist. A name may be added here, never changed or removed.
#[test]
fn wire_names_never_change() {
    let names: Vec<_> = CATALOGUE
        .iter()
        .flat_map(|(_, table)| table.iter().map(|(name, _)| *name))
        .collect();
    let promised = "request.submitted request.cancel_requested \
        provider.status_reported provider.message_received provider.preference_changed provider.template_changed \
        provider.number_changed provider.account_changed provider.callback_unrecognised \
        contact.alias_bound contact.opted_in contact.opted_out contact.platform_stopped contact.platform_resumed \
        contact.merged contact.merged_into contact.erased \
        decision.authorized decision.refused decision.expired \
        attempt.started attempt.accepted attempt.rejected attempt.deferred attempt.outcome_unknown attempt.given_up \
        attempt.cancelled media.stored media.unavailable number.observed template.observed account.observed \
        suppression.suspected_blocked suppression.undeliverable suppression.lifted";
    assert_eq!(names, promised.split_whitespace().collect::<Vec<_>>());
}

#[track_caller]
fn survives<E: DomainEvent + std::fmt::Debug + PartialEq>(event: impl Into<E>) {
    let event = event.into();
    let read = E::from_json(event.wire_name(), event.schema_version(), &event.to_json()).unwrap();
    assert_eq!(read, event);
}

#[test]
fn events_come_back_from_json_as_they_went_in() {
    let mut template = submitted();
    template.content = Content::Template {
        template: crate::testing::template(),
        components: sealed::<TemplateComponents>(),
    };
    survives::<RequestEvent>(Box::new(template));
    survives::<RequestEvent>(Box::new(submitted()));
    for form in FreeForm::ALL {
        let mut free_form = submitted();
        free_form.content = Content::FreeForm { form, body: sealed() };
        free_form.refers_to = Some(Reference {
            message: None,
            wamid: sealed(),
        });
        survives::<RequestEvent>(Box::new(free_form));
    }
    survives::<RequestEvent>(CancelRequested { requested_at: at(1) });
    survives::<AttemptEvent>(Box::new(crate::testing::accepted(attempt_id(1), 5)));
    survives::<AttemptEvent>(GivenUp {
        attempt: Some(attempt_id(1)),
        because: GaveUpBecause::Silence {
            from: at(1),
            until: at(2),
            last_callback_at: at(2),
            caught_up_to: 77,
        },
        given_up_at: at(3),
    });
    survives::<MediaEvent>(Box::new(FileStored {
        number: crate::testing::sender(),
        kind: crate::testing::term("image"),
        size_bytes: 48_213,
        file: sealed(),
        received_at: at(1),
        stored_at: at(2),
    }));
    survives::<MediaEvent>(FileUnavailable {
        number: crate::testing::sender(),
        kind: crate::testing::term("image"),
        reason: crate::testing::term("hash_mismatch"),
        tries: 3,
        received_at: at(1),
        given_up_at: at(2),
    });
    for word in ["sent", "delivered", "read", "played", "failed", "something_new"] {
        survives::<ProviderEvent>(Box::new(crate::testing::status(word, 9)));
    }
    survives::<ContactEvent>(OptedIn {
        categories: CategorySet::all(),
        source: OptInSource::WebForm,
        proof: Some(sealed()),
        given_at: at(1),
        recorded_at: at(2),
    });
    survives::<ContactEvent>(Merged {
        from: crate::testing::contact_id(3),
        snapshot: LedgerSnapshot {
            aliases: vec![crate::testing::alias(1)],
            ..LedgerSnapshot::default()
        },
        merged_at: at(4),
    });
}

/// Events as they stand in logs that exist. A file may be added here, never changed or removed; the part of its name after
/// the version says what is special about it.
const GOLDEN: [(&str, &str); 7] = [
    (
        "request.submitted.v1.template",
        include_str!("golden/request.submitted.v1.template.json"),
    ),
    (
        "request.submitted.v1.text",
        include_str!("golden/request.submitted.v1.text.json"),
    ),
    (
        "request.submitted.v1.image",
        include_str!("golden/request.submitted.v1.image.json"),
    ),
    (
        "request.submitted.v1.reaction",
        include_str!("golden/request.submitted.v1.reaction.json"),
    ),
    (
        "request.submitted.v1.reply",
        include_str!("golden/request.submitted.v1.reply.json"),
    ),
    (
        "provider.message_received.v1.text",
        include_str!("golden/provider.message_received.v1.text.json"),
    ),
    (
        "provider.message_received.v1.image",
        include_str!("golden/provider.message_received.v1.image.json"),
    ),
];

#[test]
fn events_of_old_logs_are_read_and_written_as_they_were() {
    fn again<E: DomainEvent>(name: &str, version: u16, data: &[u8]) -> Vec<u8> {
        E::from_json(name, version, data).unwrap().to_json()
    }
    for (file, text) in GOLDEN {
        let parts: Vec<&str> = file.split('.').collect();
        let [category, event, version, _] = parts[..] else {
            panic!("{file}")
        };
        let version = version.strip_prefix('v').unwrap().parse().unwrap();
        let name = format!("{category}.{event}");
        let written = match category {
            "request" => again::<RequestEvent>(&name, version, text.as_bytes()),
            "provider" => again::<ProviderEvent>(&name, version, text.as_bytes()),
            other => panic!("{other}"),
        };
        let value = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
        assert_eq!(value(&written), value(text.as_bytes()), "{file}");
    }
}

#[test]
fn free_forms_are_named_in_metas_words() {
    for form in FreeForm::ALL {
        assert_eq!(serde_json::to_value(form).unwrap(), form.as_str());
    }
}

#[test]
fn an_event_holds_what_it_needs_in_stable_words() {
    let event: ContactEvent = OptedOut {
        categories: CategorySet::all(),
        source: OptOutSource::Keyword,
        proof: None,
        given_at: at(1),
        recorded_at: at(2),
    }
    .into();
    let data: serde_json::Value = serde_json::from_slice(&event.to_json()).unwrap();
    let expected = json!({
        "categories": ["marketing", "utility", "authentication", "service"],
        "source": "keyword",
        "given_at": 1_000_000,
        "recorded_at": 2_000_000,
    });
    assert_eq!(data, expected);
}

#[test]
fn what_cannot_be_read_says_why_without_quoting_it() {
    let unknown = ContactEvent::from_json("contact.reborn", 1, b"{}").unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "the contact category has no event named contact.reborn"
    );
    let newer = ContactEvent::from_json("contact.erased", 2, b"{}").unwrap_err();
    assert_eq!(
        newer.to_string(),
        "contact.erased has schema version 2, this program reads up to 1"
    );
    let shape = ContactEvent::from_json("contact.erased", 1, br#"{"requested_at":"+12025550142"}"#).unwrap_err();
    assert!(matches!(
        shape,
        DecodeError::Shape {
            name: "contact.erased",
            ..
        }
    ));
    assert!(!shape.to_string().contains("2025550142"));
}

#[test]
fn words_of_the_provider_never_fail() {
    assert_eq!(NumberStatus::from_provider("CONNECTED"), NumberStatus::Connected);
    assert_eq!(NumberStatus::from_provider("HOVERING"), NumberStatus::Unknown);
    assert_eq!(TemplateStatus::from_provider("REINSTATED"), TemplateStatus::Approved);
    assert_eq!(TemplateStatus::from_provider("IN_APPEAL"), TemplateStatus::InAppeal);
    assert_eq!(TemplateStatus::from_provider(""), TemplateStatus::Unknown);
    assert_eq!(QualityRating::from_provider("RED"), QualityRating::Red);
    assert_eq!(QualityRating::from_provider("NA"), QualityRating::Unknown);
    assert_eq!(ProviderStatus::from_provider("so so").as_str(), "so_so");
}

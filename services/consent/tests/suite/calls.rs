//! `ConsentService` as its callers see it.

use super::world::{ANA, BEN, NUMBER, SHARD, get, opt_in, opt_out, recipient, seconds_ago, world, write};
use assent_api::timestamp;
use assent_domain::events::ContactEvent;
use assent_proto::v1::{self, ConsentState, MessageCategory, OptInSource};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().unwrap().reason.clone()
}

fn check(to: &str, content: v1::content::Kind) -> v1::CheckMessageRequest {
    v1::CheckMessageRequest {
        from: NUMBER.to_owned(),
        to: recipient(to),
        content: Some(v1::Content {
            kind: Some(content),
            reply_to: None,
        }),
        category: 0,
    }
}

fn template(name: &str) -> v1::content::Kind {
    v1::content::Kind::Template(v1::TemplateContent {
        name: name.to_owned(),
        language: "en_US".to_owned(),
        ..v1::TemplateContent::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opt_in_is_recorded_once_and_shown_with_its_evidence() {
    let world = world().await;
    let mut client = world.client().await;
    let request = v1::RecordOptInRequest {
        occurred_at: Some(timestamp::render(seconds_ago(60))),
        ..opt_in(ANA, &[MessageCategory::Utility, MessageCategory::Marketing])
    };
    let first = client.record_opt_in(request.clone()).await.unwrap().into_inner();
    assert!(first.changed);
    let head = world.platform.store.head(SHARD).await.unwrap();
    let again = client.record_opt_in(request).await.unwrap().into_inner();
    assert!(!again.changed);
    assert_eq!(
        (again.contact_id.clone(), again.consents.clone()),
        (first.contact_id.clone(), first.consents)
    );
    assert_eq!(world.platform.store.head(SHARD).await.unwrap(), head);

    let contact = client
        .get_contact(get(ANA))
        .await
        .unwrap()
        .into_inner()
        .contact
        .unwrap();
    assert_eq!(
        (&contact.contact_id, &contact.consents),
        (&first.contact_id, &again.consents)
    );
    assert_eq!(contact.aliases, [recipient(ANA).unwrap()]);
    let events = world.wait_for::<ContactEvent>("contact.opted_in", 1).await;
    assert_eq!(contact.consents[0].event_id, events[0].0.id.to_string());
    assert_eq!(contact.consents[0].state(), ConsentState::OptedIn);
    let ContactEvent::OptedIn(opted_in) = &events[0].1 else {
        panic!("not an opt-in")
    };
    assert!(opted_in.proof.is_some());
    assert_eq!(events[0].0.meta().actor.split(':').next(), Some("key"));
    // Nothing of it stands in the log in the clear.
    for event in world.log().await {
        let text = String::from_utf8_lossy(&event.data).into_owned();
        assert!(
            !text.contains("2025550142") && !text.contains("write to me"),
            "{event:?}"
        );
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_at_the_same_time_make_one_contact() {
    let world = world().await;
    let client = world.client().await;
    let call = |_| {
        let mut client = client.clone();
        async move { client.record_opt_in(opt_in(ANA, &[MessageCategory::Utility])).await }
    };
    let answers = futures::future::join_all((0..20).map(call)).await;
    let mut ids: Vec<String> = answers
        .into_iter()
        .map(|answer| answer.unwrap().into_inner().contact_id)
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_opt_out_only_a_later_act_of_the_person_brings_them_back() {
    let world = world().await;
    let mut client = world.client().await;
    client
        .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
        .await
        .unwrap();
    assert!(client.record_opt_out(opt_out(ANA)).await.unwrap().into_inner().changed);
    let mut import = opt_in(ANA, &[MessageCategory::Utility]);
    import.evidence.as_mut().unwrap().source = OptInSource::Import.into();
    let refused = client.record_opt_in(import).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::FailedPrecondition, "CONSENT_WITHDRAWN")
    );
    let earlier = v1::RecordOptInRequest {
        occurred_at: Some(timestamp::render(seconds_ago(3_600))),
        ..opt_in(ANA, &[MessageCategory::Utility])
    };
    assert_eq!(
        client.record_opt_in(earlier).await.unwrap_err().code(),
        Code::FailedPrecondition
    );
    let again = client
        .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
        .await
        .unwrap()
        .into_inner();
    let utility = |consent: &&v1::CategoryConsent| consent.category() == MessageCategory::Utility;
    assert_eq!(
        again.consents.iter().find(utility).unwrap().state(),
        ConsentState::OptedIn
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_is_named_at_once() {
    let world = world().await;
    let mut client = world.client().await;
    let bad = v1::RecordOptInRequest {
        contact: None,
        categories: vec![0, MessageCategory::Service.into(), 99],
        evidence: Some(v1::OptInEvidence {
            language: "x".repeat(17),
            ..v1::OptInEvidence::default()
        }),
        occurred_at: Some(prost_types::Timestamp {
            seconds: 4_000_000_000,
            nanos: 0,
        }),
    };
    let refused = client.record_opt_in(bad).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let details = refused.get_error_details();
    let fields: Vec<_> = details
        .bad_request()
        .unwrap()
        .field_violations
        .iter()
        .map(|field| field.field.as_str())
        .collect();
    let expected = [
        "contact",
        "categories[0]",
        "categories[1]",
        "categories[2]",
        "evidence.source",
        "evidence.language",
        "occurred_at",
    ];
    assert_eq!(fields, expected);
    assert_eq!(
        client
            .get_contact(v1::GetContactRequest { key: None })
            .await
            .unwrap_err()
            .code(),
        Code::InvalidArgument
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_and_tenants_keep_people_apart() {
    let world = world().await;
    let mut client = world.client().await;
    let id = client
        .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
        .await
        .unwrap()
        .into_inner()
        .contact_id;
    let mut reader = world.reader().await;
    let refused = reader
        .record_opt_in(opt_in(BEN, &[MessageCategory::Utility]))
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "SCOPE_MISSING");
    assert_eq!(
        reader.record_opt_out(opt_out(BEN)).await.unwrap_err().code(),
        Code::PermissionDenied
    );
    reader.check_message(check(ANA, template("order_ready"))).await.unwrap();

    let by_id = v1::GetContactRequest {
        key: Some(v1::get_contact_request::Key::ContactId(id.clone())),
    };
    assert_eq!(
        reader
            .get_contact(by_id.clone())
            .await
            .unwrap()
            .into_inner()
            .contact
            .unwrap()
            .contact_id,
        id
    );
    let mut stranger = world.stranger().await;
    for request in [by_id, get(ANA)] {
        let refused = stranger.get_contact(request).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::NotFound, "CONTACT_UNKNOWN")
        );
    }
    let erase = v1::EraseContactRequest {
        key: Some(v1::erase_contact_request::Key::ContactId(id)),
        requested_at: None,
    };
    assert_eq!(stranger.erase_contact(erase).await.unwrap_err().code(), Code::NotFound);
    let refused = stranger
        .check_message(check(ANA, template("order_ready")))
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "NUMBER_UNKNOWN");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_a_request_would_get_and_records_nothing() {
    let world = world().await;
    let mut client = world.client().await;
    client
        .record_opt_in(opt_in(ANA, &[MessageCategory::Utility]))
        .await
        .unwrap();
    let head = world.platform.store.head(SHARD).await.unwrap();
    let allowed = client
        .check_message(check(ANA, template("order_ready")))
        .await
        .unwrap()
        .into_inner();
    assert!(allowed.allowed);
    assert_eq!(allowed.decision.unwrap().passes.len(), 7);
    let text = || {
        v1::content::Kind::Text(v1::TextContent {
            body: "Hi".into(),
            preview_url: false,
        })
    };
    let refused = client.check_message(check(BEN, text())).await.unwrap().into_inner();
    assert!(!refused.allowed);
    let reasons: Vec<_> = refused
        .decision
        .unwrap()
        .refusals
        .iter()
        .map(v1::Refusal::reason)
        .collect();
    assert_eq!(
        reasons,
        [v1::RefusalReason::ConsentMissing, v1::RefusalReason::WindowClosed]
    );
    assert_eq!(world.platform.store.head(SHARD).await.unwrap(), head);

    write(&world.platform, "12025550143", "Hello?", seconds_ago(60)).await;
    world.caught_up().await;
    assert!(
        client
            .check_message(check(BEN, text()))
            .await
            .unwrap()
            .into_inner()
            .allowed
    );
    world.stop().await;
}

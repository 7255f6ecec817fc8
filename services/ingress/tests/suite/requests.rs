//! Sending: once per key, whoever hangs up; every fault named.

use super::world::{
    ANA, FOREIGN_NUMBER, REFUSED, UNDECIDED, bad_fields, counted, eventually, parameter, phone, reason, request,
    within, world, world_with,
};
use assent_domain::{
    events::{Content, RequestEvent},
    values::{Alias, TemplateComponents},
};
use assent_proto::v1::{self, MessageState, Verdict, WaitFor};
use assent_runtime::{admission::AdmissionConfig, streams::purpose};
use assent_sealed::Opened;
use std::{collections::HashSet, time::Duration};
use tonic::Code;
use tonic_types::StatusExt as _;

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_message_is_answered_with_its_decision() {
    let world = world().await;
    let mut client = world.client().await;
    let sent = client
        .send_message(within(request("k1", "hello"), LONG))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(sent.state(), MessageState::Authorized);
    let decision = sent.decision.unwrap();
    assert_eq!(decision.verdict(), Verdict::Authorized);
    assert_eq!(decision.category(), v1::MessageCategory::Utility);
    assert_eq!(decision.passes.len(), 2);

    let [(recorded, RequestEvent::Submitted(submitted))] = &world.events("request.submitted").await[..] else {
        panic!("one request")
    };
    assert_eq!(recorded.stream.key.to_string(), sent.message_id);
    assert!(recorded.meta().actor.starts_with("key:"), "{}", recorded.meta().actor);
    assert_eq!(recorded.meta().tenant.as_deref(), Some("acme"));
    // The address and the content are sealed as the others expect them.
    let now = time::OffsetDateTime::now_utc();
    let keys = &world.platform.keys;
    let address = keys
        .open(&submitted.recipient.address, purpose::RECIPIENT, now)
        .await
        .unwrap();
    assert!(matches!(address, Opened::Value(Alias::Phone(number)) if number.e164() == ANA));
    let Content::Template { components, .. } = &submitted.content else {
        panic!("a template")
    };
    let Opened::Value(TemplateComponents(components)) = keys.open(components, purpose::CONTENT, now).await.unwrap()
    else {
        panic!("a living key")
    };
    assert_eq!(components[0]["parameters"][1]["text"], "tomorrow");
    assert_eq!(components[0]["type"], "body");
    let stored = String::from_utf8_lossy(&recorded.data).into_owned();
    assert!(
        !stored.contains("2025550142") && !stored.contains("tomorrow"),
        "{stored}"
    );
}

#[tokio::test]
async fn the_same_key_gets_the_same_answer_and_another_request_under_it_names_what_differs() {
    let world = world().await;
    let mut client = world.client().await;
    let first = client.send_message(request("k1", "hello")).await.unwrap().into_inner();
    let mut again = request("k1", "hello");
    // How the number is written, and what is waited for, is not part of what was asked.
    again.to = Some(phone("+1 (202) 555-0142"));
    assert_eq!(client.send_message(again.clone()).await.unwrap().into_inner(), first);
    again.wait_for = WaitFor::Accepted.into();
    let accepted = client.send_message(again).await.unwrap().into_inner();
    assert_eq!(accepted.state(), MessageState::Accepted);
    assert_eq!(
        (accepted.message_id, accepted.accepted_at),
        (first.message_id.clone(), first.accepted_at)
    );

    let mut other = request("k1", "hello");
    other.to = Some(phone("+12025550143"));
    other.tags.clear();
    other.category = v1::MessageCategory::Marketing.into();
    let Some(v1::content::Kind::Template(template)) = other.content.as_mut().and_then(|c| c.kind.as_mut()) else {
        panic!("a template")
    };
    template.body_parameters[0] = parameter("Eva");
    let error = client.send_message(other).await.unwrap_err();
    assert_eq!(reason(&error), (Code::AlreadyExists, "IDEMPOTENCY_KEY_REUSED".into()));
    assert_eq!(bad_fields(&error), ["category", "content", "tags", "to"]);
    assert!(!format!("{error:?}").contains("2025550"), "{error:?}");
    assert_eq!(world.events::<RequestEvent>("request.submitted").await.len(), 1);

    // Another tenant's key of the same name is another key.
    let mut theirs = request("k1", "hello");
    theirs.from = FOREIGN_NUMBER.into();
    let theirs = world.stranger().await.send_message(theirs).await.unwrap().into_inner();
    assert_ne!(theirs.message_id, first.message_id);
}

#[tokio::test]
async fn a_refusal_gives_every_reason_and_the_same_key_the_same_refusal() {
    let world = world().await;
    let mut client = world.client().await;
    let first = client.send_message(request("k1", REFUSED)).await.unwrap_err();
    assert_eq!(reason(&first), (Code::FailedPrecondition, "MESSAGE_REFUSED".into()));
    let details = first.get_error_details();
    let violations = &details.precondition_failure().unwrap().violations;
    let reasons: Vec<_> = violations
        .iter()
        .map(|violation| (violation.r#type.as_str(), violation.subject.as_str()))
        .collect();
    assert_eq!(
        reasons,
        [
            ("REFUSAL_REASON_TEMPLATE_PAUSED", "GATE_TEMPLATE"),
            ("REFUSAL_REASON_CONSENT_MISSING", "GATE_CONSENT"),
        ]
    );
    let message_id = details.error_info().unwrap().metadata["message_id"].clone();
    for _ in 0..3 {
        let again = client.send_message(request("k1", REFUSED)).await.unwrap_err();
        assert_eq!((again.code(), again.message()), (first.code(), first.message()));
        let (again, first) = (again.get_error_details(), first.get_error_details());
        assert_eq!(
            format!("{:?}", again.precondition_failure()),
            format!("{:?}", first.precondition_failure())
        );
        assert_eq!(
            again.error_info().unwrap().metadata,
            first.error_info().unwrap().metadata
        );
    }
    // Typed, by the id in the error.
    let key = Some(v1::get_message_request::Key::MessageId(message_id));
    let get = v1::GetMessageRequest {
        key,
        include_timeline: false,
    };
    let message = client.get_message(get).await.unwrap().into_inner().message.unwrap();
    assert_eq!(message.state(), MessageState::Refused);
    assert!(message.r#final);
    assert_eq!(
        message.decision.unwrap().refusals[1].reason(),
        v1::RefusalReason::ConsentMissing
    );
}

#[tokio::test]
async fn without_a_decision_the_caller_is_told_before_its_deadline_that_the_message_is_durable() {
    let world = world().await;
    let mut client = world.client().await;
    let begun = std::time::Instant::now();
    let sent = client
        .send_message(within(request("k1", UNDECIDED), Duration::from_millis(600)))
        .await
        .unwrap()
        .into_inner();
    assert!(begun.elapsed() >= Duration::from_millis(400));
    assert_eq!(sent.state(), MessageState::Accepted);
    assert_eq!(sent.decision, None);
    assert_eq!(world.events::<RequestEvent>("request.submitted").await.len(), 1);

    let mut quick = request("k2", UNDECIDED);
    quick.wait_for = WaitFor::Accepted.into();
    let sent = client.send_message(quick).await.unwrap().into_inner();
    assert_eq!(sent.state(), MessageState::Accepted);
}

#[tokio::test]
async fn a_fetch_credential_is_named_only_by_a_tenant_that_has_it() {
    let world = world().await;
    let mut client = world.client().await;
    let with = |key: &str, name: &str| v1::SendMessageRequest {
        fetch_credential: name.to_owned(),
        ..request(key, "hello")
    };
    client.send_message(within(with("k1", "vault"), LONG)).await.unwrap();
    let [(_, RequestEvent::Submitted(submitted))] = &world.events("request.submitted").await[..] else {
        panic!("one request")
    };
    assert_eq!(submitted.fetch_credential.as_ref().unwrap().as_str(), "vault");
    // Another login is another request.
    let error = client.send_message(request("k1", "hello")).await.unwrap_err();
    assert_eq!(error.code(), Code::AlreadyExists);
    for name in ["safe", "two words"] {
        let error = client.send_message(with("k2", name)).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(bad_fields(&error), ["fetch_credential"], "{name}");
    }
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let world = world().await;
    let mut client = world.client().await;
    let mut bad = request("two words", "Order Update");
    bad.from = "+1 202".into();
    bad.to = Some(phone("2025550177"));
    bad.category = 77;
    bad.wait_for = 9;
    bad.tags = [("a b".to_owned(), "x".to_owned())].into();
    bad.campaign = "spring sale".into();
    bad.expiry = Some(v1::send_message_request::Expiry::Ttl(prost_types::Duration {
        seconds: 0,
        nanos: 0,
    }));
    let error = client.send_message(bad).await.unwrap_err();
    assert_eq!(reason(&error), (Code::InvalidArgument, "INVALID_REQUEST".into()));
    let mut fields = bad_fields(&error);
    fields.sort();
    assert_eq!(
        fields,
        [
            "campaign",
            "category",
            "content.template.name",
            "from",
            "idempotency_key",
            "tags[0].key",
            "to.phone_number",
            "ttl",
            "wait_for",
        ]
    );
    assert!(!format!("{error:?}").contains("2025550177"));

    let nothing = client
        .send_message(v1::SendMessageRequest::default())
        .await
        .unwrap_err();
    assert_eq!(bad_fields(&nothing), ["idempotency_key", "from", "to", "content"]);

    let mut late = request("k1", "hello");
    late.expiry = Some(v1::send_message_request::Expiry::ExpiresAt(prost_types::Timestamp {
        seconds: 5,
        nanos: 0,
    }));
    assert_eq!(
        bad_fields(&client.send_message(late).await.unwrap_err()),
        ["expires_at"]
    );
    assert!(world.log().await.is_empty(), "nothing half-done");
}

#[tokio::test]
async fn another_tenants_number_is_unknown() {
    let world = world().await;
    let mut foreign = request("k1", "hello");
    foreign.from = FOREIGN_NUMBER.into();
    let error = world.client().await.send_message(foreign).await.unwrap_err();
    assert_eq!(reason(&error), (Code::NotFound, "NUMBER_UNKNOWN".into()));
    assert!(world.log().await.is_empty());
}

#[tokio::test]
async fn an_expiry_that_has_passed_meanwhile_still_gets_the_first_answer() {
    let world = world().await;
    let mut client = world.client().await;
    let soon = time::OffsetDateTime::now_utc() + time::Duration::milliseconds(400);
    let expires_at = prost_types::Timestamp {
        seconds: soon.unix_timestamp(),
        nanos: soon.nanosecond() as i32,
    };
    let mut brief = request("k1", "hello");
    brief.expiry = Some(v1::send_message_request::Expiry::ExpiresAt(expires_at));
    let first = client.send_message(brief.clone()).await.unwrap().into_inner();
    while time::OffsetDateTime::now_utc() <= soon {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client.send_message(brief.clone()).await.unwrap().into_inner(), first);
    brief.idempotency_key = "k2".into();
    assert_eq!(
        bad_fields(&client.send_message(brief).await.unwrap_err()),
        ["expires_at"]
    );
}

#[tokio::test]
async fn callers_who_hang_up_and_retry_are_taken_in_exactly_once() {
    const CALLERS: usize = 60;
    let world = world().await;
    let client = world.client().await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let mut client = client.clone();
        callers.spawn(async move {
            let key = format!("k{caller}");
            let patience = Duration::from_micros(200 * (caller as u64 + 1));
            let first = client.send_message(request(&key, "hello"));
            // Dropping the call is hanging up.
            let hung_up = tokio::time::timeout(patience, first).await.is_err();
            let sent = client.send_message(request(&key, "hello")).await.unwrap().into_inner();
            assert_eq!(sent.state(), MessageState::Authorized);
            (hung_up, sent.message_id)
        });
    }
    let results = callers.join_all().await;
    assert!(
        results.iter().any(|(hung_up, _)| *hung_up),
        "nobody hung up: the test shows nothing"
    );
    let ids: HashSet<_> = results.into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids.len(), CALLERS);
    assert_eq!(world.events::<RequestEvent>("request.submitted").await.len(), CALLERS);
}

#[tokio::test]
async fn a_caller_who_hangs_up_for_good_is_taken_in_all_the_same() {
    let world = world().await;
    let mut client = world.client().await;
    let call = client.send_message(request("k1", UNDECIDED));
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    eventually("the request is in the log", async || {
        world.events::<RequestEvent>("request.submitted").await.len() == 1
    })
    .await;
}

#[tokio::test]
async fn past_its_limit_the_process_asks_callers_to_come_back() {
    let world = world_with(AdmissionConfig {
        in_flight_max: 1,
        ..AdmissionConfig::default()
    })
    .await;
    let mut waiting = world.client().await;
    let waiting = tokio::spawn(async move { waiting.send_message(within(request("k1", UNDECIDED), LONG)).await });
    eventually("the first call is in flight", async || {
        world.events::<RequestEvent>("request.submitted").await.len() == 1
    })
    .await;
    let error = world
        .client()
        .await
        .send_message(request("k2", "hello"))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), (Code::ResourceExhausted, "OVERLOADED".into()));
    assert!(error.get_error_details().retry_info().unwrap().retry_delay.is_some());
    assert_eq!(
        waiting.await.unwrap().unwrap().into_inner().state(),
        MessageState::Accepted
    );
}

#[tokio::test]
async fn every_request_is_counted_once_by_what_became_of_it() {
    let world = world_with(AdmissionConfig {
        in_flight_max: 1,
        ..AdmissionConfig::default()
    })
    .await;
    let outcomes = [
        "accepted",
        "repeated",
        "OVERLOADED",
        "IDEMPOTENCY_KEY_REUSED",
        "INVALID_REQUEST",
    ];
    let count = || outcomes.map(|outcome| counted("assent_ingress_requests_total", &format!("\"{outcome}\"")));
    let before = count();
    let mut client = world.client().await;
    // Refused by a gate is taken in all the same.
    client.send_message(request("k1", REFUSED)).await.unwrap_err();
    client.send_message(request("k2", "hello")).await.unwrap();
    client.send_message(request("k2", "hello")).await.unwrap();
    client.send_message(request("k2", "other")).await.unwrap_err();
    client.send_message(request("", "hello")).await.unwrap_err();
    let mut waiting = world.client().await;
    let waiting = tokio::spawn(async move { waiting.send_message(within(request("k3", UNDECIDED), LONG)).await });
    eventually("a call is in flight", async || {
        world.events::<RequestEvent>("request.submitted").await.len() == 3
    })
    .await;
    client.send_message(request("k4", "hello")).await.unwrap_err();
    // Whoever hangs up was taken in.
    waiting.abort();
    let after = count();
    let counted: Vec<u64> = before.iter().zip(after).map(|(before, after)| after - before).collect();
    assert_eq!(counted, [3, 1, 1, 1, 1]);
}

#[tokio::test]
async fn a_process_that_ends_answers_what_it_took_in() {
    let mut world = world().await;
    let mut client = world.client().await;
    let waiting = tokio::spawn(async move { client.send_message(within(request("k1", UNDECIDED), LONG)).await });
    eventually("the call is in flight", async || {
        world.events::<RequestEvent>("request.submitted").await.len() == 1
    })
    .await;
    world.stop().await;
    let sent = waiting.await.unwrap().unwrap().into_inner();
    assert_eq!(sent.state(), MessageState::Accepted);
}

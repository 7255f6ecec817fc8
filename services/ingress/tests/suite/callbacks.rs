//! What Meta reports: signed, split, kept, and never about somebody else's.

use super::world::{
    ACCOUNT, FOREIGN_ACCOUNT, FOREIGN_NUMBER, NUMBER, SHARD, VERIFY_TOKEN, World, change, counted, messages, request,
    status, world,
};
use assent_domain::{
    events::{
        AccountChange, NumberChange, PreferenceValue, ProviderEvent, ProviderStatus, StreamCategory, TemplateChange,
    },
    values::{Alias, AttemptId, CallbackBody, Category, MessageId, PhoneNumberId, TextBody, WaId, WabaId},
};
use assent_event_store::RecordedEvent;
use assent_runtime::streams::{Subject, purpose};
use assent_sealed::Opened;
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) async fn provider_events(world: &World) -> Vec<(RecordedEvent, ProviderEvent)> {
    let log = world.log().await;
    let of_provider = log.into_iter().filter(|event| event.stream.category == "provider");
    of_provider
        .map(|event| (event.clone(), assent_runtime::log::read(&event).unwrap()))
        .collect()
}

async fn one(world: &World) -> (RecordedEvent, ProviderEvent) {
    let mut events = provider_events(world).await;
    assert_eq!(events.len(), 1);
    events.remove(0)
}

fn message_id() -> MessageId {
    MessageId::new(Uuid::from_u128(77))
}

fn correlation(world: &World, tenant: &str) -> String {
    let attempt = AttemptId::new(Uuid::from_u128(78));
    world.platform.correlation(tenant, message_id(), attempt).to_string()
}

fn statuses(items: &Value) -> Value {
    change(ACCOUNT, "messages", &messages(NUMBER, "statuses", items))
}

#[tokio::test]
async fn the_challenge_is_answered_to_whoever_knows_the_token() {
    let world = world().await;
    let ask = async |tenant: &str, token: &str| {
        let query = [
            ("hub.mode", "subscribe"),
            ("hub.verify_token", token),
            ("hub.challenge", "1158201444"),
        ];
        let url = format!("http://{}/callbacks/{tenant}", world.callbacks);
        let response = world.http.get(url).query(&query).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(ask("acme", VERIFY_TOKEN).await, (200, "1158201444".to_owned()));
    assert_eq!(ask("acme", "guess").await.0, 403);
    assert_eq!(ask("globex", VERIFY_TOKEN).await.0, 403);
    assert_eq!(ask("nobody", VERIFY_TOKEN).await.0, 404);
}

#[tokio::test]
async fn a_wrong_signature_records_nothing_and_is_counted() {
    let world = world().await;
    let body = serde_json::to_vec(&statuses(&json!([status("sent", None)]))).unwrap();
    let before = counted("assent_ingress_callbacks_total", "signature");
    let wrong = format!("sha256={}", "0".repeat(64));
    assert_eq!(world.post_signed("acme", body.clone(), Some(&wrong)).await, 401);
    assert_eq!(world.post_signed("acme", body.clone(), None).await, 401);
    // Signed with acme's secret, posted to globex.
    let acme = assent_whatsapp::signature::sign(&assent_whatsapp::Secret::new("acme_app_secret"), &body);
    assert_eq!(world.post_signed("globex", body.clone(), Some(&acme)).await, 401);
    assert_eq!(world.post_signed("nobody", body.clone(), Some(&acme)).await, 404);
    // The raw bytes are what is signed: not a part of them, and not the same JSON written otherwise.
    let truncated = body[..body.len() - 1].to_vec();
    assert_eq!(world.post_signed("acme", truncated, Some(&acme)).await, 401);
    let value: Value = serde_json::from_slice(&body).unwrap();
    let encoded_again = serde_json::to_vec_pretty(&value).unwrap();
    assert_eq!(world.post_signed("acme", encoded_again, Some(&acme)).await, 401);
    let cut_short = &acme[..acme.len() - 2];
    assert_eq!(world.post_signed("acme", body.clone(), Some(cut_short)).await, 401);
    assert_eq!(counted("assent_ingress_callbacks_total", "signature"), before + 6);
    assert!(world.log().await.is_empty());
}

#[tokio::test]
async fn a_status_of_ours_stands_with_its_message_and_holds_only_hashes() {
    let world = world().await;
    let mut reported = status("failed", Some(&correlation(&world, "acme")));
    reported["errors"] = json!([{"code": 131_026, "title": "Message undeliverable"}]);
    reported["pricing"] = json!({"billable": true, "pricing_model": "PMP", "category": "utility", "type": "regular"});
    assert_eq!(world.post(&statuses(&json!([reported]))).await, 200);
    let (recorded, ProviderEvent::StatusReported(event)) = one(&world).await else {
        panic!("a status")
    };
    let stream = world
        .platform
        .stream_of(StreamCategory::Provider, Subject::Message(message_id()));
    assert_eq!(recorded.stream, stream);
    assert_eq!(recorded.meta().actor, "meta");
    assert_eq!(recorded.meta().tenant.as_deref(), Some("acme"));
    assert_eq!(event.message, Some(message_id()));
    assert_eq!(event.attempt, Some(AttemptId::new(Uuid::from_u128(78))));
    assert_eq!(event.status, ProviderStatus::Failed);
    assert_eq!(event.errors[0].code, 131_026);
    assert_eq!(event.pricing.unwrap().category.as_str(), "utility");
    assert_eq!(event.provider_at.as_seconds(), 1_795_363_199);
    let wa_id = Alias::WaId(WaId::try_new("12025550142").unwrap());
    assert_eq!(event.recipient[0].hash, world.platform.alias_hash("acme", &wa_id));
    assert!(event.wamid.is_none() && event.recipient[0].sealed.is_none());
    assert!(!String::from_utf8_lossy(&recorded.data).contains("HBgLMTIwMjU1NTAxNDI"));
}

#[tokio::test]
async fn a_status_without_our_id_stands_by_itself() {
    let world = world().await;
    let others = [None, Some("campaign-7")].map(|data| status("read", data));
    assert_eq!(world.post(&statuses(&json!(others))).await, 200);
    let events = provider_events(&world).await;
    let wamid = world.platform.wamid_hash("wamid.HBgLMTIwMjU1NTAxNDI=");
    let stream = world
        .platform
        .stream_of(StreamCategory::Provider, Subject::Wamid(wamid));
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|(recorded, _)| recorded.stream == stream));
}

#[tokio::test]
async fn what_a_person_wrote_is_sealed_and_can_be_read_back() {
    let world = world().await;
    let mut value = messages(
        NUMBER,
        "messages",
        &json!([
            {"from": "12025550142", "id": "wamid.in1", "timestamp": "1795363199", "type": "text", "text": {"body": "STOP"},
             "context": {"id": "wamid.out1"}},
            {"from": "12025550142", "id": "wamid.in2", "timestamp": "1795363200", "type": "button",
             "button": {"payload": "yes", "text": "Yes, please"}},
        ]),
    );
    value["contacts"] = json!([{"profile": {"name": "Marisol"}, "wa_id": "12025550142", "user_id": "US.408177"}]);
    assert_eq!(world.post(&change(ACCOUNT, "messages", &value)).await, 200);
    let events = provider_events(&world).await;
    assert_eq!(events.len(), 2);
    let wa_id = Alias::WaId(WaId::try_new("12025550142").unwrap());
    let person = world.platform.alias_hash("acme", &wa_id);
    let stream = world
        .platform
        .stream_of(StreamCategory::Provider, Subject::Person(person));
    let mut texts = Vec::new();
    let now = time::OffsetDateTime::now_utc();
    for (recorded, event) in &events {
        let ProviderEvent::MessageReceived(event) = event else {
            panic!("a message")
        };
        assert_eq!(recorded.stream, stream);
        assert!(event.opens_window);
        assert_eq!(event.from.len(), 2);
        assert_eq!(event.from[0].hash, person);
        let keys = &world.platform.keys;
        let alias = keys
            .open(event.from[0].sealed.as_ref().unwrap(), purpose::ALIAS, now)
            .await
            .unwrap();
        assert!(alias == Opened::Value(wa_id.clone()));
        let text = keys
            .open(event.text.as_ref().unwrap(), purpose::INBOUND, now)
            .await
            .unwrap();
        texts.push(text.value().unwrap());
        keys.open(event.profile_name.as_ref().unwrap(), purpose::PROFILE_NAME, now)
            .await
            .unwrap()
            .value()
            .unwrap();
        keys.open(&event.wamid, purpose::WAMID, now)
            .await
            .unwrap()
            .value()
            .unwrap();
        let stored = String::from_utf8_lossy(&recorded.data);
        assert!(
            !stored.contains("Marisol") && !stored.contains("STOP") && !stored.contains("2025550142"),
            "{stored}"
        );
    }
    assert!(texts == [TextBody("STOP".into()), TextBody("Yes, please".into())]);
    let ProviderEvent::MessageReceived(first) = &events[0].1 else {
        panic!("a message")
    };
    assert_eq!(first.in_reply_to, Some(world.platform.wamid_hash("wamid.out1")));
}

#[tokio::test]
async fn a_choice_in_whatsapps_own_control_stands_with_the_person() {
    let world = world().await;
    let value = json!({"metadata": {"phone_number_id": NUMBER}, "user_preferences": [
        {"wa_id": "12025550142", "category": "marketing_messages", "value": "stop", "timestamp": 1_795_363_199}]});
    assert_eq!(world.post(&change(ACCOUNT, "user_preferences", &value)).await, 200);
    let (_, ProviderEvent::PreferenceChanged(event)) = one(&world).await else {
        panic!("a preference")
    };
    assert_eq!(event.value, PreferenceValue::Stop);
    assert_eq!(event.category.as_str(), "marketing_messages");
}

#[tokio::test]
async fn changes_of_templates_numbers_and_accounts_stand_with_them() {
    let world = world().await;
    let template = json!({"event": "PAUSED", "message_template_id": 594_425_479_261_596_u64,
        "message_template_name": "hello", "message_template_language": "en_US", "reason": null,
        "other_info": {"title": "FIRST_PAUSE", "description": "x"}});
    assert_eq!(
        world
            .post(&change(ACCOUNT, "message_template_status_update", &template))
            .await,
        200
    );
    let category = json!({"message_template_id": 5, "message_template_name": "hello", "message_template_language": "en_US",
        "previous_category": "UTILITY", "new_category": "MARKETING"});
    assert_eq!(
        world
            .post(&change(ACCOUNT, "template_category_update", &category))
            .await,
        200
    );
    let number = json!({"display_phone_number": "12025550100", "event": "THROUGHPUT_UPGRADE",
        "max_daily_conversations_per_business": "TIER_UNLIMITED"});
    assert_eq!(
        world
            .post(&change(ACCOUNT, "phone_number_quality_update", &number))
            .await,
        200
    );
    let account = json!({"event": "ACCOUNT_RESTRICTION", "restriction_info": [
        {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": 1_795_999_999}]});
    assert_eq!(world.post(&change(ACCOUNT, "account_update", &account)).await, 200);

    let events = provider_events(&world).await;
    let [(t1, paused), (t2, recategorised), (n, upgraded), (a, restricted)] = &events[..] else {
        panic!("four events: {}", events.len())
    };
    let ProviderEvent::TemplateChanged(paused) = paused else {
        panic!("a template")
    };
    assert!(matches!(&paused.change, TemplateChange::Status { status, .. } if status.as_str() == "PAUSED"));
    let waba = WabaId::try_new(ACCOUNT).unwrap();
    let our_number = PhoneNumberId::try_new(NUMBER).unwrap();
    let stream = |subject| world.platform.stream_of(StreamCategory::Provider, subject);
    assert_eq!(t1.stream, stream(Subject::Template(&waba, &paused.template)));
    assert_eq!(t2.stream, t1.stream);
    let changed = TemplateChange::CategoryChanged {
        previous: Some(Category::Utility),
        current: Category::Marketing,
    };
    assert!(matches!(recategorised, ProviderEvent::TemplateChanged(event) if event.change == changed));
    assert_eq!(n.stream, stream(Subject::Number(&our_number)));
    assert!(matches!(upgraded, ProviderEvent::NumberChanged(event)
        if matches!(&event.change, NumberChange::Quality { event, .. } if event.as_str() == "THROUGHPUT_UPGRADE")));
    assert_eq!(a.stream, stream(Subject::Account(&waba)));
    assert!(matches!(restricted, ProviderEvent::AccountChanged(event)
        if matches!(&event.change, AccountChange::Restriction { until: Some(until), .. } if until.as_seconds() == 1_795_999_999)));
}

#[tokio::test]
async fn another_tenants_number_account_or_message_is_left_alone_and_counted() {
    let world = world().await;
    let whats = ["number", "account", "message"];
    let before = whats.map(|what| counted("assent_ingress_foreign_updates_total", what));
    // Their message, by the text that Meta would send back for it, on our number.
    let theirs = correlation(&world, "globex");
    let bodies = [
        change(
            ACCOUNT,
            "messages",
            &messages(FOREIGN_NUMBER, "statuses", &json!([status("read", None)])),
        ),
        change(
            FOREIGN_ACCOUNT,
            "account_update",
            &json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE"}}),
        ),
        statuses(&json!([status("failed", Some(&theirs))])),
    ];
    for body in &bodies {
        assert_eq!(world.post(body).await, 200);
    }
    assert!(world.log().await.is_empty());
    let after = whats.map(|what| counted("assent_ingress_foreign_updates_total", what));
    assert_eq!(after, before.map(|count| count + 1));

    // What is ours in the same body is recorded.
    let mixed = json!([
        status("failed", Some(&theirs)),
        status("sent", Some(&correlation(&world, "acme")))
    ]);
    assert_eq!(world.post(&statuses(&mixed)).await, 200);
    let (_, ProviderEvent::StatusReported(event)) = one(&world).await else {
        panic!("a status")
    };
    assert_eq!(event.status, ProviderStatus::Sent);
}

/// The parts of everything kept, put together.
pub(super) async fn kept(world: &World) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = Vec::new();
    let now = time::OffsetDateTime::now_utc();
    for (recorded, event) in provider_events(world).await {
        let ProviderEvent::CallbackUnrecognised(event) = event else {
            continue;
        };
        assert!(recorded.data.len() <= 256 * 1024, "{}", recorded.data.len());
        let opened = world
            .platform
            .keys
            .open(&event.body, purpose::CALLBACK, now)
            .await
            .unwrap();
        let Opened::Value(CallbackBody(part)) = opened else {
            panic!("a living key")
        };
        if event.part.0 == 1 {
            kept.push((event.reason.to_string(), String::new()));
        }
        kept.last_mut().unwrap().1.push_str(&part);
    }
    kept
}

#[tokio::test]
async fn unknown_kinds_are_kept_as_they_came() {
    let world = world().await;
    let moon = json!({"phase": "full", "number": "+12025550142"});
    assert_eq!(world.post(&change(ACCOUNT, "moon_phase", &moon)).await, 200);
    assert_eq!(world.post_bytes(b"not json at all".to_vec()).await, 200);
    let hologram = json!([{"from": "12025550142", "id": "wamid.in1", "timestamp": "1795363199", "type": "hologram",
        "hologram": {"depth": 7}}]);
    let hologram = change(ACCOUNT, "messages", &messages(NUMBER, "messages", &hologram));
    assert_eq!(world.post(&hologram).await, 200);
    let kept = kept(&world).await;
    let reasons: Vec<_> = kept.iter().map(|(reason, _)| reason.as_str()).collect();
    assert_eq!(reasons, ["unrecognised", "not_json"]);
    assert_eq!(serde_json::from_str::<Value>(&kept[0].1).unwrap(), moon);
    assert_eq!(kept[1].1, "not json at all");
    // A message counts whatever it is: somebody wrote. It is kept in its own event.
    let received = super::inbound::received(&world).await;
    assert_eq!(received[0].0.kind.as_str(), "hologram");
    assert!(received[0].0.opens_window);
    assert_eq!(received[0].1, json!({"type": "hologram", "hologram": {"depth": 7}}));
}

#[tokio::test]
async fn a_file_that_a_person_sends_is_named_once_and_described_under_seal() {
    let world = world().await;
    let image = json!([{"from": "12025550142", "id": "wamid.in1", "timestamp": "1795363199", "type": "document",
        "document": {"caption": "My papers", "filename": "Ana Ruiz.pdf", "mime_type": "application/pdf",
            "sha256": "b7Jk=", "id": "7710012", "url": "https://lookaside.fbsbx.com/x"}}]);
    let body = change(ACCOUNT, "messages", &messages(NUMBER, "messages", &image));
    // Meta calls again when it did not hear us.
    for _ in 0..2 {
        assert_eq!(world.post(&body).await, 200);
    }
    let events = provider_events(&world).await;
    assert_eq!(events.len(), 2, "nothing is kept beside the message");
    let id = world.platform.file_id("acme", "7710012");
    for (recorded, event) in events {
        let ProviderEvent::MessageReceived(message) = event else {
            panic!("a message")
        };
        let file = message.file.unwrap();
        assert_eq!(file.id, id);
        let clear = String::from_utf8_lossy(&recorded.data).into_owned();
        assert!(!clear.contains("7710012") && !clear.contains("Ruiz"), "{clear}");
        let now = time::OffsetDateTime::now_utc();
        let opened = world.platform.keys.open(&file.description, purpose::FILE, now).await;
        let description = opened.unwrap().value().unwrap();
        assert_eq!(description.provider_id, "7710012");
        assert_eq!(description.media_type.as_deref(), Some("application/pdf"));
        assert_eq!(description.filename.as_deref(), Some("Ana Ruiz.pdf"));
        assert_eq!(description.sha256.as_deref(), Some("b7Jk="));
    }
}

#[tokio::test]
async fn a_body_of_three_megabytes_is_split_and_a_larger_one_refused() {
    let world = world().await;
    let mut body = change(ACCOUNT, "moon_phase", &json!({"text": "é\"\\\n\u{1}".repeat(200_000)}));
    assert_eq!(world.post(&body).await, 200);
    let [(_, text)] = &kept(&world).await[..] else {
        panic!("one body")
    };
    let value = &body["entry"][0]["changes"][0]["value"];
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), *value);
    assert!(provider_events(&world).await.len() > 10);

    body["entry"][0]["changes"][0]["value"]["text"] = "x".repeat(3 * 1024 * 1024).into();
    assert_eq!(world.post(&body).await, 413);

    // A thousand updates in one body.
    let many: Vec<Value> = (0..1_000)
        .map(|_| status("sent", Some(&correlation(&world, "acme"))))
        .collect();
    assert_eq!(world.post(&statuses(&json!(many))).await, 200);
    let key = message_id().uuid();
    let events = world.platform.store.read_keys(SHARD, &[key]).await.unwrap();
    assert_eq!(events[&key].len(), 1_000);
}

#[tokio::test]
async fn a_text_too_long_for_an_event_is_begun_there_and_kept_whole_beside() {
    let world = world().await;
    let long = "€".repeat(200_000);
    let message = json!([{"from": "12025550142", "id": "wamid.in1", "timestamp": "1795363199", "type": "text",
        "text": {"body": long}}]);
    let body = change(ACCOUNT, "messages", &messages(NUMBER, "messages", &message));
    assert_eq!(world.post(&body).await, 200);
    let kept = kept(&world).await;
    assert_eq!(kept[0].0, "text_too_long");
    assert_eq!(serde_json::from_str::<Value>(&kept[0].1).unwrap(), body);
}

#[tokio::test]
async fn while_the_log_is_away_meta_is_asked_to_call_again() {
    let world = world().await;
    world.platform.store.close().await;
    assert_eq!(world.post(&statuses(&json!([status("sent", None)]))).await, 503);
    let error = world
        .client()
        .await
        .send_message(request("k1", "hello"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), tonic::Code::Unavailable);
}

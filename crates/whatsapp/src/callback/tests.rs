//! Each kind of report, and what happens to those nobody knows.

use serde_json::{Value, json};

use super::*;
use crate::Wamid;
use crate::client::{QualityRating, TemplateCategory, TemplateStatus};

fn parsed(body: &Value) -> Vec<Received> {
    parse(&serde_json::to_vec(body).unwrap()).unwrap()
}

fn envelope(field: &str, value: &Value) -> Value {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "215500000000001", "time": 1_777_800_000,
        "changes": [{"field": field, "value": value}]}]})
}

fn only(field: &str, value: &Value) -> Received {
    let mut received = parsed(&envelope(field, value));
    assert_eq!(received.len(), 1, "{received:?}");
    received.remove(0)
}

/// Adds fields to an object.
fn add(object: &mut Value, fields: Value) {
    let Value::Object(fields) = fields else {
        panic!("not an object")
    };
    object.as_object_mut().unwrap().extend(fields);
}

fn messages_value(extra: Value) -> Value {
    let mut value = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "12025550100", "phone_number_id": "318800000000042"},
        "contacts": [{"profile": {"name": "Ana", "username": "ana.r"}, "wa_id": "12025550142", "user_id": "US.40817735520916"}]});
    add(&mut value, extra);
    value
}

fn message(extra: Value) -> InboundMessage {
    let mut message =
        json!({"from": "12025550142", "from_user_id": "US.40817735520916", "id": "wamid.A", "timestamp": "1777800123"});
    add(&mut message, extra);
    match only("messages", &messages_value(json!({"messages": [message]}))).update {
        Update::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

fn status(status: Value) -> StatusUpdate {
    match only(
        "messages",
        &messages_value(json!({"statuses": Value::Array(vec![status])})),
    )
    .update
    {
        Update::Status(status) => *status,
        other => panic!("{other:?}"),
    }
}

fn raw_of(update: Update) -> Value {
    match update {
        Update::Unrecognised { raw, .. } => serde_json::from_str(&raw).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_text_names_its_account_number_sender_and_instant() {
    let value = messages_value(
        json!({"messages": [{"from": "12025550142", "id": "wamid.A", "timestamp": "1777800123",
        "type": "text", "text": {"body": "Is it ready?"}, "context": {"from": "12025550100", "id": "wamid.Q"}}]}),
    );
    let received = only("messages", &value);
    assert_eq!(received.account_id.as_deref(), Some("215500000000001"));
    assert_eq!(received.phone_number_id.as_deref(), Some("318800000000042"));
    assert_eq!(received.display_phone_number.as_deref(), Some("12025550100"));
    assert_eq!(
        received.entry_time,
        Some(Timestamp::from_unix_millis(1_777_800_000_000))
    );
    let Update::Message(message) = received.update else {
        panic!()
    };
    assert_eq!(message.id.as_str(), "wamid.A");
    assert_eq!(message.timestamp, Some(Timestamp::from_unix_millis(1_777_800_123_000)));
    assert_eq!(message.sender.wa_id.as_deref(), Some("12025550142"));
    assert_eq!(message.sender.user_id.as_deref(), Some("US.40817735520916"));
    assert_eq!(message.sender.profile_name.as_deref(), Some("Ana"));
    assert_eq!(message.content.written_text(), Some("Is it ready?"));
    assert_eq!(message.context.unwrap().message_id, Some(Wamid::new("wamid.Q")));
}

#[test]
fn taps_carry_what_we_put_into_them() {
    let button = message(json!({"type": "button", "button": {"payload": "OPTOUT_OFFERS", "text": "Stop promotions"}}));
    assert_eq!(button.content.tapped_payload(), Some("OPTOUT_OFFERS"));
    assert_eq!(button.content.written_text(), Some("Stop promotions"));
    let reply = message(
        json!({"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "slot_am", "title": "Morning"}}}),
    );
    assert_eq!(reply.content.tapped_payload(), Some("slot_am"));
    let row = message(json!({"type": "interactive", "interactive": {"type": "list_reply",
        "list_reply": {"id": "st_1", "title": "Harbor", "description": "Pier 4"}}}));
    assert_eq!(row.content.tapped_payload(), Some("st_1"));
    let flow = message(json!({"type": "interactive", "interactive": {"type": "nfm_reply",
        "nfm_reply": {"name": "flow", "body": "Sent", "response_json": "{\"slot\":\"0930\"}"}}}));
    assert!(
        matches!(&flow.content, InboundContent::Interactive(InteractiveReply::Flow { response_json: Some(answers), .. }) if answers.contains("0930"))
    );
    let empty = message(json!({"type": "interactive"}));
    assert!(
        matches!(&empty.content, InboundContent::Interactive(InteractiveReply::Other { raw, .. }) if raw.contains("wamid.A"))
    );
}

#[test]
fn the_other_kinds_of_messages_are_understood() {
    let media = message(
        json!({"type": "audio", "audio": {"mime_type": "audio/ogg; codecs=opus", "sha256": "b7", "id": 7_710_014, "voice": true}}),
    );
    let InboundContent::Media(audio) = &media.content else {
        panic!()
    };
    assert_eq!((audio.id.as_deref(), audio.voice), (Some("7710014"), Some(true)));
    let removed = message(json!({"type": "reaction", "reaction": {"message_id": "wamid.Q"}}));
    assert!(matches!(
        &removed.content,
        InboundContent::Reaction {
            emoji: None,
            message_id: Some(_)
        }
    ));
    let place = message(json!({"type": "location", "location": {"latitude": "38.9072", "longitude": -77.0369}}));
    assert!(matches!(&place.content, InboundContent::Location { latitude, .. } if (latitude - 38.9072).abs() < 1e-9));
    let unsupported =
        message(json!({"type": "unsupported", "unsupported": {"type": "poll"}, "errors": [{"code": 131_051}]}));
    assert_eq!(unsupported.errors[0].code, 131_051);
    assert!(matches!(&unsupported.content, InboundContent::Unsupported { kind: Some(kind) } if kind == "poll"));
    let edited =
        message(json!({"type": "edit", "edit": {"original_message_id": "wamid.O", "message": {"type": "text"}}}));
    assert!(
        matches!(&edited.content, InboundContent::Changed { original_message_id: Some(id), .. } if id.as_str() == "wamid.O")
    );
    let referred =
        message(json!({"type": "text", "text": {"body": "Hi"}, "referral": {"source_type": "ad", "ctwa_clid": "Afc"}}));
    assert_eq!(referred.referral.unwrap().click_id.as_deref(), Some("Afc"));
}

#[test]
fn a_changed_number_is_understood_in_both_forms_and_without_contacts() {
    for (key, kind) in [
        ("wa_id", "user_changed_number"),
        ("new_wa_id", "customer_changed_number"),
    ] {
        let value = json!({"metadata": {"phone_number_id": "318800000000042"}, "messages": [
            {"from": "12025550142", "id": "wamid.S", "timestamp": "1777800123", "type": "system", "system": {"type": kind, key: "12025550199"}}]});
        let Update::Message(message) = only("messages", &value).update else {
            panic!()
        };
        assert_eq!(message.sender.wa_id.as_deref(), Some("12025550142"));
        let InboundContent::System(notice) = &message.content else {
            panic!()
        };
        assert_eq!(notice.new_wa_id.as_deref(), Some("12025550199"));
    }
}

#[test]
fn a_message_of_an_unknown_kind_is_kept_whole() {
    let order = message(json!({"type": "order", "order": {"catalog_id": "5510", "product_items": []}}));
    let InboundContent::Other { kind, raw } = &order.content else {
        panic!()
    };
    assert_eq!(kind, "order");
    assert_eq!(
        serde_json::from_str::<Value>(raw).unwrap()["order"]["catalog_id"],
        "5510"
    );
    let wrong_shape = message(json!({"type": "text", "text": "just a string"}));
    assert!(matches!(&wrong_shape.content, InboundContent::Other { raw, .. } if raw.contains("just a string")));
    let no_type = message(json!({}));
    assert!(matches!(&no_type.content, InboundContent::Other { .. }));
}

#[test]
fn a_user_without_a_phone_number_is_known_by_the_scoped_id() {
    let value = json!({"metadata": {"phone_number_id": "318800000000042"},
        "contacts": [{"profile": {"name": "Ana"}, "user_id": "US.40817735520916"}],
        "messages": [{"from_user_id": "US.40817735520916", "id": "wamid.A", "timestamp": "1777800123", "type": "text", "text": {"body": "Hi"}}]});
    let Update::Message(message) = only("messages", &value).update else {
        panic!()
    };
    assert_eq!(message.sender.wa_id, None);
    assert_eq!(message.sender.user_id.as_deref(), Some("US.40817735520916"));
    assert_eq!(message.sender.profile_name.as_deref(), Some("Ana"));
}

#[test]
fn in_a_batch_everybody_keeps_their_own_name() {
    let value = json!({"contacts": [{"profile": {"name": "Ana"}, "wa_id": "1"}, {"profile": {"name": "Leo"}, "wa_id": "2"}],
        "messages": [{"from": "2", "id": "b", "type": "text", "text": {"body": "x"}}, {"from": "1", "id": "a", "type": "text", "text": {"body": "y"}},
            {"from": "3", "id": "c", "type": "text", "text": {"body": "z"}}]});
    let names: Vec<Option<String>> = parsed(&envelope("messages", &value))
        .into_iter()
        .map(|received| match received.update {
            Update::Message(message) => message.sender.profile_name,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, [Some("Leo".into()), Some("Ana".into()), None]);
}

#[test]
fn statuses_are_read_with_price_error_and_our_own_data() {
    let delivered = status(
        json!({"id": "wamid.A", "status": "delivered", "timestamp": "1777800133", "recipient_id": "12025550142",
        "recipient_user_id": "US.40817735520916", "biz_opaque_callback_data": "attempt:1",
        "conversation": {"id": "5c0e", "expiration_timestamp": "1778059330", "origin": {"type": "referral_conversion"}},
        "pricing": {"billable": true, "pricing_model": "PMP", "type": "regular", "category": "marketing", "tier": 2}}),
    );
    assert_eq!(delivered.status, DeliveryStatus::Delivered);
    assert_eq!(
        delivered.timestamp,
        Some(Timestamp::from_unix_millis(1_777_800_133_000))
    );
    assert_eq!(delivered.callback_data.as_deref(), Some("attempt:1"));
    assert_eq!(delivered.recipient.profile_name.as_deref(), Some("Ana"));
    assert_eq!(delivered.conversation_origin.as_deref(), Some("referral_conversion"));
    let pricing = delivered.pricing.unwrap();
    assert_eq!(
        (pricing.category.as_deref(), pricing.billable),
        (Some("marketing"), Some(true))
    );
    assert_eq!(pricing.other["tier"], 2);

    let failed = status(
        json!({"id": "wamid.A", "status": "failed", "timestamp": 1_777_800_131_000_i64,
        "errors": [{"code": 131_050, "title": "stopped", "error_data": {"details": "d"}}]}),
    );
    assert_eq!(failed.timestamp, Some(Timestamp::from_unix_millis(1_777_800_131_000)));
    assert_eq!(failed.errors[0].code, 131_050);
    assert!(!failed.recipient.is_identified());
}

#[test]
fn every_status_word_is_taken_and_an_unknown_one_is_kept() {
    let word = |word: &str| status(json!({"id": "wamid.A", "status": word})).status;
    assert_eq!(word("sent"), DeliveryStatus::Sent);
    assert_eq!(word("read"), DeliveryStatus::Read);
    assert_eq!(word("played"), DeliveryStatus::Played);
    assert_eq!(word("teleported"), DeliveryStatus::Other("teleported".into()));
}

#[test]
fn a_group_status_names_the_member() {
    let group = status(
        json!({"id": "wamid.A", "status": "read", "recipient_id": "g-1", "recipient_type": "group",
        "recipient_participant_id": "12025550142"}),
    );
    assert_eq!(group.participant.unwrap().wa_id.as_deref(), Some("12025550142"));
    assert_eq!(group.recipient.wa_id.as_deref(), Some("g-1"));
}

#[test]
fn a_strange_part_does_not_spoil_its_status() {
    let strange = status(
        json!({"id": "wamid.A", "status": "sent", "timestamp": "soon", "pricing": "free", "errors": {"code": 1},
        "conversation": [], "novelty": {"a": 1}}),
    );
    assert_eq!(strange.status, DeliveryStatus::Sent);
    assert_eq!(strange.timestamp, None);
    assert_eq!(strange.other["novelty"]["a"], 1);
    assert_eq!(strange.other["pricing"], "free");
}

#[test]
fn messages_statuses_and_errors_may_share_one_value() {
    let value = messages_value(json!({
        "statuses": [{"id": "wamid.A", "status": "sent"}],
        "messages": [{"from": "12025550142", "id": "wamid.B", "type": "text", "text": {"body": "Hi"}}],
        "errors": [{"code": 130_429, "title": "Rate limit hit"}]}));
    let kinds: Vec<&str> = parsed(&envelope("messages", &value))
        .iter()
        .map(|received| received.update.kind())
        .collect();
    assert_eq!(kinds, ["message", "status", "channel_error"]);
}

#[test]
fn one_strange_update_is_kept_and_its_neighbours_are_read() {
    let value = messages_value(
        json!({"statuses": [{"id": "wamid.A", "status": "sent"}, {"status": "sent"}, 7, {"id": "wamid.B", "status": "read"}]}),
    );
    let kinds: Vec<&str> = parsed(&envelope("messages", &value))
        .iter()
        .map(|received| received.update.kind())
        .collect();
    assert_eq!(kinds, ["status", "unrecognised", "unrecognised", "status"]);
}

#[test]
fn a_new_list_beside_known_ones_is_kept() {
    let value = messages_value(json!({"statuses": [{"id": "wamid.A", "status": "sent"}], "polls": [{"id": "p"}]}));
    let mut received = parsed(&envelope("messages", &value));
    assert_eq!(received.len(), 2);
    assert_eq!(raw_of(received.remove(1).update), json!({"polls": [{"id": "p"}]}));
}

#[test]
fn a_marketing_stop_is_a_preference() {
    let value = messages_value(
        json!({"user_preferences": [{"wa_id": "12025550142", "user_id": "US.40817735520916",
        "detail": "User requested to stop", "category": "marketing_messages", "value": "stop", "timestamp": 1_777_800_300}]}),
    );
    let received = only("user_preferences", &value);
    assert_eq!(received.phone_number_id.as_deref(), Some("318800000000042"));
    let Update::Preference(change) = received.update else {
        panic!()
    };
    assert_eq!(change.preference, Preference::Stop);
    assert_eq!(change.category.as_deref(), Some("marketing_messages"));
    assert_eq!(change.user.wa_id.as_deref(), Some("12025550142"));
    assert_eq!(change.timestamp, Some(Timestamp::from_unix_millis(1_777_800_300_000)));
}

#[test]
fn a_changed_scoped_id_names_both() {
    let value = json!({"user_id_update": [{"wa_id": "12025550142", "user_id": {"previous": "US.1", "current": "US.2"}, "timestamp": 1_777_800_300}]});
    let Update::UserId(change) = only("user_id_update", &value).update else {
        panic!()
    };
    assert_eq!(change.previous_user_id.as_deref(), Some("US.1"));
    assert_eq!(change.user.user_id.as_deref(), Some("US.2"));
}

#[test]
fn template_reports_are_understood() {
    let value = json!({"event": "PAUSED", "message_template_id": 940_021_177_300_155_i64, "message_template_name": "order_ready_v3",
        "message_template_language": "en_US", "message_template_category": "UTILITY", "reason": "NONE",
        "other_info": {"title": "FIRST_PAUSE", "description": "d"}});
    let Update::TemplateStatus(update) = only("message_template_status_update", &value).update else {
        panic!()
    };
    assert_eq!(update.template.id.as_deref(), Some("940021177300155"));
    assert_eq!(update.status, TemplateStatus::Paused);
    assert_eq!(
        (update.reason, update.pause_title.as_deref()),
        (None, Some("FIRST_PAUSE"))
    );

    let quality = json!({"previous_quality_score": "GREEN", "new_quality_score": "YELLOW", "message_template_id": 9, "message_template_name": "n"});
    for field in ["message_template_quality_update", "message_template_status_update"] {
        let Update::TemplateQuality(update) = only(field, &quality).update else {
            panic!()
        };
        assert_eq!(update.current, QualityRating::Yellow);
    }
}

#[test]
fn an_announced_category_is_told_apart_from_a_changed_one() {
    let notice = json!({"message_template_id": 9, "message_template_name": "n", "new_category": "UTILITY",
        "correct_category": "MARKETING", "category_update_timestamp": 1_778_000_000});
    let Update::TemplateCategory(update) = only("template_category_update", &notice).update else {
        panic!()
    };
    assert_eq!(update.current, Some(TemplateCategory::Utility));
    assert_eq!(update.announced, Some(TemplateCategory::Marketing));
    assert_eq!(
        update.takes_effect,
        Some(Timestamp::from_unix_millis(1_778_000_000_000))
    );

    let changed = json!({"message_template_id": 9, "message_template_name": "n", "previous_category": "UTILITY", "new_category": "MARKETING"});
    let Update::TemplateCategory(update) = only("template_category_update", &changed).update else {
        panic!()
    };
    assert_eq!(update.previous, Some(TemplateCategory::Utility));
    assert_eq!(update.current, Some(TemplateCategory::Marketing));
    assert_eq!(update.announced, None);
}

#[test]
fn number_and_account_reports_are_understood() {
    let quality = json!({"display_phone_number": "12025550100", "event": "THROUGHPUT_UPGRADE", "max_daily_conversations_per_business": "TIER_UNLIMITED"});
    let received = only("phone_number_quality_update", &quality);
    assert_eq!(received.display_phone_number.as_deref(), Some("12025550100"));
    let Update::NumberQuality(update) = received.update else {
        panic!()
    };
    assert_eq!(update.messaging_limit.as_deref(), Some("TIER_UNLIMITED"));

    let name = json!({"display_phone_number": "12025550100", "decision": "APPROVED", "requested_verified_name": "Marlow Optics", "rejection_reason": null});
    assert!(
        matches!(only("phone_number_name_update", &name).update, Update::NumberName(update) if update.decision == "APPROVED")
    );

    let restricted = json!({"event": "ACCOUNT_RESTRICTION", "restriction_info": [
        {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": 1_778_400_000}], "novelty": 1});
    let Update::Account(update) = only("account_update", &restricted).update else {
        panic!()
    };
    assert_eq!(
        update.restrictions[0].expires,
        Some(Timestamp::from_unix_millis(1_778_400_000_000))
    );
    assert_eq!(update.other["novelty"], 1);

    for (limit, expected) in [
        (json!(2000), "2000"),
        (json!("TIER_250"), "TIER_250"),
        (json!(-1), "-1"),
    ] {
        let value = json!({"max_daily_conversations_per_business": limit, "max_phone_numbers_per_waba": 25});
        let Update::BusinessCapability(update) = only("business_capability_update", &value).update else {
            panic!()
        };
        assert_eq!(update.messaging_limit.as_deref(), Some(expected));
    }

    let nested = json!({"entity_type": "BUSINESS", "entity_id": "5066", "alert_info": {"alert_severity": "CRITICAL", "alert_type": "OBA_REJECTED"}});
    let flat = json!({"entity_type": "BUSINESS", "entity_id": "5066", "alert_severity": "CRITICAL", "alert_type": "OBA_REJECTED"});
    for value in [nested, flat] {
        let Update::AccountAlert(alert) = only("account_alerts", &value).update else {
            panic!()
        };
        assert_eq!(
            (alert.kind.as_str(), alert.severity.as_deref()),
            ("OBA_REJECTED", Some("CRITICAL"))
        );
    }
    assert!(matches!(
        only("account_review_update", &json!({"decision": "APPROVED"})).update,
        Update::AccountReview(_)
    ));
    assert!(matches!(
        only("security", &json!({"event": "PIN_CHANGED"})).update,
        Update::Security(_)
    ));
}

#[test]
fn an_unknown_field_is_kept_as_it_came() {
    let received = only("telepathy", &json!({"thoughts": [1, 2]}));
    assert_eq!(received.account_id.as_deref(), Some("215500000000001"));
    let Update::Unrecognised { field, raw } = received.update else {
        panic!()
    };
    assert_eq!(field, "telepathy");
    assert_eq!(
        serde_json::from_str::<Value>(&raw).unwrap(),
        json!({"thoughts": [1, 2]})
    );
}

#[test]
fn json_of_another_shape_is_kept_whole() {
    for body in [
        json!({}),
        json!([]),
        json!(1),
        json!({"entry": 1}),
        json!({"entry": [1]}),
        json!({"entry": [{"id": "1"}]}),
        json!({"entry": [{"changes": [7]}]}),
        json!({"entry": [{"changes": [{"field": 1, "value": {}}]}]}),
        json!({"entry": [{"changes": [{"field": "messages", "value": null}]}]}),
    ] {
        let received = parsed(&body);
        assert_eq!(received.len(), 1, "{body}");
        assert!(matches!(received[0].update, Update::Unrecognised { .. }), "{body}");
    }
}

#[test]
fn an_entry_id_may_be_a_number() {
    let received = parsed(
        &json!({"entry": [{"id": 215_500_000_000_001_i64, "changes": [{"field": "security", "value": {"event": "PIN_CHANGED"}}]}]}),
    );
    assert_eq!(received[0].account_id.as_deref(), Some("215500000000001"));
}

#[test]
fn what_is_no_json_is_an_error_that_quotes_nothing() {
    for body in [
        &b""[..],
        b"<html>",
        b"{\"entry\":[",
        b"\xff\xfe",
        b"{\"name\":\"Ana\" Ruiz}",
    ] {
        let error = parse(body).unwrap_err();
        assert!(!error.to_string().contains("Ana"));
    }
}

#[test]
fn deep_nesting_and_huge_numbers_are_kept_not_parsed() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let body = format!(
        r#"{{"entry":[{{"id":"1","changes":[{{"field":"messages","value":{{"messages":[{{"id":"a","type":"x","x":{deep}}}]}}}}]}}]}}"#
    );
    let received = parse(body.as_bytes()).unwrap();
    assert!(matches!(&received[0].update, Update::Unrecognised { raw, .. } if raw.len() > 200_000));

    let huge = format!("1{}", "0".repeat(5000));
    let body = format!(
        r#"{{"entry":[{{"id":"1","time":1e400,"changes":[{{"field":"messages","value":{{"statuses":[{{"id":"a","status":"sent","timestamp":{huge}}}]}}}}]}}]}}"#
    );
    let received = parse(body.as_bytes()).unwrap();
    assert!(
        matches!(&received[0].update, Update::Unrecognised { raw, .. } if raw.contains(&huge) || raw.contains("1e400"))
    );
}

#[test]
fn a_full_batch_of_three_megabytes_is_parsed_in_linear_time() {
    let batch = |updates: usize| {
        let contacts: Vec<Value> = (0..updates)
            .map(|n| json!({"profile": {"name": format!("name {n}")}, "wa_id": n.to_string()}))
            .collect();
        let messages: Vec<Value> = (0..updates)
            .map(|n| {
                json!({"from": n.to_string(), "id": format!("wamid.{n}"), "timestamp": "1777800123", "type": "text",
                "text": {"body": "x".repeat(2_700)}})
            })
            .collect();
        serde_json::to_vec(&envelope(
            "messages",
            &json!({"contacts": contacts, "messages": messages}),
        ))
        .unwrap()
    };
    let body = batch(crate::limits::CALLBACK_UPDATES_MAX);
    assert!(
        body.len() > 2_700_000 && body.len() <= crate::limits::CALLBACK_BODY_BYTES_MAX,
        "{}",
        body.len()
    );
    let started = std::time::Instant::now();
    let received = parse(&body).unwrap();
    let took = started.elapsed();
    assert_eq!(received.len(), crate::limits::CALLBACK_UPDATES_MAX);
    let Update::Message(last) = &received[999].update else {
        panic!()
    };
    assert_eq!(last.sender.profile_name.as_deref(), Some("name 999"));
    // Unoptimised code takes some tens of milliseconds; a quadratic reader would take minutes.
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
}

#[test]
fn debug_shows_kinds_and_no_person() {
    let value = messages_value(json!({
        "messages": [{"from": "12025550142", "id": "wamid.SECRET", "type": "text", "text": {"body": "private words"}}],
        "statuses": [{"id": "wamid.SECRET", "status": "sent", "recipient_id": "12025550142"}],
        "novelty": [{"wa_id": "12025550142", "text": "private words"}]}));
    let received = parsed(&envelope("messages", &value));
    let mut printed = vec![format!("{received:?}")];
    for one in &received {
        printed.push(match &one.update {
            Update::Message(message) => format!("{message:?} {:?} {:?}", message.sender, message.content),
            Update::Status(status) => format!("{status:?}"),
            other => format!("{other:?}"),
        });
    }
    let printed = printed.concat();
    assert!(printed.contains("Sent") && printed.contains("text"), "{printed}");
    for secret in ["2025550142", "SECRET", "private", "Ana", "US.408"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

//! The rules, without any I/O: requests in, callbacks out, the instant given.

use serde_json::{Value, json};

use super::*;
use crate::callbacks::render;
use crate::config::{Fault, FaultKind};
use crate::request;

mod quality;

const START_MS: i64 = 1_800_000_000_000;
const MONTH_MS: i64 = 31 * 24 * 3_600 * 1_000;
const ANA: &str = "+12025550142";

fn world(change: impl FnOnce(&mut Config)) -> World {
    let mut config = Config {
        mix: Mix::ideal(),
        ..Config::default()
    };
    change(&mut config);
    config.check().unwrap();
    World::new(&config)
}

fn template(to: &str, name: &str, parameters: &[&str]) -> Value {
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|text| json!({"type": "text", "text": text}))
        .collect();
    json!({
        "messaging_product": "whatsapp", "to": to, "type": "template", "biz_opaque_callback_data": format!("cmd:{to}"),
        "template": {"name": name, "language": {"code": "en_US"}, "components": [{"type": "body", "parameters": parameters}]},
    })
}

fn text(to: &str) -> Value {
    json!({"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": "hello"}})
}

fn post(world: &mut World, now_ms: i64, body: &Value) -> Answer {
    let bytes = body.to_string().into_bytes();
    world.post(now_ms, 0, Route::Messages, request::parse(&bytes), &bytes)
}

fn code(answer: &Answer) -> i64 {
    serde_json::from_slice::<Value>(&answer.body).unwrap()["error"]["code"]
        .as_i64()
        .unwrap()
}

fn wamid(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    serde_json::from_slice::<Value>(&answer.body).unwrap()["messages"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn until(world: &mut World, now_ms: i64) -> Vec<Callback> {
    let mut out = Vec::new();
    world.advance(now_ms, &mut out);
    out
}

/// The statuses of callbacks, as `sent` or `failed 131026`.
fn statuses(callbacks: &[Callback]) -> Vec<String> {
    let statuses = callbacks.iter().filter_map(|callback| match &callback.update {
        Update::Status(update) => {
            let code = update.error_code.map(|code| format!(" {code}")).unwrap_or_default();
            Some(format!("{}{code}", update.status.as_str()))
        }
        Update::Other { .. } => None,
    });
    statuses.collect()
}

fn fields(callbacks: &[Callback]) -> Vec<&'static str> {
    let fields = callbacks.iter().filter_map(|callback| match &callback.update {
        Update::Status(_) => None,
        Update::Other { field, .. } => Some(*field),
    });
    fields.collect()
}

fn change(world: &mut World, phone: &str, change: &TruthChange) {
    world.change_person(crate::config::parse_digits(phone).unwrap(), change);
}

/// Sends one message and tells its whole story.
fn story(world: &mut World, body: &Value) -> Vec<String> {
    wamid(&post(world, START_MS, body));
    statuses(&until(world, START_MS + MONTH_MS))
}

#[test]
fn an_accepted_template_is_sent_delivered_and_read() {
    let mut world = world(|_| {});
    assert_eq!(
        story(&mut world, &template(ANA, "order_update", &["Ana", "A-17"])),
        ["sent", "delivered", "read"]
    );
    let listed = world.accepted(0, 10, true, |_| true);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].template.as_deref(), Some("order_update"));
    assert_eq!(listed[0].biz_opaque_callback_data.as_deref(), Some("cmd:+12025550142"));
    assert_eq!(listed[0].statuses.len(), 3);
    assert!(listed[0].body.is_some());
}

#[test]
fn the_same_seed_and_requests_give_the_same_bytes() {
    let run = |seed| {
        let mut world = world(|config| {
            config.seed = seed;
            config.mix = Mix::lively();
            config.faults = vec![
                Fault::rate(FaultKind::DuplicateCallback, 0.1),
                Fault::rate(FaultKind::ShuffleCallbacks, 0.1),
                Fault::rate(FaultKind::DropAfterAccept, 0.1),
            ];
        });
        let mut bytes = Vec::new();
        for at in 0..300_i64 {
            let body = template(&format!("+1202555{at:04}"), "spring_offer", &["Ana"]);
            bytes.extend(post(&mut world, START_MS + at, &body).body);
        }
        for callback in until(&mut world, START_MS + MONTH_MS) {
            bytes.extend(render(std::slice::from_ref(&callback), true));
        }
        bytes
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn the_order_of_requests_does_not_change_what_happens_to_a_person() {
    let outcome = |order: [&str; 2]| {
        let mut world = world(|config| config.mix = Mix::lively());
        for to in order {
            post(&mut world, START_MS, &template(to, "order_update", &["Ana", "A-17"]));
        }
        until(&mut world, START_MS + MONTH_MS);
        let mut of_ana = world.accepted(0, 10, false, |message| message.phone == 12_025_550_142);
        let ana = of_ana.remove(0);
        (
            ana.wamid,
            ana.statuses
                .iter()
                .map(|status| (status.status, status.at_ms))
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(outcome([ANA, "+12025550143"]), outcome(["+12025550143", ANA]));
}

#[test]
fn a_number_without_whatsapp_fails_later_with_131026() {
    let mut world = world(|_| {});
    change(
        &mut world,
        ANA,
        &TruthChange {
            on_whatsapp: Some(false),
            ..TruthChange::default()
        },
    );
    assert_eq!(
        story(&mut world, &template(ANA, "order_update", &["Ana", "A-17"])),
        ["failed 131026"]
    );
}

#[test]
fn of_a_reaction_nothing_but_sent_is_reported() {
    let mut world = world(|_| {});
    let first = post(&mut world, START_MS, &template(ANA, "order_update", &["Ana", "A-17"]));
    assert_eq!(
        statuses(&until(&mut world, START_MS + MONTH_MS)),
        ["sent", "delivered", "read"]
    );
    let now_ms = START_MS + MONTH_MS;
    world.person_writes(
        now_ms,
        0,
        12_025_550_142,
        json!({"type": "text", "text": {"body": "hi"}}),
        &mut Vec::new(),
    );
    let reaction = json!({"messaging_product": "whatsapp", "to": ANA, "type": "reaction",
        "reaction": {"message_id": wamid(&first), "emoji": "x"}});
    assert_eq!(post(&mut world, now_ms, &reaction).status, 200);
    assert_eq!(statuses(&until(&mut world, now_ms + MONTH_MS)), ["sent"]);
}

#[test]
fn free_form_text_needs_an_open_window_and_fails_later_without() {
    let mut world = world(|_| {});
    assert_eq!(story(&mut world, &text(ANA)), ["failed 131047"]);
    let now_ms = START_MS + MONTH_MS;
    let mut out = Vec::new();
    world.person_writes(
        now_ms,
        0,
        12_025_550_142,
        json!({"type": "text", "text": {"body": "hi"}}),
        &mut out,
    );
    assert_eq!(fields(&out), ["messages"]);
    wamid(&post(&mut world, now_ms + 1, &text(ANA)));
    assert_eq!(
        statuses(&until(&mut world, now_ms + MONTH_MS)),
        ["sent", "delivered", "read"]
    );
}

#[test]
fn somebody_who_blocks_is_never_delivered_again_and_quality_falls() {
    let mut world = world(|_| {});
    for at in 0..40 {
        let to = format!("+1202555{at:04}");
        change(
            &mut world,
            &to,
            &TruthChange {
                blocks_after: Some(1),
                ..TruthChange::default()
            },
        );
        post(&mut world, START_MS, &template(&to, "spring_offer", &["Ana"]));
    }
    assert_eq!(world.numbers[0].rating(START_MS), Rating::Green);
    until(&mut world, START_MS + 3_600_000);
    assert_eq!(world.numbers[0].rating(START_MS + 3_600_000), Rating::Red);
    assert_eq!(world.summary().blocked, 40);
    wamid(&post(
        &mut world,
        START_MS + 3_600_000,
        &template("+12025550000", "order_update", &["Ana", "A-17"]),
    ));
    assert_eq!(statuses(&until(&mut world, START_MS + 7_200_000)), ["sent"]);
}

#[test]
fn a_platform_stop_is_reported_and_stops_marketing_only() {
    let mut world = world(|_| {});
    change(
        &mut world,
        ANA,
        &TruthChange {
            platform_stops_after: Some(1),
            ..TruthChange::default()
        },
    );
    post(&mut world, START_MS, &template(ANA, "spring_offer", &["Ana"]));
    let callbacks = until(&mut world, START_MS + MONTH_MS);
    assert_eq!(fields(&callbacks), ["user_preferences"]);
    assert_eq!(
        story(&mut world, &template(ANA, "spring_offer", &["Ana"])),
        ["failed 131050"]
    );
    assert_eq!(
        story(&mut world, &template(ANA, "order_update", &["Ana", "A-17"])),
        ["sent", "delivered", "read"]
    );
}

#[test]
fn stop_is_written_once_as_an_ordinary_message() {
    let mut world = world(|_| {});
    change(
        &mut world,
        ANA,
        &TruthChange {
            writes_stop_after: Some(1),
            ..TruthChange::default()
        },
    );
    for _ in 0..3 {
        post(&mut world, START_MS, &template(ANA, "spring_offer", &["Ana"]));
    }
    let callbacks = until(&mut world, START_MS + MONTH_MS);
    assert_eq!(fields(&callbacks), ["messages"]);
    assert_eq!(world.summary().written, 1);
}

#[test]
fn an_offline_person_is_reached_later_or_dropped_in_silence_after_the_time_to_live() {
    let mut world = world(|_| {});
    let until_ms = START_MS + 3_600_000;
    change(
        &mut world,
        ANA,
        &TruthChange {
            offline_until_ms: Some(until_ms),
            ..TruthChange::default()
        },
    );
    wamid(&post(
        &mut world,
        START_MS,
        &template(ANA, "order_update", &["Ana", "A-17"]),
    ));
    let code = json!({"messaging_product": "whatsapp", "to": ANA, "type": "template", "template": {
        "name": "login_code", "language": {"code": "en_US"}, "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "123456"}]},
            {"type": "button", "sub_type": "url", "index": 0, "parameters": [{"type": "text", "text": "123456"}]}]}});
    wamid(&post(&mut world, START_MS, &code));
    assert_eq!(statuses(&until(&mut world, until_ms - 1)), ["sent", "sent"]);
    assert_eq!(statuses(&until(&mut world, until_ms + MONTH_MS)), ["delivered", "read"]);
}

#[test]
fn refused_sends_have_their_codes_and_are_not_listed() {
    let mut world = world(|_| {});
    let refused = [
        (template(ANA, "no_such", &[]), 132_001),
        (template(ANA, "order_update", &["Ana"]), 132_000),
        (template(ANA, "paused_offer", &[]), 132_015),
        (template("call me", "hello_world", &[]), 131_009),
        (template("+15550010001", "hello_world", &[]), 131_021),
    ];
    for (body, expected) in &refused {
        assert_eq!(code(&post(&mut world, START_MS, body)), *expected, "{body}");
    }
    world.set_registered(0, false);
    assert_eq!(
        code(&post(&mut world, START_MS, &template(ANA, "hello_world", &[]))),
        133_010
    );
    assert_eq!(world.accepted_count(), 0);
    assert_eq!(world.summary().refused_by_code.values().sum::<u64>(), 6);
}

#[test]
fn rates_and_tiers_refuse_when_the_rules_say_so() {
    let mut world = world(|config| {
        config.rules.pair_rate = true;
        config.rules.messaging_limit = true;
        config.accounts[0].numbers[0].tier = "TIER_50".to_owned();
    });
    let codes: Vec<u16> = (0..46)
        .map(|_| post(&mut world, START_MS, &template(ANA, "hello_world", &[])).status)
        .collect();
    assert_eq!(codes.iter().filter(|status| **status == 200).count(), 45);
    for at in 0..49 {
        assert_eq!(
            post(
                &mut world,
                START_MS,
                &template(&format!("+1202556{at:04}"), "hello_world", &[])
            )
            .status,
            200
        );
    }
    assert_eq!(
        code(&post(
            &mut world,
            START_MS,
            &template("+12025570000", "hello_world", &[])
        )),
        131_048
    );
}

#[test]
fn what_was_accepted_is_listed_even_if_the_client_cannot_know() {
    for kind in [
        FaultKind::DropAfterAccept,
        FaultKind::NeverAnswer,
        FaultKind::Error500AfterAccept,
        FaultKind::HtmlAfterAccept,
        FaultKind::SlowAnswer,
    ] {
        let mut world = world(|config| config.faults = vec![Fault::next(kind, 1)]);
        post(&mut world, START_MS, &template(ANA, "hello_world", &[]));
        assert_eq!(world.accepted_count(), 1, "{kind:?}");
        assert_eq!(world.accepted(0, 1, false, |_| true)[0].answer_fault, Some(kind));
        assert_eq!(statuses(&until(&mut world, START_MS + MONTH_MS)).len(), 3, "{kind:?}");
    }
}

#[test]
fn faults_before_accepting_leave_nothing_behind() {
    for kind in [
        FaultKind::DropBeforeAccept,
        FaultKind::NeverAnswerBeforeAccept,
        FaultKind::Unavailable503,
        FaultKind::HtmlError,
        FaultKind::GraphError,
    ] {
        let fault = Fault {
            code: Some(130_429),
            ..Fault::next(kind, 1)
        };
        let mut world = world(|config| config.faults = vec![fault]);
        let answer = post(&mut world, START_MS, &template(ANA, "hello_world", &[]));
        assert!(answer.status != 200 || answer.manner != Manner::Normal, "{kind:?}");
        assert_eq!(world.accepted_count(), 0, "{kind:?}");
        wamid(&post(&mut world, START_MS, &template(ANA, "hello_world", &[])));
    }
}

#[test]
fn callbacks_are_withheld_duplicated_and_shuffled_but_the_truth_is_kept() {
    let with = |kind| world(|config| config.faults = vec![Fault::rate(kind, 1.0)]);
    let body = template(ANA, "hello_world", &[]);

    let mut withheld = with(FaultKind::WithholdCallback);
    assert!(story(&mut withheld, &body).is_empty());
    let truth = &withheld.accepted(0, 1, false, |_| true)[0].statuses;
    assert_eq!(
        truth
            .iter()
            .map(|status| (status.status, status.callbacks))
            .collect::<Vec<_>>(),
        [(Status::Sent, 0), (Status::Delivered, 0), (Status::Read, 0)]
    );

    let mut duplicated = with(FaultKind::DuplicateCallback);
    assert_eq!(
        story(&mut duplicated, &body),
        ["sent", "sent", "delivered", "delivered", "read", "read"]
    );

    for at in 0..20 {
        let mut shuffled = with(FaultKind::ShuffleCallbacks);
        let mut order = story(
            &mut shuffled,
            &template(&format!("+1202555{at:04}"), "hello_world", &[]),
        );
        assert_ne!(order, ["sent", "delivered", "read"]);
        order.sort();
        assert_eq!(order, ["delivered", "read", "sent"]);
    }
}

#[test]
fn late_callbacks_leave_late_with_their_true_time() {
    let late = Fault {
        delay_ms: Some(60_000),
        ..Fault::rate(FaultKind::LateCallback, 1.0)
    };
    let mut world = world(|config| config.faults = vec![late]);
    wamid(&post(&mut world, START_MS, &template(ANA, "hello_world", &[])));
    assert!(until(&mut world, START_MS + 59_000).is_empty());
    let callbacks = until(&mut world, START_MS + MONTH_MS);
    assert_eq!(statuses(&callbacks), ["sent", "delivered", "read"]);
    let Update::Status(first) = &callbacks[0].update else {
        panic!()
    };
    assert!(first.at_ms < START_MS + 1_000);
}

#[test]
fn price_is_told_once_on_sent_and_once_on_what_proves_delivery() {
    let mut world = world(|_| {});
    change(
        &mut world,
        "+12025550143",
        &TruthChange {
            read_at_once_chance: Some(1.0),
            ..TruthChange::default()
        },
    );
    let priced = |callbacks: &[Callback]| -> Vec<(&'static str, bool)> {
        let statuses = callbacks.iter().filter_map(|callback| match &callback.update {
            Update::Status(update) => Some((update.status.as_str(), update.priced)),
            Update::Other { .. } => None,
        });
        statuses.collect()
    };
    post(&mut world, START_MS, &template(ANA, "hello_world", &[]));
    let usual = until(&mut world, START_MS + MONTH_MS);
    assert_eq!(priced(&usual), [("sent", true), ("delivered", true), ("read", false)]);
    post(
        &mut world,
        START_MS + MONTH_MS,
        &template("+12025550143", "hello_world", &[]),
    );
    let at_once = until(&mut world, START_MS + 2 * MONTH_MS);
    assert_eq!(priced(&at_once), [("sent", true), ("read", true)]);
}

#[test]
fn template_changes_are_reported_and_take_effect() {
    let mut world = world(|_| {});
    let mut out = Vec::new();
    world
        .set_template_status(START_MS, 0, "order_update", None, "PAUSED", &mut out)
        .unwrap();
    world
        .set_template_category(START_MS, 0, "order_update", "MARKETING", None, &mut out)
        .unwrap();
    assert_eq!(
        fields(&out),
        ["message_template_status_update", "template_category_update"]
    );
    assert_eq!(
        code(&post(&mut world, START_MS, &template(ANA, "order_update", &["a", "b"]))),
        132_015
    );
    world
        .set_template_status(START_MS, 0, "order_update", None, "APPROVED", &mut out)
        .unwrap();
    post(&mut world, START_MS, &template(ANA, "order_update", &["a", "b"]));
    assert_eq!(world.accepted(0, 1, false, |_| true)[0].category, "marketing");
}

#[test]
fn a_created_template_is_pending_until_its_review() {
    let mut world = world(|_| {});
    let definition = json!({"name": "fresh", "language": "en_US", "category": "UTILITY",
                            "components": [{"type": "BODY", "text": "Hi {{1}}."}]});
    let created = world.create_template(START_MS, 0, &definition, None).unwrap();
    assert_eq!(created["status"], "PENDING");
    assert_eq!(
        code(&post(&mut world, START_MS, &template(ANA, "fresh", &["Ana"]))),
        132_001
    );
    assert_eq!(
        world.create_template(START_MS, 0, &definition, None).unwrap_err().code,
        2_388_024
    );
    assert_eq!(
        fields(&until(&mut world, START_MS + 60_000)),
        ["message_template_status_update"]
    );
    wamid(&post(&mut world, START_MS + 60_000, &template(ANA, "fresh", &["Ana"])));
}

#[test]
fn repeated_opaque_data_is_counted() {
    let mut world = world(|_| {});
    for _ in 0..3 {
        post(&mut world, START_MS, &template(ANA, "hello_world", &[]));
    }
    assert_eq!(world.summary().opaque_repeated, 2);
    assert_eq!(world.summary().recipients, 1);
}

#[test]
fn a_tapped_button_carries_its_payload() {
    let mut world = world(|_| {});
    let body = json!({"messaging_product": "whatsapp", "to": ANA, "type": "template", "template": {
        "name": "order_photo", "language": {"code": "en_US"}, "components": [
            {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://x.example/a.png"}}]},
            {"type": "body", "parameters": [{"type": "text", "text": "Ana"}]},
            {"type": "button", "sub_type": "quick_reply", "index": "0", "parameters": [{"type": "payload", "payload": "OUT"}]},
            {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "x"}]}]}});
    let sent = wamid(&post(&mut world, START_MS, &body));
    let mut out = Vec::new();
    world.person_taps(START_MS, &sent, &Choice::At(0), &mut out).unwrap();
    let Update::Other { value, .. } = &out[0].update else {
        panic!()
    };
    assert_eq!(
        value["messages"][0]["button"],
        json!({"payload": "OUT", "text": "Stop updates"})
    );
    assert_eq!(value["messages"][0]["context"]["id"], sent);
    assert!(world.person_taps(START_MS, &sent, &Choice::At(1), &mut out).is_err());
}

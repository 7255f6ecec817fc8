//! Quality, pauses, pacing, limits that rise, people who change: what takes hours and days.

use super::*;

const HOUR_MS: i64 = 3_600_000;

fn offer_to(person: u64) -> Value {
    template(&format!("+1202555{person:04}"), "spring_offer", &["Ana"])
}

fn phone(person: u64) -> u64 {
    12_025_550_000 + person
}

/// Events of template status and quality among callbacks, such as `PAUSED FIRST_PAUSE` and `quality RED`.
fn events(callbacks: &[Callback]) -> Vec<String> {
    let events = callbacks.iter().filter_map(|callback| match &callback.update {
        Update::Other { field, value, .. } => match *field {
            "message_template_status_update" => {
                let title = value["other_info"]["title"].as_str().unwrap_or_default();
                Some(format!("{} {title}", value["event"].as_str().unwrap()))
            }
            "message_template_quality_update" => {
                Some(format!("quality {}", value["new_quality_score"].as_str().unwrap()))
            }
            _ => None,
        },
        Update::Status(_) => None,
    });
    events.collect()
}

fn held(answer: &Answer) -> bool {
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    body["messages"][0]["message_status"] == "held_for_quality_assessment"
}

fn report(world: &mut World, now_ms: i64, people: std::ops::Range<u64>) -> Vec<Callback> {
    let mut out = Vec::new();
    for person in people {
        world.person_reports(now_ms, 0, phone(person), &mut out);
    }
    out
}

#[test]
fn reports_turn_a_template_yellow_then_red_which_pauses_it_for_three_hours_then_six_then_for_ever() {
    let mut world = world(|config| config.rules.template_quality = true);
    let mut now_ms = START_MS;
    let mut round = |world: &mut World, first: u64| {
        for person in first..first + 40 {
            wamid(&post(world, now_ms, &offer_to(person)));
        }
        now_ms += HOUR_MS;
        let mut callbacks = until(world, now_ms);
        callbacks.extend(report(world, now_ms, first..first + 3));
        (now_ms, events(&callbacks))
    };
    let (paused_ms, told) = round(&mut world, 0);
    assert_eq!(told, ["quality YELLOW", "quality RED", "PAUSED FIRST_PAUSE"]);
    assert_eq!(code(&post(&mut world, paused_ms, &offer_to(99))), 132_015);
    assert!(events(&until(&mut world, paused_ms + 3 * HOUR_MS - 1)).is_empty());
    assert_eq!(
        events(&until(&mut world, paused_ms + 3 * HOUR_MS)),
        ["APPROVED UNPAUSE", "quality UNKNOWN"]
    );
    now_ms = paused_ms + 3 * HOUR_MS;
    let mut round = |world: &mut World, first: u64| {
        for person in first..first + 40 {
            wamid(&post(world, now_ms, &offer_to(person)));
        }
        now_ms += HOUR_MS;
        let mut callbacks = until(world, now_ms);
        callbacks.extend(report(world, now_ms, first..first + 3));
        now_ms += 6 * HOUR_MS;
        callbacks.extend(until(world, now_ms));
        events(&callbacks)
    };
    assert_eq!(
        round(&mut world, 100),
        [
            "quality YELLOW",
            "quality RED",
            "PAUSED SECOND_PAUSE",
            "APPROVED UNPAUSE",
            "quality UNKNOWN"
        ]
    );
    assert_eq!(
        round(&mut world, 200),
        ["quality YELLOW", "quality RED", "DISABLED DISABLED"]
    );
    assert_eq!(code(&post(&mut world, now_ms, &offer_to(999))), 132_016);
}

#[test]
fn a_new_template_is_paced_and_released_when_nobody_minds() {
    let mut world = world(|config| config.rules.pacing_first_messages = 10);
    world.pace_template(0, "spring_offer").unwrap();
    let answers: Vec<bool> = (0..15)
        .map(|person| held(&post(&mut world, START_MS, &offer_to(person))))
        .collect();
    assert_eq!(answers.iter().filter(|held| **held).count(), 5);
    assert!(answers[10..].iter().all(|held| *held));
    let early = until(&mut world, START_MS + 200_000);
    assert_eq!(statuses(&early).iter().filter(|status| *status == "sent").count(), 10);
    let late = until(&mut world, START_MS + 2 * HOUR_MS);
    assert_eq!(statuses(&late).iter().filter(|status| *status == "read").count(), 5);
    assert!(!held(&post(&mut world, START_MS + 2 * HOUR_MS, &offer_to(500))));
}

#[test]
fn a_paced_template_people_dislike_is_paused_until_somebody_unpauses_it_and_what_was_held_fails() {
    let mut world = world(|config| config.rules.pacing_first_messages = 25);
    world.pace_template(0, "spring_offer").unwrap();
    for person in 0..30 {
        post(&mut world, START_MS, &offer_to(person));
    }
    until(&mut world, START_MS + 60_000);
    assert!(report(&mut world, START_MS + 60_000, 0..3).is_empty());
    let callbacks = until(&mut world, START_MS + 7 * 24 * HOUR_MS);
    assert_eq!(events(&callbacks), ["PAUSED RATE_LIMITING_PAUSE"]);
    let failed = statuses(&callbacks)
        .iter()
        .filter(|status| *status == "failed 132015")
        .count();
    assert_eq!(failed, 5);
    let mut out = Vec::new();
    world
        .set_template_status(START_MS, 0, "spring_offer", None, "APPROVED", &mut out)
        .unwrap();
    assert_eq!(events(&out), ["APPROVED UNPAUSE"]);
    assert!(!held(&post(&mut world, START_MS + 8 * 24 * HOUR_MS, &offer_to(700))));
}

#[test]
fn a_template_hardly_anybody_reads_becomes_yellow() {
    let mut world = world(|config| {
        config.rules.template_quality = true;
        config.mix.reads = 0.0;
    });
    for person in 0..60 {
        post(&mut world, START_MS, &offer_to(person));
    }
    assert_eq!(events(&until(&mut world, START_MS + HOUR_MS)), ["quality YELLOW"]);
}

#[test]
fn using_half_of_the_limit_with_high_quality_raises_it_within_six_hours() {
    let mut world = world(|config| {
        config.rules.messaging_limit = true;
        config.rules.tier_upgrades = true;
        config.accounts[0].numbers[0].tier = "TIER_2K".to_owned();
    });
    for person in 0..999 {
        post(&mut world, START_MS, &offer_to(person));
    }
    assert!(!fields(&until(&mut world, START_MS + 7 * HOUR_MS)).contains(&"business_capability_update"));
    post(&mut world, START_MS + 7 * HOUR_MS, &offer_to(1_000));
    let callbacks = until(&mut world, START_MS + 13 * HOUR_MS);
    assert!(fields(&callbacks).contains(&"business_capability_update"));
    assert_eq!(world.numbers[0].tier, "TIER_10K");
}

#[test]
fn a_number_whose_throughput_is_raised_cannot_be_used_for_a_minute() {
    let mut world = world(|config| config.rules.number_rate = true);
    let mut out = Vec::new();
    world.set_number_throughput(START_MS, 0, 1_000, &mut out);
    assert_eq!(code(&post(&mut world, START_MS + 59_999, &offer_to(1))), 131_057);
    wamid(&post(&mut world, START_MS + 60_000, &offer_to(1)));
}

#[test]
fn what_people_write_uses_up_a_numbers_throughput() {
    let mut world = world(|config| config.rules.number_rate = true);
    let mut out = Vec::new();
    for person in 0..80 {
        let text = json!({"type": "text", "text": {"body": "hi"}});
        world.person_writes(START_MS, 0, phone(person), text, &mut out);
    }
    assert_eq!(code(&post(&mut world, START_MS, &offer_to(1))), 130_429);
    assert_eq!(out.len(), 80);
}

#[test]
fn management_calls_are_counted_by_the_hour() {
    let mut world = world(|config| {
        config.rules.management_rate = true;
        config.accounts[0].numbers[0].registered = false;
    });
    let allowed = (0..300).filter(|_| world.count_call(START_MS, 0).is_ok()).count();
    assert_eq!(allowed, 200);
    assert_eq!(world.count_call(START_MS, 0).unwrap_err().code, 80_007);
    assert!(world.count_call(START_MS + HOUR_MS, 0).is_ok());
}

#[test]
fn somebody_who_changes_numbers_takes_the_past_along_and_leaves_the_old_number() {
    let mut world = world(|_| {});
    let mut out = Vec::new();
    world.person_sets_preference(START_MS, 0, phone(1), true, &mut out);
    let text = json!({"type": "text", "text": {"body": "hi"}});
    world.person_writes(START_MS, 0, phone(1), text, &mut out);
    out.clear();
    world.person_changes_number(START_MS, phone(1), phone(2), &mut out);
    assert_eq!(fields(&out), ["messages", "user_id_update"]);
    let Update::Other { value, .. } = &out[0].update else {
        panic!("not a status")
    };
    assert!(value.get("contacts").is_none());
    assert_eq!(value["messages"][0]["from"], phone(1).to_string());
    assert_eq!(value["messages"][0]["system"]["wa_id"], phone(2).to_string());
    assert_eq!(story(&mut world, &offer_to(1)), ["failed 131026"]);
    assert_eq!(story(&mut world, &offer_to(2)), ["failed 131050"]);
    assert!(world.relation(0, phone(2)).window_is_open(START_MS + HOUR_MS));
    assert!(!world.relation(0, phone(1)).window_is_open(START_MS + HOUR_MS));
}

#[test]
fn a_changed_user_id_is_told_and_the_new_one_is_reached() {
    let mut world = world(|_| {});
    wamid(&post(&mut world, START_MS, &offer_to(1)));
    let before = world.accepted(0, 1, false, |_| true)[0].user_id.clone();
    let mut out = Vec::new();
    world.person_changes_user_id(START_MS, phone(1), &mut out);
    let Update::Other { value, .. } = &out[1].update else {
        panic!("not a status")
    };
    let ids = &value["user_id_update"][0]["user_id"];
    assert_eq!(ids["previous"], before);
    let mut to_new = offer_to(1);
    to_new.as_object_mut().unwrap().remove("to");
    to_new["recipient"] = ids["current"].clone();
    wamid(&post(&mut world, START_MS, &to_new));
}

#[test]
fn a_voice_note_is_played_at_last() {
    let mut world = world(|config| config.rules.window = false);
    let file = NewFile {
        mime_type: "audio/ogg".to_owned(),
        bytes: crate::sample_files::sample("audio").unwrap().bytes,
    };
    let id = world.upload(START_MS, 0, file).unwrap();
    let note = json!({"messaging_product": "whatsapp", "to": ANA, "type": "audio",
                      "audio": {"id": id.to_string(), "voice": true}});
    assert_eq!(story(&mut world, &note), ["sent", "delivered", "read", "played"]);
    let song = json!({"messaging_product": "whatsapp", "to": ANA, "type": "audio", "audio": {"id": id.to_string()}});
    assert_eq!(story(&mut world, &song), ["sent", "delivered", "read"]);
}

#[test]
fn buttons_rows_and_forms_are_answered_in_their_own_ways() {
    let mut world = world(|config| config.rules.window = false);
    let send = |world: &mut World, interactive: Value| {
        let body =
            json!({"messaging_product": "whatsapp", "to": ANA, "type": "interactive", "interactive": interactive});
        wamid(&post(world, START_MS, &body))
    };
    let buttons = send(
        &mut world,
        json!({"type": "button", "body": {"text": "When?"}, "action": {"buttons": [
        {"type": "reply", "reply": {"id": "am", "title": "Morning"}},
        {"type": "reply", "reply": {"id": "pm", "title": "Afternoon"}}]}}),
    );
    let list = send(
        &mut world,
        json!({"type": "list", "body": {"text": "Where?"}, "action": {"button": "See", "sections": [
        {"title": "a", "rows": [{"id": "1", "title": "Harbor", "description": "Pier 4"}]},
        {"title": "b", "rows": [{"id": "2", "title": "Hill"}]}]}}),
    );
    let flow = send(
        &mut world,
        json!({"type": "flow", "body": {"text": "Book"}, "action": {"name": "flow", "parameters": {
        "flow_message_version": "3", "flow_id": "9", "flow_cta": "Book", "flow_token": "ft-1"}}}),
    );
    let mut tapped = |wamid: &str, choice: Choice| {
        let mut out = Vec::new();
        world.person_taps(START_MS, wamid, &choice, &mut out)?;
        let Update::Other { value, .. } = &out[0].update else {
            panic!("not a status")
        };
        assert_eq!(value["messages"][0]["context"]["id"], *wamid);
        Ok::<_, GraphError>(value["messages"][0]["interactive"].clone())
    };
    assert_eq!(
        tapped(&buttons, Choice::At(1)).unwrap(),
        json!({"type": "button_reply", "button_reply": {"id": "pm", "title": "Afternoon"}})
    );
    assert_eq!(
        tapped(&buttons, Choice::Id("am".to_owned())).unwrap()["button_reply"]["title"],
        "Morning"
    );
    assert_eq!(
        tapped(&list, Choice::At(0)).unwrap()["list_reply"],
        json!({"id": "1", "title": "Harbor", "description": "Pier 4"})
    );
    assert_eq!(tapped(&list, Choice::At(1)).unwrap()["list_reply"]["id"], "2");
    let form = tapped(&flow, Choice::Form(json!({"slot": "0930"}))).unwrap();
    let response: Value = serde_json::from_str(form["nfm_reply"]["response_json"].as_str().unwrap()).unwrap();
    assert_eq!(response, json!({"slot": "0930", "flow_token": "ft-1"}));
    assert!(tapped(&buttons, Choice::At(2)).is_err());
    assert!(tapped(&flow, Choice::At(0)).is_err());
}

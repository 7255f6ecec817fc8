//! A clock that only moves when told to.

use assent_simulator::{DEFAULT_ACCOUNT_ID, DEFAULT_NUMBER_ID, DEFAULT_TOKEN, Latency, Mix};
use serde_json::{Value, json};

use super::support::{ANA, Stage, order_update};

const WEEK_MS: i64 = 7 * 24 * 3_600 * 1_000;

async fn standing() -> Stage {
    Stage::start_with(|config| {
        config.clock.manual = true;
        config.latency = Latency::real();
        config.mix = Mix::lively();
    })
    .await
}

#[tokio::test]
async fn the_same_requests_give_the_same_bytes_times_included() {
    let transcript = async || {
        let stage = standing().await;
        let mut bytes = Vec::new();
        for at in 0..20 {
            let response = stage
                .try_send(&order_update(&format!("+1202555{at:04}")))
                .await
                .unwrap();
            bytes.push(response.bytes().await.unwrap().to_vec());
        }
        let (_, answer) = stage.post("_sim/clock/advance", &json!({"until_quiet": true})).await;
        stage.settle().await;
        // Several POSTs are under way at once, so their order is not part of the promise.
        let mut callbacks: Vec<Vec<u8>> = stage
            .receiver
            .received()
            .iter()
            .map(|post| post.body.to_vec())
            .collect();
        callbacks.sort();
        bytes.extend(callbacks);
        (bytes, answer["now_ms"].as_i64())
    };
    let (first, second) = (transcript().await, transcript().await);
    assert!(first.0.len() > 60);
    assert_eq!(first, second);
}

#[tokio::test]
async fn nothing_happens_until_time_is_moved_and_a_week_passes_in_no_time() {
    let stage = standing().await;
    stage
        .handle
        .control()
        .change_user(
            ANA,
            &serde_json::from_value(json!({"on_whatsapp": true, "read_chance": 1.0,
        "read_at_once_chance": 0.0, "reply_chance": 0.0}))
            .unwrap(),
        )
        .unwrap();
    stage.send(&order_update(ANA)).await;
    let (_, before) = stage.get("_sim/summary").await;
    assert_eq!(before["standing"]["accepted"], 1);
    let now_ms = before["now_ms"].as_i64().unwrap();
    let started = std::time::Instant::now();
    let to = json!({"to_ms": now_ms + WEEK_MS});
    assert_eq!(
        stage.post("_sim/clock/advance", &to).await.1["now_ms"],
        now_ms + WEEK_MS
    );
    assert!(started.elapsed().as_secs() < 1);
    stage.settle().await;
    assert_eq!(stage.receiver.statuses().len(), 3);
    assert_eq!(stage.post("_sim/clock/advance", &to).await.0, 200);
    assert_eq!(stage.post("_sim/clock/advance", &json!({"to_ms": now_ms})).await.0, 400);
    assert_eq!(stage.post("_sim/clock/advance", &json!({})).await.0, 400);
}

#[tokio::test]
async fn a_red_template_is_paused_for_three_hours_and_the_review_of_a_new_one_follows_the_clock() {
    let stage = Stage::start_with(|config| {
        config.clock.manual = true;
        config.rules.template_quality = true;
    })
    .await;
    let red = json!({"score": "RED"});
    assert_eq!(stage.post("_sim/templates/order_update/quality", &red).await.0, 200);
    assert_eq!(stage.send(&order_update(ANA)).await.1["error"]["code"], 132_015);
    let hours = |hours: u64| json!({"by_ms": hours * 3_600_000});
    stage.post("_sim/clock/advance", &hours(2)).await;
    assert_eq!(stage.send(&order_update(ANA)).await.1["error"]["code"], 132_015);
    stage.post("_sim/clock/advance", &hours(1)).await;
    assert_eq!(stage.send(&order_update(ANA)).await.0, 200);
    let definition = json!({"name": "thanks", "language": "en_US", "category": "UTILITY",
                            "components": [{"type": "BODY", "text": "Thanks!"}]});
    let path = format!("{DEFAULT_ACCOUNT_ID}/message_templates");
    let (_, created) = stage.post(&path, &definition).await;
    let id = created["id"].as_str().unwrap();
    assert_eq!(stage.get(id).await.1["status"], "PENDING");
    stage.post("_sim/clock/advance", &hours(1)).await;
    assert_eq!(stage.get(id).await.1["status"], "APPROVED");
}

#[tokio::test]
async fn authentication_templates_are_made_in_several_languages_and_deleted_by_their_ids() {
    let stage = Stage::start().await;
    let definition = json!({"name": "code", "languages": ["en_US", "es_ES"], "category": "AUTHENTICATION",
        "components": [{"type": "BODY", "add_security_recommendation": true},
                       {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]}]});
    let path = format!("{DEFAULT_ACCOUNT_ID}/upsert_message_templates");
    let (status, made) = stage.post(&path, &definition).await;
    assert_eq!(status, 200, "{made}");
    let ids: Vec<&str> = made["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 2);
    let (_, again) = stage.post(&path, &definition).await;
    assert_eq!(again["data"][0]["id"], ids[0]);
    let url = stage.url(&format!(
        "{DEFAULT_ACCOUNT_ID}/message_templates?hsm_ids={}",
        json!(ids)
    ));
    let deleted = stage
        .client
        .delete(url)
        .bearer_auth(DEFAULT_TOKEN)
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.json::<Value>().await.unwrap(), json!({"success": true}));
    assert_eq!(stage.get(ids[1]).await.0, 400);
}

#[tokio::test]
async fn people_change_numbers_and_report_over_http() {
    let stage = Stage::start().await;
    stage.send(&order_update(ANA)).await;
    stage.settle().await;
    assert_eq!(stage.post("_sim/users/12025550142/report", &json!({})).await.0, 200);
    let change = json!({"to": "+12025550143"});
    assert_eq!(stage.post("_sim/users/12025550142/change-number", &change).await.0, 200);
    let (_, user) = stage.get("_sim/users/12025550143").await;
    assert!(user["relations"][DEFAULT_NUMBER_ID]["reported_at_ms"].is_i64());
    assert_eq!(
        stage.get("_sim/users/12025550142").await.1["truth"]["on_whatsapp"],
        false
    );
}

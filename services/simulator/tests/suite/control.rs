//! The control API over HTTP, and the life of a simulator.

use std::time::{Duration, Instant};

use assent_simulator::{Config, ControlError, Filter, Simulator, run};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::support::{ANA, Stage, order_update};

#[tokio::test]
async fn everything_accepted_is_listed_in_pages_and_by_filter() {
    let stage = Stage::start().await;
    for at in 0..7 {
        stage.send(&order_update(&format!("+1202555{at:04}"))).await;
    }
    let (_, first) = stage.get("_sim/accepted?limit=5").await;
    assert_eq!(first["data"].as_array().unwrap().len(), 5);
    let (_, rest) = stage
        .get(&format!("_sim/accepted?limit=5&after={}", first["next"]))
        .await;
    assert_eq!(rest["data"].as_array().unwrap().len(), 2);
    let (_, one) = stage.get("_sim/accepted?recipient=%2B12025550003&bodies=true").await;
    let message = &one["data"][0];
    assert_eq!(message["wa_id"], "12025550003");
    assert_eq!(message["template"], "order_update");
    assert_eq!(message["body"]["template"]["name"], "order_update");
    let (status, _) = stage.get("_sim/accepted?recipiant=1").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn waiting_ends_when_all_callbacks_have_arrived() {
    let stage = Stage::start().await;
    stage.send(&order_update(ANA)).await;
    let (status, report) = stage.get("_sim/wait?accepted=1&idle=true&timeout_ms=20000").await;
    assert_eq!(status, 200);
    assert_eq!(report["standing"]["read"], 1);
    assert_eq!(report["callbacks"]["acknowledged"], 3);
    assert_eq!(report["idle"], true);
    let (status, _) = stage.get("_sim/wait?accepted=2&timeout_ms=20").await;
    assert_eq!(status, 408);
}

#[tokio::test]
async fn people_are_moved_over_http() {
    let stage = Stage::start().await;
    let (status, written) = stage
        .post("_sim/users/+12025550142/write", &json!({"text": "hello"}))
        .await;
    assert_eq!(status, 200);
    assert!(written["wamid"].as_str().unwrap().starts_with("wamid."));
    assert_eq!(
        stage.post("_sim/users/12025550142/platform-stop", &json!({})).await.0,
        200
    );
    assert_eq!(stage.post("_sim/users/12025550142/block", &json!({})).await.0, 200);
    let (_, user) = stage.get("_sim/users/12025550142").await;
    assert_eq!(user["written"], 1);
    assert_eq!(user["stopped_accounts"][0], assent_simulator::DEFAULT_ACCOUNT_ID);
    let relation = &user["relations"][assent_simulator::DEFAULT_NUMBER_ID];
    assert!(relation["blocked_at_ms"].is_i64());
    let change = stage
        .client
        .patch(stage.url("_sim/users/12025550142"))
        .json(&json!({"read_chance": 0.0}));
    assert_eq!(change.send().await.unwrap().status(), 200);
    assert_eq!(stage.get("_sim/users/12025550142").await.1["truth"]["read_chance"], 0.0);
    assert_eq!(stage.post("_sim/users/12025550142/dance", &json!({})).await.0, 400);
    assert_eq!(stage.post("_sim/users/nobody/block", &json!({})).await.0, 400);
}

#[tokio::test]
async fn faults_settings_and_templates_are_set_over_http() {
    let stage = Stage::start().await;
    let (status, faults) = stage
        .post("_sim/faults", &json!([{"kind": "drop_after_accept", "next": 2}]))
        .await;
    assert_eq!((status, faults["data"][0]["next"].as_u64()), (200, Some(2)));
    assert_eq!(stage.post("_sim/faults", &json!({"kind": "earthquake"})).await.0, 400);
    let cleared = stage.client.delete(stage.url("_sim/faults")).send().await.unwrap();
    assert_eq!(cleared.status(), 200);
    assert_eq!(stage.send(&order_update(ANA)).await.0, 200);
    assert_eq!(stage.post("_sim/templates/order_update/pause", &json!({})).await.0, 200);
    assert_eq!(stage.send(&order_update(ANA)).await.1["error"]["code"], 132_015);
    assert_eq!(
        stage.post("_sim/templates/order_update/approve", &json!({})).await.0,
        200
    );
    let category = json!({"category": "MARKETING"});
    assert_eq!(
        stage.post("_sim/templates/order_update/category", &category).await.0,
        200
    );
    let rules = json!({"rules": {"allowed_recipients": ["+12025550199"]}});
    assert_eq!(stage.post("_sim/settings", &rules).await.0, 200);
    assert_eq!(stage.send(&order_update(ANA)).await.1["error"]["code"], 131_030);
}

#[tokio::test]
async fn a_reset_forgets_messages_and_keeps_the_callback_url() {
    let stage = Stage::start().await;
    stage.send(&order_update(ANA)).await;
    assert_eq!(stage.post("_sim/reset", &json!({})).await.0, 200);
    assert!(stage.accepted().is_empty());
    stage.send(&order_update("+12025550143")).await;
    stage.settle().await;
    let report = stage.handle.control().report();
    assert_eq!((report.summary.accepted, report.callbacks.acknowledged), (1, 3));
}

#[tokio::test]
async fn time_is_moved_and_a_month_passes_at_once() {
    let stage = Stage::start_with(|config| config.latency = assent_simulator::Latency::real()).await;
    stage.send(&order_update(ANA)).await;
    let before = stage.handle.control().now_ms();
    let month_ms = 30_u64 * 24 * 3_600 * 1_000;
    let (_, answer) = stage.post("_sim/clock/advance", &json!({"by_ms": month_ms})).await;
    assert!(answer["now_ms"].as_i64().unwrap() >= before + 30 * 24 * 3_600 * 1_000);
    stage.settle().await;
    assert_eq!(stage.receiver.statuses().len(), 3);
}

#[tokio::test]
async fn unknown_tokens_get_their_own_world_if_asked() {
    let stage = Stage::start_with(|config| config.isolate_tokens = true).await;
    let send = async |token: &str| {
        let url = stage.url(&format!("{}/messages", assent_simulator::DEFAULT_NUMBER_ID));
        stage
            .client
            .post(url)
            .bearer_auth(token)
            .json(&order_update(ANA))
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!(send("one").await, 200);
    assert_eq!(send("two").await, 200);
    assert_eq!(send("two").await, 200);
    assert_eq!(stage.get("_sim/summary?world=one").await.1["accepted"], 1);
    assert_eq!(stage.get("_sim/summary?world=two").await.1["accepted"], 2);
    assert_eq!(stage.get("_sim/summary").await.1["accepted"], 0);
}

#[tokio::test]
async fn a_simulator_starts_within_a_tenth_of_a_second_and_stops() {
    let started = Instant::now();
    let handle = Simulator::start(Config::default()).await.unwrap();
    let url = handle.url();
    let client = reqwest::Client::new();
    assert_eq!(
        client.get(format!("{url}/_sim/summary")).send().await.unwrap().status(),
        200
    );
    // Ten times the target, because a debug build on a busy machine is not the thing to measure.
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    handle.shutdown().await;
    assert!(client.get(format!("{url}/_sim/summary")).send().await.is_err());
}

#[tokio::test]
async fn running_ends_when_it_is_told_to() {
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(run(Config::default(), shutdown.clone()));
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(5), running)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn the_same_seed_and_requests_give_the_same_answers_over_http() {
    let transcript = async || {
        let stage = Stage::start_with(|config| {
            config.mix = assent_simulator::Mix::lively();
            config.apps[0].callback_url = None;
        })
        .await;
        let mut answers = Vec::new();
        for at in 0..30 {
            let response = stage
                .try_send(&order_update(&format!("+1202555{at:04}")))
                .await
                .unwrap();
            answers.push(response.bytes().await.unwrap());
        }
        stage.settle().await;
        let ends: Vec<Value> = stage
            .accepted()
            .iter()
            .map(|message| json!(message.statuses.iter().map(|status| status.status).collect::<Vec<_>>()))
            .collect();
        (answers, ends)
    };
    assert_eq!(transcript().await, transcript().await);
}

#[tokio::test]
async fn mistakes_of_a_test_author_are_told() {
    let stage = Stage::start().await;
    let control = stage.handle.control();
    assert_eq!(
        control.write_text("nobody", None, "x").unwrap_err(),
        ControlError::NotAPhoneNumber
    );
    assert_eq!(
        control.write_text(ANA, Some("1"), "x").unwrap_err(),
        ControlError::UnknownNumber
    );
    assert!(matches!(control.read("wamid.none"), Err(ControlError::Refused { .. })));
    let filter = Filter {
        recipient: Some("nobody".to_owned()),
        ..Filter::default()
    };
    assert!(control.accepted(&filter).is_err());
}

#[tokio::test]
async fn everybody_met_is_listed_with_the_hidden_truth() {
    let stage = Stage::start_with(|config| config.mix = assent_simulator::Mix::lively()).await;
    for at in 0..5 {
        stage.send(&order_update(&format!("+1202555{at:04}"))).await;
    }
    let (_, first) = stage.get("_sim/users?limit=3").await;
    assert_eq!(first["data"].as_array().unwrap().len(), 3);
    let next = first["next"].as_str().unwrap();
    let (_, rest) = stage.get(&format!("_sim/users?after={next}")).await;
    let phones: Vec<&str> = first["data"]
        .as_array()
        .unwrap()
        .iter()
        .chain(rest["data"].as_array().unwrap())
        .map(|user| user["phone"].as_str().unwrap())
        .collect();
    assert_eq!(
        phones,
        [
            "12025550000",
            "12025550001",
            "12025550002",
            "12025550003",
            "12025550004"
        ]
    );
    assert!(first["data"][0]["truth"]["on_whatsapp"].is_boolean());
    assert_eq!(first["data"][0]["accepted"], 1);
}

//! What a business arranges for a number, an app or a token.

use assent_simulator::{DEFAULT_APP_ID, DEFAULT_APP_SECRET, DEFAULT_NUMBER_ID, DEFAULT_TOKEN, DEFAULT_VERIFY_TOKEN};
use serde_json::{Value, json};

use super::support::{ANA, Stage, order_update};

fn edge(name: &str) -> String {
    format!("v23.0/{DEFAULT_NUMBER_ID}/{name}")
}

async fn call(stage: &Stage, method: reqwest::Method, path: &str, token: &str) -> (u16, Value) {
    let request = stage.client.request(method, stage.url(path)).bearer_auth(token);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn the_profile_is_changed_member_by_member_and_checked() {
    let stage = Stage::start().await;
    let path = edge("whatsapp_business_profile");
    let profile = json!({"messaging_product": "whatsapp", "about": "Open 9–18", "email": "a@shop.example",
                         "websites": ["https://shop.example"], "vertical": "RETAIL"});
    assert_eq!(stage.post(&path, &profile).await.0, 200);
    let more = json!({"messaging_product": "whatsapp", "address": "12 K St NW"});
    assert_eq!(stage.post(&path, &more).await.0, 200);
    let (_, shown) = stage.get(&format!("{path}?fields=about,address,websites")).await;
    assert_eq!(
        shown["data"][0],
        json!({"about": "Open 9–18", "address": "12 K St NW",
               "websites": ["https://shop.example"]})
    );
    for wrong in [
        json!({"about": "no product"}),
        json!({"messaging_product": "whatsapp", "about": "x".repeat(140)}),
        json!({"messaging_product": "whatsapp", "websites": ["shop.example"]}),
        json!({"messaging_product": "whatsapp", "colour": "red"}),
    ] {
        assert_eq!(stage.post(&path, &wrong).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn automation_and_settings_are_kept() {
    let stage = Stage::start().await;
    let automation = json!({"enable_welcome_message": true, "prompts": ["Opening hours?"],
                            "commands": [{"command_name": "track", "command_description": "Where is my order"}]});
    assert_eq!(stage.post(&edge("conversational_automation"), &automation).await.0, 200);
    let (_, number) = stage
        .get(&format!("{DEFAULT_NUMBER_ID}?fields=conversational_automation"))
        .await;
    let mut kept = automation.clone();
    kept["id"] = json!(DEFAULT_NUMBER_ID);
    assert_eq!(number["conversational_automation"], kept);
    let five = json!({"prompts": ["1", "2", "3", "4", "5"]});
    assert_eq!(stage.post(&edge("conversational_automation"), &five).await.0, 400);
    let settings = json!({"user_identity_change": {"enable_identity_key_check": true}});
    assert_eq!(stage.post(&edge("settings"), &settings).await.0, 200);
    assert_eq!(
        stage.get(&edge("settings")).await.1["user_identity_change"],
        settings["user_identity_change"]
    );
}

#[tokio::test]
async fn a_number_is_proved_by_a_code_and_registered_with_its_pin() {
    let stage = Stage::start().await;
    // As pywa sends it: in the query.
    let asked = format!("{}?code_method=SMS&language=en_US", edge("request_code"));
    assert_eq!(call(&stage, reqwest::Method::POST, &asked, DEFAULT_TOKEN).await.0, 200);
    let shown = format!("{DEFAULT_NUMBER_ID}?fields=code_verification_status");
    assert_eq!(stage.get(&shown).await.1["code_verification_status"], "NOT_VERIFIED");
    let (_, sent) = stage.get(&format!("_sim/numbers/{DEFAULT_NUMBER_ID}/sent-code")).await;
    let code = sent["code"].as_str().unwrap();
    assert_eq!(stage.post(&edge("verify_code"), &json!({"code": "0"})).await.0, 400);
    assert_eq!(stage.post(&edge("verify_code"), &json!({"code": code})).await.0, 200);
    assert_eq!(stage.get(&shown).await.1["code_verification_status"], "VERIFIED");
    let register = |pin: &str| json!({"messaging_product": "whatsapp", "pin": pin});
    assert_eq!(
        stage.post(&edge("register"), &register("12")).await.1["error"]["code"],
        100
    );
    assert_eq!(stage.post(&edge("register"), &register("111111")).await.0, 200);
    assert_eq!(
        stage.post(&edge("register"), &register("222222")).await.1["error"]["code"],
        133_005
    );
    assert_eq!(stage.post(DEFAULT_NUMBER_ID, &json!({"pin": "222222"})).await.0, 200);
    for _ in 0..7 {
        assert_eq!(stage.post(&edge("register"), &register("222222")).await.0, 200);
    }
    assert_eq!(
        stage.post(&edge("register"), &register("222222")).await.1["error"]["code"],
        133_016
    );
    let control = stage.handle.control();
    control.advance_clock(std::time::Duration::from_hours(72));
    assert_eq!(stage.post(&edge("register"), &register("222222")).await.0, 200);
}

#[tokio::test]
async fn an_app_subscribes_its_own_callback_url() {
    let stage = Stage::start_with(|config| config.apps[0].callback_url = None).await;
    let ask = |secret: &str| {
        format!(
            "v23.0/oauth/access_token?grant_type=client_credentials&client_id={DEFAULT_APP_ID}&client_secret={secret}"
        )
    };
    assert_eq!(stage.get(&ask("wrong")).await.0, 400);
    let token = stage.get(&ask(DEFAULT_APP_SECRET)).await.1["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let subscribe = |verify_token: &str| {
        format!(
            "v23.0/{DEFAULT_APP_ID}/subscriptions?object=whatsapp_business_account&callback_url={}&verify_token={verify_token}&fields=messages",
            stage.receiver.url
        )
    };
    let post = reqwest::Method::POST;
    assert_eq!(call(&stage, post.clone(), &subscribe("wrong"), &token).await.0, 400);
    assert_eq!(
        call(&stage, post.clone(), &subscribe(DEFAULT_VERIFY_TOKEN), DEFAULT_TOKEN)
            .await
            .0,
        403
    );
    assert_eq!(
        call(&stage, post, &subscribe(DEFAULT_VERIFY_TOKEN), &token).await.0,
        200
    );
    let (_, listed) = call(
        &stage,
        reqwest::Method::GET,
        &format!("{DEFAULT_APP_ID}/subscriptions"),
        &token,
    )
    .await;
    assert_eq!(listed["data"][0]["callback_url"], stage.receiver.url);
    // An app's token is no business's token.
    let sent = stage
        .client
        .post(stage.url(&edge("messages")))
        .bearer_auth(&token)
        .json(&order_update(ANA));
    assert_eq!(sent.send().await.unwrap().status(), 403);
    stage.send(&order_update(ANA)).await;
    stage.settle().await;
    assert_eq!(stage.receiver.statuses().len(), 3);
}

#[tokio::test]
async fn tokens_are_judged() {
    let stage = Stage::start().await;
    let (_, known) = stage.get(&format!("debug_token?input_token={DEFAULT_TOKEN}")).await;
    assert_eq!(known["data"]["is_valid"], true);
    let (_, unknown) = stage.get("debug_token?input_token=nobody").await;
    assert_eq!(unknown["data"]["is_valid"], false);
}

#[tokio::test]
async fn blocking_some_and_failing_others_tells_both() {
    let stage = Stage::start().await;
    stage.handle.control().write_text(ANA, None, "hello").unwrap();
    let body = json!({"messaging_product": "whatsapp",
                      "block_users": [{"user": ANA}, {"user": "+12025550199"}]});
    let (status, answer) = stage.post(&edge("block_users"), &body).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(139_100)));
    assert_eq!(answer["block_users"]["added_users"][0]["wa_id"], "12025550142");
    let failed = &answer["block_users"]["failed_users"][0];
    assert_eq!(
        (&failed["input"], &failed["errors"][0]["code"]),
        (&json!("+12025550199"), &json!(131_047))
    );
    let (_, listed) = stage.get(&edge("block_users")).await;
    assert_eq!(listed["data"][0]["block_users"][0]["wa_id"], "12025550142");
    let unblock = stage
        .client
        .delete(stage.url(&edge("block_users")))
        .bearer_auth(DEFAULT_TOKEN)
        .json(&json!({"messaging_product": "whatsapp", "block_users": [{"user": ANA}]}));
    let unblocked: Value = unblock.send().await.unwrap().json().await.unwrap();
    assert_eq!(unblocked["block_users"]["removed_users"][0]["wa_id"], "12025550142");
    assert_eq!(stage.get(&edge("block_users")).await.1["data"], json!([]));
}

//! What the send endpoint answers.

use assent_simulator::{DEFAULT_NUMBER_ID, DEFAULT_TOKEN};
use serde_json::{Value, json};

use super::support::{ANA, Stage, order_update};

#[tokio::test]
async fn an_accepted_template_is_answered_as_the_platform_answers() {
    let stage = Stage::start().await;
    let (status, answer) = stage.send(&order_update("+1 (202) 555-0142")).await;
    assert_eq!(status, 200);
    assert_eq!(answer["messaging_product"], "whatsapp");
    assert_eq!(
        answer["contacts"],
        json!([{"input": "+1 (202) 555-0142", "wa_id": "12025550142"}])
    );
    assert_eq!(answer["messages"][0]["message_status"], "accepted");
    assert!(answer["messages"][0]["id"].as_str().unwrap().starts_with("wamid.HBg"));
}

#[tokio::test]
async fn any_version_or_none_and_a_trailing_slash_are_taken() {
    let stage = Stage::start().await;
    for path in ["messages", "messages/"] {
        for version in ["", "v16.0/", "v23.0/", "v99.9/"] {
            let (status, answer) = stage
                .post(&format!("{version}{DEFAULT_NUMBER_ID}/{path}"), &order_update(ANA))
                .await;
            assert_eq!(status, 200, "{version}{path}: {answer}");
        }
    }
}

#[tokio::test]
async fn chunked_bodies_are_taken() {
    let stage = Stage::start().await;
    let body = order_update(ANA).to_string();
    let (first, rest) = body.split_at(40);
    let chunks = [first.to_owned(), rest.to_owned()].map(Ok::<_, std::io::Error>);
    let response = stage
        .client
        .post(stage.url(&format!("{DEFAULT_NUMBER_ID}/messages")))
        .bearer_auth(DEFAULT_TOKEN)
        .body(reqwest::Body::wrap_stream(futures::stream::iter(chunks)))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn without_a_valid_token_nothing_is_accepted() {
    let stage = Stage::start().await;
    let url = stage.url(&format!("v23.0/{DEFAULT_NUMBER_ID}/messages"));
    let wrong = stage
        .client
        .post(&url)
        .bearer_auth("wrong")
        .json(&order_update(ANA))
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 401);
    assert_eq!(wrong.json::<Value>().await.unwrap()["error"]["code"], 190);
    let none = stage.client.post(&url).json(&order_update(ANA)).send().await.unwrap();
    assert_eq!(none.status(), 401);
    assert_eq!(none.json::<Value>().await.unwrap()["error"]["code"], 104);
    assert!(stage.accepted().is_empty());
}

#[tokio::test]
async fn another_business_token_has_no_permission() {
    let stage = Stage::start_with(|config| {
        let mut other = assent_simulator::Account {
            id: "111".to_owned(),
            ..Default::default()
        };
        other.tokens = vec![assent_simulator::Secret::new("other")];
        other.numbers[0].id = "222".to_owned();
        config.accounts.push(other);
    })
    .await;
    let (status, answer) = stage.post("v23.0/222/messages", &order_update(ANA)).await;
    assert_eq!((status, &answer["error"]["code"]), (403, &json!(200)));
    let (status, answer) = stage.post("v23.0/333/messages", &order_update(ANA)).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(100)));
    assert_eq!(answer["error"]["error_subcode"], 33);
}

#[tokio::test]
async fn mistakes_are_answered_with_their_codes() {
    let stage = Stage::start().await;
    let mut unknown_field = order_update(ANA);
    unknown_field["priority"] = json!("high");
    let mut unknown_template = order_update(ANA);
    unknown_template["template"]["name"] = json!("nobody_knows");
    let mut unknown_language = order_update(ANA);
    unknown_language["template"]["language"]["code"] = json!("xx");
    let mut too_few = order_update(ANA);
    too_few["template"]["components"] = json!([]);
    let mut paused = order_update(ANA);
    paused["template"] = json!({"name": "paused_offer", "language": {"code": "en_US"}});
    for (body, status, code) in [
        (unknown_field, 400, 100),
        (unknown_template, 404, 132_001),
        (unknown_language, 404, 132_001),
        (too_few, 400, 132_000),
        (paused, 400, 132_015),
        (json!("not an object"), 400, 100),
    ] {
        let (got_status, answer) = stage.send(&body).await;
        assert_eq!((got_status, &answer["error"]["code"]), (status, &json!(code)), "{body}");
        assert!(answer["error"]["fbtrace_id"].is_string());
    }
    assert!(stage.accepted().is_empty());
}

#[tokio::test]
async fn mexican_argentine_and_brazilian_numbers_resolve_to_other_ids() {
    let stage = Stage::start().await;
    for (dialled, wa_id) in [
        ("+525512345678", "5215512345678"),
        ("+541112345678", "5491112345678"),
        ("+5531987654321", "553187654321"),
    ] {
        let (_, answer) = stage.send(&order_update(dialled)).await;
        assert_eq!(answer["contacts"][0], json!({"input": dialled, "wa_id": wa_id}));
    }
}

#[tokio::test]
async fn somebody_known_is_reached_by_user_id() {
    let stage = Stage::start().await;
    stage.send(&order_update(ANA)).await;
    let user_id = stage.accepted()[0].user_id.clone();
    let mut body = order_update(ANA);
    body.as_object_mut().unwrap().remove("to");
    body["recipient"] = json!(user_id);
    let (status, answer) = stage.send(&body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["contacts"][0], json!({"input": user_id, "user_id": user_id}));
}

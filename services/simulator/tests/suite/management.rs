//! Numbers, templates and subscriptions through the Graph API.

use assent_simulator::{DEFAULT_ACCOUNT_ID, DEFAULT_NUMBER_ID, Rating, WaitFor};
use serde_json::{Value, json};

use super::support::{ANA, Stage, order_update};

#[tokio::test]
async fn a_number_shows_the_fields_asked_for() {
    let stage = Stage::start().await;
    let path = format!("v23.0/{DEFAULT_NUMBER_ID}?fields=quality_rating,throughput,display_phone_number");
    let (status, number) = stage.get(&path).await;
    assert_eq!(status, 200);
    assert_eq!(number["quality_rating"], "GREEN");
    assert_eq!(number["display_phone_number"], "+1 555-001-0001");
    assert_eq!(number.as_object().unwrap().len(), 4);
    stage
        .handle
        .control()
        .set_number_rating(DEFAULT_NUMBER_ID, Some(Rating::Red), true)
        .unwrap();
    assert_eq!(stage.get(&path).await.1["quality_rating"], "RED");
    stage.settle().await;
    let flagged = &stage.receiver.received()[0].json()["entry"][0]["changes"][0];
    assert_eq!(flagged["field"], "phone_number_quality_update");
    assert_eq!(flagged["value"]["event"], "FLAGGED");
    let (status, error) = stage.get(&format!("{DEFAULT_NUMBER_ID}?fields=colour")).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!(100)));
}

#[tokio::test]
async fn templates_are_listed_page_by_page() {
    let stage = Stage::start().await;
    let mut names = Vec::new();
    let mut next = Some(stage.url(&format!(
        "v23.0/{DEFAULT_ACCOUNT_ID}/message_templates?limit=4&fields=name,status"
    )));
    while let Some(url) = next {
        let response = stage
            .client
            .get(url)
            .bearer_auth(assent_simulator::DEFAULT_TOKEN)
            .send()
            .await
            .unwrap();
        let page: Value = response.json().await.unwrap();
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= 4);
        names.extend(
            data.iter()
                .map(|template| template["name"].as_str().unwrap().to_owned()),
        );
        next = page["paging"]["next"].as_str().map(str::to_owned);
    }
    for name in [
        "hello_world",
        "order_update",
        "spring_offer",
        "paused_offer",
        "rejected_offer",
    ] {
        assert_eq!(
            names.iter().filter(|listed| *listed == name).count(),
            1,
            "{name} in {names:?}"
        );
    }
    let (_, approved) = stage
        .get(&format!("{DEFAULT_ACCOUNT_ID}/message_templates?status=PAUSED"))
        .await;
    assert_eq!(approved["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_template_is_created_reviewed_and_sent() {
    let stage = Stage::start().await;
    let definition = json!({"name": "thanks", "language": "en_US", "category": "UTILITY",
                            "components": [{"type": "BODY", "text": "Thanks {{1}}!"}]});
    let (status, created) = stage
        .post(&format!("v23.0/{DEFAULT_ACCOUNT_ID}/message_templates"), &definition)
        .await;
    assert_eq!((status, &created["status"]), (200, &json!("PENDING")));
    stage.settle().await;
    let change = &stage.receiver.received()[0].json()["entry"][0]["changes"][0];
    assert_eq!(change["field"], "message_template_status_update");
    assert_eq!(change["value"]["event"], "APPROVED");
    let mut body = order_update(ANA);
    body["template"] = json!({"name": "thanks", "language": {"code": "en_US"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "Ana"}]}]});
    assert_eq!(stage.send(&body).await.0, 200);
    let (_, node) = stage.get(created["id"].as_str().unwrap()).await;
    assert_eq!(node["status"], "APPROVED");
}

#[tokio::test]
async fn a_paused_template_is_unpaused() {
    let stage = Stage::start().await;
    stage
        .handle
        .control()
        .set_template_status(None, "order_update", None, "PAUSED")
        .unwrap();
    assert_eq!(stage.send(&order_update(ANA)).await.1["error"]["code"], 132_015);
    let (_, list) = stage
        .get(&format!("{DEFAULT_ACCOUNT_ID}/message_templates?name=order_update"))
        .await;
    let id = list["data"][0]["id"].as_str().unwrap();
    assert_eq!(stage.post(&format!("{id}/unpause"), &json!({})).await.0, 200);
    assert_eq!(stage.send(&order_update(ANA)).await.0, 200);
}

#[tokio::test]
async fn an_unregistered_number_cannot_send_until_it_is_registered() {
    let stage = Stage::start().await;
    stage.post(&format!("{DEFAULT_NUMBER_ID}/deregister"), &json!({})).await;
    assert_eq!(stage.send(&order_update(ANA)).await.1["error"]["code"], 133_010);
    let pin = json!({"messaging_product": "whatsapp", "pin": "123456"});
    stage.post(&format!("{DEFAULT_NUMBER_ID}/register"), &pin).await;
    assert_eq!(stage.send(&order_update(ANA)).await.0, 200);
}

#[tokio::test]
async fn only_people_who_wrote_lately_can_be_blocked() {
    let stage = Stage::start().await;
    let path = format!("{DEFAULT_NUMBER_ID}/block_users");
    let body = json!({"messaging_product": "whatsapp", "block_users": [{"user": ANA}]});
    let (status, refused) = stage.post(&path, &body).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!(139_100)));
    stage.handle.control().write_text(ANA, None, "hello").unwrap();
    let (status, _) = stage.post(&path, &body).await;
    assert_eq!(status, 200);
    stage.send(&order_update(ANA)).await;
    let two = WaitFor {
        acknowledged: Some(2),
        ..WaitFor::default()
    };
    assert!(stage.handle.control().wait(&two).await);
    assert_eq!(stage.accepted()[0].statuses[0].error_code, Some(130_403));
}

//! What clients in the field rely on, found by driving the simulator with them (`tests/interop`).

use assent_simulator::{
    DEFAULT_ACCOUNT_ID, DEFAULT_APP_ID, DEFAULT_APP_SECRET, DEFAULT_NUMBER_ID, DEFAULT_TOKEN, DEFAULT_VERIFY_TOKEN,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::support::{ANA, Stage};

async fn delete(stage: &Stage, path: &str, body: Option<&Value>) -> (u16, Value) {
    let mut request = stage.client.delete(stage.url(path)).bearer_auth(DEFAULT_TOKEN);
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn the_block_list_shows_a_user_where_each_client_looks() {
    let stage = Stage::start().await;
    let path = format!("{DEFAULT_NUMBER_ID}/block_users");
    stage.handle.control().write_text(ANA, None, "hello").unwrap();
    let body = json!({"messaging_product": "whatsapp", "block_users": [{"user": ANA}]});
    let (_, blocked) = stage.post(&path, &body).await;
    let ana = json!({"input": ANA, "wa_id": "12025550142"});
    assert_eq!(blocked["block_users"]["added_users"], json!([ana]));
    let (_, list) = stage.get(&path).await;
    let entry = &list["data"][0];
    assert_eq!(entry["block_users"], json!([ana]));
    assert_eq!((&entry["input"], &entry["wa_id"]), (&ana["input"], &ana["wa_id"]));
    let (_, unblocked) = delete(&stage, &path, Some(&body)).await;
    assert_eq!(unblocked["block_users"]["removed_users"], json!([ana]));
}

#[tokio::test]
async fn users_that_cannot_be_blocked_stand_beside_the_error_and_the_others_are_blocked() {
    let stage = Stage::start().await;
    stage.handle.control().write_text(ANA, None, "hello").unwrap();
    let body = json!({"messaging_product": "whatsapp", "block_users": [{"user": ANA}, {"user": "+12025550199"}]});
    let (status, outcome) = stage.post(&format!("{DEFAULT_NUMBER_ID}/block_users"), &body).await;
    assert_eq!((status, &outcome["error"]["code"]), (400, &json!(139_100)));
    assert_eq!(outcome["block_users"]["added_users"][0]["input"], ANA);
    let failed = &outcome["block_users"]["failed_users"][0];
    assert_eq!(
        (&failed["input"], &failed["errors"][0]["code"]),
        (&json!("+12025550199"), &json!(131_047))
    );
}

#[tokio::test]
async fn a_user_is_blocked_by_the_business_scoped_id() {
    let stage = Stage::start().await;
    stage.handle.control().write_text(ANA, None, "hello").unwrap();
    stage.settle().await;
    let written = stage.receiver.received()[0].json();
    let user_id = written["entry"][0]["changes"][0]["value"]["contacts"][0]["user_id"].clone();
    let body = json!({"messaging_product": "whatsapp", "block_users": [{"user_id": user_id}]});
    let (status, blocked) = stage.post(&format!("{DEFAULT_NUMBER_ID}/block_users"), &body).await;
    let added = json!([{"input": user_id, "user_id": user_id}]);
    assert_eq!((status, &blocked["block_users"]["added_users"]), (200, &added));
}

#[tokio::test]
async fn a_profile_is_kept_and_shown() {
    let stage = Stage::start().await;
    let path = format!("v23.0/{DEFAULT_NUMBER_ID}/whatsapp_business_profile");
    let update =
        json!({"messaging_product": "whatsapp", "about": "Open all day", "websites": ["https://shop.example/"]});
    assert_eq!(stage.post(&path, &update).await, (200, json!({"success": true})));
    let (_, profile) = stage.get(&format!("{path}?fields=about,websites,email")).await;
    let shown = json!([{"about": "Open all day", "websites": ["https://shop.example/"]}]);
    assert_eq!(profile["data"], shown);
    let (status, refused) = stage.post(&path, &json!({"about": "No product named"})).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!(131_008)));
}

#[tokio::test]
async fn short_links_take_their_text_from_the_query_or_the_body() {
    let stage = Stage::start().await;
    let path = format!("v23.0/{DEFAULT_NUMBER_ID}/message_qrdls");
    let (_, first) = stage
        .post(
            &format!("{path}?prefilled_message=Hello&generate_qr_image=png"),
            &json!({}),
        )
        .await;
    assert_eq!(first["prefilled_message"], "Hello");
    let code = first["code"].as_str().unwrap();
    let change = json!({"code": code, "prefilled_message": "Good day"});
    assert_eq!(stage.post(&path, &change).await.1["code"], code);
    let (_, one) = stage.get(&format!("{path}/{code}")).await;
    assert_eq!(one["data"][0]["prefilled_message"], "Good day");
    assert!(one["data"][0].get("qr_image_url").is_none());
    let (_, all) = stage
        .get(&format!("{path}/?fields=code,qr_image_url.format(SVG)"))
        .await;
    assert!(all["data"][0]["qr_image_url"].as_str().unwrap().contains(".svg"));
    assert_eq!(
        delete(&stage, &format!("{path}/{code}"), None).await.1,
        json!({"success": true})
    );
    assert_eq!(stage.get(&path).await.1["data"], json!([]));
}

#[tokio::test]
async fn an_edited_template_is_named_and_listings_have_a_summary_and_a_quality_date() {
    let stage = Stage::start().await;
    let path = format!("v23.0/{DEFAULT_ACCOUNT_ID}/message_templates");
    let (_, list) = stage
        .get(&format!("{path}?name=order_update&summary=total_count"))
        .await;
    assert_eq!(list["summary"]["total_count"], 1);
    assert!(list["data"][0]["quality_score"]["date"].is_i64());
    let id = list["data"][0]["id"].as_str().unwrap();
    let edit = json!({"components": [{"type": "BODY", "text": "It is on its way."}]});
    let (_, edited) = stage.post(id, &edit).await;
    let should = json!({"success": true, "id": id, "name": "order_update", "category": "UTILITY"});
    assert_eq!(edited, should);
}

#[tokio::test]
async fn templates_are_filtered_by_several_values_and_by_what_they_say() {
    let stage = Stage::start().await;
    let path = format!("v23.0/{DEFAULT_ACCOUNT_ID}/message_templates");
    let count = async |query: &str| {
        let (_, list) = stage.get(&format!("{path}?{query}")).await;
        list["data"].as_array().unwrap().len()
    };
    assert_eq!(count("status=PAUSED,DISABLED").await, 2);
    assert_eq!(count("status=%5B%22PAUSED%22,%22DISABLED%22%5D").await, 2);
    assert_eq!(count("content=Spring").await, 1);
    assert_eq!(count("name_or_content=ORDER").await, 2);
    assert_eq!(count("quality_score=GREEN").await, 0);
}

#[tokio::test]
async fn several_templates_are_deleted_by_their_ids() {
    let stage = Stage::start().await;
    let path = format!("v23.0/{DEFAULT_ACCOUNT_ID}/message_templates");
    let id = async |name: &str| {
        let (_, list) = stage.get(&format!("{path}?name={name}")).await;
        list["data"][0]["id"].as_str().unwrap_or_default().to_owned()
    };
    let (first, second) = (id("order_update").await, id("order_photo").await);
    let (status, _) = delete(&stage, &format!("{path}?hsm_ids=[{first},%22{second}%22]"), None).await;
    assert_eq!(status, 200);
    assert_eq!(
        (id("order_update").await, id("order_photo").await),
        (String::new(), String::new())
    );
    assert_ne!(id("hello_world").await, "");
    let (status, error) = delete(&stage, &format!("{path}?hsm_ids=[1]"), None).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!(100)));
}

#[tokio::test]
async fn a_changed_number_is_told_without_a_contact_and_opens_no_window() {
    let stage = Stage::start().await;
    let changed =
        json!({"type": "system", "system": {"type": "user_changed_number", "body": "…", "wa_id": "12025550199"}});
    stage.handle.control().write(ANA, None, changed).unwrap();
    stage.settle().await;
    let told = stage.receiver.received()[0].json();
    let value = &told["entry"][0]["changes"][0]["value"];
    assert_eq!(value["messages"][0]["from"], "12025550142");
    assert!(value.get("contacts").is_none());
    let text = json!({"messaging_product": "whatsapp", "to": ANA, "type": "text", "text": {"body": "hi"}});
    assert_eq!(stage.send(&text).await.0, 200);
    stage.settle().await;
    assert_eq!(stage.accepted()[0].statuses[0].error_code, Some(131_047));
}

#[tokio::test]
async fn an_upload_may_name_the_product_in_the_query() {
    let stage = Stage::start().await;
    let part = reqwest::multipart::Part::bytes(include_bytes!("../../assets/picture.jpg").to_vec());
    let form = reqwest::multipart::Form::new().part("file", part.file_name("a.jpg").mime_str("image/jpeg").unwrap());
    let url = stage.url(&format!("v23.0/{DEFAULT_NUMBER_ID}/media?messaging_product=whatsapp"));
    let request = stage.client.post(url).bearer_auth(DEFAULT_TOKEN).multipart(form);
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_token_in_the_query_goes_before_the_one_in_the_header() {
    let stage = Stage::start().await;
    let subscribe = async |token: &str| {
        let url = stage.url(&format!("{DEFAULT_APP_ID}/subscriptions?access_token={token}"));
        let given = json!({"object": "whatsapp_business_account", "callback_url": stage.receiver.url,
                           "verify_token": DEFAULT_VERIFY_TOKEN, "fields": "messages"});
        let request = stage.client.post(url).bearer_auth(DEFAULT_TOKEN).json(&given);
        request.send().await.unwrap().status()
    };
    assert_eq!(
        subscribe(&format!("{DEFAULT_APP_ID}%7C{DEFAULT_APP_SECRET}")).await,
        200
    );
    assert_eq!(subscribe("nobody's").await, 401);
}

#[tokio::test]
async fn a_sample_file_of_a_template_is_uploaded_for_a_handle() {
    let stage = Stage::start().await;
    let start = format!("v23.0/{DEFAULT_APP_ID}/uploads?file_name=a.jpg&file_length=3&file_type=image/jpeg");
    let (_, session) = stage.post(&start, &json!({})).await;
    let id = session["id"].as_str().unwrap();
    let put = async |bytes: &'static str| {
        let request = stage
            .client
            .post(stage.url(id))
            .header("Authorization", format!("OAuth {DEFAULT_TOKEN}"));
        let request = request.header("file_offset", "0").body(bytes);
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    assert!(put("abc").await["h"].as_str().unwrap().starts_with("4:"));
    assert_eq!(put("abcd").await["error"]["code"], 100);
    let gif = start.replace("jpeg", "gif");
    assert_eq!(stage.post(&gif, &json!({})).await.0, 400);
}

#[tokio::test]
async fn commands_may_be_given_as_text_and_are_shown_with_the_numbers_id() {
    let stage = Stage::start().await;
    let number = format!("v23.0/{DEFAULT_NUMBER_ID}");
    let commands = json!([{"command_name": "hours", "command_description": "When we are open"}]);
    let edge = format!("{number}/conversational_automation");
    for given in [json!({"commands": commands}), json!({"commands": commands.to_string()})] {
        assert_eq!(stage.post(&edge, &given).await.0, 200);
        let (_, shown) = stage.get(&format!("{number}?fields=conversational_automation")).await;
        assert_eq!(shown["conversational_automation"]["commands"], commands);
        assert_eq!(shown["conversational_automation"]["id"], DEFAULT_NUMBER_ID);
    }
    assert_eq!(stage.post(&edge, &json!({"commands": "no list"})).await.0, 400);
}

#[tokio::test]
async fn messages_are_taken_as_clients_in_the_field_write_them() {
    let stage = Stage::start().await;
    stage.handle.control().write_text(ANA, None, "hello").unwrap();
    let rows = json!([{"id": 1, "title": "One", "description": ""}]);
    let list = |title: &Value| {
        json!({"type": "list", "body": {"text": "Which?"}, "footer": {"text": null},
               "action": {"button": "Open", "sections": [{"title": title, "rows": rows}]}})
    };
    let card =
        json!({"name": {"formatted_name": "Ana", "first_name": "Ana"}, "birthday": "", "org": {}, "emails": null});
    let template = json!({"name": "hello_world", "language": {"code": "en_US", "policy": null}, "components": null});
    let odd = [
        ("text", json!({"body": "hi"}).to_string().into()),
        ("template", template),
        ("interactive", list(&json!(""))),
        ("interactive", list(&Value::Null)),
        ("contacts", json!([card])),
        ("contacts", json!([card]).to_string().into()),
    ];
    for (kind, payload) in odd {
        let opaque = json!({"order": null}).to_string();
        let body = json!({"messaging_product": "whatsapp", "to": 12_025_550_142_u64, "type": kind, kind: payload,
                          "preview_url": false, "context": null, "biz_opaque_callback_data": opaque});
        let (status, answer) = stage.send(&body).await;
        assert_eq!(status, 200, "{body}: {answer}");
    }
    let kept = stage.accepted();
    assert!(
        kept.iter()
            .all(|message| message.biz_opaque_callback_data.as_deref() == Some(r#"{"order":null}"#))
    );
    // What people send back has the types Meta gives it.
    let (_, tapped) = stage
        .post(
            "_sim/users/12025550142/tap",
            &json!({"wamid": kept[2].wamid, "id": "1"}),
        )
        .await;
    stage.settle().await;
    let callbacks = stage.receiver.received();
    let told = callbacks
        .iter()
        .map(|post| post.json()["entry"][0]["changes"][0]["value"]["messages"][0].clone());
    let reply = told
        .into_iter()
        .find(|message| message["id"] == tapped["wamid"])
        .unwrap();
    assert_eq!(reply["interactive"]["list_reply"], json!({"id": "1", "title": "One"}));
}

#[tokio::test]
async fn a_media_id_may_be_a_number() {
    let stage = Stage::start().await;
    stage.handle.control().write_text(ANA, None, "hello").unwrap();
    let file =
        json!({"mime_type": "image/jpeg", "base64": STANDARD.encode(include_bytes!("../../assets/picture.jpg"))});
    let (_, uploaded) = stage.post("_sim/media", &file).await;
    let id: u64 = uploaded["id"].as_str().unwrap().parse().unwrap();
    let image = |id: u64| json!({"messaging_product": "whatsapp", "to": ANA, "type": "image", "image": {"id": id}});
    assert_eq!(stage.send(&image(id)).await.0, 200);
    assert_eq!(stage.send(&image(1)).await.1["error"]["code"], 100);
}

#[tokio::test]
async fn what_is_wrong_is_refused_however_it_is_written() {
    let stage = Stage::start().await;
    for (wrong, code) in [
        (
            json!({"text": {"body": "hi", "previewurl": true}, "context": null}),
            100,
        ),
        (json!({"text": {"body": null}}), 131_008),
        (json!({"text": "hi"}), 100),
        (
            json!({"template": {"name": "hello_world", "language": {"code": null}}, "type": "template"}),
            131_008,
        ),
    ] {
        let mut body = json!({"messaging_product": "whatsapp", "to": ANA, "type": "text"});
        body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let (_, refused) = stage.send(&body).await;
        assert_eq!(refused["error"]["code"], code, "{body}");
    }
}

#[tokio::test]
async fn parameters_may_come_as_a_form() {
    let stage = Stage::start().await;
    let send = async |path: &str, body: String| {
        let request = stage.client.post(stage.url(path)).bearer_auth(DEFAULT_TOKEN);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let response = request.body(body).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let post = async |path: &str, form: &[(&str, &str)]| {
        let mut url = reqwest::Url::parse("http://localhost/").unwrap();
        url.query_pairs_mut().extend_pairs(form);
        send(path, url.query().unwrap().to_owned()).await
    };
    let messages = format!("v23.0/{DEFAULT_NUMBER_ID}/messages");
    let template = r#"{"name":"hello_world","language":{"code":"en_US"}}"#;
    let message = [
        ("messaging_product", "whatsapp"),
        ("to", ANA),
        ("type", "template"),
        ("template", template),
    ];
    assert_eq!(post(&messages, &message).await.1["contacts"][0]["wa_id"], "12025550142");
    let (status, refused) = post(&messages, &message[1..]).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!(100)));
    let register = format!("v23.0/{DEFAULT_NUMBER_ID}/register");
    assert_eq!(
        post(&register, &[("messaging_product", "whatsapp"), ("pin", "123456")])
            .await
            .0,
        200
    );
    // curl calls JSON a form.
    let body = json!({"messaging_product": "whatsapp", "to": ANA, "type": "template",
                      "template": {"name": "hello_world", "language": {"code": "en_US"}}});
    assert_eq!(send(&messages, body.to_string()).await.0, 200);
}

#[tokio::test]
async fn commerce_settings_are_kept_and_shown() {
    let stage = Stage::start().await;
    let path = format!("v23.0/{DEFAULT_NUMBER_ID}/whatsapp_commerce_settings");
    let shown = async || stage.get(&path).await.1["data"][0].clone();
    let before = json!({"id": DEFAULT_NUMBER_ID, "is_cart_enabled": true, "is_catalog_visible": false});
    assert_eq!(shown().await, before);
    let (status, _) = stage.post(&format!("{path}?is_cart_enabled=False"), &json!({})).await;
    assert_eq!(status, 200);
    assert_eq!(stage.post(&path, &json!({"is_catalog_visible": true})).await.0, 200);
    let after = json!({"id": DEFAULT_NUMBER_ID, "is_cart_enabled": false, "is_catalog_visible": true});
    assert_eq!(shown().await, after);
    assert_eq!(stage.post(&path, &json!({"is_cart_enabled": "perhaps"})).await.0, 400);
}

#[tokio::test]
async fn automation_may_name_the_product() {
    let stage = Stage::start().await;
    let edge = format!("v23.0/{DEFAULT_NUMBER_ID}/conversational_automation");
    let given = json!({"messaging_product": "whatsapp", "prompts": ["Opening hours?"]});
    assert_eq!(stage.post(&edge, &given).await.0, 200);
    let (_, shown) = stage
        .get(&format!("v23.0/{DEFAULT_NUMBER_ID}?fields=conversational_automation"))
        .await;
    let automation = &shown["conversational_automation"];
    assert_eq!(automation["prompts"], json!(["Opening hours?"]));
    assert!(automation.get("messaging_product").is_none());
}

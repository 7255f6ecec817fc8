//! Media: uploads, what a file is, downloads, deletion, sending by id, and files people send.

use assent_simulator::{DEFAULT_NUMBER_ID, DEFAULT_TOKEN, WaitFor};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::support::{ANA, Stage};

const JPEG: &[u8] = include_bytes!("../../assets/picture.jpg");
const WEBP: &[u8] = include_bytes!("../../assets/sticker.webp");
const PDF: &[u8] = include_bytes!("../../assets/paper.pdf");
const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// Uploads a file as a form with everything Meta asks for.
async fn upload(stage: &Stage, bytes: &[u8], mime_type: &str) -> (u16, Value) {
    let file = reqwest::multipart::Part::bytes(bytes.to_vec())
        .file_name("file")
        .mime_str(mime_type)
        .unwrap();
    let form = reqwest::multipart::Form::new()
        .text("messaging_product", "whatsapp")
        .text("type", mime_type.to_owned())
        .part("file", file);
    post_form(stage, form).await
}

async fn post_form(stage: &Stage, form: reqwest::multipart::Form) -> (u16, Value) {
    let url = stage.url(&format!("v23.0/{DEFAULT_NUMBER_ID}/media"));
    let request = stage.client.post(url).bearer_auth(DEFAULT_TOKEN).multipart(form);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn uploaded(stage: &Stage, bytes: &[u8], mime_type: &str) -> String {
    let (status, answer) = upload(stage, bytes, mime_type).await;
    assert_eq!(status, 200, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

/// Downloads an address: status, content type, bytes.
async fn download(stage: &Stage, url: &str, token: Option<&str>) -> (u16, String, Vec<u8>) {
    let mut request = stage.client.get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    (
        response.status().as_u16(),
        kind,
        response.bytes().await.unwrap().to_vec(),
    )
}

fn image(id: &str) -> Value {
    json!({"messaging_product": "whatsapp", "to": ANA, "type": "image", "image": {"id": id, "caption": "Look"}})
}

fn code(answer: &Value) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or_default()
}

fn advance(stage: &Stage, by_ms: u64) {
    stage
        .handle
        .control()
        .advance_clock(std::time::Duration::from_millis(by_ms));
}

#[tokio::test]
async fn an_upload_is_described_downloaded_and_deleted() {
    let stage = Stage::start().await;
    let id = uploaded(&stage, JPEG, "image/jpeg").await;
    assert!(id.bytes().all(|digit| digit.is_ascii_digit()));
    let (status, node) = stage
        .get(&format!("v23.0/{id}?phone_number_id={DEFAULT_NUMBER_ID}"))
        .await;
    assert_eq!(status, 200, "{node}");
    assert_eq!(node["messaging_product"], "whatsapp");
    assert_eq!(node["mime_type"], "image/jpeg");
    assert_eq!(node["file_size"], JPEG.len());
    assert_eq!(node["id"], id);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, JPEG);
    let expected = digest
        .as_ref()
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert_eq!(node["sha256"], expected);
    let url = node["url"].as_str().unwrap();
    assert!(url.starts_with(&stage.handle.url()), "{url}");
    assert_eq!(
        download(&stage, url, Some(DEFAULT_TOKEN)).await,
        (200, "image/jpeg".to_owned(), JPEG.to_vec())
    );
    let deleted = stage
        .client
        .delete(stage.url(&id))
        .bearer_auth(DEFAULT_TOKEN)
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.json::<Value>().await.unwrap(), json!({"success": true}));
    let (status, gone) = stage.get(&id).await;
    assert_eq!(
        (status, code(&gone), &gone["error"]["error_subcode"]),
        (400, 100, &json!(33))
    );
    assert_eq!(download(&stage, url, Some(DEFAULT_TOKEN)).await.0, 404);
}

#[tokio::test]
async fn a_download_needs_the_token_and_an_address_younger_than_five_minutes() {
    let stage = Stage::start().await;
    let id = uploaded(&stage, PDF, "application/pdf").await;
    let url = stage.get(&id).await.1["url"].as_str().unwrap().to_owned();
    assert_eq!(download(&stage, &url, None).await.0, 401);
    assert_eq!(download(&stage, &url, Some("wrong")).await.0, 401);
    assert_eq!(
        download(&stage, &url.replace("hash=", "hash=0"), Some(DEFAULT_TOKEN))
            .await
            .0,
        404
    );
    advance(&stage, 4 * MINUTE_MS);
    assert_eq!(download(&stage, &url, Some(DEFAULT_TOKEN)).await.0, 200);
    advance(&stage, MINUTE_MS + 1_000);
    assert_eq!(download(&stage, &url, Some(DEFAULT_TOKEN)).await.0, 404);
    let fresh = stage.get(&id).await.1["url"].as_str().unwrap().to_owned();
    assert_eq!(download(&stage, &fresh, Some(DEFAULT_TOKEN)).await.2, PDF);
}

#[tokio::test]
async fn uploads_are_checked_for_type_size_and_form() {
    let stage = Stage::start().await;
    for (bytes, mime_type, status, expected) in [
        (b"GIF89a".to_vec(), "image/gif", 400, 100),
        (JPEG.to_vec(), "application/octet-stream", 400, 100),
        (Vec::new(), "image/png", 400, 100),
        (vec![0; 5 * 1_024 * 1_024 + 1], "image/png", 400, 131_053),
        (vec![0; 100 * 1_024 + 1], "image/webp", 400, 131_053),
        (vec![0; 16 * 1_024 * 1_024 + 1], "video/mp4", 400, 131_053),
    ] {
        let (got_status, answer) = upload(&stage, &bytes, mime_type).await;
        assert_eq!((got_status, code(&answer)), (status, expected), "{mime_type}: {answer}");
    }
    assert!(upload(&stage, &vec![b'a'; 17 * 1_024 * 1_024], "text/plain").await.0 == 200);
    let part = || {
        reqwest::multipart::Part::bytes(JPEG.to_vec())
            .mime_str("image/jpeg")
            .unwrap()
    };
    let form = reqwest::multipart::Form::new;
    assert_eq!(code(&post_form(&stage, form().part("file", part())).await.1), 100);
    let (_, no_file) = post_form(&stage, form().text("messaging_product", "whatsapp")).await;
    assert_eq!(code(&no_file), 131_008);
    // A part without a type of its own takes that of the form.
    let bare = form()
        .text("messaging_product", "whatsapp")
        .text("type", "image/jpeg")
        .part("file", reqwest::multipart::Part::bytes(JPEG.to_vec()));
    assert_eq!(post_form(&stage, bare).await.0, 200);
    let (status, answer) = stage.post(&format!("{DEFAULT_NUMBER_ID}/media"), &json!({})).await;
    assert_eq!((status, code(&answer)), (400, 100));
}

#[tokio::test]
async fn a_file_is_sent_by_its_id_until_it_is_thirty_days_old() {
    let stage = Stage::start_with(|config| config.rules.window = false).await;
    let id = uploaded(&stage, JPEG, "image/jpeg").await;
    assert_eq!(stage.send(&image(&id)).await.0, 200);
    stage.settle().await;
    assert_eq!(stage.receiver.statuses(), ["sent", "delivered", "read"]);
    advance(&stage, 29 * DAY_MS);
    assert_eq!(stage.send(&image(&id)).await.0, 200);
    advance(&stage, DAY_MS);
    let (status, refused) = stage.send(&image(&id)).await;
    assert_eq!((status, code(&refused)), (400, 100));
    assert_eq!(stage.get(&id).await.0, 400);
}

#[tokio::test]
async fn an_unknown_or_foreign_media_id_is_refused_wherever_it_stands() {
    let stage = Stage::start_with(|config| {
        let mut other = assent_simulator::Account {
            id: "111".to_owned(),
            ..Default::default()
        };
        other.numbers[0].id = "222".to_owned();
        other.tokens = vec![assent_simulator::Secret::new("other")];
        config.accounts.push(other);
    })
    .await;
    let control = stage.handle.control();
    let foreign = control.add_media(Some("222"), "image/jpeg", JPEG.to_vec()).unwrap();
    let own = control.add_media(None, "image/jpeg", JPEG.to_vec()).unwrap();
    let header = json!({"type": "image", "image": {"id": "123"}});
    let mut with_header = image("1");
    with_header["type"] = json!("interactive");
    with_header.as_object_mut().unwrap().remove("image");
    with_header["interactive"] = json!({"type": "button", "header": header, "body": {"text": "b"},
        "action": {"buttons": [{"type": "reply", "reply": {"id": "1", "title": "Yes"}}]}});
    let template = |id: &str| {
        json!({"messaging_product": "whatsapp", "to": ANA, "type": "template",
            "template": {"name": "order_photo", "language": {"code": "en_US"}, "components": [
                {"type": "header", "parameters": [{"type": "image", "image": {"id": id}}]},
                {"type": "body", "parameters": [{"type": "text", "text": "Ana"}]},
                {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "A"}]}]}})
    };
    for body in [
        image("123"),
        image(&foreign),
        with_header,
        template("123"),
        template(&foreign),
    ] {
        let (status, answer) = stage.send(&body).await;
        assert_eq!((status, code(&answer)), (400, 100), "{body}");
        let details = answer["error"]["error_data"]["details"].as_str().unwrap();
        assert!(details.contains("media attachment ID"), "{details}");
    }
    assert!(stage.accepted().is_empty());
    assert_eq!(stage.send(&template(&own)).await.0, 200);
    // The other business's token does not see it either.
    let seen = stage
        .client
        .get(stage.url(&own))
        .bearer_auth("other")
        .send()
        .await
        .unwrap();
    assert_eq!(seen.status(), 403);
}

#[tokio::test]
async fn a_file_that_is_not_what_it_is_sent_as_fails_later() {
    let stage = Stage::start_with(|config| config.rules.window = false).await;
    let fake = uploaded(&stage, b"no picture at all", "image/jpeg").await;
    let paper = uploaded(&stage, PDF, "application/pdf").await;
    for id in [fake, paper] {
        assert_eq!(stage.send(&image(&id)).await.0, 200);
    }
    stage.settle().await;
    let codes: Vec<_> = stage
        .accepted()
        .iter()
        .map(|message| message.statuses[0].error_code)
        .collect();
    assert_eq!(codes, [Some(131_053), Some(131_053)]);
}

#[tokio::test]
async fn a_picture_somebody_sends_is_downloaded_through_the_same_endpoints() {
    let stage = Stage::start().await;
    for (kind, mime_type) in [
        ("image", "image/jpeg"),
        ("video", "video/mp4"),
        ("audio", "audio/ogg; codecs=opus"),
        ("document", "application/pdf"),
        ("sticker", "image/webp"),
    ] {
        let body = json!({"message": {"type": kind}});
        let (status, answer) = stage.post(&format!("_sim/users/{ANA}/write"), &body).await;
        assert_eq!(status, 200, "{answer}");
        stage.settle().await;
        let post = stage.receiver.received().pop().unwrap();
        let message = &post.json()["entry"][0]["changes"][0]["value"]["messages"][0];
        let file = &message[kind];
        assert_eq!(
            (&message["type"], &file["mime_type"]),
            (&json!(kind), &json!(mime_type))
        );
        let (_, node) = stage.get(file["id"].as_str().unwrap()).await;
        assert_eq!(node["mime_type"], mime_type);
        for url in [&file["url"], &node["url"]] {
            let (status, got_type, bytes) = download(&stage, url.as_str().unwrap(), Some(DEFAULT_TOKEN)).await;
            assert_eq!((status, got_type.as_str()), (200, mime_type));
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
            assert_eq!(file["sha256"], STANDARD.encode(digest));
        }
    }
}

#[tokio::test]
async fn what_somebody_sends_lives_for_seven_days() {
    let stage = Stage::start().await;
    let body = json!({"message": {"type": "image", "image": {"caption": "broken"}},
                      "file": {"mime_type": "image/webp", "base64": STANDARD.encode(WEBP)}});
    assert_eq!(stage.post(&format!("_sim/users/{ANA}/write"), &body).await.0, 200);
    let one = WaitFor {
        acknowledged: Some(1),
        ..WaitFor::default()
    };
    assert!(stage.handle.control().wait(&one).await);
    let image = stage.receiver.received()[0].json()["entry"][0]["changes"][0]["value"]["messages"][0]["image"].clone();
    assert_eq!(
        (&image["caption"], &image["mime_type"]),
        (&json!("broken"), &json!("image/webp"))
    );
    let id = image["id"].as_str().unwrap();
    advance(&stage, 7 * DAY_MS - MINUTE_MS);
    assert_eq!(stage.get(id).await.0, 200);
    advance(&stage, MINUTE_MS);
    assert_eq!(stage.get(id).await.0, 400);
}

#[tokio::test]
async fn too_large_a_file_arrives_as_error_131052() {
    let stage = Stage::start().await;
    let body = json!({"message": {"type": "video"}, "file": {"too_large": true}});
    assert_eq!(stage.post(&format!("_sim/users/{ANA}/write"), &body).await.0, 200);
    stage.settle().await;
    let post = &stage.receiver.received()[0];
    let message = &post.json()["entry"][0]["changes"][0]["value"]["messages"][0];
    assert_eq!(message["type"], "unsupported");
    assert_eq!(message["errors"][0]["code"], 131_052);
}

#[tokio::test]
async fn the_store_is_bounded_and_makes_room_when_files_expire() {
    let stage = Stage::start_with(|config| config.media_bytes_max = 3 * JPEG.len()).await;
    for _ in 0..3 {
        uploaded(&stage, JPEG, "image/jpeg").await;
    }
    assert_eq!(code(&upload(&stage, JPEG, "image/jpeg").await.1), 131_016);
    advance(&stage, 30 * DAY_MS);
    uploaded(&stage, JPEG, "image/jpeg").await;
    assert_eq!(stage.handle.control().report().summary.media_files, 1);
}

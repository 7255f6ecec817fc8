//! Files, against the same server.

use bytes::Bytes;
use serde_json::json;

use super::server::{Reaction, Server};
use super::{NUMBER, client, graph_error};
use crate::client::{CallError, DownloadError, MediaFile, MediaInfo};
use crate::media::ContentHash;
use crate::secret::Secret;

const FILE: &[u8] = b"\xff\xd8 not really a picture";

fn token() -> Secret {
    Secret::new("EAAG-token")
}

fn file() -> MediaFile {
    MediaFile {
        bytes: Bytes::from_static(FILE),
        media_type: "image/jpeg".into(),
        filename: Some("a \"picture\".jpg".into()),
    }
}

fn info(server: &Server) -> MediaInfo {
    MediaInfo {
        id: "662".into(),
        url: format!("{}/attachments/?mid=662", server.url()),
        media_type: Some("image/jpeg".into()),
        sha256: Some(ContentHash::of(FILE)),
        size_bytes: Some(FILE.len() as u64),
    }
}

fn answer_with(body: &[u8]) -> Reaction {
    Reaction::Answer {
        status: 200,
        headers: "",
        body: body.to_vec(),
    }
}

#[tokio::test]
async fn an_upload_is_a_form_of_known_length_and_gives_an_id() {
    let server = Server::start([Reaction::answer(200, r#"{"id":"6620017734410"}"#)]).await;
    let id = client(&server).upload_media(NUMBER, &token(), &file()).await.unwrap();
    assert_eq!(id, "6620017734410");
    let request = server.requests().remove(0);
    let head = request.head.to_ascii_lowercase();
    assert!(
        head.starts_with("post /v24.0/318800000000042/media http/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("authorization: bearer eaag-token\r\n"), "{head}");
    assert!(head.contains("content-type: multipart/form-data; boundary="), "{head}");
    // Meta refuses a chunked form; the test server would have read an empty body.
    assert!(head.contains("content-length: "), "{head}");
    let body = String::from_utf8_lossy(&request.body).into_owned();
    for part in [
        "name=\"messaging_product\"\r\n\r\nwhatsapp\r\n",
        "name=\"type\"\r\n\r\nimage/jpeg\r\n",
        "name=\"file\"; filename=\"a \\\"picture\\\".jpg\"\r\nContent-Type: image/jpeg\r\n\r\n",
    ] {
        assert!(body.contains(part), "{part} is not in {body}");
    }
    assert!(request.body.windows(FILE.len()).any(|window| window == FILE));
}

#[tokio::test]
async fn an_upload_that_fails_says_how() {
    let server = Server::start([
        Reaction::answer(400, &graph_error(131_053)),
        Reaction::answer(200, "{}"),
        Reaction::answer(200, r#"{"id":""}"#),
        Reaction::Drop,
    ])
    .await;
    let client = client(&server);
    let (token, file) = (token(), file());
    let upload = || client.upload_media(NUMBER, &token, &file);
    assert!(matches!(upload().await, Err(CallError::Graph(error)) if error.code == 131_053));
    assert!(matches!(
        upload().await,
        Err(CallError::Unreadable { http_status: 200 })
    ));
    assert!(matches!(
        upload().await,
        Err(CallError::Unreadable { http_status: 200 })
    ));
    assert!(matches!(upload().await, Err(CallError::ConnectionLost)));
    let nonsense = MediaFile {
        media_type: "no type".into(),
        ..file.clone()
    };
    let refused = client.upload_media(NUMBER, &token, &nonsense).await;
    assert!(matches!(refused, Err(CallError::NotSent(_))));
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn the_info_of_a_file_is_read() {
    let body = json!({"messaging_product": "whatsapp", "url": "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=662",
        "mime_type": "image/jpeg", "sha256": ContentHash::of(FILE).to_string(), "file_size": "48213", "id": "662"});
    let server = Server::start([
        Reaction::answer(200, &body.to_string()),
        Reaction::answer(200, r#"{"id":"662"}"#),
        Reaction::answer(400, &graph_error(100)),
    ])
    .await;
    let client = client(&server);
    let found = client.media_info("662", Some(NUMBER), &token()).await.unwrap();
    assert_eq!(found.sha256, Some(ContentHash::of(FILE)));
    assert_eq!(found.size_bytes, Some(48_213));
    assert!(!format!("{found:?}").contains("lookaside"));
    let without_url = client.media_info("662", None, &token()).await;
    assert!(matches!(without_url, Err(CallError::Unreadable { .. })));
    let gone = client.media_info("662", None, &token()).await;
    assert!(matches!(gone, Err(CallError::Graph(error)) if error.code == 100));
    let requests = server.requests();
    assert!(
        requests[0]
            .head
            .starts_with("GET /v24.0/662?phone_number_id=318800000000042 ")
    );
    assert!(requests[1].head.starts_with("GET /v24.0/662 "));
}

#[tokio::test]
async fn a_file_is_downloaded_with_the_token_and_compared_with_its_hash() {
    let server = Server::start([answer_with(FILE), answer_with(b"something else")]).await;
    let client = client(&server);
    let found = client.download_media(&info(&server), &token(), 1_000).await.unwrap();
    assert_eq!(found, FILE);
    let head = server.requests()[0].head.to_ascii_lowercase();
    assert!(head.starts_with("get /attachments/?mid=662 "), "{head}");
    assert!(head.contains("authorization: bearer eaag-token\r\n"), "{head}");
    let other = client.download_media(&info(&server), &token(), 1_000).await;
    assert!(matches!(other, Err(DownloadError::HashMismatch)));
}

#[tokio::test]
async fn a_download_that_fails_says_how() {
    let server = Server::start([
        Reaction::answer(404, ""),
        Reaction::answer(401, &graph_error(190)),
        Reaction::answer(302, ""),
        Reaction::HalfAnswer("0123456789"),
    ])
    .await;
    let client = client(&server);
    let described = info(&server);
    let token = token();
    let download = || client.download_media(&described, &token, 1_000);
    assert!(matches!(download().await, Err(DownloadError::Expired)));
    assert!(matches!(download().await, Err(DownloadError::Call(CallError::Graph(error))) if error.code == 190));
    assert!(matches!(
        download().await,
        Err(DownloadError::Call(CallError::Unreadable { http_status: 302 }))
    ));
    assert!(matches!(
        download().await,
        Err(DownloadError::Call(CallError::ConnectionLost))
    ));
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_read_whatever_was_said_of_its_size() {
    let server = Server::start([answer_with(&[7; 1_001])]).await;
    let client = client(&server);
    let mut described = info(&server);
    described.size_bytes = Some(1_001);
    let refused = client.download_media(&described, &token(), 1_000).await;
    assert!(matches!(refused, Err(DownloadError::TooLarge { bytes_max: 1_000 })));
    assert!(
        server.requests().is_empty(),
        "what is known to be too large is not asked for"
    );
    described.size_bytes = None;
    let refused = client.download_media(&described, &token(), 1_000).await;
    assert!(matches!(refused, Err(DownloadError::TooLarge { bytes_max: 1_000 })));
}

#[tokio::test]
async fn the_token_goes_to_meta_only() {
    let server = Server::start([]).await;
    let elsewhere = Server::start([]).await;
    let client = client(&server);
    for url in [
        elsewhere.url(),
        "http://lookaside.fbsbx.com/x".into(),
        "ftp://a/b".into(),
        "/x".into(),
    ] {
        let described = MediaInfo { url, ..info(&server) };
        let refused = client.download_media(&described, &token(), 1_000).await;
        assert!(matches!(refused, Err(DownloadError::ForeignLink)));
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_file_is_deleted() {
    let server = Server::start([
        Reaction::answer(200, r#"{"success":true}"#),
        Reaction::answer(200, r#"{"success":false}"#),
    ])
    .await;
    let client = client(&server);
    client.delete_media("662", Some(NUMBER), &token()).await.unwrap();
    let refused = client.delete_media("662", None, &token()).await;
    assert!(matches!(refused, Err(CallError::Unreadable { .. })));
    assert!(
        server.requests()[0]
            .head
            .starts_with("DELETE /v24.0/662?phone_number_id=318800000000042 ")
    );
}

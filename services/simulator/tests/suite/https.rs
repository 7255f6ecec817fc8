//! https on the same port, with an authority made on the spot.

use assent_simulator::{Config, DEFAULT_NUMBER_ID, DEFAULT_TOKEN, Latency, Mix, Simulator, Tls};
use serde_json::Value;

use super::support::{ANA, order_update};

fn client(authority: &std::path::Path) -> reqwest::Client {
    let pem = std::fs::read(authority).unwrap();
    reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()])
        .build()
        .unwrap()
}

fn config(tls: Tls) -> Config {
    Config {
        mix: Mix::ideal(),
        latency: Latency::fast(),
        tls: Some(tls),
        ..Config::default()
    }
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_sends_over_https_and_http_still_works() {
    let handle = Simulator::start(config(Tls::default())).await.unwrap();
    assert!(handle.url().starts_with("https://127.0.0.1:"));
    let authority = handle.authority_path().unwrap().to_owned();
    let port = handle.address().port();
    for base in [
        handle.url(),
        format!("https://localhost:{port}"),
        format!("http://127.0.0.1:{port}"),
    ] {
        let sent = client(&authority)
            .post(format!("{base}/v23.0/{DEFAULT_NUMBER_ID}/messages"))
            .bearer_auth(DEFAULT_TOKEN)
            .json(&order_update(ANA))
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status(), 200, "{base}");
    }
    let stranger = reqwest::Client::new();
    assert!(
        stranger
            .get(format!("{}/_sim/summary", handle.url()))
            .send()
            .await
            .is_err()
    );
    // Links to further pages keep the scheme the client came by.
    let url = format!("{}/100000000000001/message_templates?limit=1", handle.url());
    let page = client(&authority)
        .get(url)
        .bearer_auth(DEFAULT_TOKEN)
        .send()
        .await
        .unwrap();
    let page: Value = page.json().await.unwrap();
    assert!(page["paging"]["next"].as_str().unwrap().starts_with("https://"));
    handle.shutdown().await;
    assert!(!authority.exists());
}

#[tokio::test]
async fn meta_s_own_host_name_can_be_mapped_to_the_simulator() {
    let handle = Simulator::start(config(Tls::default())).await.unwrap();
    let pem = std::fs::read(handle.authority_path().unwrap()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()])
        .resolve("graph.facebook.com", handle.address())
        .build()
        .unwrap();
    let url = format!(
        "https://graph.facebook.com:{}/v23.0/{DEFAULT_NUMBER_ID}",
        handle.address().port()
    );
    let number = client.get(url).bearer_auth(DEFAULT_TOKEN).send().await.unwrap();
    assert_eq!(number.status(), 200);
}

#[tokio::test]
async fn an_authority_in_a_directory_is_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let tls = || Tls {
        directory: Some(directory.path().to_owned()),
        names: vec!["whatsapp.test".to_owned()],
    };
    let first = Simulator::start(config(tls())).await.unwrap();
    let trusting = client(first.authority_path().unwrap());
    first.shutdown().await;
    let second = Simulator::start(config(tls())).await.unwrap();
    let summary = trusting
        .get(format!("{}/_sim/summary", second.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(summary.status(), 200);
}

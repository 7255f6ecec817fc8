//! Files that are sent by a link which we fetch: once for everybody, checked, and never from where we must not go.

use crate::stage::Stage;
use assent_dispatcher::{Config, MediaConfig};
use assent_domain::{
    events::{AttemptEvent, GaveUpBecause},
    values::MessageId,
};
use assent_simulator::Filter;
use sqlx::Executor as _;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};

const PICTURE: &[u8] = include_bytes!("../../../simulator/assets/picture.jpg");
const STICKER: &[u8] = include_bytes!("../../../simulator/assets/sticker.webp");

/// Keeps files behind a token.
struct Vault {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Vault {
    /// A vault that thinks about each request for a while.
    async fn open(pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let head = String::from_utf8(head).unwrap();
                    let (status, headers, body) = answer(&head);
                    seen.lock().unwrap().push(head);
                    tokio::time::sleep(pause).await;
                    let length = body.len();
                    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n");
                    let _ = stream.write_all(head.as_bytes()).await;
                    let _ = stream.write_all(body).await;
                });
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    fn link(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

fn answer(head: &str) -> (u16, &'static str, &'static [u8]) {
    if !head.contains("authorization: Bearer vault-token\r\n") {
        return (401, "", b"");
    }
    match head.split(' ').nth(1).unwrap() {
        "/picture.jpg" | "/copy.jpg" => (200, "content-type: image/jpeg\r\n", PICTURE),
        "/sticker.jpg" => (200, "content-type: image/jpeg\r\n", STICKER),
        "/inside" => (302, "location: http://169.254.169.254/latest/meta-data\r\n", b""),
        "/broken" => (500, "", b""),
        _ => (404, "", b""),
    }
}

fn config(stage: &Stage) -> Config {
    Config {
        media: MediaConfig {
            allow_http: true,
            allow_networks: vec!["127.0.0.1/32".parse().unwrap()],
            upload_trusted_ms: 0,
            ..MediaConfig::default()
        },
        ..stage.config.clone()
    }
}

/// Somebody who agreed, and a picture from the vault for them.
async fn photo(stage: &Stage, link: String) -> MessageId {
    photo_by(stage, &link, Some("vault")).await
}

async fn photo_by(stage: &Stage, link: &str, credential: Option<&str>) -> MessageId {
    let phone = stage.somebody();
    stage.opt_in(&phone).await;
    stage.authorized_photo(&phone, link, credential).await
}

/// Why a message was given up: the machine word, and the problems in particular.
async fn unsendable(stage: &Stage, message: MessageId) -> (String, Vec<String>) {
    match stage.until_last(message, "given_up").await {
        AttemptEvent::GivenUp(given_up) => match given_up.because {
            GaveUpBecause::Unsendable { reason, problems } => (reason.as_str().to_owned(), problems),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_sent_to_a_hundred_people_is_fetched_and_uploaded_once() {
    let stage = Stage::new().await;
    let vault = Vault::open(Duration::from_millis(50)).await;
    let mut messages = Vec::new();
    for _ in 0..100 {
        messages.push(photo(&stage, vault.link("picture.jpg")).await);
    }
    let dispatcher = stage.dispatcher_with(&config(&stage)).await;
    for message in &messages {
        stage.until_last(*message, "accepted").await;
    }
    assert_eq!(stage.taken().len(), 100);
    assert_eq!(vault.requests(), 1);
    assert_eq!(stage.simulator.control().report().summary.media_files, 1);
    // Those who waited say so, once.
    assert_eq!(stage.story(messages[0]).await, ["deferred", "started", "accepted"]);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_by_itself_goes_by_the_id_of_its_upload_with_its_caption() {
    let stage = Stage::new().await;
    let vault = Vault::open(Duration::ZERO).await;
    let phone = stage.somebody();
    stage.opt_in(&phone).await;
    let control = stage.simulator.control();
    control.write_text(&phone.e164(), None, "Is it ready?").unwrap();
    let link = vault.link("picture.jpg");
    let message = stage.authorized_image(&phone, &link, "vault").await;
    let dispatcher = stage.dispatcher_with(&config(&stage)).await;
    stage.until_last(message, "accepted").await;
    let filter = Filter {
        bodies: true,
        ..Filter::default()
    };
    let taken = control.accepted(&filter).unwrap();
    let body: serde_json::Value = serde_json::from_str(taken[0].body.as_ref().unwrap().get()).unwrap();
    assert_eq!(body["image"]["caption"], "As promised");
    assert!(body["image"]["id"].is_string(), "{body}");
    assert!(!body.to_string().contains("http"), "{body}");
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_without_files_do_not_wait_for_files() {
    let stage = Stage::new().await;
    let vault = Vault::open(Duration::from_secs(3)).await;
    let mut slow = Vec::new();
    for _ in 0..40 {
        slow.push(photo(&stage, vault.link("picture.jpg")).await);
    }
    let quick = stage.messages(20).await;
    let dispatcher = stage.dispatcher_with(&config(&stage)).await;
    for message in &quick {
        stage.until_last(*message, "accepted").await;
    }
    assert_eq!(stage.taken().len(), 20, "the others still wait for their file");
    for message in &slow {
        stage.until_last(*message, "accepted").await;
    }
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_uploaded_is_known_after_a_kill_and_under_another_link() {
    let stage = Stage::new().await;
    let vault = Vault::open(Duration::ZERO).await;
    let first = photo(&stage, vault.link("picture.jpg")).await;
    let dispatcher = stage.dispatcher_with(&config(&stage)).await;
    stage.until_last(first, "accepted").await;
    dispatcher.kill().await;
    let again = photo(&stage, vault.link("picture.jpg")).await;
    let same_contents = photo(&stage, vault.link("copy.jpg")).await;
    let dispatcher = stage.dispatcher_with(&config(&stage)).await;
    stage.until_last(again, "accepted").await;
    assert_eq!(
        vault.requests(),
        2,
        "the same link is fetched once, the other link once"
    );
    stage.until_last(same_contents, "accepted").await;
    assert_eq!(stage.simulator.control().report().summary.media_files, 1);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dispatchers_that_are_killed_while_they_fetch_send_each_message_once() {
    let stage = Stage::new().await;
    let vault = Vault::open(Duration::from_millis(30)).await;
    let mut messages = Vec::new();
    for round in 0..5_u64 {
        for _ in 0..6 {
            messages.push(photo(&stage, vault.link("picture.jpg")).await);
        }
        let dispatcher = stage.dispatcher_with(&config(&stage)).await;
        tokio::time::sleep(Duration::from_millis(15 * round)).await;
        dispatcher.kill().await;
    }
    let mut patient = config(&stage);
    // A call that was cut off by a kill is not known to have failed; it is not what this is about.
    patient.silence_ms = 60_000;
    let dispatcher = stage.dispatcher_with(&patient).await;
    for message in &messages {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(40);
        loop {
            let story = stage.story(*message).await;
            if matches!(story.last(), Some(&("accepted" | "outcome_unknown"))) {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "{story:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let mut taken = stage.taken();
    let before = taken.len();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), before, "somebody was written to twice");
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_meta_would_refuse_is_named_by_what_is_wrong_with_it() {
    let stage = Stage::new().await;
    let vault = Vault::open(Duration::ZERO).await;
    let message = photo(&stage, vault.link("sticker.jpg")).await;
    let again = photo(&stage, vault.link("sticker.jpg")).await;
    let dispatcher = stage.dispatcher_with(&config(&stage)).await;
    let (reason, problems) = unsendable(&stage, message).await;
    assert_eq!(reason, "media_unfit");
    assert_eq!(problems, ["file: a WebP picture; allowed: JPEG or PNG"]);
    unsendable(&stage, again).await;
    assert_eq!(vault.requests(), 1, "a bad link is remembered");
    assert_eq!(stage.simulator.control().report().summary.media_files, 0);
    assert!(stage.taken().is_empty());
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_lead_where_we_must_not_go_are_refused_also_by_a_redirect() {
    let stage = Stage::new().await;
    let vault = Vault::open(Duration::ZERO).await;
    let table = [
        (vault.link("inside"), "media_address_link_local"),
        (vault.link("nothing"), "media_http_status_404"),
        ("http://169.254.169.254/latest".to_owned(), "media_address_link_local"),
        // The credential is for other hosts: nobody gets to see it, and nobody is asked.
        (
            "http://files.example/a.jpg".to_owned(),
            "media_credential_for_other_hosts",
        ),
        ("ftp://127.0.0.1/a.jpg".to_owned(), "media_link_unfit"),
    ];
    let mut messages = Vec::new();
    for (link, reason) in table {
        messages.push((photo(&stage, link).await, reason));
    }
    let unknown = photo_by(&stage, &vault.link("picture.jpg"), Some("safe")).await;
    messages.push((unknown, "media_credential_unknown"));
    let dispatcher = stage.dispatcher_with(&config(&stage)).await;
    for (message, expected) in messages {
        assert_eq!(unsendable(&stage, message).await.0, expected);
    }
    assert!(stage.taken().is_empty());
    dispatcher.stop().await;
    // As it comes out of the box, not even the vault is public.
    let message = photo(&stage, vault.link("picture.jpg")).await;
    let strict = Config {
        media: MediaConfig {
            allow_networks: Vec::new(),
            ..config(&stage).media
        },
        ..stage.config.clone()
    };
    let before = vault.requests();
    let dispatcher = stage.dispatcher_with(&strict).await;
    assert_eq!(unsendable(&stage, message).await.0, "media_address_loopback");
    assert_eq!(vault.requests(), before);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_fails_is_tried_again_before_the_message_is_given_up() {
    let stage = Stage::new().await;
    let vault = Vault::open(Duration::ZERO).await;
    let message = photo(&stage, vault.link("broken")).await;
    let dispatcher = stage.dispatcher_with(&config(&stage)).await;
    assert_eq!(unsendable(&stage, message).await.0, "media_http_status_500");
    assert_eq!(vault.requests(), 3);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_meta_no_longer_has_is_uploaded_again_once() {
    let stage = Stage::new().await;
    let vault = Vault::open(Duration::ZERO).await;
    let dispatcher = stage.dispatcher_with(&config(&stage)).await;
    let first = photo(&stage, vault.link("picture.jpg")).await;
    stage.until_last(first, "accepted").await;
    // For Meta a month passes; we still believe in its id.
    stage.simulator.control().advance_clock(Duration::from_hours(31 * 24));
    let second = photo(&stage, vault.link("picture.jpg")).await;
    stage.until_last(second, "accepted").await;
    let story = stage.story(second).await;
    assert_eq!(story[..3], ["started", "rejected", "deferred"], "{story:?}");
    assert_eq!(story[story.len() - 2..], ["started", "accepted"], "{story:?}");
    let refused = stage.simulator.control().report().summary.refused_by_code;
    assert_eq!(refused.get(&100), Some(&1));
    assert_eq!(stage.taken().len(), 2);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_meta_could_not_use_after_all_is_fetched_and_uploaded_anew_once() {
    let stage = Stage::new().await;
    let vault = Vault::open(Duration::ZERO).await;
    let dispatcher = stage.dispatcher_with(&config(&stage)).await;
    let sent = async || {
        let message = photo(&stage, vault.link("picture.jpg")).await;
        stage.until_last(message, "accepted").await;
        (vault.requests(), stage.simulator.control().report().summary.media_files)
    };
    assert_eq!(sent().await, (1, 1));
    // A failure that says nothing about the file.
    let failed = stage.failure(&stage.accepted()[0], 131_026).await;
    stage.until_watched(failed).await;
    assert_eq!(sent().await, (1, 1));
    for accepted in &stage.accepted() {
        let failed = stage.failure(accepted, 131_053).await;
        stage.until_watched(failed).await;
    }
    assert_eq!(sent().await, (2, 2));
    // Of messages that went with the old upload: it says nothing about the new one.
    let last = stage.accepted().len() - 1;
    for accepted in &stage.accepted()[..last] {
        let failed = stage.failure(accepted, 131_053).await;
        stage.until_watched(failed).await;
    }
    assert_eq!(sent().await, (2, 2));
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_without_a_credential_is_left_to_meta_unless_configured() {
    let stage = Stage::new().await;
    let vault = Vault::open(Duration::ZERO).await;
    let message = photo_by(&stage, &vault.link("picture.jpg"), None).await;
    let dispatcher = stage.dispatcher_with(&config(&stage)).await;
    stage.until_last(message, "accepted").await;
    assert_eq!(vault.requests(), 0);
    dispatcher.stop().await;
    let message = photo_by(&stage, &vault.link("picture.jpg"), None).await;
    let mut always = config(&stage);
    always.media.upload_links = true;
    let dispatcher = stage.dispatcher_with(&always).await;
    // This vault lets nobody in without a token.
    assert_eq!(unsendable(&stage, message).await.0, "media_http_status_401");
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_links_nor_secrets_lie_in_events_or_tables() {
    let stage = Stage::new().await;
    let vault = Vault::open(Duration::ZERO).await;
    let message = photo(&stage, vault.link("picture.jpg")).await;
    let unfit = photo(&stage, vault.link("sticker.jpg")).await;
    let dispatcher = stage.dispatcher_with(&config(&stage)).await;
    stage.until_last(message, "accepted").await;
    unsendable(&stage, unfit).await;
    dispatcher.stop().await;
    let events = stage.platform.store.read_shard(crate::stage::SHARD, 0, 10_000).await;
    for event in events.unwrap() {
        let data = String::from_utf8_lossy(&event.data).into_owned();
        for secret in ["vault-token", "picture.jpg", "127.0.0.1"] {
            assert!(!data.contains(secret), "{}: {secret}", event.kind.as_str());
        }
    }
    if let Some(pool) = stage.platform.store.sqlite() {
        // What is in the write-ahead log goes to the file that is read below.
        pool.execute("pragma wal_checkpoint(truncate)").await.unwrap();
        let file = stage.platform.store.sqlite_dir().unwrap().join("views.db");
        let bytes = std::fs::read(file).unwrap();
        for secret in [&b"vault-token"[..], b"picture.jpg"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }
}

//! Fetches against real servers on loopback, with a resolver that leads wherever a test wants.

use crate::{Credential, FetchConfig, FetchError, Fetcher, Resolve, address::NotPublic, limits};
use futures::future::BoxFuture;
use std::{
    collections::{HashMap, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};

/// Answers a host's look-ups in turn; the last answer stays.
#[derive(Debug, Default)]
struct Names {
    answers: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    fn new<'a>(names: impl IntoIterator<Item = (&'a str, &'a [&'a str])>) -> Arc<Self> {
        let names = names.into_iter().map(|(host, rounds)| {
            let round = |addresses: &&str| addresses.split(' ').map(|text| text.parse().unwrap()).collect();
            (host.to_owned(), rounds.iter().map(round).collect())
        });
        Arc::new(Self {
            answers: Mutex::new(names.collect()),
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Resolve for Names {
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let found = answers.get_mut(host).map(|rounds| {
            if rounds.len() > 1 {
                rounds.pop_front().unwrap()
            } else {
                rounds[0].clone()
            }
        });
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such host")) })
    }
}

/// Writes the n-th answer to the n-th connection and keeps what it was asked.
struct Host {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Host {
    async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let answers: Vec<Answer> = answers.into_iter().collect();
        let task = tokio::spawn(async move {
            let mut open = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await.unwrap() == 0 {
                        break;
                    }
                }
                seen.lock().unwrap().push(String::from_utf8(head).unwrap());
                // Whoever has heard enough hangs up.
                let _ = stream.write_all(&answer.bytes).await;
                if answer.stays_open {
                    open.push(stream);
                }
            }
            std::future::pending::<()>().await;
        });
        Self {
            address,
            requests,
            task,
        }
    }

    fn link(&self, host: &str) -> String {
        format!("http://{host}:{}/file", self.address.port())
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

struct Answer {
    bytes: Vec<u8>,
    stays_open: bool,
}

fn answer(status: u16, headers: &str, body: &str) -> Answer {
    let length = body.len();
    Answer {
        bytes: format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes(),
        stays_open: false,
    }
}

fn raw(text: &str, stays_open: bool) -> Answer {
    Answer {
        bytes: text.as_bytes().to_vec(),
        stays_open,
    }
}

fn redirect(to: &str) -> Answer {
    answer(302, &format!("location: {to}\r\n"), "elsewhere")
}

fn config() -> FetchConfig {
    FetchConfig {
        timeout: Duration::from_secs(5),
        allow_http: true,
        allow_networks: vec!["127.0.0.1/32".parse().unwrap()],
    }
}

fn fetcher(names: &Arc<Names>) -> Fetcher {
    Fetcher::with_resolver(&config(), Arc::clone(names) as Arc<dyn Resolve>).unwrap()
}

fn files() -> Arc<Names> {
    Names::new([
        ("files.example", &["127.0.0.1"][..]),
        ("other.example", &["127.0.0.1"][..]),
    ])
}

#[tokio::test]
async fn a_file_is_fetched_with_what_its_host_claims() {
    let host = Host::start([answer(200, "content-type: image/png\r\n", "a picture")]).await;
    let fetched = fetcher(&files())
        .fetch(&host.link("files.example"), None, 9)
        .await
        .unwrap();
    assert_eq!(fetched.bytes, "a picture");
    assert_eq!(fetched.media_type.as_deref(), Some("image/png"));
    let request = host.requests()[0].to_ascii_lowercase();
    assert!(request.starts_with("get /file http/1.1\r\n"), "{request}");
    assert!(request.contains("accept-encoding: identity\r\n"), "{request}");
    assert!(!request.contains("authorization"), "{request}");
}

#[tokio::test]
async fn a_link_that_is_none_is_refused() {
    let secure = Fetcher::try_new(&FetchConfig::default()).unwrap();
    let long = format!("https://example.com/{}", "x".repeat(limits::LINK_BYTES_MAX));
    for link in [
        "",
        "/file",
        "example.com/file",
        "http://example.com/file",
        "ftp://example.com/file",
        "file:///etc/passwd",
        "data:,x",
        "https://me:secret@example.com/",
        "https://me@example.com/",
        &long,
    ] {
        assert_eq!(
            secure.fetch(link, None, 1).await.unwrap_err(),
            FetchError::Link,
            "{link}"
        );
    }
}

#[tokio::test]
async fn an_address_in_a_link_is_judged_however_it_is_written() {
    let secure = Fetcher::try_new(&FetchConfig::default()).unwrap();
    let table = [
        ("https://127.0.0.1/", NotPublic::Loopback),
        ("https://127.1/", NotPublic::Loopback),
        ("https://2130706433/", NotPublic::Loopback),
        ("https://0x7f.0.0.1/", NotPublic::Loopback),
        ("https://0177.0.0.1/", NotPublic::Loopback),
        ("https://[::1]/", NotPublic::Loopback),
        ("https://[::ffff:169.254.169.254]/", NotPublic::LinkLocal),
        ("https://169.254.169.254/latest/meta-data", NotPublic::LinkLocal),
        ("https://10.0.0.1:8443/", NotPublic::Private),
        ("https://１２７.0.0.1/", NotPublic::Loopback),
        ("https://0/", NotPublic::Reserved),
    ];
    for (link, kind) in table {
        let refused = secure.fetch(link, None, 1).await.unwrap_err();
        assert_eq!(refused, FetchError::Address(kind), "{link}");
        assert!(!refused.is_passing());
    }
}

#[tokio::test]
async fn a_host_with_one_forbidden_address_is_not_called() {
    let host = Host::start([]).await;
    for (addresses, kind) in [
        ("10.0.0.1", NotPublic::Private),
        ("127.0.0.1 169.254.169.254", NotPublic::LinkLocal),
        ("127.0.0.1 fd00::1", NotPublic::Private),
        ("127.0.0.2", NotPublic::Loopback),
    ] {
        let names = Names::new([("files.example", &[addresses][..])]);
        let refused = fetcher(&names).fetch(&host.link("files.example"), None, 9).await;
        assert_eq!(refused.unwrap_err(), FetchError::Address(kind), "{addresses}");
    }
    assert!(host.requests().is_empty());
}

#[tokio::test]
async fn the_look_up_that_is_judged_is_the_one_that_is_connected_to() {
    let host = Host::start([answer(200, "", "x"), answer(200, "", "x")]).await;
    // A second look-up within one fetch would lead to the metadata address.
    let names = Names::new([("files.example", &["127.0.0.1", "169.254.169.254"][..])]);
    let fetcher = fetcher(&names);
    fetcher.fetch(&host.link("files.example"), None, 9).await.unwrap();
    assert_eq!(names.asked(), ["files.example"]);
    // The next fetch looks up anew, even if the connection were still there, and is refused.
    let refused = fetcher.fetch(&host.link("files.example"), None, 9).await;
    assert_eq!(refused.unwrap_err(), FetchError::Address(NotPublic::LinkLocal));
}

#[tokio::test]
async fn redirects_are_followed_and_judged_one_by_one() {
    let host = Host::start([redirect("/moved"), redirect("//other.example:1/file")]).await;
    let target = Host::start([answer(200, "", "here")]).await;
    let there = target.link("other.example");
    let again = Host::start([redirect("/moved"), redirect(&there)]).await;
    let fetcher = fetcher(&files());
    let file = fetcher.fetch(&again.link("files.example"), None, 9).await.unwrap();
    assert_eq!(file.bytes, "here");
    assert!(again.requests()[1].starts_with("GET /moved "));
    // Nobody listens on port 1.
    let refused = fetcher.fetch(&host.link("files.example"), None, 9).await;
    assert_eq!(refused.unwrap_err(), FetchError::Unreachable);
}

#[tokio::test]
async fn a_redirect_to_a_forbidden_place_is_refused() {
    let names = Names::new([
        ("files.example", &["127.0.0.1"][..]),
        ("inside.example", &["192.168.0.7"][..]),
        // Changes its address once the first link was judged.
        ("rebound.example", &["127.0.0.1", "10.1.1.1"][..]),
    ]);
    let fetcher = fetcher(&names);
    for (location, refusal) in [
        (
            "http://169.254.169.254/latest",
            FetchError::Address(NotPublic::LinkLocal),
        ),
        ("http://[::1]/", FetchError::Address(NotPublic::Loopback)),
        ("http://inside.example/", FetchError::Address(NotPublic::Private)),
        ("file:///etc/passwd", FetchError::Redirect),
        ("http://a:b@files.example/", FetchError::Redirect),
    ] {
        let host = Host::start([redirect(location)]).await;
        let refused = fetcher.fetch(&host.link("files.example"), None, 9).await;
        assert_eq!(refused.unwrap_err(), refusal, "{location}");
    }
    let host = Host::start([redirect("/again"), answer(200, "", "never")]).await;
    let refused = fetcher.fetch(&host.link("rebound.example"), None, 9).await;
    assert_eq!(refused.unwrap_err(), FetchError::Address(NotPublic::Private));
    assert_eq!(host.requests().len(), 1);
    let nowhere = Host::start([answer(302, "", "")]).await;
    let refused = fetcher.fetch(&nowhere.link("files.example"), None, 9).await;
    assert_eq!(refused.unwrap_err(), FetchError::Redirect);
}

#[tokio::test]
async fn endless_redirects_end() {
    let hops = limits::REDIRECTS_MAX + 1;
    let host = Host::start((0..hops).map(|_| redirect("/again"))).await;
    let refused = fetcher(&files()).fetch(&host.link("files.example"), None, 9).await;
    assert_eq!(refused.unwrap_err(), FetchError::TooManyRedirects);
    assert_eq!(host.requests().len(), hops);
}

#[tokio::test]
async fn a_credential_is_shown_to_its_hosts_and_not_to_where_they_redirect() {
    let elsewhere = Host::start([answer(200, "", "x")]).await;
    let host = Host::start([redirect("/moved"), redirect(&elsewhere.link("other.example"))]).await;
    let credential = Credential::bearer("tok-123", vec!["files.example".parse().unwrap()]).unwrap();
    let fetcher = fetcher(&files());
    fetcher
        .fetch(&host.link("files.example"), Some(&credential), 9)
        .await
        .unwrap();
    for request in host.requests() {
        assert!(request.contains("authorization: Bearer tok-123\r\n"), "{request}");
    }
    assert!(!elsewhere.requests()[0].contains("tok-123"));
    let refused = fetcher
        .fetch(&elsewhere.link("other.example"), Some(&credential), 9)
        .await;
    assert_eq!(refused.unwrap_err(), FetchError::CredentialForOthers);
    assert_eq!(elsewhere.requests().len(), 1);
}

#[tokio::test]
async fn the_same_host_on_another_port_is_another_place_for_a_credential() {
    let elsewhere = Host::start([answer(200, "", "x")]).await;
    let host = Host::start([redirect(&elsewhere.link("files.example"))]).await;
    let credential = Credential::header("x-api-key", "key-123", vec!["files.example".parse().unwrap()]).unwrap();
    fetcher(&files())
        .fetch(&host.link("files.example"), Some(&credential), 9)
        .await
        .unwrap();
    assert!(host.requests()[0].contains("x-api-key: key-123\r\n"));
    assert!(!elsewhere.requests()[0].contains("key-123"));
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_read_to_its_end() {
    let chunked = "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n6\r\n012345\r\n6\r\n012345\r\n0\r\n\r\n";
    let host = Host::start([
        answer(200, "", "0123456789"),
        raw("HTTP/1.1 200 X\r\ncontent-length: 4000000000\r\n\r\n", true),
        raw(chunked, false),
        raw("HTTP/1.1 200 X\r\nconnection: close\r\n\r\n0123456789", false),
    ])
    .await;
    let fetcher = fetcher(&files());
    for _ in 0..4 {
        let refused = fetcher.fetch(&host.link("files.example"), None, 9).await;
        assert_eq!(refused.unwrap_err(), FetchError::TooLarge { bytes_max: 9 });
    }
}

#[tokio::test]
async fn a_length_that_lies_gives_no_half_file_and_no_more_than_was_said() {
    let host = Host::start([
        raw("HTTP/1.1 200 X\r\ncontent-length: 8\r\n\r\n0123", false),
        raw("HTTP/1.1 200 X\r\ncontent-length: 4\r\n\r\n0123456789", false),
        raw("HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n6\r\n012", false),
        raw("", false),
    ])
    .await;
    let fetcher = fetcher(&files());
    let link = host.link("files.example");
    let mut ends = Vec::new();
    for _ in 0..4 {
        ends.push(fetcher.fetch(&link, None, 9).await.map(|fetched| fetched.bytes));
    }
    assert_eq!(ends[0], Err(FetchError::ConnectionLost));
    assert_eq!(ends[1].as_deref(), Ok(&b"0123"[..]));
    assert_eq!(ends[2], Err(FetchError::ConnectionLost));
    assert_eq!(ends[3], Err(FetchError::ConnectionLost));
}

#[tokio::test]
async fn all_of_a_fetch_has_one_time() {
    let host = Host::start([
        redirect("/slow"),
        raw("HTTP/1.1 200 X\r\ncontent-length: 8\r\n\r\n0123", true),
        raw("", true),
    ])
    .await;
    let timeout = Duration::from_millis(300);
    let config = FetchConfig { timeout, ..config() };
    let impatient = Fetcher::with_resolver(&config, files()).unwrap();
    for _ in 0..2 {
        let refused = impatient.fetch(&host.link("files.example"), None, 9).await.unwrap_err();
        assert_eq!(refused, FetchError::Timeout { after: timeout });
        assert!(refused.is_passing());
    }
}

#[tokio::test]
async fn an_answer_that_is_no_file_is_refused() {
    let host = Host::start([
        answer(404, "", "no"),
        answer(503, "", "no"),
        answer(206, "", "no"),
        answer(200, "content-encoding: gzip\r\n", "no"),
    ])
    .await;
    let fetcher = fetcher(&files());
    let mut ends = Vec::new();
    for _ in 0..4 {
        ends.push(fetcher.fetch(&host.link("files.example"), None, 9).await.unwrap_err());
    }
    let status = |http_status| FetchError::Status { http_status };
    assert_eq!(ends, [status(404), status(503), status(206), FetchError::Encoded]);
    let passing: Vec<bool> = ends.into_iter().map(FetchError::is_passing).collect();
    assert_eq!(passing, [false, true, false, false]);
}

#[tokio::test]
async fn a_host_that_cannot_be_found_or_reached_is_told_apart() {
    let fetcher = fetcher(&files());
    let unknown = fetcher.fetch("http://nobody.example/", None, 9).await.unwrap_err();
    assert_eq!(unknown, FetchError::HostUnknown);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let refused = fetcher
        .fetch(&format!("http://files.example:{port}/"), None, 9)
        .await
        .unwrap_err();
    assert_eq!(refused, FetchError::Unreachable);
    assert!(unknown.is_passing() && refused.is_passing());
}

#[tokio::test]
async fn neither_errors_nor_a_fetched_file_show_what_was_fetched() {
    let host = Host::start([answer(200, "", "sesame")]).await;
    let fetched = fetcher(&files())
        .fetch(&host.link("files.example"), None, 9)
        .await
        .unwrap();
    assert!(!format!("{fetched:?}").contains("sesame"));
    let refused = fetcher(&files())
        .fetch("http://10.0.0.1/sesame", None, 9)
        .await
        .unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("sesame"));
}

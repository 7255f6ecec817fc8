//! No personal data in anything but sealed fields (I8): what lies on disk is searched after a run, and what was logged,
//! counted and traced.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aho_corasick::AhoCorasick;
use assent_proto::v1;
use assent_tests::system::{Role, System, SystemConfig, people};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use sqlx::{Connection as _, PgConnection};

use crate::{
    callbacks::{inbound_text, signed},
    collector::Collector,
    support::{PATIENCE, eventually, note, send_until_acknowledged, servers_are_here, start, wait_until_ended},
};

const PEOPLE: usize = 40;
/// Shorter ones are found in noise.
const NEEDLE_BYTES_MIN: usize = 6;

/// Texts to look for, in every form in which they could lie somewhere.
struct Needles {
    automaton: AhoCorasick,
    /// What each pattern is a form of, without the text itself.
    names: Vec<String>,
}

impl Needles {
    fn new(texts: &[(String, String)]) -> Self {
        let (mut patterns, mut names) = (Vec::new(), Vec::new());
        for (name, text) in texts {
            assert!(text.len() >= NEEDLE_BYTES_MIN, "{name} is too short to be looked for");
            for (form, pattern) in forms(text) {
                patterns.push(pattern);
                names.push(format!("{name} ({form})"));
            }
        }
        Self {
            automaton: AhoCorasick::new(patterns).unwrap(),
            names,
        }
    }

    /// The names of what is in these bytes.
    fn in_bytes(&self, bytes: &[u8]) -> Vec<&str> {
        let found = self.automaton.find_overlapping_iter(bytes);
        let mut names: Vec<&str> = found.map(|found| self.names[found.pattern()].as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// As it is, in hexadecimal, and within base64 of something longer, at each of the three alignments and in both alphabets:
/// the same as decoding everything that looks like base64 and searching that.
fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = text.as_bytes();
    let hexadecimal = bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let mut forms = vec![("plain", bytes.to_vec()), ("hexadecimal", hexadecimal.into_bytes())];
    for before in 0..3 {
        let mut shifted = vec![0; before];
        shifted.extend(bytes);
        // Characters that also hold bits of what stands before or after are left out.
        let first = (before * 8).div_ceil(6);
        let last = (before + bytes.len()) * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            forms.push(("base64", encoded.as_bytes()[first..last].to_vec()));
        }
    }
    forms
}

#[test]
fn a_text_is_found_inside_base64_wherever_it_begins() {
    let needles = Needles::new(&[("number".to_owned(), "4915112000007".to_owned())]);
    for before in ["", "x", "xy", "xyz", "HBgM"] {
        let wamid = STANDARD_NO_PAD.encode(format!("{before}4915112000007\u{15}\u{2}"));
        assert!(
            !needles.in_bytes(format!("wamid.{wamid}=").as_bytes()).is_empty(),
            "{before}"
        );
    }
    assert!(needles.in_bytes(b"4915112000008").is_empty());
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap().filter_map(Result::ok) {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(path),
                Ok(kind) if kind.is_file() => files.push(path),
                _ => {}
            }
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i8_no_phone_number_text_or_message_id_lies_in_files_logs_metrics_or_traces() {
    if !servers_are_here() {
        return;
    }
    let (collector, address) = Collector::start();
    let config = SystemConfig {
        otlp_endpoint: Some(format!("http://{address}")),
        // What an operator switches on when in trouble must not tell either.
        log_filter: "debug,h2=info,hyper=info".to_owned(),
        ..SystemConfig::default()
    };
    let system = start(config, PEOPLE).await;
    let inbound = "My daughter's birthday is on Friday";
    let (messages, wamids) = run(&system, inbound).await;

    let mut secrets: Vec<(String, String)> = Vec::new();
    for person in 0..PEOPLE {
        secrets.push((
            format!("number of person {person}"),
            people::phone_number(person)[1..].to_owned(),
        ));
        secrets.push((
            format!("first parameter of person {person}"),
            format!("Customer {person} Jones"),
        ));
        secrets.push((format!("second parameter of person {person}"), format!("A-{person:06}")));
    }
    secrets.push(("inbound text".to_owned(), inbound.to_owned()));
    secrets.push(("profile name".to_owned(), "A Person".to_owned()));
    secrets.push((
        "wording of the opt-in".to_owned(),
        "Send me updates about my orders".to_owned(),
    ));
    for (index, wamid) in wamids.iter().enumerate() {
        secrets.push((format!("wamid {index}"), wamid.trim_start_matches("wamid.").to_owned()));
    }
    for tenant in &system.tenants {
        secrets.push(("Meta token".to_owned(), tenant.meta_token.clone()));
        secrets.push(("app secret".to_owned(), tenant.app_secret.clone()));
        secrets.push(("API key".to_owned(), tenant.key.clone()));
    }
    let needles = Needles::new(&secrets);
    // What must be there: otherwise the search does not see what it looks at.
    let control = Needles::new(&[
        ("tenant".to_owned(), system.tenants[0].id.clone()),
        ("message".to_owned(), messages[0].to_string()),
    ]);
    let stream_bytes = messages[0].as_bytes().to_vec();

    // Spans are exported every few seconds.
    eventually("spans of the last step have come", async || {
        collector.spans().iter().any(|traced| traced.span.name == "callback")
    })
    .await;
    checkpoint(&system).await;
    let mut found: Vec<String> = Vec::new();
    let mut searched = 0_u64;
    let (mut tenant_seen, mut message_seen) = (false, false);
    let places = [system.postgres.data_dir(), system.nats.store_dir()];
    for file in places.iter().flat_map(|place| files_below(place)) {
        let Ok(bytes) = fs::read(&file) else { continue };
        searched += bytes.len() as u64;
        tenant_seen |= !control.in_bytes(&bytes).is_empty();
        message_seen |= bytes.windows(16).any(|window| window == stream_bytes);
        found.extend(
            needles
                .in_bytes(&bytes)
                .iter()
                .map(|name| format!("{}: {name}", file.display())),
        );
    }
    let logs = logs(&system);
    for log in &logs {
        let bytes = fs::read(log).unwrap();
        searched += bytes.len() as u64;
        found.extend(
            needles
                .in_bytes(&bytes)
                .iter()
                .map(|name| format!("{}: {name}", log.display())),
        );
    }
    for role in Role::ALL {
        let page = system.metrics_text(role).await.unwrap();
        searched += page.len() as u64;
        found.extend(
            needles
                .in_bytes(page.as_bytes())
                .iter()
                .map(|name| format!("metrics of {role}: {name}")),
        );
    }
    let traces = collector.bytes();
    assert!(!traces.is_empty(), "no trace came to be searched");
    searched += traces.len() as u64;
    found.extend(needles.in_bytes(&traces).iter().map(|name| format!("traces: {name}")));

    note(&format!(
        "secrecy: searched {} MiB for {} texts",
        searched >> 20,
        secrets.len()
    ));
    assert!(
        tenant_seen && message_seen,
        "the search sees neither tenants nor messages in the database's files"
    );
    assert!(
        found.is_empty(),
        "personal data lies in the open:\n{}",
        found.join("\n")
    );
}

/// Everybody gets a message, one answers, one withdraws; the messages and Meta's ids of them.
async fn run(system: &System, inbound: &str) -> (Vec<uuid::Uuid>, Vec<String>) {
    let client = system.client(0).unwrap();
    let from = &system.tenants[0].phone_number_id;
    let mut messages = Vec::new();
    for person in 0..PEOPLE {
        let mut request = people::send_request(&format!("secret-{person}"), from, person, v1::WaitFor::Decision);
        // A parameter that is not the beginning of another's.
        if let Some(v1::content::Kind::Template(template)) =
            request.content.as_mut().and_then(|content| content.kind.as_mut())
            && let Some(v1::template_parameter::Value::Text(text)) = template
                .body_parameters
                .first_mut()
                .and_then(|parameter| parameter.value.as_mut())
        {
            *text = format!("Customer {person} Jones");
        }
        messages.push(send_until_acknowledged(&client, request).await);
    }
    wait_until_ended(&client, &messages, PATIENCE).await;
    let http = reqwest::Client::new();
    let own_wamid = format!(
        "wamid.{}",
        STANDARD_NO_PAD.encode(format!("HBgN{}", people::phone_number(3)))
    );
    for (person, wamid, text) in [(3, own_wamid.as_str(), inbound), (4, "wamid.SECRECY0002", "STOP")] {
        let body = inbound_text(system, 0, &people::phone_number(person), wamid, text).to_string();
        let answer = signed(&http, system, 0, body.as_bytes()).send().await.unwrap();
        assert!(answer.status().is_success());
    }
    // A wrong call must not be logged with what was wrong in it.
    let mut wrong = people::send_request("secret-wrong", from, 5, v1::WaitFor::Accepted);
    wrong.idempotency_key = String::new();
    client.messages.clone().send_message(wrong).await.unwrap_err();
    let refused = people::send_request("secret-refused", from, 4, v1::WaitFor::Decision);
    eventually("a message to the one who withdrew is refused", async || {
        let mut request = refused.clone();
        request.idempotency_key = format!("secret-refused-{}", uuid::Uuid::new_v4().simple());
        client.messages.clone().send_message(request).await.is_err()
    })
    .await;
    let mut wamids: Vec<String> = system
        .simulator
        .accepted()
        .await
        .unwrap()
        .into_iter()
        .map(|one| one.wamid)
        .collect();
    wamids.push(own_wamid);
    (messages, wamids)
}

/// Everything that Postgres holds in memory is in its files after this.
async fn checkpoint(system: &System) {
    let mut connection = PgConnection::connect(system.database_url()).await.unwrap();
    sqlx::query("checkpoint").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// The output of everything of ours, and of the servers.
fn logs(system: &System) -> Vec<PathBuf> {
    let mut logs: Vec<PathBuf> = Role::ALL
        .into_iter()
        .map(|role| system.role(role).unwrap().log().to_owned())
        .collect();
    logs.extend([system.postgres.log(), system.nats.log()]);
    logs
}

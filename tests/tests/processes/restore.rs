//! Backup and restore by the shipped script: the keys apart and older than the log, an erasure in between.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use assent_proto::v1::{self, MessageState};
use assent_tests::{
    servers::find_postgres,
    system::{Client, Role, System, SystemConfig, people},
};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::{
    kills::purge_jetstream,
    support::{PATIENCE, note, send_until_acknowledged, servers_are_here, start, wait_until_ended},
};

const PEOPLE: usize = 8;
/// Whose data is erased after the keys were backed up.
const FORGOTTEN: usize = 3;
const DRAIN_PATIENCE: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_erased_after_the_backup_of_the_keys_stays_erased_after_a_restore() {
    if !servers_are_here() {
        return;
    }
    let mut system = start(SystemConfig::default(), PEOPLE).await;
    let client = system.client(0).unwrap();
    let mut sent = send_to_everybody(&system, &client, "before").await;
    let backups = tempfile::tempdir().unwrap();
    let (keys, log) = (backups.path().join("keys.dump"), backups.path().join("log.dump"));
    run_script(system.database_url(), &["keys", path(&keys)]);

    let forgotten_messages = [sent[FORGOTTEN]];
    erase(&client, FORGOTTEN).await;
    sent.extend(send_to_everybody(&system, &client, "after").await);
    let shown_before = shown(&client, &sent).await;
    assert!(shown_before[FORGOTTEN].to.is_none() && shown_before[FORGOTTEN].content.is_none());
    stop_all(&mut system).await;
    let digests_before = rebuild(&system);
    let heads_before = verify(&system);
    let keys_before = key_ids(system.database_url()).await;
    run_script(system.database_url(), &["log", path(&log)]);

    let restored = system.postgres.create_database("restored").await.unwrap();
    run_script(&restored, &["restore", path(&log), path(&keys)]);
    let restored_keys = key_ids(&restored).await;
    let came_back = restored_keys.difference(&keys_before).count();
    assert!(
        came_back > 0,
        "no destroyed key was in the backup: the test means nothing"
    );
    // Into a database with anything in it, nothing is restored.
    assert!(
        !script(&restored, &["restore", path(&log), path(&keys)])
            .status()
            .unwrap()
            .success()
    );

    system.use_database(&restored);
    purge_jetstream(&system.nats.url()).await;
    for role in Role::ALL {
        system.start_role(role).await.unwrap();
    }
    note(&format!(
        "restore: {came_back} destroyed keys came back with the backup and are destroyed again"
    ));
    assert_eq!(key_ids(&restored).await.difference(&keys_before).count(), 0);
    let client = system.client(0).unwrap();
    assert_eq!(shown(&client, &sent).await, shown_before);
    for message in forgotten_messages {
        let message = get(&client, message).await;
        assert!(
            message.to.is_none() && message.content.is_none(),
            "what was erased is readable"
        );
    }
    assert!(is_forgotten(&client, FORGOTTEN).await);
    assert!(!is_forgotten(&client, FORGOTTEN + 1).await);

    // The tail goes by way of NATS, which was filled again, and everything is decided, sent and reported as ever.
    let later = send_to_everybody(&system, &client, "later").await;
    assert_eq!(later.len(), PEOPLE - 1);
    stop_all(&mut system).await;
    let heads = verify(&system);
    assert_eq!(heads.len(), heads_before.len());
    assert_same_digests(&system, &restored, &log, &keys, &digests_before).await;
}

/// Rebuilt from the restored log as it was, before anything was added to it, the read models say what they said.
async fn assert_same_digests(system: &System, restored: &str, log: &Path, keys: &Path, before: &[String]) {
    let url = system.postgres.create_database("restored_again").await.unwrap();
    run_script(&url, &["restore", path(log), path(keys)]);
    let output = assent(system, &["rebuild", "all", "--postgres-url", &url]);
    assert_eq!(digest_lines(&output), before, "{output}");
    assert!(
        !output.contains(", was "),
        "the read models in the backup were others: {output}"
    );
    assert_ne!(url, restored);
}

async fn send_to_everybody(system: &System, client: &Client, what: &str) -> Vec<Uuid> {
    let from = &system.tenants[0].phone_number_id;
    let mut sent = Vec::new();
    for person in 0..PEOPLE {
        let request = people::send_request(&format!("{what}-{person}"), from, person, v1::WaitFor::Accepted);
        if what == "before" || person != FORGOTTEN {
            sent.push(send_until_acknowledged(client, request).await);
        }
    }
    let ended = wait_until_ended(client, &sent, PATIENCE).await;
    for message in &sent {
        assert_eq!(ended[message].state(), MessageState::Read, "{message}");
    }
    sent
}

async fn get(client: &Client, message: Uuid) -> v1::Message {
    let request = v1::GetMessageRequest {
        key: Some(v1::get_message_request::Key::MessageId(message.to_string())),
        include_timeline: true,
    };
    let answer = client.messages.clone().get_message(request).await.unwrap();
    answer.into_inner().message.unwrap()
}

async fn shown(client: &Client, messages: &[Uuid]) -> Vec<v1::Message> {
    let mut shown = Vec::new();
    for message in messages {
        shown.push(get(client, *message).await);
    }
    shown
}

async fn erase(client: &Client, person: usize) {
    let request = v1::EraseContactRequest {
        key: Some(v1::erase_contact_request::Key::Contact(people::recipient(person))),
        requested_at: None,
    };
    let answer = client.consent.clone().erase_contact(request).await.unwrap();
    assert!(answer.into_inner().changed);
    // Processes may remember a key for a moment after another one destroyed it.
    tokio::time::sleep(Duration::from_secs(11)).await;
}

async fn is_forgotten(client: &Client, person: usize) -> bool {
    let request = v1::GetContactRequest {
        key: Some(v1::get_contact_request::Key::Contact(people::recipient(person))),
    };
    let answer = client.consent.clone().get_contact(request).await.unwrap();
    let contact = answer.into_inner().contact.unwrap();
    assert_eq!(contact.erased, contact.aliases.is_empty());
    contact.erased
}

async fn stop_all(system: &mut System) {
    for role in Role::ALL {
        system.terminate(role, DRAIN_PATIENCE).await.unwrap();
    }
}

async fn key_ids(url: &str) -> BTreeSet<Uuid> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let ids: Vec<Uuid> = sqlx::query_scalar("select key_id from assent_keys.keys")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    ids.into_iter().collect()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// `deploy/backup/assent-backup`, with this machine's Postgres programs.
fn script(url: &str, arguments: &[&str]) -> Command {
    let programs = find_postgres().unwrap();
    let search = std::env::var("PATH").unwrap_or_default();
    let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/backup/assent-backup");
    let mut command = Command::new(script);
    command
        .args(arguments)
        .env("ASSENT_POSTGRES_URL", url)
        .env("PATH", format!("{}:{search}", programs.display()));
    command
}

fn run_script(url: &str, arguments: &[&str]) {
    let output = script(url, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// The binary's own words; it must succeed.
fn assent(system: &System, arguments: &[&str]) -> String {
    let output = Command::new(system.binary()).args(arguments).output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {words} {output:?}");
    words
}

fn rebuild(system: &System) -> Vec<String> {
    let output = assent(system, &["rebuild", "all", "--postgres-url", system.database_url()]);
    assert!(!output.contains(", was "), "{output}");
    digest_lines(&output)
}

/// Name and digest of each read model, as `assent rebuild` prints them.
fn digest_lines(output: &str) -> Vec<String> {
    let digests = output
        .lines()
        .filter_map(|line| line.split_once(", ").map(|(digest, _)| digest.to_owned()));
    let digests: Vec<String> = digests.collect();
    assert!(digests.len() >= 4, "{output}");
    digests
}

/// The head of each shard's chain.
fn verify(system: &System) -> Vec<String> {
    let output = assent(system, &["verify", "--postgres-url", system.database_url()]);
    let heads: Vec<String> = output.lines().map(str::to_owned).collect();
    assert!(heads.iter().all(|line| line.contains("intact")), "{output}");
    heads
}

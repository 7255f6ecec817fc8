//! `assent doctor` against a system that is well, and against one with something broken on purpose each time.

use std::process::Command;

use assent_tests::{
    servers::{NatsConfig, NatsServer},
    system::{System, SystemConfig},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::{servers_are_here, start};

/// What the doctor said and how it ended.
struct Said {
    code: i32,
    findings: Vec<Value>,
    words: String,
}

impl Said {
    fn verdicts(&self, check: &str) -> Vec<&str> {
        let of_check = self.findings.iter().filter(|finding| finding["check"] == check);
        of_check.map(|finding| finding["verdict"].as_str().unwrap()).collect()
    }

    fn assert_failed(&self, check: &str) {
        assert_eq!(self.code, 1, "{}", self.words);
        let failed: Vec<&Value> = self
            .findings
            .iter()
            .filter(|finding| finding["verdict"] == "failed")
            .collect();
        assert!(
            failed.iter().any(|finding| finding["check"] == check),
            "{check}: {}",
            self.words
        );
        assert!(
            failed.iter().all(|finding| finding["fix"].is_string()),
            "{}",
            self.words
        );
    }
}

/// Runs it with the services' own configuration and some variables of it changed.
fn doctor(system: &System, arguments: &[&str], changed: &[(&str, &str)]) -> Said {
    let mut command = Command::new(system.binary());
    command.arg("doctor");
    system.configured(&mut command);
    if !arguments.contains(&"--callback-url") {
        command.args(["--callback-url", &system.callbacks_base_url()]);
    }
    let output = command
        .arg("--json")
        .args(arguments)
        .envs(changed.iter().copied())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    for secret in secrets(system)
        .iter()
        .map(String::as_str)
        .chain(changed.iter().map(|(_, value)| *value))
    {
        assert!(!words.contains(secret), "a secret was printed");
    }
    let report: Value = serde_json::from_str(&words).unwrap_or_else(|_| panic!("{words} {output:?}"));
    Said {
        code: output.status.code().unwrap(),
        findings: report["findings"].as_array().unwrap().clone(),
        words,
    }
}

fn secrets(system: &System) -> Vec<String> {
    let tenant = &system.tenants[0];
    vec![
        tenant.app_secret.clone(),
        tenant.verify_token.clone(),
        tenant.meta_token.clone(),
        tenant.key.clone(),
    ]
}

/// Its only account may not use JetStream, and takes no slice.
fn small_nats_without_jetstream() -> NatsConfig {
    NatsConfig {
        max_payload_bytes: Some(64 * 1024),
        more: "accounts { PLAIN { users: [ { user: plain, password: hunter2 } ] } }".to_owned(),
        ..NatsConfig::default()
    }
}

async fn alter_database(system: &System, statement: &str) {
    let mut connection = PgConnection::connect(system.database_url()).await.unwrap();
    sqlx::query(AssertSqlSafe(statement.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_finds_what_is_broken_and_nothing_else() {
    if !servers_are_here() {
        return;
    }
    let system = start(SystemConfig::default(), 1).await;
    let well = doctor(&system, &[], &[]);
    assert_eq!(well.code, 0, "{}", well.words);
    for check in [
        "configuration",
        "database.reachable",
        "database.durability",
        "database.schema",
        "database.hash_key",
        "nats.reachable",
        "nats.max_payload",
        "nats.jetstream",
        "clock.database",
        "clock.meta",
        "meta.token",
        "meta.number",
        "meta.subscription",
        "callbacks.challenge",
        "callbacks.signature",
    ] {
        let verdicts = well.verdicts(check);
        assert!(
            !verdicts.is_empty() && verdicts.iter().all(|verdict| *verdict == "ok"),
            "{check}: {}",
            well.words
        );
    }
    assert_eq!(
        well.verdicts("nats.streams"),
        ["ok", "ok"],
        "one for each shard: {}",
        well.words
    );
    assert_eq!(
        well.verdicts("callbacks.certificate"),
        ["warning"],
        "plain HTTP: {}",
        well.words
    );
    let before = system.simulator.summary().await.unwrap();

    alter_database(&system, "alter database assent set synchronous_commit = off").await;
    doctor(&system, &["--only", "database"], &[]).assert_failed("database.durability");
    alter_database(&system, "alter database assent reset synchronous_commit").await;
    alter_database(&system, "update assent_log.store set format = format + 1").await;
    doctor(&system, &["--only", "database"], &[]).assert_failed("database.schema");
    alter_database(&system, "update assent_log.store set format = format - 1").await;
    let other_key = assent_event_store::generate_secret().to_string();
    let said = doctor(&system, &["--only", "database"], &[("ASSENT_HASH_KEY", &other_key)]);
    said.assert_failed("database.hash_key");
    let nowhere = "postgres://postgres:hunter2@127.0.0.1:9/assent";
    let said = doctor(
        &system,
        &["--only", "database,clock"],
        &[("ASSENT_POSTGRES_URL", nowhere)],
    );
    said.assert_failed("database.reachable");
    said.assert_failed("clock.database");

    let said = doctor(
        &system,
        &["--only", "nats"],
        &[("ASSENT_NATS_URL", "nats://user:hunter2@127.0.0.1:9")],
    );
    said.assert_failed("nats.reachable");
    let small = NatsServer::start(small_nats_without_jetstream()).await.unwrap();
    let url = small.url().replace("//", "//plain:hunter2@");
    let said = doctor(&system, &["--only", "nats"], &[("ASSENT_NATS_URL", &url)]);
    said.assert_failed("nats.max_payload");
    said.assert_failed("nats.jetstream");

    let wrong = "not-the-right-secret-0123456789";
    let said = doctor(&system, &["--only", "meta"], &[("TENANT_0_META_TOKEN", wrong)]);
    said.assert_failed("meta.token");
    said.assert_failed("meta.number");
    let said = doctor(&system, &["--only", "callbacks"], &[("TENANT_0_VERIFY_TOKEN", wrong)]);
    said.assert_failed("callbacks.challenge");
    assert_eq!(said.verdicts("callbacks.signature"), ["ok"], "{}", said.words);
    let said = doctor(&system, &["--only", "callbacks"], &[("TENANT_0_APP_SECRET", wrong)]);
    said.assert_failed("callbacks.signature");
    assert_eq!(said.verdicts("callbacks.challenge"), ["ok"], "{}", said.words);
    let said = doctor(
        &system,
        &["--only", "callbacks", "--callback-url", "http://127.0.0.1:9"],
        &[],
    );
    said.assert_failed("callbacks.challenge");

    // Looking changes nothing.
    let after = system.simulator.summary().await.unwrap();
    assert_eq!(before["accepted"], after["accepted"]);
    assert!(doctor(&system, &[], &[]).findings.len() == well.findings.len());
}

//! The command line as an operator meets it.

#![expect(
    clippy::unwrap_used,
    reason = "a test; clippy only knows the functions marked as tests"
)]

use std::process::{Command, Output};

fn assent(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assent"))
        .args(arguments)
        .env_remove("ASSENT_POSTGRES_URL")
        .env_remove("ASSENT_SQLITE_DIR")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_log_is_made_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("data");
    let place = place.to_str().unwrap();
    let missing = assent(&["verify", "--sqlite-dir", place]);
    assert!(!missing.status.success());
    assert!(text(&missing.stderr).contains("assent migrate"), "{missing:?}");
    assert!(assent(&["migrate", "--sqlite-dir", place]).status.success());
    let verified = assent(&["verify", "--sqlite-dir", place]);
    assert!(verified.status.success());
    assert!(
        text(&verified.stdout).starts_with("shard 0: intact, 0 events"),
        "{verified:?}"
    );
}

#[test]
fn a_place_must_be_given_once() {
    for arguments in [&["verify"][..], &["verify", "--sqlite-dir", "a", "--postgres-url", "b"]] {
        let refused = assent(arguments);
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused.stderr).contains("--sqlite-dir"), "{refused:?}");
    }
}

#[test]
fn a_secret_is_drawn_anew_each_time() {
    let (one, other) = (assent(&["generate-secret"]), assent(&["generate-secret"]));
    assert_ne!(one.stdout, other.stdout);
    assert_eq!(text(&one.stdout).trim().len(), 44);
}

//! Invariant I3: this crate is pure, by its dependencies and by what its sources name.

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::Value;

/// Every crate this one may depend on. None of them does I/O for us, tells the time, or draws random numbers as we use them.
const ALLOWED: [&str; 7] = [
    "assent-sealed",
    "phonenumber",
    "regex",
    "serde",
    "serde_json",
    "thiserror",
    "uuid",
];

/// What would bring in the clock, randomness, I/O or async through the standard library or `uuid`.
const FORBIDDEN: [&str; 12] = [
    "SystemTime",
    "Instant::",
    "std::fs",
    "std::net",
    "std::io",
    "std::env",
    "std::thread",
    "std::process",
    "async fn",
    "new_v4",
    "now_v7",
    ".await",
];

#[test]
fn domain_has_no_io() {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
            "--manifest-path",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let domain = packages
        .iter()
        .find(|package| package["name"] == env!("CARGO_PKG_NAME"))
        .unwrap();
    let dependencies: BTreeSet<_> = domain["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| dependency["name"].as_str().unwrap())
        .collect();
    assert_eq!(dependencies, BTreeSet::from(ALLOWED));
}

#[test]
fn no_source_names_the_clock_randomness_io_or_async() {
    let mut sources = Vec::new();
    collect(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut sources);
    assert!(sources.len() > 30, "the sources are where this test looks for them");
    for (path, text) in sources {
        for word in FORBIDDEN {
            assert!(!text.contains(word), "{path} names {word}");
        }
    }
}

/// The catalogue of events is a list beside their declarations. A category that is missing there would stop every reader at
/// its first event.
#[test]
fn the_catalogue_holds_every_table() {
    let mut sources = Vec::new();
    collect(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/events")),
        &mut sources,
    );
    let declared = sources
        .iter()
        .map(|(_, text)| text.matches("\nsuper::event_catalogue! {").count());
    assert_eq!(crate::events::CATALOGUE.len(), declared.sum::<usize>());
}

/// Reads every source file but this one, which has to name what it forbids.
fn collect(folder: &Path, sources: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.file_name().is_some_and(|name| name != "purity.rs") {
            sources.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

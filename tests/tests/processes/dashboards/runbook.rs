//! The run-book: the panels, log lines, metrics and commands that its pages name are there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use super::{
    exported::Exported,
    files::{self, between},
};

/// Schemas of the database, which have names of the same form as metrics.
const SCHEMAS: [&str; 4] = ["assent_log", "assent_feed", "assent_views", "assent_keys"];

struct Page {
    name: String,
    text: String,
}

fn pages() -> Vec<Page> {
    let page = |path: std::path::PathBuf| Page {
        name: files::name(&path),
        // A name may be broken over two lines.
        text: files::read(&path).split_whitespace().collect::<Vec<_>>().join(" "),
    };
    files::files("docs/runbook", "md").into_iter().map(page).collect()
}

/// What can be said without a running service: panels and log lines.
pub(super) fn problems() -> Vec<String> {
    let boards: BTreeMap<String, BTreeSet<String>> = files::dashboards()
        .into_iter()
        .map(|board| (board.title, board.panels))
        .collect();
    let source = source();
    let mut problems = Vec::new();
    for Page { name, text } in pages() {
        for named in between(&text, "*", "*") {
            if let Some((board, panel)) = named.split_once(" › ") {
                let title = format!("Assent {}", board.to_lowercase());
                if !boards.get(&title).is_some_and(|panels| panels.contains(panel)) {
                    problems.push(format!("{name}: there is no panel {panel} in {board}"));
                }
            }
        }
        for line in between(&text, "`\"", "\"`") {
            if !source.contains(&line) {
                problems.push(format!("{name}: nothing logs {line:?}"));
            }
        }
    }
    problems
}

/// What a running service can be asked: metrics and commands.
pub(super) fn problems_of_running(exported: &Exported, binary: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    for Page { name, text } in pages() {
        let words = text.split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
        for metric in words.filter(|word| word.starts_with("assent_") && !SCHEMAS.contains(word)) {
            if !exported.is_metric(metric) {
                problems.push(format!("{name}: {metric} is not exported"));
            }
        }
        let commands = between(&text, "`assent ", "`");
        for command in commands.into_iter().filter(|command| !command.starts_with('…')) {
            problems.extend(problem_of_command(binary, &command).map(|problem| format!("{name}: {problem}")));
        }
    }
    problems
}

/// Whether the binary knows the command and its options.
fn problem_of_command(binary: &Path, command: &str) -> Option<String> {
    let is_name = |word: &&str| {
        word.chars()
            .all(|character| character.is_ascii_lowercase() || character == '-')
            && !word.starts_with('-')
    };
    let names: Vec<&str> = command.split(' ').take_while(is_name).take(2).collect();
    let help = |names: &[&str]| {
        let ran = Command::new(binary).args(names).arg("--help").output().unwrap();
        ran.status
            .success()
            .then(|| String::from_utf8_lossy(&ran.stdout).into_owned())
    };
    // The second word may be what the command is done to.
    let help = (1..=names.len()).rev().find_map(|count| help(&names[..count]));
    let Some(help) = help else {
        return Some(format!("there is no command `assent {command}`"));
    };
    let options = command.split([' ', '=']).filter(|word| word.starts_with("--"));
    let known: BTreeSet<&str> = help.split([' ', '=', ',', '\n', '[', ']']).collect();
    let unknown = options.filter(|option| !known.contains(option));
    let unknown: Vec<&str> = unknown.collect();
    (!unknown.is_empty()).then(|| format!("`assent {command}` has no {unknown:?}"))
}

/// Everything that our code says, with texts that are broken over lines put together.
fn source() -> String {
    let mut text = String::new();
    let mut folders = vec![files::root().join("crates"), files::root().join("services")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                text.push_str(&files::read(&path));
            }
        }
    }
    let lines = text.split("\\\n").map(str::trim_start);
    lines.collect()
}

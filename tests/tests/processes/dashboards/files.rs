//! The files that ask: dashboards, alert rules, their tests, and the pages of the run-book.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The repository.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the suites are a folder of it")
}

pub(super) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a folder with this ending, in order.
pub(super) fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == ending));
    files.sort();
    assert!(!files.is_empty(), "{folder} has no .{ending}");
    files
}

pub(super) fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// A query, who asks it, and the labels that are shown beside its answer.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) place: String,
    pub(super) text: String,
    pub(super) shown: Vec<String>,
}

/// A dashboard.
#[derive(Debug)]
pub(super) struct Dashboard {
    pub(super) title: String,
    pub(super) panels: BTreeSet<String>,
    pub(super) queries: Vec<Query>,
    /// What is wrong with the file itself.
    pub(super) problems: Vec<String>,
}

/// Every dashboard of the repository.
pub(super) fn dashboards() -> Vec<Dashboard> {
    let dashboard = |path: PathBuf| dashboard(&serde_json::from_str(&read(&path)).unwrap());
    files("deploy/dashboards", "json").into_iter().map(dashboard).collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

pub(super) fn dashboard(file: &Value) -> Dashboard {
    let title = text(file, "/title").to_owned();
    let (mut queries, mut problems) = (Vec::new(), Vec::new());
    let (mut panels, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for panel in list(file, "/panels") {
        let place = format!("{title} › {}", text(panel, "/title"));
        if !ids.insert(panel["id"].as_i64()) {
            problems.push(format!("{place}: the id {} occurs twice", panel["id"]));
        }
        let targets = list(panel, "/targets");
        if targets.is_empty() && text(panel, "/type") != "row" {
            problems.push(format!("{place}: it asks for nothing"));
        }
        panels.insert(text(panel, "/title").to_owned());
        queries.extend(targets.iter().map(|target| Query {
            place: place.clone(),
            text: text(target, "/expr").to_owned(),
            shown: between(text(target, "/legendFormat"), "{{", "}}"),
        }));
    }
    for variable in list(file, "/templating/list") {
        // label_values(metric, label)
        if let [inside] = &between(text(variable, "/query/query"), "label_values(", ")")[..] {
            let (metric, label) = inside.split_once(',').expect("a metric and a label");
            queries.push(Query {
                place: format!("{title}, variable {}", text(variable, "/name")),
                text: metric.trim().to_owned(),
                shown: vec![label.trim().to_owned()],
            });
        }
    }
    Dashboard {
        title,
        panels,
        queries,
        problems,
    }
}

/// Whatever stands between `from` and `to`, each time.
pub(super) fn between(text: &str, from: &str, to: &str) -> Vec<String> {
    let parts = text.split(from).skip(1);
    let inside = parts.filter_map(|part| part.split_once(to).map(|(inside, _)| inside.trim().to_owned()));
    inside.collect()
}

/// An alert rule.
#[derive(Debug, Default)]
pub(super) struct Rule {
    pub(super) alert: String,
    /// Its keys, those of labels and annotations among them.
    keys: BTreeMap<String, String>,
}

impl Rule {
    /// What a key says; nothing if it is not there.
    pub(super) fn key(&self, key: &str) -> &str {
        self.keys.get(key).map_or("", String::as_str)
    }

    pub(super) fn query(&self) -> Query {
        let texts = ["summary", "description"].map(|key| between(self.key(key), "$labels.", " "));
        Query {
            place: self.alert.clone(),
            text: self.key("expr").to_owned(),
            shown: texts.into_iter().flatten().collect(),
        }
    }
}

/// Every alert rule. Read as the plain YAML they are written in; `promtool` reads them properly.
pub(super) fn rules() -> Vec<Rule> {
    let text = read(&root().join("deploy/prometheus/alerts.yml"));
    let rules = rules_of(&text);
    assert_eq!(rules.len(), text.matches("- alert:").count(), "every alert is read");
    assert!(
        rules.iter().all(|rule| !rule.key("expr").is_empty()),
        "every alert has a query"
    );
    rules
}

fn rules_of(text: &str) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    // The key of a text over several lines, and how far in that key stands.
    let mut block: Option<(String, usize)> = None;
    for line in text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    {
        let depth = line.len() - line.trim_start().len();
        let line = line.trim();
        if let Some(alert) = line.strip_prefix("- alert: ") {
            let alert = alert.to_owned();
            rules.push(Rule {
                alert,
                ..Rule::default()
            });
            continue;
        }
        let Some(rule) = rules.last_mut() else { continue };
        if let Some((key, _)) = block.as_ref().filter(|(_, outer)| depth > *outer) {
            let text = rule.keys.entry(key.clone()).or_default();
            *text += line;
            text.push(' ');
            continue;
        }
        block = None;
        match line.split_once(':') {
            Some((key, "  |" | " |")) => block = Some((key.to_owned(), depth)),
            Some((key, value)) => drop(
                rule.keys
                    .insert(key.to_owned(), value.trim().trim_matches('"').to_owned()),
            ),
            None => {}
        }
    }
    rules
}

/// What a test of the rules puts in, and what it expects.
#[derive(Debug, Default)]
pub(super) struct RuleTests {
    pub(super) series: Vec<String>,
    pub(super) fires: BTreeSet<String>,
    pub(super) quiet: BTreeSet<String>,
}

/// The tests of all alert rules.
pub(super) fn rule_tests() -> RuleTests {
    let mut tests = RuleTests::default();
    let mut alert = "";
    let text = read(&root().join("deploy/prometheus/tests/alerts.test.yml"));
    for line in text.lines().map(str::trim) {
        if let Some(series) = line.strip_prefix("- series: ") {
            tests.series.push(series.trim_matches('\'').to_owned());
        } else if let Some(name) = line.strip_prefix("- alertname: ") {
            alert = name;
        } else if line == "exp_alerts: []" {
            tests.quiet.insert(alert.to_owned());
        } else if line == "exp_alerts:" {
            tests.fires.insert(alert.to_owned());
        }
    }
    tests
}

#[test]
fn rules_are_read_with_their_queries_and_texts() {
    let text = "groups:\n  - name: g\n    rules:\n      - alert: A\n        # why\n        expr: |\n          sum(a)\n            > 1\n        \
                for: 5m\n        labels:\n          severity: warning\n        annotations:\n          summary: \"{{ $labels.kind }} is\"\n\n      \
                - alert: B\n        expr: b\n";
    let rules = rules_of(text);
    assert_eq!(rules.len(), 2);
    assert_eq!((rules[0].alert.as_str(), rules[0].key("expr")), ("A", "sum(a) > 1 "));
    assert_eq!((rules[0].key("severity"), rules[0].key("for")), ("warning", "5m"));
    assert_eq!(rules[0].query().shown, ["kind"]);
    assert_eq!((rules[1].alert.as_str(), rules[1].key("expr")), ("B", "b"));
}

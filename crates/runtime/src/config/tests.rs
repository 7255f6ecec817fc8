use super::*;
use serde::Deserialize;
use std::net::SocketAddr;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Level {
    Quiet,
    Loud,
}

#[derive(Debug, Deserialize)]
struct Server {
    listen: SocketAddr,
    workers: u16,
    #[serde(default)]
    verbose: bool,
    level: Level,
    #[serde(default)]
    names: Vec<String>,
    pause_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Example {
    title: String,
    server: Server,
    token: Option<Secret>,
    #[serde(default)]
    peers: Vec<Peer>,
}

#[derive(Debug, Deserialize)]
struct Peer {
    address: SocketAddr,
    weight: u32,
}

impl Validate for Server {
    fn validate(&self, check: &mut Check) {
        check.range("workers", self.workers, 1, 64);
    }
}

impl Validate for Peer {
    fn validate(&self, check: &mut Check) {
        check.ensure("address", self.address.port() != 9, "is the discard port");
        check.ensure("weight", self.weight > 0, "must not be zero");
    }
}

impl Validate for Example {
    fn validate(&self, check: &mut Check) {
        check.ensure("title", !self.title.is_empty(), "must not be empty");
        check.section("server", &self.server);
        check.items("peers", &self.peers);
    }
}

const GOOD: &str = r#"
title = "example"
[server]
listen = "127.0.0.1:80"
workers = 4
level = "loud"
"#;

fn no_environment() -> Environment {
    Environment::default()
}

fn load(text: &str, environment: &Environment) -> Result<Example, Problems> {
    Loader::new(environment)
        .load_text("test.toml", text)
        .map(|loaded| loaded.value)
}

fn messages(text: &str) -> Vec<String> {
    let problems = load(text, &no_environment()).expect_err("the configuration is wrong");
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_file_is_loaded() {
    let example = load(GOOD, &no_environment()).unwrap();
    assert_eq!(example.title, "example");
    assert_eq!(example.server.listen.port(), 80);
    assert_eq!(example.server.level, Level::Loud);
    assert!(!example.server.verbose && example.token.is_none() && example.peers.is_empty());
    assert_eq!(example.server.pause_ms, None);
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = r#"
titel = "example"
[server]
listen = "nowhere"
workers = "four"
verbose = 3
level = "lowd"
names = [1, "a", false]
pause_ms = -5
[[peers]]
weight = 0
[[peers]]
address = "127.0.0.1:1"
weight = 0
wait = 1
[unheard]
of = 1
"#;
    let expected = [
        "titel (line 2): unknown key; did you mean `title`?",
        "server.listen (line 4): invalid socket address syntax",
        "server.workers (line 5): expected u16, found a string",
        "server.verbose (line 6): expected a boolean, found an integer",
        "server.level (line 7): `lowd` is none of quiet, loud; did you mean `loud`?",
        "server.names[0] (line 8): expected a string, found an integer",
        "server.names[2] (line 8): expected a string, found a boolean",
        "server.pause_ms (line 9): expected u64, found integer `-5`",
        "peers[0].address (line 10): is missing",
        "peers[1].weight (line 14): must not be zero",
        "peers[1].wait (line 15): unknown key; known are address, weight",
        "unheard (line 16): unknown key; known are title, server, token, peers",
        "title: is missing",
    ];
    assert_eq!(messages(text), expected);
}

#[test]
fn several_missing_keys_are_all_named() {
    assert_eq!(
        messages("[server]\n"),
        [
            "server.level (line 1): is missing",
            "server.listen (line 1): is missing",
            "server.workers (line 1): is missing",
            "title: is missing",
        ]
    );
    assert_eq!(messages(""), ["server: is missing", "title: is missing"]);
}

#[test]
fn checks_of_meaning_report_every_problem_with_its_place() {
    let text = GOOD
        .replace("workers = 4", "workers = 400")
        .replace("\"example\"", "\"\"");
    assert_eq!(
        messages(&text),
        [
            "title (line 2): must not be empty",
            "server.workers (line 5): must be between 1 and 64, is 400"
        ]
    );
}

#[test]
fn syntax_errors_name_their_line() {
    let found = messages("title = \"a\"\n[server\nlisten = = 3\n");
    assert!(found.iter().any(|problem| problem.starts_with("line 2: ")), "{found:?}");
    assert!(found.iter().any(|problem| problem.starts_with("line 3: ")), "{found:?}");
}

#[test]
fn variables_override_keys_whatever_their_type() {
    let environment: Environment = [
        ("ASSENT__TITLE", "from outside"),
        ("ASSENT__SERVER__WORKERS", "7"),
        ("ASSENT__SERVER__VERBOSE", "true"),
        ("ASSENT__SERVER__NAMES", "a, b"),
        ("ASSENT__SERVER__PAUSE_MS", "12"),
        ("ASSENT__TOKEN", "s3cret"),
        ("OTHER__TITLE", "not ours"),
    ]
    .into_iter()
    .collect();
    let example = load(GOOD, &environment).unwrap();
    assert_eq!(example.title, "from outside");
    assert_eq!((example.server.workers, example.server.verbose), (7, true));
    assert_eq!(example.server.names, ["a", "b"]);
    assert_eq!(example.server.pause_ms, Some(12));
    assert_eq!(example.token.unwrap().expose(), "s3cret");
}

#[test]
fn a_wrong_override_is_reported_by_the_name_of_its_variable() {
    let environment: Environment = [
        ("ASSENT__SERVER__WORKERS", "many"),
        ("ASSENT__SERVER__WORKER", "1"),
        ("ASSENT__TITLE__DEEPER", "1"),
    ]
    .into_iter()
    .collect();
    let problems = load(GOOD, &environment).unwrap_err().to_string();
    for expected in [
        "server.workers (environment ASSENT__SERVER__WORKERS): expected u16, found a string",
        "server.worker (environment ASSENT__SERVER__WORKER): unknown key; did you mean `workers`?",
        "title (environment ASSENT__TITLE__DEEPER): is not a section",
    ] {
        assert!(problems.contains(expected), "{problems}");
    }
    assert!(problems.starts_with("test.toml: 3 problems"), "{problems}");
}

#[test]
fn files_that_are_not_ours_ignore_overrides() {
    let environment: Environment = [("ASSENT__TITLE", "from outside")].into_iter().collect();
    let loaded: Loaded<Example> = Loader::new(&environment)
        .without_overrides()
        .load_text("t", GOOD)
        .unwrap();
    assert_eq!(loaded.value.title, "example");
}

#[test]
fn secrets_come_from_the_environment_or_a_file_only() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("token"), "from-file\n").unwrap();
    let config = directory.path().join("test.toml");
    let environment: Environment = [("TOKEN", "from-env")].into_iter().collect();
    let load_with = |token: &str| {
        fs::write(&config, GOOD.replace("title", &format!("token = {token}\ntitle"))).unwrap();
        Loader::new(&environment).load_file::<Example>(&config)
    };

    assert_eq!(
        load_with("{ env = 'TOKEN' }").unwrap().value.token.unwrap().expose(),
        "from-env"
    );
    let loaded = load_with("{ file = 'token' }").unwrap();
    assert_eq!(loaded.value.token.unwrap().expose(), "from-file");
    assert_eq!(loaded.secret_files, BTreeSet::from([directory.path().join("token")]));

    for (token, complaint) in [
        ("'pl4in'", "a secret does not stand here itself"),
        ("{ env = 'NOT_THERE' }", "environment variable NOT_THERE is not set"),
        ("{ file = 'not-there' }", "cannot be read"),
        ("{ vault = 'x' }", "expected { env"),
    ] {
        let problems = load_with(token).unwrap_err().to_string();
        assert!(
            problems.contains("token (line 2): ") && problems.contains(complaint),
            "{problems}"
        );
        assert!(!problems.contains("pl4in"), "{problems}");
    }
}

#[test]
fn a_secret_shows_nothing_of_itself() {
    let secret = Secret::new("hunter2");
    assert_eq!(format!("{secret:?}"), "Secret(<redacted>)");
    let environment: Environment = [("TOKEN", "hunter2")].into_iter().collect();
    assert!(!format!("{environment:?}").contains("hunter2"));
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    let problems = load(&GOOD.replace("workers = 4", "workers = 'hunter2'"), &no_environment()).unwrap_err();
    assert!(!format!("{problems} {problems:?}").contains("hunter2"));
}

#[test]
fn wrong_configuration_ends_with_exit_code_64() {
    let mut output = Vec::new();
    let code = load("", &no_environment()).unwrap_err().report(&mut output);
    assert_eq!(code, 64);
    assert_eq!(
        String::from_utf8(output).unwrap(),
        "test.toml: 2 problems\n  server: is missing\n  title: is missing\n"
    );
}

#[test]
fn a_missing_file_is_a_problem_like_any_other() {
    let environment = no_environment();
    let problems = Loader::new(&environment)
        .load_file::<Example>(Path::new("/does/not/exist.toml"))
        .unwrap_err();
    assert!(
        problems
            .to_string()
            .contains("/does/not/exist.toml: 1 problem\n  cannot be read"),
        "{problems}"
    );
}

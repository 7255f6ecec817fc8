//! The command line as an operator meets it.

#![expect(
    clippy::unwrap_used,
    reason = "a test; clippy only knows the functions marked as tests"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_assent"));
    command.args(arguments);
    let ours = std::env::vars()
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("ASSENT"));
    for name in ours {
        command.env_remove(name);
    }
    command
}

fn assent(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The answer of a command that has to succeed.
fn answer(arguments: &[&str]) -> String {
    let output = assent(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    text(&output.stdout)
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
    let verified = answer(&["verify", "--sqlite-dir", place]);
    assert!(verified.starts_with("shard 0: intact, 0 events"), "{verified}");
    let rebuilt = answer(&["rebuild", "all", "--sqlite-dir", place]);
    for view in ["messages", "funnel", "quality", "blocked"] {
        assert!(rebuilt.contains(&format!("{view}: ")), "{rebuilt}");
    }
    assert_eq!(rebuilt.matches("the same as before").count(), 4, "{rebuilt}");
}

#[test]
fn a_place_must_be_given_once() {
    for arguments in [&["verify"][..], &["verify", "--sqlite-dir", "a", "--postgres-url", "b"]] {
        let refused = assent(arguments);
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused.stderr).contains("--sqlite-dir"), "{refused:?}");
    }
    // What the environment says counts where no option says otherwise, and is no option itself.
    let dir = tempfile::tempdir().unwrap();
    let at = |place: &str| dir.path().join(place).to_str().unwrap().to_owned();
    for (options, made) in [
        (vec![], "by-variable"),
        (vec!["--sqlite-dir".to_owned(), at("by-option")], "by-option"),
    ] {
        let mut migrate = command(&["migrate"]);
        migrate.args(options).env("ASSENT_SQLITE_DIR", at("by-variable"));
        assert!(migrate.output().unwrap().status.success());
        assert!(dir.path().join(made).is_dir(), "{made}");
    }
}

#[test]
fn a_secret_is_drawn_anew_each_time() {
    let (one, other) = (assent(&["generate-secret"]), assent(&["generate-secret"]));
    assert_ne!(one.stdout, other.stdout);
    assert_eq!(text(&one.stdout).trim().len(), 44);
}

#[test]
fn help_lists_every_command() {
    let help = answer(&["--help"]);
    let roles = [
        "up",
        "ingress",
        "consent",
        "dispatcher",
        "status-tracker",
        "simulator",
        "demo",
    ];
    let calls = ["send", "check", "opt-in", "opt-out", "explain", "events"];
    let chores = [
        "check-config",
        "migrate",
        "verify",
        "rebuild",
        "health",
        "generate-secret",
        "tenant",
        "key",
        "number",
    ];
    for name in roles.into_iter().chain(calls).chain(chores) {
        assert!(help.contains(&format!("\n  {name} ")), "{name} is missing:\n{help}");
        assert!(!answer(&[name, "--help"]).is_empty());
    }
    assert!(help.contains("First steps"), "{help}");
}

/// A configuration with its secrets and an empty tenants file.
fn configuration(dir: &Path) -> PathBuf {
    let secret = answer(&["generate-secret"]);
    fs::write(dir.join("key"), secret.trim()).unwrap();
    fs::write(dir.join("tenants.toml"), "").unwrap();
    let file = dir.join("assent.toml");
    let config = r#"
        admin.listen = "127.0.0.1:0"
        grpc.listen = "127.0.0.1:0"
        tenants.file = "tenants.toml"
        database = { sqlite_dir = "log" }
        keys = { hash = { file = "key" }, master = { id = "test", key = { file = "key" } } }
        ingress.callbacks.listen = "127.0.0.1:0"
    "#;
    fs::write(&file, config).unwrap();
    file
}

#[test]
fn check_config_names_every_problem_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = configuration(dir.path());
    let path = file.to_str().unwrap();
    let shown = answer(&["check-config", "--config", path]);
    assert!(shown.contains("the configuration is valid"), "{shown}");
    let secret = fs::read_to_string(dir.path().join("key")).unwrap();
    assert!(!shown.contains(&secret) && shown.contains("redacted"), "{shown}");
    assert!(
        shown.contains("[dispatcher.meta]\n") && !shown.contains("Config {"),
        "{shown}"
    );

    let wrong = fs::read_to_string(&file).unwrap()
        + "shutdown.grace_ms = 1\ndispatcher.calls_maxx = 3\nstatus_tracker.poll_ms = \"often\"\n[keys2]\n";
    fs::write(&file, wrong).unwrap();
    let refused = command(&["check-config", "--config", path])
        .env("ASSENT__CONSENT__BATCH_EVENTS_MAX", "0")
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(64), "{refused:?}");
    let problems = text(&refused.stderr);
    let expected = [
        "shutdown.grace_ms",
        "dispatcher.calls_maxx",
        "calls_max`",
        "status_tracker.poll_ms",
        "keys2",
        "BATCH_EVENTS_MAX",
    ];
    for expected in expected {
        assert!(problems.contains(expected), "{expected} is missing:\n{problems}");
    }
}

#[test]
fn a_role_with_a_wrong_configuration_ends_with_64() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("assent.toml");
    fs::write(&file, "nonsense = 1").unwrap();
    let refused = assent(&["ingress", "--config", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(64), "{refused:?}");
    let problems = text(&refused.stderr);
    assert!(problems.contains("nonsense") && problems.contains("grpc"), "{problems}");
}

#[test]
fn a_role_without_its_database_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = configuration(dir.path());
    let refused = assent(&["consent", "--config", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(text(&refused.stderr).contains("assent migrate"), "{refused:?}");
}

#[test]
fn a_command_without_a_server_says_where_it_looked() {
    let refused = assent(&["explain", "m", "--api-key", "ak_x", "--endpoint", "http://127.0.0.1:1"]);
    assert_eq!(refused.status.code(), Some(1));
    let error = text(&refused.stderr);
    assert!(error.contains("nothing answers at http://127.0.0.1:1"), "{error}");
}

#[test]
fn tenants_keys_and_numbers_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tenants.toml");
    let at = file.to_str().unwrap();
    fs::write(dir.path().join("token"), "EAA-secret").unwrap();
    fs::write(dir.path().join("app"), "app-secret").unwrap();
    let (app, token) = ("file:app", "file:token");
    answer(&[
        "tenant",
        "add",
        "acme",
        "--tenants",
        at,
        "--app-secret",
        app,
        "--access-token",
        token,
    ]);
    let noted = fs::read_to_string(&file)
        .unwrap()
        .replace("id = \"acme\"", "id = \"acme\" # our first");
    fs::write(&file, noted).unwrap();

    let made = assent(&[
        "key",
        "add",
        "--tenant",
        "acme",
        "--scopes",
        "send,read",
        "--note",
        "shop",
        "--tenants",
        at,
    ]);
    assert!(made.status.success(), "{made:?}");
    let key = text(&made.stdout).trim().to_owned();
    let id = key.rsplit_once('_').unwrap().0;
    let number = [
        "number",
        "add",
        "--tenant",
        "acme",
        "106540352242922",
        "--waba-id",
        "102290129340398",
    ];
    answer(&[&number[..], &["--display", "+1 202-555-0100", "--tenants", at]].concat());

    let written = fs::read_to_string(&file).unwrap();
    assert!(written.contains("# our first"), "comments survive: {written}");
    assert!(!written.contains(&key), "only the hash is kept: {written}");
    assert!(answer(&["tenant", "list", "--tenants", at]).contains("acme"));
    let keys = answer(&["key", "list", "--tenants", at]);
    assert!(
        keys.contains(id) && keys.contains("send,read") && keys.contains("valid"),
        "{keys}"
    );
    assert!(answer(&["number", "list", "--tenants", at]).contains("+1 202-555-0100"));

    answer(&["key", "revoke", id, "--tenants", at]);
    let keys = answer(&["key", "list", "--tenants", at]);
    assert!(keys.contains("revoked"), "{keys}");
}

#[test]
fn an_edit_that_would_break_the_tenants_file_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tenants.toml");
    let at = file.to_str().unwrap();
    answer(&[
        "tenant",
        "add",
        "acme",
        "--tenants",
        at,
        "--app-secret",
        "env:NOT_SET_HERE",
        "--access-token",
        "env:NOR_THIS",
    ]);
    let before = fs::read_to_string(&file).unwrap();
    let wrong: [&[&str]; 5] = [
        &["tenant", "add", "acme"],
        &["tenant", "add", "Not A Name"],
        &[
            "number",
            "add",
            "--tenant",
            "acme",
            "letters",
            "--waba-id",
            "1",
            "--display",
            "x",
        ],
        &["key", "add", "--tenant", "nobody"],
        &["key", "revoke", "ak_0123456789abcdef"],
    ];
    for arguments in wrong {
        let refused = assent(&[arguments, &["--tenants", at]].concat());
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}: {refused:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
    }
    let secret = assent(&[
        "tenant",
        "add",
        "other",
        "--tenants",
        at,
        "--access-token",
        "EAAG-the-token-itself",
    ]);
    assert_eq!(secret.status.code(), Some(2));
    assert!(!text(&secret.stderr).contains("EAAG-the-token-itself: "), "{secret:?}");
    // Only the file itself is left, no half-written one beside it.
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// A role that runs until it is dropped.
struct Running(Child);

impl Running {
    /// Starts it and reads its ready line.
    fn start(command: &mut Command) -> (Self, String) {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        if line.is_empty() {
            let mut error = String::new();
            child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
            panic!("it did not start: {error}");
        }
        (Self(child), line.trim().to_owned())
    }

    /// Asks it to end, and waits.
    fn terminate(mut self) -> Output {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let status = self.0.wait().unwrap();
        let mut stderr = Vec::new();
        self.0.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
        Output {
            status,
            stdout: Vec::new(),
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The value of a field of the ready line.
fn field<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    line.split(' ')
        .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

#[test]
fn a_first_start_makes_everything_and_serves_a_caller() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut up = command(&["up", "--data-dir", data.to_str().unwrap()]);
    for section in ["ADMIN", "GRPC", "INGRESS__CALLBACKS"] {
        up.env(format!("ASSENT__{section}__LISTEN"), "127.0.0.1:0");
    }
    let (running, line) = Running::start(&mut up);
    assert!(line.starts_with("ready role=up grpc=127.0.0.1:"), "{line}");
    assert!(
        field(&line, "admin").is_some() && field(&line, "callbacks").is_some(),
        "{line}"
    );
    let endpoint = format!("http://{}", field(&line, "grpc").unwrap());

    let ready = format!("http://{}/readyz", field(&line, "admin").unwrap());
    assert!(assent(&["health", "--url", &ready]).status.success());

    // A key made while it runs would be seen within a second; this one is wrong at once.
    let refused = assent(&[
        "explain",
        "--key",
        "k",
        "--api-key",
        "ak_wrong",
        "--endpoint",
        &endpoint,
    ]);
    assert!(text(&refused.stderr).contains("API_KEY_INVALID"), "{refused:?}");

    let ended = running.terminate();
    assert!(ended.status.success(), "{ended:?}");
    let gone = assent(&["health", "--url", &ready]);
    assert_eq!(gone.status.code(), Some(1), "{gone:?}");
    let welcome = text(&ended.stderr);
    let key = welcome
        .split("ASSENT_API_KEY=")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    assert!(!fs::read_to_string(data.join("tenants.toml")).unwrap().contains(&key));

    // The second start finds everything as it was and shows no key.
    let (running, line) = Running::start(&mut up);
    let endpoint = format!("http://{}", field(&line, "grpc").unwrap());
    let call = |arguments: &[&str]| assent(&[arguments, &["--api-key", &key, "--endpoint", &endpoint]].concat());
    let person = "+4915112345678";
    let agreed = call(&[
        "opt-in",
        person,
        "--category",
        "utility",
        "--source",
        "web-form",
        "--wording",
        "Yes",
    ]);
    assert!(agreed.status.success(), "{agreed:?}");
    assert!(text(&agreed.stdout).contains("utility: opted in"), "{agreed:?}");
    let tail = call(&["events", "tail", "--after", "0", "--count", "1", "--kind", "consent"]);
    assert!(text(&tail.stdout).contains("utility opted in"), "{tail:?}");
    let (from, template) = ("200000000000001", "order_update");
    let message = [
        "--from",
        from,
        "--to",
        person,
        "--template",
        template,
        "--param",
        "Ana",
        "--param",
        "A-17",
    ];
    // Nothing was learned of the number yet, for no simulator runs.
    let held = call(&[&["check"], &message[..]].concat());
    assert_eq!(held.status.code(), Some(1), "{held:?}");
    assert!(text(&held.stdout).contains("it would be refused"), "{held:?}");
    let refused = call(&[&["send", "--key", "order-1"], &message[..]].concat());
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(text(&refused.stderr).contains("was refused"), "{refused:?}");
    let story = call(&["explain", "--key", "order-1"]);
    assert!(story.status.success(), "{story:?}");
    assert!(text(&story.stdout).contains("refused"), "{story:?}");
    let json = call(&["explain", "--key", "order-1", "--json"]);
    assert!(
        text(&json.stdout).contains("\"state\":\"MESSAGE_STATE_REFUSED\""),
        "{json:?}"
    );
    let invalid = call(&["send", "--from", "x", "--to", "+1", "--text", "Hello"]);
    let named = text(&invalid.stderr);
    assert!(named.contains("from: ") && named.contains("to"), "{named}");
    let stopped = call(&["opt-out", person]);
    assert!(text(&stopped.stdout).contains("utility: opted out"), "{stopped:?}");
    let ended = running.terminate();
    assert!(!text(&ended.stderr).contains("ASSENT_API_KEY="), "{ended:?}");
}

#[test]
fn the_demo_adds_up() {
    let demo = assent(&["demo", "--users", "40", "--seed", "7"]);
    let shown = text(&demo.stdout);
    assert!(demo.status.success(), "{shown}\n{}", text(&demo.stderr));
    for expected in [
        "Everything adds up",
        "consent withdrawn",
        "consent missing",
        "taken by WhatsApp",
        "the same as before",
    ] {
        assert!(shown.contains(expected), "{expected} is missing:\n{shown}");
    }
}

//! The configuration file: one for every role, see `assent.sample.toml`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use assent_runtime::{
    admission::AdmissionConfig,
    config::{Check, Environment, Loader, Problems, Validate},
    grpc::GrpcConfig,
    http::ListenConfig,
    platform::{DatabaseConfig, KeysConfig, NatsConfig, PlatformConfig},
    settings::{RuntimeConfig, TenantsConfig},
    shutdown::ShutdownConfig,
    telemetry::TelemetryConfig,
    tenants::Directory,
};
use serde::{Deserialize, Serialize};

/// Everything a process is started with. A role reads the same file as the others and leaves their sections alone.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Config {
    /// The port for operators and probes.
    pub(crate) admin: ListenConfig,
    /// The port for callers.
    pub(crate) grpc: GrpcConfig,
    /// Where the tenants stand.
    pub(crate) tenants: TenantsConfig,
    /// Logs, traces and metrics.
    #[serde(default)]
    pub(crate) telemetry: TelemetryConfig,
    /// How the process ends.
    #[serde(default)]
    pub(crate) shutdown: ShutdownConfig,
    /// How much work is taken on.
    #[serde(default)]
    pub(crate) admission: AdmissionConfig,
    /// The database.
    pub(crate) database: DatabaseConfig,
    /// The secrets that personal data is sealed with.
    pub(crate) keys: KeysConfig,
    /// NATS; absent where one process does everything.
    pub(crate) nats: Option<NatsConfig>,
    /// The service that takes requests and callbacks.
    #[serde(default)]
    pub(crate) ingress: assent_ingress::Config,
    /// The service that decides.
    #[serde(default)]
    pub(crate) consent: assent_consent::Config,
    /// The service that calls Meta.
    #[serde(default)]
    pub(crate) dispatcher: assent_dispatcher::Config,
    /// The service that watches and answers.
    #[serde(default)]
    pub(crate) status_tracker: assent_status_tracker::Config,
}

impl Validate for Config {
    fn validate(&self, check: &mut Check) {
        self.runtime().validate(check);
        self.platform().validate(check);
        check.section("ingress", &self.ingress);
        check.section("consent", &self.consent);
        check.section("dispatcher", &self.dispatcher);
        check.section("status_tracker", &self.status_tracker);
        let callbacks = self.ingress.callbacks.listen;
        let taken = [self.admin.listen, self.grpc.listen].contains(&callbacks) && callbacks.port() != 0;
        check.ensure(
            "ingress.callbacks.listen",
            !taken,
            "is the address of another port of ours too",
        );
    }
}

impl Config {
    /// Reads the file, with overrides from the environment. Relative paths of the database and of the tenants file are
    /// meant from the file's own directory, like those of secrets.
    pub(crate) fn load(path: &Path, environment: &Environment) -> Result<Self, Problems> {
        let mut config: Self = Loader::new(environment).load_file(path)?.value;
        let directory = path.parent().unwrap_or(Path::new(""));
        let beside = |path: &mut PathBuf| *path = directory.join(&*path);
        beside(&mut config.tenants.file);
        config.database.sqlite_dir.as_mut().map(beside);
        Ok(config)
    }

    /// The tenants of the file it names.
    pub(crate) fn directory(&self, environment: &Environment) -> Result<Arc<Directory>, Problems> {
        Directory::load(&self.tenants.file, environment).map(Arc::new)
    }

    /// What every service shares.
    pub(crate) fn runtime(&self) -> RuntimeConfig {
        RuntimeConfig {
            admin: self.admin.clone(),
            grpc: self.grpc.clone(),
            tenants: self.tenants.clone(),
            telemetry: self.telemetry.clone(),
            shutdown: self.shutdown.clone(),
            admission: self.admission.clone(),
        }
    }

    /// What services stand on.
    pub(crate) fn platform(&self) -> PlatformConfig {
        PlatformConfig {
            database: self.database.clone(),
            keys: self.keys.clone(),
            nats: self.nats.clone(),
        }
    }
}

/// A port of this machine that is free.
pub(crate) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../assent.sample.toml");

    fn environment() -> Environment {
        let secret = assent_event_store::generate_secret().to_string();
        Environment::from_iter([
            ("ASSENT_POSTGRES_URL", "postgres://assent@127.0.0.1/assent".to_owned()),
            ("ASSENT_MASTER_KEY", secret.clone()),
            ("ASSENT_MASTER_KEY_BEFORE", secret.clone()),
            ("ASSENT_HASH_KEY", secret),
            ("ASSENT_NATS_URL", "nats://127.0.0.1:4222".to_owned()),
        ])
    }

    fn load(text: &str) -> Result<Config, Problems> {
        let environment = environment();
        Loader::new(&environment)
            .load_text("assent.sample.toml", text)
            .map(|loaded| loaded.value)
    }

    /// Commented keys look like `#key = …`, prose like `# prose`.
    fn uncommented(text: &str) -> String {
        let line = |line: &str| {
            let key = line
                .strip_prefix('#')
                .filter(|rest| !rest.is_empty() && !rest.starts_with(' '));
            key.unwrap_or(line).to_owned()
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_sample_is_valid_and_shows_the_defaults() {
        let sample = load(SAMPLE).unwrap();
        assert_eq!(sample.shutdown.grace_ms, ShutdownConfig::default().grace_ms);
        assert_eq!(sample.admission.backlog_max, AdmissionConfig::default().backlog_max);
        let shown = |text: &str| {
            format!(
                "{:#?}",
                load(text).map(|config| { (config.ingress, config.consent, config.dispatcher, config.status_tracker) })
            )
        };
        // A commented key shows its default, so taking the comment away changes nothing.
        let sections = SAMPLE.find("[ingress]").unwrap();
        let all = format!("{}{}", &SAMPLE[..sections], uncommented(&SAMPLE[sections..]));
        assert_eq!(shown(&all), shown(SAMPLE));
    }

    #[test]
    fn every_commented_key_of_the_sample_exists() {
        let text = uncommented(SAMPLE);
        assert_ne!(text, SAMPLE.trim_end());
        let problems = load(&text).unwrap_err();
        // Two databases are one too many, and the files of TLS need not exist here. Nothing else may be wrong.
        let expected = |path: &str| path == "database.postgres_url" || path.contains(".tls.");
        assert!(problems.iter().all(|problem| expected(&problem.path)), "{problems}");
    }

    #[test]
    fn secrets_do_not_show() {
        let environment = environment();
        let with_nats = format!("{SAMPLE}\n[nats]\nurl = {{ env = \"ASSENT_NATS_URL\" }}\n");
        let config = load(&with_nats).unwrap();
        for shown in [format!("{config:#?}"), toml::to_string(&config).unwrap()] {
            assert!(!shown.contains(environment.get("ASSENT_HASH_KEY").unwrap()));
            assert!(!shown.contains("nats://"), "{shown}");
        }
    }

    #[test]
    fn what_is_shown_is_toml_with_every_default() {
        let shown: toml::Table = toml::to_string(&load(SAMPLE).unwrap()).unwrap().parse().unwrap();
        assert_eq!(
            shown["dispatcher"]["meta"]["total_timeout_ms"].as_integer(),
            Some(15_000)
        );
        assert_eq!(shown["admin"]["listen"].as_str(), Some("127.0.0.1:9090"));
        assert_eq!(shown["telemetry"]["log_format"].as_str(), Some("text"));
        assert_eq!(shown["keys"]["hash"].as_str(), Some("<redacted>"));
        // Shown under the names that the file knows them by: with its secrets put back, it is the same configuration.
        let again = toml::to_string(&shown)
            .unwrap()
            .replace("hash = \"<redacted>\"", "hash = { env = \"ASSENT_HASH_KEY\" }")
            .replace("key = \"<redacted>\"", "key = { env = \"ASSENT_MASTER_KEY\" }");
        assert_eq!(
            format!("{:?}", load(&again).unwrap()),
            format!("{:?}", load(SAMPLE).unwrap())
        );
    }

    #[test]
    fn a_key_that_was_renamed_is_refused_with_its_new_name() {
        let text = SAMPLE.replace(
            "[dispatcher.meta]",
            "[dispatcher.meta]\nversion = \"v24.0\"\ntimeout_ms = 9000",
        );
        let problems = load(&text).unwrap_err().to_string();
        for said in [
            "dispatcher.meta",
            "`version` is called `graph_version` now",
            "`timeout_ms` is called `total_timeout_ms` now",
        ] {
            assert!(problems.contains(said), "{said} is not in\n{problems}");
        }
    }

    #[test]
    fn relative_paths_are_meant_from_the_files_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("assent.toml");
        std::fs::write(&file, SAMPLE).unwrap();
        let config = Config::load(&file, &environment()).unwrap();
        assert_eq!(config.tenants.file, dir.path().join("tenants.toml"));
    }
}

//! The files and variables that configure a test system. Everything that is not said here is as shipped.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use assent_event_store::generate_secret;

use super::{SystemConfig, TestTenant};

/// Names the database to the services.
pub(super) const POSTGRES_URL_VARIABLE: &str = "ASSENT_POSTGRES_URL";

/// Where the configuration stands.
#[derive(Debug)]
pub(super) struct Files {
    /// Of the four services: one file, the ports of each come by its environment.
    pub(super) config: PathBuf,
    /// Of the simulator.
    pub(super) simulator: PathBuf,
}

impl Files {
    pub(super) fn write(
        directory: &Path,
        config: &SystemConfig,
        tenants: &[TestTenant],
        simulator_listen: SocketAddr,
        callbacks_url: &str,
    ) -> anyhow::Result<Self> {
        let files = Self {
            config: directory.join("assent.toml"),
            simulator: directory.join("simulator.json"),
        };
        let tenants_file = directory.join("tenants.toml");
        std::fs::write(&files.config, services_toml(config, &tenants_file))?;
        std::fs::write(&tenants_file, tenants.iter().map(TestTenant::toml).collect::<String>())?;
        let simulator = assent_simulator::Config {
            listen: simulator_listen,
            apps: tenants.iter().map(|tenant| tenant.app(callbacks_url)).collect(),
            accounts: tenants.iter().map(TestTenant::account).collect(),
            ..config.simulator.clone()
        };
        std::fs::write(&files.simulator, serde_json::to_vec_pretty(&simulator)?)?;
        Ok(files)
    }
}

fn services_toml(config: &SystemConfig, tenants_file: &Path) -> String {
    let otlp = config
        .otlp_endpoint
        .as_ref()
        .map(|endpoint| format!("otlp_endpoint = \"{endpoint}\"\n"))
        .unwrap_or_default();
    format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n\n\
         [grpc]\nlisten = \"127.0.0.1:0\"\n\n\
         [tenants]\nfile = \"{tenants}\"\n\n\
         [telemetry]\nlog_filter = \"{filter}\"\n{otlp}\n\
         [database]\npostgres_url = {{ env = \"ASSENT_POSTGRES_URL\" }}\n\n\
         [nats]\nurl = {{ env = \"ASSENT_NATS_URL\" }}\n\n\
         [keys]\nmaster = {{ id = \"test\", key = {{ env = \"ASSENT_MASTER_KEY\" }} }}\n\
         hash = {{ env = \"ASSENT_HASH_KEY\" }}\n",
        tenants = tenants_file.display(),
        filter = config.log_filter,
    )
}

/// What every service reads from its environment.
pub(super) fn environment(tenants: &[TestTenant], database_url: &str, nats_url: &str) -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> = vec![
        (POSTGRES_URL_VARIABLE.to_owned(), database_url.to_owned()),
        ("ASSENT_NATS_URL".to_owned(), nats_url.to_owned()),
        ("ASSENT_MASTER_KEY".to_owned(), generate_secret().to_string()),
        ("ASSENT_HASH_KEY".to_owned(), generate_secret().to_string()),
    ];
    variables.extend(tenants.iter().flat_map(TestTenant::environment));
    variables
}

/// Where the ingress takes callbacks.
pub(super) fn callbacks_environment(listen: SocketAddr) -> Vec<(String, String)> {
    vec![("ASSENT__INGRESS__CALLBACKS__LISTEN".to_owned(), listen.to_string())]
}

/// Where Meta is, for those who call it.
pub(super) fn meta_environment(url: &str) -> Vec<(String, String)> {
    vec![
        ("ASSENT__DISPATCHER__META__BASE_URL".to_owned(), url.to_owned()),
        ("ASSENT__STATUS_TRACKER__META__BASE_URL".to_owned(), url.to_owned()),
    ]
}

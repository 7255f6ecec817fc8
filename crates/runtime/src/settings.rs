//! The part of the configuration every service shares.

use crate::{
    admission::AdmissionConfig,
    config::{Check, Validate},
    grpc::GrpcConfig,
    http::ListenConfig,
    shutdown::ShutdownConfig,
    telemetry::TelemetryConfig,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The sections every service has. A role's own configuration has these as fields of the same names.
#[derive(Debug, Clone, Deserialize)]
pub struct RuntimeConfig {
    /// The port for operators and probes.
    pub admin: ListenConfig,
    /// The port for callers.
    pub grpc: GrpcConfig,
    /// Where the tenants stand.
    pub tenants: TenantsConfig,
    /// Logs, traces and metrics.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    /// How the process ends.
    #[serde(default)]
    pub shutdown: ShutdownConfig,
    /// How much work is taken on.
    #[serde(default)]
    pub admission: AdmissionConfig,
}

/// Where the tenants stand.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct TenantsConfig {
    /// The tenants file, see `tenants.sample.toml`.
    pub file: PathBuf,
}

impl Validate for RuntimeConfig {
    fn validate(&self, check: &mut Check) {
        check.section("admin", &self.admin);
        check.section("grpc", &self.grpc);
        check.section("telemetry", &self.telemetry);
        check.section("shutdown", &self.shutdown);
        check.section("admission", &self.admission);
        let (admin, grpc) = (self.admin.listen, self.grpc.listen);
        check.ensure(
            "grpc.listen",
            grpc != admin || grpc.port() == 0,
            "is the address of the admin port too",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Loader, Problems};

    const SAMPLE: &str = include_str!("../config.sample.toml");

    fn load(text: &str) -> Result<RuntimeConfig, Problems> {
        let environment = Environment::default();
        Loader::new(&environment)
            .load_text("config.sample.toml", text)
            .map(|loaded| loaded.value)
    }

    #[test]
    fn the_sample_is_valid_and_shows_the_defaults() {
        let sample = load(SAMPLE).unwrap();
        assert_eq!(sample.grpc.listen.port(), 50051);
        assert_eq!(
            sample.grpc.message_bytes_max,
            GrpcConfig::plain(sample.grpc.listen).message_bytes_max
        );
        assert_eq!(sample.shutdown.grace_ms, ShutdownConfig::default().grace_ms);
        assert_eq!(sample.admission.backlog_max, AdmissionConfig::default().backlog_max);
    }

    #[test]
    fn every_commented_key_of_the_sample_exists() {
        // Commented keys look like `#key = …`, prose like `# prose`.
        let uncommented: Vec<&str> = SAMPLE
            .lines()
            .map(|line| {
                line.strip_prefix('#')
                    .filter(|rest| !rest.starts_with(' ') && !rest.is_empty())
                    .unwrap_or(line)
            })
            .collect();
        let text = uncommented.join("\n");
        assert_ne!(text, SAMPLE.trim_end());
        // The files of TLS need not exist here; nothing else may be wrong.
        let problems = load(&text).unwrap_err();
        assert!(
            problems.iter().all(|problem| problem.path.starts_with("grpc.tls.")),
            "{problems}"
        );
    }

    #[test]
    fn two_ports_cannot_share_an_address() {
        let text = SAMPLE.replace("127.0.0.1:50051", "127.0.0.1:9090");
        let problems = load(&text).unwrap_err().to_string();
        assert!(
            problems.contains("grpc.listen") && problems.contains("admin port"),
            "{problems}"
        );
    }
}

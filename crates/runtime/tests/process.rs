//! What belongs to a process as a whole: its signals and its telemetry.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use assent_runtime::{
    shutdown::{Shutdown, StopReason},
    telemetry::{Telemetry, TelemetryConfig, TelemetryError},
};
use std::{process::Command, time::Duration};

fn signal_self(name: &str) {
    let status = Command::new("kill")
        .args([name, &std::process::id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn the_first_signal_ends_softly_and_the_second_hard() {
    let shutdown = Shutdown::new();
    shutdown.listen(Duration::from_hours(1)).unwrap();
    signal_self("-TERM");
    shutdown.soft().cancelled().await;
    assert_eq!(shutdown.reason(), Some(&StopReason::Signal("SIGTERM")));
    assert!(!shutdown.hard().is_cancelled());
    signal_self("-INT");
    shutdown.hard().cancelled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telemetry_is_set_up_once_and_shows_what_was_counted() {
    let config = TelemetryConfig {
        // Nobody listens there: neither the start nor the end may mind.
        otlp_endpoint: Some("http://127.0.0.1:1".to_owned()),
        log_filter: "off".to_owned(),
        ..TelemetryConfig::default()
    };
    let telemetry = Telemetry::install(&config, "assent-test").unwrap();
    metrics::counter!("assent_test_things_total").increment(3);
    assert!(telemetry.metrics().render().contains("assent_test_things_total 3"));
    let again = Telemetry::install(&config, "assent-test").unwrap_err();
    assert!(matches!(again, TelemetryError::AlreadyInstalled), "{again}");
    tokio::time::timeout(Duration::from_secs(30), telemetry.shutdown())
        .await
        .unwrap();
}

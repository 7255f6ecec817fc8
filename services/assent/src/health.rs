//! A health check for images that hold nothing but the binary.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::Args;

use crate::output::print;

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// The admin port's address and path: /livez, or /readyz, which names what is missing
    #[arg(long, default_value = "http://127.0.0.1:9090/readyz")]
    url: String,
    /// Longest wait for the answer, in milliseconds
    #[arg(long, default_value_t = 2_000)]
    timeout_ms: u64,
}

/// Prints what the process answered.
pub(crate) async fn health(command: &Health) -> anyhow::Result<ExitCode> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_millis(command.timeout_ms))
        .no_proxy()
        .build()?;
    let answer = client.get(&command.url).send().await.context("no answer")?;
    let status = answer.status();
    print(answer.text().await?.trim_end());
    Ok(if status.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

//! NATS: whether it is there with JetStream, takes our slices, and keeps the streams as configured.

use std::time::Duration;

use assent_event_store::limits::SLICE_BYTES_MAX;
use assent_runtime::platform::NatsConfig;
use async_nats::jetstream::{self, stream::StorageType};
use futures::TryStreamExt as _;

use super::report::{Finding, chain, within};

/// The oldest server with what the relay uses.
const VERSION_MIN: (u32, u32) = (2, 11);
const REACHABLE: &str = "nats.reachable";
const JETSTREAM: &str = "nats.jetstream";
const CONNECT_FIX: &str =
    "check that the server runs, that nats.url and its password are right and that the network lets us through";

/// Looks at the server that the configuration names.
pub(super) async fn check(config: Option<&NatsConfig>, several_processes: bool, limit: Duration) -> Vec<Finding> {
    let Some(config) = config else {
        let seen = "not configured: one process reads the log itself";
        if several_processes {
            let fix = "configure nats.url if there is more than one process: without it they hear of each other late";
            return vec![Finding::warning(REACHABLE, seen, fix)];
        }
        return vec![Finding::ok(REACHABLE, seen)];
    };
    within(limit, REACHABLE, CONNECT_FIX, server(config)).await
}

async fn server(config: &NatsConfig) -> Vec<Finding> {
    let client = match config.client().await {
        Ok(client) => client,
        Err(error) => return vec![Finding::failed(REACHABLE, chain(&error), CONNECT_FIX)],
    };
    let info = client.server_info();
    let mut findings = vec![version(&info.version), payload(info.max_payload)];
    if info.jetstream {
        findings.extend(streams(config, client).await);
    } else {
        let fix = "enable JetStream: `jetstream {}` with a store_dir on a disk that stays";
        findings.push(Finding::failed(JETSTREAM, "JetStream is off", fix));
    }
    findings
}

fn version(text: &str) -> Finding {
    let mut numbers = text.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < VERSION_MIN {
        let (major, minor) = VERSION_MIN;
        let fix = format!("upgrade the server to {major}.{minor} or newer");
        return Finding::failed(REACHABLE, format!("nats-server {text}"), fix);
    }
    Finding::ok(REACHABLE, format!("nats-server {text}"))
}

fn payload(max: usize) -> Finding {
    const CHECK: &str = "nats.max_payload";
    if max < SLICE_BYTES_MAX {
        let fix = format!("set max_payload to {SLICE_BYTES_MAX} bytes or more: a slice of the log is one message");
        return Finding::failed(CHECK, format!("{max} bytes"), fix);
    }
    Finding::ok(CHECK, format!("{max} bytes, a slice has up to {SLICE_BYTES_MAX}"))
}

async fn streams(config: &NatsConfig, client: async_nats::Client) -> Vec<Finding> {
    let context = jetstream::new(client);
    let account = match context.query_account().await {
        Ok(account) => account,
        Err(error) => {
            let fix = "let our user use JetStream: $JS.API.> and its account's limits";
            return vec![Finding::failed(JETSTREAM, chain(&error), fix)];
        }
    };
    let wanted = config.jetstream();
    let mut findings = vec![storage(
        account.limits.max_storage.unwrap_or(-1),
        account.storage,
        wanted.stream_bytes_max,
    )];
    let prefix = format!("{}_LOG_", wanted.prefix.to_uppercase());
    let infos: Result<Vec<_>, _> = context.streams().try_collect().await;
    let infos = match infos {
        Ok(infos) => infos,
        Err(error) => {
            findings.push(Finding::failed(JETSTREAM, chain(&error), "let our user list streams"));
            return findings;
        }
    };
    let ours: Vec<_> = infos
        .into_iter()
        .filter(|info| info.config.name.starts_with(&prefix))
        .collect();
    if ours.is_empty() {
        findings.push(Finding::ok("nats.streams", "not made yet: the first relay makes them"));
    }
    findings.extend(ours.iter().map(|info| stream(info, wanted.replicas)));
    findings
}

/// `max` is below zero where there is no limit.
fn storage(max: i64, used: u64, wanted: i64) -> Finding {
    if max == 0 {
        let fix = "allow file storage: max_file_store of the server, or the account's limit";
        return Finding::failed(JETSTREAM, "no file storage is allowed", fix);
    }
    if (1..wanted).contains(&max) {
        let fix = format!("allow {wanted} bytes for each shard: a stream is made with that limit");
        return Finding::failed(JETSTREAM, format!("{max} bytes of file storage are allowed"), fix);
    }
    let limit = if max < 0 {
        "no limit".to_owned()
    } else {
        format!("{max} bytes allowed")
    };
    Finding::ok(JETSTREAM, format!("enabled, {used} bytes on disk, {limit}"))
}

fn stream(info: &jetstream::stream::Info, replicas: usize) -> Finding {
    const CHECK: &str = "nats.streams";
    let name = info.config.name.clone();
    let copies = info.config.num_replicas;
    let seen = format!(
        "{} storage, {copies} copies, {} slices",
        word(info.config.storage),
        info.state.messages
    );
    let finding = if info.config.storage != StorageType::File {
        let fix = format!(
            "delete the stream {name}: the relay makes it again in files and readers take the rest from the log"
        );
        Finding::warning(CHECK, seen, fix)
    } else if copies == replicas {
        Finding::ok(CHECK, seen)
    } else {
        let fix = format!(
            "nats.replicas is {replicas}: `nats stream edit {name} --replicas {replicas}`, or change the configuration"
        );
        Finding::warning(CHECK, seen, fix)
    };
    finding.about(name)
}

fn word(storage: StorageType) -> &'static str {
    match storage {
        StorageType::File => "file",
        StorageType::Memory => "memory",
    }
}

#[cfg(test)]
mod tests {
    use super::{super::report::Verdict, payload, storage, version};

    #[test]
    fn servers_that_are_too_old_or_too_small_are_told() {
        assert_eq!(version("2.9.10").verdict, Verdict::Failed);
        assert_eq!(version("2.11.0-RC.1").verdict, Verdict::Ok);
        assert_eq!(version("3.0.0").verdict, Verdict::Ok);
        assert_eq!(version("").verdict, Verdict::Failed);
        assert_eq!(payload(64 * 1024).verdict, Verdict::Failed);
        assert_eq!(payload(1024 * 1024).verdict, Verdict::Ok);
        assert_eq!(storage(-1, 0, 100).verdict, Verdict::Ok);
        assert_eq!(storage(0, 0, 100).verdict, Verdict::Failed);
        assert_eq!(storage(99, 0, 100).verdict, Verdict::Failed);
        assert_eq!(storage(100, 0, 100).verdict, Verdict::Ok);
    }
}

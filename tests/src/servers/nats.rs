//! A NATS server with JetStream of one's own.

use super::{PortLease, ServerError, find_nats, last_words};
use crate::processes::ChildProcess;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;

const PROGRAM: &str = "nats-server";
const READY_SECONDS_MAX: u64 = 30;
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// How a [`NatsServer`] differs from the server's own defaults.
#[derive(Debug, Clone, Default)]
pub struct NatsConfig {
    /// Sync each write to disk before it is acknowledged; the server's default is every two minutes.
    pub sync_always: bool,
    /// Largest message in bytes; the server's default is 1 MiB.
    pub max_payload_bytes: Option<u64>,
    /// Further lines of the server's configuration file, as they stand.
    pub more: String,
}

impl NatsConfig {
    fn file(&self, port: u16, store: &Path) -> String {
        let sync = if self.sync_always {
            "  sync_interval: always\n"
        } else {
            ""
        };
        let payload = self
            .max_payload_bytes
            .map(|bytes| format!("max_payload: {bytes}\n"))
            .unwrap_or_default();
        format!(
            "host: \"127.0.0.1\"\nport: {port}\n{payload}jetstream {{\n  store_dir: \"{}\"\n{sync}}}\n{}\n",
            store.display(),
            self.more
        )
    }
}

/// A running NATS server, its JetStream store in a temporary directory. Killed and removed when dropped.
#[derive(Debug)]
pub struct NatsServer {
    // Declared before the directory: the process is gone before its files are.
    process: Option<ChildProcess>,
    port: PortLease,
    program: PathBuf,
    directory: TempDir,
}

impl NatsServer {
    /// Starts a server and waits until JetStream serves.
    pub async fn start(config: NatsConfig) -> Result<Self, ServerError> {
        let program = find_nats()?;
        let port = PortLease::acquire()?;
        let directory = tempfile::Builder::new()
            .prefix("assent-nats-")
            .tempdir()
            .map_err(ServerError::io("create a directory for NATS"))?;
        let file = config.file(port.port(), &directory.path().join("store"));
        std::fs::write(directory.path().join("nats.conf"), file).map_err(ServerError::io("write nats.conf"))?;
        let mut server = Self {
            process: None,
            port,
            program,
            directory,
        };
        server.start_again().await?;
        Ok(server)
    }

    /// `nats://127.0.0.1:PORT`; the same after [`start_again`](Self::start_again).
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port.port())
    }

    /// Where JetStream keeps its files: streams are in `jetstream/$G/streams/NAME/msgs/*.blk`.
    pub fn store_dir(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// The server's log.
    pub fn log(&self) -> PathBuf {
        self.directory.path().join("nats-server.log")
    }

    /// The running server's process, for its CPU time and memory; none while it is down.
    pub fn process(&self) -> Option<&ChildProcess> {
        self.process.as_ref()
    }

    /// SIGKILL, as a crash: what JetStream had not written is lost.
    pub fn kill_9(&mut self) {
        // Dropping a child kills it and waits until it is gone.
        self.process = None;
    }

    /// SIGTERM, and waits until it is down.
    pub async fn stop(&mut self) -> Result<(), ServerError> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        process.terminate();
        process
            .wait(STOP_TIMEOUT)
            .await
            .map_err(ServerError::io("stop nats-server"))?;
        Ok(())
    }

    /// Starts it over the same files on the same port, if it is down, and waits until JetStream serves.
    pub async fn start_again(&mut self) -> Result<(), ServerError> {
        if self.process.as_mut().is_some_and(ChildProcess::is_running) {
            return Ok(());
        }
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.directory.path().join("nats.conf"));
        let process = ChildProcess::spawn(PROGRAM, command, self.directory.path())
            .map_err(ServerError::io("start nats-server"))?;
        wait_until_ready(self.process.insert(process), self.port.port()).await
    }
}

async fn wait_until_ready(process: &mut ChildProcess, port: u16) -> Result<(), ServerError> {
    let deadline = Instant::now() + Duration::from_secs(READY_SECONDS_MAX);
    while Instant::now() < deadline {
        if !process.is_running() {
            return Err(ServerError::Failed {
                program: PROGRAM,
                output: last_words(process.log()),
            });
        }
        if serves_jetstream(port).await {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    let output = last_words(process.log());
    Err(ServerError::NotReady {
        program: PROGRAM,
        seconds: READY_SECONDS_MAX,
        output,
    })
}

/// The server opens its port, and greets with INFO, after JetStream has recovered its streams.
async fn serves_jetstream(port: u16) -> bool {
    let Ok(connection) = TcpStream::connect(("127.0.0.1", port)).await else {
        return false;
    };
    let mut greeting = String::new();
    let mut reader = BufReader::new(connection);
    let read = tokio::time::timeout(Duration::from_secs(1), reader.read_line(&mut greeting)).await;
    matches!(read, Ok(Ok(_))) && greeting.starts_with("INFO") && greeting.contains("\"jetstream\":true")
}

#[cfg(test)]
mod tests {
    use super::{NatsConfig, NatsServer};
    use crate::servers::{Server, require};
    use async_nats::jetstream;

    async fn messages(url: &str) -> u64 {
        let context = jetstream::new(async_nats::connect(url).await.unwrap());
        context
            .get_stream("kept")
            .await
            .unwrap()
            .get_info()
            .await
            .unwrap()
            .state
            .messages
    }

    #[tokio::test]
    async fn a_killed_nats_server_comes_back_on_its_port_with_its_streams() {
        if !require(&[Server::Nats]) {
            return;
        }
        let config = NatsConfig {
            sync_always: true,
            max_payload_bytes: Some(4 << 20),
            ..NatsConfig::default()
        };
        let mut server = NatsServer::start(config).await.unwrap();
        let url = server.url();
        let client = async_nats::connect(&url).await.unwrap();
        assert_eq!(client.server_info().max_payload, 4 << 20);
        let context = jetstream::new(client);
        let stream = jetstream::stream::Config {
            name: "kept".to_owned(),
            ..Default::default()
        };
        context.create_stream(stream).await.unwrap();
        for _ in 0..10 {
            context
                .publish("kept", "a message".into())
                .await
                .unwrap()
                .await
                .unwrap();
        }
        drop(context);

        server.kill_9();
        assert!(server.process().is_none());
        assert!(async_nats::connect(&url).await.is_err());

        server.start_again().await.unwrap();
        assert_eq!(server.url(), url);
        assert_eq!(messages(&url).await, 10);
        assert!(server.store_dir().join("jetstream").is_dir());

        server.stop().await.unwrap();
        server.start_again().await.unwrap();
        assert_eq!(messages(&url).await, 10);
    }

    #[tokio::test]
    async fn a_nats_server_with_a_broken_configuration_says_so() {
        if !require(&[Server::Nats]) {
            return;
        }
        let config = NatsConfig {
            more: "no_such_key: {".to_owned(),
            ..NatsConfig::default()
        };
        let error = NatsServer::start(config).await.unwrap_err();
        assert!(error.to_string().contains("Parse error"), "{error}");
    }
}

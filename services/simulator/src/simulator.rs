//! Starting and stopping a simulator.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::callbacks::Clients;
use crate::config::{Config, ConfigError};
use crate::control::Control;
use crate::engine::Ground;
use crate::http::{App, Worlds, serve};
use crate::tls::{TlsError, TlsListener};

/// Time for requests and callbacks under way to end at shutdown.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// No https listener could be made.
    #[error("cannot speak https")]
    Tls(#[from] TlsError),
    /// The HTTP client for callbacks could not be made.
    #[error("cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
}

/// The simulator; start it to get a [`Handle`].
#[derive(Debug)]
pub struct Simulator;

/// A running simulator. Dropping it ends it without waiting; [`Handle::shutdown`] waits.
pub struct Handle {
    url: String,
    authority_path: Option<PathBuf>,
    address: SocketAddr,
    control: Control,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl Simulator {
    /// Starts a simulator on the configured address, in tasks of the current Tokio runtime.
    pub async fn start(config: Config) -> Result<Handle, StartError> {
        config.check()?;
        let address = config.listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| StartError::Listen { address, source })?;
        let address = listener
            .local_addr()
            .map_err(|source| StartError::Listen { address, source })?;
        let clients = Clients::new(&config.callbacks).map_err(StartError::Client)?;
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let tls = config.tls.as_ref().map(TlsListener::new).transpose()?;
        let authority_path = tls.as_ref().map(|tls| tls.authority_path.clone());
        let own_url = match &tls {
            Some(_) => format!("https://{}", reachable(address)),
            None => format!("http://{}", reachable(address)),
        };
        let base_url = match &config.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => own_url.clone(),
        };
        let ground = Ground {
            base_url,
            clients,
            tasks: tasks.clone(),
            cancel: cancel.clone(),
        };
        let worlds = Worlds::start(config, ground);
        let control = Control::new(worlds.first().clone());
        let app = Arc::new(App {
            worlds,
            tls,
            cancel: cancel.clone(),
        });
        tasks.spawn(serve(listener, app, tasks.clone(), cancel.clone()));
        Ok(Handle {
            url: own_url,
            authority_path,
            address,
            control,
            cancel,
            tasks,
        })
    }
}

/// An address clients on this machine can connect to: one that means "every interface" is none.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    address
}

impl Handle {
    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Base URL of the Graph API, without a version and a trailing slash.
    /// It is https if that is spoken; http works there too.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The certificate authority to trust, a PEM file, if https is spoken. It is kept only as long as the simulator runs,
    /// unless a directory is configured.
    pub fn authority_path(&self) -> Option<&Path> {
        self.authority_path.as_deref()
    }

    /// What no client of the real platform can do.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Ends the simulator: takes nothing more, and waits a moment for what is under way.
    pub async fn shutdown(self) {
        self.cancel.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(DRAIN_MAX, self.tasks.wait()).await;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Runs a simulator until `shutdown` is cancelled. Once it listens, it prints one line to standard output:
/// `ready http://ADDRESS:PORT`, or with https `ready https://ADDRESS:PORT ca FILE`.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), StartError> {
    let handle = Simulator::start(config).await?;
    let mut out = std::io::stdout();
    // Nobody reading the line is no reason to stop.
    let authority = handle
        .authority_path()
        .map_or_else(String::new, |path| format!(" ca {}", path.display()));
    let _ = writeln!(out, "ready {}{authority}", handle.url()).and_then(|()| out.flush());
    tracing::info!(address = %handle.address(), "the simulator is ready");
    shutdown.cancelled().await;
    handle.shutdown().await;
    Ok(())
}

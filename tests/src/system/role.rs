//! One service of the system as a process of its own.

use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::Context as _;
use serde::Serialize;

use crate::{processes::ChildProcess, servers::PortLease};

/// How long a role may take from its start to its ready line.
const READY_PATIENCE: Duration = Duration::from_mins(1);

/// The services, in the order in which they are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Takes requests and callbacks.
    Ingress,
    /// Decides.
    Consent,
    /// Calls Meta.
    Dispatcher,
    /// Concludes, polls and answers questions.
    StatusTracker,
}

impl Role {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Ingress, Self::Consent, Self::Dispatcher, Self::StatusTracker];

    /// The argument of `assent` that starts it; also its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Consent => "consent",
            Self::Dispatcher => "dispatcher",
            Self::StatusTracker => "status-tracker",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The ports of a role. Leased for the whole run, so that callers find it again after a restart.
#[derive(Debug)]
pub(super) struct RolePorts {
    grpc: PortLease,
    admin: PortLease,
}

impl RolePorts {
    pub(super) fn acquire() -> anyhow::Result<Self> {
        Ok(Self {
            grpc: PortLease::acquire()?,
            admin: PortLease::acquire()?,
        })
    }

    pub(super) fn grpc(&self) -> SocketAddr {
        loopback(&self.grpc)
    }

    pub(super) fn admin(&self) -> SocketAddr {
        loopback(&self.admin)
    }
}

pub(super) fn loopback(lease: &PortLease) -> SocketAddr {
    SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, lease.port()))
}

/// How a role is started, each time anew.
#[derive(Debug, Clone)]
pub(super) struct Launch<'a> {
    pub(super) binary: &'a Path,
    pub(super) config: &'a Path,
    pub(super) environment: &'a [(String, String)],
    pub(super) log_directory: &'a Path,
}

impl Launch<'_> {
    /// Starts the role; it may not be ready yet.
    pub(super) fn spawn(&self, role: Role, ports: &RolePorts) -> anyhow::Result<ChildProcess> {
        self.spawn_as(role, role.name(), ports)
    }

    /// The same under another name, which its output is kept by.
    pub(super) fn spawn_as(&self, role: Role, name: &str, ports: &RolePorts) -> anyhow::Result<ChildProcess> {
        let mut command = Command::new(self.binary);
        command
            .arg(role.name())
            .arg("--config")
            .arg(self.config)
            .env("ASSENT__GRPC__LISTEN", ports.grpc().to_string())
            .env("ASSENT__ADMIN__LISTEN", ports.admin().to_string())
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        ChildProcess::spawn(name, command, self.log_directory).with_context(|| format!("start {role}"))
    }
}

/// Waits until a role has said that it serves.
pub(super) async fn wait_ready(process: &mut ChildProcess, role: Role) -> anyhow::Result<()> {
    let line = format!("ready role={role}");
    process
        .wait_ready(&line, READY_PATIENCE)
        .await
        .with_context(|| format!("{role} did not get ready"))?;
    Ok(())
}

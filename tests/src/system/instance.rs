//! Processes of a role beside each other: what a rolling restart consists of.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::{
    Balancer, Role, System,
    config::{POSTGRES_URL_VARIABLE, callbacks_environment},
    role::{self, Launch, RolePorts, loopback},
};
use crate::{processes::ChildProcess, servers::PortLease};

/// A process of a role that whoever started it looks after. It is killed when it is dropped.
#[derive(Debug)]
pub struct Instance {
    role: Role,
    process: ChildProcess,
    grpc: SocketAddr,
    /// Where it takes callbacks; only an ingress does.
    callbacks: Option<SocketAddr>,
    /// Its own ports; none if they are the system's.
    _ports: Option<(RolePorts, PortLease)>,
}

impl Instance {
    /// Which service it is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Where it answers gRPC.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc
    }

    /// Where it takes callbacks, if it does.
    pub fn callbacks_address(&self) -> Option<SocketAddr> {
        self.callbacks
    }

    /// Whether it has not ended; it may never do so by itself.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        self.process.output().unwrap_or_default()
    }

    /// SIGTERM, and waits until it has drained; how long that took.
    pub async fn terminate(mut self, patience: Duration) -> anyhow::Result<Duration> {
        let role = self.role;
        anyhow::ensure!(self.is_running(), "{role} ended by itself: {}", self.output());
        let started = Instant::now();
        self.process.terminate();
        let status = self.process.wait(patience).await?;
        anyhow::ensure!(status.success(), "{role} ended with {status}: {}", self.output());
        Ok(started.elapsed())
    }
}

impl System {
    /// Hands over the process of a role that runs. The role counts as down from now on.
    pub fn detach(&mut self, role: Role) -> anyhow::Result<Instance> {
        let process = self.take_running(role).with_context(|| format!("{role} is down"))?;
        let callbacks = self.ingress_callbacks.as_ref().unwrap_or(&self.callbacks);
        Ok(Instance {
            role,
            process,
            grpc: self.grpc_address(role),
            callbacks: (role == Role::Ingress).then(|| loopback(callbacks)),
            _ports: None,
        })
    }

    /// Starts a further process of a role, on ports of its own, and waits until it serves.
    pub async fn start_instance(&mut self, role: Role, binary: &Path) -> anyhow::Result<Instance> {
        let (ports, callbacks) = (RolePorts::acquire()?, PortLease::acquire()?);
        let mut environment = self.environment.clone();
        environment.extend(callbacks_environment(loopback(&callbacks)));
        let launch = Launch {
            binary,
            config: &self.files.config,
            environment: &environment,
            log_directory: self.directory.path(),
        };
        self.instances += 1;
        let mut process = launch.spawn_as(role, &format!("{role}-{}", self.instances), &ports)?;
        role::wait_ready(&mut process, role).await?;
        Ok(Instance {
            role,
            process,
            grpc: ports.grpc(),
            callbacks: (role == Role::Ingress).then(|| loopback(&callbacks)),
            _ports: Some((ports, callbacks)),
        })
    }

    /// Makes services that are started from now on use another database, as after a restore.
    pub fn use_database(&mut self, url: &str) {
        url.clone_into(&mut self.database_url);
        for (name, value) in &mut self.environment {
            if name == POSTGRES_URL_VARIABLE {
                url.clone_into(value);
            }
        }
    }

    /// What stands before the ports for callbacks, if the system was configured so.
    pub fn callbacks_balancer(&self) -> Option<&Balancer> {
        self.balancer.as_ref()
    }
}

//! Ports of the loopback that stay ours while a server is down.

use super::ServerError;
use rand::Rng;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Below the range from which the kernel serves outgoing connections (32768 and up on Linux). In that range a client
/// could be given the port of a killed server, or even connect to itself while it retries.
const PORTS: std::ops::Range<u16> = 10_000..30_000;
const TRIES_MAX: u32 = 200;

/// A free TCP port, promised to one holder among all test processes of this user until it is dropped.
///
/// The promise is a lock on a file, because a server that is killed and started again wants its old port back.
#[derive(Debug)]
pub struct PortLease {
    port: u16,
    _lock: File,
}

impl PortLease {
    /// Finds a port that nobody listens on and nobody else has leased.
    pub fn acquire() -> Result<Self, ServerError> {
        let directory = lease_directory()?;
        for _ in 0..TRIES_MAX {
            let port = rand::rng().random_range(PORTS);
            if let Some(lease) = Self::try_acquire(&directory, port)? {
                return Ok(lease);
            }
        }
        let source = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        Err(ServerError::Io {
            what: format!("find a free port in {PORTS:?}"),
            source,
        })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn try_acquire(directory: &std::path::Path, port: u16) -> Result<Option<Self>, ServerError> {
        let path = directory.join(port.to_string());
        let lock = File::create(&path).map_err(ServerError::io(format!("create {}", path.display())))?;
        if lock.try_lock().is_err() || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
            return Ok(None);
        }
        Ok(Some(Self { port, _lock: lock }))
    }
}

/// One directory per user, whatever `TMPDIR` says: two test runs side by side must see each other's leases.
fn lease_directory() -> Result<PathBuf, ServerError> {
    let user = std::fs::metadata("/proc/self")
        .map_err(ServerError::io("read /proc/self"))?
        .uid();
    let directory = PathBuf::from(format!("/tmp/assent-test-ports-{user}"));
    std::fs::create_dir_all(&directory).map_err(ServerError::io(format!("create {}", directory.display())))?;
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::{PortLease, lease_directory};
    use std::net::{Ipv4Addr, TcpListener};

    #[test]
    fn a_leased_port_is_given_to_nobody_else_until_it_is_dropped() {
        let lease = PortLease::acquire().unwrap();
        let directory = lease_directory().unwrap();
        assert!(PortLease::try_acquire(&directory, lease.port()).unwrap().is_none());
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_leased() {
        let lease = PortLease::acquire().unwrap();
        let port = lease.port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        drop(lease);
        assert!(
            PortLease::try_acquire(&lease_directory().unwrap(), port)
                .unwrap()
                .is_none()
        );
        drop(listener);
    }
}

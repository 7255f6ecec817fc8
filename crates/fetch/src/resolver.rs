//! Looking up a host, and judging what was found before anybody connects.

use crate::address::{self, NotPublic};
use futures::future::BoxFuture;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolving};
use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Looks up the addresses of a host.
pub trait Resolve: fmt::Debug + Send + Sync + 'static {
    /// All addresses of a host.
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The address is not one to call. Travels through the HTTP client's errors.
#[derive(Debug, thiserror::Error)]
#[error("the host has an address that is not public")]
pub(crate) struct Forbidden(pub(crate) NotPublic);

/// Gives the HTTP client only addresses that were judged; what it gives is what is connected to.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) allowed: Arc<[IpNet]>,
}

impl reqwest::dns::Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.resolver.resolve(name.as_str());
        let allowed = Arc::clone(&self.allowed);
        Box::pin(async move {
            let found = found.await?;
            for address in &found {
                address::judge(*address, &allowed).map_err(Forbidden)?;
            }
            // Port 0: the client puts in the one of the link.
            let addresses: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

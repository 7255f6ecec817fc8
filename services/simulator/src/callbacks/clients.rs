//! HTTP clients for callbacks. Most receivers stand on loopback and speak http, and reading the system's certificates
//! takes longer than everything else at the start; so https gets a client of its own, made when it is first needed.

use std::sync::{Arc, OnceLock};

use crate::config::CallbackLimits;

/// The clients callbacks and verification challenges are sent with. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    in_flight_max: usize,
    plain: reqwest::Client,
    secure: Arc<OnceLock<reqwest::Client>>,
}

impl Clients {
    /// A client for http, and the means to make one for https.
    pub(crate) fn new(limits: &CallbackLimits) -> reqwest::Result<Self> {
        let in_flight_max = limits.in_flight_max;
        // Trusts nobody, so nothing has to be read.
        let plain = builder(in_flight_max).tls_certs_only([]).build()?;
        Ok(Self {
            in_flight_max,
            plain,
            secure: Arc::default(),
        })
    }

    /// The client for a URL.
    pub(crate) fn for_url(&self, url: &str) -> reqwest::Result<reqwest::Client> {
        if !url.starts_with("https:") {
            return Ok(self.plain.clone());
        }
        if let Some(secure) = self.secure.get() {
            return Ok(secure.clone());
        }
        let made = builder(self.in_flight_max).build()?;
        Ok(self.secure.get_or_init(|| made).clone())
    }
}

fn builder(in_flight_max: usize) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(in_flight_max)
        .tcp_nodelay(true)
        .no_proxy()
}

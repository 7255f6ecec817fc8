//! Which world a request belongs to. Usually there is one; with `isolate_tokens` every unknown token gets its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Config;
use crate::engine::{Engine, Ground};

/// Worlds made for unknown tokens; a test suite has a few hundred.
const ISOLATED_WORLDS_MAX: usize = 4_096;

/// What a token may do in its world.
#[derive(Clone)]
pub(crate) struct Access {
    /// The world.
    pub(crate) engine: Arc<Engine>,
    /// Indexes of the accounts the token may act for.
    pub(crate) accounts: Arc<[u32]>,
    /// Id of the app, if it is an app's own token.
    pub(crate) app: Option<Arc<str>>,
}

/// All worlds of one simulator.
pub(crate) struct Worlds {
    config: Config,
    ground: Ground,
    first: Arc<Engine>,
    known: HashMap<String, Access>,
    isolated: Mutex<HashMap<String, Access>>,
}

impl Worlds {
    /// Starts the configured world.
    pub(crate) fn start(config: Config, ground: Ground) -> Self {
        let first = Engine::start(config.clone(), ground.clone());
        let mut accounts: HashMap<String, Vec<u32>> = HashMap::new();
        for (index, account) in config.accounts.iter().enumerate() {
            for token in &account.tokens {
                accounts
                    .entry(token.expose().to_owned())
                    .or_default()
                    .push(index as u32);
            }
        }
        let access = |accounts: Vec<u32>| Access {
            engine: first.clone(),
            accounts: accounts.into(),
            app: None,
        };
        // An app's own token is its id and secret; it arranges subscriptions and may do nothing for an account.
        let of_apps = config.apps.iter().map(|app| {
            let of_app = Access {
                app: Some(app.id.as_str().into()),
                ..access(Vec::new())
            };
            (format!("{}|{}", app.id, app.secret.expose()), of_app)
        });
        let known = accounts
            .into_iter()
            .map(|(token, accounts)| (token, access(accounts)))
            .chain(of_apps)
            .collect();
        Self {
            config,
            ground,
            known,
            first,
            isolated: Mutex::default(),
        }
    }

    /// The configured world.
    pub(crate) fn first(&self) -> &Arc<Engine> {
        &self.first
    }

    /// What anybody may do without a token: ask for one, and see public pictures.
    pub(crate) fn without_token(&self) -> Access {
        Access {
            engine: self.first.clone(),
            accounts: Arc::new([]),
            app: None,
        }
    }

    /// What a token may do; `None` if it is not valid.
    pub(crate) fn access(&self, token: &str) -> Option<Access> {
        if let Some(access) = self.known.get(token) {
            return Some(access.clone());
        }
        if !self.config.isolate_tokens || token.is_empty() {
            return None;
        }
        let mut isolated = self.isolated.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(access) = isolated.get(token) {
            return Some(access.clone());
        }
        if isolated.len() >= ISOLATED_WORLDS_MAX {
            return None;
        }
        let engine = Engine::start(self.config.clone(), self.ground.clone());
        let accounts = (0..self.config.accounts.len() as u32).collect();
        let access = Access {
            engine,
            accounts,
            app: None,
        };
        isolated.insert(token.to_owned(), access.clone());
        Some(access)
    }
}

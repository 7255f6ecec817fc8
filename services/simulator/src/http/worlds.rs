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
        };
        let known = accounts
            .into_iter()
            .map(|(token, accounts)| (token, access(accounts)))
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
        let access = Access { engine, accounts };
        isolated.insert(token.to_owned(), access.clone());
        Some(access)
    }
}

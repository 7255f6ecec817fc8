//! The tenants as they stand now, kept up to date with their file.

use super::{
    Principal, Tenants,
    api_key::{KeyId, id_of},
};
use crate::{
    api_error::{ApiError, ErrorCode},
    config::{Environment, Problems},
    shutdown::Shutdown,
};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock},
    time::{Duration, SystemTime},
};
use tokio::signal::unix::{SignalKind, signal};

/// How often the file's modification time is looked at.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Why a key was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticationError {
    /// It is not one of ours.
    #[error("the API key is not valid")]
    Invalid,
    /// It was ours and was revoked.
    #[error("the API key was revoked")]
    Revoked,
}

impl From<AuthenticationError> for ApiError {
    fn from(error: AuthenticationError) -> Self {
        match error {
            AuthenticationError::Invalid => ApiError::new(ErrorCode::ApiKeyInvalid),
            AuthenticationError::Revoked => ApiError::new(ErrorCode::ApiKeyRevoked),
        }
    }
}

/// What reading the file again gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The new tenants are in force.
    Replaced,
    /// Nothing was touched since the last time.
    Unchanged,
}

/// The tenants as they stand now. Share it in an `Arc`.
#[derive(Debug)]
pub struct Directory {
    current: RwLock<Arc<Tenants>>,
    source: Option<Source>,
    problems: RwLock<Option<Arc<Problems>>>,
}

#[derive(Debug)]
struct Source {
    path: PathBuf,
    environment: Environment,
    seen: Mutex<Seen>,
}

/// What the files looked like when they were last read.
#[derive(Debug, Default)]
struct Seen {
    secret_files: BTreeSet<PathBuf>,
    stamps: Vec<(PathBuf, Option<(SystemTime, u64)>)>,
}

impl Directory {
    /// Reads the tenants file.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, Problems> {
        // Stamped before it is read: a change in between is then seen as one, rather than missed.
        let stamps = stamps(path, &BTreeSet::new());
        let (tenants, secret_files) = Tenants::load(path, environment)?;
        let seen = Seen {
            stamps: stamps.into_iter().chain(secret_stamps(&secret_files)).collect(),
            secret_files,
        };
        Ok(Self {
            current: RwLock::new(Arc::new(tenants)),
            source: Some(Source {
                path: path.to_owned(),
                environment: environment.clone(),
                seen: Mutex::new(seen),
            }),
            problems: RwLock::new(None),
        })
    }

    /// A directory without a file; for the demo and for tests.
    pub fn fixed(tenants: Tenants) -> Self {
        Self {
            current: RwLock::new(Arc::new(tenants)),
            source: None,
            problems: RwLock::new(None),
        }
    }

    /// The tenants now. Take it once for each piece of work.
    pub fn tenants(&self) -> Arc<Tenants> {
        Arc::clone(&self.current.read().expect("nothing panics while it holds this lock"))
    }

    /// Puts other tenants in force, e.g. when a command of the demo changed them.
    pub fn replace(&self, tenants: Tenants) {
        *self.current.write().expect("nothing panics while it holds this lock") = Arc::new(tenants);
    }

    /// Who presents this key.
    pub fn authenticate(&self, key: &str) -> Result<Principal, AuthenticationError> {
        let id = id_of(key)
            .and_then(KeyId::try_new)
            .ok_or(AuthenticationError::Invalid)?;
        let tenants = self.tenants();
        let (tenant, entry) = tenants.key(&id).ok_or(AuthenticationError::Invalid)?;
        if !entry.sha256.matches(key) {
            return Err(AuthenticationError::Invalid);
        }
        // Said only to whoever holds the whole key.
        if entry.revoked {
            return Err(AuthenticationError::Revoked);
        }
        Ok(Principal {
            tenant: tenant.id.clone(),
            key: id,
            scopes: entry.scopes.clone().into(),
        })
    }

    /// What is wrong with the file now, while the tenants read before it are still in force.
    pub fn problems(&self) -> Option<Arc<Problems>> {
        self.problems
            .read()
            .expect("nothing panics while it holds this lock")
            .clone()
    }

    /// Reads the file again. A file with problems changes nothing.
    pub fn reload(&self) -> Result<Reload, Arc<Problems>> {
        let Some(source) = &self.source else {
            return Ok(Reload::Unchanged);
        };
        let mut seen = source.seen.lock().expect("nothing panics while it holds this lock");
        self.read(source, &mut seen)
    }

    /// Reads the file again if it, or a file a secret stands in, was touched.
    pub fn reload_if_touched(&self) -> Result<Reload, Arc<Problems>> {
        let Some(source) = &self.source else {
            return Ok(Reload::Unchanged);
        };
        let mut seen = source.seen.lock().expect("nothing panics while it holds this lock");
        if stamps(&source.path, &seen.secret_files) == seen.stamps {
            return Ok(Reload::Unchanged);
        }
        self.read(source, &mut seen)
    }

    fn read(&self, source: &Source, seen: &mut Seen) -> Result<Reload, Arc<Problems>> {
        let file = stamps(&source.path, &BTreeSet::new());
        let result = Tenants::load(&source.path, &source.environment);
        if let Ok((_, secret_files)) = &result {
            seen.secret_files.clone_from(secret_files);
        }
        seen.stamps = file.into_iter().chain(secret_stamps(&seen.secret_files)).collect();
        let (outcome, problems) = match result {
            Ok((tenants, _)) => {
                self.replace(tenants);
                (Ok(Reload::Replaced), None)
            }
            Err(problems) => {
                let problems = Arc::new(problems);
                (Err(Arc::clone(&problems)), Some(problems))
            }
        };
        show_bad(problems.is_some());
        *self.problems.write().expect("nothing panics while it holds this lock") = problems;
        outcome
    }

    /// Follows the file until the soft shutdown: it is looked at every second, and read at once on SIGHUP.
    ///
    /// Errors: the operating system refuses to deliver signals.
    pub async fn follow(self: Arc<Self>, shutdown: Shutdown) -> io::Result<()> {
        show_bad(self.problems().is_some());
        let mut hangups = signal(SignalKind::hangup())?;
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let forced = tokio::select! {
                () = shutdown.soft().cancelled() => return Ok(()),
                _ = hangups.recv() => true,
                _ = ticks.tick() => false,
            };
            let directory = Arc::clone(&self);
            // Small local files, but a file system may hang.
            let read = move || {
                if forced {
                    directory.reload()
                } else {
                    directory.reload_if_touched()
                }
            };
            match tokio::task::spawn_blocking(read).await.map_err(io::Error::other)? {
                Ok(Reload::Replaced) => {
                    tracing::info!(tenants = self.tenants().iter().len(), "tenants file read again");
                }
                Ok(Reload::Unchanged) => {}
                Err(problems) => {
                    tracing::error!(%problems, "tenants file is wrong; the tenants read before it stay in force");
                }
            }
        }
    }
}

fn show_bad(is_bad: bool) {
    metrics::gauge!("assent_runtime_tenants_file_bad").set(if is_bad { 1.0 } else { 0.0 });
}

type Stamp = (PathBuf, Option<(SystemTime, u64)>);

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok();
    let stamp = metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len())));
    (path.to_owned(), stamp)
}

fn stamps(path: &Path, secret_files: &BTreeSet<PathBuf>) -> Vec<Stamp> {
    std::iter::once(stamp(path))
        .chain(secret_stamps(secret_files))
        .collect()
}

fn secret_stamps(secret_files: &BTreeSet<PathBuf>) -> Vec<Stamp> {
    secret_files.iter().map(|path| stamp(path)).collect()
}

#[cfg(test)]
mod tests;

//! Where the programs of the servers are on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest Postgres the log supports.
const POSTGRES_MAJOR_MIN: u32 = 15;
/// The oldest NATS server with what the relay uses; Debian 12 ships 2.9.
const NATS_VERSION_MIN: (u32, u32) = (2, 11);

/// A server's program is not on this machine, or too old.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no usable {program} on this machine, looked in [{}]: run tests/run", looked_in.join(", "))]
pub struct Missing {
    /// Which server.
    pub program: &'static str,
    /// The places that were tried.
    pub looked_in: Vec<String>,
}

/// The directory with `initdb` and `postgres`: `ASSENT_TEST_POSTGRES_BIN`, else the newest Debian package, else the
/// first on `PATH`; of version 15 or newer.
pub fn find_postgres() -> Result<PathBuf, Missing> {
    let candidates = match std::env::var_os("ASSENT_TEST_POSTGRES_BIN") {
        Some(given) => vec![PathBuf::from(given)],
        None => debian_postgres_directories()
            .into_iter()
            .chain(path_directories())
            .collect(),
    };
    first_usable("Postgres", &candidates, |directory| {
        directory.join("initdb").is_file()
            && version_of(&directory.join("postgres")).is_some_and(|(major, _)| major >= POSTGRES_MAJOR_MIN)
    })
}

/// The `nats-server` program: `ASSENT_TEST_NATS_SERVER`, else where `tests/run` installs it, else the first on `PATH`;
/// of version 2.11 or newer.
pub fn find_nats() -> Result<PathBuf, Missing> {
    let candidates = match std::env::var_os("ASSENT_TEST_NATS_SERVER") {
        Some(given) => vec![PathBuf::from(given)],
        None => std::iter::once(repository_root().join(".tools/nats/bin/nats-server"))
            .chain(
                path_directories()
                    .into_iter()
                    .map(|directory| directory.join("nats-server")),
            )
            .collect(),
    };
    first_usable("NATS", &candidates, |program| {
        version_of(program).is_some_and(|version| version >= NATS_VERSION_MIN)
    })
}

/// Where this repository was when the harness was compiled.
pub(super) fn repository_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Major and minor version that a program prints for `--version`; none if there is no such program.
pub(super) fn version_of(program: &Path) -> Option<(u32, u32)> {
    if !program.is_file() {
        return None;
    }
    let output = Command::new(program).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

fn first_usable(
    program: &'static str,
    candidates: &[PathBuf],
    usable: impl Fn(&Path) -> bool,
) -> Result<PathBuf, Missing> {
    if let Some(found) = candidates.iter().find(|candidate| usable(candidate)) {
        return Ok(found.clone());
    }
    Err(Missing {
        program,
        looked_in: candidates.iter().map(|place| place.display().to_string()).collect(),
    })
}

/// Debian keeps each major version in a directory of its own; newest first.
fn debian_postgres_directories() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/usr/lib/postgresql") else {
        return Vec::new();
    };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, directory)| directory).collect()
}

fn path_directories() -> Vec<PathBuf> {
    std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default()
}

/// `postgres (PostgreSQL) 15.9 (Debian …)`, `nats-server: v2.15.1`, `postgres (PostgreSQL) 18beta1`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let word = text
        .split_whitespace()
        .map(|word| word.strip_prefix('v').unwrap_or(word))
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    let mut numbers = word.split(|character: char| !character.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0);
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::{first_usable, parse_version};
    use std::path::PathBuf;

    #[test]
    fn versions_are_read_from_what_the_servers_print() {
        assert_eq!(
            parse_version("postgres (PostgreSQL) 15.9 (Debian 15.9-0+deb12u1)"),
            Some((15, 9))
        );
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1"), Some((18, 0)));
        assert_eq!(parse_version("postgres (PostgreSQL) 18devel"), Some((18, 0)));
        assert_eq!(parse_version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert_eq!(parse_version("command not found"), None);
    }

    #[test]
    fn a_server_that_is_nowhere_is_reported_with_the_places_that_were_tried() {
        let error = first_usable("NATS", &[PathBuf::from("/nowhere/nats-server")], |_| false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no usable NATS on this machine, looked in [/nowhere/nats-server]: run tests/run"
        );
    }
}

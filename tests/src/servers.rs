//! Real servers for fault tests, each in a temporary directory and on a free port of the loopback.
//!
//! A suite that needs them starts with
//!
//! ```no_run
//! use assent_tests::servers::{self, Server};
//!
//! if !servers::require(&[Server::Postgres, Server::Nats]) {
//!     return;
//! }
//! ```
//!
//! and then starts its own [`PostgresServer`] and [`NatsServer`]. One that only needs *some* Postgres can use the
//! shared one of `tests/run`, by [`shared_postgres_url`], and create databases of its own in it.

mod nats;
mod ports;
mod postgres;
mod programs;

use std::io::Write as _;

pub use nats::{NatsConfig, NatsServer};
pub use ports::PortLease;
pub use postgres::PostgresServer;
pub use programs::{Missing, find_nats, find_postgres};

/// Set to `1` by `tests/run`: a suite that does not find its servers fails instead of being skipped.
pub const REQUIRE_SERVERS_VARIABLE: &str = "ASSENT_TEST_REQUIRE_SERVERS";

/// A server that a suite can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Postgres 15 or newer.
    Postgres,
    /// NATS 2.11 or newer, with JetStream.
    Nats,
}

/// Why a server could not be started, stopped or used.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Its program is not on this machine.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The file system or the operating system refused something.
    #[error("{what}")]
    Io {
        /// What was attempted.
        what: String,
        /// The refusal.
        #[source]
        source: std::io::Error,
    },
    /// The program ran and failed; its last words are included.
    #[error("{program} failed: {output}")]
    Failed {
        /// Which program.
        program: &'static str,
        /// The end of what it printed.
        output: String,
    },
    /// It did not become ready in time; its last words are included.
    #[error("{program} was not ready within {seconds} s: {output}")]
    NotReady {
        /// Which program.
        program: &'static str,
        /// How long it had, in seconds.
        seconds: u64,
        /// The end of what it printed.
        output: String,
    },
    /// A statement sent to Postgres failed.
    #[error("a statement failed")]
    Statement(#[from] sqlx::Error),
}

impl ServerError {
    /// For `map_err`: names what was attempted.
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Whether the servers that a test needs can be started here.
///
/// If not, says `SKIPPED` on standard error and answers false: the test returns and passes.
///
/// # Panics
///
/// Instead of answering false when `ASSENT_TEST_REQUIRE_SERVERS=1`, as in `tests/run`: there, a skipped suite would
/// be a hole nobody sees.
#[must_use = "a test that goes on without its servers fails for the wrong reason"]
pub fn require(servers: &[Server]) -> bool {
    let missing: Vec<Missing> = servers.iter().filter_map(|server| find(*server).err()).collect();
    let strict = std::env::var(REQUIRE_SERVERS_VARIABLE).is_ok_and(|value| value == "1");
    match verdict(&missing, strict) {
        Verdict::Run => true,
        Verdict::Skip(reason) => {
            // Straight to the stream: what `eprintln!` prints in a test that passes is not shown.
            let _unseen = writeln!(std::io::stderr(), "{reason}");
            false
        }
        Verdict::Fail(reason) => panic!("{reason}"),
    }
}

/// The superuser URL of the Postgres that `tests/run` started, if this process runs under it.
pub fn shared_postgres_url() -> Option<String> {
    std::env::var("ASSENT_TEST_POSTGRES_URL").ok()
}

/// The URL of the NATS server that `tests/run` started, if this process runs under it.
pub fn shared_nats_url() -> Option<String> {
    std::env::var("ASSENT_TEST_NATS_URL").ok()
}

fn find(server: Server) -> Result<std::path::PathBuf, Missing> {
    match server {
        Server::Postgres => find_postgres(),
        Server::Nats => find_nats(),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Run,
    Skip(String),
    Fail(String),
}

fn verdict(missing: &[Missing], strict: bool) -> Verdict {
    if missing.is_empty() {
        return Verdict::Run;
    }
    let names: Vec<&str> = missing.iter().map(|missing| missing.program).collect();
    let names = names.join(" and ");
    if strict {
        return Verdict::Fail(format!(
            "needs {names}, and {REQUIRE_SERVERS_VARIABLE}=1 forbids skipping (run tests/run)"
        ));
    }
    Verdict::Skip(format!("SKIPPED: needs {names} (run tests/run)"))
}

/// The end of a log, for an error.
fn last_words(log: &std::path::Path) -> String {
    const LINES_MAX: usize = 8;
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::{Missing, Verdict, verdict};

    fn missing(program: &'static str) -> Missing {
        Missing {
            program,
            looked_in: Vec::new(),
        }
    }

    #[test]
    fn a_suite_with_all_its_servers_runs() {
        assert_eq!(verdict(&[], false), Verdict::Run);
        assert_eq!(verdict(&[], true), Verdict::Run);
    }

    #[test]
    fn a_suite_without_its_servers_is_skipped_and_says_what_to_run() {
        let expected = "SKIPPED: needs Postgres and NATS (run tests/run)".to_owned();
        assert_eq!(
            verdict(&[missing("Postgres"), missing("NATS")], false),
            Verdict::Skip(expected)
        );
    }

    #[test]
    fn a_suite_without_its_servers_fails_where_they_are_promised() {
        assert!(matches!(verdict(&[missing("NATS")], true), Verdict::Fail(reason) if reason.contains("needs NATS")));
    }
}

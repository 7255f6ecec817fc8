//! A Postgres cluster of one's own.

use super::programs::{repository_root, version_of};
use super::{PortLease, ServerError, find_postgres, last_words};
use crate::processes::ChildProcess;
use rustix::process::Signal;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PROGRAM: &str = "postgres";
const READY_SECONDS_MAX: u64 = 60;
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// What every cluster of the harness runs with; `fsync` and `synchronous_commit` stay on, as shipped.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("shared_buffers", "128MB"),
    ("max_connections", "200"),
];

/// A running Postgres over a cluster in a temporary directory. Stopped and removed when dropped.
#[derive(Debug)]
pub struct PostgresServer {
    process: Option<ChildProcess>,
    /// The last postmaster, whose lock file may be removed once it is gone.
    last_id: Option<u32>,
    port: PortLease,
    programs: PathBuf,
    user: Option<User>,
    settings: Vec<(String, String)>,
    directory: TempDir,
}

impl PostgresServer {
    /// Creates a cluster, starts it and waits until it accepts connections.
    pub async fn start() -> Result<Self, ServerError> {
        Self::start_with(&[]).await
    }

    /// The same with more settings, as in `postgresql.conf`: `[("fsync", "off")]`.
    pub async fn start_with(settings: &[(&str, &str)]) -> Result<Self, ServerError> {
        let programs = find_postgres()?;
        let port = PortLease::acquire()?;
        let user = User::to_run_servers().map_err(ServerError::io("find a user to run Postgres"))?;
        let directory = private_directory(user)?;
        let template = template(&programs, user)?;
        copy_tree(&template, &directory.path().join("data"), user).map_err(ServerError::io("copy the cluster"))?;
        let settings = SETTINGS
            .iter()
            .chain(settings)
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        let mut server = Self {
            process: None,
            last_id: None,
            port,
            programs,
            user,
            settings,
            directory,
        };
        server.start_again().await?;
        Ok(server)
    }

    /// A superuser's URL for one of its databases (`postgres` always exists); the same after
    /// [`start_again`](Self::start_again).
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port.port())
    }

    /// Creates an empty database and returns its URL.
    pub async fn create_database(&self, name: &str) -> Result<String, ServerError> {
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        let statement = format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""));
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
        connection.close().await?;
        Ok(self.url(name))
    }

    /// The cluster's directory (`PGDATA`).
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The server's log.
    pub fn log(&self) -> PathBuf {
        self.directory.path().join("postgres.log")
    }

    /// The postmaster, for the CPU time and memory of its whole tree; none while it is down.
    pub fn process(&self) -> Option<&ChildProcess> {
        self.process.as_ref()
    }

    /// SIGKILL to the postmaster and all its children at once, as a crash of the server. Returns when all are gone.
    pub fn kill_9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill_tree_9();
        }
    }

    /// Freezes the postmaster and all its children: connections stay, the kernel takes new ones, and nothing is answered.
    pub fn freeze(&mut self) {
        if let Some(process) = &mut self.process {
            process.freeze_tree();
        }
    }

    /// Undoes [`freeze`](Self::freeze).
    pub fn thaw(&mut self) {
        if let Some(process) = &mut self.process {
            process.thaw_tree();
        }
    }

    /// Fast shutdown: clients are cut off, everything is written. Returns when it is down.
    pub async fn stop(&mut self) -> Result<(), ServerError> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        process.signal(Signal::INT);
        process
            .wait(STOP_TIMEOUT)
            .await
            .map_err(ServerError::io("stop postgres"))?;
        Ok(())
    }

    /// Starts it over the same cluster on the same port, if it is down, and waits until it has recovered and accepts
    /// connections.
    pub async fn start_again(&mut self) -> Result<(), ServerError> {
        if self.process.as_mut().is_some_and(ChildProcess::is_running) {
            return Ok(());
        }
        self.remove_stale_lock_file()?;
        let mut command = Command::new(self.programs.join(PROGRAM));
        command
            .arg("-D")
            .arg(self.data_dir())
            .args(["-p", &self.port.port().to_string()]);
        for (name, value) in &self.settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        User::apply(self.user, &mut command);
        let process =
            ChildProcess::spawn(PROGRAM, command, self.directory.path()).map_err(ServerError::io("start postgres"))?;
        self.last_id = Some(process.id());
        let lock_file = self.lock_file();
        wait_until_ready(self.process.insert(process), &lock_file).await
    }

    fn lock_file(&self) -> PathBuf {
        self.data_dir().join("postmaster.pid")
    }

    /// A killed postmaster leaves its lock file. Postgres removes it by itself unless another process has got the
    /// number meanwhile; we know that ours is gone.
    fn remove_stale_lock_file(&self) -> Result<(), ServerError> {
        let Some(last_id) = self.last_id else {
            return Ok(());
        };
        let file = self.lock_file();
        match fs::read_to_string(&file) {
            Ok(text) if text.lines().next() == Some(last_id.to_string().as_str()) => {
                fs::remove_file(&file).map_err(ServerError::io("remove postmaster.pid"))
            }
            _ => Ok(()),
        }
    }

    /// A killed postmaster also leaves a System V segment (its lock against double starts), which outlives the
    /// process and is limited in number. The next start would remove it; without one, we do.
    fn remove_stale_shared_memory(&self) {
        let text = fs::read_to_string(self.lock_file()).unwrap_or_default();
        let Some(id) = text.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) else {
            return;
        };
        // Best effort while dropping: a segment that stays harms nobody.
        let _ = Command::new("ipcrm").args(["-m", id]).output();
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Immediate shutdown, which cleans up behind itself; the files are thrown away.
            process.signal(Signal::QUIT);
            if !process.wait_blocking(Duration::from_secs(10)) {
                process.kill_tree_9();
            }
        }
        self.remove_stale_shared_memory();
    }
}

/// The server's own word for its state is the eighth line of its lock file; `pg_ctl` reads the same.
async fn wait_until_ready(process: &mut ChildProcess, lock_file: &Path) -> Result<(), ServerError> {
    let deadline = Instant::now() + Duration::from_secs(READY_SECONDS_MAX);
    let id = process.id().to_string();
    while Instant::now() < deadline {
        if !process.is_running() {
            return Err(ServerError::Failed {
                program: PROGRAM,
                output: last_words(process.log()),
            });
        }
        let text = fs::read_to_string(lock_file).unwrap_or_default();
        let mut lines = text.lines();
        if lines.next() == Some(id.as_str()) && lines.nth(6).is_some_and(|state| state.starts_with("ready")) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    let output = last_words(process.log());
    Err(ServerError::NotReady {
        program: PROGRAM,
        seconds: READY_SECONDS_MAX,
        output,
    })
}

/// Whom servers run as that refuse to run as root.
#[derive(Debug, Clone, Copy)]
struct User {
    id: u32,
    group: u32,
}

impl User {
    /// `postgres`, else `nobody`, if we are root; none if we are not, for then we are fit ourselves.
    fn to_run_servers() -> io::Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let found = ["postgres", "nobody"].iter().find_map(|name| Self::parse(&users, name));
        found
            .map(Some)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no user postgres or nobody"))
    }

    fn parse(users: &str, name: &str) -> Option<Self> {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some(Self {
            id: fields.next()?.parse().ok()?,
            group: fields.next()?.parse().ok()?,
        })
    }

    fn apply(user: Option<Self>, command: &mut Command) {
        if let Some(user) = user {
            command.uid(user.id).gid(user.group);
        }
    }

    fn give(user: Option<Self>, path: &Path) -> io::Result<()> {
        match user {
            Some(user) => chown(path, Some(user.id), Some(user.group)),
            None => Ok(()),
        }
    }
}

fn private_directory(user: Option<User>) -> Result<TempDir, ServerError> {
    let made = tempfile::Builder::new().prefix("assent-postgres-").tempdir();
    let directory = made.map_err(ServerError::io("create a directory for Postgres"))?;
    User::give(user, directory.path()).map_err(ServerError::io("give Postgres its directory"))?;
    Ok(directory)
}

/// A cluster fresh from `initdb`, made once per version and kept under `target`: copying it takes a tenth of the time.
fn template(programs: &Path, user: Option<User>) -> Result<PathBuf, ServerError> {
    let (major, minor) = version_of(&programs.join(PROGRAM)).unwrap_or_default();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository_root().join("target"), PathBuf::from);
    let parent = target.join("tmp");
    let template = parent.join(format!("assent-postgres-template-{major}.{minor}"));
    if template.is_dir() {
        return Ok(template);
    }
    let made = private_directory(user)?;
    let data = made.path().join("data");
    let mut command = Command::new(programs.join("initdb"));
    command.arg("-D").arg(&data).args([
        "-U",
        "postgres",
        "--auth=trust",
        "-E",
        "UTF8",
        "--no-locale",
        "--no-sync",
    ]);
    command.current_dir(made.path());
    User::apply(user, &mut command);
    let output = command.output().map_err(ServerError::io("run initdb"))?;
    if !output.status.success() {
        let output = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(ServerError::Failed {
            program: "initdb",
            output,
        });
    }
    publish_template(&data, &parent, &template).map_err(ServerError::io("keep the cluster's template"))?;
    Ok(template)
}

/// Renamed into place when complete. Two processes may race: the first wins, and both templates were the same.
fn publish_template(data: &Path, parent: &Path, template: &Path) -> io::Result<()> {
    fs::create_dir_all(parent)?;
    let partial = tempfile::Builder::new()
        .prefix("assent-postgres-partial-")
        .tempdir_in(parent)?;
    let complete = partial.path().join("data");
    copy_tree(data, &complete, None)?;
    match fs::rename(&complete, template) {
        Err(error) if !template.is_dir() => Err(error),
        _ => Ok(()),
    }
}

/// Copies directories (as private ones, which Postgres insists on) and files; a cluster has nothing else.
fn copy_tree(from: &Path, to: &Path, owner: Option<User>) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    User::give(owner, to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target, owner)?;
        } else {
            fs::copy(entry.path(), &target)?;
            User::give(owner, &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{PostgresServer, User};
    use crate::processes::running;
    use crate::servers::{Server, require};
    use sqlx::{Connection, PgConnection};

    async fn text(url: &str, query: &'static str) -> String {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
    }

    async fn execute(url: &str, statement: &'static str) {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }

    #[tokio::test]
    async fn a_killed_postgres_comes_back_on_its_port_with_what_was_committed() {
        if !require(&[Server::Postgres]) {
            return;
        }
        let mut server = PostgresServer::start().await.unwrap();
        let url = server.create_database("a \"quoted\" name").await;
        assert!(url.is_ok());
        let url = server.create_database("kept").await.unwrap();
        execute(&url, "CREATE TABLE notes AS SELECT 'committed' AS note").await;
        let tree = server.process().unwrap().tree();
        assert!(tree.len() >= 4, "a postmaster has helpers: {tree:?}");

        server.kill_9();
        assert_eq!(tree.iter().filter(|id| running(**id)).count(), 0);
        assert!(PgConnection::connect(&url).await.is_err());
        assert!(
            server.data_dir().join("postmaster.pid").exists(),
            "a killed postmaster cannot clean up"
        );

        server.start_again().await.unwrap();
        assert_eq!(text(&url, "SELECT note FROM notes").await, "committed");

        server.stop().await.unwrap();
        assert!(!server.data_dir().join("postmaster.pid").exists());
        server.start_again().await.unwrap();
        assert_eq!(text(&url, "SELECT note FROM notes").await, "committed");
    }

    #[tokio::test]
    async fn postgres_runs_with_durability_on_unless_a_test_turns_it_off() {
        if !require(&[Server::Postgres]) {
            return;
        }
        let server = PostgresServer::start().await.unwrap();
        let url = server.url("postgres");
        assert_eq!(text(&url, "SHOW fsync").await, "on");
        assert_eq!(text(&url, "SHOW synchronous_commit").await, "on");
        drop(server);

        let server = PostgresServer::start_with(&[("fsync", "off")]).await.unwrap();
        assert_eq!(text(&server.url("postgres"), "SHOW fsync").await, "off");
    }

    #[tokio::test]
    async fn dropping_a_server_leaves_neither_process_nor_files() {
        if !require(&[Server::Postgres]) {
            return;
        }
        for killed in [false, true] {
            let mut server = PostgresServer::start().await.unwrap();
            let tree = server.process().unwrap().tree();
            let data = server.data_dir();
            if killed {
                server.kill_9();
            }
            drop(server);
            assert_eq!(tree.iter().filter(|id| running(**id)).count(), 0);
            assert!(!data.exists());
        }
    }

    #[tokio::test]
    async fn a_refused_setting_is_reported_in_the_servers_own_words() {
        if !require(&[Server::Postgres]) {
            return;
        }
        let error = PostgresServer::start_with(&[("no_such_setting", "1")])
            .await
            .unwrap_err();
        assert!(error.to_string().contains("no_such_setting"), "{error}");
    }

    #[tokio::test]
    async fn the_cpu_time_of_the_tree_counts_backends_that_have_ended() {
        if !require(&[Server::Postgres]) {
            return;
        }
        let server = PostgresServer::start().await.unwrap();
        let before = server.process().unwrap().tree_cpu_time().unwrap();
        text(
            &server.url("postgres"),
            "SELECT sum(n::float8)::text FROM generate_series(1, 1000000) AS n",
        )
        .await;
        // The backend ends with its connection; its time is then found at the postmaster.
        let spent = || {
            server
                .process()
                .unwrap()
                .tree_cpu_time()
                .unwrap()
                .saturating_sub(before)
        };
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while spent().as_millis() < 50 && std::time::Instant::now() < deadline {
            tokio::time::sleep(super::POLL).await;
        }
        assert!(spent().as_millis() >= 50, "{:?}", spent());
        assert!(server.process().unwrap().tree_memory_bytes() > 1 << 20);
    }

    #[test]
    fn users_are_read_from_the_password_file() {
        let users = "root:x:0:0:root:/root:/bin/bash\npostgres:x:105:113:admin,,,:/var/lib/postgresql:/bin/bash\n";
        let user = User::parse(users, "postgres").unwrap();
        assert_eq!((user.id, user.group), (105, 113));
        assert!(User::parse(users, "post").is_none());
    }
}

//! Child processes that tests kill, stop and measure. Linux only: figures come from `/proc`.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(2);
const LAST_WORDS_BYTES_MAX: usize = 2_000;
/// How long the kernel may take to end processes that were sent SIGKILL; one that hangs in the disk takes a while.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// A child process whose output goes to a file. Killed when dropped.
#[derive(Debug)]
pub struct ChildProcess {
    name: String,
    child: Child,
    log: PathBuf,
    /// Where this process's output begins: the file may hold that of earlier ones.
    log_start: u64,
}

impl ChildProcess {
    /// Starts a command, without standard input, with both outputs appended to `NAME.log` in a directory.
    ///
    /// In suites the program is `env!("CARGO_BIN_EXE_…")`; for this very program in another role see
    /// [`spawn_self`](Self::spawn_self).
    pub fn spawn(name: &str, mut command: Command, log_directory: &Path) -> io::Result<Self> {
        let log = log_directory.join(format!("{name}.log"));
        let output = OpenOptions::new().create(true).append(true).open(&log)?;
        let log_start = output.metadata()?.len();
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn()?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
            log_start,
        })
    }

    /// Starts this program again, with other arguments: how a runner makes workers of itself.
    pub fn spawn_self(name: &str, arguments: &[&str], log_directory: &Path) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        Self::spawn(name, command, log_directory)
    }

    /// What the caller named it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file with its output.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What it has printed so far.
    pub fn output(&self) -> io::Result<String> {
        let mut file = fs::File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.log_start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it has printed a line that contains `text`, and returns that line.
    ///
    /// Fails with the end of its output when it ends before (`UnexpectedEof`) or takes too long (`TimedOut`).
    pub async fn wait_ready(&mut self, text: &str, timeout: Duration) -> io::Result<String> {
        let deadline = Instant::now() + timeout;
        loop {
            // Asked before the output is read: what it printed last is then seen.
            let running = self.is_running();
            let output = self.output()?;
            if let Some(line) = complete_lines(&output).find(|line| line.contains(text)) {
                return Ok(line.to_owned());
            }
            if !running {
                return Err(self.failure(io::ErrorKind::UnexpectedEof, "ended before it was ready", &output));
            }
            if Instant::now() >= deadline {
                return Err(self.failure(io::ErrorKind::TimedOut, "was not ready in time", &output));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until it has ended by itself or by a signal; `TimedOut` if it has not.
    pub async fn wait(&mut self, timeout: Duration) -> io::Result<ExitStatus> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                let output = self.output().unwrap_or_default();
                return Err(self.failure(io::ErrorKind::TimedOut, "did not end in time", &output));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The same where nothing can be awaited, as in `drop`; whether it has ended.
    pub(crate) fn wait_blocking(&mut self, timeout: Duration) -> bool {
        until(timeout, || !self.is_running())
    }

    /// SIGKILL, and waits until it is gone. Its own children live on; see [`kill_tree_9`](Self::kill_tree_9).
    pub fn kill_9(&mut self) {
        // Both fail only if it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGKILL to it and all its descendants, and waits until they are gone.
    pub fn kill_tree_9(&mut self) {
        // Stopped first, so that it starts no further children while they are listed.
        self.signal(Signal::STOP);
        let tree = self.tree();
        for id in &tree {
            id.signal(Signal::KILL);
        }
        self.kill_9();
        until(KILL_TIMEOUT, || !tree.iter().any(|id| running(*id)));
    }

    /// SIGSTOP to it and all its descendants: they are there, hold their connections, and do nothing.
    pub fn freeze_tree(&mut self) {
        // It first, so that it starts no further children while they are listed.
        self.signal(Signal::STOP);
        for id in self.tree() {
            id.signal(Signal::STOP);
        }
    }

    /// SIGCONT to it and all its descendants.
    pub fn thaw_tree(&mut self) {
        for id in self.tree() {
            id.signal(Signal::CONT);
        }
    }

    /// SIGTERM: asks it to drain and end. Does not wait; see [`wait`](Self::wait).
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal, unless it has ended (its number might be another's by now).
    pub fn signal(&mut self, signal: Signal) {
        if self.is_running()
            && let Some(id) = pid(self.id())
        {
            // It may end at this very moment.
            let _ = kill_process(id, signal);
        }
    }

    /// CPU time of all its threads so far, user and system, to 10 ms; none once it has been waited for.
    pub fn cpu_time(&self) -> Option<Duration> {
        Some(Stat::read(self.id())?.own_cpu_time())
    }

    /// CPU time of it and all its descendants, including those that have ended: what a Postgres cluster has used.
    pub fn tree_cpu_time(&self) -> Option<Duration> {
        Stat::read(self.id())?;
        Some(
            self.tree()
                .iter()
                .filter_map(|id| Stat::read(id.number))
                .map(|stat| stat.cpu_time_with_ended())
                .sum(),
        )
    }

    /// Resident memory in bytes; 0 once it has ended.
    pub fn rss_bytes(&self) -> u64 {
        memory_field(&format!("/proc/{}/status", self.id()), "VmRSS:")
    }

    /// Memory of it and its descendants in bytes, pages that several of them share counted once.
    pub fn tree_memory_bytes(&self) -> u64 {
        self.tree()
            .iter()
            .map(|id| memory_field(&format!("/proc/{}/smaps_rollup", id.number), "Pss:"))
            .sum()
    }

    /// It and its descendants, it first.
    pub fn tree(&self) -> Vec<ProcessId> {
        let all: Vec<Stat> = all_processes();
        let mut tree: Vec<ProcessId> = all
            .iter()
            .map(|stat| stat.id)
            .filter(|id| id.number == self.id())
            .take(1)
            .collect();
        let mut visited = 0;
        while let Some(parent) = tree.get(visited).copied() {
            tree.extend(
                all.iter()
                    .filter(|stat| stat.parent == parent.number)
                    .map(|stat| stat.id),
            );
            visited += 1;
        }
        tree
    }

    fn failure(&self, kind: io::ErrorKind, what: &str, output: &str) -> io::Error {
        let mut start = output.len().saturating_sub(LAST_WORDS_BYTES_MAX);
        while !output.is_char_boundary(start) {
            start += 1;
        }
        io::Error::new(
            kind,
            format!("{} {what}; its last words:\n{}", self.name, &output[start..]),
        )
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.kill_9();
    }
}

/// CPU time of this very process so far, to 10 ms.
pub fn own_cpu_time() -> Duration {
    Stat::read(std::process::id()).map_or(Duration::ZERO, |stat| stat.own_cpu_time())
}

/// A process, told apart from a later one with the same number by when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessId {
    number: u32,
    started_ticks: u64,
}

impl ProcessId {
    fn signal(self, signal: Signal) {
        if let Some(id) = pid(self.number).filter(|_| running(self)) {
            // It may end at this very moment.
            let _ = kill_process(id, signal);
        }
    }
}

/// Whether a process has not ended. One that nobody has waited for yet (a zombie) has ended.
pub fn running(id: ProcessId) -> bool {
    Stat::read(id.number).is_some_and(|stat| stat.id == id && !stat.ended)
}

fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

fn until(timeout: Duration, done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    let mut done = done;
    while !done() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(POLL);
    }
    true
}

/// The lines that are finished: a reader may see half of what is being written.
fn complete_lines(output: &str) -> impl Iterator<Item = &str> {
    output.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'))
}

/// The fields of `/proc/PID/stat` that are used here, see proc(5). Times are in clock ticks.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    id: ProcessId,
    parent: u32,
    ended: bool,
    own_ticks: u64,
    ended_children_ticks: u64,
}

impl Stat {
    fn read(number: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{number}/stat")).ok()?)
    }

    /// The second field is the program's name in parentheses, which may itself contain spaces and parentheses.
    fn parse(text: &str) -> Option<Self> {
        let (number, _) = text.split_once(' ')?;
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        Some(Self {
            id: ProcessId {
                number: number.parse().ok()?,
                started_ticks: ticks(19)?,
            },
            parent: fields.get(1)?.parse().ok()?,
            ended: matches!(*fields.first()?, "Z" | "X"),
            own_ticks: ticks(11)? + ticks(12)?,
            ended_children_ticks: ticks(13)? + ticks(14)?,
        })
    }

    fn own_cpu_time(&self) -> Duration {
        from_ticks(self.own_ticks)
    }

    fn cpu_time_with_ended(&self) -> Duration {
        from_ticks(self.own_ticks + self.ended_children_ticks)
    }
}

fn from_ticks(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn all_processes() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Stat::read)
        .collect()
}

/// A field such as `VmRSS:   1234 kB`, in bytes; 0 if it cannot be read.
fn memory_field(file: &str, field: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    value
        .and_then(|value| value.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

#[cfg(test)]
mod tests {
    use super::{ChildProcess, ProcessId, Stat, running};
    use std::io::ErrorKind;
    use std::process::Command;
    use std::time::{Duration, Instant};

    const PATIENCE: Duration = Duration::from_secs(20);

    fn shell(script: &str, directory: &tempfile::TempDir) -> ChildProcess {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        ChildProcess::spawn("shell", command, directory.path()).unwrap()
    }

    #[tokio::test]
    async fn the_ready_line_is_returned_whole() {
        let directory = tempfile::tempdir().unwrap();
        let mut child = shell("echo starting; echo 'ready port=1234'; exec sleep 1000", &directory);
        assert_eq!(child.wait_ready("ready", PATIENCE).await.unwrap(), "ready port=1234");
        assert!(child.output().unwrap().starts_with("starting\n"));
    }

    #[tokio::test]
    async fn the_ready_line_of_an_earlier_process_does_not_count() {
        let directory = tempfile::tempdir().unwrap();
        shell("echo ready", &directory)
            .wait_ready("ready", PATIENCE)
            .await
            .unwrap();
        let mut second = shell("echo not yet; exec sleep 1000", &directory);
        let error = second
            .wait_ready("ready", Duration::from_millis(100))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_process_that_ends_before_it_is_ready_is_reported_with_its_last_words() {
        let directory = tempfile::tempdir().unwrap();
        let error = shell("echo no database >&2; exit 64", &directory)
            .wait_ready("ready", PATIENCE)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains("no database"), "{error}");
    }

    #[tokio::test]
    async fn terminate_lets_a_process_end_its_own_way_and_kill_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let script = "trap 'echo drained; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
        let mut child = shell(script, &directory);
        child.wait_ready("ready", PATIENCE).await.unwrap();
        child.terminate();
        assert_eq!(child.wait(PATIENCE).await.unwrap().code(), Some(3));
        assert!(child.output().unwrap().contains("drained"));

        let mut child = shell(script, &directory);
        child.wait_ready("ready", PATIENCE).await.unwrap();
        child.kill_9();
        assert!(!child.is_running());
        assert!(!child.output().unwrap().contains("drained"));
    }

    #[tokio::test]
    async fn killing_a_tree_ends_grandchildren_too() {
        let directory = tempfile::tempdir().unwrap();
        let mut child = shell(
            "(sleep 1000 & sleep 1000 & wait) & sleep 1000 & echo ready; wait",
            &directory,
        );
        child.wait_ready("ready", PATIENCE).await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while child.tree().len() < 5 && Instant::now() < deadline {
            tokio::time::sleep(super::POLL).await;
        }
        let tree = child.tree();
        assert_eq!(tree.len(), 5);
        child.kill_tree_9();
        assert!(tree.iter().all(|id| !running(*id)));
    }

    #[tokio::test]
    async fn a_dropped_process_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let child = shell("exec sleep 1000", &directory);
        let tree = child.tree();
        assert_eq!(tree.len(), 1);
        drop(child);
        assert!(!running(tree[0]));
    }

    #[tokio::test]
    async fn cpu_time_is_that_of_the_process_and_memory_is_not_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let idle = shell("exec sleep 1000", &directory);
        let busy = shell("while :; do :; done", &directory);
        let deadline = Instant::now() + PATIENCE;
        while busy.cpu_time().unwrap() < Duration::from_millis(200) && Instant::now() < deadline {
            tokio::time::sleep(super::POLL).await;
        }
        assert!(busy.cpu_time().unwrap() >= Duration::from_millis(200));
        assert!(idle.cpu_time().unwrap() < Duration::from_millis(200));
        assert!(busy.rss_bytes() > 100_000, "{}", busy.rss_bytes());
    }

    #[test]
    fn a_program_name_with_spaces_and_parentheses_does_not_confuse_the_parser() {
        let text = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 30 4 20 0 1 0 987 1 2";
        let expected = Stat {
            id: ProcessId {
                number: 42,
                started_ticks: 987,
            },
            parent: 7,
            ended: false,
            own_ticks: 120,
            ended_children_ticks: 34,
        };
        assert_eq!(Stat::parse(text), Some(expected));
    }
}

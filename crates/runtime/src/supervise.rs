//! Supervised tasks: each has a name, and one that fails is restarted or stops the process, never silently gone.

use crate::shutdown::{Shutdown, StopReason};
use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::{JoinError, JoinHandle},
    time::Instant,
};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// Most tasks a process supervises at a time.
pub const TASKS_MAX: usize = 512;

/// How long dropped tasks may take to unwind.
const ABORT_WAIT: Duration = Duration::from_secs(5);

/// The target of the span that each task runs in.
pub(crate) const SPAN_TARGET: &str = "assent_runtime::task";

/// How a supervised task ends.
pub type TaskResult = Result<(), Box<dyn Error + Send + Sync>>;

/// What to do when a task fails or panics before the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Stop the process.
    Never,
    /// Start the task again after a pause, and stop the process when that does not help.
    After(Backoff),
}

/// The pauses between restarts: doubling, up to a longest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// Restarts in a row after which the process is stopped instead.
    pub restarts_max: u32,
    /// A task that ran this long is taken to have recovered; its restarts are counted anew.
    pub recovered_after: Duration,
}

impl Default for Backoff {
    /// From 100 ms to 10 s, twelve times: gives up after about a minute and a half of failing.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(10),
            restarts_max: 12,
            recovered_after: Duration::from_mins(1),
        }
    }
}

impl Backoff {
    fn pause(&self, restarts: u32) -> Duration {
        self.first.saturating_mul(1_u32 << restarts.min(16)).min(self.longest)
    }
}

/// Starts tasks and waits for them. Clones supervise the same tasks.
#[derive(Clone)]
pub struct Supervisor {
    shutdown: Shutdown,
    tracker: TaskTracker,
    running: Arc<Mutex<BTreeMap<u64, &'static str>>>,
    next_id: Arc<AtomicU64>,
}

impl Supervisor {
    /// A supervisor without tasks, which begins the shutdown when one of them cannot go on.
    pub fn new(shutdown: Shutdown) -> Self {
        Self {
            shutdown,
            tracker: TaskTracker::new(),
            running: Arc::default(),
            next_id: Arc::default(),
        }
    }

    /// The switch the tasks watch.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Starts a task that runs until the soft shutdown. `start` is called again for each restart.
    pub fn spawn<S, F>(&self, name: &'static str, restart: Restart, start: S)
    where
        S: FnMut() -> F + Send + 'static,
        F: Future<Output = TaskResult> + Send + 'static,
    {
        self.track(name, restart, false, start);
    }

    /// Starts a task that may end by itself; its failure still counts.
    pub fn spawn_finite<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = TaskResult> + Send + 'static,
    {
        let mut task = Some(task);
        let start = move || {
            let task = task.take();
            async move {
                match task {
                    Some(task) => task.await,
                    None => Err("a finite task was started twice".into()),
                }
            }
        };
        self.track(name, Restart::Never, true, start);
    }

    fn track<S, F>(&self, name: &'static str, restart: Restart, finite: bool, start: S)
    where
        S: FnMut() -> F + Send + 'static,
        F: Future<Output = TaskResult> + Send + 'static,
    {
        let entry = {
            let mut running = self.running.lock().expect("nothing panics while it holds this lock");
            if running.len() >= TASKS_MAX {
                self.shutdown.begin(StopReason::TooManyTasks { limit: TASKS_MAX });
                return;
            }
            let id = self.next_id.fetch_add(1, Ordering::Relaxed);
            running.insert(id, name);
            Entry {
                id,
                running: Arc::clone(&self.running),
            }
        };
        let shutdown = self.shutdown.clone();
        self.tracker.spawn(async move {
            let _entry = entry;
            supervise(&shutdown, name, restart, finite, start).await;
        });
    }

    /// Names of the tasks that run now.
    pub fn running(&self) -> Vec<&'static str> {
        let running = self.running.lock().expect("nothing panics while it holds this lock");
        running.values().copied().collect()
    }

    /// Waits for the shutdown and then for every task, dropping those that outlive the grace.
    ///
    /// Errors: the reason, when the process ends because something failed.
    pub async fn join(self) -> Result<(), StopReason> {
        self.shutdown.soft().cancelled().await;
        self.tracker.close();
        tokio::select! {
            () = self.tracker.wait() => {}
            () = self.shutdown.hard().cancelled() => {
                tracing::warn!(tasks = ?self.running(), "dropping tasks that did not end in time");
                if tokio::time::timeout(ABORT_WAIT, self.tracker.wait()).await.is_err() {
                    tracing::error!(tasks = ?self.running(), "tasks block their thread and cannot be dropped");
                }
            }
        }
        match self.shutdown.reason() {
            Some(reason) if reason.is_failure() => Err(reason.clone()),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Supervisor")
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}

/// Takes the task off the list when it ends, however it ends.
struct Entry {
    id: u64,
    running: Arc<Mutex<BTreeMap<u64, &'static str>>>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Ok(mut running) = self.running.lock() {
            running.remove(&self.id);
        }
    }
}

/// Aborts the task it stands for when it is dropped.
struct AbortOnDrop(JoinHandle<TaskResult>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn supervise<S, F>(shutdown: &Shutdown, name: &'static str, restart: Restart, finite: bool, mut start: S)
where
    S: FnMut() -> F + Send + 'static,
    F: Future<Output = TaskResult> + Send + 'static,
{
    let failures = metrics::counter!("assent_runtime_task_failures_total", "task" => name);
    let mut restarts = 0;
    loop {
        let started = Instant::now();
        // A task of its own, so that a panic ends there.
        let span = tracing::info_span!(target: SPAN_TARGET, parent: None, "task", name);
        let mut task = AbortOnDrop(tokio::spawn(start().instrument(span)));
        let joined = tokio::select! {
            joined = &mut task.0 => joined,
            () = shutdown.hard().cancelled() => return,
        };
        let stopping = shutdown.soft().is_cancelled();
        let error = match joined {
            Ok(Ok(())) if stopping || finite => return,
            Ok(Ok(())) => return shutdown.begin(StopReason::TaskEnded { task: name }),
            Ok(Err(error)) => chain(error.as_ref()),
            Err(error) => panic_text(error),
        };
        failures.increment(1);
        if stopping {
            tracing::warn!(task = name, error, "task failed while shutting down");
            return;
        }
        let Restart::After(backoff) = restart else {
            return shutdown.begin(StopReason::TaskFailed { task: name, error });
        };
        if started.elapsed() >= backoff.recovered_after {
            restarts = 0;
        }
        if restarts >= backoff.restarts_max {
            return shutdown.begin(StopReason::TaskFailed { task: name, error });
        }
        let pause = backoff.pause(restarts);
        restarts += 1;
        tracing::warn!(
            task = name,
            error,
            restarts,
            pause_ms = pause.as_millis() as u64,
            "task failed; restarting it"
        );
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.soft().cancelled() => return,
        }
    }
}

/// An error with its sources, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn panic_text(error: JoinError) -> String {
    let Ok(payload) = error.try_into_panic() else {
        return "was aborted".to_owned();
    };
    let text = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned());
    format!("panicked: {}", text.as_deref().unwrap_or("without a message"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    fn quick() -> Restart {
        Restart::After(Backoff {
            restarts_max: 3,
            ..Backoff::default()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_panicking_task_is_restarted_until_it_works() {
        let shutdown = Shutdown::new();
        let supervisor = Supervisor::new(shutdown.clone());
        let starts = Arc::new(AtomicU32::new(0));
        let (counted, stop) = (Arc::clone(&starts), shutdown.clone());
        supervisor.spawn("flaky", quick(), move || {
            let (starts, shutdown) = (Arc::clone(&counted), stop.clone());
            async move {
                let start = starts.fetch_add(1, Ordering::SeqCst);
                assert!(start >= 2, "not yet");
                shutdown.begin(StopReason::Requested("worked".into()));
                Ok(())
            }
        });
        assert_eq!(supervisor.join().await, Ok(()));
        assert_eq!(starts.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_keeps_failing_stops_the_process_with_its_reason() {
        let supervisor = Supervisor::new(Shutdown::new());
        supervisor.spawn("hopeless", quick(), || async { Err("no database".into()) });
        let reason = supervisor.join().await.unwrap_err();
        assert_eq!(
            reason,
            StopReason::TaskFailed {
                task: "hopeless",
                error: "no database".into()
            }
        );
    }

    #[tokio::test]
    async fn a_panic_in_a_task_that_may_not_restart_stops_the_process() {
        let supervisor = Supervisor::new(Shutdown::new());
        supervisor.spawn("vital", Restart::Never, || async { panic!("broken invariant") });
        let reason = supervisor.join().await.unwrap_err().to_string();
        assert_eq!(reason, "task vital failed: panicked: broken invariant");
    }

    #[tokio::test]
    async fn a_task_that_ends_unasked_stops_the_process() {
        let supervisor = Supervisor::new(Shutdown::new());
        supervisor.spawn("reader", Restart::Never, || async { Ok(()) });
        assert_eq!(supervisor.join().await, Err(StopReason::TaskEnded { task: "reader" }));
    }

    #[tokio::test]
    async fn a_finite_task_may_end_and_the_others_go_on() {
        let shutdown = Shutdown::new();
        let supervisor = Supervisor::new(shutdown.clone());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        supervisor.spawn_finite("migration", async move {
            sender.send(()).map_err(|()| "nobody waits".into())
        });
        let soft = shutdown.soft().clone();
        supervisor.spawn("reader", Restart::Never, move || {
            let soft = soft.clone();
            async move {
                soft.cancelled().await;
                Ok(())
            }
        });
        receiver.await.unwrap();
        assert!(shutdown.reason().is_none());
        shutdown.begin(StopReason::Signal("SIGTERM"));
        assert_eq!(supervisor.join().await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn work_in_hand_is_finished_within_the_grace_and_dropped_after_it() {
        let shutdown = Shutdown::new();
        shutdown.listen(Duration::from_secs(20)).unwrap();
        let supervisor = Supervisor::new(shutdown.clone());
        let finished = Arc::new(AtomicU32::new(0));
        for (name, seconds) in [("brief", 5), ("endless", 5_000)] {
            let finished = Arc::clone(&finished);
            supervisor.spawn(name, Restart::Never, move || {
                let finished = Arc::clone(&finished);
                async move {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    finished.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                }
            });
        }
        assert_eq!(supervisor.running(), ["brief", "endless"]);
        shutdown.begin(StopReason::Signal("SIGTERM"));
        let watched = supervisor.clone();
        assert_eq!(supervisor.join().await, Ok(()));
        assert_eq!(finished.load(Ordering::SeqCst), 1);
        assert!(watched.running().is_empty());
    }

    #[tokio::test]
    async fn the_number_of_tasks_is_bounded() {
        let shutdown = Shutdown::new();
        let supervisor = Supervisor::new(shutdown.clone());
        for _ in 0..=TASKS_MAX {
            supervisor.spawn_finite("many", std::future::pending());
        }
        assert_eq!(shutdown.reason(), Some(&StopReason::TooManyTasks { limit: TASKS_MAX }));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff::default();
        let pauses: Vec<u128> = [0, 1, 2, 20]
            .map(|restarts| backoff.pause(restarts).as_millis())
            .to_vec();
        assert_eq!(pauses, [100, 200, 400, 10_000]);
    }
}

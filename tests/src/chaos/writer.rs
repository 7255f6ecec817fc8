//! A process that appends.

use std::{collections::HashMap, future::Future, path::PathBuf, sync::Arc, time::Duration};

use assent_event_store::{Append, AppendError, Appended, EventStore, Expected, NewEvent, StreamId};
use assent_sealed::KeyId;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    DatabaseAt,
    history::{HistoryFile, Line, Outcome, Refusal},
    mark::{AppendName, Mark},
    role::{READY, SHARD, say},
};

/// Streams that all writers fight over.
const HOT_STREAMS: u128 = 8;
/// Most events in one write.
const WRITE_EVENTS_MAX: usize = 4;
/// A dropped append is dropped within this time: before, while and after its flush runs.
const DROP_WITHIN: Duration = Duration::from_millis(20);
/// Far beyond any version a stream reaches while an append is under way.
const NO_SUCH_VERSION: u32 = 1 << 30;

/// What a writing process does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WriterJob {
    /// The log.
    pub database: DatabaseAt,
    /// Where the history goes, as `NAME.history`.
    pub directory: PathBuf,
    /// The process's name; no two processes of a run have the same.
    pub name: String,
    /// Determines what is appended.
    pub seed: u64,
    /// Writers in the process.
    pub writers: u32,
    /// Appends that each writer has under way at once.
    pub lanes: u32,
    /// Of a hundred appends, how many are abandoned.
    pub drops_percent: u32,
}

/// Appends until `stop` completes, then settles what is under way.
pub(super) async fn run(job: WriterJob, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let store = job.database.open().await?;
    let history = Arc::new(HistoryFile::create(&job.directory, &job.name)?);
    let stopping = CancellationToken::new();
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..job.writers * job.lanes {
        let mut lane = Lane {
            name: format!("{}.{}.{}", job.name, lane / job.lanes, lane % job.lanes),
            number: 0,
            random: StdRng::seed_from_u64(job.seed ^ (u64::from(lane) << 32)),
            own: None,
            hot: HashMap::new(),
            drops_percent: job.drops_percent,
        };
        let (store, history, stopping) = (store.clone(), history.clone(), stopping.clone());
        lanes.spawn(async move {
            while !stopping.is_cancelled() {
                lane.append(&store, &history).await?;
            }
            anyhow::Ok(())
        });
    }
    say(READY);
    tokio::select! {
        () = stop => {}
        // A lane only ends by failing before it is asked to.
        ended = lanes.join_next() => if let Some(ended) = ended { ended?? },
    }
    stopping.cancel();
    while let Some(ended) = lanes.join_next().await {
        ended??;
    }
    store.close().await;
    Ok(())
}

/// One append after the other.
struct Lane {
    name: String,
    number: u64,
    random: StdRng,
    /// A stream that nobody else writes, and its version.
    own: Option<(StreamId, u32)>,
    /// The last known versions of the hot streams.
    hot: HashMap<StreamId, u32>,
    drops_percent: u32,
}

/// An append as the lane wants it.
#[derive(Default)]
struct Wanted {
    writes: Vec<(StreamId, Expected)>,
    guards: Vec<(StreamId, u32)>,
    key: Option<KeyId>,
    /// Whether nothing that anybody else does may stop it.
    certain: bool,
}

impl Wanted {
    fn write(mut self, stream: StreamId, expected: Expected) -> Self {
        self.writes.push((stream, expected));
        self
    }

    fn certain(mut self) -> Self {
        self.certain = true;
        self
    }
}

impl Lane {
    async fn append(&mut self, store: &EventStore, history: &HistoryFile) -> anyhow::Result<()> {
        let wanted = self.choose();
        let name = AppendName {
            lane: self.name.clone(),
            number: self.number,
        };
        self.number += 1;
        let (append, ids) = self.build(&wanted, &name);
        let dropped_after = self
            .random
            .random_ratio(self.drops_percent, 100)
            .then(|| self.random.random_range(Duration::ZERO..DROP_WITHIN));
        let appending = store.append(SHARD, append);
        let answer = match dropped_after {
            Some(after) => tokio::time::timeout(after, appending).await.ok(),
            None => Some(appending.await),
        };
        let outcome = match answer {
            None => Outcome::Dropped,
            Some(Ok(appended)) => acknowledged(&wanted, &appended, ids),
            Some(Err(error)) => {
                if let AppendError::Conflict { stream, actual } = &error
                    && stream.category == "hot"
                {
                    self.hot.insert(stream.clone(), *actual);
                }
                refused(&wanted, &error)
            }
        };
        self.learn(&wanted, &outcome);
        history.write(&Line { append: name, outcome })?;
        Ok(())
    }

    /// Decides what to append next.
    fn choose(&mut self) -> Wanted {
        let hot = StreamId::new("hot", Uuid::from_u128(self.random.random_range(1..=HOT_STREAMS)));
        let hot_version = self.hot.get(&hot).copied().unwrap_or(0);
        let fresh = StreamId::new("fresh", Uuid::from_u128(self.random.random()));
        let (own, own_expected) = match &self.own {
            Some((stream, version)) => (stream.clone(), Expected::Exact(*version)),
            None => (
                StreamId::new("own", Uuid::from_u128(self.random.random())),
                Expected::NoStream,
            ),
        };
        let wanted = Wanted::default();
        match self.random.random_range(0..100) {
            0..25 => wanted.write(fresh, Expected::NoStream).certain(),
            25..50 => wanted.write(hot, Expected::Any).certain(),
            50..65 => wanted.write(own, own_expected).certain(),
            // Somebody else has mostly been quicker.
            65..75 => wanted.write(hot, Expected::Exact(hot_version)),
            75..80 => wanted
                .write(own, own_expected)
                .write(hot, Expected::Exact(NO_SUCH_VERSION)),
            80..90 => wanted
                .write(hot, Expected::Any)
                .write(fresh, Expected::NoStream)
                .write(own, own_expected)
                .certain(),
            90..96 => {
                let mut wanted = wanted.write(fresh, Expected::NoStream);
                wanted.guards.push((hot, hot_version));
                wanted
            }
            96..98 => {
                let mut wanted = wanted.write(hot, Expected::Any).write(own, own_expected);
                wanted.key = Some(KeyId(Uuid::from_u128(self.random.random())));
                wanted
            }
            // One stream named twice.
            _ => wanted.write(fresh.clone(), Expected::Any).write(fresh, Expected::Any),
        }
    }

    fn build(&mut self, wanted: &Wanted, name: &AppendName) -> (Append, Vec<Uuid>) {
        let counts: Vec<usize> = wanted
            .writes
            .iter()
            .map(|_| self.random.random_range(1..=WRITE_EVENTS_MAX))
            .collect();
        let count = counts.iter().sum::<usize>() as u32;
        let mut append = Append::new();
        let mut ids = Vec::new();
        for ((stream, expected), events) in wanted.writes.iter().zip(counts) {
            let events: Vec<NewEvent> = (0..events)
                .map(|nth| {
                    let index = ids.len() as u32;
                    let mark = Mark {
                        append: name.clone(),
                        index,
                        count,
                        expected: version_of(*expected).filter(|_| nth == 0),
                        guards: match index {
                            0 => guards(wanted),
                            _ => Vec::new(),
                        },
                        filler: "x".repeat(self.random.random_range(0..200)),
                    };
                    let event = mark.to_event();
                    ids.push(event.id);
                    event
                })
                .collect();
            append = append.write(stream.clone(), *expected, events);
        }
        for (stream, version) in &wanted.guards {
            append = append.guard(stream.clone(), Expected::Exact(*version));
        }
        (append.sealed_with(wanted.key), ids)
    }

    fn learn(&mut self, wanted: &Wanted, outcome: &Outcome) {
        match outcome {
            Outcome::Acknowledged { versions, .. } => {
                for ((stream, _), (_, version)) in wanted.writes.iter().zip(versions) {
                    if stream.category == "own" {
                        self.own = Some((stream.clone(), *version));
                    } else if stream.category == "hot" {
                        self.hot.insert(stream.clone(), *version);
                    }
                }
            }
            Outcome::Refused { .. } => {}
            // It may or may not have been written: nothing is known of its streams any more.
            Outcome::Dropped | Outcome::Unknown | Outcome::WronglyRefused { .. } => self.own = None,
        }
    }
}

fn version_of(expected: Expected) -> Option<u32> {
    match expected {
        Expected::Any => None,
        Expected::NoStream => Some(0),
        Expected::Exact(version) => Some(version),
    }
}

fn guards(wanted: &Wanted) -> Vec<(String, u32)> {
    let text = |(stream, version): &(StreamId, u32)| (stream.to_string(), *version);
    wanted.guards.iter().map(text).collect()
}

fn acknowledged(wanted: &Wanted, appended: &Appended, ids: Vec<Uuid>) -> Outcome {
    let streams = wanted.writes.iter().map(|(stream, _)| stream.to_string());
    Outcome::Acknowledged {
        first: appended.first,
        last: appended.last,
        versions: streams.zip(appended.versions.iter().copied()).collect(),
        ids,
    }
}

fn refused(wanted: &Wanted, error: &AppendError) -> Outcome {
    let answer = match error {
        AppendError::OutcomeUnknown { .. } => return Outcome::Unknown,
        AppendError::Conflict { .. } => Some(Refusal::Conflict),
        AppendError::KeysGone { .. } => Some(Refusal::KeysGone),
        AppendError::Invalid(_) => Some(Refusal::Invalid),
        // The run gives no reason for these.
        AppendError::Refused { .. } | AppendError::Closed => None,
    };
    match answer {
        Some(answer) if !wanted.certain => Outcome::Refused { answer },
        _ => Outcome::WronglyRefused {
            answer: error.to_string(),
        },
    }
}

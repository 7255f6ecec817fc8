//! Durable feeds whose processes die, freeze or lose what they had committed.

use std::time::{Duration, Instant};

use assent_event_store::{Batch, EventStore, FeedError, Feeds, JetStream, JetStreamConfig, Relay, Source, Start};
use assent_tests::{
    chaos::{
        DIED_BEFORE_COMMIT, DurableReaderJob, FENCED, HOLDING, Hold, READY, Role, SHARD, create_seen_table, read_seen,
        seen_position,
    },
    processes::ChildProcess,
    servers::{NatsConfig, NatsServer, Server, require},
};
use rustix::process::Signal;
use tokio::task::JoinHandle;

use crate::{PATIENCE, eventually, program, stores::TestStore};

const FEED: &str = "test-durable";
/// A dead reader's lease runs out, and its successor asks for it every second; the rest is for a slow machine.
const TAKE_OVER_MAX: Duration = Duration::from_secs(10);

/// A store, the way its readers follow it, and a table for what they have seen.
struct Ground {
    test: TestStore,
    nats: Option<NatsServer>,
    relay: Option<JoinHandle<()>>,
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Some(relay) = &self.relay {
            relay.abort();
        }
    }
}

impl Ground {
    /// SQLite, followed directly.
    async fn one_process() -> Self {
        let test = TestStore::sqlite().await;
        create_seen_table(&test).await.unwrap();
        Self {
            test,
            nats: None,
            relay: None,
        }
    }

    /// Postgres, followed by way of JetStream.
    async fn services() -> Option<Self> {
        if !require(&[Server::Postgres, Server::Nats]) {
            return None;
        }
        let test = TestStore::postgres().await;
        create_seen_table(&test).await.unwrap();
        let nats = NatsServer::start(NatsConfig::default()).await.unwrap();
        let jetstream = jetstream(&nats).await;
        let relay = Relay::new(&test, &jetstream, SHARD).run();
        Some(Self {
            relay: Some(tokio::spawn(relay)),
            test,
            nats: Some(nats),
        })
    }

    fn job(&self, label: &str) -> DurableReaderJob {
        DurableReaderJob {
            database: self.test.at.clone(),
            nats: self.nats.as_ref().map(NatsServer::url),
            feed: FEED.to_owned(),
            label: label.to_owned(),
            batch_events_max: 10,
            hold: None,
            die_before_commit: false,
        }
    }

    async fn start(&self, job: DurableReaderJob) -> ChildProcess {
        let label = job.label.clone();
        let role = Role::DurableReader(job);
        let mut process = role.spawn(&program(), &label, self.test.directory.path()).unwrap();
        process.wait_ready(READY, PATIENCE).await.unwrap();
        process
    }

    /// A reader that waits in its first batch, and the file that lets it go on.
    fn holding(&self, label: &str) -> (DurableReaderJob, std::path::PathBuf) {
        let until = self.test.directory.path().join(format!("{label}.go"));
        let mut job = self.job(label);
        job.hold = Some(Hold {
            // SQLite has one writer: a transaction that is left open there would hold up the successor itself.
            in_transaction: self.nats.is_some(),
            until: until.clone(),
        });
        (job, until)
    }

    async fn all_seen(&self) {
        let head = self.test.head(SHARD).await.unwrap();
        eventually("every event was seen", async || {
            seen_position(&self.test).await.unwrap() >= head
        })
        .await;
    }

    /// Every event's effect is there once, in order; the labels of who had it.
    async fn assert_seen_once(&self) -> Vec<String> {
        let head = self.test.head(SHARD).await.unwrap();
        let seen = read_seen(&self.test).await.unwrap();
        let positions: Vec<u64> = seen.iter().map(|(sighting, _)| sighting.position).collect();
        assert_eq!(positions, (1..=head).collect::<Vec<u64>>());
        seen.into_iter().map(|(_, reader)| reader).collect()
    }
}

async fn jetstream(nats: &NatsServer) -> JetStream {
    let client = async_nats::connect(nats.url()).await.unwrap();
    JetStream::new(client, JetStreamConfig::default())
}

#[tokio::test]
async fn a_reader_that_dies_before_its_commit_leaves_no_effect_and_no_checkpoint() {
    dies_before_commit(Ground::one_process().await).await;
    if let Some(ground) = Ground::services().await {
        dies_before_commit(ground).await;
    }
}

async fn dies_before_commit(ground: Ground) {
    ground.test.put(25).await;
    let mut job = ground.job("dying");
    job.die_before_commit = true;
    let mut dying = ground.start(job).await;
    let status = dying.wait(PATIENCE).await.unwrap();
    assert_eq!(status.code(), Some(DIED_BEFORE_COMMIT), "{}", dying.output().unwrap());
    assert_eq!(read_seen(&ground.test).await.unwrap(), []);

    let _healthy = ground.start(ground.job("healthy")).await;
    ground.all_seen().await;
    ground.assert_seen_once().await;
}

#[tokio::test]
async fn one_of_two_readers_of_a_name_is_active_and_the_other_follows_within_seconds() {
    is_succeeded(Ground::one_process().await).await;
    if let Some(ground) = Ground::services().await {
        is_succeeded(ground).await;
    }
}

async fn is_succeeded(ground: Ground) {
    let mut first = ground.start(ground.job("first")).await;
    ground.test.put(5).await;
    ground.all_seen().await;
    let _second = ground.start(ground.job("second")).await;
    for _ in 0..20 {
        ground.test.put(7).await;
        ground.all_seen().await;
    }
    let readers = ground.assert_seen_once().await;
    assert!(readers.iter().all(|reader| reader == "first"), "{readers:?}");

    first.kill_9();
    let killed = Instant::now();
    ground.test.put(30).await;
    ground.all_seen().await;
    let taken_over = killed.elapsed();
    eprintln!("taken over {taken_over:?} after the kill");
    assert!(taken_over < TAKE_OVER_MAX, "{taken_over:?}");
    let readers = ground.assert_seen_once().await;
    assert_eq!(readers.iter().filter(|reader| *reader == "second").count(), 30);
}

#[tokio::test]
async fn a_frozen_reader_that_wakes_up_after_a_take_over_is_fenced() {
    is_fenced(Ground::one_process().await).await;
    if let Some(ground) = Ground::services().await {
        is_fenced(ground).await;
    }
}

async fn is_fenced(ground: Ground) {
    ground.test.put(25).await;
    let (job, until) = ground.holding("frozen");
    let mut frozen = ground.start(job).await;
    frozen.wait_ready(HOLDING, PATIENCE).await.unwrap();
    frozen.signal(Signal::STOP);
    let _successor = ground.start(ground.job("successor")).await;
    ground.all_seen().await;

    std::fs::write(until, "").unwrap();
    frozen.signal(Signal::CONT);
    frozen.wait_ready(FENCED, PATIENCE).await.unwrap();
    ground.test.put(25).await;
    ground.all_seen().await;
    let readers = ground.assert_seen_once().await;
    assert!(readers.iter().all(|reader| reader == "successor"), "{readers:?}");
}

#[tokio::test]
async fn a_frozen_reader_whose_successor_died_goes_on_where_the_successor_was() {
    outlives_its_successor(Ground::one_process().await).await;
    if let Some(ground) = Ground::services().await {
        outlives_its_successor(ground).await;
    }
}

async fn outlives_its_successor(ground: Ground) {
    ground.test.put(25).await;
    let (job, until) = ground.holding("frozen");
    let mut frozen = ground.start(job).await;
    frozen.wait_ready(HOLDING, PATIENCE).await.unwrap();
    frozen.signal(Signal::STOP);
    let mut successor = ground.start(ground.job("successor")).await;
    ground.all_seen().await;
    let fence = fence(&ground.test).await;
    successor.kill_9();
    expire_lease(&ground.test).await;

    // It wakes up and has the lease again before it comes to commit what it holds.
    frozen.signal(Signal::CONT);
    eventually("the frozen reader has the lease again", async || {
        self::fence(&ground.test).await > fence
    })
    .await;
    std::fs::write(until, "").unwrap();
    frozen.wait_ready(FENCED, PATIENCE).await.unwrap();
    ground.test.put(25).await;
    ground.all_seen().await;
    let readers = ground.assert_seen_once().await;
    assert_eq!(readers.iter().filter(|reader| *reader == "frozen").count(), 25);
}

async fn fence(store: &EventStore) -> i64 {
    if let Some(pool) = store.postgres() {
        let fence = sqlx::query_scalar("select fence from assent_feed.leases where name = $1 and shard = 0");
        return fence.bind(FEED).fetch_one(pool).await.unwrap();
    }
    let fence = sqlx::query_scalar("select fence from leases where name = ?1 and shard = 0");
    fence.bind(FEED).fetch_one(store.sqlite().unwrap()).await.unwrap()
}

/// As if the time of the lease had passed.
async fn expire_lease(store: &EventStore) {
    if let Some(pool) = store.postgres() {
        let expire = sqlx::query("update assent_feed.leases set lease_until = '-infinity' where name = $1");
        expire.bind(FEED).execute(pool).await.unwrap();
    } else if let Some(pool) = store.sqlite() {
        let expire = sqlx::query("update leases set lease_until = 0 where name = ?1");
        expire.bind(FEED).execute(pool).await.unwrap();
    }
}

#[tokio::test]
async fn a_checkpoint_that_a_crash_took_back_is_where_the_reader_goes_on() {
    goes_on_from_the_checkpoint(Ground::one_process().await).await;
    if let Some(ground) = Ground::services().await {
        goes_on_from_the_checkpoint(ground).await;
    }
}

/// Read models commit without waiting for the disk: a crash of the database takes the last of them back, effects and
/// checkpoint together, while their reader lives on.
async fn goes_on_from_the_checkpoint(ground: Ground) {
    let source = match &ground.nats {
        Some(nats) => Source::JetStream(jetstream(nats).await),
        None => Source::Direct,
    };
    let feeds = Feeds::start(&ground.test, &source).await.unwrap();
    let mut feed = feeds.feed(FEED, SHARD, Start::Beginning).batch_events_max(10);
    ground.test.put(30).await;
    let first = next(&mut feed).await;
    commit(&ground.test, &first).await.unwrap();
    let second = next(&mut feed).await;
    commit(&ground.test, &second).await.unwrap();
    set_checkpoint(&ground.test, first.checkpoint.position()).await;

    let third = next(&mut feed).await;
    let refused = commit(&ground.test, &third).await;
    assert!(matches!(refused, Err(FeedError::Fenced { .. })), "{refused:?}");
    for expected in [11, 21] {
        let again = next(&mut feed).await;
        assert_eq!(again.events[0].position, expected);
        commit(&ground.test, &again).await.unwrap();
    }
}

async fn next(feed: &mut assent_event_store::Feed) -> Batch {
    tokio::time::timeout(PATIENCE, feed.next_batch())
        .await
        .unwrap()
        .unwrap()
}

/// In a transaction, as a projection does it.
async fn commit(store: &EventStore, batch: &Batch) -> Result<(), FeedError> {
    if let Some(pool) = store.postgres() {
        let mut transaction = pool.begin().await?;
        batch.checkpoint.commit_postgres(&mut transaction).await?;
        transaction.commit().await?;
    } else if let Some(pool) = store.sqlite() {
        let mut transaction = pool.begin().await?;
        batch.checkpoint.commit_sqlite(&mut transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}

async fn set_checkpoint(store: &EventStore, position: u64) {
    if let Some(pool) = store.postgres() {
        let set = sqlx::query("update assent_feed.checkpoints set position = $2 where name = $1 and shard = 0");
        set.bind(FEED).bind(position as i64).execute(pool).await.unwrap();
    } else if let Some(pool) = store.sqlite() {
        let set = sqlx::query("update checkpoints set position = ?2 where name = ?1 and shard = 0");
        set.bind(FEED).bind(position as i64).execute(pool).await.unwrap();
    }
}

//! A store, its JetStream, a relay between them, and a reader of each kind.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use assent_event_store::{
    EventStore, Feeds, JetStream, JetStreamConfig, Poker, RecordedEvent, Relay, RelayObserver, Source, Start,
};
use assent_tests::{
    chaos::SHARD,
    servers::{NatsConfig, NatsServer},
};
use tokio::task::{AbortHandle, JoinSet};

use crate::{POLL, eventually, raw_stream::RawStream, stores::TestStore};

/// Events of one append; with a wait for the relay in between, of one slice.
const SLICE_EVENTS: usize = 5;

/// Everything between an append and its readers, in this process but for the servers.
pub(crate) struct Bus {
    pub(crate) test: TestStore,
    pub(crate) jetstream: JetStream,
    pub(crate) feeds: Feeds,
    pub(crate) relay: RelayObserver,
    relaying: Option<AbortHandle>,
    pub(crate) readers: Readers,
    pub(crate) raw: RawStream,
    /// Ended when the bus is dropped.
    pub(crate) tasks: JoinSet<()>,
    _poker: Poker,
    pub(crate) nats: NatsServer,
}

/// What the readers have got so far, in the order they got it.
pub(crate) struct Readers {
    tailed: Arc<Mutex<Vec<RecordedEvent>>>,
    durable: Arc<Mutex<Vec<RecordedEvent>>>,
}

impl Readers {
    pub(crate) fn tailed(&self) -> Vec<RecordedEvent> {
        self.tailed.lock().unwrap().clone()
    }

    pub(crate) fn durable(&self) -> Vec<RecordedEvent> {
        self.durable.lock().unwrap().clone()
    }

    fn start(store: &EventStore, feeds: &Feeds, tasks: &mut JoinSet<()>) -> Self {
        let readers = Self {
            tailed: Arc::default(),
            durable: Arc::default(),
        };
        let (mut tail, tailed) = (feeds.tail(SHARD, 0), readers.tailed.clone());
        tasks.spawn(async move {
            loop {
                let events = tail.next(usize::MAX).await.unwrap();
                tailed.lock().unwrap().extend(events);
            }
        });
        // A name of its own for each store: a restored one remembers the reader of the store it was copied from.
        let name = format!("test-{}", store.watch_head(SHARD).map_or(0, |head| *head.borrow()));
        let (mut feed, durable) = (feeds.feed(name, SHARD, Start::Beginning), readers.durable.clone());
        tasks.spawn(async move {
            loop {
                let batch = feed.next_batch().await.unwrap();
                feed.commit(&batch.checkpoint).await.unwrap();
                durable.lock().unwrap().extend(batch.events);
            }
        });
        readers
    }

    fn assert_have_all_once(&self, head: u64) {
        for (reader, events) in [("tail", self.tailed()), ("durable", self.durable())] {
            let positions: Vec<u64> = events.iter().map(|event| event.position).collect();
            assert_eq!(positions, (1..=head).collect::<Vec<u64>>(), "the {reader} reader");
        }
    }
}

impl Bus {
    pub(crate) async fn start(test: TestStore, nats: NatsConfig, config: JetStreamConfig) -> Self {
        let nats = NatsServer::start(nats).await.unwrap();
        Self::over(test, nats, config, true).await
    }

    /// For a test that runs its own relays.
    pub(crate) async fn start_without_relay(test: TestStore, nats: NatsConfig, config: JetStreamConfig) -> Self {
        let nats = NatsServer::start(nats).await.unwrap();
        Self::over(test, nats, config, false).await
    }

    async fn over(test: TestStore, nats: NatsServer, config: JetStreamConfig, relayed: bool) -> Self {
        let client = async_nats::connect(nats.url()).await.unwrap();
        let jetstream = JetStream::new(client, config);
        let raw = RawStream::connect(&nats.url(), &jetstream).await;
        let mut tasks = JoinSet::new();
        let relay = Relay::new(&test, &jetstream, SHARD);
        let observer = relay.observer();
        let relaying = relayed.then(|| tasks.spawn(relay.run()));
        let feeds = Feeds::start(&test, &Source::JetStream(jetstream.clone()))
            .await
            .unwrap();
        let readers = Readers::start(&test, &feeds, &mut tasks);
        Self {
            _poker: Poker::start(&test, &jetstream),
            test,
            jetstream,
            feeds,
            relay: observer,
            relaying,
            readers,
            raw,
            tasks,
            nats,
        }
    }

    /// The same NATS with what is in it, under another database: everything of the old one is stopped first.
    pub(crate) async fn replace_store(self, test: TestStore) -> Self {
        let Self { nats, mut tasks, .. } = self;
        tasks.shutdown().await;
        Self::over(test, nats, JetStreamConfig::default(), true).await
    }

    /// Ends the relay and starts another, which leads once the lease of the first has expired.
    pub(crate) fn replace_relay(&mut self) {
        if let Some(relaying) = self.relaying.take() {
            relaying.abort();
        }
        let relay = Relay::new(&self.test, &self.jetstream, SHARD);
        self.relay = relay.observer();
        self.relaying = Some(self.tasks.spawn(relay.run()));
    }

    /// Appends so many times, each time a few events.
    pub(crate) async fn put_slices(&self, slices: usize) {
        for _ in 0..slices {
            self.test.put(SLICE_EVENTS).await;
        }
    }

    /// Waits until both readers have everything that is in the log, and checks that they have it once and in order.
    pub(crate) async fn readers_have_all(&self) {
        let head = self.test.head(SHARD).await.unwrap();
        let last = |events: &Mutex<Vec<RecordedEvent>>| events.lock().unwrap().last().map_or(0, |event| event.position);
        eventually("the readers have everything", async || {
            last(&self.readers.tailed) >= head && last(&self.readers.durable) >= head
        })
        .await;
        self.readers.assert_have_all_once(head);
    }

    /// The same, and that JetStream carries the tail again: what is appended comes into the stream, and the readers
    /// follow the stream. Appends events, because a stream that was lost goes on only with what is new.
    pub(crate) async fn is_in_step(&self) {
        const ARRIVAL_MAX: Duration = Duration::from_millis(300);
        eventually("what is appended comes into the stream", async || {
            let head = self.test.put(1).await.last;
            let arrival = async {
                while self.raw.last_position().await != head {
                    tokio::time::sleep(POLL).await;
                }
            };
            tokio::time::timeout(ARRIVAL_MAX, arrival).await.is_ok()
        })
        .await;
        eventually("the readers follow the stream", async || {
            self.raw.info().await.is_some_and(|info| info.state.consumer_count > 0)
        })
        .await;
        self.readers_have_all().await;
    }
}

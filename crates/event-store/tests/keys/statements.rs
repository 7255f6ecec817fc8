//! How many statements the work takes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use assent_event_store::KeyRing;
use assent_sealed::KeyClass;
use tracing::instrument::WithSubscriber as _;

use crate::world::{World, alias, now, on_postgres};

/// Counts the statements that sqlx reports.
#[derive(Default)]
pub(crate) struct Statements(AtomicU64);

impl Statements {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) struct Counting(pub(crate) Arc<Statements>);

impl tracing::Subscriber for Counting {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        if event.metadata().target() == "sqlx::query" {
            self.0.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_callers_at_once_share_their_statements() {
    const CALLERS: u64 = 500;
    let test = |world: World| async move {
        let ring = world.ring();
        let statements = Arc::new(Statements::default());
        let callers = (0..CALLERS).map(|caller| {
            let ring = ring.clone();
            let ask = async move { ring.obtain(&[(alias(caller), KeyClass::Content)], now()).await };
            tokio::spawn(ask.with_subscriber(Counting(statements.clone())))
        });
        let mut ids = Vec::new();
        for caller in futures::future::join_all(callers).await {
            ids.push(caller.unwrap().unwrap()[0].id());
        }
        assert!((1..CALLERS / 5).contains(&statements.0.load(Ordering::SeqCst)));

        let (ring, statements) = (world.ring(), Arc::new(Statements::default()));
        let callers = ids.into_iter().map(|id| {
            let ring = ring.clone();
            let ask = async move { ring.load([id], now()).await };
            tokio::spawn(ask.with_subscriber(Counting(statements.clone())))
        });
        for caller in futures::future::join_all(callers).await {
            caller.unwrap().unwrap();
        }
        assert!((1..CALLERS / 5).contains(&statements.0.load(Ordering::SeqCst)));
    };
    on_postgres(test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn obtaining_and_loading_500_keys_is_one_statement_each_in_postgres() {
    let test = |world: World| async move {
        let wanted: Vec<_> = (0..500)
            .map(|number| (alias(number), KeyClass::ALL[number as usize % 4]))
            .collect();
        let counted = async |ring: &KeyRing| {
            let statements = Arc::new(Statements::default());
            let keys = ring
                .obtain(&wanted, now())
                .with_subscriber(Counting(statements.clone()))
                .await
                .unwrap();
            (keys, statements.0.load(Ordering::SeqCst))
        };
        let ring = world.ring();
        let (keys, made) = counted(&ring).await;
        assert_eq!((keys.len(), made), (500, 1));
        assert_eq!(counted(&ring).await.1, 0, "remembered");
        assert_eq!(counted(&world.ring()).await.1, 1, "found");

        let statements = Arc::new(Statements::default());
        let ids = keys.iter().map(assent_event_store::DataKey::id);
        let ring = world.ring();
        ring.load(ids, now())
            .with_subscriber(Counting(statements.clone()))
            .await
            .unwrap();
        assert_eq!(statements.0.load(Ordering::SeqCst), 1);
    };
    on_postgres(test).await;
}

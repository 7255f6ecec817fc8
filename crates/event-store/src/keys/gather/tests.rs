use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures::future::join_all;

use super::*;

/// Round trips that wait until they are let go, and what each was asked.
#[derive(Clone)]
struct Trips {
    gatherer: Gatherer<u32, u32>,
    asked: Arc<Mutex<Vec<Vec<u32>>>>,
    gate: Arc<Semaphore>,
    fails: Arc<AtomicUsize>,
}

impl Trips {
    fn new(open: usize) -> Self {
        Self {
            gatherer: Gatherer::new(),
            asked: Arc::default(),
            gate: Arc::new(Semaphore::new(open)),
            fails: Arc::default(),
        }
    }

    /// Ten times each number, once a permit is there.
    async fn ask(&self, wanted: &[u32]) -> Result<Vec<u32>, KeyError> {
        self.ask_at(wanted, OffsetDateTime::UNIX_EPOCH).await
    }

    async fn ask_at(&self, wanted: &[u32], at: OffsetDateTime) -> Result<Vec<u32>, KeyError> {
        let trips = self.clone();
        let round_trip = move |wanted: Vec<u32>, _at| {
            let trips = trips.clone();
            async move {
                trips.asked.lock().unwrap().push(wanted.clone());
                trips.gate.acquire().await.unwrap().forget();
                if trips.fails.load(Ordering::SeqCst) > 0 {
                    return Err(KeyError::Contended { attempts: 7 });
                }
                Ok(wanted.iter().map(|number| number * 10).collect())
            }
        };
        self.gatherer.ask(wanted.to_vec(), at, round_trip).await
    }

    fn asked(&self) -> Vec<Vec<u32>> {
        self.asked.lock().unwrap().clone()
    }

    /// Asks in a task of its own and returns once it is queued behind what is under way.
    async fn queue(&self, wanted: &'static [u32]) -> tokio::task::JoinHandle<Result<Vec<u32>, KeyError>> {
        let before = self.gatherer.shared.state().waiting.len();
        let trips = self.clone();
        let task = tokio::spawn(async move { trips.ask(wanted).await });
        while self.gatherer.shared.state().waiting.len() == before {
            tokio::task::yield_now().await;
        }
        task
    }

    /// Asks in a task of its own and returns once its round trip is under way.
    async fn lead(&self, wanted: &'static [u32]) -> tokio::task::JoinHandle<Result<Vec<u32>, KeyError>> {
        let before = self.asked().len();
        let trips = self.clone();
        let task = tokio::spawn(async move { trips.ask(wanted).await });
        while self.asked().len() == before {
            tokio::task::yield_now().await;
        }
        task
    }
}

#[tokio::test]
async fn who_comes_during_a_round_trip_shares_the_next_one() {
    let trips = Trips::new(0);
    let first = trips.lead(&[1]).await;
    let second = trips.queue(&[2, 3]).await;
    let third = trips.queue(&[1, 3]).await;
    trips.gate.add_permits(2);
    assert_eq!(first.await.unwrap().unwrap(), [10]);
    assert_eq!(second.await.unwrap().unwrap(), [20, 30]);
    assert_eq!(third.await.unwrap().unwrap(), [10, 30]);
    assert_eq!(trips.asked(), [vec![1], vec![1, 2, 3]]);
}

#[tokio::test]
async fn many_callers_at_once_need_few_round_trips() {
    let trips = Trips::new(usize::MAX >> 4);
    let callers: Vec<[u32; 1]> = (0..500).map(|number| [number % 50]).collect();
    let answers = join_all(callers.iter().map(|wanted| trips.ask(wanted))).await;
    for (wanted, answer) in callers.iter().zip(answers) {
        assert_eq!(answer.unwrap(), [wanted[0] * 10]);
    }
    // Not one: tokio makes a task that does so much at once take turns with the leader.
    assert!(trips.asked().len() <= 10, "{:?}", trips.asked());
}

#[tokio::test]
async fn a_leader_that_goes_away_takes_nothing_from_the_others() {
    let trips = Trips::new(0);
    let leader = trips.lead(&[1]).await;
    let other = trips.queue(&[2]).await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    trips.gate.add_permits(2);
    assert_eq!(other.await.unwrap().unwrap(), [20]);
}

#[tokio::test]
async fn who_goes_away_before_a_round_trip_is_not_asked_for() {
    let trips = Trips::new(0);
    let leader = trips.lead(&[1]).await;
    let gone = trips.queue(&[2]).await;
    let stays = trips.queue(&[3]).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    trips.gate.add_permits(2);
    leader.await.unwrap().unwrap();
    assert_eq!(stays.await.unwrap().unwrap(), [30]);
    assert_eq!(trips.asked(), [[1], [3]]);
    assert_eq!(
        trips.gatherer.shared.callers.available_permits(),
        limits::KEYS_CALLERS_MAX
    );
}

#[tokio::test]
async fn an_error_goes_to_all_of_its_round_trip_and_to_nobody_else() {
    let trips = Trips::new(0);
    trips.fails.store(1, Ordering::SeqCst);
    let first = trips.lead(&[1]).await;
    trips.gate.add_permits(1);
    assert!(matches!(first.await.unwrap(), Err(KeyError::Contended { attempts: 7 })));
    trips.fails.store(0, Ordering::SeqCst);
    let good = trips.lead(&[1]).await;
    let (second, third) = (trips.queue(&[2]).await, trips.queue(&[3]).await);
    trips.gate.add_permits(1);
    assert_eq!(good.await.unwrap().unwrap(), [10]);
    while trips.asked().len() < 3 {
        tokio::task::yield_now().await;
    }
    trips.fails.store(1, Ordering::SeqCst);
    trips.gate.add_permits(1);
    for caller in [second, third] {
        assert!(matches!(
            caller.await.unwrap(),
            Err(KeyError::Contended { attempts: 7 })
        ));
    }
    trips.fails.store(0, Ordering::SeqCst);
    trips.gate.add_permits(1);
    assert_eq!(trips.ask(&[4]).await.unwrap(), [40]);
}

#[tokio::test]
async fn a_round_trip_takes_no_more_than_a_statement_may_and_none_with_a_clock_of_another_time() {
    let trips = Trips::new(0);
    let first = trips.lead(&[1]).await;
    let half: Vec<u32> = (0..limits::KEYS_STATEMENT_MAX as u32 * 2 / 3).collect();
    let half: &'static [u32] = half.leak();
    let (second, third) = (trips.queue(half).await, trips.queue(half).await);
    let later = trips.clone();
    let later = tokio::spawn(async move { later.ask_at(&[9], OffsetDateTime::now_utc()).await });
    while trips.gatherer.shared.state().waiting.len() < 3 {
        tokio::task::yield_now().await;
    }
    trips.gate.add_permits(4);
    for caller in [first, second, third, later] {
        caller.await.unwrap().unwrap();
    }
    let sizes: Vec<usize> = trips.asked().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, half.len(), half.len(), 1]);
}

#[test]
fn a_leader_whose_runtime_ends_leaves_the_lead_to_the_next_caller() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let trips = Trips::new(0);
    let first = runtime();
    let waiting = trips.clone();
    let mut orphan = None;
    first.block_on(async {
        drop(waiting.lead(&[1]).await);
        orphan = Some(waiting.queue(&[2]).await);
    });
    drop(first);
    let second = runtime();
    assert!(second.block_on(orphan.unwrap()).unwrap_err().is_cancelled());
    trips.gate.add_permits(1);
    assert_eq!(second.block_on(trips.ask(&[3])).unwrap(), [30]);
}

#[tokio::test(start_paused = true)]
async fn a_round_trip_without_an_answer_ends_in_a_retryable_error() {
    let trips = Trips::new(0);
    let error = trips.ask(&[1]).await.unwrap_err();
    assert!(matches!(error, KeyError::Unavailable(_)) && error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn callers_that_are_few_never_wait_and_callers_that_are_many_share() {
    let ask_every = async |trips: &Trips, gap: Duration| {
        let mut tasks = Vec::new();
        for _ in 0..400 {
            let trips = trips.clone();
            tasks.push(tokio::spawn(async move { trips.ask(&[1]).await }));
            tokio::time::sleep(gap).await;
        }
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        trips.asked().len()
    };
    let few = Trips::new(usize::MAX >> 4);
    assert_eq!(ask_every(&few, Duration::from_millis(5)).await, 400);
    let many = Trips::new(usize::MAX >> 4);
    let trips = ask_every(&many, Duration::from_millis(1)).await;
    assert!((80..200).contains(&trips), "{trips}");
}

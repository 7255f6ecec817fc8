//! SQLite and a process that is killed while it appends.

use std::time::Duration;

use assent_event_store::{EventStore, Verified, limits};
use assent_tests::chaos::{
    READY, Role, SHARD, WriterJob,
    check::Checker,
    history::{Outcome, read_histories},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::{PATIENCE, eventually, program, stores::TestStore};

const SEED: u64 = 91;
const KILLS: u64 = 10;

#[tokio::test]
async fn what_sqlite_acknowledged_survives_kill_9_in_the_middle_of_appends() {
    let test = TestStore::sqlite().await;
    test.store.close().await;
    let directory = test.directory.path();
    let mut random = StdRng::seed_from_u64(SEED);
    for kill in 0..KILLS {
        let role = Role::Writer(WriterJob {
            database: test.at.clone(),
            directory: directory.to_owned(),
            name: format!("writer-{kill}"),
            seed: SEED + kill,
            writers: 2,
            lanes: 8,
            drops_percent: 10,
        });
        let mut writer = role.spawn(&program(), "writer", directory).unwrap();
        writer.wait_ready(READY, PATIENCE).await.unwrap();
        let history = directory.join(format!("writer-{kill}.history"));
        eventually("the writer has been answered", async || {
            std::fs::metadata(&history).is_ok_and(|file| file.len() > 0)
        })
        .await;
        // Not a wait for anything: the moment of the kill.
        tokio::time::sleep(random.random_range(Duration::ZERO..Duration::from_millis(300))).await;
        assert!(writer.is_running(), "{}", writer.output().unwrap());
        writer.kill_9();
    }

    let store = EventStore::connect(&test.at.config()).await.unwrap();
    let mut checker = Checker::new();
    let mut position = 0;
    loop {
        let events = store
            .read_shard(SHARD, position, limits::READ_EVENTS_MAX)
            .await
            .unwrap();
        let Some(last) = events.last() else { break };
        position = last.position;
        for event in &events {
            checker.event(event);
        }
    }
    let lines = read_histories(directory).unwrap();
    for kill in 0..KILLS {
        let lane = format!("writer-{kill}.");
        assert!(
            lines.iter().any(|line| line.append.lane.starts_with(&lane)
                && matches!(line.outcome, Outcome::Acknowledged { .. })),
            "writer {kill} was killed before anything was acknowledged"
        );
    }
    let tally = checker.compare_with_writers(&lines);
    eprintln!("seed {SEED}: {position} events, {tally:?}");
    let verified = store.verify(SHARD).await.unwrap();
    assert!(
        matches!(verified, Verified::Intact { events, .. } if events == position),
        "{verified:?}"
    );
    let violations = checker.finish();
    assert!(violations.is_empty(), "{violations}");
}

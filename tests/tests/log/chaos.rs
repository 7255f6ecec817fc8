//! Many writers and readers, and everything around them killed.

use std::time::Duration;

use assent_tests::{
    chaos::{self, ChaosPlan, Lag},
    servers::{Server, require},
};

use crate::program;

/// Another seed can be tried with `ASSENT_TEST_SEED=…`.
const SEED: u64 = 20_261_122;
const EVENTS: u64 = 20_000;
const STRANGER: Duration = Duration::from_secs(3);
/// A reader that waits for the stranger is as late as the stranger is long.
const LAG_MS_MAX: f64 = 1_000.0;
/// Fewer events than this beside a stranger would say nothing about the lag.
const EVENTS_BESIDE_STRANGER_MIN: usize = 200;

#[tokio::test]
async fn nothing_acknowledged_is_lost_doubled_or_late_while_everything_is_killed() {
    if !require(&[Server::Postgres, Server::Nats]) {
        return;
    }
    let seed = std::env::var("ASSENT_TEST_SEED").map_or(SEED, |seed| seed.parse().unwrap());
    eprintln!("seed {seed}");
    let plan = ChaosPlan {
        program: program(),
        seed,
        events: EVENTS,
        stranger: STRANGER,
        pauses: (Duration::from_millis(200), Duration::from_millis(900)),
    };
    let report = chaos::run(&plan).await.unwrap_or_else(|error| panic!("{error:#}"));
    eprintln!("{report}");

    assert!(report.events >= EVENTS);
    let tally = report.tally;
    // A run in which these did not happen proved nothing about them.
    for (what, count) in [
        ("acknowledged", tally.acknowledged_appends),
        ("conflicts", tally.conflicts),
        ("keys gone", tally.keys_gone),
        ("invalid", tally.invalid),
        ("dropped and written", tally.dropped_and_written),
        ("dropped and absent", tally.dropped_and_absent),
    ] {
        assert!(count > 0, "no append was {what}: {tally:?}");
    }
    assert_prompt("direct", &report.lag_direct);
    assert_prompt("durable", &report.lag_durable);
}

fn assert_prompt(reader: &str, lag: &Lag) {
    let lag = lag.beside_stranger_ms.expect("events were written beside the stranger");
    assert!(lag.count >= EVENTS_BESIDE_STRANGER_MIN, "{reader}: {lag:?}");
    assert!(
        lag.p99 < LAG_MS_MAX,
        "the {reader} reader waited for a stranger: {lag:?}"
    );
}

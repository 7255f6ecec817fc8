//! What is known after a run.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{Fault, check::Tally};
use crate::stats::{Machine, Samples, Summary};

/// The figures of a run in which everything was right.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The run's seed.
    pub seed: u64,
    /// Events in the log.
    pub events: u64,
    /// Flushes that wrote them.
    pub flushes: u64,
    /// From the first append to the last, in seconds, faults included.
    pub seconds: f64,
    /// Events per second, faults included.
    pub events_per_second: f64,
    /// How long `verify` took, in seconds.
    pub verify_seconds: f64,
    /// How the appends ended.
    pub tally: Tally,
    /// How often each fault came.
    pub faults: BTreeMap<Fault, u64>,
    /// Delay of the reader that follows the log.
    pub lag_direct: Lag,
    /// Delay of the durable reader behind JetStream.
    pub lag_durable: Lag,
    /// The machine.
    pub machine: Machine,
    /// The median cost of an fsync on it, in microseconds.
    pub fsync_us: f64,
}

/// How long after an event was recorded a reader saw it, in milliseconds. The time of the flush is part of it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Lag {
    /// All events, faults included.
    pub whole_run_ms: Option<Summary>,
    /// Events that were recorded while a stranger's transaction was open.
    pub beside_stranger_ms: Option<Summary>,
}

impl Lag {
    /// From pairs of recording time and delay, both in microseconds, and the times at which strangers were there.
    pub fn of(lags_us: impl Iterator<Item = (i64, i64)>, strangers_us: &[(i64, i64)]) -> Self {
        let (mut whole_run, mut beside_stranger) = (Samples::new(), Samples::new());
        for (recorded_at, lag) in lags_us {
            let lag_ms = lag as f64 / 1e3;
            whole_run.record(lag_ms);
            if strangers_us
                .iter()
                .any(|(from, until)| (*from..*until).contains(&recorded_at))
            {
                beside_stranger.record(lag_ms);
            }
        }
        Self {
            whole_run_ms: whole_run.summary(),
            beside_stranger_ms: beside_stranger.summary(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            acknowledged_appends,
            acknowledged_events,
            conflicts,
            keys_gone,
            invalid,
            dropped_and_written,
            dropped_and_absent,
            unknown,
            never_told,
        } = self.tally;
        writeln!(
            formatter,
            "seed {}: {} events in {} flushes, {:.0} s ({:.0} events/s), verified in {:.1} s",
            self.seed, self.events, self.flushes, self.seconds, self.events_per_second, self.verify_seconds
        )?;
        writeln!(
            formatter,
            "acknowledged {acknowledged_appends} appends ({acknowledged_events} events), conflicts {conflicts}, keys gone \
             {keys_gone}, invalid {invalid}, dropped {dropped_and_written} written + {dropped_and_absent} absent, unknown \
             {unknown}, never told {never_told}"
        )?;
        writeln!(formatter, "faults {:?}", self.faults)?;
        for (reader, lag) in [("direct", self.lag_direct), ("durable", self.lag_durable)] {
            for (when, summary) in [
                ("whole run", lag.whole_run_ms),
                ("beside a stranger", lag.beside_stranger_ms),
            ] {
                if let Some(Summary {
                    count, p50, p99, max, ..
                }) = summary
                {
                    writeln!(
                        formatter,
                        "lag of the {reader} reader, {when}: p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms ({count} events)"
                    )?;
                }
            }
        }
        write!(formatter, "{}, fsync {:.0} µs", self.machine, self.fsync_us)
    }
}

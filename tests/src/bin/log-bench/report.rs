//! The figures, for machines as JSON and for people as a table.

use std::fmt::Write as _;

use assent_event_store::Verified;
use assent_tests::stats::Machine;
use serde::Serialize;

use crate::{
    Options, Part,
    bench::{Bench, POSTGRES_SETTINGS, Run},
    conflicts::ConflictCosts,
    feeds::FeedFigures,
    growth::Growth,
    tail::Tail,
    yardsticks::Ratios,
};

/// Everything that was measured. Keys that are compared over time are at the top; parts that were not run are absent.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    seed: u64,
    quick: bool,
    seconds: f64,
    rounds: usize,
    postgres: String,
    /// What the server says, not what it was told.
    fsync: String,
    synchronous_commit: String,
    postgres_settings: Vec<(String, String)>,
    /// An 8 KiB write and `fdatasync`, the median of all measurements of the run.
    fsync_us: f64,
    /// Processes that wanted to run, over the last minute, before and after: what else was going on.
    load_average_before: f64,
    load_average_after: f64,
    /// The store's default; runs name how many of them they use.
    shards: u16,
    ratio_to_unordered_64: Option<f64>,
    ratio_to_unnest_1000: Option<f64>,
    conflict_cost: Option<f64>,
    /// Positions that the tailing reader or a feed missed.
    skipped: Option<u64>,
    sqlite_events_per_second_64: Option<f64>,
    verify_seconds_per_million: Option<f64>,
    to_handler_p50_beyond_fsync_ms: Option<f64>,
    to_handler_p99_ms: Option<f64>,
    /// Appends that failed although nothing was wrong with them, over all runs.
    failures: u64,
    acknowledged: u64,
    /// Events that the log holds at the end, verified to be as they were written; equals `acknowledged`.
    verified: u64,
    pub(crate) ratios: Option<Ratios>,
    pub(crate) appends: Vec<Run>,
    pub(crate) conflicts: Option<ConflictCosts>,
    pub(crate) hot: Vec<Run>,
    pub(crate) tail: Option<Tail>,
    pub(crate) feeds: Option<FeedFigures>,
    pub(crate) sqlite: Option<Run>,
    pub(crate) growth: Option<Growth>,
}

impl Report {
    pub(crate) async fn new(bench: &Bench, options: &Options) -> anyhow::Result<Self> {
        let store = bench.open().await?;
        let shards = store.shards().count() as u16;
        store.close().await;
        Ok(Self {
            machine: Machine::describe(),
            seed: bench.seed,
            quick: options.quick,
            seconds: options.seconds,
            rounds: options.rounds,
            postgres: bench.setting("server_version").await?,
            fsync: bench.setting("fsync").await?,
            synchronous_commit: bench.setting("synchronous_commit").await?,
            postgres_settings: POSTGRES_SETTINGS
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            fsync_us: 0.0,
            load_average_before: load_average(),
            load_average_after: 0.0,
            shards,
            ratio_to_unordered_64: None,
            ratio_to_unnest_1000: None,
            conflict_cost: None,
            skipped: None,
            sqlite_events_per_second_64: None,
            verify_seconds_per_million: None,
            to_handler_p50_beyond_fsync_ms: None,
            to_handler_p99_ms: None,
            failures: 0,
            acknowledged: 0,
            verified: 0,
            ratios: None,
            appends: Vec::new(),
            conflicts: None,
            hot: Vec::new(),
            tail: None,
            feeds: None,
            sqlite: None,
            growth: None,
        })
    }

    /// Reads the whole log once more and draws the key figures together.
    pub(crate) async fn finish(&mut self, bench: &Bench) -> anyhow::Result<()> {
        self.fsync_us = bench.fsync_median_us();
        self.load_average_after = load_average();
        self.ratio_to_unordered_64 = self.ratios.as_ref().map(|ratios| ratios.ratio_to_unordered_64);
        self.ratio_to_unnest_1000 = self.ratios.as_ref().map(|ratios| ratios.ratio_to_unnest_1000);
        self.conflict_cost = self.conflicts.as_ref().map(|conflicts| conflicts.conflict_cost);
        let by_tail = self.tail.as_ref().map(|tail| tail.skipped);
        let by_feeds = self.feeds.as_ref().map(|feeds| feeds.skipped);
        self.skipped = by_tail.into_iter().chain(by_feeds).reduce(|one, other| one + other);
        self.to_handler_p50_beyond_fsync_ms = self.feeds.as_ref().map(|feeds| feeds.to_handler_p50_beyond_fsync_ms);
        self.to_handler_p99_ms = self.feeds.as_ref().map(|feeds| feeds.to_handler_p99_ms);
        self.sqlite_events_per_second_64 = self.sqlite.as_ref().map(|run| run.events_per_second);
        self.verify_seconds_per_million = self.growth.as_ref().map(|growth| growth.verify_seconds_per_million);
        self.failures = self.runs().iter().map(|run| run.failures).sum();
        self.acknowledged = bench.acknowledged;
        let store = bench.open().await?;
        for shard in store.shards() {
            match store.verify(shard).await? {
                Verified::Intact { events, .. } => self.verified += events,
                Verified::Tampered(tampering) => anyhow::bail!("the log is not as it was written: {tampering}"),
            }
        }
        store.close().await;
        anyhow::ensure!(
            self.failures > 0 || self.verified == self.acknowledged,
            "{} events were acknowledged and the log holds {}",
            self.acknowledged,
            self.verified
        );
        Ok(())
    }

    fn runs(&self) -> Vec<&Run> {
        let mut runs: Vec<&Run> = self.appends.iter().chain(&self.hot).chain(&self.sqlite).collect();
        for round in self.ratios.iter().flat_map(|ratios| &ratios.rounds) {
            runs.extend([
                &round.append_64,
                &round.unordered_64,
                &round.append_64_by_4,
                &round.append_1000,
                &round.unnest_1000,
                &round.append_1000_by_4,
            ]);
        }
        for round in self.conflicts.iter().flat_map(|conflicts| &conflicts.rounds) {
            runs.extend([&round.none, &round.unknown, &round.known]);
        }
        runs.extend(self.tail.iter().flat_map(|tail| &tail.runs));
        runs.extend(self.feeds.iter().flat_map(|feeds| [&feeds.paced, &feeds.live]));
        runs.extend(
            self.growth
                .iter()
                .flat_map(|growth| &growth.marks)
                .map(|mark| &mark.append_64),
        );
        runs
    }

    pub(crate) fn heading(&self) -> String {
        format!(
            "log-bench: Postgres {}, fsync = {}, synchronous_commit = {}, {} shards, seed {}\n{}, load average {}\n",
            self.postgres,
            self.fsync,
            self.synchronous_commit,
            self.shards,
            self.seed,
            self.machine,
            self.load_average_before
        )
    }

    /// The table of a part that has been run.
    pub(crate) fn part(&self, part: Part) -> String {
        match part {
            Part::Ratios => self.ratios.as_ref().map(ratios_table),
            Part::Appends => Some(table("appends, one event to a new stream each", self.appends.iter())),
            Part::Conflicts => self.conflicts.as_ref().map(conflicts_table),
            Part::Hot => Some(table("64 writers of one stream", self.hot.iter())),
            Part::Tail => self.tail.as_ref().map(tail_table),
            Part::Feeds => self.feeds.as_ref().map(feeds_table),
            Part::Sqlite => Some(table("the embedded store", self.sqlite.iter())),
            Part::Growth => self.growth.as_ref().map(growth_table),
        }
        .unwrap_or_default()
    }

    /// Each target with what was measured.
    pub(crate) fn verdicts(&self) -> String {
        let mut text = format!(
            "fsync {:.0} us; {} events acknowledged, {} verified in the log, {} failures\n",
            self.fsync_us, self.acknowledged, self.verified, self.failures
        );
        let mut line = |what: &str, value: Option<f64>, target: &str, met: fn(f64) -> bool| {
            if let Some(value) = value {
                let verdict = if met(value) { "met" } else { "MISSED" };
                writeln!(text, "{what:<32}{value:>12.3}   {target:<10}{verdict}").expect("strings take text");
            }
        };
        line("ratio_to_unordered_64", self.ratio_to_unordered_64, ">= 1.5", |value| {
            value >= 1.5
        });
        line("ratio_to_unnest_1000", self.ratio_to_unnest_1000, ">= 0.6", |value| {
            value >= 0.6
        });
        line("conflict_cost", self.conflict_cost, "<= 0.2", |value| value <= 0.2);
        line("skipped", self.skipped.map(|skipped| skipped as f64), "0", |value| {
            value == 0.0
        });
        line(
            "sqlite_events_per_second_64",
            self.sqlite_events_per_second_64,
            ">= 5000",
            |value| value >= 5_000.0,
        );
        line(
            "verify_seconds_per_million",
            self.verify_seconds_per_million,
            "<= 20",
            |value| value <= 20.0,
        );
        line(
            "to_handler_p50_beyond_fsync_ms",
            self.to_handler_p50_beyond_fsync_ms,
            "<= 5",
            |value| value <= 5.0,
        );
        line("to_handler_p99_ms", self.to_handler_p99_ms, "<= 30", |value| {
            value <= 30.0
        });
        text
    }
}

/// The first figure of `/proc/loadavg`.
fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or_default()
}

fn table<'a>(title: &str, runs: impl Iterator<Item = &'a Run>) -> String {
    let mut text = format!(
        "{title}\n  {:<38}{:>5}{:>7}{:>10}{:>10}{:>9}{:>9}{:>8}{:>8}{:>9}{:>9}{:>9}\n",
        "",
        "proc",
        "flight",
        "events/s",
        "answers/s",
        "p50 us",
        "p99 us",
        "p50 fs",
        "p99 fs",
        "ev/flush",
        "client",
        "server"
    );
    for run in runs {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
        write!(
            text,
            "  {:<38}{:>5}{:>7}{:>10.0}{:>10.0}{:>9.0}{:>9.0}{:>8.1}{:>8.1}{:>9}{:>9.1}{:>9}",
            run.name,
            run.processes,
            run.in_flight,
            run.events_per_second,
            run.answers_per_second,
            run.p50_us,
            run.p99_us,
            run.p50_fsyncs,
            run.p99_fsyncs,
            number(run.events_per_flush),
            run.client_cpu_us_per_event,
            number(run.server_cpu_us_per_event)
        )
        .expect("strings take text");
        if let Some(failure) = &run.failure {
            write!(text, "  {} FAILURES, such as: {failure}", run.failures).expect("strings take text");
        }
        text.push('\n');
    }
    text
}

fn ratios_table(ratios: &Ratios) -> String {
    let runs = ratios.rounds.iter().flat_map(|round| {
        [
            &round.append_64,
            &round.unordered_64,
            &round.append_64_by_4,
            &round.append_1000,
            &round.unnest_1000,
            &round.append_1000_by_4,
        ]
    });
    format!(
        "{}  64 in flight: {:.2} x unordered inserts ({:.2} x by 4 processes); 1,000 in flight: {:.0} % of a bare UNNEST \
         ({:.0} % by 4)\n",
        table(
            "appends to one shard and what Postgres does without the log, in turns",
            runs
        ),
        ratios.ratio_to_unordered_64,
        ratios.ratio_to_unordered_64_by_4,
        ratios.ratio_to_unnest_1000 * 100.0,
        ratios.ratio_to_unnest_1000_by_4 * 100.0
    )
}

fn conflicts_table(conflicts: &ConflictCosts) -> String {
    let runs = conflicts
        .rounds
        .iter()
        .flat_map(|round| [&round.none, &round.unknown, &round.known]);
    format!(
        "{}  cost of half conflicting: {:.1} % where the database finds them, {:.1} % where the process knows them\n",
        table("half of the appends conflicting, in turns", runs),
        conflicts.conflict_cost * 100.0,
        conflicts.conflict_cost_known * 100.0
    )
}

fn tail_table(tail: &Tail) -> String {
    format!(
        "{}  {} events seen, {} acknowledged, {} skipped; 99 % of pages at most {:.1} ms behind\n",
        table("four processes write, one reads on", tail.runs.iter()),
        tail.seen,
        tail.acknowledged,
        tail.skipped,
        tail.behind_p99_ms
    )
}

fn feeds_table(feeds: &FeedFigures) -> String {
    format!(
        "{}  append to handler through JetStream at 500/s: p50 {:.2} ms ({:.2} ms beyond an fsync), p99 {:.2} ms\n  \
         live under load: {:.0} events/s handled; relay with {} waiting: {:.0} events/s, {:.0} a slice\n  \
         catching up on {} events: {:.0}/s direct, {:.0}/s with JetStream; {} skipped\n",
        table("feeds and the relay", [&feeds.paced, &feeds.live].into_iter()),
        feeds.to_handler_p50_ms,
        feeds.to_handler_p50_beyond_fsync_ms,
        feeds.to_handler_p99_ms,
        feeds.live_handled_per_second,
        feeds.relay_backlog,
        feeds.relay_events_per_second,
        feeds.relay_events_per_slice,
        feeds.catch_up_events,
        feeds.catch_up_events_per_second,
        feeds.catch_up_jetstream_events_per_second,
        feeds.skipped
    )
}

fn growth_table(growth: &Growth) -> String {
    let mut text = table("a growing log", growth.marks.iter().map(|mark| &mark.append_64));
    for mark in &growth.marks {
        let fill = mark.fill_events_per_second.unwrap_or_default();
        let overhead = mark.overhead_bytes_per_event.unwrap_or_default();
        writeln!(
            text,
            "  at {:>10} events: filled at {fill:.0}/s in appends of 500, {overhead:.0} bytes an event beside its content",
            mark.events
        )
        .expect("strings take text");
    }
    writeln!(
        text,
        "  {} events verified in {:.1} s: {:.1} s a million",
        growth.verified_events, growth.verify_seconds, growth.verify_seconds_per_million
    )
    .expect("strings take text");
    text
}

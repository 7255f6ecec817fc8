//! The figures, for machines as JSON and for people as a table.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
    time::Instant,
};

use assent_proto::v1::MessageState;
use assent_tests::{
    stats::{Machine, Samples, Summary},
    system::{Role, System},
};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{
    Follow, Options,
    cost::Snapshot,
    driver::{Call, Sent},
    follow::Followed,
    judge::Verdict,
    statements::Statement,
};

/// Different errors that are shown.
const ERRORS_SHOWN_MAX: usize = 5;
/// Of a statement's text.
const STATEMENT_SHOWN_MAX: usize = 90;
const MEBIBYTE: f64 = 1_048_576.0;

/// Everything that was measured. What is compared over time stands first.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    messages_per_second: f64,
    /// Milliseconds until SendMessage answered that it had accepted.
    accept_ms_p50: Option<f64>,
    accept_ms_p99: Option<f64>,
    /// Milliseconds until SendMessage answered with the decision.
    decision_ms_p50: Option<f64>,
    decision_ms_p99: Option<f64>,
    /// Milliseconds from SendMessage until a subscriber was told that it was read.
    end_to_end_ms_p50: Option<f64>,
    end_to_end_ms_p99: Option<f64>,
    /// Of the services, the database and the broker together.
    cpu_ms_per_message: f64,
    cpu_ms_per_message_by_process: BTreeMap<&'static str, f64>,
    simulator_cpu_ms_per_message: f64,
    driver_cpu_ms_per_message: f64,
    lost: u64,
    duplicated: u64,
    wrong_status: u64,
    messages: usize,
    acknowledged: usize,
    /// Calls that failed, by what they were told.
    errors: BTreeMap<String, u64>,
    /// Times a call was asked to come back later.
    retries: usize,
    /// From the first SendMessage until the last message was read.
    seconds: f64,
    /// From the first SendMessage until the last call was answered.
    accept_seconds: f64,
    accept_ms: Option<Summary>,
    decision_ms: Option<Summary>,
    end_to_end_ms: Option<Summary>,
    memory_mib: BTreeMap<&'static str, f64>,
    simulator_memory_mib: f64,
    events: i64,
    events_per_message: f64,
    events_by_type: BTreeMap<String, i64>,
    flushes: i64,
    events_per_flush: f64,
    /// By the service whose committer it was: flushes and the mean number of events in each.
    flushes_by_service: BTreeMap<&'static str, (f64, f64)>,
    slices: f64,
    events_per_slice: f64,
    subscription_events: u64,
    subscription_interruptions: u64,
    /// Steps that a subscriber was told after a message had ended.
    told_backwards: BTreeMap<String, u64>,
    verdict: Verdict,
    opt_in_seconds: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statements: Vec<Statement>,
    settings: Settings,
    machine: Machine,
}

#[derive(Debug, Serialize)]
struct Settings {
    options: Options,
    postgres: BTreeMap<String, String>,
    shards: i16,
    fsync_us: f64,
    latencies_count_from: &'static str,
}

impl Report {
    #[expect(clippy::too_many_arguments, reason = "called once, with everything there is")]
    pub(crate) async fn new(
        system: &System,
        options: &Options,
        sent: &Sent,
        followed: &Followed,
        ended: Instant,
        verdict: Verdict,
        before: &Snapshot,
        after: &Snapshot,
        fsync_us: f64,
        opt_in_seconds: f64,
        statements: Vec<Statement>,
    ) -> anyhow::Result<Self> {
        let messages = options.messages as f64;
        let mut latencies = Latencies::of(sent, followed);
        let mut finished = latencies.end_to_end.len() as f64;
        if options.follow == Follow::Simulator {
            finished = sent.acknowledged().count() as f64;
            latencies.seconds = (ended - sent.started).as_secs_f64();
        }
        let cpu = |seconds: f64| seconds * 1e3 / messages;
        let cpu_by_process: BTreeMap<&'static str, f64> = after
            .usage
            .ours
            .iter()
            .map(|(name, usage)| (*name, cpu(usage.cpu_seconds - before.usage.ours[name].cpu_seconds)))
            .collect();
        let events_by_type = difference(&after.log.events_by_type, &before.log.events_by_type);
        let events: i64 = events_by_type.values().sum();
        let flushes = after.log.flushes - before.log.flushes;
        let (slices, events_per_slice) = histogram_between(before, after, &Role::ALL, "assent_relay_slice_events");
        let flushes_by_service = Role::ALL.map(|role| {
            let figures = histogram_between(before, after, &[role], "assent_log_flush_events");
            (role.name(), figures)
        });
        let mut errors: BTreeMap<String, u64> = BTreeMap::new();
        for error in sent.calls.iter().filter_map(|call| call.outcome.as_ref().err()) {
            *errors.entry(error.clone()).or_default() += 1;
        }
        let (accept_ms, decision_ms) = (latencies.accept.summary(), latencies.decision.summary());
        let end_to_end_ms = latencies.end_to_end.summary();
        Ok(Self {
            messages_per_second: if latencies.seconds > 0.0 {
                finished / latencies.seconds
            } else {
                0.0
            },
            accept_ms_p50: accept_ms.map(|summary| summary.p50),
            accept_ms_p99: accept_ms.map(|summary| summary.p99),
            decision_ms_p50: decision_ms.map(|summary| summary.p50),
            decision_ms_p99: decision_ms.map(|summary| summary.p99),
            end_to_end_ms_p50: end_to_end_ms.map(|summary| summary.p50),
            end_to_end_ms_p99: end_to_end_ms.map(|summary| summary.p99),
            cpu_ms_per_message: cpu_by_process.values().sum(),
            cpu_ms_per_message_by_process: cpu_by_process,
            simulator_cpu_ms_per_message: cpu(after.usage.simulator.cpu_seconds - before.usage.simulator.cpu_seconds),
            driver_cpu_ms_per_message: cpu(after.usage.driver_cpu_seconds - before.usage.driver_cpu_seconds),
            lost: verdict.lost,
            duplicated: verdict.duplicated,
            wrong_status: verdict.wrong_status,
            messages: options.messages,
            acknowledged: sent.acknowledged().count(),
            errors,
            retries: sent.calls.iter().map(|call| call.retries).sum(),
            seconds: latencies.seconds,
            accept_seconds: (sent.ended - sent.started).as_secs_f64(),
            accept_ms,
            decision_ms,
            end_to_end_ms,
            memory_mib: after
                .usage
                .ours
                .iter()
                .map(|(name, usage)| (*name, usage.memory_bytes as f64 / MEBIBYTE))
                .collect(),
            simulator_memory_mib: after.usage.simulator.memory_bytes as f64 / MEBIBYTE,
            events,
            events_per_message: events as f64 / messages,
            events_by_type,
            flushes,
            events_per_flush: events as f64 / flushes.max(1) as f64,
            flushes_by_service: flushes_by_service.into_iter().collect(),
            slices,
            events_per_slice,
            subscription_events: followed.events,
            subscription_interruptions: followed.interruptions,
            told_backwards: followed.told_backwards.clone(),
            verdict,
            opt_in_seconds,
            statements,
            settings: Settings::read(system, options, fsync_us).await?,
            machine: Machine::describe(),
        })
    }

    /// Nothing was lost, doubled or told wrongly, and every call was answered well.
    pub(crate) fn is_right(&self) -> bool {
        let verdict = &self.verdict;
        self.acknowledged == self.messages
            && [verdict.lost, verdict.duplicated, verdict.wrong_status, verdict.unmarked] == [0; 4]
            && self.told_backwards.is_empty()
            && verdict.simulator_idle
    }
}

impl Settings {
    async fn read(system: &System, options: &Options, fsync_us: f64) -> anyhow::Result<Self> {
        let mut connection = PgConnection::connect(system.database_url()).await?;
        let mut postgres = BTreeMap::new();
        for name in [
            "server_version",
            "fsync",
            "synchronous_commit",
            "shared_buffers",
            "max_wal_size",
        ] {
            let statement = AssertSqlSafe(format!("show {name}"));
            postgres.insert(
                name.to_owned(),
                sqlx::query_scalar(statement).fetch_one(&mut connection).await?,
            );
        }
        let shards = sqlx::query_scalar("select shards from assent_log.store")
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        Ok(Self {
            options: options.clone(),
            postgres,
            shards,
            fsync_us,
            latencies_count_from: if options.rate.is_some() {
                "the instant a call was due"
            } else {
                "the instant a call was sent"
            },
        })
    }
}

struct Latencies {
    accept: Samples,
    decision: Samples,
    end_to_end: Samples,
    seconds: f64,
}

impl Latencies {
    fn of(sent: &Sent, followed: &Followed) -> Self {
        let answer_ms = |call: &Call| (call.answered - call.started).as_secs_f64() * 1e3;
        let mut latencies = Self {
            accept: Samples::new(),
            decision: Samples::new(),
            end_to_end: Samples::new(),
            seconds: 0.0,
        };
        for (call, message) in sent.acknowledged() {
            // One that was answered without the decision, because time ran out, is no measurement of it.
            if !call.for_decision {
                latencies.accept.record(answer_ms(call));
            } else if message.decided {
                latencies.decision.record(answer_ms(call));
            }
            if let Some(told) = followed.last.get(&message.message)
                && told.state == MessageState::Read
            {
                latencies
                    .end_to_end
                    .record((told.at - call.started).as_secs_f64() * 1e3);
                latencies.seconds = latencies.seconds.max((told.at - sent.started).as_secs_f64());
            }
        }
        latencies
    }
}

fn difference(after: &BTreeMap<String, i64>, before: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    after
        .iter()
        .map(|(name, count)| (name.clone(), count - before.get(name).copied().unwrap_or_default()))
        .filter(|(_, count)| *count != 0)
        .collect()
}

/// Count and mean of what a histogram of some roles saw between two instants.
fn histogram_between(before: &Snapshot, after: &Snapshot, roles: &[Role], name: &str) -> (f64, f64) {
    let sum = |snapshot: &Snapshot, suffix: &str| -> f64 {
        roles
            .iter()
            .map(|role| snapshot.metrics[role].sum(&format!("{name}{suffix}")))
            .sum()
    };
    let count = sum(after, "_count") - sum(before, "_count");
    let total = sum(after, "_sum") - sum(before, "_sum");
    (count, if count > 0.0 { total / count } else { 0.0 })
}

impl Display for Report {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let line =
            |formatter: &mut Formatter<'_>, name: &str, value: String| writeln!(formatter, "  {name:<28}{value}");
        let latency = |summary: &Option<Summary>| {
            summary.map_or_else(
                || "none".to_owned(),
                |ms| {
                    format!(
                        "p50 {:.1}   p90 {:.1}   p99 {:.1}   max {:.1}   ({})",
                        ms.p50, ms.p90, ms.p99, ms.max, ms.count
                    )
                },
            )
        };
        let pace = self.settings.options.rate.map_or_else(
            || format!("closed loop, {} in flight", self.settings.options.in_flight),
            |rate| format!("open loop, {rate}/s"),
        );
        writeln!(formatter, "load: {} messages, {pace}, {}", self.messages, self.machine)?;
        line(
            formatter,
            if self.settings.options.follow == Follow::Events {
                "messages/s to the last read"
            } else {
                "messages/s to the callbacks"
            },
            format!(
                "{:.0}   ({:.1} s; calls took {:.1} s)",
                self.messages_per_second, self.seconds, self.accept_seconds
            ),
        )?;
        line(formatter, "accepted, ms", latency(&self.accept_ms))?;
        line(formatter, "decided, ms", latency(&self.decision_ms))?;
        line(formatter, "read by the API, ms", latency(&self.end_to_end_ms))?;
        line(
            formatter,
            "CPU ms per message",
            format!("{:.3}", self.cpu_ms_per_message),
        )?;
        for (name, ms) in &self.cpu_ms_per_message_by_process {
            let memory = self.memory_mib[name];
            line(formatter, &format!("  {name}"), format!("{ms:.3}   ({memory:.0} MiB)"))?;
        }
        line(
            formatter,
            "  apart: simulator",
            format!(
                "{:.3}   ({:.0} MiB)",
                self.simulator_cpu_ms_per_message, self.simulator_memory_mib
            ),
        )?;
        line(
            formatter,
            "  apart: driver",
            format!("{:.3}", self.driver_cpu_ms_per_message),
        )?;
        line(
            formatter,
            "events",
            format!("{}   ({:.2} a message)", self.events, self.events_per_message),
        )?;
        for (name, count) in &self.events_by_type {
            line(formatter, &format!("  {name}"), count.to_string())?;
        }
        line(
            formatter,
            "flushes",
            format!("{}   ({:.1} events each)", self.flushes, self.events_per_flush),
        )?;
        for (name, (flushes, mean)) in &self.flushes_by_service {
            line(
                formatter,
                &format!("  {name}"),
                format!("{flushes:.0}   ({mean:.1} events each)"),
            )?;
        }
        line(
            formatter,
            "slices",
            format!("{:.0}   ({:.1} events each)", self.slices, self.events_per_slice),
        )?;
        line(
            formatter,
            "events told to subscribers",
            format!(
                "{}   ({} interruptions)",
                self.subscription_events, self.subscription_interruptions
            ),
        )?;
        if !self.told_backwards.is_empty() {
            line(formatter, "told after the end", format!("{:?}", self.told_backwards))?;
        }
        line(
            formatter,
            "opt-ins recorded",
            format!("{:.0} /s", self.messages as f64 / self.opt_in_seconds),
        )?;
        line(formatter, "fsync", format!("{:.0} us", self.settings.fsync_us))?;
        line(
            formatter,
            "acknowledged",
            format!(
                "{} of {}   ({} retries)",
                self.acknowledged, self.messages, self.retries
            ),
        )?;
        for statement in &self.statements {
            let per_message = statement.total_ms / self.messages as f64;
            let text: String = statement.text.chars().take(STATEMENT_SHOWN_MAX).collect();
            line(
                formatter,
                &format!("  {per_message:.4} ms a message"),
                format!("{:>7} calls {:>8} rows  {text}", statement.calls, statement.rows),
            )?;
        }
        for (error, count) in self.errors.iter().take(ERRORS_SHOWN_MAX) {
            line(formatter, "  failed", format!("{count} x {error}"))?;
        }
        line(formatter, "truth", format!("{:?}", self.verdict.truth))?;
        line(formatter, "told", format!("{:?}", self.verdict.told))?;
        line(formatter, "listed", format!("{:?}", self.verdict.listed))?;
        line(formatter, "funnel", format!("{:?}", self.verdict.funnel))?;
        let verdict = if self.is_right() { "all right" } else { "WRONG" };
        line(
            formatter,
            "verdict",
            format!(
                "{verdict}: lost {}, duplicated {}, wrong status {} ({} by events, {} by list), unacknowledged {}, unmarked {}",
                self.lost,
                self.duplicated,
                self.wrong_status,
                self.verdict.wrong_status_by_events,
                self.verdict.wrong_status_by_list,
                self.verdict.sent_unacknowledged,
                self.verdict.unmarked
            ),
        )
    }
}

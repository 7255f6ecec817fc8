//! What the log measures. Made once and held where it is counted: an append costs no look-up of a name, and a counter is on
//! the page with 0 before its first increase.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use crate::event::ShardId;

/// What a committer measures.
#[derive(Debug, Clone)]
pub(crate) struct CommitterMetrics {
    append_seconds: Histogram,
    flush_appends: Histogram,
    flush_events: Histogram,
    flush_seconds: Histogram,
    conflicts: Counter,
    retries: Counter,
}

impl CommitterMetrics {
    pub(crate) fn new() -> Self {
        Self {
            append_seconds: metrics::histogram!("assent_log_append_seconds"),
            flush_appends: metrics::histogram!("assent_log_flush_appends"),
            flush_events: metrics::histogram!("assent_log_flush_events"),
            flush_seconds: metrics::histogram!("assent_log_flush_seconds"),
            conflicts: metrics::counter!("assent_log_conflicts_total"),
            retries: metrics::counter!("assent_log_flush_retries_total"),
        }
    }

    /// An append was answered, whatever the answer; the time in the queue is part of it.
    pub(crate) fn append_answered(&self, took: Duration) {
        self.append_seconds.record(took);
    }

    /// A flush was settled.
    pub(crate) fn flushed(&self, (appends, events, conflicts): (usize, u64, u64), took: Duration) {
        self.flush_appends.record(appends as f64);
        self.flush_events.record(events as f64);
        self.flush_seconds.record(took);
        self.conflicts.increment(conflicts);
    }

    /// A flush is run again, because its outcome is not known.
    pub(crate) fn retried(&self) {
        self.retries.increment(1);
    }
}

/// What the live tails of a process measure.
#[derive(Debug)]
pub(crate) struct HubMetrics {
    /// JetStream was silent although the log had grown.
    pub(crate) silence_repairs: Counter,
    /// A slice did not follow on.
    pub(crate) gap_repairs: Counter,
}

impl HubMetrics {
    pub(crate) fn new() -> Self {
        Self {
            silence_repairs: metrics::counter!("assent_feed_silence_repairs_total"),
            gap_repairs: metrics::counter!("assent_feed_gap_repairs_total"),
        }
    }
}

/// What a key ring measures.
#[derive(Debug)]
pub(crate) struct KeyMetrics {
    pub(crate) destroyed: Counter,
    pub(crate) expired: Counter,
    pub(crate) obtain: StatementMetrics,
    pub(crate) load: StatementMetrics,
}

/// One kind of statement to the key table.
#[derive(Debug)]
pub(crate) struct StatementMetrics {
    statements: Counter,
    asked: Counter,
}

impl KeyMetrics {
    pub(crate) fn new() -> Self {
        let statement = |what: &'static str| StatementMetrics {
            statements: metrics::counter!("assent_keys_statements_total", "what" => what),
            asked: metrics::counter!("assent_keys_asked_total", "what" => what),
        };
        Self {
            destroyed: metrics::counter!("assent_keys_destroyed_total"),
            expired: metrics::counter!("assent_keys_expired_total"),
            obtain: statement("obtain"),
            load: statement("load"),
        }
    }
}

impl StatementMetrics {
    /// One statement, and how many keys it names.
    pub(crate) fn count(&self, keys: usize) {
        self.statements.increment(1);
        self.asked.increment(keys as u64);
    }
}

/// What the relay of a shard measures.
#[derive(Debug)]
pub(crate) struct RelayMetrics {
    pub(crate) slice_events: Histogram,
    pub(crate) position: Gauge,
    pub(crate) repairs: Counter,
}

impl RelayMetrics {
    pub(crate) fn new(shard: ShardId) -> Self {
        let position = metrics::gauge!("assent_relay_position", "shard" => shard.to_string());
        // Nothing is known before this process leads; the largest of all processes is where the relay is.
        position.set(f64::NAN);
        Self {
            slice_events: metrics::histogram!("assent_relay_slice_events"),
            position,
            repairs: metrics::counter!("assent_relay_repairs_total"),
        }
    }
}

//! Admission control: how much may be in flight, and how much accepted work may wait, before callers are asked to
//! come back later (I9). Callbacks and opt-outs never ask here.

use crate::{
    api_error::{ApiError, ErrorCode},
    config::{Check, Validate},
    counters::Counters,
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Limits of admission.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default)]
pub struct AdmissionConfig {
    /// Requests handled at a time.
    pub in_flight_max: usize,
    /// Accepted requests that may wait for their decision.
    pub backlog_max: u64,
    /// Shortest time a caller is asked to wait, in milliseconds.
    pub retry_after_min_ms: u64,
    /// Longest time a caller is asked to wait, in milliseconds.
    pub retry_after_max_ms: u64,
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        Self {
            in_flight_max: 4_096,
            backlog_max: 100_000,
            retry_after_min_ms: 100,
            retry_after_max_ms: 30_000,
        }
    }
}

impl Validate for AdmissionConfig {
    fn validate(&self, check: &mut Check) {
        check.range("in_flight_max", self.in_flight_max, 1, 1_000_000);
        check.range("backlog_max", self.backlog_max, 1, 100_000_000);
        check.range("retry_after_min_ms", self.retry_after_min_ms, 1, 60_000);
        check.range("retry_after_max_ms", self.retry_after_max_ms, 1, 600_000);
        check.ensure(
            "retry_after_max_ms",
            self.retry_after_max_ms >= self.retry_after_min_ms,
            "must not be less than retry_after_min_ms",
        );
    }
}

/// Too much is in flight or waiting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} reached its limit of {limit}")]
pub struct Overloaded {
    /// What is full: `in_flight` or `backlog`.
    pub what: &'static str,
    /// The limit.
    pub limit: u64,
    /// When it is worth asking again.
    pub retry_after: Duration,
}

impl From<Overloaded> for ApiError {
    fn from(overloaded: Overloaded) -> Self {
        ApiError::new(ErrorCode::Overloaded)
            .message("too much is waiting; nothing was recorded")
            .metadata("limit", overloaded.what)
            .retry_after(overloaded.retry_after)
    }
}

/// Decides who may come in. Clones share the counts.
#[derive(Debug, Clone)]
pub struct Admission(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: AdmissionConfig,
    in_flight: AtomicUsize,
    backlog: Mutex<Option<Backlog>>,
    refused: Counters,
}

#[derive(Debug)]
struct Backlog {
    /// Waiting when last looked at, plus what was admitted since.
    depth: u64,
    drained_per_second: f64,
}

/// The right to handle some requests; given back when dropped.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    admission: Admission,
    requests: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.0.in_flight.fetch_sub(self.requests, Ordering::AcqRel);
    }
}

impl Admission {
    /// Nothing in flight, and a backlog not known yet.
    pub fn new(config: AdmissionConfig) -> Self {
        Self(Arc::new(Inner {
            config,
            in_flight: AtomicUsize::new(0),
            backlog: Mutex::new(None),
            refused: Counters::new(
                "assent_runtime_admission_refused_total",
                ["limit"],
                [["in_flight"], ["backlog"]],
            ),
        }))
    }

    /// Lets `requests` in together, or none of them.
    pub fn try_admit(&self, requests: usize) -> Result<Permit, Overloaded> {
        let Inner {
            config,
            in_flight,
            backlog,
            ..
        } = &*self.0;
        let free = |now: usize| now.checked_add(requests).filter(|then| *then <= config.in_flight_max);
        if in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, free)
            .is_err()
        {
            return Err(self.refuse("in_flight", config.in_flight_max as u64, Duration::ZERO));
        }
        let permit = Permit {
            admission: self.clone(),
            requests,
        };
        let mut backlog = backlog.lock().expect("nothing panics while it holds this lock");
        if let Some(backlog) = backlog.as_mut() {
            let depth = backlog.depth.saturating_add(requests as u64);
            if depth > config.backlog_max {
                let excess = depth - config.backlog_max;
                let wait = excess as f64 / backlog.drained_per_second.max(f64::MIN_POSITIVE);
                let wait = Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX);
                return Err(self.refuse("backlog", config.backlog_max, wait));
            }
            // Counted at once, so that a burst between two looks cannot pass the limit.
            backlog.depth = depth;
        }
        Ok(permit)
    }

    /// Tells how many accepted requests wait, and how many per second get their decision. To be called several times a
    /// second by whoever follows the decisions; without news the backlog only grows, which is the safe side.
    pub fn observe_backlog(&self, depth: u64, drained_per_second: f64) {
        metrics::gauge!("assent_runtime_admission_backlog").set(depth as f64);
        let mut backlog = self.0.backlog.lock().expect("nothing panics while it holds this lock");
        *backlog = Some(Backlog {
            depth,
            drained_per_second,
        });
    }

    /// How many requests are handled now.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Acquire)
    }

    fn refuse(&self, what: &'static str, limit: u64, wait: Duration) -> Overloaded {
        self.0.refused.one([what]);
        Overloaded {
            what,
            limit,
            retry_after: self.clamp(wait),
        }
    }

    fn clamp(&self, wait: Duration) -> Duration {
        let config = &self.0.config;
        wait.clamp(
            Duration::from_millis(config.retry_after_min_ms),
            Duration::from_millis(config.retry_after_max_ms.max(config.retry_after_min_ms)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(in_flight_max: usize, backlog_max: u64) -> Admission {
        Admission::new(AdmissionConfig {
            in_flight_max,
            backlog_max,
            ..AdmissionConfig::default()
        })
    }

    #[test]
    fn what_is_in_flight_is_bounded_and_given_back() {
        let admission = admission(3, 1_000);
        let first = admission.try_admit(2).unwrap();
        let second = admission.try_admit(1).unwrap();
        let refused = admission.try_admit(1).unwrap_err();
        assert_eq!((refused.what, refused.limit), ("in_flight", 3));
        assert_eq!(refused.retry_after, Duration::from_millis(100));
        drop(first);
        assert_eq!(admission.in_flight(), 1);
        let _third = admission.try_admit(2).unwrap();
        drop(second);
    }

    #[test]
    fn a_refused_request_leaves_nothing_behind() {
        let admission = admission(10, 5);
        admission.observe_backlog(5, 10.0);
        assert!(admission.try_admit(1).is_err());
        assert_eq!(admission.in_flight(), 0);
    }

    #[test]
    fn a_burst_between_two_looks_cannot_pass_the_backlog_limit() {
        let admission = admission(1_000, 100);
        admission.observe_backlog(90, 10.0);
        let admitted = (0..50).filter(|_| admission.try_admit(1).is_ok()).count();
        assert_eq!(admitted, 10);
        admission.observe_backlog(0, 10.0);
        assert!(admission.try_admit(1).is_ok());
    }

    #[test]
    fn callers_are_told_to_wait_as_long_as_the_excess_takes() {
        let admission = admission(1_000, 100);
        admission.observe_backlog(150, 10.0);
        assert_eq!(
            admission.try_admit(50).unwrap_err().retry_after,
            Duration::from_secs(10)
        );
        admission.observe_backlog(100, 0.0);
        assert_eq!(admission.try_admit(1).unwrap_err().retry_after, Duration::from_secs(30));
    }

    #[test]
    fn a_refusal_becomes_resource_exhausted_with_retry_info() {
        use tonic_types::StatusExt as _;
        let refused = admission(1, 1).try_admit(2).unwrap_err();
        let status = tonic::Status::from(ApiError::from(refused));
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        let details = status.get_error_details();
        assert_eq!(
            details.retry_info().unwrap().retry_delay,
            Some(Duration::from_millis(100))
        );
    }
}

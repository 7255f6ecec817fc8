//! The admin port: is the process alive, is it ready and if not why, and its metrics.

use crate::telemetry::Metrics;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Instant,
};
use tokio::sync::watch;

/// Whether the process can do its work: all conditions its parts named are met. Clones are the same.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    conditions: Mutex<BTreeMap<&'static str, ConditionState>>,
    ready: watch::Sender<bool>,
}

#[derive(Debug)]
struct ConditionState {
    /// Why it is not met; `None` when it is.
    reason: Option<String>,
    since: Instant,
}

/// One named condition of readiness, in the hands of the part that knows.
#[derive(Debug, Clone)]
pub struct Condition {
    name: &'static str,
    readiness: Readiness,
}

/// A condition as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConditionReport {
    /// Its name, e.g. `database`.
    pub name: &'static str,
    /// Whether it is met.
    pub met: bool,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when it is as it is, in seconds.
    pub for_seconds: u64,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// Ready, as long as nobody names a condition.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            conditions: Mutex::default(),
            ready: watch::Sender::new(true),
        }))
    }

    /// Names a condition; it is not met until [`Condition::met`] says so. The same name is the same condition.
    pub fn condition(&self, name: &'static str) -> Condition {
        let condition = Condition {
            name,
            readiness: self.clone(),
        };
        let known = self.lock().contains_key(name);
        if !known {
            condition.unmet("starting");
        }
        condition
    }

    /// Whether every condition is met.
    pub fn is_ready(&self) -> bool {
        *self.0.ready.borrow()
    }

    /// Follows the readiness.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.0.ready.subscribe()
    }

    /// Every condition, by name.
    pub fn report(&self) -> Vec<ConditionReport> {
        let report = |(name, state): (&&'static str, &ConditionState)| ConditionReport {
            name,
            met: state.reason.is_none(),
            reason: state.reason.clone(),
            for_seconds: state.since.elapsed().as_secs(),
        };
        self.lock().iter().map(report).collect()
    }

    fn set(&self, name: &'static str, reason: Option<String>) {
        let mut conditions = self.lock();
        let before = conditions.get(name);
        let turned = before.is_none_or(|state| state.reason.is_some() != reason.is_some());
        let since = before
            .filter(|_| !turned)
            .map_or_else(Instant::now, |state| state.since);
        if turned {
            tracing::info!(
                condition = name,
                met = reason.is_none(),
                reason = reason.as_deref(),
                "readiness condition"
            );
            let met = if reason.is_none() { 1.0 } else { 0.0 };
            metrics::gauge!("assent_runtime_ready", "condition" => name).set(met);
        }
        conditions.insert(name, ConditionState { reason, since });
        let ready = conditions.values().all(|state| state.reason.is_none());
        // Under the lock, so that two parts cannot overtake each other.
        self.0
            .ready
            .send_if_modified(|now| std::mem::replace(now, ready) != ready);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, ConditionState>> {
        self.0
            .conditions
            .lock()
            .expect("nothing panics while it holds this lock")
    }
}

impl Condition {
    /// It is met.
    pub fn met(&self) {
        self.readiness.set(self.name, None);
    }

    /// It is not met, and why; without personal data.
    pub fn unmet(&self, reason: impl Into<String>) {
        self.readiness.set(self.name, Some(reason.into()));
    }
}

#[derive(Clone)]
struct Admin {
    readiness: Readiness,
    metrics: Metrics,
}

/// The routes of the admin port: `/livez`, `/readyz`, `/metrics`.
pub fn router(readiness: Readiness, metrics: Metrics) -> Router {
    Router::new()
        // That it answers at all is the whole answer: a wedged runtime does not.
        .route("/livez", get(async || "live\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(Admin { readiness, metrics })
}

async fn ready(State(admin): State<Admin>) -> Response {
    let conditions = admin.readiness.report();
    let ready = conditions.iter().all(|condition| condition.met);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = serde_json::json!({ "ready": ready, "conditions": conditions });
    (status, Json(body)).into_response()
}

async fn render(State(admin): State<Admin>) -> Response {
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], admin.metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_every_named_condition_is_met() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        let database = readiness.condition("database");
        let feed = readiness.condition("feed");
        assert!(!readiness.is_ready());
        database.met();
        assert!(!readiness.is_ready());
        feed.met();
        assert!(readiness.is_ready());
        feed.unmet("lags by 9000 events");
        let reasons: Vec<_> = readiness
            .report()
            .into_iter()
            .filter_map(|condition| condition.reason)
            .collect();
        assert_eq!(reasons, ["lags by 9000 events"]);
    }

    #[test]
    fn naming_a_condition_again_does_not_reset_it() {
        let readiness = Readiness::new();
        readiness.condition("database").met();
        readiness.condition("database");
        assert!(readiness.is_ready());
    }

    #[tokio::test]
    async fn watchers_hear_of_every_turn() {
        let readiness = Readiness::new();
        let mut watch = readiness.watch();
        let database = readiness.condition("database");
        watch.changed().await.unwrap();
        assert!(!*watch.borrow_and_update());
        database.met();
        watch.changed().await.unwrap();
        assert!(*watch.borrow_and_update());
    }
}

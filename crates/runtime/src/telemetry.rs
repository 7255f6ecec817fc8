//! Logs, traces and metrics of a process.
//!
//! Logs go to stderr. Traces go to an OTLP collector when one is configured; a collector that is not there costs
//! nothing but its traces. Metrics are kept for the admin port to show.

use crate::{
    config::{Check, Validate},
    supervise,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use opentelemetry::{
    propagation::TextMapPropagator as _,
    trace::{TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, fmt, time::Duration};
use tracing::{Dispatch, Level, Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt as _, filter_fn},
    layer::SubscriberExt as _,
};

/// Longest time an export of traces may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time the last export may hold up the end of the process.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
/// How often histograms are compacted, so that a process nobody scrapes does not grow.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Length of a W3C `traceparent`; longer ones are not read.
const TRACEPARENT_BYTES_MAX: usize = 128;

/// Buckets of histograms that end in `_seconds`.
const SECONDS_BUCKETS: [f64; 16] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0,
];
/// Buckets of all other histograms: sizes of batches and the like.
const COUNT_BUCKETS: [f64; 12] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 4_096.0,
];

/// How a process reports about itself.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default)]
pub struct TelemetryConfig {
    /// How logs are written.
    pub log_format: LogFormat,
    /// Which logs are written, as tracing's filter directives, e.g. `info,assent_dispatcher=debug`.
    pub log_filter: String,
    /// OTLP collector (gRPC) traces are sent to, e.g. `http://127.0.0.1:4317`; without it there are none.
    pub otlp_endpoint: Option<String>,
    /// Share of traces kept, 0 to 1, decided where a trace begins.
    pub trace_ratio: f64,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Text,
            log_filter: "info".to_owned(),
            otlp_endpoint: None,
            trace_ratio: 1.0,
        }
    }
}

impl Validate for TelemetryConfig {
    fn validate(&self, check: &mut Check) {
        check.range("trace_ratio", self.trace_ratio, 0.0, 1.0);
        if let Err(error) = EnvFilter::try_new(&self.log_filter) {
            check.problem("log_filter", error.to_string());
        }
        if let Some(endpoint) = &self.otlp_endpoint {
            let plausible = endpoint
                .parse::<axum::http::Uri>()
                .is_ok_and(|uri| uri.scheme_str() == Some("http"));
            check.ensure("otlp_endpoint", plausible, "must be of the form http://host:port");
        }
    }
}

/// Why a process cannot report about itself.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// It was set up before.
    #[error("telemetry was already set up in this process")]
    AlreadyInstalled,
    /// The filter cannot be read.
    #[error("the log filter cannot be read")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The exporter cannot be made; not whether the collector answers.
    #[error("the OTLP exporter cannot be made")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// The metrics of the process, as Prometheus reads them.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// The text to answer a scrape with.
    pub fn render(&self) -> String {
        self.0.render()
    }

    fn recorder() -> PrometheusRecorder {
        PrometheusBuilder::new()
            .set_buckets(&COUNT_BUCKETS)
            .and_then(|builder| {
                builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
            })
            .expect("the bucket lists are not empty")
            .build_recorder()
    }

    /// Metrics nobody writes to; for tests of what shows them.
    pub fn detached() -> Self {
        Self(Self::recorder().handle())
    }

    /// What stands on the page after `work`, which runs on this thread with a page of its own.
    #[cfg(test)]
    pub(crate) fn recorded<T>(work: impl FnOnce() -> T) -> (String, T) {
        let recorder = Self::recorder();
        let page = recorder.handle();
        let done = metrics::with_local_recorder(&recorder, work);
        (page.render(), done)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

/// Logs, traces and metrics at work. Keep it until the end of the process, then call [`Telemetry::shutdown`].
#[derive(Debug)]
pub struct Telemetry {
    metrics: Metrics,
    tracer: Option<SdkTracerProvider>,
    upkeep: tokio::task::JoinHandle<()>,
}

impl Telemetry {
    /// Sets up logs, traces and metrics for the whole process, once, with `service` as its name. Needs a tokio runtime.
    pub fn install(config: &TelemetryConfig, service: &'static str) -> Result<Self, TelemetryError> {
        let (dispatch, tracer) = subscriber(config, service)?;
        let recorder = Metrics::recorder();
        let metrics = Metrics(recorder.handle());
        metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::AlreadyInstalled)?;
        tracing::dispatcher::set_global_default(dispatch).map_err(|_| TelemetryError::AlreadyInstalled)?;
        let handle = metrics.0.clone();
        let upkeep = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
            loop {
                ticks.tick().await;
                handle.run_upkeep();
            }
        });
        Ok(Self {
            metrics,
            tracer,
            upkeep,
        })
    }

    /// The metrics, for the admin port.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Sends the traces still waiting; gives up after a few seconds, so that a dead collector cannot hold up the end.
    pub async fn shutdown(mut self) {
        if let Some(tracer) = self.tracer.take() {
            flush(tracer).await;
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}

/// Ends a tracer provider on a thread of its own, for it blocks.
async fn flush(tracer: SdkTracerProvider) {
    let ending = tokio::task::spawn_blocking(move || tracer.shutdown_with_timeout(FLUSH_TIMEOUT));
    let ended = tokio::time::timeout(FLUSH_TIMEOUT + Duration::from_secs(1), ending).await;
    if !matches!(ended, Ok(Ok(Ok(())))) {
        tracing::warn!("the last traces could not be delivered");
    }
}

fn subscriber(
    config: &TelemetryConfig,
    service: &'static str,
) -> Result<(Dispatch, Option<SdkTracerProvider>), TelemetryError> {
    let format = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let logs: Box<dyn Layer<Registry> + Send + Sync> = match config.log_format {
        LogFormat::Json => format.json().flatten_event(true).boxed(),
        LogFormat::Text => format.with_ansi(false).boxed(),
    };
    let filter = EnvFilter::try_new(&config.log_filter)?;
    let Some(provider) = tracer_provider(config, service)? else {
        // Spans are for traces. Without any, logs ask for none but the task's, which tells an operator who speaks, and no other is
        // made: that costs each request more than a line of log could gain by it.
        let wanted = |metadata: &Metadata<'_>| metadata.is_event() || metadata.target() == supervise::SPAN_TARGET;
        let logs = logs.with_filter(filter.and(filter_fn(wanted)));
        return Ok((Dispatch::new(tracing_subscriber::registry().with(logs)), None));
    };
    // Only our own spans: those of the exporter's transport would make every export cause the next.
    let ours = filter_fn(|metadata| *metadata.level() <= Level::INFO && metadata.target().starts_with("assent"));
    let traces = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("assent"))
        .with_filter(ours);
    let subscriber = tracing_subscriber::registry()
        .with(logs.with_filter(filter))
        .with(traces);
    Ok((Dispatch::new(subscriber), Some(provider)))
}

fn tracer_provider(
    config: &TelemetryConfig,
    service: &'static str,
) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let Some(endpoint) = &config.otlp_endpoint else {
        return Ok(None);
    };
    // It connects when there is something to send, and again after every failure.
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.trace_ratio)));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(sampler)
        .with_resource(Resource::builder().with_service_name(service).build())
        .build();
    Ok(Some(provider))
}

/// The W3C `traceparent` of the span we are in: what goes into event metadata, NATS headers and HTTP calls. `None`
/// when no traces are collected.
pub fn current_traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| {
        format!(
            "00-{}-{}-{:02x}",
            span.trace_id(),
            span.span_id(),
            span.trace_flags().to_u8()
        )
    })
}

/// Makes `span` a child of the span a `traceparent` names. One that cannot be read changes nothing. To be called
/// before the span is first entered.
pub fn set_parent(span: &Span, traceparent: &str) {
    if traceparent.len() > TRACEPARENT_BYTES_MAX {
        return;
    }
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let parent = TraceContextPropagator::new().extract(&carrier);
    if parent.span().span_context().is_valid() {
        // It fails only where no traces are collected.
        let _ = span.set_parent(parent);
    }
}

#[cfg(test)]
mod tests;

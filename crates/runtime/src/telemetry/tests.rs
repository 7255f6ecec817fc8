use super::*;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use std::time::Instant;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// An OTLP collector that hands on what it receives.
struct Collector(mpsc::Sender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0
            .send(request.into_inner())
            .await
            .map_err(|_| Status::unavailable("nobody listens"))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn with_endpoint(endpoint: String) -> TelemetryConfig {
    TelemetryConfig {
        otlp_endpoint: Some(endpoint),
        log_filter: "off".to_owned(),
        ..TelemetryConfig::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_reaches_a_real_collector_with_the_parent_it_was_given() {
    let incoming = tonic::transport::server::TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let (sender, mut received) = mpsc::channel(8);
    let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(Collector(sender)));
    tokio::spawn(server.serve_with_incoming(incoming));

    let (dispatch, tracer) = subscriber(&with_endpoint(format!("http://{address}")), "assent-test").unwrap();
    let traceparent = tracing::dispatcher::with_default(&dispatch, || {
        let span = tracing::info_span!(target: "assent_test", "request.accept");
        set_parent(&span, PARENT);
        let _entered = span.enter();
        current_traceparent().unwrap()
    });
    assert!(
        traceparent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"),
        "{traceparent}"
    );
    assert!(traceparent.ends_with("-01"), "{traceparent}");
    assert!(
        !traceparent.contains("00f067aa0ba902b7"),
        "a child has an id of its own"
    );
    flush(tracer.unwrap()).await;

    let request = received.recv().await.unwrap();
    let resource = request.resource_spans.into_iter().next().unwrap();
    let spans = &resource.scope_spans[0].spans;
    assert_eq!(spans[0].name, "request.accept");
    assert_eq!(
        spans[0].parent_span_id,
        [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_does_not_fail_or_hold_up_the_service() {
    // A port that was free a moment ago and that nobody listens on.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (dispatch, tracer) = subscriber(&with_endpoint(format!("http://{closed}")), "assent-test").unwrap();
    tracing::dispatcher::with_default(&dispatch, || {
        tracing::info_span!(target: "assent_test", "request.accept")
            .in_scope(|| assert!(current_traceparent().is_some()));
    });
    let begun = Instant::now();
    flush(tracer.unwrap()).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ratio_of_nothing_samples_nothing_but_follows_a_sampled_parent() {
    let config = TelemetryConfig {
        trace_ratio: 0.0,
        ..with_endpoint("http://127.0.0.1:1".to_owned())
    };
    let (dispatch, _tracer) = subscriber(&config, "assent-test").unwrap();
    tracing::dispatcher::with_default(&dispatch, || {
        let root = tracing::info_span!(target: "assent_test", "root");
        root.in_scope(|| assert!(current_traceparent().unwrap().ends_with("-00")));
        let child = tracing::info_span!(target: "assent_test", "child");
        set_parent(&child, PARENT);
        child.in_scope(|| assert!(current_traceparent().unwrap().ends_with("-01")));
    });
}

#[test]
fn without_a_collector_there_is_no_traceparent_and_a_given_one_does_no_harm() {
    let (dispatch, tracer) = subscriber(&TelemetryConfig::default(), "assent-test").unwrap();
    assert!(tracer.is_none());
    tracing::dispatcher::with_default(&dispatch, || {
        let span = tracing::info_span!("request");
        for traceparent in [PARENT, "", "nonsense", &"0".repeat(10_000)] {
            set_parent(&span, traceparent);
        }
        assert_eq!(span.in_scope(current_traceparent), None);
        assert!(span.is_disabled(), "nobody would see it");
        let task = tracing::info_span!(target: supervise::SPAN_TARGET, "task");
        assert!(!task.is_disabled(), "logs name it");
        assert!(tracing::event_enabled!(Level::INFO), "logs are written all the same");
    });
}

#[test]
fn wrong_settings_are_named() {
    let environment = crate::config::Environment::default();
    let text = "log_filter = 'assent=loud'\notlp_endpoint = 'collector'\ntrace_ratio = 1.5\nlog_format = 'xml'";
    let problems = crate::config::Loader::new(&environment)
        .load_text::<TelemetryConfig>("t", &text.replace("\nlog_format = 'xml'", ""))
        .unwrap_err();
    let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["log_filter", "otlp_endpoint", "trace_ratio"]);
    let problems = crate::config::Loader::new(&environment)
        .load_text::<TelemetryConfig>("t", text)
        .unwrap_err();
    assert!(
        problems.to_string().contains("`xml` is none of json, text"),
        "{problems}"
    );
}

#[test]
fn durations_and_counts_are_shown_as_histograms() {
    let (text, ()) = Metrics::recorded(|| {
        metrics::histogram!("assent_test_accept_seconds").record(0.004);
        metrics::histogram!("assent_test_batch_events").record(3.0);
        metrics::counter!("assent_test_things_total").increment(2);
    });
    for expected in [
        "assent_test_accept_seconds_bucket{le=\"0.005\"} 1",
        "assent_test_batch_events_bucket{le=\"4\"} 1",
        "assent_test_things_total 2",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

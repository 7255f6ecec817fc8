//! An OTLP receiver, as a collector listens.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use prost::Message as _;
use tonic::{Request, Response, Status};

/// Keeps everything it is sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Collector {
    received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

/// A span, with the service it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Traced {
    pub(crate) service: String,
    pub(crate) span: Span,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.received.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Listens; the address is where services send their traces.
    pub(crate) fn start() -> (Self, SocketAddr) {
        let collector = Self::default();
        let incoming = tonic::transport::server::TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(incoming));
        (collector, address)
    }

    /// All spans so far.
    pub(crate) fn spans(&self) -> Vec<Traced> {
        let received = self.received.lock().unwrap();
        let mut spans = Vec::new();
        for resource in received.iter().flat_map(|request| &request.resource_spans) {
            let mut attributes = resource.resource.iter().flat_map(|resource| &resource.attributes);
            let name = attributes.find(|attribute| attribute.key == "service.name");
            let service = name.map(|name| format!("{:?}", name.value)).unwrap_or_default();
            let all = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.extend(all.map(|span| Traced {
                service: service.clone(),
                span: span.clone(),
            }));
        }
        spans
    }

    /// Everything as it came over the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let received = self.received.lock().unwrap();
        received
            .iter()
            .flat_map(ExportTraceServiceRequest::encode_to_vec)
            .collect()
    }
}

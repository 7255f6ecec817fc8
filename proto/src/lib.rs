//! The public gRPC contract, assent.v1, compiled without protoc.

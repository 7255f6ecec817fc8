//! The public gRPC contract, `assent.v1`, compiled from `assent/v1/*.proto` without protoc.
//!
//! - Every field that can hold personal data carries the standard option `debug_redact`; the generated types print
//!   `<redacted>` for it, so that a request in a log line cannot leak a phone number.
//! - Which errors a method may answer stands above the method in its `.proto` file.
//! - [`FILE_DESCRIPTOR_SET`] is what the reflection service hands out.

/// Version 1 of the public contract.
pub mod v1 {
    // The documentation of generated code is the comments of the .proto files; the lints for hand-written code do not
    // fit what prost and tonic generate.
    #![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

    tonic::include_proto!("assent.v1");

    include!(concat!(env!("OUT_DIR"), "/redacted_debug.rs"));
}

/// The encoded `google.protobuf.FileDescriptorSet` of the contract, with imports and comments.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/assent_v1_descriptor.bin"));

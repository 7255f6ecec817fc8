//! What every service shares: configuration, tenants, the gRPC and admin ports, telemetry, supervision and shutdown.
//!
//! A role starts in this order: [`config`] is loaded (exit code 64 when it is wrong), [`telemetry`] is set up, the
//! [`tenants`] are read, ports are bound ([`grpc`], [`http`], [`admin`]), tasks are started under [`supervise`] and
//! [`shutdown`] is listened for. It ends in the opposite order, telemetry last, so that the end is reported too.
//!
//! [`platform`] is what all services of a process stand on: the store, the feeds, the keys and the names of things. [`log`]
//! turns domain events into stored ones and back, [`streams`] says where each
//! one stands, and [`facts`] folds what the gates look at. A service mounts itself on a [`host`].
//!
//! Nothing here knows a rule of the business.

pub mod admin;
pub mod admission;
pub mod api_error;
pub mod config;
pub mod counters;
mod database;
pub mod erasures;
pub mod facts;
pub mod grpc;
mod hex;
pub mod host;
pub mod http;
mod lag;
pub mod log;
pub mod platform;
pub mod settings;
pub mod shutdown;
pub mod streams;
pub mod supervise;
pub mod telemetry;
pub mod tenants;
pub mod tls;
pub mod wa_ids;

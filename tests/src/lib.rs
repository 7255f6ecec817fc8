//! End-to-end, fault and load tests of the whole system, and the runners that measure it.
//!
//! The library holds what those suites and runners share:
//!
//! * [`chaos`]: histories of many processes around the log while everything is killed, and their check;
//! * [`servers`]: real Postgres and NATS servers of one's own, that can be killed and started again;
//! * [`processes`]: child processes with their output, CPU time and memory, that can be killed at any moment;
//! * [`stats`]: percentiles, the cost of an fsync, and a description of the machine for reports;
//! * [`system`]: the whole system as processes, with its public API and the simulator as the judge.
//!
//! `tests/run` installs the servers and runs everything; see [`servers::require`] for what happens without them.

pub mod chaos;
pub mod processes;
pub mod servers;
pub mod stats;
pub mod system;

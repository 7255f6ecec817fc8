//! The whole system as processes, while they are killed, stopped, flooded and asked nonsense.
//!
//! Each test starts its own Postgres, NATS, simulator and services. What is judged is what the simulator accepted, against
//! what callers were told. Sizes are such that the suite fits a test run; the environment makes them full:
//!
//! * `ASSENT_TEST_FULL=1`: 5,000 messages under 20 kills, callbacks for 60 s without services, 20,000 waiting messages,
//!   a rolling restart under 300 messages a second;
//! * `ASSENT_TEST_SEED=N`: another seed for what is drawn; it is printed;
//! * `ASSENT_OLD_BINARY=FILE`: the rolling restart is an upgrade from that binary, and then taken back.

#![expect(
    clippy::unwrap_used,
    reason = "a test; clippy only knows the functions marked as tests"
)]

mod callbacks;
mod collector;
mod dashboards;
mod doctor;
mod frozen;
mod hang_ups;
mod kills;
mod owners;
mod restore;
mod rolling_restart;
mod secrecy;
mod stop;
mod support;
mod traces;
mod upgrade;
mod wrong_input;

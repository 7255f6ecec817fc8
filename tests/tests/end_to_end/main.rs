//! Every type of message, all the way: `SendMessage`, gates, dispatcher, Meta, callbacks, timeline. All four services on one
//! host with SQLite, and the simulator as Meta.

#![expect(
    clippy::unwrap_used,
    reason = "a test; clippy only knows the functions marked as tests"
)]

mod content;
mod inbound;
mod kinds;
mod references;
mod templates;
mod world;

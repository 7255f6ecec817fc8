//! Sending callbacks: what they look like, how they are signed, how they reach their destination.

mod clients;
mod courier;
mod payload;
mod signature;

pub(crate) use clients::Clients;
pub use courier::CallbackCounts;
pub(crate) use courier::{Courier, Ledger};
#[cfg(test)]
pub(crate) use payload::render;

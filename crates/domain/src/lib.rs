//! The pure rules of Assent: what may happen, and what follows from what happened.
//!
//! No I/O, no clock, no randomness, no async (invariant I3). The time and every id arrive in a command, so the same
//! history and the same command always give the same answer, in a test, in production and in a rebuild years later.
//!
//! # A walk through
//!
//! A caller asks for a message. Its parts are parsed into [`values`]: a [`PhoneNumber`](values::PhoneNumber) that exists is a
//! possible one. [`request`] takes it in once per idempotency key (`request.submitted`).
//!
//! The consent service folds what it knows of the person into a [`contact::Contact`], asks the [`gates`] and records what
//! they say through [`decision`]: `decision.authorized` with the evidence, or `decision.refused` with every reason.
//!
//! The dispatcher makes an [`attempt`] durable before it calls Meta, records what came of it, and never resends blindly.
//!
//! Meta's callbacks come in any order and more than once. [`delivery`] folds them, with everything above, into one state.
//! [`explain`] tells the whole story in sentences.
//!
//! All of them speak in [`events`], the catalogue of what can happen, with its stable wire names and the owner of each
//! stream. The rules themselves are [`decider::Decider`]s: decide, evolve, and a state that starts empty.
//!
//! # Personal data
//!
//! Events hold it only as `Sealed`, look-ups go by keyed hash, and no type of this crate shows any in Debug output or in an
//! error. Sentences and refusals name templates, categories, codes and moments, never people.

pub mod attempt;
pub mod contact;
pub mod decider;
pub mod decision;
pub mod delivery;
pub mod events;
pub mod explain;
pub mod gates;
pub mod keywords;
pub mod request;
pub mod suppression;
pub mod values;

#[cfg(test)]
mod purity;
#[cfg(test)]
mod testing;

pub use decider::Decider;

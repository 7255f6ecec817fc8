//! HTTP: the Graph API on one side, the control API under `/_sim` on the other.

mod business;
mod connection;
mod control;
mod graph;
mod management;
mod media;
mod number_edges;
mod query;
mod server;
mod uploads;
mod worlds;

pub(crate) use server::{App, serve};
pub(crate) use worlds::Worlds;

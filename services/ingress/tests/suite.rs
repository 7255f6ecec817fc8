//! Ingress on a direct feed, over real sockets, with a stand-in for the consent service.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "../../../tests/suites/database.rs"]
mod database;

mod suite {
    mod callbacks;
    mod fuzz;
    mod inbound;
    mod permutations;
    mod reading;
    mod requests;
    mod streams;
    mod templates;
    mod world;
}

//! The consent service on a direct feed, over a real socket; callbacks and requests are written as ingress would.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "../../../tests/suites/database.rs"]
mod database;

mod suite {
    mod calls;
    mod deciding;
    mod erasing;
    mod withdrawing;
    mod world;
}

//! The consent service on SQLite and a direct feed, over a real socket; callbacks and requests are written as ingress would.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod suite {
    mod calls;
    mod deciding;
    mod erasing;
    mod withdrawing;
    mod world;
}

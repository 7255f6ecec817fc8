//! The simulator as its users meet it: over HTTP, on a free port, with a real callback receiver.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod suite {
    mod answers;
    mod business;
    mod callbacks;
    mod clients;
    mod control;
    mod faults;
    mod https;
    mod management;
    mod media;
    mod support;
    mod time;
}

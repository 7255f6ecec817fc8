//! The simulator as its users meet it: over HTTP, on a free port, with a real callback receiver.

mod suite {
    mod answers;
    mod callbacks;
    mod control;
    mod faults;
    mod management;
    mod support;
}

//! Takes requests and callbacks.

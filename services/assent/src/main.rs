//! The one binary: every role, the demo and the command line.
fn main() {}

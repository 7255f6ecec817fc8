//! The pure rules: values, deciders, gates and the delivery lattice. No I/O, no clock, no randomness.

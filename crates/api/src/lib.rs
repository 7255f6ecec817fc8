//! The public contract and the domain, each in terms of the other.

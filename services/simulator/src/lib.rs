//! Meta's Cloud API on loopback: virtual users with a hidden truth, signed callbacks and faults on demand.

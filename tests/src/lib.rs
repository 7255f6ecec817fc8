//! End-to-end, fault and load tests of the whole system, and the runners that measure it.

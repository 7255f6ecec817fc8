//! The status-tracker on SQLite and a direct feed, with the simulator in the same process.

#[cfg(test)]
mod suite {
    mod managing;
    mod observing;
    mod people;
    mod subscribing;
    mod support;
    mod suppressing;
}

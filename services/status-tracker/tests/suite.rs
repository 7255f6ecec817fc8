//! The status-tracker on a direct feed, with the simulator in the same process.

#[cfg(test)]
#[path = "../../../tests/suites/database.rs"]
mod database;

#[cfg(test)]
mod suite {
    mod managing;
    mod observing;
    mod people;
    mod subscribing;
    mod support;
    mod suppressing;
}

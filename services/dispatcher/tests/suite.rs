//! The dispatcher against the simulator, with a direct feed: everything in this process, nothing else needed on SQLite.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "suite/chaos.rs"]
mod chaos;
#[path = "../../../tests/suites/database.rs"]
mod database;
#[path = "suite/files.rs"]
mod files;
#[path = "suite/handed_over.rs"]
mod handed_over;
#[path = "suite/held_back.rs"]
mod held_back;
#[path = "suite/links.rs"]
mod links;
#[path = "suite/retries.rs"]
mod retries;
#[path = "suite/sending.rs"]
mod sending;
#[path = "suite/stage.rs"]
mod stage;
#[path = "suite/unknowns.rs"]
mod unknowns;

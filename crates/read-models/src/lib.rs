//! What is asked often, folded from the log: messages, the funnel, the quality of numbers, people not written to.
//!
//! Anybody may ask ([`messages`], [`funnel`], [`quality`], [`blocked`]); the status-tracker alone keeps the answers up to
//! date, by one durable reader for each shard ([`Views::run`]). Everything here can be thrown away and made again from the
//! log while the old answers keep being given ([`Views::rebuild`]), and what comes out is the same ([`Views::digest`]).
//!
//! # A walk through
//!
//! 1. `decode` reads from each event only what a view needs, never anything sealed.
//! 2. `batch` folds a batch of events in memory: one entry for each message that it touches.
//! 3. `apply` loads the rows of those messages with one statement, joins the two, writes what changed with one statement
//!    for each table, and moves the position in the same transaction.
//! 4. `rebuild` does the same into tables of another name, and renames them once they have caught up.
//!
//! # Why a rebuild gives the same
//!
//! A row is a function of the *set* of events about it: a message's progress is a lattice ([`Progress`]), and the counts are
//! sums over messages of a function of the message ([`messages::Summary`] in, steps out), so they are corrected by the
//! difference whenever a message changes. Where the batches end, which callback came first and how often makes no difference.
//!
//! Nothing in here is personal data: an erasure leaves every view as it is, apart from the consents that end with it.

mod apply;
mod batch;
pub mod blocked;
mod codec;
mod db;
mod decode;
mod digest;
mod error;
pub mod funnel;
pub mod limits;
pub mod messages;
mod page;
mod progress;
pub mod quality;
mod rebuild;
mod row;
mod run;
mod schema;
mod views;

pub use error::{QueryError, RebuildError, ViewsError};
pub use page::{Page, Paged};
pub use progress::Progress;
pub use rebuild::Rebuilding;
pub use run::FEED;
pub use schema::{UnknownView, View};
pub use views::{Position, Views};

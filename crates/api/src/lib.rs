//! The public contract (`assent.v1`) and the domain, each in terms of the other.
//!
//! Pure conversions: whatever comes in is parsed into values of the domain, and everything wrong with it is collected, so
//! that a caller learns of all bad fields at once; whatever goes out is rendered from values and events. No rule lives
//! here. Nothing that is wrong is quoted: a field may hold personal data.
//!
//! | module | there | back |
//! |---|---|---|
//! | [`recipient`], [`content`], [`category`], [`timestamp`], [`ids`], [`tags`] | parse | render |
//! | [`vocabulary`] | | states, gates and reasons of refusal, one to one |
//! | [`decision`] | | decisions, dry runs, the error of a refusal |
//! | [`message`] | | a message, its timeline and its story out of its events |
//! | [`template`] | | what a template consists of, and what does not fit it |
//! | [`provider`] | | what Meta answered to a call made for a caller |
//! | [`problems`] | what is wrong with a request | |

pub mod category;
pub mod content;
pub mod decision;
pub mod ids;
pub mod inbound;
pub mod message;
pub mod problems;
pub mod provider;
pub mod recipient;
pub mod tags;
pub mod template;
pub mod timestamp;
pub mod vocabulary;

pub use problems::Problems;

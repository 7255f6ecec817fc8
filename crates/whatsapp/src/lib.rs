//! Meta's WhatsApp Cloud API, for a client: what may be sent, how it is sent, what came back, and what Meta calls back.
//!
//! The crate knows the platform and nothing of Assent: no consent, no campaigns, no event log. Its four promises:
//!
//! * **A send has one of four ends, told apart precisely** ([`client::SendError`]): nothing left this machine, Meta
//!   refused, Meta throttled, or nobody can say. The platform has no idempotency key, so only the first and the third
//!   may ever be repeated without asking.
//! * **What Meta would refuse for its shape is refused here first**, all problems at once, each with the path of its
//!   field ([`message::OutgoingMessage::validate`]).
//! * **No callback is lost for its shape.** A field, kind or value this crate has never seen comes out as
//!   [`callback::Update::Unrecognised`] with the text as Meta wrote it.
//! * **Nothing personal in `Debug` or in error texts.** Phone numbers, names, message texts and message ids (which
//!   contain the phone number) are reachable by name only.
//!
//! | module | noun |
//! |---|---|
//! | [`message`] | what is sent, and the local check of it |
//! | [`template`] | what a template says of itself: whether a message fits it, how it looks, what Meta would refuse |
//! | [`media`] | what a file is, and whether it may be sent |
//! | [`client`] | the HTTP calls |
//! | [`callback`] | what Meta reports back |
//! | [`signature`], [`challenge`] | proof that a callback is Meta's, and that the endpoint is ours |
//! | [`graph_error`], [`error_table`] | an error as Meta states it, and what is known of its code |
//! | [`limits`] | every number Meta documents |
//! | [`text`] | formatting marks, links that need an app, `wa.me` links and their QR codes |

pub mod callback;
pub mod challenge;
pub mod client;
pub mod error_table;
pub mod graph_error;
pub mod limits;
pub mod media;
pub mod message;
pub mod secret;
pub mod signature;
pub mod template;
pub mod text;
pub mod timestamp;
pub mod wamid;

mod json;
mod open_enum;
mod redact;

pub use graph_error::GraphError;
pub use secret::Secret;
pub use timestamp::Timestamp;
pub use wamid::Wamid;

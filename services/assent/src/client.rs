//! Commands for callers: what a business backend does over gRPC, done by hand.

mod connect;
mod consent;
mod content;
mod events;
mod failure;
mod json;
mod media;
mod messages;
mod words;

use connect::Service;
pub(crate) use connect::{Authorized, Bearer, Target};
pub(crate) use consent::{OptIn, OptOut, opt_in, opt_out};
pub(crate) use content::recipient;
pub(crate) use events::{EventsCommand, events};
pub(crate) use failure::{Failure, reason_of};
pub(crate) use media::{MediaCommand, media};
pub(crate) use messages::{Check, Explain, Send, check, explain, send};
pub(crate) use words::{reason_name, state_name};

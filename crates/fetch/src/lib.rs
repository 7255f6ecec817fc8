//! Fetches a link that a stranger named, safely.
//!
//! Whoever may name a link that a server fetches may make it call whatever the server can reach: databases, neighbours,
//! the metadata address that hands out a cloud machine's credentials (server-side request forgery). So:
//!
//! * **Only public addresses.** Every address that a host resolves to is judged ([`address`]), and the connection goes to
//!   one of exactly those: the check is the look-up of the connection itself, so there is no second look-up that could
//!   answer differently (DNS rebinding). A host with one forbidden address among its addresses is refused.
//! * **Redirects are followed by hand**, a few of them, each judged like the first link.
//! * **A [`Credential`] is bound to the hosts it was made for** and is not sent to where a redirect leads elsewhere.
//! * **Bounded**: bytes, time in all, redirects. Nothing is decompressed.
//! * **No proxy**: one would look the host up on its own.
//!
//! Errors name what is wrong, never the link: it is somebody's content.

pub mod address;
mod credential;
mod fetcher;
pub mod limits;
mod resolver;

pub use credential::{Credential, HostPattern, InvalidCredential, InvalidHost};
pub use fetcher::{FetchConfig, FetchError, Fetched, Fetcher, Unbuildable};
pub use resolver::{Resolve, SystemResolver};

#[cfg(test)]
mod tests;

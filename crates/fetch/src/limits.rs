//! Every bound of a fetch that is not configured.

/// Redirects that are followed.
pub const REDIRECTS_MAX: usize = 3;

/// The longest link, in bytes: what browsers and servers agree on.
pub const LINK_BYTES_MAX: usize = 2_048;

/// Hosts of one credential.
pub const CREDENTIAL_HOSTS_MAX: usize = 64;

/// The longest name of a host, in bytes (RFC 1035).
pub const HOST_BYTES_MAX: usize = 253;

//! Meta's message id.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The id Meta gives a message (`wamid.…`). Opaque, but every one seen so far decodes to a structure that contains the
/// user's phone number, so it is personal data: `Debug` hides it, and it belongs in no log, metric or trace.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wamid(String);

impl Wamid {
    /// Takes an id as Meta wrote it; nothing is assumed of its form.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id, to send back to Meta or to seal.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as an owned string.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for Wamid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Wamid(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_is_not_printed() {
        assert_eq!(
            format!("{:?}", Wamid::new("wamid.HBgLMTIwMjU1NTAxNDI=")),
            "Wamid(redacted)"
        );
    }
}

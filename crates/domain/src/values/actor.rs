//! Who caused something.

use std::{fmt, str::FromStr};

use super::Term;

/// Who acted. Travels beside every event in its meta data, in the form shown by `Display`:
/// `key:<api key id>`, `service:<name>`, `meta`, `operator:<id>`. Names accounts and machines, never the people written to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A caller with an API key; the key's public id, not the key.
    ApiKey(Term),
    /// One of our services by itself.
    Service(Term),
    /// Meta, by a signed callback.
    Meta,
    /// A person at the console or the command line.
    Operator(Term),
}

/// Text that is not an actor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an actor is key:<id>, service:<name>, operator:<id> or meta")]
pub struct InvalidActor;

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiKey(id) => write!(f, "key:{id}"),
            Self::Service(name) => write!(f, "service:{name}"),
            Self::Meta => f.write_str("meta"),
            Self::Operator(id) => write!(f, "operator:{id}"),
        }
    }
}

impl FromStr for Actor {
    type Err = InvalidActor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "meta" {
            return Ok(Self::Meta);
        }
        let (kind, id) = text.split_once(':').ok_or(InvalidActor)?;
        let id = Term::try_new(id).map_err(|_| InvalidActor)?;
        match kind {
            "key" => Ok(Self::ApiKey(id)),
            "service" => Ok(Self::Service(id)),
            "operator" => Ok(Self::Operator(id)),
            _ => Err(InvalidActor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_read_back_from_what_it_shows() {
        for text in ["meta", "key:ak_71", "service:dispatcher", "operator:ana"] {
            assert_eq!(text.parse::<Actor>().unwrap().to_string(), text);
        }
        for bad in ["", "key:", "key", "robot:7", "key:a b"] {
            assert_eq!(bad.parse::<Actor>(), Err(InvalidActor), "{bad}");
        }
    }
}

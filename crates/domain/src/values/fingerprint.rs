//! What a request said, without saying it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Term,
    wamid_hash::{deserialize_hash, serialize_hash},
};

/// A keyed hash of one group of a request's fields.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldHash {
    /// The field as the public contract calls it, such as `template.parameters`.
    pub field: Term,
    /// The keyed hash of what it held.
    #[serde(serialize_with = "serialize_hash", deserialize_with = "deserialize_hash")]
    pub hash: [u8; 32],
}

impl fmt::Debug for FieldHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ..", self.field)
    }
}

/// A keyed hash for each group of a request's fields, so that the same idempotency key with another body can be told
/// apart, and the fields that differ named, without storing the body.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(Vec<FieldHash>);

impl Fingerprint {
    /// The fingerprint of these fields, in any order.
    pub fn new(mut fields: Vec<FieldHash>) -> Self {
        fields.sort_by(|a, b| a.field.cmp(&b.field));
        Self(fields)
    }

    /// The names of the fields in which the two differ, in alphabetical order; empty if they are equal.
    pub fn differing_fields(&self, other: &Self) -> Vec<Term> {
        let lookup = |fields: &[FieldHash], name: &Term| fields.iter().find(|f| f.field == *name).map(|f| f.hash);
        let mut names: Vec<Term> = self.0.iter().chain(&other.0).map(|field| field.field.clone()).collect();
        names.sort();
        names.dedup();
        names.retain(|name| lookup(&self.0, name) != lookup(&other.0, name));
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(fields: &[(&str, u8)]) -> Fingerprint {
        let field = |(name, byte): &(&str, u8)| FieldHash {
            field: Term::try_new(name).unwrap(),
            hash: [*byte; 32],
        };
        Fingerprint::new(fields.iter().map(field).collect())
    }

    #[test]
    fn fields_that_differ_or_are_missing_are_named() {
        let first = fingerprint(&[("to", 1), ("text", 2), ("tag", 3)]);
        let second = fingerprint(&[("text", 9), ("to", 1), ("sender", 4)]);
        let names: Vec<_> = first
            .differing_fields(&second)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["sender", "tag", "text"]);
        assert_eq!(first.differing_fields(&second), second.differing_fields(&first));
    }

    #[test]
    fn the_order_of_the_fields_does_not_matter() {
        assert_eq!(
            fingerprint(&[("to", 1), ("text", 2)]),
            fingerprint(&[("text", 2), ("to", 1)])
        );
        let json = serde_json::to_string(&fingerprint(&[("to", 1)])).unwrap();
        assert_eq!(
            serde_json::from_str::<Fingerprint>(&json).unwrap(),
            fingerprint(&[("to", 1)])
        );
    }
}

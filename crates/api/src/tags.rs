//! A caller's own labels.

use crate::problems::Problems;
use assent_domain::values::Label;
use std::collections::BTreeMap;

/// Most labels of one message.
pub const TAGS_MAX: usize = 10;

/// The labels given.
pub fn parse(tags: &BTreeMap<String, String>, field: &str, problems: &mut Problems) -> BTreeMap<Label, Label> {
    if tags.len() > TAGS_MAX {
        problems.add(field, format!("has {} labels; at most {TAGS_MAX} fit", tags.len()));
        return BTreeMap::new();
    }
    let mut labels = BTreeMap::new();
    for (at, (key, value)) in tags.iter().enumerate() {
        match (Label::try_new(key), Label::try_new(value)) {
            (Ok(key), Ok(value)) => drop(labels.insert(key, value)),
            // A key may be anything, so it is named by its place in alphabetical order.
            (Err(error), _) => problems.add(format!("{field}[{at}].key"), error.to_string()),
            (Ok(key), Err(error)) => problems.add(format!("{field}[{key}]"), error.to_string()),
        }
    }
    labels
}

/// The labels as the contract has them.
pub fn render(tags: &BTreeMap<Label, Label>) -> BTreeMap<String, String> {
    tags.iter()
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn good_labels_are_read_back_and_bad_ones_named() {
        let mut problems = Problems::new();
        let good = tags(&[("order", "A-7"), ("shop", "berlin")]);
        assert_eq!(render(&parse(&good, "tags", &mut problems)), good);
        assert!(problems.is_empty());
        parse(&tags(&[("a b", "x"), ("note", "two words")]), "tags", &mut problems);
        let error = problems.into_error();
        let fields: Vec<_> = error.fields().iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["tags[0].key", "tags[note]"]);
    }

    #[test]
    fn there_are_at_most_ten() {
        let many: BTreeMap<String, String> = (0..11).map(|n| (format!("k{n}"), "v".to_owned())).collect();
        let mut problems = Problems::new();
        parse(&many, "tags", &mut problems);
        assert!(!problems.is_empty());
    }
}

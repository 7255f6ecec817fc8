//! The variables of a text: `{{1}}` or `{{first_name}}`.

/// One place in a text that is to be filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Variable<'a> {
    /// What stands between the braces, without spaces at its edges.
    pub(super) name: &'a str,
    /// Where its first brace is, in bytes.
    pub(super) start: usize,
    /// Where the text goes on after its last brace.
    pub(super) end: usize,
}

/// All of them in order, repeated ones too.
pub(super) fn all(text: &str) -> Vec<Variable<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("{{") {
        let start = at + open;
        let Some(close) = text[start + 2..].find("}}") else {
            break;
        };
        let end = start + 2 + close + 2;
        found.push(Variable {
            name: text[start + 2..end - 2].trim(),
            start,
            end,
        });
        at = end;
    }
    found
}

/// The names in order of their first place, each once.
pub(super) fn distinct(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for variable in all(text) {
        if !names.contains(&variable.name) {
            names.push(variable.name);
        }
    }
    names
}

/// Whether braces are left that belong to no variable.
pub(super) fn has_stray_braces(text: &str) -> bool {
    let mut outside = String::new();
    let mut at = 0;
    for variable in all(text) {
        outside.push_str(&text[at..variable.start]);
        outside.push('\n');
        at = variable.end;
    }
    outside.push_str(&text[at..]);
    outside.contains("{{") || outside.contains("}}")
}

/// The text with its variables filled; those without a value stay as they are.
pub(super) fn fill<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut at = 0;
    for variable in all(text) {
        filled.push_str(&text[at..variable.start]);
        filled.push_str(value(variable.name).unwrap_or(&text[variable.start..variable.end]));
        at = variable.end;
    }
    filled.push_str(&text[at..]);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_with_their_places() {
        let text = "Hi {{1}}, {{ 2 }} and {{1}}";
        assert_eq!(distinct(text), ["1", "2"]);
        let places: Vec<&str> = all(text)
            .iter()
            .map(|variable| &text[variable.start..variable.end])
            .collect();
        assert_eq!(places, ["{{1}}", "{{ 2 }}", "{{1}}"]);
        assert!(!has_stray_braces(text));
    }

    #[test]
    fn braces_that_belong_to_no_variable_are_noticed() {
        for text in ["{{1", "1}} is it", "Hi {{1}} and {{2", "{{1}} }}"] {
            assert!(has_stray_braces(text), "{text}");
        }
        for text in ["{1}", "a { b } c", "{{1}}{{2}}"] {
            assert!(!has_stray_braces(text), "{text}");
        }
    }

    #[test]
    fn filling_leaves_what_has_no_value() {
        let value = |name: &str| (name == "é").then_some("{{2}}");
        assert_eq!(fill("ü {{é}} {{2}} ü", value), "ü {{2}} {{2}} ü");
    }
}

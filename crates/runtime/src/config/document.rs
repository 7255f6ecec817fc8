//! A configuration file as a tree whose values know where they came from.

use super::{environment::Environment, join, problem::Problem};
use std::collections::BTreeMap;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A value and its origin.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    line: Option<usize>,
    variable: Option<String>,
}

/// A value of a file, or of an environment variable, whose type only the reader knows.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Table(BTreeMap<String, Node>),
    Array(Vec<Node>),
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Datetime(String),
    /// Text of an environment variable: becomes whatever the reader asks for.
    Text(String),
}

impl Node {
    /// A node for text out of an environment variable.
    pub(super) fn text(text: impl Into<String>, variable: Option<String>) -> Self {
        Self {
            value: Value::Text(text.into()),
            line: None,
            variable,
        }
    }

    pub(super) fn variable(&self) -> Option<&String> {
        self.variable.as_ref()
    }

    /// A problem with the value at `path`, placed where that value, or the section it is missing from, stands.
    pub(super) fn problem_at(&self, path: String, message: String) -> Problem {
        let mut nearest = self;
        for step in path.split(['.', '[']).map(|step| step.trim_end_matches(']')) {
            let child = match &nearest.value {
                Value::Table(table) => table.get(step),
                Value::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            let Some(child) = child else { break };
            nearest = child;
        }
        Problem {
            path,
            line: nearest.line,
            variable: nearest.variable.clone(),
            message,
        }
    }
}

/// Parses TOML; every syntax error becomes a problem.
pub(super) fn parse(text: &str, problems: &mut Vec<Problem>) -> Node {
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        problems.push(Problem {
            path: String::new(),
            line: error.span().map(|span| lines.number_at(span.start)),
            variable: None,
            message: error.message().to_owned(),
        });
    }
    Node {
        value: table_value(table.get_ref(), "", &lines, problems),
        line: None,
        variable: None,
    }
}

fn table_value(table: &DeTable<'_>, path: &str, lines: &Lines, problems: &mut Vec<Problem>) -> Value {
    let entries = table.iter().map(|(key, value)| {
        let path = join(path, key.get_ref());
        (
            key.get_ref().to_string(),
            node(value, key.span().start, &path, lines, problems),
        )
    });
    Value::Table(entries.collect())
}

fn node(value: &Spanned<DeValue<'_>>, start: usize, path: &str, lines: &Lines, problems: &mut Vec<Problem>) -> Node {
    let line = lines.number_at(start);
    let mut out_of_range = |text: &str| {
        problems.push(Problem {
            path: path.to_owned(),
            line: Some(line),
            variable: None,
            message: format!("{text} is not a 64-bit number"),
        });
    };
    let value = match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(value) => Value::Datetime(value.to_string()),
        DeValue::Integer(integer) => Value::Integer(
            i64::from_str_radix(integer.as_str(), integer.radix()).unwrap_or_else(|_| {
                out_of_range(integer.as_str());
                0
            }),
        ),
        DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or_else(|_| {
            out_of_range(float.as_str());
            0.0
        })),
        DeValue::Array(items) => {
            let item = |(index, item): (usize, &Spanned<DeValue<'_>>)| {
                node(item, item.span().start, &format!("{path}[{index}]"), lines, problems)
            };
            Value::Array(items.iter().enumerate().map(item).collect())
        }
        DeValue::Table(table) => table_value(table, path, lines, problems),
    };
    Node {
        value,
        line: Some(line),
        variable: None,
    }
}

/// Puts the values of `ASSENT__SECTION__KEY` variables in their places, making sections where there are none.
pub(super) fn apply_overrides(root: &mut Node, environment: &Environment, problems: &mut Vec<Problem>) {
    for (variable, keys, value) in environment.overrides() {
        let Some((last, sections)) = keys.split_last() else {
            continue;
        };
        match section_at(root, sections, variable) {
            Ok(table) => {
                table.insert(last.clone(), Node::text(value, Some(variable.to_owned())));
            }
            Err(path) => problems.push(Problem {
                path,
                line: None,
                variable: Some(variable.to_owned()),
                message: "is not a section, so nothing in it can be overridden".to_owned(),
            }),
        }
    }
}

/// The section at a path; or, as an error, the path of what stands in its way.
fn section_at<'n>(
    root: &'n mut Node,
    sections: &[String],
    variable: &str,
) -> Result<&'n mut BTreeMap<String, Node>, String> {
    let mut node = root;
    let mut path = String::new();
    for key in sections {
        let Value::Table(table) = &mut node.value else {
            return Err(path);
        };
        path = join(&path, key);
        node = table.entry(key.clone()).or_insert_with(|| Node {
            value: Value::Table(BTreeMap::new()),
            line: None,
            variable: Some(variable.to_owned()),
        });
    }
    match &mut node.value {
        Value::Table(table) => Ok(table),
        _ => Err(path),
    }
}

/// Where the lines of a text start.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(offset, _)| offset + 1).collect())
    }

    /// The number of the line a byte stands in, counted from 1.
    fn number_at(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset) + 1
    }
}

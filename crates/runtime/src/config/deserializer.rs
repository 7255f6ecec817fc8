//! The serde deserializer behind [`Loader`](super::Loader).
//!
//! It differs from the one of the `toml` crate in four ways: an error knows its path, keys a struct does not have are
//! collected instead of ending the work, text from the environment becomes whatever type is asked for, and values that
//! were found wrong in an earlier pass are replaced by stand-ins, see [`Heal`].

use super::{
    document::{Node, Value},
    environment::Environment,
    is_within, join,
    problem::{Problem, nearest},
    secret::{SECRET_BYTES_MAX, SECRET_MARKER},
};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor, value::MapAccessDeserializer};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
};

/// What to do about a value found wrong, tried in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heal {
    /// A missing key gets a stand-in of the type asked for; for text the one of this index in [`STAND_INS`].
    Inject(usize),
    /// A wrong value is replaced by such a stand-in.
    Substitute(usize),
    /// No stand-in fits: the key is left out, in case it has a default.
    Drop,
    /// It cannot be left out either: everything else is read first, then reading ends there.
    VisitLast,
}

/// Texts that stand in for wrong ones, so that types parsed from text are likely to accept one of them.
pub(super) const STAND_INS: [&str; 6] = ["x", "127.0.0.1:1", "127.0.0.1", "http://x", "1", "127.0.0.0/8"];

/// What one pass over the tree needs and finds.
pub(super) struct Pass<'a> {
    environment: &'a Environment,
    directory: &'a Path,
    heals: &'a BTreeMap<String, Heal>,
    unknown: RefCell<Vec<Problem>>,
    secret_files: RefCell<BTreeSet<PathBuf>>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(environment: &'a Environment, directory: &'a Path, heals: &'a BTreeMap<String, Heal>) -> Self {
        Self {
            environment,
            directory,
            heals,
            unknown: RefCell::default(),
            secret_files: RefCell::default(),
        }
    }

    /// The unknown keys, and the files secrets were read from.
    pub(super) fn into_findings(self) -> (Vec<Problem>, BTreeSet<PathBuf>) {
        (self.unknown.into_inner(), self.secret_files.into_inner())
    }

    fn stand_in(&self, path: &str) -> Option<&'static str> {
        match self.heals.get(path) {
            Some(Heal::Inject(index) | Heal::Substitute(index)) => STAND_INS.get(*index).copied(),
            _ => None,
        }
    }
}

/// Why a value could not be read.
#[derive(Debug)]
pub(super) struct LoadError {
    /// Set on the way out by the innermost deserializer that knows it.
    path: Option<String>,
    missing: Option<&'static str>,
    message: String,
}

impl LoadError {
    fn at(mut self, path: &str) -> Self {
        if self.path.is_none() {
            self.path = Some(path.to_owned());
        }
        self
    }

    pub(super) fn is_missing(&self) -> bool {
        self.missing.is_some()
    }

    /// Path of the value, or of the key that is missing.
    pub(super) fn path(&self) -> String {
        let path = self.path.as_deref().unwrap_or_default();
        self.missing.map_or_else(|| path.to_owned(), |key| join(path, key))
    }

    pub(super) fn into_problem(self, root: &Node) -> Problem {
        root.problem_at(self.path(), self.message)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for LoadError {}

impl de::Error for LoadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            path: None,
            missing: None,
            message: message.to_string(),
        }
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format!("expected {expected}, found {}", kind_of(found)))
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        match found {
            // Strings are not repeated: one may be a secret that landed in the wrong place.
            de::Unexpected::Str(_) | de::Unexpected::Bytes(_) => Self::custom(format!("expected {expected}")),
            found => Self::custom(format!("expected {expected}, found {found}")),
        }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let hint = nearest(variant, expected).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        Self::custom(format!("`{variant}` is none of {}{hint}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            path: None,
            missing: Some(field),
            message: "is missing".to_owned(),
        }
    }
}

fn kind_of(found: de::Unexpected<'_>) -> &'static str {
    match found {
        de::Unexpected::Bool(_) => "a boolean",
        de::Unexpected::Unsigned(_) | de::Unexpected::Signed(_) => "an integer",
        de::Unexpected::Float(_) => "a fraction",
        de::Unexpected::Str(_) | de::Unexpected::Char(_) => "a string",
        de::Unexpected::Seq => "a list",
        de::Unexpected::Map | de::Unexpected::StructVariant => "a section",
        _ => "something else",
    }
}

/// Reads one value of the tree.
#[derive(Clone)]
pub(super) struct NodeDeserializer<'a> {
    node: &'a Node,
    path: String,
    pass: &'a Pass<'a>,
}

impl<'a> NodeDeserializer<'a> {
    pub(super) fn new(node: &'a Node, path: String, pass: &'a Pass<'a>) -> Self {
        Self { node, path, pass }
    }

    fn is_substituted(&self) -> bool {
        self.pass.stand_in(&self.path).is_some()
    }

    fn fail<T>(&self, message: impl fmt::Display) -> Result<T, LoadError> {
        Err(<LoadError as de::Error>::custom(message).at(&self.path))
    }

    fn unexpected(&self) -> de::Unexpected<'_> {
        match &self.node.value {
            Value::Table(_) => de::Unexpected::Map,
            Value::Array(_) => de::Unexpected::Seq,
            Value::String(text) | Value::Text(text) => de::Unexpected::Str(text),
            Value::Integer(value) => de::Unexpected::Signed(*value),
            Value::Float(value) => de::Unexpected::Float(*value),
            Value::Boolean(value) => de::Unexpected::Bool(*value),
            Value::Datetime(_) => de::Unexpected::Other("a date"),
        }
    }

    fn wrong_type<T>(&self, expected: &dyn de::Expected) -> Result<T, LoadError> {
        Err(<LoadError as de::Error>::invalid_type(self.unexpected(), expected).at(&self.path))
    }

    fn parsed<T: std::str::FromStr>(&self, text: &str, expected: &dyn de::Expected) -> Result<T, LoadError> {
        text.trim().parse().or_else(|_| self.wrong_type(expected))
    }

    fn map_of<'t>(&'t self, table: &'t BTreeMap<String, Node>) -> NodeMap<'t>
    where
        'a: 't,
    {
        let heal = |key: &str| self.pass.heals.get(&join(&self.path, key)).copied();
        let mut entries: Vec<(&str, Option<&Node>)> = table
            .iter()
            .map(|(key, node)| (key.as_str(), Some(node)))
            .filter(|(key, _)| heal(key) != Some(Heal::Drop))
            .collect();
        for path in self
            .pass
            .heals
            .iter()
            .filter(|(_, heal)| matches!(heal, Heal::Inject(_)))
            .map(|(path, _)| path)
        {
            let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
            if parent == self.path && !table.contains_key(key) {
                entries.push((key, None));
            }
        }
        let holds_last = |key: &str| {
            let path = join(&self.path, key);
            self.pass
                .heals
                .iter()
                .any(|(last, heal)| *heal == Heal::VisitLast && is_within(last, &path))
        };
        entries.sort_by_key(|(key, _)| holds_last(key));
        NodeMap {
            owner: self,
            entries: entries.into_iter(),
            next: None,
        }
    }

    fn report_unknown(&self, table: &BTreeMap<String, Node>, known: &'static [&'static str]) {
        for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
            let hint = nearest(key, known).map_or_else(
                || format!("known are {}", known.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            let path = join(&self.path, key);
            let node = Node::clone(&table[key]);
            let mut problem = node.problem_at(String::new(), format!("unknown key; {hint}"));
            problem.path = path;
            self.pass.unknown.borrow_mut().push(problem);
        }
    }

    /// Fetches the secret this value points at.
    fn secret(&self) -> Result<String, LoadError> {
        let table = match &self.node.value {
            // The variable that overrides a secret is the secret.
            Value::Text(text) if self.node.variable().is_some() => return self.checked_secret(text.clone(), "it"),
            Value::Table(table) => table,
            _ => {
                return self
                    .fail("a secret does not stand here itself; write { env = \"NAME\" } or { file = \"path\" }");
            }
        };
        let entries: Vec<(&str, &Value)> = table.iter().map(|(key, node)| (key.as_str(), &node.value)).collect();
        match entries.as_slice() {
            [("env", Value::String(name) | Value::Text(name))] => match self.pass.environment.get(name) {
                Some(value) => self.checked_secret(value.to_owned(), &format!("environment variable {name}")),
                None => self.fail(format!("environment variable {name} is not set")),
            },
            [("file", Value::String(name) | Value::Text(name))] => {
                self.secret_from_file(&self.pass.directory.join(name))
            }
            _ => self.fail("expected { env = \"NAME\" } or { file = \"path\" }"),
        }
    }

    fn secret_from_file(&self, path: &Path) -> Result<String, LoadError> {
        self.pass.secret_files.borrow_mut().insert(path.to_owned());
        let name = format!("file {}", path.display());
        match fs::metadata(path) {
            Ok(metadata) if metadata.len() > SECRET_BYTES_MAX => {
                return self.fail(format!("{name} has more than {SECRET_BYTES_MAX} bytes"));
            }
            Ok(_) => {}
            Err(error) => return self.fail(format!("{name} cannot be read: {error}")),
        }
        match fs::read_to_string(path) {
            // Editors and `echo` end a file with a new line that is not part of the secret.
            Ok(text) => self.checked_secret(text.trim_end_matches(['\r', '\n']).to_owned(), &name),
            Err(error) => self.fail(format!("{name} cannot be read: {error}")),
        }
    }

    fn checked_secret(&self, value: String, origin: &str) -> Result<String, LoadError> {
        if value.is_empty() {
            return self.fail(format!("{origin} is empty"));
        }
        Ok(value)
    }
}

macro_rules! deserialize_integer {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LoadError> {
            let value = match &self.node.value {
                // 1 rather than 0: it also stands in for non-zero types.
                _ if self.is_substituted() => 1,
                Value::Integer(value) => *value,
                Value::Text(text) => self.parsed(text, &visitor)?,
                _ => return self.wrong_type(&visitor),
            };
            visitor.visit_i64(value).map_err(|error: LoadError| error.at(&self.path))
        }
    )*};
}

macro_rules! deserialize_text {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LoadError> {
            let text = match (self.pass.stand_in(&self.path), &self.node.value) {
                (Some(stand_in), _) => stand_in,
                (None, Value::String(text) | Value::Text(text) | Value::Datetime(text)) => text,
                (None, _) => return self.wrong_type(&visitor),
            };
            visitor.visit_str(text).map_err(|error: LoadError| error.at(&self.path))
        }
    )*};
}

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = LoadError;

    deserialize_integer! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    deserialize_text! {
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LoadError> {
        match &self.node.value {
            Value::Table(_) => self.deserialize_map(visitor),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Integer(_) => self.deserialize_i64(visitor),
            Value::Float(_) => self.deserialize_f64(visitor),
            Value::Boolean(_) => self.deserialize_bool(visitor),
            Value::String(_) | Value::Text(_) | Value::Datetime(_) => self.deserialize_str(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LoadError> {
        let value = match &self.node.value {
            _ if self.is_substituted() => false,
            Value::Boolean(value) => *value,
            Value::Text(text) => self.parsed(text, &visitor)?,
            _ => return self.wrong_type(&visitor),
        };
        visitor
            .visit_bool(value)
            .map_err(|error: LoadError| error.at(&self.path))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LoadError> {
        let value = match &self.node.value {
            _ if self.is_substituted() => 1.0,
            Value::Float(value) => *value,
            Value::Integer(value) => *value as f64,
            Value::Text(text) => self.parsed(text, &visitor)?,
            _ => return self.wrong_type(&visitor),
        };
        visitor
            .visit_f64(value)
            .map_err(|error: LoadError| error.at(&self.path))
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LoadError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LoadError> {
        if self.is_substituted() {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LoadError> {
        visitor.visit_unit().map_err(|error: LoadError| error.at(&self.path))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, LoadError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LoadError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, LoadError> {
        if name != SECRET_MARKER {
            let path = self.path.clone();
            return visitor.visit_newtype_struct(self).map_err(|error| error.at(&path));
        }
        let secret = if self.is_substituted() {
            String::new()
        } else {
            self.secret()?
        };
        visitor.visit_string(secret)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LoadError> {
        let split: Vec<Node>;
        let items = match &self.node.value {
            _ if self.is_substituted() => &[],
            Value::Array(items) => items.as_slice(),
            Value::Text(text) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                split = parts
                    .map(|part| Node::text(part, self.node.variable().cloned()))
                    .collect();
                split.as_slice()
            }
            _ => return self.wrong_type(&visitor),
        };
        let sequence = NodeSequence {
            owner: &self,
            items: items.iter().enumerate(),
        };
        visitor.visit_seq(sequence).map_err(|error| error.at(&self.path))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, LoadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, LoadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LoadError> {
        let empty = BTreeMap::new();
        let table = match &self.node.value {
            _ if self.is_substituted() => &empty,
            Value::Table(table) => table,
            _ => return self.wrong_type(&visitor),
        };
        visitor
            .visit_map(self.map_of(table))
            .map_err(|error| error.at(&self.path))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, LoadError> {
        let Value::Table(table) = &self.node.value else {
            return if self.is_substituted() {
                self.deserialize_map(visitor)
            } else {
                self.fail("expected a section")
            };
        };
        self.report_unknown(table, known);
        let mut fitting = table.clone();
        fitting.retain(|key, _| known.contains(&key.as_str()));
        visitor
            .visit_map(self.map_of(&fitting))
            .map_err(|error| error.at(&self.path))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, LoadError> {
        let result = match &self.node.value {
            _ if self.is_substituted() => {
                let first: de::value::StrDeserializer<'_, LoadError> =
                    variants.first().copied().unwrap_or_default().into_deserializer();
                visitor.visit_enum(first)
            }
            Value::String(text) | Value::Text(text) => {
                let variant: de::value::StrDeserializer<'_, LoadError> = text.as_str().into_deserializer();
                visitor.visit_enum(variant)
            }
            Value::Table(table) => visitor.visit_enum(MapAccessDeserializer::new(self.map_of(table))),
            _ => return self.wrong_type(&visitor),
        };
        result.map_err(|error| error.at(&self.path))
    }
}

/// The entries of a section.
struct NodeMap<'a> {
    owner: &'a NodeDeserializer<'a>,
    entries: std::vec::IntoIter<(&'a str, Option<&'a Node>)>,
    next: Option<(&'a str, Option<&'a Node>)>,
}

impl<'de> de::MapAccess<'de> for NodeMap<'_> {
    type Error = LoadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, LoadError> {
        self.next = self.entries.next();
        let Some((key, _)) = self.next else { return Ok(None) };
        let key: de::value::StrDeserializer<'_, LoadError> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, LoadError> {
        let (key, node) = self.next.take().expect("serde asks for a value only after its key");
        let path = join(&self.owner.path, key);
        // An injected key has no node; its stand-in is made without looking at one.
        let node = node.unwrap_or(self.owner.node);
        seed.deserialize(NodeDeserializer::new(node, path.clone(), self.owner.pass))
            .map_err(|error| error.at(&path))
    }
}

/// The items of a list.
struct NodeSequence<'a> {
    owner: &'a NodeDeserializer<'a>,
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> de::SeqAccess<'de> for NodeSequence<'_> {
    type Error = LoadError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, LoadError> {
        let Some((index, node)) = self.items.next() else {
            return Ok(None);
        };
        let path = format!("{}[{index}]", self.owner.path);
        seed.deserialize(NodeDeserializer::new(node, path.clone(), self.owner.pass))
            .map(Some)
            .map_err(|error| error.at(&path))
    }
}

//! Meta's JSON and the contract's `Struct`, each in terms of the other.

use prost_types::{ListValue, Struct, value::Kind};
use serde_json::{Map, Number, Value};

/// Whole numbers up to here are the same as floats and as integers.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// The text of a field; empty where it is missing or something else.
pub(super) fn text_of(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The members of a list; none where it is missing or something else.
pub(super) fn list_of<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A JSON object out of a `Struct`. `None` if a number in it is not finite: JSON has none such.
pub(super) fn object(given: &Struct) -> Option<Map<String, Value>> {
    let field = |(key, value): (&String, &prost_types::Value)| Some((key.clone(), value_of(value)?));
    given.fields.iter().map(field).collect()
}

fn value_of(given: &prost_types::Value) -> Option<Value> {
    Some(match &given.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::NumberValue(number)) => {
            // Written as the whole number that it is: `1` and not `1.0`.
            let is_whole = number.fract() == 0.0 && number.abs() < INTEGER_MAX;
            let whole = is_whole.then(|| Number::from(*number as i64));
            Value::Number(whole.or_else(|| Number::from_f64(*number))?)
        }
        Some(Kind::StringValue(text)) => Value::String(text.clone()),
        Some(Kind::BoolValue(flag)) => Value::Bool(*flag),
        Some(Kind::StructValue(fields)) => Value::Object(object(fields)?),
        Some(Kind::ListValue(list)) => Value::Array(list.values.iter().map(value_of).collect::<Option<_>>()?),
    })
}

/// A `Struct` out of a JSON object.
pub(super) fn structure(object: &Map<String, Value>) -> Struct {
    let field = |(key, value): (&String, &Value)| (key.clone(), shown(value));
    Struct {
        fields: object.iter().map(field).collect(),
    }
}

fn shown(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(values) => Kind::ListValue(ListValue {
            values: values.iter().map(shown).collect(),
        }),
        Value::Object(object) => Kind::StructValue(structure(object)),
    };
    prost_types::Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_comes_back_as_it_was_with_whole_numbers_whole() {
        let given = json!({"a": 1, "b": [null, true, 2.5, -3], "c": {"d": "e"}});
        let given = given.as_object().unwrap();
        let back = object(&structure(given)).unwrap();
        assert_eq!(&back, given);
        assert_eq!(serde_json::to_string(&back["a"]).unwrap(), "1");
    }

    #[test]
    fn a_number_that_is_none_is_no_json() {
        let mut bad = structure(json!({"a": {"b": 1}}).as_object().unwrap());
        let nan = prost_types::Value {
            kind: Some(Kind::NumberValue(f64::NAN)),
        };
        bad.fields.insert("a".to_owned(), nan);
        assert_eq!(object(&bad), None);
    }
}

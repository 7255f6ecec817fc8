//! What is wrong with a request.

use assent_runtime::api_error::{ApiError, ErrorCode};

/// Most problems that are kept; who sends more learns of the rest once these are mended.
const PROBLEMS_MAX: usize = 100;

/// Everything that is wrong with a request, field by field. Descriptions never repeat the value.
#[derive(Debug, Default)]
#[must_use]
pub struct Problems(Vec<(String, String)>);

impl Problems {
    /// Nothing is wrong so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Something is wrong with a field, named by its path in the request.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        if self.0.len() < PROBLEMS_MAX {
            self.0.push((field.into(), description.into()));
        }
    }

    /// The value, or a problem of the field.
    pub fn keep<T, E: std::fmt::Display>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.add(field, error.to_string())).ok()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Moves everything found here to other problems.
    pub fn into_problems(self, others: &mut Self) {
        for (field, description) in self.0 {
            others.add(field, description);
        }
    }

    /// The error that names every field, or nothing if nothing is wrong.
    pub fn into_result(self) -> Result<(), ApiError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(self.into_error())
        }
    }

    /// The error that names every field.
    pub fn into_error(self) -> ApiError {
        let error = ApiError::new(ErrorCode::InvalidRequest);
        self.0
            .into_iter()
            .fold(error, |error, (field, description)| error.field(field, description))
    }
}

/// The path of a field within another one.
pub fn path(parent: &str, field: &str) -> String {
    if parent.is_empty() {
        field.to_owned()
    } else {
        format!("{parent}.{field}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_field_is_named_in_one_error() {
        let mut problems = Problems::new();
        problems.add("to", "is missing");
        assert_eq!(problems.keep("from", "x".parse::<u8>()), None);
        let error = problems.into_result().unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRequest);
        let fields: Vec<_> = error.fields().iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["to", "from"]);
        assert!(Problems::new().into_result().is_ok());
    }
}

//! The dispatcher: sends what was authorized.

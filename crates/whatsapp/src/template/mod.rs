//! A template's own definition: reading and writing it as Meta does, checking a message against it, showing it filled in,
//! and saying what Meta would refuse before Meta does.
//!
//! Source: Business Management API, "Message templates" and "Template components". Lengths and counts are in [`crate::limits`].

mod definition;
mod fit;
mod lint;
mod preview;
mod read;
mod variables;
mod write;

pub use definition::{
    Body, Button, ButtonAction, Card, Definition, Example, Footer, Header, HeaderFormat, Offer, ParameterFormat, Part,
};
pub use lint::{Finding, Severity};
pub use preview::{Preview, PreviewButton, PreviewHeader};

#[cfg(test)]
mod tests;

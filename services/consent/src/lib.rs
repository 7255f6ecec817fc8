//! Owns contacts and decisions: who may be messaged, why, and what was decided about each request.

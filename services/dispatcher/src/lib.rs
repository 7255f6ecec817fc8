//! Owns attempts: calls Meta once per permission, paces, and settles unknown outcomes.

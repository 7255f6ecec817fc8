//! Owns conclusions: number, template and suppression state; projections, rebuilds and the event API.

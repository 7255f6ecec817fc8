//! What every service shares: configuration, telemetry, health, shutdown and supervision.

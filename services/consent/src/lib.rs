//! Who may be written to about what: keeps consent, and decides every request.

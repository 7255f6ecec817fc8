//! Meta's Cloud API: message types, client, callbacks, signatures, limits and the error table.

//! Small shapes that recur in Meta's JSON.

use serde::ser::{Serialize, SerializeMap, Serializer};

/// An object of one field: `{"message_id": …}`.
pub(super) struct Single<'a, T: ?Sized>(pub(super) &'static str, pub(super) &'a T);

impl<T: Serialize + ?Sized> Serialize for Single<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.0, self.1)?;
        map.end()
    }
}

/// The shape `{"type": kind, kind: value}` that Meta uses for messages, headers and parameters alike.
pub(super) struct Tagged<'a, T: ?Sized>(pub(super) &'static str, pub(super) &'a T);

impl<T: Serialize + ?Sized> Serialize for Tagged<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", self.0)?;
        map.serialize_entry(self.0, self.1)?;
        map.end()
    }
}

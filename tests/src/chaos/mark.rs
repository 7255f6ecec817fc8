//! What an event of a chaos run says about the append it came in.

use assent_event_store::{EventMeta, NewEvent, RecordedEvent};
use serde::{Deserialize, Serialize};

/// The stable name of every event of a chaos run.
const KIND: &str = "chaos.happened";

/// Names an append: appends of one lane are numbered 0, 1, 2 … A process that is started again has new lanes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AppendName {
    /// Process, incarnation, writer and lane.
    pub lane: String,
    /// The append's number in its lane.
    pub number: u64,
}

impl std::fmt::Display for AppendName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.lane, self.number)
    }
}

/// The data of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The append it came in.
    pub append: AppendName,
    /// Its place among the events of the append, from 0.
    pub index: u32,
    /// How many events the append has.
    pub count: u32,
    /// The version its stream had to have before the append; only on the first event of its stream in the append, and
    /// not for one that expected nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<u32>,
    /// Streams that had to have a version before the append; only on the append's first event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<(String, u32)>,
    /// Makes events as large as real ones.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filler: String,
}

impl Mark {
    /// The event that carries it.
    pub fn to_event(&self) -> NewEvent {
        let data = serde_json::to_vec(self).expect("strings and numbers always serialize");
        let meta = EventMeta {
            actor: "service:chaos".to_owned(),
            ..EventMeta::default()
        };
        NewEvent::new(KIND, 1, data, &meta)
    }

    /// Reads it back.
    pub fn of(event: &RecordedEvent) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(&event.data)
    }
}

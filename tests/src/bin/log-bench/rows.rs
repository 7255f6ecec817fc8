//! The rows that every measurement writes: one event of about 300 bytes with about 80 bytes of meta data.

use assent_event_store::{EventMeta, NewEvent};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

/// The category of the streams that are written.
pub(crate) const CATEGORY: &str = "request";
const KIND: &str = "request.submitted";
/// Stands for what a sealed field looks like: text that does not compress.
const SEALED_BYTES: usize = 144;

/// Draws streams and events; the same for the same seed, run, writer and lane, but for event ids, which the store draws.
#[derive(Debug)]
pub(crate) struct Rows {
    rng: StdRng,
}

impl Rows {
    pub(crate) fn new(seed: u64, run: u64, writer: u64, lane: u64) -> Self {
        let mut bytes = [0; 32];
        for (bytes, number) in bytes.chunks_exact_mut(8).zip([seed, run, writer, lane]) {
            bytes.copy_from_slice(&number.to_be_bytes());
        }
        Self {
            rng: StdRng::from_seed(bytes),
        }
    }

    /// The key of a new stream: random, as keyed hashes are.
    pub(crate) fn key(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.rng.random()).into_uuid()
    }

    pub(crate) fn event(&mut self) -> NewEvent {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut random = [0_u8; SEALED_BYTES];
        self.rng.fill(&mut random);
        let mut data = Vec::with_capacity(320);
        data.extend_from_slice(b"{\"tenant\":\"acme\",\"message\":\"");
        data.extend_from_slice(self.key().simple().encode_lower(&mut [0; 32]).as_bytes());
        data.extend_from_slice(b"\",\"purpose\":\"utility\",\"template\":\"order_shipped\",\"language\":\"en_US\",");
        data.extend_from_slice(b"\"accepted\":\"durable\",\"body\":\"");
        data.extend(random.iter().map(|byte| ALPHABET[usize::from(byte & 63)]));
        data.extend_from_slice(b"\"}");
        let meta = EventMeta {
            actor: "service:log-bench".to_owned(),
            causation: Some(self.key()),
            ..EventMeta::default()
        };
        NewEvent::new(KIND, 1, data, &meta)
    }
}

const SENT: &[u8] = b"{\"sent_us\":";

/// Puts the time in front of an event's data.
pub(crate) fn with_sent_us(mut event: NewEvent, sent_us: u64) -> NewEvent {
    let rest = event.data.strip_prefix(b"{").unwrap_or_default();
    event.data = [SENT, sent_us.to_string().as_bytes(), b",", rest].concat().into();
    event
}

/// The time that [`with_sent_us`] put there.
pub(crate) fn sent_us(data: &[u8]) -> Option<u64> {
    let digits = data.strip_prefix(SENT)?;
    let end = digits.iter().position(|byte| *byte == b',')?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// The key of a stream that was written before the measurement, by its number.
pub(crate) fn preset_key(seed: u64, run: u64, number: u64) -> Uuid {
    let name = [seed.to_be_bytes(), run.to_be_bytes(), number.to_be_bytes()].concat();
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &name)
}

#[cfg(test)]
mod tests {
    use super::{Rows, sent_us, with_sent_us};

    #[test]
    fn an_event_carries_its_time() {
        let event = with_sent_us(Rows::new(1, 2, 3, 4).event(), 1_700_000_000_000_000);
        assert_eq!(sent_us(&event.data), Some(1_700_000_000_000_000));
        assert!(serde_json::from_slice::<serde_json::Value>(&event.data).is_ok());
        assert_eq!(sent_us(&Rows::new(1, 2, 3, 4).event().data), None);
    }

    #[test]
    fn an_event_has_about_300_bytes_and_80_of_meta_data() {
        let event = Rows::new(1, 2, 3, 4).event();
        assert!((280..=320).contains(&event.data.len()), "{}", event.data.len());
        assert!((70..=90).contains(&event.meta.len()), "{}", event.meta.len());
        assert!(serde_json::from_slice::<serde_json::Value>(&event.data).is_ok());
    }

    #[test]
    fn one_seed_gives_one_content_and_another_lane_another() {
        assert_eq!(Rows::new(1, 2, 3, 4).event().data, Rows::new(1, 2, 3, 4).event().data);
        assert_ne!(Rows::new(1, 2, 3, 4).event().data, Rows::new(1, 2, 3, 5).event().data);
    }
}

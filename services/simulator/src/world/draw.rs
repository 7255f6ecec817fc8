//! Seeded draws that do not depend on the order of requests.
//!
//! Every draw is a hash of the seed, what it is for, whom it concerns and the how-manieth time. So concurrent clients
//! cannot change what happens to a person, and the same requests give the same bytes.

/// What a draw is for. The numbers are part of the seed's meaning: never reuse one.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(crate) enum Draw {
    OnWhatsApp = 1,
    Reads = 2,
    ReadsAtOnce = 3,
    Blocks = 4,
    BlocksAfter = 5,
    Replies = 6,
    WritesStop = 7,
    StopsAfter = 8,
    PlatformStops = 9,
    Capped = 10,
    Holdout = 11,
    Name = 12,
    UserId = 13,
    WamidHigh = 14,
    WamidLow = 15,
    SentLatency = 16,
    DeliveredLatency = 17,
    ReadLatency = 18,
    ReactionLatency = 19,
    ReadsThis = 20,
    RepliesThis = 21,
    ReplyText = 22,
    AnswerFault = 23,
    CallbackFault = 24,
    Shuffle = 25,
    TemplateId = 26,
    Trace = 27,
    ReviewLatency = 28,
    MediaId = 29,
    MediaAddress = 30,
    VerificationCode = 32,
    PacingLatency = 33,
    ShortLink = 40,
}

/// 64 well-mixed bits for a draw about `subject`, the `nth` time.
pub(crate) fn bits(seed: u64, draw: Draw, subject: u64, nth: u64) -> u64 {
    let mut state = mix(seed ^ 0x9e37_79b9_7f4a_7c15);
    state = mix(state ^ draw as u64);
    state = mix(state ^ subject);
    mix(state ^ nth)
}

/// A draw between 0 (included) and 1 (excluded).
pub(crate) fn unit(seed: u64, draw: Draw, subject: u64, nth: u64) -> f64 {
    // 53 bits fill the mantissa exactly, so 1.0 cannot come out and a rate of 1 always strikes.
    (bits(seed, draw, subject, nth) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Whether a thing of this probability happens.
pub(crate) fn chance(seed: u64, draw: Draw, subject: u64, nth: u64, probability: f64) -> bool {
    unit(seed, draw, subject, nth) < probability
}

/// Turns text into a subject for draws.
pub(crate) fn subject(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The finaliser of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_everything_it_is_given() {
        let base = bits(1, Draw::Reads, 2, 3);
        assert_eq!(base, bits(1, Draw::Reads, 2, 3));
        assert_ne!(base, bits(2, Draw::Reads, 2, 3));
        assert_ne!(base, bits(1, Draw::Blocks, 2, 3));
        assert_ne!(base, bits(1, Draw::Reads, 3, 3));
        assert_ne!(base, bits(1, Draw::Reads, 2, 4));
    }

    #[test]
    fn rates_are_kept_over_many_draws() {
        let hits = (0..20_000)
            .filter(|phone| chance(7, Draw::Reads, 12_025_550_000 + phone, 0, 0.25))
            .count();
        assert!((4_700..5_300).contains(&hits), "{hits}");
        assert!((0..1_000).all(|phone| chance(7, Draw::Reads, phone, 0, 1.0)));
        assert!(!(0..1_000).any(|phone| chance(7, Draw::Reads, phone, 0, 0.0)));
    }
}

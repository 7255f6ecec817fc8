//! A message's progress as bytes: equal progress gives equal bytes, and rows stay narrow.
//!
//! A mask says which facts follow; each moment is eight bytes. Facts that are added later get new bits, so that older rows
//! stay readable.

use assent_domain::{
    delivery::Delivery,
    events::{CancelReason, Pricing},
    values::{Category, ContactId, Term, Timestamp},
};
use uuid::Uuid;

use crate::progress::Progress;

/// First byte; another one is not understood.
const FORMAT: u8 = 1;

/// Stored by index: append only.
const CANCEL_REASONS: [CancelReason; 8] = [
    CancelReason::Requested,
    CancelReason::ConsentWithdrawn,
    CancelReason::Suppressed,
    CancelReason::WindowClosed,
    CancelReason::TemplateUnavailable,
    CancelReason::NumberUnavailable,
    CancelReason::Expired,
    CancelReason::Erased,
];

/// Stored by index plus one: append only.
const CATEGORIES: [Category; 4] = Category::ALL;

struct Writer {
    mask: u32,
    bit: u32,
    body: Vec<u8>,
}

impl Writer {
    fn fact<T>(&mut self, fact: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
        if let Some(fact) = fact {
            self.mask |= 1 << self.bit;
            write(&mut self.body, fact);
        }
        self.bit += 1;
    }

    fn moment(&mut self, at: Option<Timestamp>) {
        self.fact(at, write_moment);
    }
}

fn write_moment(body: &mut Vec<u8>, at: Timestamp) {
    body.extend_from_slice(&at.as_micros().to_le_bytes());
}

fn write_term(body: &mut Vec<u8>, term: Option<&Term>) {
    let text = term.map_or("", Term::as_str);
    body.push(text.len() as u8); // a term has at most 64 bytes
    body.extend_from_slice(text.as_bytes());
}

pub(crate) fn encode(progress: &Progress) -> Vec<u8> {
    let Progress {
        delivery,
        attempts,
        possible_duplicate,
        decided,
        cancelled,
        refusals,
    } = progress;
    let mut writer = Writer {
        mask: 0,
        bit: 0,
        body: Vec::with_capacity(128),
    };
    encode_delivery(&mut writer, delivery);
    writer.fact(Some(*attempts).filter(|count| *count > 0), |body, count| {
        body.extend_from_slice(&count.to_le_bytes());
    });
    writer.fact(possible_duplicate.then_some(()), |_, ()| {});
    writer.fact(*decided, |body, (at, contact, category)| {
        write_moment(body, at);
        body.extend_from_slice(contact.uuid().as_bytes());
        let index = category.and_then(|category| CATEGORIES.iter().position(|known| *known == category));
        body.push(index.map_or(0, |index| index as u8 + 1));
    });
    writer.fact(*cancelled, |body, (at, reason)| {
        write_moment(body, at);
        let index = CANCEL_REASONS.iter().position(|known| *known == reason);
        body.push(index.unwrap_or(usize::from(u8::MAX)) as u8);
    });
    writer.fact(Some(*refusals).filter(|bits| *bits != 0), |body, bits| {
        body.extend_from_slice(&bits.to_le_bytes());
    });
    let mut bytes = Vec::with_capacity(5 + writer.body.len());
    bytes.push(FORMAT);
    bytes.extend_from_slice(&writer.mask.to_le_bytes());
    bytes.append(&mut writer.body);
    bytes
}

fn encode_delivery(writer: &mut Writer, delivery: &Delivery) {
    // Named one by one: a fact that the domain adds must be added here.
    let Delivery {
        requested_at,
        authorized_at,
        refused_at,
        expired_at,
        deferred_at,
        started_at,
        outcome_unknown_at,
        accepted_at,
        held_at,
        rejected,
        given_up_at,
        cancelled_at,
        sent_at,
        delivered_at,
        read_at,
        played_at,
        failed,
        pricing,
    } = delivery;
    for at in [
        requested_at,
        authorized_at,
        refused_at,
        expired_at,
        deferred_at,
        started_at,
        outcome_unknown_at,
        accepted_at,
        held_at,
        given_up_at,
        cancelled_at,
        sent_at,
        delivered_at,
        read_at,
        played_at,
    ] {
        writer.moment(*at);
    }
    for error in [rejected, failed] {
        writer.fact(*error, |body, (at, code)| {
            write_moment(body, at);
            body.extend_from_slice(&code.to_le_bytes());
        });
    }
    writer.fact(pricing.as_ref(), |body, (at, pricing)| {
        let Pricing {
            category,
            model,
            kind,
            billable,
        } = pricing;
        write_moment(body, *at);
        body.push(billable.map_or(0, |billable| 1 + u8::from(billable)));
        for term in [Some(category), model.as_ref(), kind.as_ref()] {
            write_term(body, term);
        }
    });
}

/// `None` where the bytes end too early; within, whether the fact is known.
type Read<T> = Option<Option<T>>;

struct Reader<'a> {
    mask: u32,
    bit: u32,
    body: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.body.split_at_checked(count)?;
        self.body = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    fn at(&mut self) -> Option<Timestamp> {
        self.i64().map(Timestamp::from_micros)
    }

    fn term(&mut self) -> Read<Term> {
        let length = self.byte()?;
        let text = std::str::from_utf8(self.take(usize::from(length))?).ok()?;
        if text.is_empty() {
            return Some(None);
        }
        Term::try_new(text).ok().map(Some)
    }

    /// The next fact, if the mask has it.
    fn fact<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Read<T> {
        let is_there = self.mask & (1 << self.bit) != 0;
        self.bit += 1;
        if is_there { read(self).map(Some) } else { Some(None) }
    }

    fn moment(&mut self) -> Read<Timestamp> {
        self.fact(Self::at)
    }

    fn error(&mut self) -> Read<(Timestamp, i64)> {
        self.fact(|reader| Some((reader.at()?, reader.i64()?)))
    }

    fn pricing(&mut self) -> Option<(Timestamp, Pricing)> {
        let at = self.at()?;
        let billable = match self.byte()? {
            0 => None,
            flag => Some(flag == 2),
        };
        let category = self.term()??;
        let (model, kind) = (self.term()?, self.term()?);
        let pricing = Pricing {
            category,
            model,
            kind,
            billable,
        };
        Some((at, pricing))
    }
}

/// `None` for bytes that this program did not write.
pub(crate) fn decode(bytes: &[u8]) -> Option<Progress> {
    let mut reader = Reader {
        mask: 0,
        bit: 0,
        body: bytes,
    };
    if reader.byte()? != FORMAT {
        return None;
    }
    reader.mask = u32::from_le_bytes(reader.array()?);
    let mut delivery = Delivery {
        requested_at: reader.moment()?,
        authorized_at: reader.moment()?,
        refused_at: reader.moment()?,
        expired_at: reader.moment()?,
        deferred_at: reader.moment()?,
        started_at: reader.moment()?,
        outcome_unknown_at: reader.moment()?,
        accepted_at: reader.moment()?,
        held_at: reader.moment()?,
        given_up_at: reader.moment()?,
        cancelled_at: reader.moment()?,
        sent_at: reader.moment()?,
        delivered_at: reader.moment()?,
        read_at: reader.moment()?,
        played_at: reader.moment()?,
        ..Delivery::default()
    };
    delivery.rejected = reader.error()?;
    delivery.failed = reader.error()?;
    delivery.pricing = reader.fact(Reader::pricing)?;
    let attempts = reader.fact(|reader| reader.array().map(u32::from_le_bytes))?;
    let possible_duplicate = reader.fact(|_| Some(()))?.is_some();
    let decided = reader.fact(|reader| {
        let (at, contact) = (reader.at()?, Uuid::from_bytes(reader.array()?));
        let category = match reader.byte()? {
            0 => None,
            index => Some(*CATEGORIES.get(usize::from(index) - 1)?),
        };
        Some((at, ContactId::new(contact), category))
    })?;
    let cancelled = reader.fact(|reader| {
        let at = reader.at()?;
        Some((at, *CANCEL_REASONS.get(usize::from(reader.byte()?))?))
    })?;
    let refusals = reader.fact(|reader| reader.array().map(u64::from_le_bytes))?;
    Some(Progress {
        delivery,
        attempts: attempts.unwrap_or_default(),
        possible_duplicate,
        decided,
        cancelled,
        refusals: refusals.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_domain::gates::RefusalReason;

    #[test]
    fn progress_comes_back_as_it_went_in_whatever_is_known() {
        let at = Timestamp::from_millis;
        let mut full = Progress {
            delivery: Delivery {
                requested_at: Some(at(1)),
                authorized_at: Some(at(2)),
                refused_at: Some(at(3)),
                expired_at: Some(at(4)),
                deferred_at: Some(at(5)),
                started_at: Some(at(6)),
                outcome_unknown_at: Some(at(7)),
                accepted_at: Some(at(8)),
                held_at: Some(at(9)),
                rejected: Some((at(10), 100)),
                given_up_at: Some(at(11)),
                cancelled_at: Some(at(12)),
                sent_at: Some(at(13)),
                delivered_at: Some(at(14)),
                read_at: Some(at(15)),
                played_at: Some(at(16)),
                failed: Some((at(17), 131_026)),
                pricing: Some((
                    at(18),
                    Pricing {
                        category: Term::from_provider("marketing"),
                        model: Some(Term::from_provider("PMP")),
                        kind: None,
                        billable: Some(true),
                    },
                )),
            },
            attempts: 3,
            possible_duplicate: true,
            decided: Some((at(19), ContactId::new(Uuid::from_u128(5)), Some(Category::Service))),
            cancelled: Some((at(20), CancelReason::Erased)),
            refusals: 0,
        };
        full.refuse(RefusalReason::WindowClosed);
        full.refuse(RefusalReason::NumberUnknown);
        for progress in [Progress::default(), Progress::of(full.delivery.clone()), full.clone()] {
            assert_eq!(decode(&encode(&progress)).unwrap(), progress);
        }
        assert_eq!(
            full.refusals().collect::<Vec<_>>(),
            [RefusalReason::NumberUnknown, RefusalReason::WindowClosed]
        );
        assert_eq!(decode(&encode(&full)[..40]), None);
        assert_eq!(decode(b"\x09"), None);
    }
}

//! What travels with a message to Meta and comes back in every status of it.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use super::{AttemptId, MessageId};

/// Begins every correlation, so that those of other programs on the same account are told apart.
const PREFIX: &str = "assent";

/// A W3C `traceparent` of version 00 has this many characters.
const TRACEPARENT_BYTES: usize = 55;

/// The text of `biz_opaque_callback_data`: which message and attempt a status is about. Never shown to the person.
///
/// Shown as `assent:<message>:<attempt>:<check>`, with `:<traceparent>` after it where the message is traced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation {
    /// The message.
    pub message: MessageId,
    /// The attempt.
    pub attempt: AttemptId,
    /// Ties the message to its tenant: a keyed hash that only we can make, so that nobody passes a message off as theirs.
    pub check: u64,
    /// The trace the message belongs to, in the W3C form.
    pub traceparent: Option<String>,
}

/// Text that is not a correlation of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a correlation of ours")]
pub struct InvalidCorrelation;

impl fmt::Display for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (message, attempt) = (self.message.uuid().simple(), self.attempt.uuid().simple());
        write!(f, "{PREFIX}:{message}:{attempt}:{:016x}", self.check)?;
        match &self.traceparent {
            Some(traceparent) => write!(f, ":{traceparent}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Correlation {
    type Err = InvalidCorrelation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let mut next = || parts.next().ok_or(InvalidCorrelation);
        if next()? != PREFIX {
            return Err(InvalidCorrelation);
        }
        let (message, attempt) = (uuid(next()?)?, uuid(next()?)?);
        let check = next()?;
        if check.len() != 16 || !check.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidCorrelation);
        }
        let check = u64::from_str_radix(check, 16).map_err(|_| InvalidCorrelation)?;
        let traceparent = parts.next();
        let good = |trace: &str| {
            trace.len() == TRACEPARENT_BYTES && trace.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        };
        if !traceparent.is_none_or(good) || parts.next().is_some() {
            return Err(InvalidCorrelation);
        }
        Ok(Self {
            message: MessageId::new(message),
            attempt: AttemptId::new(attempt),
            check,
            traceparent: traceparent.map(ToOwned::to_owned),
        })
    }
}

fn uuid(text: &str) -> Result<Uuid, InvalidCorrelation> {
    // The one form that is written: `Uuid::try_parse` would take others too.
    let simple = text.len() == 32;
    Uuid::try_parse(text).ok().filter(|_| simple).ok_or(InvalidCorrelation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn correlation(traceparent: Option<&str>) -> Correlation {
        Correlation {
            message: MessageId::new(Uuid::from_u128(7)),
            attempt: AttemptId::new(Uuid::from_u128(8)),
            check: 0x0123_4567_89ab_cdef,
            traceparent: traceparent.map(ToOwned::to_owned),
        }
    }

    #[test]
    fn a_correlation_is_read_back_from_what_it_shows() {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for correlation in [correlation(None), correlation(Some(trace))] {
            let text = correlation.to_string();
            assert!(text.len() <= 512, "{text}");
            assert_eq!(text.parse(), Ok(correlation));
        }
    }

    #[test]
    fn anything_else_is_not_one() {
        let good = correlation(None).to_string();
        let bad = [
            String::new(),
            "campaign-7".to_owned(),
            good.replace("assent", "other"),
            good.replace("0123456789abcdef", "+123456789abcdef"),
            format!("{good}:"),
            format!("{good}:00-trace"),
            good[..good.len() - 1].to_owned(),
            good.rsplit_once(':').unwrap().0.to_owned(),
        ];
        for text in bad {
            assert_eq!(text.parse::<Correlation>(), Err(InvalidCorrelation), "{text}");
        }
    }
}

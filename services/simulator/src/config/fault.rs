//! Faults: things that go wrong on purpose, by rate or for the next few times.

use serde::{Deserialize, Serialize};

use super::Recipient;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The message is accepted, then the connection is closed without an answer.
    DropAfterAccept,
    /// The message is accepted, then the connection is reset.
    ResetAfterAccept,
    /// The message is accepted, then the answer is HTTP 500 with a Graph error.
    #[serde(rename = "error_500_after_accept")]
    Error500AfterAccept,
    /// The message is accepted, and no answer ever comes.
    NeverAnswer,
    /// The message is accepted, and the answer comes late (`delay_ms`, 5 s unless given).
    SlowAnswer,
    /// The message is accepted, then the answer is an HTML page with status 502, as from a proxy on the way.
    HtmlAfterAccept,
    /// The connection is closed before anything is accepted.
    DropBeforeAccept,
    /// The connection is reset before anything is accepted.
    ResetBeforeAccept,
    /// HTTP 503 with a Graph error, nothing accepted.
    #[serde(rename = "unavailable_503")]
    Unavailable503,
    /// No answer ever comes and nothing is accepted.
    NeverAnswerBeforeAccept,
    /// An HTML page with status 502, nothing accepted.
    HtmlError,
    /// A Graph error with `code`, nothing accepted.
    GraphError,
    /// The message is accepted, and fails later because the file at its link cannot be fetched (131053).
    LinkUnreachable,
    /// The message arrives, and a `failed` with 131000 is reported for another of the person's devices.
    FailedAfterDelivery,
    /// The callback is never sent.
    WithholdCallback,
    /// The callback is sent twice.
    DuplicateCallback,
    /// All callbacks of the message are kept back until its story has ended, then sent in another order.
    ShuffleCallbacks,
    /// The callback is sent late (`delay_ms`, 5 s unless given).
    LateCallback,
    /// The callback carries a signature that does not fit.
    BadSignature,
}

impl FaultKind {
    /// Whether this fault concerns the answer to a send, rather than callbacks.
    pub(crate) fn concerns_answers(self) -> bool {
        match self {
            Self::DropAfterAccept
            | Self::ResetAfterAccept
            | Self::ResetBeforeAccept
            | Self::Error500AfterAccept
            | Self::NeverAnswer
            | Self::SlowAnswer
            | Self::HtmlAfterAccept
            | Self::DropBeforeAccept
            | Self::Unavailable503
            | Self::NeverAnswerBeforeAccept
            | Self::HtmlError
            | Self::GraphError => true,
            Self::LinkUnreachable
            | Self::FailedAfterDelivery
            | Self::WithholdCallback
            | Self::DuplicateCallback
            | Self::ShuffleCallbacks
            | Self::LateCallback
            | Self::BadSignature => false,
        }
    }
}

/// Which calls a fault of answers strikes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultEndpoint {
    /// Sending: `/messages` and `/marketing_messages`.
    #[default]
    Messages,
    /// Uploads to `/media`.
    Upload,
    /// Downloads of media files.
    Download,
    /// Every other call.
    Management,
}

/// One fault and when it strikes: for the `next` times, and by `rate` after that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Share of occasions, 0 to 1.
    #[serde(default)]
    pub rate: f64,
    /// Number of next occasions on which it strikes for certain.
    #[serde(default)]
    pub next: u32,
    /// Delay of slow answers and late callbacks, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Error code of `graph_error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// Which calls it strikes, if it concerns answers; sending unless given.
    #[serde(default)]
    pub on: FaultEndpoint,
    /// Only for messages to this phone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Recipient>,
}

impl Fault {
    /// A fault that strikes on the next `count` occasions.
    pub fn next(kind: FaultKind, count: u32) -> Self {
        Self {
            kind,
            rate: 0.0,
            next: count,
            delay_ms: None,
            code: None,
            on: FaultEndpoint::Messages,
            recipient: None,
        }
    }

    /// A fault that strikes on a share of occasions.
    pub fn rate(kind: FaultKind, rate: f64) -> Self {
        Self {
            kind,
            rate,
            next: 0,
            delay_ms: None,
            code: None,
            on: FaultEndpoint::Messages,
            recipient: None,
        }
    }

    pub(crate) fn check(&self, problems: &mut Vec<String>) {
        if !(0.0..=1.0).contains(&self.rate) {
            problems.push(format!("faults: {:?}: rate must lie between 0 and 1", self.kind));
        }
        if self.kind == FaultKind::GraphError && self.code.is_none() {
            problems.push("faults: GraphError: code is needed".to_owned());
        }
        if self.on != FaultEndpoint::Messages && (!self.kind.concerns_answers() || self.recipient.is_some()) {
            problems.push(format!(
                "faults: {:?}: on is for faults of answers, without a recipient",
                self.kind
            ));
        }
        if self
            .recipient
            .as_ref()
            .is_some_and(|phone| super::parse_digits(phone.as_str()).is_none())
        {
            problems.push(format!("faults: {:?}: recipient is not a phone number", self.kind));
        }
    }
}

//! Which faults are switched on, and when they strike.

use std::collections::BTreeMap;

use super::World;
use super::answer::{Answer, Manner};
use super::draw::{self, Draw};
use crate::config::{Fault, FaultEndpoint, FaultKind, parse_digits};
use crate::error::GraphError;

const SLOW_ANSWER_MS: u64 = 5_000;

/// One switched-on fault with its remaining certain strikes.
struct Active {
    fault: Fault,
    recipient: Option<u64>,
}

/// All faults that are switched on.
#[derive(Default)]
pub(crate) struct Faults {
    active: Vec<Active>,
    struck: BTreeMap<String, u64>,
    /// Calls other than sending while faults were on; numbers draws.
    calls: u64,
}

impl Faults {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let mut all = Self::default();
        for fault in faults {
            all.set(fault.clone());
        }
        all
    }

    /// Switches a fault on, replacing one of the same kind, calls and recipient. Rate 0 and next 0 switch it off.
    pub(crate) fn set(&mut self, fault: Fault) {
        let recipient = fault
            .recipient
            .as_ref()
            .and_then(|phone| parse_digits(phone.as_str()))
            .map(super::identity::wa_id);
        self.active
            .retain(|other| (other.fault.kind, other.fault.on, other.recipient) != (fault.kind, fault.on, recipient));
        if fault.rate > 0.0 || fault.next > 0 {
            self.active.push(Active { fault, recipient });
        }
    }

    /// Switches all faults off.
    pub(crate) fn clear(&mut self) {
        self.active.clear();
    }

    /// What is switched on, with what remains of `next`.
    pub(crate) fn list(&self) -> Vec<Fault> {
        self.active.iter().map(|active| active.fault.clone()).collect()
    }

    /// How often each kind has struck.
    pub(crate) fn struck(&self) -> &BTreeMap<String, u64> {
        &self.struck
    }

    /// The fault, if any, that strikes the answer to this person's `nth` send.
    pub(crate) fn strike_answer(&mut self, seed: u64, phone: u64, nth: u64) -> Option<Fault> {
        if self.active.is_empty() {
            return None;
        }
        let hit = self.active.iter_mut().enumerate().find_map(|(at, active)| {
            let concerns = active.fault.kind.concerns_answers()
                && active.fault.on == FaultEndpoint::Messages
                && active.recipient.is_none_or(|only| only == phone);
            (concerns && active.strikes(seed, Draw::AnswerFault, phone, nth, at)).then(|| active.fault.clone())
        });
        if let Some(fault) = &hit {
            self.count(fault.kind);
        }
        hit
    }

    /// The fault, if any, that strikes the answer to a call other than sending.
    pub(crate) fn strike_call(&mut self, seed: u64, on: FaultEndpoint) -> Option<Fault> {
        if self.active.is_empty() {
            return None;
        }
        let nth = self.calls;
        self.calls += 1;
        let hit = self.active.iter_mut().enumerate().find_map(|(at, active)| {
            let concerns = active.fault.kind.concerns_answers() && active.fault.on == on;
            (concerns && active.strikes(seed, Draw::AnswerFault, 0, nth, at)).then(|| active.fault.clone())
        });
        if let Some(fault) = &hit {
            self.count(fault.kind);
        }
        hit
    }

    /// Whether this fault strikes the `nth` callback about this person.
    pub(crate) fn strike_callback(&mut self, seed: u64, kind: FaultKind, phone: u64, nth: u64) -> Option<Fault> {
        if self.active.is_empty() {
            return None;
        }
        let hit = self.active.iter_mut().enumerate().find_map(|(at, active)| {
            let concerns = active.fault.kind == kind && active.recipient.is_none_or(|only| only == phone);
            (concerns && active.strikes(seed, Draw::CallbackFault, phone, nth, at)).then(|| active.fault.clone())
        });
        if hit.is_some() {
            self.count(kind);
        }
        hit
    }

    /// Whether the link of a message to this person cannot be fetched.
    pub(crate) fn strike_link(&mut self, seed: u64, phone: u64, nth: u64) -> bool {
        self.strike_callback(seed, FaultKind::LinkUnreachable, phone, nth)
            .is_some()
    }

    fn count(&mut self, kind: FaultKind) {
        let name = serde_json::to_value(kind)
            .ok()
            .and_then(|value| value.as_str().map(str::to_owned));
        *self.struck.entry(name.unwrap_or_default()).or_default() += 1;
    }
}

impl Active {
    fn strikes(&mut self, seed: u64, draw: Draw, phone: u64, nth: u64, at: usize) -> bool {
        if self.fault.next > 0 {
            self.fault.next -= 1;
            return true;
        }
        // The position makes faults of equal rate strike at different people.
        let salt = ((at as u64 + 1) << 48) | nth;
        draw::chance(seed, draw, phone, salt, self.fault.rate)
    }
}

impl World {
    /// The fault, if any, that strikes a call other than sending.
    pub(crate) fn strike_call(&mut self, on: FaultEndpoint) -> Option<Fault> {
        self.faults.strike_call(self.seed, on)
    }

    /// What is answered instead of doing anything; `None` if this fault lets the call be done.
    pub(crate) fn answer_before(&mut self, fault: &Fault) -> Option<Answer> {
        match fault.kind {
            FaultKind::DropBeforeAccept => Some(Answer::silent(Manner::Drop)),
            FaultKind::ResetBeforeAccept => Some(Answer::silent(Manner::Reset)),
            FaultKind::NeverAnswerBeforeAccept => Some(Answer::silent(Manner::Never)),
            FaultKind::HtmlError => Some(Answer::html(502)),
            FaultKind::Unavailable503 => Some(self.refuse(&GraphError::new(2, "Service temporarily unavailable"))),
            FaultKind::GraphError => {
                let code = fault.code.unwrap_or(131_000);
                Some(self.refuse(&GraphError::new(code, "Injected by the simulator")))
            }
            _ => None,
        }
    }

    /// What becomes of the answer to a call that was done.
    pub(crate) fn answer_after(&mut self, fault: &Fault, answer: Answer) -> Answer {
        match fault.kind {
            FaultKind::DropAfterAccept => Answer::silent(Manner::Drop),
            FaultKind::ResetAfterAccept => Answer::silent(Manner::Reset),
            FaultKind::NeverAnswer => Answer::silent(Manner::Never),
            FaultKind::SlowAnswer => Answer {
                manner: Manner::Slow(fault.delay_ms.unwrap_or(SLOW_ANSWER_MS)),
                ..answer
            },
            FaultKind::HtmlAfterAccept => Answer::html(502),
            FaultKind::Error500AfterAccept => {
                let error = GraphError::new(131_000, "Something went wrong");
                self.spoilt += 1;
                Answer::json(500, error.to_body(draw::bits(self.seed, Draw::Trace, 1, self.spoilt)))
            }
            _ => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_for_the_next_two_strikes_twice() {
        let mut faults = Faults::new(&[Fault::next(FaultKind::DropAfterAccept, 2)]);
        let strikes = (0..5)
            .filter(|nth| faults.strike_answer(1, 12_025_550_142, *nth).is_some())
            .count();
        assert_eq!(strikes, 2);
        assert_eq!(faults.struck()["drop_after_accept"], 2);
    }

    #[test]
    fn a_fault_for_one_recipient_leaves_others_alone() {
        let fault = Fault {
            recipient: Some(crate::config::Recipient::new("+1 202 555 0142")),
            ..Fault::rate(FaultKind::NeverAnswer, 1.0)
        };
        let mut faults = Faults::new(&[fault]);
        assert!(faults.strike_answer(1, 12_025_550_143, 0).is_none());
        assert!(faults.strike_answer(1, 12_025_550_142, 0).is_some());
    }

    #[test]
    fn answer_faults_and_callback_faults_do_not_mix() {
        let mut faults = Faults::new(&[Fault::rate(FaultKind::WithholdCallback, 1.0)]);
        assert!(faults.strike_answer(1, 1, 0).is_none());
        assert!(faults.strike_callback(1, FaultKind::DuplicateCallback, 1, 0).is_none());
        assert!(faults.strike_callback(1, FaultKind::WithholdCallback, 1, 0).is_some());
    }
}

//! Counts kept as things happen, so that asking for them costs nothing.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::World;
use super::draw;
use super::message::AcceptedMessage;
use super::update::Status;

/// Running counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    accepted: u64,
    recipients: u64,
    answers_spoilt: u64,
    opaque_seen: HashSet<u64>,
    opaque_repeated: u64,
    reached: BTreeMap<&'static str, u64>,
    standing: BTreeMap<&'static str, u64>,
    failed: BTreeMap<u32, u64>,
    refused: BTreeMap<u32, u64>,
    refusals: u64,
    pub(super) written: u64,
    pub(super) blocked: u64,
}

impl Tally {
    pub(super) fn accept(&mut self, first_to_person: bool, opaque: Option<&str>, spoilt: bool) {
        self.accepted += 1;
        self.recipients += u64::from(first_to_person);
        self.answers_spoilt += u64::from(spoilt);
        *self.standing.entry("accepted").or_default() += 1;
        if let Some(opaque) = opaque
            && !self.opaque_seen.insert(draw::subject(opaque))
        {
            self.opaque_repeated += 1;
        }
    }

    pub(super) fn reach(&mut self, before: Option<Status>, now: Status, code: Option<u32>) {
        let before = before.map_or("accepted", Status::as_str);
        *self.reached.entry(now.as_str()).or_default() += 1;
        if let Some(count) = self.standing.get_mut(before) {
            *count = count.saturating_sub(1);
        }
        *self.standing.entry(now.as_str()).or_default() += 1;
        if let Some(code) = code {
            *self.failed.entry(code).or_default() += 1;
        }
    }

    /// Counts a refusal; gives how many there were before it.
    pub(super) fn refuse(&mut self, code: u32) -> u64 {
        *self.refused.entry(code).or_default() += 1;
        self.refusals += 1;
        self.refusals - 1
    }
}

/// What has happened so far, in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Messages accepted.
    pub accepted: u64,
    /// Distinct people messages were accepted for.
    pub recipients: u64,
    /// Accepted messages whose answer was spoilt by a fault.
    pub answers_spoilt: u64,
    /// Accepted messages whose `biz_opaque_callback_data` had been accepted before: duplicates, if clients keep it unique.
    pub opaque_repeated: u64,
    /// Messages that have reached each status.
    pub reached: BTreeMap<&'static str, u64>,
    /// Messages by the last status they have reached in truth; `accepted` is none yet.
    pub standing: BTreeMap<&'static str, u64>,
    /// Messages failed, by code.
    pub failed_by_code: BTreeMap<u32, u64>,
    /// Requests refused, by code.
    pub refused_by_code: BTreeMap<u32, u64>,
    /// Messages people have written.
    pub written: u64,
    /// Times a person has blocked a number.
    pub blocked: u64,
    /// Times each fault has struck.
    pub faults_struck: BTreeMap<String, u64>,
    /// Media files kept.
    pub media_files: u64,
    /// Their bytes.
    pub media_bytes: u64,
    /// Things that will still happen by themselves.
    pub happenings_ahead: u64,
}

impl World {
    /// What has happened so far, in numbers.
    pub(crate) fn summary(&self) -> Summary {
        let tally = &self.tally;
        let (media_files, media_bytes) = self.media_size();
        Summary {
            media_files,
            media_bytes,
            accepted: tally.accepted,
            recipients: tally.recipients,
            answers_spoilt: tally.answers_spoilt,
            opaque_repeated: tally.opaque_repeated,
            reached: tally.reached.clone(),
            standing: tally.standing.clone(),
            failed_by_code: tally.failed.clone(),
            refused_by_code: tally.refused.clone(),
            written: tally.written,
            blocked: tally.blocked,
            faults_struck: self.faults.struck().clone(),
            happenings_ahead: self.agenda.len() as u64,
        }
    }

    /// Messages accepted.
    pub(crate) fn accepted_count(&self) -> u64 {
        self.tally.accepted
    }

    /// Messages people have written.
    pub(crate) fn written_count(&self) -> u64 {
        self.tally.written
    }

    /// Accepted messages that pass a test, from a position on.
    pub(crate) fn accepted(
        &self,
        after: u64,
        limit: usize,
        with_bodies: bool,
        passes: impl Fn(&super::Message) -> bool,
    ) -> Vec<AcceptedMessage> {
        let from = after as usize;
        let rest = self.messages.get(from..).unwrap_or_default();
        let numbered = rest.iter().enumerate().filter(|(_, message)| passes(message));
        numbered
            .take(limit)
            .map(|(at, message)| message.view((from + at + 1) as u64, with_bodies))
            .collect()
    }
}

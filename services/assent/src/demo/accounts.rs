//! Who says what about the campaign, and whether it adds up.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

/// What the customer was answered about each message.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) answers: BTreeMap<Uuid, Answer>,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It will be sent.
    Authorized,
    /// It will not, for these reasons.
    Refused(Vec<String>),
}

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a message")]
pub(super) struct Fate {
    pub(super) authorized: bool,
    pub(super) refused_for: Vec<String>,
    /// WhatsApp took it.
    pub(super) taken: bool,
    pub(super) sent: bool,
    pub(super) delivered: bool,
    pub(super) read: bool,
    pub(super) failed: bool,
    /// Authorized and then, with a recorded reason, never sent.
    pub(super) withdrawn: bool,
}

impl Fate {
    /// How far it came on WhatsApp's side.
    fn reached(&self) -> &'static str {
        match self {
            Self { read: true, .. } => "read",
            Self { delivered: true, .. } => "delivered",
            Self { failed: true, .. } => "failed",
            Self { sent: true, .. } => "sent",
            Self { taken: true, .. } => "accepted",
            _ => "not sent",
        }
    }
}

/// A line of the final table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Row {
    Requested,
    Authorized,
    Refused,
    RefusedFor(String),
    Withdrawn,
    Taken,
    Sent,
    Delivered,
    Read,
    Failed,
}

impl Row {
    /// What people call it.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Requested => "requested".to_owned(),
            Self::Authorized => "authorized".to_owned(),
            Self::Refused => "refused".to_owned(),
            Self::RefusedFor(reason) => format!("  {}", reason.to_lowercase().replace('_', " ")),
            Self::Withdrawn => "authorized, then not sent".to_owned(),
            Self::Taken => "taken by WhatsApp".to_owned(),
            Self::Sent => "sent".to_owned(),
            Self::Delivered => "delivered".to_owned(),
            Self::Read => "read".to_owned(),
            Self::Failed => "failed".to_owned(),
        }
    }

    /// Whether it is about decisions, else about deliveries.
    fn is_decision(&self) -> bool {
        matches!(
            self,
            Self::Requested | Self::Authorized | Self::Refused | Self::RefusedFor(_)
        )
    }
}

/// Counts by line; a line not in it is 0.
pub(super) type Tally = BTreeMap<Row, u64>;

/// Somebody who counts the same messages for themselves.
#[derive(Debug, Clone)]
pub(super) struct Witness {
    pub(super) name: &'static str,
    /// Whether they know of decisions.
    pub(super) decisions: bool,
    /// Whether they know of deliveries.
    pub(super) deliveries: bool,
    pub(super) tally: Tally,
}

impl Witness {
    /// What they say; `None` where they cannot know.
    pub(super) fn says(&self, row: &Row) -> Option<u64> {
        let knows = match row {
            Row::Withdrawn => self.decisions && self.deliveries,
            row if row.is_decision() => self.decisions,
            _ => self.deliveries,
        };
        knows.then(|| self.tally.get(row).copied().unwrap_or_default())
    }
}

/// Counts fates.
pub(super) fn count<'a>(fates: impl Iterator<Item = &'a Fate>) -> Tally {
    let mut tally = Tally::new();
    for fate in fates {
        let mut count = |row, holds: bool| *tally.entry(row).or_default() += u64::from(holds);
        count(Row::Requested, true);
        count(Row::Authorized, fate.authorized);
        count(Row::Refused, !fate.refused_for.is_empty());
        for reason in &fate.refused_for {
            count(Row::RefusedFor(reason.clone()), true);
        }
        count(Row::Withdrawn, fate.withdrawn);
        count(Row::Taken, fate.taken);
        count(Row::Sent, fate.sent);
        count(Row::Delivered, fate.delivered);
        count(Row::Read, fate.read);
        count(Row::Failed, fate.failed);
    }
    tally
}

/// Counts the answers a customer got.
pub(super) fn count_answers(ledger: &Ledger) -> Tally {
    let fate = |answer: &Answer| match answer {
        Answer::Authorized => Fate {
            authorized: true,
            ..Fate::default()
        },
        Answer::Refused(reasons) => Fate {
            refused_for: reasons.clone(),
            ..Fate::default()
        },
    };
    let fates: Vec<Fate> = ledger.answers.values().map(fate).collect();
    count(fates.iter())
}

/// Every line that anybody has something to say about.
pub(super) fn rows(witnesses: &[Witness]) -> BTreeSet<Row> {
    witnesses
        .iter()
        .flat_map(|witness| witness.tally.keys().cloned())
        .collect()
}

/// The counts that differ between those who know them.
pub(super) fn reconcile(witnesses: &[Witness]) -> Vec<String> {
    let mut discrepancies = Vec::new();
    for row in rows(witnesses) {
        let said = |witness: &Witness| Some((witness.name, witness.says(&row)?));
        let said: Vec<(&str, u64)> = witnesses.iter().filter_map(said).collect();
        if said.iter().any(|(_, count)| *count != said[0].1) {
            let said: Vec<String> = said
                .iter()
                .map(|(name, count)| format!("{name} says {count}"))
                .collect();
            discrepancies.push(format!("{}: {}", row.label().trim(), said.join(", ")));
        }
    }
    discrepancies
}

/// A message on WhatsApp's own list: ours by the id it travelled with, and what became of it.
pub(super) type Taken = (Option<Uuid>, Fate);

/// Compares message by message what was answered, what the log says and what WhatsApp has.
pub(super) fn compare(ledger: &Ledger, log: &BTreeMap<Uuid, Fate>, taken: &[Taken]) -> Vec<String> {
    let mut discrepancies = Vec::new();
    let mut seen = BTreeSet::new();
    for (id, fate) in taken {
        let Some(id) = id else {
            discrepancies.push("WhatsApp has a message that does not carry an id of ours".to_owned());
            continue;
        };
        if !seen.insert(*id) {
            discrepancies.push(format!("message {id} was sent twice"));
        }
        match ledger.answers.get(id) {
            Some(Answer::Authorized) => {}
            Some(Answer::Refused(_)) => discrepancies.push(format!("message {id} was refused and sent all the same")),
            None => discrepancies.push(format!("message {id} was sent and never requested")),
        }
        let (ours, theirs) = (log.get(id).map_or("unknown", Fate::reached), fate.reached());
        if ours != theirs {
            discrepancies.push(format!("message {id} is {ours} in the log and {theirs} at WhatsApp"));
        }
    }
    for (id, answer) in &ledger.answers {
        let fate = log.get(id);
        let explained = fate.is_some_and(|fate| fate.withdrawn || fate.failed);
        if *answer == Answer::Authorized && !seen.contains(id) && !explained {
            discrepancies.push(format!("message {id} was authorized and never reached WhatsApp"));
        }
        if fate.is_none() {
            discrepancies.push(format!("message {id} was answered and is not in the log"));
        }
    }
    let unasked = log.keys().filter(|id| !ledger.answers.contains_key(*id));
    discrepancies.extend(unasked.map(|id| format!("message {id} is in the log and was never answered")));
    discrepancies
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    fn read() -> Fate {
        Fate {
            authorized: true,
            taken: true,
            sent: true,
            delivered: true,
            read: true,
            ..Fate::default()
        }
    }

    fn refused() -> Fate {
        Fate {
            refused_for: vec!["CONSENT_MISSING".to_owned()],
            ..Fate::default()
        }
    }

    fn truth() -> (Ledger, BTreeMap<Uuid, Fate>, Vec<Taken>) {
        let answers = [
            (ONE, Answer::Authorized),
            (OTHER, Answer::Refused(vec!["CONSENT_MISSING".to_owned()])),
        ];
        let log = [(ONE, read()), (OTHER, refused())];
        let ledger = Ledger {
            answers: answers.into(),
        };
        (ledger, log.into(), vec![(Some(ONE), read())])
    }

    fn witnesses() -> Vec<Witness> {
        let (ledger, log, taken) = truth();
        let witness = |name, decisions, deliveries, tally| Witness {
            name,
            decisions,
            deliveries,
            tally,
        };
        vec![
            witness("the customer", true, false, count_answers(&ledger)),
            witness("the log", true, true, count(log.values())),
            witness("WhatsApp", false, true, count(taken.iter().map(|(_, fate)| fate))),
        ]
    }

    #[test]
    fn the_truth_adds_up() {
        let (ledger, log, taken) = truth();
        assert!(reconcile(&witnesses()).is_empty(), "{:?}", reconcile(&witnesses()));
        assert!(compare(&ledger, &log, &taken).is_empty());
    }

    #[test]
    fn every_wrong_count_of_every_witness_is_noticed() {
        for liar in 0..3 {
            for row in rows(&witnesses()) {
                let mut witnesses = witnesses();
                if witnesses[liar].says(&row).is_none() || row == Row::Withdrawn {
                    continue;
                }
                *witnesses[liar].tally.entry(row.clone()).or_default() += 1;
                let found = reconcile(&witnesses);
                assert_eq!(found.len(), 1, "{row:?} of {}", witnesses[liar].name);
                assert!(found[0].starts_with(row.label().trim()), "{found:?}");
                assert!(found[0].contains(witnesses[liar].name), "{found:?}");
            }
        }
    }

    #[test]
    fn a_reason_that_only_one_counts_is_noticed() {
        let mut witnesses = witnesses();
        witnesses[0]
            .tally
            .insert(Row::RefusedFor("WINDOW_CLOSED".to_owned()), 1);
        let found = reconcile(&witnesses);
        assert_eq!(found, ["window closed: the customer says 1, the log says 0"]);
    }

    #[test]
    fn counts_that_agree_hide_no_swapped_messages() {
        let (ledger, log, _) = truth();
        let swapped = compare(&ledger, &log, &[(Some(OTHER), read())]);
        assert!(
            swapped
                .iter()
                .any(|text| text.contains("refused and sent all the same")),
            "{swapped:?}"
        );
        assert!(
            swapped.iter().any(|text| text.contains("never reached WhatsApp")),
            "{swapped:?}"
        );
    }

    #[test]
    fn a_message_sent_twice_is_noticed() {
        let (ledger, log, mut taken) = truth();
        taken.extend(taken.clone());
        assert_eq!(
            compare(&ledger, &log, &taken),
            [format!("message {ONE} was sent twice")]
        );
    }

    #[test]
    fn a_message_of_nobody_and_a_state_that_differs_are_noticed() {
        let (ledger, log, mut taken) = truth();
        taken[0].1.read = false;
        taken.push((None, read()));
        taken.push((Some(Uuid::from_u128(9)), read()));
        let found = compare(&ledger, &log, &taken).join("\n");
        assert!(
            found.contains("is read in the log and delivered at WhatsApp"),
            "{found}"
        );
        assert!(found.contains("does not carry an id of ours"), "{found}");
        assert!(found.contains("sent and never requested"), "{found}");
    }

    #[test]
    fn what_was_answered_is_in_the_log_and_the_other_way_round() {
        let (mut ledger, log, taken) = truth();
        ledger.answers.remove(&OTHER);
        ledger
            .answers
            .insert(Uuid::from_u128(7), Answer::Refused(vec!["WINDOW_CLOSED".to_owned()]));
        let found = compare(&ledger, &log, &taken).join("\n");
        assert!(found.contains("answered and is not in the log"), "{found}");
        assert!(found.contains("is in the log and was never answered"), "{found}");
    }
}

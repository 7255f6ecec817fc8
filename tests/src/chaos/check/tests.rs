//! The checker must notice each thing it is there for.

use assent_event_store::{RecordedEvent, ShardId, StreamId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Checker, Line, Outcome, Refusal, Sighting, Violations};
use crate::chaos::mark::{AppendName, Mark};

fn append(number: u64) -> AppendName {
    AppendName {
        lane: "0.0.0.0".to_owned(),
        number,
    }
}

fn mark(number: u64, index: u32, count: u32) -> Mark {
    Mark {
        append: append(number),
        index,
        count,
        expected: None,
        guards: Vec::new(),
        filler: String::new(),
    }
}

fn stream(key: u128) -> StreamId {
    StreamId::new("test", Uuid::from_u128(key))
}

fn recorded(position: u64, stream: &StreamId, version: u32, mark: &Mark) -> RecordedEvent {
    let event = mark.to_event();
    RecordedEvent {
        shard: ShardId(0),
        position,
        stream: stream.clone(),
        version,
        id: Uuid::from_u128(u128::from(position)),
        kind: event.kind,
        schema_version: 1,
        recorded_at: OffsetDateTime::UNIX_EPOCH,
        data: event.data,
        meta: event.meta,
    }
}

/// Append 0 writes two events to one stream and one to another, append 1 one event to the first.
fn good_log() -> Vec<RecordedEvent> {
    vec![
        recorded(1, &stream(1), 1, &mark(0, 0, 3)),
        recorded(2, &stream(1), 2, &mark(0, 1, 3)),
        recorded(3, &stream(2), 1, &mark(0, 2, 3)),
        recorded(4, &stream(1), 3, &mark(1, 0, 1)),
    ]
}

fn acknowledged() -> Line {
    Line {
        append: append(0),
        outcome: Outcome::Acknowledged {
            first: 1,
            last: 3,
            versions: vec![(stream(1).to_string(), 2), (stream(2).to_string(), 1)],
            ids: (1..=3).map(Uuid::from_u128).collect(),
        },
    }
}

fn sightings() -> Vec<Sighting> {
    let sighting = |event: RecordedEvent| Sighting {
        position: event.position,
        id: event.id,
        version: event.version,
        seen_at_us: 70,
    };
    good_log().into_iter().map(sighting).collect()
}

fn checker(log: &[RecordedEvent]) -> Checker {
    let mut checker = Checker::new();
    for event in log {
        checker.event(event);
    }
    checker
}

fn after_log(log: &[RecordedEvent]) -> Violations {
    checker(log).finish()
}

fn after_lines(lines: &[Line]) -> Violations {
    let mut checker = checker(&good_log());
    checker.compare_with_writers(lines);
    checker.finish()
}

fn after_reader(sightings: &[Sighting]) -> Violations {
    let mut checker = checker(&good_log());
    checker.compare_with_reader("test", sightings);
    checker.finish()
}

fn assert_found(violations: &Violations, what: &str) {
    assert!(
        violations.to_string().contains(what),
        "{what:?} is not among {violations}"
    );
}

#[test]
fn a_good_run_has_no_violations_and_is_counted() {
    let mut checker = checker(&good_log());
    let refused = |number, answer| Line {
        append: append(number),
        outcome: Outcome::Refused { answer },
    };
    let dropped = Line {
        append: append(9),
        outcome: Outcome::Dropped,
    };
    let tally = checker.compare_with_writers(&[acknowledged(), refused(7, Refusal::Conflict), dropped]);
    checker.compare_with_reader("test", &sightings());
    assert_eq!((tally.acknowledged_appends, tally.acknowledged_events), (1, 3));
    assert_eq!((tally.conflicts, tally.dropped_and_absent, tally.never_told), (1, 1, 1));
    assert!(checker.lags_us(&sightings()).all(|lag| lag == (0, 70)));
    let violations = checker.finish();
    assert!(violations.is_empty(), "{violations}");
}

#[test]
fn holes_doubles_and_wrong_versions_in_the_log_are_found() {
    let mut log = good_log();
    log.remove(3);
    log.push(recorded(5, &stream(1), 3, &mark(1, 0, 1)));
    assert_found(&after_log(&log), "position 5 follows on 3");

    let mut log = good_log();
    log[3].id = log[0].id;
    assert_found(&after_log(&log), "is in the log twice, again at 4");

    let mut log = good_log();
    log[3].version = 4;
    assert_found(&after_log(&log), "has version 4 after 2");
}

#[test]
fn a_half_written_append_is_found_wherever_it_was_cut() {
    let log = good_log();
    assert_found(&after_log(&log[..2]), "the log has 2 of the 3 events");

    let mut without_end = good_log();
    without_end.remove(2);
    without_end[2].position = 3;
    assert_found(&after_log(&without_end), "the log has 2 of the 3 events");

    let mut without_start = good_log();
    without_start.remove(0);
    assert_found(&after_log(&without_start), "without those before it");
}

#[test]
fn an_append_that_was_written_twice_is_found() {
    let mut log = good_log();
    log.push(recorded(5, &stream(1), 4, &mark(1, 0, 1)));
    assert_found(&after_log(&log), "append 0.0.0.0/1 is in the log twice: at 4 and at 5");
}

#[test]
fn an_append_written_against_its_expectation_or_guard_is_found() {
    let mut unexpected = mark(2, 0, 1);
    unexpected.expected = Some(7);
    let mut log = good_log();
    log.push(recorded(5, &stream(1), 4, &unexpected));
    assert_found(
        &after_log(&log),
        "expected test-00000000000000000000000000000001 at 7 and was written at 3",
    );

    let mut unguarded = mark(2, 0, 1);
    unguarded.guards.push((stream(2).to_string(), 4));
    let mut log = good_log();
    log.push(recorded(5, &stream(3), 1, &unguarded));
    assert_found(&after_log(&log), "at 4 and was written at 1");
}

#[test]
fn an_acknowledgement_that_the_log_does_not_bear_out_is_found() {
    let mut elsewhere = acknowledged();
    elsewhere.append = append(5);
    assert_found(&after_lines(&[elsewhere]), "the log has None");

    let mut other_version = acknowledged();
    if let Outcome::Acknowledged { versions, .. } = &mut other_version.outcome {
        versions[0].1 = 9;
    }
    assert_found(&after_lines(&[other_version]), "was acknowledged at 1 to 3");
}

#[test]
fn a_refusal_of_what_was_written_and_one_for_no_reason_are_found() {
    let refused = Line {
        append: append(1),
        outcome: Outcome::Refused {
            answer: Refusal::Conflict,
        },
    };
    assert_found(&after_lines(&[refused]), "was told Conflict and is in the log at 4");
    let wrongly = Line {
        append: append(3),
        outcome: Outcome::WronglyRefused {
            answer: "closed".to_owned(),
        },
    };
    assert_found(&after_lines(&[wrongly]), "for no reason");
}

#[test]
fn a_reader_that_misses_doubles_or_reorders_is_found() {
    let all = sightings();
    assert_found(&after_reader(&all[..3]), "saw 3 events and the log has 4");
    assert_found(&after_reader(&[all[0], all[2], all[3]]), "where the log has");
    assert_found(
        &after_reader(&[all[0], all[0], all[1], all[2], all[3]]),
        "where the log has",
    );
    assert_found(&after_reader(&[all[0], all[2], all[1], all[3]]), "where the log has");
}

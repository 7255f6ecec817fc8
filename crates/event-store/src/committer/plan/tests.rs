use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::{
    append::{AppendError, Appended},
    event::EventMeta,
};

const SHARD: ShardId = ShardId(0);

/// Everything is assumed that can be.
fn beliefs(seen: &dyn Fn(&StreamId) -> Option<u32>) -> Beliefs<'_> {
    Beliefs {
        known_head: None,
        cached: &|_| None,
        seen,
        assume: Assume {
            new: true,
            seen: true,
            min: 1,
        },
    }
}

fn stream(number: u8) -> StreamId {
    StreamId::new("test", Uuid::from_u128(u128::from(number)))
}

fn events(count: u32) -> Vec<NewEvent> {
    (0..count)
        .map(|_| NewEvent::new("test.happened", 1, &b"{}"[..], &EventMeta::default()))
        .collect()
}

/// A shard that holds nothing but versions, and applies a flush by the rule the databases apply.
#[derive(Debug, Default)]
struct Model {
    head: u64,
    versions: HashMap<StreamId, u32>,
    dead: Vec<KeyId>,
}

impl Model {
    /// What is assumed of a stream counts until an event of it collides with one that is there.
    fn run(&mut self, flush: &Flush) -> Findings {
        let assumed = self.find(flush, |stream| stream.belief.is_assumed());
        let passing = flush.passing(&assumed);
        let collides = |event: &FlushEvent| {
            let stream = &flush.streams[event.stream];
            let actual = self.versions.get(&stream.id).copied().unwrap_or(0);
            assert!(stream.belief.version() <= actual, "versions would be skipped");
            passing[event.group] && stream.belief.is_assumed() && stream.belief.version() < actual
        };
        let findings = if flush.events.iter().any(collides) {
            self.find(flush, |_| false)
        } else {
            assumed
        };
        let passing = flush.passing(&findings);
        for event in flush.events.iter().filter(|event| passing[event.group]) {
            self.head += 1;
            *self.versions.entry(flush.streams[event.stream].id.clone()).or_default() += 1;
        }
        findings
    }

    fn find(&self, flush: &Flush, is_assumed: impl Fn(&FlushStream) -> bool) -> Findings {
        let version = |stream: &FlushStream| {
            if is_assumed(stream) {
                return stream.belief.version();
            }
            self.versions.get(&stream.id).copied().unwrap_or(0)
        };
        let gone = flush
            .keys
            .iter()
            .enumerate()
            .filter(|(_, key)| self.dead.contains(&key.key))
            .map(|(index, _)| index);
        Findings {
            base: self.head,
            heads: flush.streams.iter().map(version).collect(),
            gone: gone.collect(),
        }
    }
}

#[derive(Debug, Clone)]
struct Wanted {
    writes: Vec<(u8, Option<u32>, u32)>,
    guards: Vec<(u8, Option<u32>)>,
    key: Option<u8>,
}

impl Wanted {
    fn append(&self) -> Append {
        let expected = |version: Option<u32>| match version {
            None => Expected::Any,
            Some(0) => Expected::NoStream,
            Some(version) => Expected::Exact(version),
        };
        let mut append = Append::new();
        for &(number, version, count) in &self.writes {
            append = append.write(stream(number), expected(version), events(count));
        }
        for &(number, version) in &self.guards {
            append = append.guard(stream(number), expected(version));
        }
        append.sealed_with(self.key.map(key))
    }

    fn expectations(&self) -> impl Iterator<Item = (StreamId, u32)> + '_ {
        let writes = self.writes.iter().map(|&(number, version, _)| (number, version));
        writes
            .chain(self.guards.iter().copied())
            .filter_map(|(number, version)| version.map(|version| (stream(number), version)))
    }
}

fn key(number: u8) -> KeyId {
    KeyId(Uuid::from_u128(1_000 + u128::from(number)))
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let version = prop_oneof![2 => Just(None), 3 => (0..6_u32).prop_map(Some)];
    let named = proptest::sample::subsequence(vec![0_u8, 1, 2, 3], 1..=3);
    (
        named,
        proptest::collection::vec((version, 1..3_u32, any::<bool>()), 3),
        proptest::option::weighted(0.1, 0..3_u8),
    )
        .prop_map(|(streams, details, key)| {
            let mut wanted = Wanted {
                writes: Vec::new(),
                guards: Vec::new(),
                key,
            };
            for (index, (number, (version, count, guard))) in streams.into_iter().zip(details).enumerate() {
                if guard && index > 0 {
                    wanted.guards.push((number, version));
                } else {
                    wanted.writes.push((number, version, count));
                }
            }
            wanted
        })
}

type Answers = Vec<Result<Appended, AppendError>>;

/// Runs every append to its answer, with a foreign write to one of the streams before some flushes.
fn run(all: &[Wanted], foreign: &[Option<u8>], dead: &[KeyId]) -> (Model, Answers, Vec<(u64, u8)>) {
    let mut model = Model {
        dead: dead.to_vec(),
        ..Model::default()
    };
    let mut answers: Vec<Option<Result<Appended, AppendError>>> = vec![None; all.len()];
    let mut foreign_writes = Vec::new();
    let mut queue: VecDeque<Waiting<usize>> = all
        .iter()
        .enumerate()
        .map(|(reply, wanted)| Waiting::new(wanted.append(), reply))
        .collect();
    let mut rounds = 0;
    let mut seen: HashMap<StreamId, u32> = HashMap::new();
    while !queue.is_empty() {
        assert!(rounds <= 2 * all.len(), "each flush must answer at least one append");
        if let Some(Some(number)) = foreign.get(rounds) {
            model.head += 1;
            *model.versions.entry(stream(*number)).or_default() += 1;
            foreign_writes.push((model.head, *number));
        }
        let mut planner = Planner::new();
        let mut deferred = VecDeque::new();
        while let Some(waiting) = queue.pop_front() {
            if let Offer::Deferred(waiting) = planner.offer(waiting) {
                deferred.push_back(waiting);
            }
        }
        let seen_at = |stream: &StreamId| seen.get(stream).copied();
        let plan = planner.finish(Uuid::from_u128(rounds as u128), SHARD, 0, &beliefs(&seen_at));
        let findings = model.run(&plan.flush);
        let settled = plan.settle(&findings);
        assert_eq!(settled.head, model.head);
        for (stream, version) in &settled.heads {
            assert_eq!(model.versions.get(stream).copied().unwrap_or(0), *version);
            seen.insert(stream.clone(), *version);
        }
        for (reply, outcome) in settled.answers {
            assert!(
                answers[reply].replace(outcome).is_none(),
                "an append was answered twice"
            );
        }
        queue.extend(settled.again);
        queue.extend(deferred);
        rounds += 1;
    }
    (
        model,
        answers
            .into_iter()
            .map(|answer| answer.expect("every append is answered"))
            .collect(),
        foreign_writes,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What was written is what some order of single appends would have written: in the order of their positions, each
    /// finds every stream where it expected it.
    #[test]
    fn the_written_appends_are_serializable(
        all in proptest::collection::vec(wanted(), 1..14),
        foreign in proptest::collection::vec(proptest::option::weighted(0.3, 0..4_u8), 0..10),
        dead in proptest::option::of(0..3_u8),
    ) {
        let dead: Vec<KeyId> = dead.map(key).into_iter().collect();
        let (model, answers, foreign) = run(&all, &foreign, &dead);
        let mut order: Vec<(u64, Option<usize>, u8)> = foreign.into_iter().map(|(at, number)| (at, None, number)).collect();
        for (index, answer) in answers.iter().enumerate() {
            match answer {
                Ok(appended) => order.push((appended.first, Some(index), 0)),
                Err(AppendError::Conflict { stream, actual }) => {
                    let expected = all[index].expectations().find(|(named, _)| named == stream);
                    prop_assert!(expected.is_some_and(|(_, version)| version != *actual));
                }
                Err(AppendError::KeysGone { keys }) => prop_assert_eq!(keys, &dead),
                Err(other) => prop_assert!(false, "unexpected {}", other),
            }
        }
        order.sort_unstable();
        let mut versions: HashMap<StreamId, u32> = HashMap::new();
        let mut head = 0;
        for (first, index, number) in order {
            prop_assert_eq!(first, head + 1);
            let Some(index) = index else {
                *versions.entry(stream(number)).or_default() += 1;
                head += 1;
                continue;
            };
            let appended = answers[index].as_ref().unwrap();
            for (named, version) in all[index].expectations() {
                prop_assert_eq!(versions.get(&named).copied().unwrap_or(0), version);
            }
            let mut after = Vec::new();
            for &(number, _, count) in &all[index].writes {
                let version = versions.entry(stream(number)).or_default();
                *version += count;
                head += u64::from(count);
                after.push(*version);
            }
            prop_assert_eq!(&appended.versions, &after);
            prop_assert_eq!(appended.last, head);
        }
        prop_assert_eq!(model.head, head);
    }

    /// `Any` without guards and with living keys has nothing to fail on.
    #[test]
    fn an_append_that_expects_nothing_is_always_written(mut all in proptest::collection::vec(wanted(), 1..14), any in 0..4_u8) {
        for wanted in all.iter_mut().step_by(2) {
            *wanted = Wanted { writes: vec![(any, None, 1)], guards: Vec::new(), key: None };
        }
        let (_, answers, _) = run(&all, &[], &[]);
        for answer in answers.iter().step_by(2) {
            prop_assert!(answer.is_ok());
        }
    }
}

#[test]
fn an_append_may_build_on_another_of_the_same_flush() {
    let all = [
        Wanted {
            writes: vec![(1, Some(0), 2)],
            guards: vec![],
            key: None,
        },
        Wanted {
            writes: vec![(1, Some(2), 1)],
            guards: vec![],
            key: None,
        },
    ];
    let mut planner = Planner::new();
    for (reply, wanted) in all.iter().enumerate() {
        assert!(matches!(
            planner.offer(Waiting::new(wanted.append(), reply)),
            Offer::Taken
        ));
    }
    let plan = planner.finish(Uuid::nil(), SHARD, 0, &beliefs(&|_| None));
    let findings = Model::default().run(&plan.flush);
    let answers = plan.settle(&findings).answers;
    assert_eq!(
        answers[1].1.as_ref().unwrap(),
        &Appended {
            first: 3,
            last: 3,
            versions: vec![3]
        }
    );
}

#[test]
fn a_flush_found_in_the_log_answers_those_whose_events_are_there_and_tries_the_others_again() {
    let all = [
        Wanted {
            writes: vec![(1, Some(0), 1), (2, None, 2)],
            guards: vec![],
            key: None,
        },
        Wanted {
            writes: vec![(3, Some(5), 1)],
            guards: vec![],
            key: None,
        },
    ];
    let mut planner = Planner::new();
    for (reply, wanted) in all.iter().enumerate() {
        planner.offer(Waiting::new(wanted.append(), reply));
    }
    let plan = planner.finish(Uuid::nil(), SHARD, 0, &beliefs(&|_| None));
    let found = plan.flush.events[..3]
        .iter()
        .zip([(7, 1), (8, 4), (9, 5)])
        .map(|(event, (position, version))| (event.event.id, Found { position, version }))
        .collect();
    let settled = plan.settle_found(9, &found);
    assert_eq!(settled.answers.len(), 1);
    assert_eq!(
        settled.answers[0].1.as_ref().unwrap(),
        &Appended {
            first: 7,
            last: 9,
            versions: vec![1, 5]
        }
    );
    assert_eq!(settled.again.len(), 1);
    assert_eq!(settled.again[0].append.events(), 1, "its events came back");
}

#[test]
fn a_guard_is_not_assumed_to_hold_because_somebody_else_would_write_the_stream() {
    let mut model = Model {
        dead: vec![key(0)],
        ..Model::default()
    };
    model.versions.insert(stream(1), 3);
    let all = [
        Wanted {
            writes: vec![(2, None, 1)],
            guards: vec![(1, Some(0))],
            key: None,
        },
        // Left out for its key, so that nothing collides with what is in the stream.
        Wanted {
            writes: vec![(1, Some(0), 1)],
            guards: vec![],
            key: Some(0),
        },
    ];
    let mut planner = Planner::new();
    for (reply, wanted) in all.iter().enumerate() {
        planner.offer(Waiting::new(wanted.append(), reply));
    }
    let plan = planner.finish(Uuid::nil(), SHARD, 0, &beliefs(&|_| None));
    let findings = model.run(&plan.flush);
    let settled = plan.settle(&findings);
    let guarded = settled.answers.iter().find(|(reply, _)| *reply == 0);
    let outcome = &guarded.unwrap().1;
    assert!(
        matches!(outcome, Err(AppendError::Conflict { actual: 3, .. })),
        "{outcome:?}"
    );
}

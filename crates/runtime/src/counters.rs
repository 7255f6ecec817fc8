//! Counters whose labels are known beforehand: made once, on the page with 0 from the start, and cheap to count with.
//!
//! A counter that is first seen with its first increase is 1 when it appears, and neither `rate` nor `increase` of
//! Prometheus sees that one. And making a counter from its labels costs a few allocations and a look-up each time.

use metrics::Counter;
use std::ops::RangeInclusive;

/// The counters of one metric, one for each known set of values of its `N` labels.
#[derive(Debug)]
pub struct Counters<const N: usize = 1> {
    name: &'static str,
    labels: [&'static str; N],
    known: Vec<([&'static str; N], Counter)>,
}

impl<const N: usize> Counters<N> {
    /// Puts a counter with 0 on the page for each of `values`. The process's recorder must be set up before.
    pub fn new(
        name: &'static str,
        labels: [&'static str; N],
        values: impl IntoIterator<Item = [&'static str; N]>,
    ) -> Self {
        let known = values
            .into_iter()
            .map(|values| (values, counter(name, labels, values)))
            .collect();
        Self { name, labels, known }
    }

    /// Counts one. Values that were not named beforehand are counted all the same.
    pub fn one(&self, values: [&'static str; N]) {
        self.add(values, 1);
    }

    /// Counts `count`.
    pub fn add(&self, values: [&'static str; N], count: u64) {
        match self.known.iter().find(|(known, _)| *known == values) {
            Some((_, counter)) => counter.increment(count),
            None => counter(self.name, self.labels, values).increment(count),
        }
    }
}

fn counter<const N: usize>(name: &'static str, labels: [&'static str; N], values: [&'static str; N]) -> Counter {
    let labels: Vec<(&'static str, &'static str)> = labels.into_iter().zip(values).collect();
    metrics::counter!(name, &labels)
}

/// The counters of one metric with the label `code`, whose values are numbers: one for each known code or range of codes,
/// and `other` for the rest, so that nobody outside can make labels.
#[derive(Debug)]
pub struct CodeCounters {
    known: Vec<(RangeInclusive<i64>, Counter)>,
    other: Counter,
}

impl CodeCounters {
    /// Puts a counter with 0 on the page for each of `codes`, in their order: where two overlap, the first counts.
    pub fn new(name: &'static str, codes: impl IntoIterator<Item = RangeInclusive<i64>>) -> Self {
        let counter = |label: String| metrics::counter!(name, "code" => label);
        let label = |codes: &RangeInclusive<i64>| match (codes.start(), codes.end()) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        };
        let known = codes.into_iter().map(|codes| (codes.clone(), counter(label(&codes))));
        Self {
            known: known.collect(),
            other: counter("other".to_owned()),
        }
    }

    /// Counts one.
    pub fn one(&self, code: i64) {
        let known = self.known.iter().find(|(codes, _)| codes.contains(&code));
        known.map_or(&self.other, |(_, counter)| counter).increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn what_is_known_beforehand_stands_on_the_page_with_0() {
        let (page, ()) = Metrics::recorded(|| {
            let counters = Counters::new("assent_test_things_total", ["kind"], [["good"], ["bad"]]);
            counters.one(["bad"]);
            counters.add(["strange"], 2);
            CodeCounters::new("assent_test_errors_total", [5..=5, 4..=9]);
        });
        for line in [
            "assent_test_things_total{kind=\"good\"} 0",
            "assent_test_things_total{kind=\"bad\"} 1",
            "assent_test_things_total{kind=\"strange\"} 2",
            "assent_test_errors_total{code=\"5\"} 0",
            "assent_test_errors_total{code=\"4-9\"} 0",
            "assent_test_errors_total{code=\"other\"} 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn a_code_is_counted_once_and_one_nobody_knows_as_other() {
        let (page, ()) = Metrics::recorded(|| {
            let counters = CodeCounters::new("assent_test_errors_total", [5..=5, 4..=9]);
            for code in [5, 4, 9, 10, -1] {
                counters.one(code);
            }
        });
        for line in [
            "assent_test_errors_total{code=\"5\"} 1",
            "assent_test_errors_total{code=\"4-9\"} 2",
            "assent_test_errors_total{code=\"other\"} 2",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }
}

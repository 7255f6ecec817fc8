//! What the services export: every series of every metric, as a Prometheus would have them.

use std::collections::{BTreeMap, BTreeSet};

use super::promql::{self, Expr};

/// Labels of a series.
pub(super) type Labels = BTreeMap<String, String>;

/// Made by Prometheus itself.
const SCRAPED: [&str; 2] = ["up", "ALERTS"];

/// Every series, by the name of its metric.
#[derive(Debug, Default)]
pub(super) struct Exported {
    series: BTreeMap<String, Vec<Labels>>,
    histograms: BTreeSet<String>,
}

impl Exported {
    /// Adds a page of metrics, scraped from a target of this service.
    pub(super) fn add_page(&mut self, page: &str, service: &str) {
        for line in page.lines() {
            if let Some(name) = line
                .strip_prefix("# TYPE ")
                .and_then(|declared| declared.strip_suffix(" histogram"))
            {
                self.histograms.insert(name.to_owned());
            }
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            // A series stands there as a query for it does.
            let (selector, _) = line.rsplit_once(' ').expect("a series has a value");
            let Ok(Expr::Selector { name, matchers }) = promql::parse(selector) else {
                panic!("{selector} is no series");
            };
            let own = matchers.into_iter().map(|label| (label.label, label.value));
            let target = [("service", service), ("instance", service), ("job", "assent")];
            let target = target.map(|(name, value)| (name.to_owned(), value.to_owned()));
            self.series.entry(name).or_default().push(own.chain(target).collect());
        }
    }

    /// Whether the metric is made by Prometheus, so that nothing can be said of it.
    pub(super) fn is_scraped(name: &str) -> bool {
        SCRAPED.contains(&name)
    }

    /// The series of a metric, or why there are none.
    pub(super) fn series(&self, name: &str) -> Result<&[Labels], String> {
        match self.series.get(name) {
            Some(series) => Ok(series),
            None if self.histograms.contains(name) => Err(format!(
                "{name} is a histogram: it has {name}_bucket, _sum and _count only"
            )),
            None => Err(format!("{name} is not exported")),
        }
    }

    /// Whether this is the name of a metric, a histogram's as a whole included.
    pub(super) fn is_metric(&self, name: &str) -> bool {
        self.series.contains_key(name) || self.histograms.contains(name)
    }

    /// Names of all metrics of ours, histograms as a whole.
    pub(super) fn metrics(&self) -> BTreeSet<&str> {
        let whole = |name: &'_ str| {
            let histogram = ["_bucket", "_sum", "_count"]
                .into_iter()
                .find_map(|suffix| name.strip_suffix(suffix).filter(|name| self.histograms.contains(*name)));
            histogram.map_or(name.len(), str::len)
        };
        self.series.keys().map(|name| &name[..whole(name)]).collect()
    }
}

//! The metrics page of a role, read.

use std::collections::BTreeMap;

/// Every sample of a metrics page by its full name, labels included.
#[derive(Debug, Clone, Default)]
pub struct MetricsPage(BTreeMap<String, f64>);

impl MetricsPage {
    /// Reads the Prometheus text format.
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(samples.collect())
    }

    /// The sum over all label sets of a metric; 0 if it has none yet.
    pub fn sum(&self, name: &str) -> f64 {
        let of_name = |key: &str| key.split('{').next() == Some(name);
        self.0
            .iter()
            .filter(|(key, _)| of_name(key))
            .map(|(_, value)| value)
            .sum()
    }

    /// Count and mean of what a histogram saw; none if it saw nothing.
    pub fn histogram(&self, name: &str) -> Option<(f64, f64)> {
        let count = self.sum(&format!("{name}_count"));
        (count > 0.0).then(|| (count, self.sum(&format!("{name}_sum")) / count))
    }
}

#[cfg(test)]
mod tests {
    use super::MetricsPage;

    #[test]
    fn samples_are_summed_over_their_labels() {
        let page = MetricsPage::parse(
            "# TYPE flush histogram\nflush_bucket{le=\"1\"} 2\nflush_sum{shard=\"0\"} 10\nflush_sum{shard=\"1\"} 20\n\
             flush_count{shard=\"0\"} 2\nflush_count{shard=\"1\"} 3\nflush_counters 7\n",
        );
        assert_eq!(page.histogram("flush"), Some((5.0, 6.0)));
        assert!((page.sum("flush_counters") - 7.0).abs() < f64::EPSILON);
        assert_eq!(page.histogram("nothing"), None);
    }
}

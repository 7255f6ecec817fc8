//! What a query in PromQL asks for, and whether it is there.

use std::collections::BTreeSet;

use super::{
    exported::{Exported, Labels},
    promql::{self, Expr, Matcher},
};

/// Labels that every series has because of how it was scraped, with values that depend on what runs.
const TARGET_LABELS: [&str; 3] = ["service", "instance", "job"];

/// Everything that is wrong with a query: metrics, labels and values that are not exported. `shown` are the labels that
/// whoever asks puts beside each line.
pub(super) fn problems(exported: &Exported, query: &str, shown: &[String]) -> Vec<String> {
    let expression = match promql::parse(&filled_in(query)) {
        Ok(expression) => expression,
        Err(error) => return vec![format!("{query} is no PromQL: {error}")],
    };
    let mut check = Check {
        exported,
        problems: Vec::new(),
        metrics: BTreeSet::new(),
    };
    let known = check.expression(&expression);
    if let Some(known) = known {
        for label in shown {
            if !known.contains(label) {
                check.problems.push(format!("its lines have no label {label}"));
            }
        }
    }
    check.problems
}

/// The metrics that a query names.
pub(super) fn metrics(query: &str) -> BTreeSet<String> {
    let nothing = Exported::default();
    let mut check = Check {
        exported: &nothing,
        problems: Vec::new(),
        metrics: BTreeSet::new(),
    };
    if let Ok(expression) = promql::parse(&filled_in(query)) {
        check.expression(&expression);
    }
    check.metrics
}

/// With Grafana's variables replaced by what they may stand for.
fn filled_in(query: &str) -> String {
    query
        .replace("$__rate_interval", "5m")
        .replace("$__interval", "1m")
        .replace("$__range", "1h")
        .replace("$service", ".*")
}

struct Check<'a> {
    exported: &'a Exported,
    problems: Vec<String>,
    metrics: BTreeSet<String>,
}

/// The labels that a result has; none where nothing can be said.
type Known = Option<BTreeSet<String>>;

impl Check<'_> {
    fn expression(&mut self, expression: &Expr) -> Known {
        match expression {
            Expr::Selector { name, matchers } => self.selector(name, matchers),
            Expr::Call { function, arguments } => self.call(function, arguments),
            Expr::Grouped { labels, without, of } => {
                let known = self.first_known(of);
                self.labels_are_there(labels, &known, "grouped");
                if *without {
                    return known.map(|known| known.into_iter().filter(|label| !labels.contains(label)).collect());
                }
                Some(labels.iter().cloned().collect())
            }
            Expr::Binary { left, on, right } => {
                let sides = [self.expression(left), self.expression(right)];
                for side in &sides {
                    self.labels_are_there(on.as_deref().unwrap_or_default(), side, "matched");
                }
                sides.into_iter().flatten().next()
            }
            Expr::Number | Expr::Text(_) => None,
        }
    }

    fn first_known(&mut self, expressions: &[Expr]) -> Known {
        let known: Vec<Known> = expressions.iter().map(|inner| self.expression(inner)).collect();
        known.into_iter().flatten().next()
    }

    fn call(&mut self, function: &str, arguments: &[Expr]) -> Known {
        let mut known = self.first_known(arguments);
        // label_replace(vector, "made", "replacement", "source", "expression")
        if let ("label_replace", Some(Expr::Text(made))) = (function, arguments.get(1)) {
            known.get_or_insert_default().insert(made.clone());
        }
        known
    }

    fn selector(&mut self, name: &str, matchers: &[Matcher]) -> Known {
        if Exported::is_scraped(name) {
            return None;
        }
        self.metrics.insert(name.to_owned());
        let series = match self.exported.series(name) {
            Ok(series) => series,
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
        };
        let mut fitting: Vec<&Labels> = series.iter().collect();
        for matcher in matchers {
            let label = &matcher.label;
            if !series.iter().all(|labels| labels.contains_key(label)) {
                self.problems.push(format!("{name} has no label {label}"));
                return None;
            }
            let Some(values) = values(matcher).filter(|_| !TARGET_LABELS.contains(&label.as_str())) else {
                continue;
            };
            for value in &values {
                if !series.iter().any(|labels| labels[label] == *value) {
                    self.problems.push(format!("{name} never has {label}=\"{value}\""));
                }
            }
            let is_wanted = !matcher.operator.starts_with('!');
            fitting.retain(|labels| values.contains(&labels[label].as_str()) == is_wanted);
        }
        if fitting.is_empty() && self.problems.is_empty() {
            self.problems
                .push(format!("no series of {name} fits all that is matched"));
        }
        series.first().map(|labels| labels.keys().cloned().collect())
    }

    fn labels_are_there(&mut self, labels: &[String], known: &Known, what: &str) {
        let Some(known) = known else { return };
        for label in labels.iter().filter(|label| !known.contains(*label)) {
            self.problems
                .push(format!("it is {what} by {label}, which is no label there"));
        }
    }
}

/// The values that a matcher names; none if it is a pattern other than a choice of words.
fn values(matcher: &Matcher) -> Option<Vec<&str>> {
    if matches!(matcher.operator.as_str(), "=" | "!=") {
        return Some(vec![&matcher.value]);
    }
    let values: Vec<&str> = matcher.value.split('|').collect();
    let is_word = |value: &&str| {
        value
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || character == '_')
    };
    values.iter().all(is_word).then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Exported {
        let mut exported = Exported::default();
        exported.add_page(
            "# TYPE things_total counter\nthings_total{kind=\"good\"} 1\nthings_total{kind=\"bad, \\\"really\\\"\"} 0\n\
             # TYPE call_seconds histogram\ncall_seconds_bucket{le=\"+Inf\"} 3\ncall_seconds_sum 1\ncall_seconds_count 3\n\
             depth 7\n",
            "ingress",
        );
        exported
    }

    fn found(query: &str) -> Vec<String> {
        problems(&page(), query, &[])
    }

    #[test]
    fn what_is_exported_is_no_problem() {
        for query in [
            "sum by (kind) (rate(things_total{service=~\"$service\"}[$__rate_interval]))",
            "things_total{kind=\"good\"} > 0",
            "histogram_quantile(0.99, sum by (le, service) (rate(call_seconds_bucket[5m])))",
            "sum(depth) / on () sum(rate(call_seconds_count[5m])) or vector(0)",
            "label_replace(absent(up{service=~\"all|ingress\"} == 1), \"service\", \"ingress\", \"\", \"\")",
            "max by (kind) (things_total) unless on (kind) max by (kind) (things_total offset 15m)",
        ] {
            assert_eq!(found(query), Vec::<String>::new(), "{query}");
        }
    }

    #[test]
    fn a_made_up_metric_label_or_value_is_named() {
        for (query, problem) in [
            ("rate(made_up_total[5m])", "made_up_total is not exported"),
            ("call_seconds", "call_seconds is a histogram"),
            ("depth_sum", "depth_sum is not exported"),
            ("things_total{colour=\"red\"}", "things_total has no label colour"),
            ("things_total{kind=\"ugly\"}", "things_total never has kind=\"ugly\""),
            (
                "things_total{kind=~\"good|ugly\"}",
                "things_total never has kind=\"ugly\"",
            ),
            ("things_total{kind!=\"ugly\"}", "things_total never has kind=\"ugly\""),
            (
                "things_total{kind=\"good\",kind!=\"good\"}",
                "no series of things_total fits",
            ),
            ("sum by (colour) (things_total)", "it is grouped by colour"),
            ("sum by (kind) (sum(things_total))", "it is grouped by kind"),
            ("things_total and on (colour) depth", "it is matched by colour"),
            ("sum(rate(things_total[5m])", "is no PromQL"),
        ] {
            let problems = found(query);
            assert!(
                problems.iter().any(|found| found.contains(problem)),
                "{query}: {problem} is not in {problems:?}"
            );
        }
    }

    #[test]
    fn a_legend_shows_only_labels_that_its_lines_have() {
        let shown = ["kind".to_owned()];
        assert!(problems(&page(), "sum by (kind) (things_total)", &shown).is_empty());
        let found = problems(&page(), "sum(things_total)", &shown);
        assert_eq!(found, ["its lines have no label kind"]);
    }
}

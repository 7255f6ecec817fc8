//! Findings, and how they are printed.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// All is well.
    Ok,
    /// It works, and may not for long or not as it should.
    Warning,
    /// It does not work.
    Failed,
}

/// What one check saw.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    /// Its stable name, such as `database.durability`.
    pub(super) check: &'static str,
    /// What it was about, where there are several: a tenant, a number, an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    pub(super) verdict: Verdict,
    /// What was seen.
    pub(super) seen: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, seen: impl Into<String>) -> Self {
        Self {
            check,
            subject: None,
            verdict,
            seen: seen.into(),
            fix: None,
        }
    }

    pub(super) fn ok(check: &'static str, seen: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, seen)
    }

    pub(super) fn warning(check: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            fix: Some(fix.into()),
            ..Self::new(check, Verdict::Warning, seen)
        }
    }

    pub(super) fn failed(check: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            fix: Some(fix.into()),
            ..Self::new(check, Verdict::Failed, seen)
        }
    }

    pub(super) fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }
}

/// Everything that was seen.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub(super) fn extend(&mut self, findings: Vec<Finding>) {
        self.findings.extend(findings);
    }

    pub(super) fn has_failures(&self) -> bool {
        self.count(Verdict::Failed) > 0
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.verdict == verdict)
            .count()
    }

    /// For people, or as JSON.
    pub(super) fn render(&self, as_json: bool) -> String {
        if as_json {
            let ok = !self.has_failures();
            return serde_json::json!({"ok": ok, "findings": self.findings}).to_string();
        }
        let mut text = String::new();
        for finding in &self.findings {
            let verdict = match finding.verdict {
                Verdict::Ok => "ok     ",
                Verdict::Warning => "warning",
                Verdict::Failed => "FAILED ",
            };
            let subject = finding
                .subject
                .as_ref()
                .map(|subject| format!(" {subject}"))
                .unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{verdict}  {}{subject}: {}", finding.check, finding.seen);
            if let Some(fix) = &finding.fix {
                let _ = writeln!(text, "         → {fix}");
            }
        }
        let (failed, warnings) = (self.count(Verdict::Failed), self.count(Verdict::Warning));
        let _ = write!(
            text,
            "{} checks, {failed} failed, {warnings} warnings",
            self.findings.len()
        );
        text
    }
}

/// Runs a check within its time; what it is replaced by when it takes longer.
pub(super) async fn within(
    limit: Duration,
    check: &'static str,
    fix: &str,
    work: impl Future<Output = Vec<Finding>>,
) -> Vec<Finding> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_elapsed| {
        let seen = format!("no answer within {} ms", limit.as_millis());
        vec![Finding::failed(check, seen, fix)]
    })
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_to_fix_and_counts() {
        let mut report = Report::default();
        report.add(Finding::ok("database.reachable", "Postgres 15"));
        assert!(!report.has_failures());
        report.add(Finding::failed("meta.token", "error 190", "make a new token").about("acme"));
        assert!(report.has_failures());
        let text = report.render(false);
        assert!(
            text.contains("FAILED   meta.token acme: error 190\n         → make a new token"),
            "{text}"
        );
        assert!(text.ends_with("2 checks, 1 failed, 0 warnings"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&report.render(true)).unwrap();
        assert_eq!(json["ok"], false);
        assert_eq!(json["findings"][1]["verdict"], "failed");
        assert_eq!(json["findings"][0].get("fix"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_has_failed() {
        let limit = Duration::from_secs(1);
        let findings = within(limit, "nats.reachable", "look", std::future::pending()).await;
        assert_eq!(findings[0].verdict, Verdict::Failed);
        assert_eq!(findings[0].seen, "no answer within 1000 ms");
    }
}

//! Clocks. Windows, expiry and the time of a withdrawal are judged by ours; the database's and Meta's must not be far from it.

use std::time::Duration;

use assent_runtime::tenants::Tenants;
use sqlx::{Connection as _, PgConnection};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use super::{
    database::without_url,
    meta,
    report::{Finding, within},
};
use crate::config::Config;

/// From here on a difference is worth a look, and from here on something will be judged wrongly. An HTTP date has whole seconds.
const NOTABLE: time::Duration = time::Duration::seconds(2);
const TOO_MUCH: time::Duration = time::Duration::seconds(30);
const DATABASE: &str = "clock.database";
const META: &str = "clock.meta";
const FIX: &str = "let both machines follow a time server (chrony, systemd-timesyncd)";

/// Compares our clock with the others.
pub(super) async fn check(config: &Config, tenants: &Tenants, limit: Duration) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(url) = &config.database.postgres_url {
        findings.extend(within(limit, DATABASE, FIX, database(url.expose())).await);
    }
    findings.extend(within(limit, META, FIX, at_meta(config, tenants)).await);
    findings
}

async fn database(url: &str) -> Vec<Finding> {
    let clock = async {
        let mut connection = PgConnection::connect(url).await?;
        let before = OffsetDateTime::now_utc();
        let theirs: OffsetDateTime = sqlx::query_scalar("select clock_timestamp()")
            .fetch_one(&mut connection)
            .await?;
        let after = OffsetDateTime::now_utc();
        // A server that does not say good-bye changes nothing.
        let _ = connection.close().await;
        Ok::<_, sqlx::Error>(theirs - (before + (after - before) / 2))
    };
    vec![match clock.await {
        Ok(ahead) => judge(DATABASE, "the database's", ahead),
        Err(error) => Finding::failed(DATABASE, without_url(&error), "see database.reachable"),
    }]
}

/// By the first tenant that has a token: there is one Meta.
async fn at_meta(config: &Config, tenants: &Tenants) -> Vec<Finding> {
    let Some((_, token)) = meta::tokens(tenants).next() else {
        return Vec::new();
    };
    let Ok(client) = meta::client(config) else {
        return Vec::new();
    };
    let before = OffsetDateTime::now_utc();
    // Whether the token is any good is said by another check.
    let Ok(info) = client.token_info(&token).await else {
        return vec![Finding::warning(META, "Meta did not answer", "see meta.token")];
    };
    let after = OffsetDateTime::now_utc();
    let date = info
        .answered_at
        .as_deref()
        .and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok());
    let Some(theirs) = date else {
        return vec![Finding::warning(
            META,
            "the answer has no date",
            "look whether something stands between us and Meta",
        )];
    };
    // Whole seconds, cut off.
    let theirs = theirs + time::Duration::milliseconds(500);
    vec![judge(META, "Meta's", theirs - (before + (after - before) / 2))]
}

fn judge(check: &'static str, whose: &str, ahead: time::Duration) -> Finding {
    let (size, direction) = (ahead.abs(), if ahead.is_negative() { "behind" } else { "ahead of" });
    let seen = format!("{whose} clock is {:.1} s {direction} ours", size.as_seconds_f64());
    if size >= TOO_MUCH {
        Finding::failed(check, seen, FIX)
    } else if size >= NOTABLE {
        Finding::warning(check, seen, FIX)
    } else {
        Finding::ok(check, seen)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::report::Verdict, *};

    #[test]
    fn clocks_that_differ_are_told_with_the_side() {
        let judged = |seconds| judge(META, "Meta's", time::Duration::seconds(seconds));
        assert_eq!(judged(1).verdict, Verdict::Ok);
        assert_eq!(judged(-5).verdict, Verdict::Warning);
        let far = judged(-3_600);
        assert_eq!(far.verdict, Verdict::Failed);
        assert_eq!(far.seen, "Meta's clock is 3600.0 s behind ours");
    }

    #[test]
    fn an_http_date_is_read() {
        let date = OffsetDateTime::parse("Mon, 23 Nov 2026 02:10:29 GMT", &Rfc2822).unwrap();
        assert_eq!(date.unix_timestamp(), 1_795_399_829);
    }
}

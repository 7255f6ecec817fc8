//! Meta: tokens and what they may do, the numbers, and who is told of an account's events.

use std::{collections::BTreeSet, time::Duration};

use assent_runtime::tenants::{Tenant, Tenants};
use assent_whatsapp::{
    client::{CallError, Client, ClientError, NumberInfo, NumberStatus, TokenInfo},
    secret::Secret,
};
use time::OffsetDateTime;

use super::report::{Finding, chain, within};
use crate::config::Config;

const TOKEN: &str = "meta.token";
const NUMBER: &str = "meta.number";
const SUBSCRIPTION: &str = "meta.subscription";
/// What a token must be allowed (Meta, "Permissions"): to send and be told of messages; templates, numbers, other events.
const SCOPES: [&str; 2] = ["whatsapp_business_messaging", "whatsapp_business_management"];
/// A token that ends sooner is worth a warning.
const EXPIRES_SOON: time::Duration = time::Duration::days(14);
const CALL_FIX: &str = "check that the network lets us through to Meta and that base_url is right";

/// Looks at every tenant that has a number.
pub(super) async fn check(config: &Config, tenants: &Tenants, limit: Duration) -> Vec<Finding> {
    let client = match client(config) {
        Ok(client) => client,
        Err(error) => return vec![Finding::failed(TOKEN, chain(&error), "correct status_tracker.meta")],
    };
    let mut findings = Vec::new();
    for (tenant, secret) in tokens(tenants) {
        let checked = within(limit, TOKEN, CALL_FIX, token(&client, &secret)).await;
        findings.extend(checked.into_iter().map(|finding| finding.about(tenant)));
    }
    for tenant in tenants.iter() {
        for number in &tenant.numbers {
            let Some(token) = token_for(tenant, &number.phone_number_id) else {
                continue;
            };
            let checked = within(
                limit,
                NUMBER,
                CALL_FIX,
                self::number(&client, &number.phone_number_id, &token),
            )
            .await;
            findings.extend(
                checked
                    .into_iter()
                    .map(|finding| finding.about(&number.phone_number_id)),
            );
        }
        for (account, token) in accounts(tenant) {
            let checked = within(limit, SUBSCRIPTION, CALL_FIX, subscription(&client, account, &token)).await;
            findings.extend(checked.into_iter().map(|finding| finding.about(account)));
        }
    }
    findings
}

/// The client that the status-tracker would use.
pub(super) fn client(config: &Config) -> Result<Client, ClientError> {
    Client::try_new(&config.status_tracker.meta)
}

/// Each tenant's tokens, each once.
pub(super) fn tokens(tenants: &Tenants) -> impl Iterator<Item = (&str, Secret)> {
    tenants.iter().flat_map(|tenant| {
        let numbers = tenant.numbers.iter();
        let mut seen = BTreeSet::new();
        let tokens = numbers.filter_map(|number| tenant.access_token_for(&number.phone_number_id));
        let tokens: Vec<Secret> = tokens
            .filter(|token| seen.insert(token.expose().to_owned()))
            .map(|token| Secret::new(token.expose()))
            .collect();
        tokens.into_iter().map(|token| (tenant.id.as_str(), token))
    })
}

pub(super) fn token_for(tenant: &Tenant, phone_number_id: &str) -> Option<Secret> {
    let token = tenant.access_token_for(phone_number_id)?;
    Some(Secret::new(token.expose()))
}

/// Each account of a tenant once, with a token for it.
fn accounts(tenant: &Tenant) -> impl Iterator<Item = (&str, Secret)> {
    let mut seen = BTreeSet::new();
    tenant.numbers.iter().filter_map(move |number| {
        let token = token_for(tenant, &number.phone_number_id)?;
        seen.insert(&number.waba_id).then_some((number.waba_id.as_str(), token))
    })
}

async fn token(client: &Client, token: &Secret) -> Vec<Finding> {
    match client.token_info(token).await {
        Ok(info) => judge_token(&info, OffsetDateTime::now_utc()),
        Err(error) => vec![call_failed(TOKEN, &error)],
    }
}

fn judge_token(info: &TokenInfo, now: OffsetDateTime) -> Vec<Finding> {
    const NEW_TOKEN: &str =
        "make a token of a system user that does not expire, and put it where the tenants file says";
    if !info.is_valid {
        return vec![Finding::failed(TOKEN, "Meta calls it invalid", NEW_TOKEN)];
    }
    let missing: Vec<&str> = SCOPES
        .into_iter()
        .filter(|scope| !info.scopes.iter().any(|has| has == scope))
        .collect();
    let mut findings = Vec::new();
    if !missing.is_empty() {
        let fix = format!("give the system user's token {}", missing.join(" and "));
        findings.push(Finding::failed(TOKEN, format!("lacks {}", missing.join(" and ")), fix));
    }
    let expires = info
        .expires_at
        .and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    match expires {
        Some(at) if at <= now => findings.push(Finding::failed(TOKEN, "has expired", NEW_TOKEN)),
        Some(at) if at - now < EXPIRES_SOON => {
            let hours = (at - now).whole_hours();
            findings.push(Finding::warning(TOKEN, format!("expires in {hours} hours"), NEW_TOKEN));
        }
        Some(at) => findings.push(Finding::ok(
            TOKEN,
            format!("valid, expires in {} days", (at - now).whole_days()),
        )),
        None if findings.is_empty() => findings.push(Finding::ok(TOKEN, "valid, does not expire, may send and manage")),
        None => {}
    }
    findings
}

async fn number(client: &Client, phone_number_id: &str, token: &Secret) -> Vec<Finding> {
    vec![match client.number(phone_number_id, token).await {
        Ok(info) => judge_number(&info),
        Err(error) => call_failed(NUMBER, &error),
    }]
}

fn judge_number(info: &NumberInfo) -> Finding {
    let tier = info.messaging_limit.as_deref().unwrap_or("limit not told");
    match &info.status {
        Some(NumberStatus::Connected) => Finding::ok(NUMBER, format!("connected, {tier}")),
        None => Finding::warning(NUMBER, "Meta does not say its state", "look at it in WhatsApp Manager"),
        Some(status) => {
            let seen = format!("state {status:?}");
            Finding::failed(
                NUMBER,
                seen,
                "see in WhatsApp Manager what it needs: it cannot send like that",
            )
        }
    }
}

async fn subscription(client: &Client, account: &str, token: &Secret) -> Vec<Finding> {
    const FIX: &str = "subscribe the app whose secret is configured: POST /{account}/subscribed_apps with its token";
    let apps = match client.subscribed_apps(account, token).await {
        Ok(apps) => apps,
        Err(error) => return vec![call_failed(SUBSCRIPTION, &error)],
    };
    if apps.is_empty() {
        return vec![Finding::failed(
            SUBSCRIPTION,
            "no app is told of this account's events",
            FIX,
        )];
    }
    // Without an answer it stays open which app is ours; the check of the token says so.
    let ours = client.token_info(token).await.ok().and_then(|info| info.app_id);
    let is_told = |app: &str| apps.iter().any(|other| other.id.as_deref() == Some(app));
    if let Some(app) = ours.filter(|app| !is_told(app)) {
        let seen = format!("{} apps are told of its events, not the token's own, {app}", apps.len());
        return vec![Finding::warning(SUBSCRIPTION, seen, FIX)];
    }
    vec![Finding::ok(
        SUBSCRIPTION,
        format!("{} apps are told of its events", apps.len()),
    )]
}

/// What Meta says in words may quote the request, so only its code is shown, with what is known of it.
fn call_failed(check: &'static str, error: &CallError) -> Finding {
    match error {
        CallError::Graph(graph) => {
            let entry = graph.entry();
            Finding::failed(
                check,
                format!("Meta's error {}: {}", graph.code, entry.meaning),
                entry.remedy,
            )
        }
        error => Finding::failed(check, chain(error), CALL_FIX),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::report::Verdict, *};

    fn info(expires_in_days: Option<i64>, scopes: &[&str]) -> Vec<Verdict> {
        let now = OffsetDateTime::now_utc();
        let info = TokenInfo {
            is_valid: true,
            app_id: None,
            expires_at: expires_in_days.map(|days| (now + time::Duration::days(days)).unix_timestamp()),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            answered_at: None,
        };
        judge_token(&info, now)
            .into_iter()
            .map(|finding| finding.verdict)
            .collect()
    }

    #[test]
    fn a_token_must_work_for_long_and_be_allowed_both_things() {
        assert_eq!(info(None, &SCOPES), [Verdict::Ok]);
        assert_eq!(info(Some(60), &SCOPES), [Verdict::Ok]);
        assert_eq!(info(Some(3), &SCOPES), [Verdict::Warning]);
        assert_eq!(info(Some(-1), &SCOPES), [Verdict::Failed]);
        assert_eq!(info(None, &SCOPES[..1]), [Verdict::Failed]);
        assert_eq!(info(Some(3), &[]), [Verdict::Failed, Verdict::Warning]);
    }
}
